//! Whatever fails and crashes, the desired state is reached.

use super::*;
/// What happens in the property below.
#[derive(Debug, Clone)]
enum Event {
    Want(BTreeMap<String, u128>),
    Answer(u8),
    Wait(u16),
    /// Tasks are aborted where they are, and a new process starts from what the store has.
    Crash,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop::collection::btree_map("[abc]", 1..4u128, 0..4).prop_map(Event::Want),
        3 => (0..6u8).prop_map(Event::Answer),
        3 => (0..3000u16).prop_map(Event::Wait),
        1 => Just(Event::Crash),
    ]
}

async fn whatever_happens(events: Vec<Event>) {
    let mut it = Running::start(Arc::default());
    for event in events {
        match event {
            Event::Want(wanted) => {
                it.want(&wanted.iter().map(|(id, revision)| (id.as_str(), *revision)).collect::<Vec<_>>());
            }
            Event::Answer(0) => it.script.answer(None),
            Event::Answer(1) => it.script.answer(Some(Outcome::Retry(failure(Retry::Backoff)))),
            Event::Answer(2) => it.script.answer(Some(Outcome::Next(json!("half")))),
            Event::Answer(3) => it.script.answer(Some(Outcome::To(0, json!("again")))),
            Event::Answer(4) => it.script.keeps.lock().unwrap().push_back(Some(Outcome::Begin)),
            Event::Answer(_) => it.script.answer(Some(Outcome::Snooze(Duration::from_secs(1)))),
            Event::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
            Event::Crash => {
                // A stop without any patience: whoever waits is aborted there.
                it.stopper.stop(Duration::ZERO).await;
                it = Running::start(Arc::clone(&it.store));
            }
        }
    }
    it.want(&[("a", 9), ("z", 9)]);
    it.until_reached(&[("a", 9), ("z", 9)]).await;
    it.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_crashes_the_desired_state_is_reached(events in prop::collection::vec(events(), 0..20)) {
        leak_checked(|| whatever_happens(events.clone()));
    }
}
