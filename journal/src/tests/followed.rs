//! Who follows misses nothing, or hears that something is gone, when the disk does not take what is written.

use super::*;
use crate::Resume;

fn page(reader: &Reader, cursor: u64) -> crate::Page {
    reader.query(&Query { cursor: Some(cursor), limit: 1000, ..Query::default() }).unwrap()
}

#[test]
fn who_follows_misses_nothing_when_the_disk_takes_a_checkpoint_and_nothing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::default();
    let mut writer = Writer::in_memory(FOREVER, Time(0));
    let came: Vec<_> = (0..20).map(|target| (0, target * 2, true)).collect();
    world.write(&mut writer, &came);

    writer = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap().0;
    assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    let (reader, mut resume) = (writer.reader(), Resume::default());
    let query = Query { limit: 1000, ..Query::default() };
    let before = reader.follow(&query, &mut resume).unwrap();
    assert_eq!(before.events, [], "there is a checkpoint alone");
    writer.fill_disk();
    // The checkpoint in memory is shorter than the one on disk.
    let went: Vec<_> = (0..20).map(|target| (0, target * 2, false)).collect();
    assert!(world.try_write(&mut writer, &went).is_some());
    assert!(writer.is_makeshift());
    let page = reader.follow(&Query { cursor: Some(before.cursor), ..query }, &mut resume).unwrap();
    assert_eq!((page.events.as_slice(), page.gap), (&world.events[came.len()..], false));
    assert_eq!(reader.take_faults(), []);
}

/// A batch on disk, one in memory, and perhaps one on disk again.
fn with_some_in_memory(folder: &Path, again: bool) -> (World, Writer) {
    let (mut world, mut writer) = (World::default(), Writer::open(folder, FOREVER, Time(0)).unwrap().0);
    world.write(&mut writer, &[(0, 1, true), (0, 3, true)]);
    writer.fill_disk();
    assert!(world.try_write(&mut writer, &[(0, 5, true), (0, 1, true), (0, 7, true)]).is_some());
    if again {
        world.now += 500;
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        world.write(&mut writer, &[(0, 9, true)]);
    }
    (world, writer)
}

#[test]
fn the_roster_of_a_time_is_known_whose_events_the_disk_did_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let (world, writer) = with_some_in_memory(folder.path(), true);
    for event in &world.events {
        let past = writer.reader().at(Some(event.time), |_, _| true).unwrap();
        assert_eq!((plain(&past), past.is_whole), (world.roster_at(event.time), true), "at {}", event.time);
    }
}

#[test]
fn who_follows_hears_after_a_restart_that_what_was_in_memory_is_gone() {
    for again in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut world, writer) = with_some_in_memory(folder.path(), again);
        let numbers: Vec<_> = world.events.iter().map(|event| event.number).collect();
        assert!(numbers.iter().all(|number| !page(&writer.reader(), *number).gap), "nothing is gone yet");
        drop(writer);
        let (mut writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
        assert_eq!(found.faults, []);
        for also_later in [false, true] {
            if also_later {
                world.write(&mut writer, &[(0, 11, true)]);
            }
            let gaps: Vec<_> = numbers.iter().map(|number| page(&writer.reader(), *number).gap).collect();
            match again {
                // From the second on: of those that were on disk, differences to the roster are written.
                false => assert_eq!(gaps, [false, false, true, true, true]),
                // The last that was in memory is the one before the first on disk.
                true => assert_eq!(gaps, [true, true, true, true, false, false]),
            }
        }
        if again {
            let whole = |event: &Event| writer.reader().at(Some(event.time), |_, _| true).unwrap().is_whole;
            assert!(!whole(&world.events[3]) && whole(&world.events[5]));
        }
    }
}

#[test]
fn who_follows_over_restarts_hears_of_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut cursors) = (World::default(), vec![]);
    for round in 0..6u8 {
        let (mut writer, _) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
        let reader = writer.reader();
        cursors.extend(reader.last());
        if round.is_multiple_of(2) {
            assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        }
        cursors.push(reader.at(None, |_, _| true).unwrap().cursor);
        if round != 3 {
            world.write(&mut writer, &[(0, round, true), (1, round, true)]);
        }
        cursors.extend(cursors.clone().into_iter().map(|cursor| page(&reader, cursor).cursor));
        cursors.extend(world.events.iter().map(|event| event.number));
        cursors.sort_unstable();
        cursors.dedup();
        for cursor in &cursors {
            let found = page(&reader, *cursor);
            let expected: Vec<_> = world.events.iter().filter(|event| event.number > *cursor).cloned().collect();
            assert_eq!((found.events, found.gap), (expected, false), "from {cursor} on, in round {round}");
        }
    }
}
