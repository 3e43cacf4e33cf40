//! Each kind of damage to each file, one by one: rosterd starts, says what was wrong, and all of it works.

use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Folder, Server, eventually_ok, leak_checked_live, patience};
use rustix::process::Signal;

use super::{Damage, How, Stored};
use crate::dice::Dice;
use crate::receiver::Receiver;

/// A target that is found, beside those that are scraped.
const LIST: &str = r#"[{"targets": ["127.0.0.1:1"]}]"#;

async fn rosterd(folder: &Folder, storage: Folder) -> Server {
    let (config, data) = (folder.path("prometheus.yml"), storage.path(Server::DATA));
    Server::start("rosterd", "/-/healthy", storage, move |port| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command
            .arg("run")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    })
    .await
}

fn configure(receiver: &Receiver) -> Folder {
    let folder = Folder::new();
    folder.write("list.json", LIST);
    let text = format!(
        "{}scrape_configs:\n{}- {{job_name: a, scrape_interval: 1h, file_sd_configs: [{{files: [list.json]}}]}}\n\
         rosterd: {{publish: {{file_sd: [{{path: out.json, jobs: [a]}}]}}}}\n",
        receiver.remote_write(),
        receiver.jobs()
    );
    folder.write("prometheus.yml", text);
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The storage of a rosterd that was killed while nobody took its samples.
async fn killed(folder: &Folder) -> PathBuf {
    let mut server = rosterd(folder, Folder::new()).await;
    let look = async || {
        let stored = server.metric("rosterd_remote_write_queue_disk_bytes", "").await;
        let (status, body) = server.page("/sd/a").await.unwrap();
        let published = std::fs::read_to_string(folder.path("out.json")).unwrap_or_default();
        let is_stored =
            stored > 10_000.0 && status == 200 && body.contains("127.0.0.1:1") && published.contains("127.0.0.1:1");
        if is_stored { Ok(()) } else { Err(format!("{stored} bytes, {body}, {published}")) }
    };
    eventually_ok(patience(), "all is stored", look).await;
    server.end(Signal::KILL).await;
    let kept = folder.path("kept");
    copy(&server.stored(""), &kept);
    kept
}

/// Starts with a copy of the storage of which a file is damaged.
async fn starts_with(folder: &Folder, kept: &Path, name: &Path, what: Stored, how: How, dice: &mut Dice) {
    let storage = Folder::new();
    let data = storage.path(Server::DATA);
    copy(kept, &data);
    let damage = Damage::new(&data.join(name), what, how, dice);
    let mut server = rosterd(folder, storage).await;
    let look = async || {
        damage.check(&server.log())?;
        let (status, body) = server.page("/sd/a").await.unwrap();
        assert!(status == 503 || body.contains("127.0.0.1:1"), "{damage}: {status} {body}");
        let info = server.data("/api/v1/status/runtimeinfo").await;
        let ships = server.data("/api/v1/remote_write").await.to_string();
        let mut failures = Vec::new();
        for name in [
            "rosterd_journal_write_failures_total",
            "rosterd_remote_write_queue_write_failures_total",
            "rosterd_task_panics_total",
        ] {
            failures.push(server.metric(name, "").await);
        }
        let works =
            status == 200 && info.get("storageFailures").is_none() && failures.iter().all(|failure| *failure == 0.0);
        if works { Ok(()) } else { Err(format!("{damage}: {status} {info} {ships} {failures:?}\n{}", server.log())) }
    };
    eventually_ok(patience(), "all works", look).await;
    server.end(Signal::KILL).await;
}

#[test]
fn whatever_is_damaged_rosterd_starts_says_so_and_works() {
    leak_checked_live(|| async {
        let mut receiver = Receiver::start().await;
        let folder = configure(&receiver);
        receiver.is_away().await;
        let kept = killed(&folder).await;
        let mut dice = Dice::new(12);
        for what in [Stored::Roster, Stored::Ledger, Stored::Journal, Stored::Queue] {
            let mut files: Vec<_> =
                what.files(&kept).iter().map(|file| file.strip_prefix(&kept).unwrap().to_owned()).collect();
            // Both queues are alike.
            let end = files.len() / if what == Stored::Queue { 2 } else { 1 };
            files.truncate(end);
            assert!(!files.is_empty(), "{what:?}");
            for file in files {
                for how in How::ALL {
                    starts_with(&folder, &kept, &file, what, how, &mut dice).await;
                }
            }
        }
        receiver.finish().await;
    });
}
