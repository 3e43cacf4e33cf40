//! A clock that is set, ahead and back; and what is old by it.

use super::*;

const YEAR: i64 = 365 * 24 * 3_600_000;
const YEARS: i64 = 13 * YEAR;
const RETENTION: Duration = Duration::from_secs(16 * 300);
const KEPT: Settings = Settings { retention: RETENTION, ..FOREVER };

fn is_known(world: &World, reader: &Reader, time: Time) {
    let past = reader.at(Some(time), |_, _| true).unwrap();
    assert_eq!((plain(&past), past.is_whole), (world.roster_at(time), true), "at {time}");
}

/// Three targets come at their time, three while the clock is years ahead, two when it is set back.
fn set_ahead_and_back(begin_ahead: bool, begin_back: bool) -> (World, Writer) {
    let (mut world, mut writer) = (World::default(), Writer::in_memory(FOREVER, Time(0)));
    world.write(&mut writer, &[(0, 1, true), (0, 3, true), (0, 5, true)]);
    for (by, targets, begin) in [(YEARS, [7, 9, 11].as_slice(), begin_ahead), (-YEARS, &[13, 15], begin_back)] {
        world.now += by;
        if begin {
            assert!(writer.begin(Time(world.now), || world.targets()).is_none());
        }
        let changes: Vec<_> = targets.iter().map(|target| (0, *target, true)).collect();
        world.write(&mut writer, &changes);
    }
    (world, writer)
}

#[test]
fn what_happened_while_the_clock_was_ahead_is_of_the_past_when_it_is_set_back() {
    for (begin_ahead, begin_back) in [(false, false), (true, false), (false, true), (true, true)] {
        let (world, writer) = set_ahead_and_back(begin_ahead, begin_back);
        let reader = writer.reader();
        for event in &world.events {
            is_known(&world, &reader, event.time);
        }
        let now = Time(world.now);
        is_known(&world, &reader, now);
        assert_eq!(plain(&reader.at(Some(now), |_, _| true).unwrap()), world.roster);
        assert_eq!(reader.counts(&[now], u64::MAX).unwrap(), [counts(now, &world.roster)]);
    }
}

#[test]
fn of_a_time_that_came_twice_the_later_in_number_counts() {
    let (mut world, mut writer) = (World::default(), Writer::in_memory(FOREVER, Time(0)));
    world.now = 100_000;
    world.write(&mut writer, &[(0, 1, true), (0, 3, true), (0, 5, true)]);
    world.now = 90_000;
    world.write(&mut writer, &[(0, 7, true)]);
    let reader = writer.reader();
    for time in [91_000, 95_000, 101_000, 102_500, 200_000] {
        assert_eq!(plain(&reader.at(Some(Time(time)), |_, _| true).unwrap()).len(), 4, "{time}");
    }
    assert!(matches!(reader.at(Some(Time(90_999)), |_, _| true), Err(JournalError::TooEarly { .. })));
}

#[test]
fn of_a_journal_that_was_just_begun_nothing_is_gone_that_more_room_would_keep() {
    let told = |began: i64| {
        let (mut world, mut writer) = (World::default(), Writer::in_memory(FOREVER, Time(0)));
        world.now = began;
        world.write(&mut writer, &[(0, 1, true)]);
        writer.reader().at(Some(Time(-1)), |_, _| true).unwrap_err().to_string()
    };
    let young = told(1_000);
    assert!(
        young.starts_with("the journal was begun at 1970-01-01T00:00:0") && !young.contains("retention"),
        "{young}"
    );
    let old = told(100_000_000);
    assert!(old.starts_with("the journal goes back to 1970-01-02T") && old.contains("retention"), "{old}");
}

/// A journal of a record each two seconds, in which the one of a number is damaged.
fn damaged(record: usize, leap: Option<usize>, header: bool) -> (World, Writer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = (World::default(), Writer::open(folder.path(), FOREVER, Time(0)).unwrap().0);
    let mut ends = Vec::new();
    for target in 0..6 {
        match leap {
            Some(at) if at == target => world.now += YEAR,
            Some(at) if at + 2 == target => world.now -= YEAR,
            _ => {}
        }
        world.write(&mut writer, &[(0, target as u8 * 2, true), (1, target as u8 * 2, true)]);
        ends.push(writer.reader().size().0);
    }
    let path = super::damage::segments(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = usize::try_from(ends[record]).unwrap();
    let at = if header { usize::try_from(ends[record - 1]).unwrap() + 5 } else { end - 1 };
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    (world, writer, folder)
}

#[test]
fn damage_before_the_last_event_of_a_time_counts_and_damage_behind_it_does_not() {
    for header in [false, true] {
        let (world, writer, _folder) = damaged(3, None, header);
        let whole = |index: usize, later: i64| {
            let time = Time(world.events[index].time.0 + later);
            let past = writer.reader().at(Some(time), |_, _| true).unwrap();
            assert!(!past.is_whole || plain(&past) == world.roster_at(time));
            past.is_whole
        };
        assert!((0..4).all(|index| whole(index, 0)) && whole(4, 0), "{header}: they are before it");
        assert!((6..12).all(|index| !whole(index, 0)), "{header}: it is before them");
        // Of whole records alone it is not known when what is behind them begins.
        assert_eq!(whole(5, 500), !header);
    }
}

#[test]
fn of_what_is_damaged_where_the_clock_was_set_back_nobody_knows_the_time() {
    // The record with which the clock is back again.
    let (world, writer, _folder) = damaged(4, Some(2), true);
    let whole = |index: usize| writer.reader().at(Some(world.events[index].time), |_, _| true).unwrap().is_whole;
    assert!((0..4).all(|index| !whole(index)), "it may be of their times");
    let (world, writer, _folder) = damaged(3, Some(2), false);
    let whole = |index: usize| writer.reader().at(Some(world.events[index].time), |_, _| true).unwrap().is_whole;
    assert!((0..4).all(whole), "its times are known, and later");
}

#[test]
fn what_is_too_old_goes_at_once_when_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), FOREVER, 0);
    let mut began = Vec::new();
    for _ in 0..20 {
        world.write(&mut writer, &[(0, 1, true)]);
        world.now += 299_000;
        began.push(world.now);
        assert!(writer.begin(Time(world.now), || world.targets()).is_none());
    }
    writer.set(KEPT, Time(world.now));
    let kept = writer.reader().oldest().unwrap();
    assert_eq!(kept, Time(world.now).before(RETENTION), "a shorter retention holds at once");
    is_known(&world, &writer.reader(), kept);
    // Nothing happens, and time passes.
    for _ in 0..5 {
        world.now += 300_000;
        writer.prune(Time(world.now));
    }
    assert_eq!(writer.reader().oldest(), Some(Time(world.now).before(RETENTION)));
    let files = super::damage::segments(folder.path()).len();
    assert_eq!(files, writer.reader().size().1);
}

#[test]
fn what_is_too_old_goes_as_a_journal_grows() {
    let folder = tempfile::tempdir().unwrap();
    let (world, writer) = world_of(folder.path(), KEPT, 300);
    let kept = world.now - writer.reader().oldest().unwrap().0;
    assert!((16 * 300_000..19 * 300_000).contains(&kept), "{kept} ms");
}

#[test]
fn a_clock_that_leaps_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), KEPT, 100);
    let segments = writer.reader().size().1;
    for (by, more) in [(YEARS, 1), (-YEARS, 2), (-world.now, 3), (world.now, 4)] {
        world.now += by;
        world.write(&mut writer, &[(0, 2, false)]);
        writer.prune(Time(world.now));
        assert_eq!(writer.reader().size().1, segments + more, "one begins when it leaps, and none goes");
        drop(writer);
        writer = Writer::open(folder.path(), KEPT, Time(world.now)).unwrap().0;
        writer.prune(Time(world.now));
        assert_eq!(writer.reader().size().1, segments + more, "nor does one when the journal is opened then");
    }
    is_known(&world, &writer.reader(), Time(world.now));
    // What began at a wrong time keeps nothing from going.
    for _ in 0..200 {
        world.now += 60_000;
        world.write(&mut writer, &[(0, 2, false)]);
        writer.prune(Time(world.now));
    }
    let kept = writer.reader().size().1;
    assert!(kept < 24, "{kept} segments, of which at most a few are too old");
}

#[test]
fn what_the_disk_did_not_take_while_the_clock_was_set_is_of_its_time() {
    for by in [-50_000, 50_000] {
        let folder = tempfile::tempdir().unwrap();
        let (mut world, mut writer) = (World::default(), Writer::open(folder.path(), FOREVER, Time(0)).unwrap().0);
        world.now = 100_000;
        world.write(&mut writer, &[(0, 1, true), (0, 3, true)]);
        writer.fill_disk();
        let mut batch = writer.batch();
        for target in [5, 7, 9] {
            world.now += 1000;
            let note = world.change(0, target, true);
            let number = batch.push(Time(world.now), &note);
            world.events.push(Event { number, time: Time(world.now), note });
            world.rosters.push(world.roster.clone());
        }
        world.now += by;
        assert!(writer.append(batch, Time(world.now), || world.targets()).is_some());
        world.write(&mut writer, &[(0, 11, true)]);
        for time in world.events.iter().flat_map(|event| [event.time, Time(event.time.0 + 500)]) {
            is_known(&world, &writer.reader(), time);
        }
    }
}

#[test]
fn a_segment_whose_beginning_lies_ahead_is_followed_by_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, mut writer) = world_of(folder.path(), KEPT, 1);
    world.now += YEARS;
    world.write(&mut writer, &[(0, 2, false)]);
    assert!(!writer.is_due(Time(world.now)));
    assert!(writer.is_due(Time(world.now - YEARS)));
}
