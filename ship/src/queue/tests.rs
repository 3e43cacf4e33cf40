//! Whatever happens to a queue, each lane keeps its order, and generations do not mix.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use rosterd_tasks::Supervision;
use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};
use tokio::time::Instant;

use super::slots::Slots;
use super::state::State;
use super::*;
use crate::Metrics;
use crate::wire::{Compression, Head, Message};

fn record(seq: u64, epoch: u32, lane: u16, size: usize) -> Record {
    Record {
        seq,
        epoch,
        lane,
        message: Message::V1,
        compression: Compression::Snappy,
        head: Head { counts: Counts { series: 1, samples: 1, ..Counts::default() }, oldest_ms: 5, newest_ms: 10 },
        raw_len: 0,
        body: vec![0; size].into(),
    }
}

fn flight(take: Take) -> Option<u64> {
    if let Take::Flight(flight) = take { Some(flight.record.seq) } else { None }
}

#[test]
fn a_lane_has_one_request_and_a_generation_waits_for_the_one_before() {
    let mut slots = Slots::default();
    for (seq, epoch, lane) in [(1, 1, 0), (2, 1, 0), (3, 1, 1), (4, 2, 2)] {
        slots.push(record(seq, epoch, lane, 1), Instant::now());
        slots.advance();
    }
    let now = Instant::now();
    assert_eq!([(); 3].map(|()| flight(slots.take(now))), [Some(1), Some(3), None]);
    slots.done(3);
    assert_eq!(flight(slots.take(now)), None);
    let later = now + Duration::from_secs(1);
    slots.again(1, Some(later), true);
    assert_eq!(slots.take(now), Take::Wait(later));
    let Take::Flight(again) = slots.take(later) else { panic!("its time has come") };
    assert_eq!((again.record.seq, again.attempts), (1, 1));
    slots.done(1);
    assert_eq!(flight(slots.take(now)), Some(2));
    slots.done(2);
    assert_eq!(flight(slots.take(now)), Some(4));
}

#[test]
fn what_was_under_way_comes_again_in_its_order_for_whoever_begins_to_send() {
    let mut slots = Slots::default();
    for (seq, lane) in [(1, 0), (2, 0), (3, 1), (4, 2)] {
        slots.push(record(seq, 1, lane, 1), Instant::now());
        slots.advance();
    }
    let now = Instant::now();
    assert_eq!([(); 3].map(|()| flight(slots.take(now))), [Some(1), Some(3), Some(4)]);
    slots.done(3);
    slots.again(4, Some(now + Duration::from_secs(1)), true);
    slots.return_flights();
    let Take::Flight(first) = slots.take(now) else { panic!("it is to be sent") };
    assert_eq!(
        (first.record.seq, first.attempts),
        (1, 1),
        "it may have been taken: a receiver is told that it comes again"
    );
    assert_eq!(slots.take(now), Take::Wait(now + Duration::from_secs(1)));
}

const LIMITS: Limits = Limits { front_bytes: 100, front_records: 8, bytes: 100, max_age_ms: 0 };

#[test]
fn without_a_disk_the_oldest_makes_room() {
    let mut state = State::new(LIMITS);
    state.gave_up();
    let now = Instant::now();
    let dropped: u32 = (0..6).map(|_| state.append(record(0, 1, 0, 40), now).samples).sum();
    assert_eq!((dropped, state.pending().samples), (4, 2));
    assert_eq!(flight(state.take(now, 0).0), Some(5));
    // What is under way stays.
    state.append(record(0, 1, 0, 40), now);
    state.append(record(0, 1, 0, 90), now);
    state.done(5);
    assert_eq!(flight(state.take(now, 0).0), Some(8));
}

#[test]
fn what_is_too_old_for_the_queue_is_dropped() {
    let mut state = State::new(Limits { max_age_ms: 1000, ..LIMITS });
    state.gave_up();
    state.append(record(0, 1, 0, 1), Instant::now());
    assert_eq!(
        state.take(Instant::now(), 1011),
        (Take::Nothing, Counts { series: 1, samples: 1, ..Counts::default() })
    );
    assert!(state.is_empty());
}

#[test]
fn a_log_that_is_gone_takes_what_was_there_alone_with_it() {
    let mut state = State::new(PATIENT);
    state.opened(1, 0, None);
    let now = Instant::now();
    (0..5).for_each(|lane| assert_eq!(state.append(record(0, 1, lane, 40), now), Counts::default()));
    state.to_write(now, 4).iter().for_each(|record| state.written(record.seq));
    assert_eq!((state.pending().samples, state.slots.counts().samples), (5, 4), "one is on disk alone");
    state.bytes_on_disk = 7;
    assert_eq!(state.lost_log().samples, 1);
    assert_eq!((state.pending().samples, state.bytes_on_disk, state.wanted()), (4, 0, None));
    assert_eq!([(); 5].map(|()| flight(state.take(now, 0).0)), [Some(1), Some(2), Some(3), Some(5), None]);
    assert_eq!(state.hand_over().0.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 5]);
}

#[test]
fn what_was_left_comes_before_what_came_meanwhile() {
    let mut state = State::new(LIMITS);
    let now = Instant::now();
    state.append(record(0, 1, 3, 1), now);
    state.prepend(vec![record(8, 4, 0, 1), record(9, 5, 1, 1)], now);
    state.append(record(0, 1, 2, 1), now);
    state.gave_up();
    let mut order = Vec::new();
    while let Take::Flight(flight) = state.take(now, 0).0 {
        order.push((flight.record.epoch, flight.record.lane));
        state.done(flight.record.seq);
    }
    assert_eq!(order, [(4, 0), (5, 1), (6, 3), (6, 2)]);
    assert_eq!(state.pending(), Counts::default());
}

#[test]
fn parts_take_the_place_of_what_was_too_large() {
    let mut state = State::new(LIMITS);
    state.gave_up();
    let now = Instant::now();
    state.append(record(0, 1, 0, 60), now);
    state.append(record(0, 1, 0, 5), now);
    let Take::Flight(whole) = state.take(now, 0).0 else { panic!("there is one") };
    assert!(!whole.refused);
    state.slots.replace(1, vec![record(1, 1, 0, 20), record(1, 1, 0, 30)], true);
    state.again(1);
    assert_eq!((state.pending().samples, state.slots.bytes(), state.slots.front_bytes()), (3, 55, 55));
    for (size, left) in [(20, 2), (30, 1)] {
        let Take::Flight(half) = state.take(now, 0).0 else { panic!("a half waits") };
        assert_eq!((half.record.body.len(), half.refused, half.attempts), (size, true, u32::from(size == 20)));
        assert_eq!(flight(state.take(now, 0).0), None, "they keep their order");
        state.done(1);
        assert_eq!(state.pending().samples, left);
    }
    assert_eq!(flight(state.take(now, 0).0), Some(2));
}

/// What happens to a queue.
#[derive(Debug, Clone, Copy)]
enum Event {
    Append(u16, usize),
    Resize,
    Take,
    /// Of those under way.
    Done(usize),
    Again(usize),
    Write(usize),
    Read,
    /// The process ends, and the next one opens the queue.
    Restart,
    /// Another configuration: what is not written is handed over.
    HandOver,
    /// So many records of the log have to make room.
    DropOldest(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..4u16, 1..60usize).prop_map(|(lane, size)| Event::Append(lane, size)),
        1 => Just(Event::Resize),
        6 => Just(Event::Take),
        4 => (0..4usize).prop_map(Event::Done),
        2 => (0..4usize).prop_map(Event::Again),
        4 => (1..5usize).prop_map(Event::Write),
        3 => Just(Event::Read),
        1 => Just(Event::Restart),
        1 => Just(Event::HandOver),
    ];
    prop::collection::vec(event, 0..150)
}

const PATIENT: Limits = Limits { bytes: usize::MAX, ..LIMITS };

/// A queue with a log that is a map, and what should come of it.
struct Model {
    state: State,
    log: BTreeMap<u64, Record>,
    flying: Vec<Record>,
    /// The epochs that this process counts.
    epoch: u32,
    now: Instant,
}

impl Model {
    fn write(&mut self, most: usize) {
        for record in self.state.to_write(self.now, most) {
            self.log.insert(record.seq, record.clone());
            self.state.written(record.seq);
        }
    }

    fn read(&mut self) {
        if let Some((from, _)) = self.state.wanted() {
            let found: Vec<_> = self.log.range(from..).take(3).map(|(_, record)| record.clone()).collect();
            let next = if found.len() < 3 { u64::MAX } else { found[2].seq + 1 };
            self.state.loaded(found, next, Counts::default(), self.now);
        }
    }

    /// As a process that is ended in order.
    fn restart(&mut self) {
        self.write(usize::MAX);
        assert_eq!(self.hand_over(PATIENT), Counts::default());
    }

    /// Returns what was dropped.
    fn hand_over(&mut self, limits: Limits) -> Counts {
        let (rest, dropped) = self.state.hand_over();
        let (base, beyond) = self.state.position();
        self.log.retain(|seq, _| *seq >= base && !beyond.contains(seq));
        let next = self.log.last_key_value().map_or(base, |(seq, _)| (*seq + 1).max(base));
        let epoch = self.log.values().map(|record| record.epoch).max().unwrap_or(0);
        let counts = self.log.values().fold(Counts::default(), |all, record| all.plus(record.head.counts));
        self.state = State::new(limits);
        self.state.prepend(rest, self.now);
        self.state.opened(next.max(1), epoch, (!self.log.is_empty()).then_some(counts));
        self.flying.clear();
        self.epoch = 1;
        dropped
    }

    /// As when the disk is full. Returns what was dropped.
    fn drop_oldest(&mut self, most: usize) -> Counts {
        let Some(last) = self.log.keys().take(most).last().copied() else { return Counts::default() };
        let kept = self.log.split_off(&(last + 1));
        let gone = std::mem::replace(&mut self.log, kept);
        let (base, beyond) = self.state.position();
        let left = |seq: &u64| *seq >= self.state.cursor().max(base) && !beyond.contains(seq);
        let lost = gone.range(..).filter(|(seq, _)| left(seq)).fold(Counts::default(), |all, (_, record)| {
            all.plus(record.head.counts) //
        });
        self.state.dropped(last, lost)
    }
}

proptest! {
    #[test]
    fn each_lane_keeps_its_order(events in events()) {
        let mut state = State::new(PATIENT);
        state.opened(1, 0, None);
        let mut model =
            Model { state, log: BTreeMap::new(), flying: Vec::new(), epoch: 1, now: Instant::now() };
        // The identity of a record is its raw length. For each: which generation of which process, and which lane.
        let (mut generation, mut appended, mut done) = (0, Vec::new(), BTreeSet::new());
        let drained = [Event::Take, Event::Done(0), Event::Write(9), Event::Read].repeat(250);
        for event in events.into_iter().chain(drained) {
            match event {
                Event::Append(lane, size) => {
                    let record = Record { raw_len: appended.len() as u32, ..record(0, model.epoch, lane, size) };
                    appended.push((generation, lane));
                    prop_assert_eq!(model.state.append(record, model.now), Counts::default());
                }
                Event::Resize => {
                    model.epoch += 1;
                    generation += 1;
                }
                Event::Take => {
                    if let Take::Flight(flight) = model.state.take(model.now, 0).0 {
                        let new = flight.record;
                        let number = new.raw_len as usize;
                        for before in (0..number).filter(|number| !done.contains(number)) {
                            let (generation, lane) = appended[before];
                            prop_assert!(generation == appended[number].0 && lane != appended[number].1);
                        }
                        model.flying.push(new);
                    }
                }
                Event::Done(index) if index < model.flying.len() => {
                    let record = model.flying.remove(index);
                    model.state.done(record.seq);
                    done.insert(record.raw_len as usize);
                }
                Event::Again(index) if index < model.flying.len() => {
                    let record = model.flying.remove(index);
                    model.state.again(record.seq);
                }
                Event::Done(_) | Event::Again(_) => {}
                Event::Write(most) => model.write(most),
                Event::Read => model.read(),
                Event::Restart => {
                    model.restart();
                    generation += 1;
                }
                Event::HandOver => {
                    prop_assert_eq!(model.hand_over(PATIENT), Counts::default());
                    generation += 1;
                }
                Event::DropOldest(_) => unreachable!("it keeps nothing in order"),
            }
            let pending = appended.len() - done.len();
            prop_assert_eq!(model.state.pending().samples as usize, pending);
        }
        prop_assert!(model.state.is_empty() && model.flying.is_empty());
        prop_assert_eq!(done.len(), appended.len());
    }
}

#[test]
fn a_panic_of_the_thread_is_counted_and_nothing_that_is_queued_is_lost() {
    leak_checked_live(async || {
        let (folder, registry) = (Folder::new(), prometheus::Registry::new());
        let place = || QueuePlace { folder: folder.path("queue"), max_bytes: 1 << 20, lost: Arc::default() };
        let queue = || {
            let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().endpoint("e");
            let supervision = Supervision::register(&registry).unwrap_or_default();
            Queue::new("e", LIMITS, metrics, supervision.guard("disk"))
        };
        let first = queue();
        for lane in 0..3 {
            first.append(record(0, 1, lane, 20));
        }
        let (shared, place_of_first) = (Arc::clone(&first.shared), place());
        let (opened, is_open) = oneshot::channel();
        let mut steps = 0;
        let thread = std::thread::spawn(move || {
            keeper::run_by(&shared, &place_of_first, opened, |keeper| {
                steps += 1;
                assert!(![1, 3].contains(&steps), "step {steps} panics");
                keeper.step()
            });
        });
        is_open.await.unwrap().unwrap();
        assert!(matches!(first.take(), Take::Flight(_)), "what is in memory is sent meanwhile");
        let written = || first.shared.lock().waits_since().is_none();
        eventually(patience(), "all is on disk", written).await;
        first.append(record(0, 1, 3, 20));
        eventually(patience(), "so is what came later", written).await;
        assert_eq!(first.held().pending.samples, 4);
        first.shared.close();
        eventually(patience(), "the thread ends", || thread.is_finished()).await;
        assert!(first.close(Instant::now()).await.is_empty());
        let families = registry.gather();
        assert_eq!(families[0].name(), "rosterd_task_panics_total");
        assert_eq!(families[0].get_metric()[0].get_counter().get_value(), 2.0);

        let second = queue();
        second.open(place()).await.unwrap();
        eventually(patience(), "all that was not sent is there again", || second.held().pending.samples == 4).await;
        assert!(second.close(Instant::now() + patience()).await.is_empty());
    });
}

#[test]
fn the_disk_works_again_when_what_failed_was_tried_again_and_worked() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().endpoint("e");
        let supervision = Supervision::register(&prometheus::Registry::new()).unwrap();
        let limits = Limits { front_bytes: 1 << 20, bytes: 1 << 20, ..LIMITS };
        let queue = Queue::new("e", limits, metrics, supervision.guard("disk"));
        // Segments of 64 KiB: each record has its own.
        queue
            .open(QueuePlace { folder: folder.path("queue"), max_bytes: 1 << 19, lost: Arc::default() })
            .await
            .unwrap();
        let append = async || {
            queue.append(record(0, 1, 0, 40 << 10));
            let written = || queue.shared.lock().waits_since().is_none();
            eventually(patience(), "it is on disk", written).await;
        };
        append().await;
        append().await;
        // In the place of the first segment is what cannot be deleted as a file.
        let first = folder.path("queue").join(format!("{:020}.segment", 1));
        std::fs::remove_file(&first).unwrap();
        std::fs::create_dir(&first).unwrap();
        let Take::Flight(flight) = queue.take() else { panic!("there is one") };
        queue.done(flight.record.seq);
        eventually(patience(), "deleting fails", || queue.disk_failure().is_some()).await;
        let since = queue.disk_failure().unwrap().since;
        for _ in 0..3 {
            append().await;
        }
        assert_eq!(queue.disk_failure().map(|failure| failure.since), Some(since), "nothing but writing was tried");
        std::fs::remove_dir(&first).unwrap();
        eventually(patience(), "all is well, without news", || queue.disk_failure().is_none()).await;
        assert!(queue.close(Instant::now() + patience()).await.is_empty());
    });
}

#[test]
fn a_disk_that_takes_something_again_works_again_also_when_nothing_waits_for_it() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().endpoint("e");
        let supervision = Supervision::register(&prometheus::Registry::new()).unwrap();
        let queue = Queue::new("e", LIMITS, metrics, supervision.guard("disk"));
        queue
            .open(QueuePlace { folder: folder.path("queue"), max_bytes: 1 << 20, lost: Arc::default() })
            .await
            .unwrap();
        // No segment can have its name.
        std::fs::create_dir(folder.path("queue").join(format!("{:020}.segment", 1))).unwrap();
        queue.append(record(0, 1, 0, 20));
        eventually(patience(), "writing fails", || queue.disk_failure().is_some()).await;
        let Take::Flight(flight) = queue.take() else { panic!("there is one") };
        queue.done(flight.record.seq);
        eventually(patience(), "the disk was tried", || queue.disk_failure().is_none()).await;
        assert!(!folder.path("queue").join("probe").exists(), "nothing is left of that");
        assert!(queue.close(Instant::now() + patience()).await.is_empty());
    });
}

proptest! {
    #[test]
    fn nothing_goes_uncounted(
        events in prop::collection::vec(prop_oneof![
            8 => (0..4u16, 1..60usize).prop_map(|(lane, size)| Event::Append(lane, size)),
            1 => events().prop_map(|events| events.first().copied().unwrap_or(Event::Resize)),
            4 => Just(Event::Take),
            1 => (1..9usize).prop_map(Event::Write),
            1 => (1..5usize).prop_map(Event::DropOldest),
        ], 0..150),
    ) {
        let limits = Limits { bytes: 200, ..LIMITS };
        let mut state = State::new(limits);
        state.opened(1, 0, None);
        let mut model =
            Model { state, log: BTreeMap::new(), flying: Vec::new(), epoch: 1, now: Instant::now() };
        let (mut appended, mut done, mut dropped) = (0, 0, 0);
        for event in events {
            match event {
                Event::Append(lane, size) => {
                    appended += 1;
                    dropped += model.state.append(record(0, model.epoch, lane, size), model.now).samples;
                }
                Event::Resize => model.epoch += 1,
                Event::Take => {
                    if let Take::Flight(flight) = model.state.take(model.now, 0).0 {
                        model.flying.push(flight.record);
                    }
                }
                Event::Done(index) if index < model.flying.len() => {
                    let record = model.flying.remove(index);
                    model.state.done(record.seq);
                    done += 1;
                }
                Event::Again(index) if index < model.flying.len() => {
                    let record = model.flying.remove(index);
                    model.state.again(record.seq);
                }
                Event::Done(_) | Event::Again(_) => {}
                Event::Write(most) => model.write(most),
                Event::Read => model.read(),
                Event::Restart | Event::HandOver => dropped += model.hand_over(limits).samples,
                Event::DropOldest(most) => dropped += model.drop_oldest(most).samples,
            }
            prop_assert_eq!(model.state.pending().samples, appended - done - dropped, "{:?}", event);
            prop_assert!(model.state.slots.bytes() <= 200 + 100 + 4 * 60, "what is read, and under way, is above the limit");
        }
    }
}

impl State {
    fn again(&mut self, seq: u64) {
        self.slots.again(seq, None, true);
    }
}
