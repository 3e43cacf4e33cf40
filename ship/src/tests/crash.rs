//! A process that pushes to a receiver that is down is killed again and again: what it had on disk arrives in order.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use rosterd_testkit::{free_address, leak_checked_live};

use super::*;

/// Tells the child where its queue is, where its receiver is, and which number is the first. It is set for the child alone.
const TASK: &str = "ROSTERD_TEST_SHIP_TASK";

#[test]
#[ignore = "the process that the test below kills"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_pushes_until_it_is_killed() {
    leak_checked_live(|| async {
        let Ok(task) = std::env::var(TASK) else { return };
        let parts: Vec<_> = task.split(' ').collect();
        let ship = Ship::of(Some(Path::new(parts[0])), vec![endpoint("a", parts[1])]).await;
        for number in parts[2].parse::<u32>().unwrap().. {
            let before = ship.shipper.status()[0].bytes_on_disk;
            ship.shipper.push(1, &block(&["m"], f64::from(number), now(0)));
            // The endpoint is down, so nothing is deleted.
            eventually(patience(), "it is on disk", || ship.shipper.status()[0].bytes_on_disk > before).await;
            std::io::stderr().write_all(format!("wrote {number}\n").as_bytes()).unwrap();
        }
    });
}

/// Lets a child write some numbers and kills it. Returns the last that it told of.
fn push_and_kill(task: &str, lines: usize) -> u32 {
    let name = concat!(module_path!(), "::child_that_pushes_until_it_is_killed");
    let name = name.split_once("::").expect("a test has a path in its crate").1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(TASK, task)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut last, mut told) = (None, 0);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        last = Some(line.strip_prefix("wrote ").unwrap_or_else(|| panic!("{line}")).parse().unwrap());
        told += 1;
        if told == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    last.expect("it wrote something")
}

#[test]
fn what_a_killed_process_had_on_disk_arrives_in_order() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}/api/v1/write");
        let mut next = 0;
        for lines in [1, 20, 3, 7] {
            let task = format!("{} {url} {next}", folder.path().display());
            next = 1 + rosterd_tasks::blocking(move || push_and_kill(&task, lines)).await;
        }
        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(folder.path()), vec![endpoint("a", &url)]).await;
        ship.shipper.push(1, &block(&["m"], f64::from(next), now(0)));
        eventually(patience(), "the last came", || values(&receiver, "m").last() == Some(&f64::from(next))).await;
        // A number that a child wrote and had no time to tell of comes from the next one, too.
        let mut values = values(&receiver, "m");
        values.dedup();
        assert_eq!(values, (0..=next).map(f64::from).collect::<Vec<_>>());
        ship.end().await;
    });
}
