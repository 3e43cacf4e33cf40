//! Each byte of a small journal in its turn is another one.

use super::damage::segments;
use super::*;
use crate::medium::Place;
use crate::record::Content;
use crate::segment::START;
use crate::walk::{Step, Walk};

const ALL: Query = Query {
    selector: rosterd_model::Selector::All,
    jobs: Vec::new(),
    kinds: Vec::new(),
    from: None,
    to: None,
    limit: 1000,
    cursor: None,
    newest_first: false,
    patience: None,
};
/// Where the version of a file stands: one of a later version is not read.
const VERSION: std::ops::Range<usize> = 6..8;

/// Three segments: each but the first has a checkpoint of several pieces, each but the last two records of events. The clock may be
/// set ahead in the first and back in the last.
fn small(folder: &Path, is_set: bool) -> World {
    let (mut world, mut writer) = (World::default(), Writer::open(folder, FOREVER, Time(0)).unwrap().0);
    let came: Vec<_> = (0..10).map(|target| (usize::from(target), target * 2, true)).collect();
    world.write(&mut writer, &came);
    for by in [100_000, -50_000] {
        world.now += if is_set { by } else { 0 };
        world.write(&mut writer, &[(0, 0, true), (0, 0, false), (1, 2, false)]);
        world.now += 500;
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        world.now += 500;
        world.write(&mut writer, &[(1, 31, true), (1, 31, false), (0, 4, true)]);
    }
    world
}

/// Where the events of a file are: the places of each record, and their numbers.
fn records(path: &Path) -> Vec<(std::ops::Range<u64>, std::ops::RangeInclusive<u64>)> {
    let medium = Place::File(path.to_owned()).open().unwrap();
    let (mut walk, mut found) = (Walk::new(START, medium.length().unwrap()), Vec::new());
    loop {
        let begin = walk.offset;
        match walk.step(&medium).unwrap() {
            Step::Record(stored, _) if stored.header.content == Content::Events => {
                found.push((begin..walk.offset, stored.header.first..=stored.header.last));
            }
            Step::Record(..) => {}
            Step::Damage { .. } => panic!("nothing is damaged yet"),
            Step::End => return found,
        }
    }
}

/// What is read of a journal that had these events, of which those of these numbers may be missing.
fn look(folder: &Path, world: &World, hit: &[u64], place: &str) {
    let (mut writer, found) = Writer::open(folder, FOREVER, Time(world.now)).unwrap();
    let reader = writer.reader();
    let read = all(&reader, ALL);
    let missing: Vec<_> = world.events.iter().filter(|event| !read.contains(event)).map(|event| event.number).collect();
    assert!(read.iter().all(|event| world.events.contains(event)), "{place}: what did not happen is told");
    assert!(missing.iter().all(|number| hit.contains(number)), "{place}: {missing:?} of what is whole are not read");
    let mut newest_first = all(&reader, Query { newest_first: true, ..ALL });
    newest_first.reverse();
    assert_eq!(newest_first, read, "{place}");
    let ends: Vec<_> = world.events.iter().skip(8).step_by(3).collect();
    for past in [Some(found.past.expect("something is known")), reader.at(None, |_, _| true).ok()] {
        let past = past.expect("something is known");
        assert!(!past.is_whole || plain(&past) == world.roster, "{place}: {past:?}");
    }
    for time in ends.iter().flat_map(|event| [event.time, Time(event.time.0 + 500)]) {
        if let Ok(past) = reader.at(Some(time), |_, _| true) {
            assert!(!past.is_whole || plain(&past) == world.roster_at(time), "{place}: {past:?} at {time}");
        }
    }
    let told = found.faults.len() + reader.take_faults().len();
    assert!(missing.is_empty() || told > 0, "{place}: nothing is said of {missing:?}");

    let mut after = world.clone();
    after.write(&mut writer, &[(0, 11, true)]);
    assert!(all(&reader, ALL).ends_with(&after.events[world.events.len()..]), "{place}");
    // What was before the oldest segment that there is may have gone for its age.
    let is_told = |number: &u64| read.first().is_some_and(|first| *number > first.number);
    let gap = reader.query(&Query { newest_first: true, limit: 1000, ..ALL }).unwrap().gap;
    assert!(gap || !missing.iter().any(is_told), "{place}: who asks for the newest does not hear of {missing:?}");
    assert!(!gap || !missing.is_empty(), "{place}: who asks for the newest hears of a gap, and there is none");
    for cursor in ends.iter().map(|event| event.number) {
        let gap = reader.query(&Query { cursor: Some(cursor), ..ALL }).unwrap().gap;
        let is_missing = missing.iter().any(|number| *number > cursor);
        assert!(gap || !is_missing, "{place}: who follows from {cursor} on does not hear of {missing:?}");
        assert!(!gap || !missing.is_empty(), "{place}: who follows from {cursor} on hears of a gap, and there is none");
    }
}

#[test]
fn of_a_journal_of_which_any_byte_is_another_one_the_rest_is_read_and_nothing_untrue() {
    for is_set in [false, true] {
        flip_each_byte(is_set);
    }
}

fn flip_each_byte(is_set: bool) {
    let made = tempfile::tempdir().unwrap();
    let world = small(made.path(), is_set);
    let files: Vec<_> = segments(made.path()).into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    assert_eq!(files.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    for (file, (bytes, path)) in files.iter().enumerate() {
        let records = records(path);
        assert_eq!(records.len(), if file == 2 { 1 } else { 2 });
        for (at, flip) in (0..bytes.len()).flat_map(|at| [0x01, 0xff].map(|flip| (at, flip))) {
            for (index, (bytes, path)) in files.iter().enumerate() {
                let mut bytes = bytes.clone();
                if index == file {
                    bytes[at] ^= flip;
                }
                std::fs::write(folder.path().join(path.file_name().unwrap()), bytes).unwrap();
            }
            let hit = records.iter().filter(|(places, _)| VERSION.contains(&at) || places.contains(&(at as u64)));
            let hit: Vec<_> = hit.flat_map(|(_, numbers)| numbers.clone()).collect();
            look(folder.path(), &world, &hit, &format!("byte {at} of {}.segment ^ {flip:#x}", file));
            for left in std::fs::read_dir(folder.path()).unwrap() {
                std::fs::remove_file(left.unwrap().path()).unwrap();
            }
        }
    }
}

#[test]
fn of_a_journal_without_one_of_its_files_the_rest_is_read() {
    for (lost, why) in [0, 1, 2].into_iter().flat_map(|lost| [(lost, ""), (lost, "nonsense, and no segment")]) {
        let folder = tempfile::tempdir().unwrap();
        let world = small(folder.path(), why.is_empty());
        let path = segments(folder.path()).remove(lost);
        let hit: Vec<_> = records(&path).into_iter().flat_map(|(_, numbers)| numbers).collect();
        std::fs::write(&path, why).unwrap();
        let (writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
        let reader = writer.reader();
        let read = all(&reader, ALL);
        let whole = world.events.iter().filter(|event| !hit.contains(&event.number));
        assert!(read.iter().eq(whole), "without {lost}");
        assert_eq!(found.faults.len(), 1);
        for event in &world.events {
            if let Ok(past) = reader.at(Some(event.time), |_, _| true) {
                let is_true = plain(&past) == world.roster_at(event.time);
                assert!(!past.is_whole || is_true, "without {lost}: {past:?} at {}", event.time);
            }
        }
        assert_eq!(found.past.unwrap().is_whole, lost < 2);
        drop(reader);
        let mut after = world.clone();
        let mut writer = writer;
        after.now += 1000;
        after.write(&mut writer, &[(0, 11, true)]);
        drop(writer);
        for _ in 0..2 {
            let (writer, _) = Writer::open(folder.path(), FOREVER, Time(after.now)).unwrap();
            let reader = writer.reader();
            for event in &world.events {
                let past = reader.at(Some(event.time), |_, _| true).ok().filter(|past| past.is_whole);
                let is_true = past.as_ref().is_none_or(|past| plain(past) == after.roster_at(event.time));
                assert!(is_true, "without {lost}: {past:?} at {}", event.time);
                let gap = reader.query(&Query { cursor: Some(event.number), ..ALL }).unwrap().gap;
                let is_missing = event.number < *hit.last().unwrap();
                assert!(gap || !is_missing, "without {lost}, from {} on", event.number);
            }
        }
    }
}
