//! Discovery, roster, publications and stores together, over restarts: whatever is said, fails, is reloaded or crashes, in
//! whatever order, the roster has the targets that a small model says, marks those that are held, and publishes what is known.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod follow; // a reader of steps
mod history; // the journal
mod kept; // what should be kept of what is gone
mod model; // what should be
mod published; // what others get of it
mod truth; // what the sources have
mod world; // what is

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rosterd::journal::Kind;
use rosterd::roster::Keeping;
use rosterd::roster::brake::{Brake, Confirm};
use rosterd_testkit::leak_checked;

use kept::Keepings;
use truth::{Content, SCOPES, SOURCES, Use};
use world::{JOBS, World};

/// How many kinds of data there are.
const DATA: u8 = 3;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    /// A source of some data has these targets from now on, or does not exist; nobody has said so yet.
    Truth { data: u8, source: u8, targets: Option<u8> },
    /// A source can be read, or cannot; nobody has said so yet.
    Readable { data: u8, source: u8, is: bool },
    /// The discoverers of some data say the whole picture, of the sources that can be read.
    Picture { data: u8 },
    /// They say what is there at the beginning, while others may still come.
    Found { data: u8 },
    /// They say some sources of a picture, one by one: of the one that they were saying, or anew; and perhaps how a source is that
    /// changes or fails meanwhile, and some more. Then it is whole, or what is there at the beginning; or they go on later, or never.
    Pieces { data: u8, anew: bool, most: usize, meanwhile: Option<Meanwhile>, ends: Option<Ends> },
    /// They say how one source is now.
    Source { data: u8, source: u8 },
    /// They say once that there is nothing, which is not so.
    Nothing { data: u8 },
    /// A source loses a target, and says so.
    Drain { data: u8, source: u8 },
    /// They read again and find all as they said.
    Unchanged { data: u8 },
    /// They end with an error and are built again.
    Fail { data: u8 },
    /// Each job uses these from now on; a job that uses nothing is not configured.
    Reload(Vec<Vec<Use>>),
    /// The jobs keep something else from now on.
    Keep(Keepings),
    /// Somebody lets go of what is braked, of a job or of all.
    Release(Option<usize>),
    /// Some time passes.
    Wait(u32),
    /// The process ends in order, and another one begins with these jobs, which keep this, or the same.
    Restart(Option<Vec<Vec<Use>>>, Option<Keepings>),
    /// The process ends at once, and another one begins.
    Crash,
    /// The same so many milliseconds after something else has happened, which need not be written yet.
    CrashAfter(Box<Event>, u64),
    /// Somebody deletes the file of a job, or writes something else into it.
    Touch { job: usize, deletes: bool },
    /// The store takes no writes, or does again.
    Disk { works: bool },
    /// More time passes than anything has until it counts as overdue.
    Grace,
}

/// How a picture in pieces ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// What is not in it is gone.
    Whole,
    /// What is not in it may still come.
    Found,
}

/// What becomes of a source between the pieces of a picture.
#[derive(Debug, Clone, Copy)]
struct Meanwhile {
    source: u8,
    /// It has these targets from now on, or does not exist.
    targets: Option<u8>,
    fails: bool,
}

fn uses() -> impl Strategy<Value = Vec<Vec<Use>>> {
    let one = (data(), 0..2u8).prop_map(|(data, revision)| Use { data, revision });
    prop::collection::vec(prop::collection::vec(one, 0..3), JOBS)
}

fn seconds(all: &[u64]) -> impl Strategy<Value = Duration> + use<> {
    prop::sample::select(all.to_vec()).prop_map(Duration::from_secs)
}

/// No time falls together with an event; and no window is so long that sizes of two events are taken for one.
fn brake() -> impl Strategy<Value = Brake> {
    let after = seconds(&[20, 50]).prop_map(Confirm::After);
    let confirm = prop_oneof![3 => Just(Confirm::Reading), 2 => after, 1 => Just(Confirm::Never)];
    let share = prop::sample::select(vec![0.0, 0.3, 0.5]);
    (share, 1..7usize, seconds(&[30, 100]), confirm).prop_map(|(share, min_targets, window, confirm)| Brake {
        share,
        min_targets,
        window,
        confirm,
    })
}

fn keepings() -> impl Strategy<Value = Keepings> {
    let one = (prop::option::weighted(0.7, brake()), seconds(&[0, 0, 30, 47]));
    let one = one.prop_map(|(brake, grace)| Keeping { brake, grace });
    (prop::collection::vec(one, JOBS), prop::option::weighted(0.4, brake()))
        .prop_map(|(of_job, agent)| Keepings { of_job, agent })
}

/// Some data more often than others, so that more happens to it.
fn data() -> impl Strategy<Value = u8> + Clone {
    prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2)]
}

/// What the sources have at the beginning: as those of some data after the other.
fn sources() -> impl Strategy<Value = Vec<Option<u8>>> {
    prop::collection::vec(prop::option::weighted(0.7, 0..6u8), usize::from(DATA * SOURCES))
}

/// A source, or a scope.
fn source() -> impl Strategy<Value = u8> + Clone {
    prop_oneof![3 => 0..SCOPES, 2 => SCOPES..SOURCES]
}

/// What is written to the store.
fn news() -> impl Strategy<Value = Event> {
    let (data, source) = (data(), source());
    let targets = prop::option::weighted(0.8, 0..7u8);
    let meanwhile = (source.clone(), targets, prop::bool::weighted(0.3))
        .prop_map(|(source, targets, fails)| Meanwhile { source, targets, fails });
    let ends = prop_oneof![2 => Just(None), 2 => Just(Some(Ends::Whole)), 1 => Just(Some(Ends::Found))];
    prop_oneof![
        4 => data.clone().prop_map(|data| Event::Picture { data }),
        2 => data.clone().prop_map(|data| Event::Found { data }),
        4 => (data.clone(), any::<bool>(), 0..3usize, prop::option::of(meanwhile), ends)
            .prop_map(|(data, anew, most, meanwhile, ends)| Event::Pieces { data, anew, most, meanwhile, ends }),
        3 => (data, source).prop_map(|(data, source)| Event::Source { data, source }),
        4 => uses().prop_map(Event::Reload),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let (data, source) = (data(), source());
    prop_oneof![
        17 => news(),
        4 => (data.clone(), source.clone(), prop::option::weighted(0.8, 0..7u8))
            .prop_map(|(data, source, targets)| Event::Truth { data, source, targets }),
        6 => (data.clone(), source.clone(), prop::bool::weighted(0.4))
            .prop_map(|(data, source, is)| Event::Readable { data, source, is }),
        2 => data.clone().prop_map(|data| Event::Unchanged { data }),
        2 => data.clone().prop_map(|data| Event::Nothing { data }),
        3 => (data.clone(), source).prop_map(|(data, source)| Event::Drain { data, source }),
        1 => data.prop_map(|data| Event::Fail { data }),
        1 => keepings().prop_map(Event::Keep),
        1 => prop::option::of(0..JOBS).prop_map(Event::Release),
        3 => (1..8u32).prop_map(Event::Wait),
        2 => (prop::option::of(uses()), prop::option::weighted(0.3, keepings()))
            .prop_map(|(jobs, keepings)| Event::Restart(jobs, keepings)),
        1 => Just(Event::Crash),
        2 => (news(), 0..700u64).prop_map(|(news, after)| Event::CrashAfter(Box::new(news), after)),
        1 => (0..JOBS, any::<bool>()).prop_map(|(job, deletes)| Event::Touch { job, deletes }),
        1 => any::<bool>().prop_map(|works| Event::Disk { works }),
        1 => Just(Event::Grace),
    ]
}

/// Plays a history, and compares after each event.
async fn play(jobs: Vec<Vec<Use>>, keepings: Option<Keepings>, sources: &[Option<u8>], events: &[Event]) {
    let mut world = World::start(jobs).await;
    if let Some(keepings) = keepings {
        world.keep(keepings);
        world.reload_same().await;
    }
    for (number, targets) in (0..DATA * SOURCES).zip(sources) {
        world.truth.set(number / SOURCES, number % SOURCES, *targets);
    }
    world.compare("the start").await;
    for (number, event) in events.iter().enumerate() {
        happens(&mut world, event).await;
        if let Event::CrashAfter(event, after) = event {
            happens(&mut world, event).await;
            world.crash_soon(Duration::from_millis(*after)).await;
        }
        world.compare(&format!("event {number}, {event:?}")).await;
    }
    world.end().await;
}

async fn happens(world: &mut World, event: &Event) {
    match event {
        Event::Truth { data, source, targets } => world.truth.set(*data, *source, *targets),
        Event::Readable { data, source, is } => world.truth.set_readable(*data, *source, *is),
        Event::Picture { data } => world.say_picture(*data).await,
        Event::Found { data } => world.say_found(*data).await,
        Event::Pieces { data, anew, most, meanwhile: None, ends } => {
            world.say_pieces(*data, *anew, *most, *ends).await;
        }
        Event::Pieces { data, anew, most, meanwhile: Some(meanwhile), ends } => {
            world.say_pieces(*data, *anew, *most, None).await;
            world.truth.set(*data, meanwhile.source, meanwhile.targets);
            world.truth.set_readable(*data, meanwhile.source, !meanwhile.fails);
            world.say_source(*data, meanwhile.source).await;
            world.say_pieces(*data, false, *most, *ends).await;
        }
        Event::Source { data, source } => world.say_source(*data, *source).await,
        Event::Nothing { data } => world.say_nothing(*data).await,
        Event::Drain { data, source } => world.drain(*data, *source).await,
        Event::Unchanged { data } => world.say_unchanged(*data).await,
        Event::Fail { data } => world.fail(*data).await,
        Event::Reload(jobs) => world.reload(jobs.clone()).await,
        Event::Keep(keepings) => {
            world.keep(keepings.clone());
            world.reload_same().await;
        }
        Event::Release(job) => world.release(*job).await,
        Event::Wait(beats) => world.wait(*beats).await,
        Event::Restart(jobs, keepings) => {
            keepings.iter().for_each(|keepings| world.keep(keepings.clone()));
            world.restart(jobs.clone()).await;
        }
        Event::Crash => world.crash().await,
        // It has two parts.
        Event::CrashAfter(..) => {}
        Event::Touch { job, deletes } => world.touch(*job, *deletes),
        Event::Disk { works } => world.disk(*works).await,
        Event::Grace => world.pass_grace().await,
    }
}

#[test]
fn any_history_gives_the_targets_of_the_model() {
    let config = Config::default();
    // Each is long, and writes files.
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: config.cases.div_ceil(4), ..config });
    let keepings = prop::option::weighted(0.7, keepings());
    let histories = (uses(), keepings, sources(), prop::collection::vec(event(), 1..40));
    let result = runner.run(&histories, |(jobs, keepings, sources, events)| {
        leak_checked(async || play(jobs, keepings, &sources, &events).await);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// A rotated token is another configuration of the same job: what was known goes on while the source is down, over a restart
/// in the middle, and no other job gets it.
#[test]
fn a_replaced_provider_outlives_a_restart_for_its_job_alone() {
    leak_checked(async || {
        let (old, new) = (Use { data: 0, revision: 0 }, Use { data: 1, revision: 0 });
        let mut world = World::start(vec![vec![old], vec![new], Vec::new()]).await;
        world.truth.set(0, 0, Some(2));
        world.say_picture(0).await;
        world.reload(vec![vec![new], vec![new], Vec::new()]).await;
        assert_eq!((world.held(0).len(), world.held(1).len()), (2, 0));
        world.crash().await;
        assert_eq!((world.held(0).len(), world.held(1).len()), (2, 0));
        world.compare("the restart").await;
        world.say_picture(1).await;
        world.compare("the first word of the new provider").await;
        assert_eq!(world.targets(0), Content::new());
        world.end().await;
    });
}

/// A job holds what a provider that it used before has of a source that its own cannot read. When that one, which another
/// job goes on using, loses it too, nothing is known of the source: that is not empty.
#[test]
fn what_a_held_provider_loses_is_not_known_any_more() {
    leak_checked(async || {
        let (new, old) = (Use { data: 0, revision: 0 }, Use { data: 1, revision: 0 });
        let mut world = World::start(vec![vec![old], vec![old], Vec::new()]).await;
        world.truth.set(1, 1, Some(1));
        world.say_picture(1).await;
        world.reload(vec![vec![new], vec![old], Vec::new()]).await;
        world.truth.set_readable(0, 1, false);
        world.say_picture(0).await;
        world.compare("the new provider could not read the source").await;
        assert!(world.held(0).len() == 1 && world.is_servable(0));
        world.truth.set(1, 1, None);
        world.say_picture(1).await;
        world.compare("the old provider lost it").await;
        assert!(world.targets(0).is_empty() && !world.is_servable(0));
        world.end().await;
    });
}

/// A job used some data under a second key, while another one held it under the first. After a restart the first is free for
/// it, and it goes on with what was known under the second: that a source has had its time, and what others have.
#[test]
fn of_two_that_are_stored_of_the_same_data_the_one_that_was_used_counts() {
    leak_checked(async || {
        let [other, silent, first, second] =
            [(0, 0), (1, 0), (2, 1), (2, 0)].map(|(data, revision)| Use { data, revision });
        let mut world = World::start(vec![Vec::new(), vec![first], Vec::new()]).await;
        world.truth.set_readable(2, 0, false);
        world.say_picture(2).await;
        world.reload(vec![vec![other, second], vec![silent], Vec::new()]).await;
        world.say_picture(0).await;
        world.pass_grace().await;
        world.compare("grace").await;
        assert!(world.is_servable(0));
        world.crash().await;
        world.compare("a restart").await;
        assert!(world.is_servable(0));
        world.end().await;
    });
}

/// A source that could not be read after a restart, and is not there when the discoverer begins again, may still come: what is
/// stored of it stays.
#[test]
fn a_source_that_was_unread_and_is_not_there_yet_stays_until_the_picture_is_whole() {
    leak_checked(async || {
        let used = Use { data: 0, revision: 0 };
        let mut world = World::start(vec![vec![used], Vec::new(), Vec::new()]).await;
        for source in 0..2 {
            world.truth.set(0, source, Some(2));
        }
        world.say_picture(0).await;
        world.compare("the first picture").await;
        world.crash().await;
        world.truth.set_readable(0, 1, false);
        world.say_found(0).await;
        world.compare("what was found without the source").await;
        world.fail(0).await;
        world.truth.set_readable(0, 1, true);
        world.truth.set(0, 1, None);
        world.say_found(0).await;
        world.compare("what was found by the next run").await;
        assert_eq!(world.held(0).len(), 2);
        world.say_picture(0).await;
        world.compare("the whole picture").await;
        assert_eq!(world.targets(0).len(), 2);
        world.end().await;
    });
}

/// What one job has goes to another one that has yet to find it. A file of both is left alone until it has: in between it
/// would have neither.
#[test]
fn a_file_of_all_jobs_loses_nothing_when_targets_go_from_one_job_to_a_new_one() {
    leak_checked(async || {
        let [stays, moves, arrives] = [0, 1, 2].map(|data| Use { data, revision: 0 });
        let mut world = World::start(vec![vec![stays, moves], Vec::new(), Vec::new()]).await;
        for data in 0..2 {
            world.truth.set(data, 0, Some(2));
            world.say_picture(data).await;
        }
        world.compare("all is known").await;
        world.reload(vec![vec![stays], vec![arrives], Vec::new()]).await;
        world.compare("a job is new").await;
        world.end().await;
    });
}

/// A first picture in pieces goes on over a reload that leaves its provider alone, and what changes between them is in it. One
/// that is broken off by a crash is said anew: until it is whole, what is stored stays.
#[test]
fn a_picture_in_pieces_counts_with_its_last_whatever_happens_between_them() {
    leak_checked(async || {
        let used = Use { data: 0, revision: 0 };
        let mut world = World::start(vec![vec![used], Vec::new(), Vec::new()]).await;
        for source in 0..3 {
            world.truth.set(0, source, Some(2));
        }
        world.say_pieces(0, true, 1, None).await;
        world.compare("the first piece").await;
        assert!(world.targets(0).len() == 2 && !world.is_servable(0));
        world.reload(vec![vec![used], vec![used], Vec::new()]).await;
        world.truth.set(0, 2, Some(3));
        world.say_source(0, 2).await;
        world.say_pieces(0, false, 0, Some(Ends::Whole)).await;
        world.compare("the last piece").await;
        assert_eq!([0, 1].map(|job| (world.targets(job).len(), world.is_servable(job))), [(7, true); 2]);

        world.crash().await;
        world.truth.set(0, 0, Some(3));
        world.truth.set(0, 1, None);
        world.say_pieces(0, true, 1, None).await;
        world.crash().await;
        world.compare("a crash after the first piece").await;
        assert_eq!(world.held(0).len(), 8);
        world.fail(0).await;
        world.say_pieces(0, false, 0, Some(Ends::Whole)).await;
        world.compare("the last piece of the picture anew").await;
        assert_eq!((world.targets(0).len(), world.held(0).len()), (6, 0));
        world.end().await;
    });
}

/// Nobody can look beneath a scope, but of one of its sources it is said that it has nothing: what was stored of it goes.
#[test]
fn what_is_said_to_have_nothing_is_gone_though_a_scope_around_it_fails() {
    leak_checked(async || {
        let used = Use { data: 0, revision: 0 };
        let (beneath, scope) = (2, 4);
        for in_pieces in [false, true] {
            let mut world = World::start(vec![vec![used], Vec::new(), Vec::new()]).await;
            world.truth.set(0, beneath, Some(2));
            world.say_picture(0).await;
            world.crash().await;
            if in_pieces {
                world.truth.set(0, beneath, Some(0));
                world.say_pieces(0, true, 1, None).await;
                world.truth.set_readable(0, scope, false);
                world.say_source(0, scope).await;
                world.say_pieces(0, false, 0, Some(Ends::Whole)).await;
            } else {
                world.truth.set_readable(0, scope, false);
                world.say_picture(0).await;
                world.compare("the scope cannot be read").await;
                assert_eq!(world.held(0).len(), 2);
                world.truth.set_readable(0, scope, true);
                world.truth.set(0, beneath, None);
                world.say_source(0, beneath).await;
            }
            world.compare("it has nothing").await;
            assert!(world.targets(0).is_empty());
            world.end().await;
        }
    });
}

/// A job holds what its former provider has beneath a scope that the new one cannot read, over a restart, and lets go of what the new
/// one tells of it.
#[test]
fn what_is_beneath_a_scope_that_was_never_read_is_held_from_the_provider_before() {
    leak_checked(async || {
        let (old, new) = (Use { data: 1, revision: 0 }, Use { data: 0, revision: 0 });
        let mut world = World::start(vec![vec![old], Vec::new(), Vec::new()]).await;
        for source in [0, 2, 4] {
            world.truth.set(1, source, Some(2));
        }
        world.truth.set(0, 0, Some(3));
        world.say_picture(1).await;
        world.reload(vec![vec![new], Vec::new(), Vec::new()]).await;
        world.truth.set_readable(0, 4, false);
        world.say_picture(0).await;
        world.compare("the scope cannot be read").await;
        assert_eq!((world.targets(0).len(), world.held(0).len()), (7, 4));
        world.crash().await;
        world.compare("a restart").await;
        world.say_picture(0).await;
        world.compare("the first picture after it").await;
        assert_eq!(world.held(0).len(), 4);
        world.truth.set_readable(0, 4, true);
        world.truth.set(0, 2, Some(1));
        world.say_source(0, 2).await;
        world.compare("some of it is said").await;
        assert_eq!(world.held(0).len(), 2);
        world.say_source(0, 4).await;
        world.compare("the scope is read").await;
        assert_eq!((world.targets(0).len(), world.held(0).len()), (4, 0));
        world.end().await;
    });
}

/// The journal says who said what, and what was not said by anybody: after a restart, what the store knew.
#[test]
fn the_journal_names_sources_and_reasons_over_a_restart() {
    leak_checked(async || {
        let used = Use { data: 0, revision: 0 };
        let mut world = World::start(vec![vec![used], Vec::new(), Vec::new()]).await;
        world.truth.set(0, 0, Some(2));
        world.say_picture(0).await;
        world.compare("the first picture").await;
        let added = world.events(Kind::Added).await;
        let whence = |event: &rosterd::journal::Event| {
            let note = &event.note;
            (
                note.source.as_deref().map(str::to_owned),
                note.reason.as_deref().map(str::to_owned),
                note.provider.is_some(),
            )
        };
        assert_eq!(
            added.iter().map(whence).collect::<Vec<_>>(),
            vec![(Some(truth::source(0)), Some("source".to_owned()), true); 2]
        );
        world.truth.set(0, 0, Some(0));
        world.say_source(0, 0).await;
        world.compare("they are gone").await;
        assert_eq!(world.events(Kind::Removed).await.len(), 2);
        world.truth.set(0, 0, Some(1));
        world.say_source(0, 0).await;
        world.compare("one is back").await;
        world.restart(None).await;
        world.compare("a restart").await;
        let held = world.events(Kind::Held).await;
        let told: Vec<_> = held.iter().map(|it| (it.note.reason.as_deref(), it.note.detail.as_deref())).collect();
        assert_eq!(told, [(Some("restored"), Some("found so when rosterd started"))]);
        world.say_picture(0).await;
        world.compare("it reports").await;
        let released = world.events(Kind::Released).await;
        assert_eq!((released.len(), released[0].note.reason.as_deref()), (1, Some("source")));
        assert_eq!((world.events(Kind::Started).await.len(), world.events(Kind::Stopped).await.len()), (2, 1));
        assert_eq!(world.events(Kind::Added).await.len(), 3, "who starts again adds nothing");
        world.end().await;
    });
}
