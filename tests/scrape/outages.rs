//! Receivers that are away, and rosterd killed or stopped meanwhile.

use std::time::Duration;

use rosterd_testkit::{Folder, RemoteWriteReceiver, Server, WriteAnswer, leak_checked_live};
use rustix::process::Signal;

use super::arrivals::wait_all;
use super::counter::Counter;
use super::rosterd;

/// Scrapes that take longer than anything waits on its way to the disk.
const WHILE: usize = 20;

/// rosterd, a target that counts, and where the configuration is.
struct Stage {
    rosterd: Server,
    counter: Counter,
    _folder: Folder,
}

impl Stage {
    async fn start(urls: &[String]) -> Self {
        let (folder, counter) = (Folder::new(), Counter::start().await);
        let endpoints = urls.iter().map(|url| {
            format!("- {{url: '{url}', queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms}}}}\n")
        });
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             remote_write:\n{}scrape_configs:\n- job_name: counter\n  static_configs: [{{targets: ['{}']}}]\n",
            endpoints.collect::<String>(),
            counter.address()
        );
        let rosterd = rosterd(&folder.write("prometheus.yml", config), &[]).await;
        Self { rosterd, counter, _folder: folder }
    }

    /// Nothing was dropped since rosterd started.
    async fn dropped_nothing(&self) {
        let dropped = self.rosterd.metric("rosterd_remote_write_dropped_items_total", "").await;
        assert_eq!(dropped, 0.0, "{}", self.rosterd.log());
    }
}

#[test]
fn a_receiver_that_was_away_gets_everything() {
    leak_checked_live(|| async {
        let mut receiver = RemoteWriteReceiver::start().await;
        let stage = Stage::start(&[receiver.url()]).await;
        for _ in 0..2 {
            let sent = stage.counter.wait_more(5).await;
            wait_all(&receiver, 1, sent).await;
            receiver.off().await;
            stage.counter.wait_more(WHILE).await;
            receiver.on().await;
        }
        let sent = stage.counter.wait_more(5).await;
        wait_all(&receiver, 1, sent).await;
        stage.dropped_nothing().await;
    });
}

#[test]
fn a_receiver_that_fails_gets_everything() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        receiver.rule(|_| WriteAnswer::status(500));
        let stage = Stage::start(&[receiver.url()]).await;
        stage.counter.wait_more(WHILE).await;
        let busy = WriteAnswer { headers: vec![("retry-after", "1".to_owned())], ..WriteAnswer::status(429) };
        receiver.rule(move |_| busy.clone());
        stage.counter.wait_more(WHILE).await;
        receiver.rule(|_| WriteAnswer::default());
        let sent = stage.counter.wait_more(5).await;
        wait_all(&receiver, 1, sent).await;
        stage.dropped_nothing().await;
    });
}

#[test]
fn what_was_queued_survives_being_killed() {
    leak_checked_live(|| async {
        let mut receiver = RemoteWriteReceiver::start().await;
        receiver.off().await;
        // It starts although the receiver cannot be reached.
        let mut stage = Stage::start(&[receiver.url()]).await;
        let mut lives = Vec::new();
        for _ in 0..3 {
            let from = stage.counter.count() + 2;
            let queued = stage.counter.wait_more(10).await;
            stage.counter.wait_more(WHILE).await;
            stage.rosterd.end(Signal::KILL).await;
            stage.rosterd.again().await;
            lives.push((from, queued));
        }
        receiver.on().await;
        for (from, queued) in lives {
            wait_all(&receiver, from, queued).await;
        }
        // Killed while it is sending.
        stage.rosterd.end(Signal::KILL).await;
        stage.rosterd.again().await;
        let from = stage.counter.count() + 2;
        let sent = stage.counter.wait_more(5).await;
        wait_all(&receiver, from, sent).await;
    });
}

#[test]
fn what_was_queued_survives_an_orderly_end() {
    leak_checked_live(|| async {
        let mut receiver = RemoteWriteReceiver::start().await;
        receiver.off().await;
        let mut stage = Stage::start(&[receiver.url()]).await;
        stage.counter.wait_more(10).await;
        stage.rosterd.end(Signal::TERM).await;
        // The last scrape may have been under way.
        let queued = stage.counter.count() - 1;
        stage.rosterd.again().await;
        let from = stage.counter.count() + 1;
        stage.counter.wait_more(5).await;
        receiver.on().await;
        wait_all(&receiver, 1, queued).await;
        let sent = stage.counter.wait_more(5).await;
        wait_all(&receiver, from, sent).await;
        stage.dropped_nothing().await;

        // What was not sent yet is, before the end.
        stage.rosterd.end(Signal::TERM).await;
        wait_all(&receiver, from, stage.counter.count() - 1).await;
    });
}

#[test]
fn an_endpoint_that_is_down_slows_nobody() {
    leak_checked_live(|| async {
        let (up, mut refusing) = (RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await);
        let hanging = RemoteWriteReceiver::start().await;
        refusing.off().await;
        hanging.rule(|_| WriteAnswer { delay: Duration::from_secs(3600), ..WriteAnswer::default() });
        let nowhere = "http://receiver.invalid/api/v1/write".to_owned();
        let urls = [refusing.url(), nowhere, up.url(), hanging.url()];
        let mut stage = Stage::start(&urls).await;
        for _ in 0..4 {
            let sent = stage.counter.wait_more(WHILE / 2).await;
            wait_all(&up, 1, sent).await;
        }
        assert!(refusing.requests().is_empty() && hanging.samples().is_empty());
        refusing.on().await;
        let sent = stage.counter.wait_more(5).await;
        wait_all(&refusing, 1, sent).await;
        stage.dropped_nothing().await;
        stage.rosterd.end(Signal::TERM).await;
        wait_all(&up, 1, stage.counter.count() - 1).await;
    });
}
