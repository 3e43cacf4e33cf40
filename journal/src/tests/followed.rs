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

#[test]
fn a_hole_between_two_pages_of_the_newest_first_is_told_on_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (world, writer) = with_some_in_memory(folder.path(), true);
    drop(writer);
    let (writer, _) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
    for patience in [None, Some(Duration::ZERO)] {
        for limit in [1, 1000] {
            let mut query = Query { limit, newest_first: true, patience, ..Query::default() };
            let (mut found, mut gap) = (Vec::new(), false);
            loop {
                let page = writer.reader().query(&query).unwrap();
                gap |= page.gap;
                found.extend(page.events);
                if !page.more {
                    break;
                }
                query.cursor = Some(page.cursor);
            }
            let there = [5, 1, 0].map(|index| world.events[index].clone());
            assert_eq!((found.as_slice(), gap), (&there[..], true), "{patience:?} {limit}");
        }
    }
}

#[test]
fn what_becomes_too_old_while_it_is_read_is_no_gap_but_for_whom_it_was_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = (World::default(), Writer::open(folder.path(), FOREVER, Time(0)).unwrap().0);
    for target in [1, 3, 5] {
        world.write(&mut writer, &[(0, target, true), (1, target, true)]);
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    }
    world.write(&mut writer, &[(0, 7, true)]);
    let (reader, query) = (writer.reader(), Query { limit: 1000, ..Query::default() });
    let segments = reader.segments();
    assert_eq!(segments.len(), 4);
    // All but the last go, as soon as somebody has begun to read.
    writer.set(Settings { max_size: 1, ..FOREVER }, Time(world.now));
    assert_eq!(reader.segments().len(), 1);
    let last = &world.events[6..];
    let forward = |cursor| {
        let page = reader.follow_in(&segments, &Query { cursor, ..query.clone() }, &mut Resume::default()).unwrap();
        (page.events, page.gap)
    };
    assert_eq!(forward(None), (last.to_vec(), false));
    assert_eq!(forward(Some(world.events[0].number)), (last.to_vec(), true), "it had more to come");
    assert_eq!(forward(Some(world.events[5].number)), (last.to_vec(), false));
    let newest_first = Query { newest_first: true, ..query.clone() };
    let page = reader.backward(&segments, &newest_first).unwrap();
    assert_eq!((page.events.as_slice(), page.gap, page.more), (last, false, false));
    // One that somebody took away is missed.
    let segments = reader.segments();
    std::fs::remove_file(segments[0].place.path()).unwrap();
    assert!(reader.backward(&segments, &newest_first).unwrap().gap);
    assert!(reader.query(&query).unwrap().gap);
}
