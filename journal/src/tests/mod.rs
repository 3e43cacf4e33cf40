//! A journal as a whole, against a plain list of what happened and plain maps of what there was.

mod clock;
mod crash;
mod damage;
mod flipped;
mod followed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rosterd_model::Labels;

use crate::{Counts, Event, Held, JournalError, Kind, Note, Past, Query, Reader, Settings, Target, Time, Writer};

const FOREVER: Settings = Settings { retention: Duration::from_secs(1 << 30), max_size: 1 << 40 };
const JOBS: [&str; 2] = ["node", "web"];

/// A roster, as plainly as can be.
type Plain = BTreeMap<(String, Labels), Option<Held>>;

fn labels(target: u8) -> Labels {
    [("__address__", format!("host-{target}:9100")), ("instance", format!("host-{target}"))].into_iter().collect()
}

/// What a journal should tell.
#[derive(Debug, Clone, Default)]
struct World {
    now: i64,
    roster: Plain,
    events: Vec<Event>,
    /// The roster after each event.
    rosters: Vec<Plain>,
}

impl World {
    fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        self.roster.iter().map(|((job, labels), held)| Target { job, labels, held: *held })
    }

    /// Something happens to a target: what can happen to it.
    fn change(&mut self, job: usize, target: u8, other: bool) -> Note {
        let job = JOBS[job % JOBS.len()];
        let key = (job.to_owned(), labels(target));
        let note = |kind, labels| Note { job: Some(job.into()), labels: Some(labels), ..Note::of(kind) };
        match (self.roster.get(&key).copied(), other) {
            (None, _) => {
                self.roster.insert(key, None);
                note(Kind::Added, labels(target))
            }
            (Some(Some(_)), true) => {
                self.roster.insert(key, None);
                note(Kind::Released, labels(target))
            }
            (Some(None), true) => {
                let held = Held::KNOWN.get(usize::from(target % 6)).copied();
                self.roster.insert(key, Some(held.unwrap_or(Held::Unknown)));
                Note { reason: Some(held.map_or("of old", Held::as_str).into()), ..note(Kind::Held, labels(target)) }
            }
            (Some(_), false) if target.is_multiple_of(2) => {
                self.roster.remove(&key);
                note(Kind::Removed, labels(target))
            }
            (Some(_), false) => {
                self.roster.remove(&key);
                let to = labels(target.wrapping_add(1));
                self.roster.insert((job.to_owned(), to.clone()), None);
                Note { from: Some(labels(target)), ..note(Kind::Changed, to) }
            }
        }
    }

    fn write(&mut self, writer: &mut Writer, changes: &[(usize, u8, bool)]) {
        assert!(self.try_write(writer, changes).is_none());
    }

    /// Returns why the disk did not take it.
    fn try_write(&mut self, writer: &mut Writer, changes: &[(usize, u8, bool)]) -> Option<JournalError> {
        if writer.is_due(Time(self.now)) {
            assert!(writer.begin(Time(self.now), || self.targets()).is_none());
        }
        let mut batch = writer.batch();
        for (job, target, other) in changes {
            self.now += 1000;
            let note = match target {
                200.. => Note { detail: Some("again".into()), ..Note::of(Kind::Reloaded) },
                target => self.change(*job, *target % 40, *other),
            };
            let number = batch.push(Time(self.now), &note);
            self.events.push(Event { number, time: Time(self.now), note });
            self.rosters.push(self.roster.clone());
        }
        writer.append(batch, Time(self.now), || self.targets())
    }

    /// The roster of a time: after the last event in number that has this time or an earlier one.
    fn roster_at(&self, time: Time) -> Plain {
        self.last_at(time).map(|index| self.rosters[index].clone()).unwrap_or_default()
    }

    fn last_at(&self, time: Time) -> Option<usize> {
        self.events.iter().rposition(|event| event.time <= time)
    }
}

fn plain(past: &Past) -> Plain {
    past.iter().map(|(job, labels, held)| ((job.to_string(), labels.clone()), held)).collect()
}

fn counts(at: Time, roster: &Plain) -> Counts {
    let mut jobs = BTreeMap::new();
    roster.keys().for_each(|(job, _)| *jobs.entry(Arc::from(job.as_str())).or_default() += 1);
    Counts { at, jobs }
}

/// All that a query finds, page by page.
fn all(reader: &Reader, query: Query) -> Vec<Event> {
    let (mut query, mut found) = (query, Vec::new());
    loop {
        let page = reader.query(&query).unwrap();
        assert!(page.events.len() <= query.limit);
        found.extend(page.events);
        if !page.more {
            return found;
        }
        query.cursor = Some(page.cursor);
    }
}

#[derive(Debug, Clone)]
enum Move {
    Batch(Vec<(usize, u8, bool)>),
    Begin,
    Reopen,
    /// The clock is set.
    Leap(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let change = (0..2usize, any::<u8>(), any::<bool>());
    let one = prop_oneof![
        4 => proptest::collection::vec(change, 1..6).prop_map(Move::Batch),
        1 => Just(Move::Begin),
        1 => Just(Move::Reopen),
        1 => (-9_000..9_000i64).prop_map(Move::Leap),
    ];
    proptest::collection::vec(one, 1..25)
}

fn play(folder: &Path, moves: &[Move]) -> (World, Writer) {
    let (mut world, mut writer) = (World::default(), Writer::open(folder, FOREVER, Time(0)).unwrap().0);
    for one in moves {
        match one {
            Move::Batch(changes) => world.write(&mut writer, changes),
            Move::Begin => {
                assert!(writer.begin(Time(world.now), || world.targets()).is_none());
            }
            Move::Leap(by) => world.now = (world.now + by).max(0),
            Move::Reopen => {
                drop(writer);
                let found;
                (writer, found) = Writer::open(folder, FOREVER, Time(world.now)).unwrap();
                assert_eq!(found.faults, []);
                assert_eq!(found.past.as_ref().map(plain).unwrap_or_default(), world.roster);
                assert!(found.past.is_none_or(|past| past.is_whole));
            }
        }
    }
    (world, writer)
}

/// Each case writes files, and waits for the disk.
fn few() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.div_ceil(4), ..config }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn a_journal_tells_what_happened_and_how_the_roster_was_at_any_time(
        moves in moves(), limit in 1..7usize, at in any::<proptest::sample::Index>()
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (world, writer) = play(folder.path(), &moves);
        let reader = writer.reader();
        let query = Query { limit, ..Query::default() };
        prop_assert_eq!(&all(&reader, query.clone()), &world.events);
        let mut newest_first = all(&reader, Query { newest_first: true, ..query.clone() });
        newest_first.reverse();
        prop_assert_eq!(&newest_first, &world.events);
        for time in world.events.iter().map(|event| event.time) {
            let past = reader.at(Some(time), |_, _| true).unwrap();
            prop_assert_eq!((&plain(&past), past.is_whole), (&world.roster_at(time), true));
            let after = Query { cursor: Some(past.cursor), ..query.clone() };
            let next = world.last_at(time).and_then(|last| world.events.get(last + 1));
            let page = reader.query(&after).unwrap();
            prop_assert_eq!(page.events.first(), next, "who goes on from there misses nothing");
        }
        let mut times: Vec<_> = world.events.iter().map(|event| event.time).collect();
        times.sort();
        let counted = reader.counts(&times, u64::MAX).unwrap();
        let expected: Vec<_> = times.iter().map(|time| counts(*time, &world.roster_at(*time))).collect();
        prop_assert_eq!(&counted, &expected);
        if !world.events.is_empty() {
            let event = at.get(&world.events);
            let after: Vec<_> = world.events.iter().filter(|other| other.number > event.number).cloned().collect();
            prop_assert_eq!(&all(&reader, Query { cursor: Some(event.number), ..query.clone() }), &after);
            let of_job = |other: &&Event| other.note.job == event.note.job && other.note.kind == event.note.kind;
            let expected = world.events.iter().filter(of_job).filter(|other| other.time <= event.time).cloned();
            let (jobs, kinds) = (event.note.job.iter().map(|job| job.to_string()).collect(), vec![event.note.kind]);
            let expected: Vec<_> = expected.collect();
            prop_assert_eq!(&all(&reader, Query { jobs, kinds, to: Some(event.time), ..query }), &expected);
        }
    }
}

fn world_of(folder: &Path, settings: Settings, batches: usize) -> (World, Writer) {
    let (mut world, mut writer) = (World::default(), Writer::open(folder, settings, Time(0)).unwrap().0);
    for batch in 0..batches {
        let changes: Vec<_> =
            (0..50).map(|index| (index, (index * 7 + batch) as u8, batch.is_multiple_of(3))).collect();
        world.write(&mut writer, &changes);
    }
    (world, writer)
}

#[test]
fn the_first_of_a_roster_are_those_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_, writer) = world_of(folder.path(), FOREVER, 3);
    let past = writer.reader().at(None, |_, _| true).unwrap();
    let all = past.sorted();
    assert!(all.len() > 5 && all.is_sorted_by_key(|(job, labels, _)| (*job, *labels)));
    for most in [0, 1, 5, all.len(), usize::MAX] {
        assert_eq!(past.first(most), all[..most.min(all.len())], "{most}");
    }
}

#[test]
fn whoever_has_no_time_gets_a_part_and_is_told_how_far_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), FOREVER, 400);
    assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    world.write(&mut writer, &[(0, 1, true)]);
    let reader = writer.reader();
    for newest_first in [false, true] {
        let patience = Some(Duration::ZERO);
        let mut query = Query { limit: 100_000, newest_first, patience, ..Query::default() };
        let first = reader.query(&query).unwrap();
        let count = first.events.len();
        assert!(first.more && count > 0 && count < world.events.len(), "{count}");
        let (reached, last) = (first.reached.unwrap(), first.events.last().unwrap().time);
        assert!(if newest_first { reached <= last } else { reached == last }, "{reached} {last}");
        let mut found = all(&reader, query.clone());
        if newest_first {
            found.reverse();
        }
        assert_eq!(found, world.events, "{newest_first}");
        query.kinds = vec![Kind::Missed];
        assert_eq!(all(&reader, query.clone()), []);
        let whole = reader.query(&Query { patience: None, ..query }).unwrap();
        assert_eq!((whole.more, whole.reached), (false, None));
    }
}

#[test]
fn a_small_journal_is_looked_through_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), FOREVER, 10);
    for target in [1, 3, 5] {
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        world.write(&mut writer, &[(0, target, true)]);
    }
    for newest_first in [false, true] {
        let query = Query { limit: 1000, newest_first, patience: Some(Duration::ZERO), ..Query::default() };
        let page = writer.reader().query(&query).unwrap();
        assert_eq!((page.events.len(), page.more, page.reached), (world.events.len(), false, None), "{newest_first}");
    }
}

#[test]
fn what_is_too_much_goes_and_the_rest_still_tells_all_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (world, writer) = world_of(folder.path(), Settings { max_size: 200_000, ..FOREVER }, 800);
    let reader = writer.reader();
    let (bytes, segments) = reader.size();
    assert!(segments > 1 && bytes < 300_000, "{bytes} bytes in {segments} segments");
    let query = Query { limit: 1000, ..Query::default() };
    let kept = all(&reader, query.clone());
    assert!(kept.len() < world.events.len() && world.events.ends_with(&kept));
    assert!(!reader.query(&query).unwrap().gap);
    let lost = Query { cursor: Some(world.events[3].number), ..query.clone() };
    assert!(reader.query(&lost).unwrap().gap, "who follows hears that something is gone");
    let ahead = Query { cursor: Some(writer.batch().next() + 5), ..query };
    assert!(reader.query(&ahead).unwrap().gap, "nobody knows what such a number was");
    let oldest = reader.oldest().unwrap();
    assert!(matches!(
        reader.at(Some(Time(oldest.0 - 1)), |_, _| true),
        Err(JournalError::TooEarly { asked: Time(_), oldest: told, is_whole: false }) if told == oldest
    ));
    assert!(reader.at(Some(oldest), |_, _| true).is_ok());
}

#[test]
fn of_a_journal_that_is_too_large_only_the_last_times_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), FOREVER, 4);
    let before = world.events.len();
    assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    world.write(&mut writer, &[(0, 3, true), (1, 5, false)]);
    let times: Vec<_> = world.events.iter().map(|event| event.time).collect();
    let counted = writer.reader().counts(&times, 1).unwrap();
    let expected: Vec<_> =
        times.iter().zip(&world.rosters).skip(before - 1).map(|(time, roster)| counts(*time, roster)).collect();
    assert_eq!(counted, expected);
    assert_eq!(writer.reader().counts(&times[..3], u64::MAX).unwrap().len(), 3);
}

#[test]
fn two_of_them_cannot_have_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Writer::open(folder.path(), FOREVER, Time(0)).unwrap();
    let second = Writer::open(folder.path(), FOREVER, Time(0));
    assert!(matches!(second, Err(JournalError::InUse { .. })));
}

#[test]
fn in_memory_it_is_the_same_and_bounded() {
    let mut writer = Writer::in_memory(FOREVER, Time(0));
    let mut world = World::default();
    for batch in 0..200 {
        world.write(&mut writer, &[(batch, batch as u8, true), (1, 2, false)]);
    }
    let reader = writer.reader();
    assert_eq!(all(&reader, Query { limit: 100, ..Query::default() }), world.events);
    assert_eq!(plain(&reader.at(None, |_, _| true).unwrap()), world.roster);
}

#[test]
fn what_went_down_is_down_until_it_is_up_again_or_another_target() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::open(folder.path(), FOREVER, Time(0)).unwrap();
    let down = |reader: &Reader| {
        let found = reader.down(1 << 20).unwrap();
        let of_job = found.get("node").cloned().unwrap_or_default();
        (1..9).filter(|target| of_job.contains(&labels(*target).fingerprint())).collect::<Vec<_>>()
    };
    let mut write = |kinds: &[(Kind, u8)]| {
        // Each in a segment of its own.
        assert!(writer.begin(Time(1), || []).is_none());
        let mut batch = writer.batch();
        for (kind, target) in kinds {
            let from = (*kind == Kind::Changed).then(|| labels(*target));
            let labels = Some(labels(if from.is_some() { 9 } else { *target }));
            batch.push(Time(1), &Note { job: Some("node".into()), labels, from, ..Note::of(*kind) });
        }
        assert!(writer.append(batch, Time(1), || []).is_none());
        down(&writer.reader())
    };
    assert_eq!(write(&[(Kind::Up, 1), (Kind::Down, 1), (Kind::Down, 2), (Kind::Down, 3)]), [1, 2, 3]);
    assert_eq!(write(&[(Kind::Held, 1), (Kind::Up, 2)]), [1, 3]);
    assert_eq!(
        write(&[(Kind::Down, 4), (Kind::Down, 5), (Kind::Removed, 3), (Kind::Changed, 4), (Kind::Added, 5)]),
        [1]
    );
    assert_eq!(write(&[(Kind::Down, 5)]), [1, 5]);
    assert_eq!(writer.reader().down(1).unwrap()["node"].len(), 1, "the last segment alone");
}

#[test]
fn a_selector_means_a_target_as_it_is_or_was() {
    let mut writer = Writer::in_memory(FOREVER, Time(0));
    let mut world = World::default();
    world.write(&mut writer, &[(0, 1, false), (0, 1, false), (0, 7, false), (0, 210, false)]);
    let found = |text: &str| {
        let query = Query { selector: crate::meaning(text).unwrap(), limit: 10, ..Query::default() };
        let kinds = writer.reader().query(&query).unwrap().events;
        kinds.into_iter().map(|event| event.note.kind).collect::<Vec<_>>()
    };
    assert_eq!(found("host-1:9100"), [Kind::Added, Kind::Changed]);
    assert_eq!(found("host-2"), [Kind::Changed]);
    assert_eq!(found("{instance=~\"host-.*\"}"), [Kind::Added, Kind::Changed, Kind::Added]);
    assert_eq!(found(" ").last(), Some(&Kind::Reloaded));
    assert!(crate::meaning("{instance").is_err());
}

#[test]
fn the_difference_of_two_rosters_leads_from_one_to_the_other() {
    let mut writer = Writer::in_memory(FOREVER, Time(0));
    let mut world = World::default();
    world.write(&mut writer, &[(0, 2, false), (0, 4, false), (0, 6, false), (0, 6, true)]);
    let before = writer.reader().at(None, |_, _| true).unwrap();
    world.write(&mut writer, &[(0, 2, false), (0, 4, true), (0, 6, true), (1, 8, false)]);
    let after = writer.reader().at(None, |_, _| true).unwrap();
    let difference = before.difference(&after);
    let of = |job: &str, target| vec![(Arc::from(job), labels(target))];
    assert_eq!(
        (difference.added, difference.removed, difference.held, difference.released),
        (of("web", 8), of("node", 2), of("node", 4), of("node", 6))
    );
}
