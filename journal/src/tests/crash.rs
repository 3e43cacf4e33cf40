//! A process that writes is killed again and again: no event that it told of is missing, and the roster is that of the last one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Tells the child where to write. It is set for the child alone.
const FOLDER: &str = "ROSTERD_TEST_JOURNAL_FOLDER";
const SETTINGS: Settings = Settings { max_size: 1 << 20, ..FOREVER };

/// What happens with each event: each of some targets comes and goes by turns.
fn note(step: u64) -> Note {
    let kind = if (step / 30).is_multiple_of(2) { Kind::Added } else { Kind::Removed };
    Note { job: Some("node".into()), labels: Some(labels((step % 30) as u8)), ..Note::of(kind) }
}

fn roster(steps: u64) -> Plain {
    let mut roster = Plain::new();
    // Each target has its turn within so many.
    for step in steps.saturating_sub(30)..steps {
        let key = ("node".to_owned(), labels((step % 30) as u8));
        match note(step).kind {
            Kind::Added => drop(roster.insert(key, None)),
            _ => drop(roster.remove(&key)),
        }
    }
    roster
}

#[test]
#[ignore = "the process that the test below kills"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (mut writer, found) = Writer::open(Path::new(&folder), SETTINGS, Time(0)).unwrap();
    let begin = found.past.map_or(0, |past| past.cursor);
    for step in (begin..).step_by(3) {
        let now = Time(step as i64);
        let targets = roster(step);
        let targets = || targets.iter().map(|((job, labels), held)| Target { job, labels, held: *held });
        if writer.is_due(now) || step.is_multiple_of(33) {
            assert!(writer.begin(now, targets).is_none());
        }
        let mut batch = writer.batch();
        (step..step + 3).for_each(|step| assert_eq!(batch.push(Time(step as i64), &note(step)), step + 1));
        assert!(writer.append(batch, now, targets).is_none());
        std::io::stderr().write_all(format!("wrote {}\n", step + 3).as_bytes()).unwrap();
    }
}

/// Lets a child write until it has told so many lines, and kills it. Returns how many events it told of.
fn write_and_kill(folder: &Path, lines: usize) -> u64 {
    let name = concat!(module_path!(), "::child_that_writes_until_it_is_killed");
    let name = name.split_once("::").expect("a test has a path in its crate").1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut wrote = 0;
    for (told, line) in BufReader::new(child.stderr.take().unwrap()).lines().enumerate() {
        let line = line.unwrap();
        wrote = line.strip_prefix("wrote ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        if told + 1 == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    wrote
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_told_of() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let wrote = write_and_kill(folder.path(), 5 + round * 7);
        let (writer, found) = Writer::open(folder.path(), SETTINGS, Time(0)).unwrap();
        assert_eq!(found.faults, []);
        let past = found.past.unwrap();
        assert!(past.is_whole && past.cursor >= wrote, "{} events of {wrote}", past.cursor);
        assert_eq!(plain(&past), roster(past.cursor));
        let read = all(&writer.reader(), Query { limit: 10_000, ..Query::default() });
        assert!(read.iter().map(|event| event.number).eq(1..=past.cursor));
    }
}

#[test]
fn the_name_of_a_segment_stays_where_it_is_also_when_the_machine_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(folder.path(), FOREVER, Time(0)).unwrap().0;
    for _ in 0..2 {
        assert!(writer.begin(Time(1), || []).is_none());
        assert_eq!(crate::medium::tests::synced(), [folder.path()]);
    }
}
