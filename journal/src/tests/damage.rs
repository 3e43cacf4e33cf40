//! Files that are not as they were written, and disks that do not take what is written.

use proptest::prelude::*;

use super::*;

pub(super) fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|name| name == "segment")).collect();
    paths.sort();
    paths
}

fn three_segments(folder: &Path) -> World {
    let (mut world, mut writer) = world_of(folder, FOREVER, 4);
    for _ in 0..2 {
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        world.write(&mut writer, &[(0, 3, true), (1, 5, false)]);
        world.write(&mut writer, &[(1, 9, true)]);
    }
    world
}

proptest! {
    #![proptest_config(few())]

    /// Whatever is read is true, the rest is said to be missing, and what comes after is written and read as ever.
    #[test]
    fn nothing_untrue_is_read_of_what_is_damaged(
        file in any::<proptest::sample::Index>(), at in any::<proptest::sample::Index>(), flip in 1..=u8::MAX,
        length in 1..400usize, cut in any::<bool>()
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = three_segments(folder.path());
        let paths = segments(folder.path());
        let path = file.get(&paths);
        let mut bytes = std::fs::read(path).unwrap();
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte ^= flip),
        }
        std::fs::write(path, &bytes).unwrap();

        let (mut writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
        let reader = writer.reader();
        let read = all(&reader, Query { limit: 1000, ..Query::default() });
        prop_assert!(read.iter().all(|event| world.events.contains(event)));
        let past = found.past.unwrap();
        if past.is_whole {
            let known = world.events.iter().position(|event| event.number == past.cursor);
            let roster = known.map(|index| world.rosters[index].clone()).unwrap_or_default();
            prop_assert_eq!(plain(&past), roster);
        }
        for event in world.events.iter().step_by(3) {
            if let Ok(past) = reader.at(Some(event.time), |_, _| true) && past.is_whole && (!cut || past.cursor > 0) {
                // A file that is cut off is one that was never longer.
                let known = world.events.iter().rfind(|other| other.number <= past.cursor).filter(|_| cut);
                prop_assert_eq!(plain(&past), world.roster_at(known.map_or(event.time, |known| known.time)));
            }
        }
        prop_assert!(writer.batch().next() > read.last().map_or(0, |event| event.number));

        world.write(&mut writer, &[(0, 11, true), (0, 210, true)]);
        drop(writer);
        let (writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
        let read = all(&writer.reader(), Query { limit: 1000, ..Query::default() });
        prop_assert!(read.ends_with(&world.events[world.events.len() - 2..]));
        prop_assert!(found.past.is_some());
    }
}

#[test]
fn damage_is_named_once_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let world = three_segments(folder.path());
    let path = segments(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
    assert_eq!(found.faults, [], "the last segment leads to the roster alone");
    let reader = writer.reader();
    for told in [1, 0] {
        let read = all(&reader, Query { limit: 1000, ..Query::default() });
        assert!(read.len() < world.events.len() && !read.is_empty());
        let faults = reader.take_faults();
        assert_eq!(faults.len(), told);
        assert!(faults.iter().all(|fault| fault.path == path && fault.bytes > 0));
    }
    // The day of the damage is not whole, later ones are.
    let at = |event: &Event| reader.at(Some(event.time), |_, _| true).unwrap().is_whole;
    assert!(at(world.events.last().unwrap()));
    assert!(!at(&world.events[190]));
}

#[test]
fn what_a_later_version_wrote_and_what_is_no_segment_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    three_segments(folder.path());
    let paths = segments(folder.path());
    let mut bytes = std::fs::read(&paths[2]).unwrap();
    bytes[6] = 2;
    std::fs::write(&paths[2], &bytes).unwrap();
    std::fs::write(&paths[1], "").unwrap();
    std::fs::write(folder.path().join("00000000000000000009.segment"), [7; 100]).unwrap();
    let begun = folder.path().join("00000000000000009999.begun");
    std::fs::write(&begun, &bytes).unwrap();
    let (_writer, found) = Writer::open(folder.path(), FOREVER, Time(0)).unwrap();
    let told: Vec<_> = found.faults.iter().map(|fault| fault.what).collect();
    let aside = ["written by a newer version, moved aside", "nothing of it can be read, moved aside"];
    assert_eq!(told, [aside[0], aside[1], aside[1]]);
    assert_eq!(segments(folder.path()), [paths[0].clone()]);
    assert!(paths[2].with_extension("segment.newer").exists());
    assert!(!begun.exists(), "nobody ends what was begun");
}

#[test]
fn a_folder_in_the_place_of_a_segment_costs_that_segment() {
    let folder = tempfile::tempdir().unwrap();
    let world = three_segments(folder.path());
    let paths = segments(folder.path());
    std::fs::remove_file(&paths[1]).unwrap();
    std::fs::create_dir(&paths[1]).unwrap();
    let (writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
    let told: Vec<_> = found.faults.iter().map(|fault| (&fault.path, fault.what)).collect();
    assert_eq!(told, [(&paths[1], "it is no file, moved aside")]);
    assert_eq!(plain(&found.past.unwrap()), world.roster);
    assert_eq!(segments(folder.path()), [paths[0].clone(), paths[2].clone()]);
    drop(writer);
    assert_eq!(Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap().1.faults, []);
}

#[test]
fn an_empty_segment_is_told_also_in_the_last_place_as_none_is_begun_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = three_segments(folder.path());
    let last = segments(folder.path()).pop().unwrap();
    std::fs::write(&last, "").unwrap();
    let (_writer, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
    let told: Vec<_> = found.faults.iter().map(|fault| (&fault.path, fault.what)).collect();
    assert_eq!(told, [(&last, "nothing of it can be read, moved aside")]);
}

#[test]
fn what_the_disk_does_not_take_is_in_memory_until_it_does() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    let (mut world, mut writer) = (World::default(), Writer::open(&folder, FOREVER, Time(0)).unwrap().0);
    world.write(&mut writer, &[(0, 1, true)]);
    assert!(!writer.is_makeshift());
    let moved = parent.path().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    assert!(writer.begin(Time(world.now), || world.targets()).is_some());
    assert!(writer.is_makeshift());
    world.write(&mut writer, &[(0, 3, true), (1, 4, false)]);
    assert!(writer.begin(Time(world.now), || world.targets()).is_some(), "it is not there yet");
    std::fs::rename(&moved, &folder).unwrap();
    assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    assert!(!writer.is_makeshift());
    world.write(&mut writer, &[(1, 4, false)]);
    let query = Query { limit: 100, ..Query::default() };
    assert_eq!(all(&writer.reader(), query.clone()), world.events, "nothing is lost while the process lives");
    drop(writer);
    let (writer, found) = Writer::open(&folder, FOREVER, Time(world.now)).unwrap();
    assert_eq!(plain(&found.past.unwrap()), world.roster);
    assert_eq!(all(&writer.reader(), query), [world.events[0].clone(), world.events[3].clone()]);
}

#[test]
fn what_may_not_be_written_is_read_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = three_segments(folder.path());
    let first = segments(folder.path()).remove(0);
    std::fs::write(crate::segment::Segment::begun(&first), "half of it").unwrap();
    std::fs::write(first.with_file_name("00000000000000000000.segment"), "none").unwrap();
    let files = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.map(|path| (std::fs::read(&path).unwrap(), path));
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    let (before, known) = (files(), world.clone());
    let (mut writer, found) = Writer::in_memory_after(folder.path(), FOREVER, Time(world.now)).unwrap();
    assert_eq!(found.faults.iter().map(|fault| fault.what).collect::<Vec<_>>(), ["nothing of it can be read"]);
    assert_eq!(plain(&found.past.unwrap()), world.roster);
    assert!(writer.is_due(Time(world.now)), "nothing is added to a file");
    world.write(&mut writer, &[(0, 7, true), (1, 8, false)]);
    let query = || Query { limit: 1000, ..Query::default() };
    assert_eq!(all(&writer.reader(), query()), world.events);
    let past = writer.reader().at(Some(known.events[3].time), |_, _| true).unwrap();
    assert_eq!(plain(&past), known.roster_at(known.events[3].time));
    let little = Settings { retention: Duration::from_millis(1), max_size: 1 };
    writer.set(little, Time(world.now + 1_000_000_000));
    writer.close();
    assert!(files() == before, "no file was changed, moved or removed");
    let (_, found) = Writer::open(folder.path(), FOREVER, Time(world.now)).unwrap();
    assert_eq!(plain(&found.past.unwrap()), known.roster);
    let none = folder.path().join("none");
    assert!(Writer::in_memory_after(&none, FOREVER, Time(0)).is_err() && !none.exists());
}
