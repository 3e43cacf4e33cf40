//! How late changes are seen by those who ask a program for its targets.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::cluster;
use super::events::{Mark, now};
use super::scenario::MARKED;
use super::shared::program::{Kind, Program};

/// When which rounds were first seen, by the number of the pod.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rounds: HashMap<usize, Vec<(usize, u64)>>,
}

impl Seen {
    /// Looks for so long, and then until whoever looks once in a while has looked.
    pub(super) async fn watch(program: &Program, port: u16, kind: Kind, time: Duration) -> Self {
        let mut seen = Self::default();
        let more = if kind == Kind::Rosterd { 2 } else { 60 };
        let (end, mut tag) = (Instant::now() + time + Duration::from_secs(more), String::new());
        while Instant::now() < end {
            if kind == Kind::Rosterd {
                // Answered at the next change.
                let asked = timeout(Duration::from_secs(5), news(port, &mut tag)).await;
                seen.look(&asked.expect("it answers in time").expect("it answers"));
            } else {
                let answer = program.get("/api/v1/targets?state=active", "identity").await.expect("it answers");
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                seen.look(&answer.body);
                sleep(Duration::from_millis(500)).await;
            }
        }
        seen
    }

    /// How long after it happened a change was seen, or a later one of the same pod.
    pub(super) fn lateness(&self, mark: &Mark) -> Option<Duration> {
        let (_, at) = self.rounds.get(&mark.pod)?.iter().find(|(round, _)| *round >= mark.round)?;
        Some(Duration::from_micros(at.saturating_sub(mark.at)))
    }

    /// Takes in a list of targets.
    fn look(&mut self, body: &[u8]) {
        let (at, body) = (now(), String::from_utf8_lossy(body));
        for target in body.split('{') {
            // Names and values stand in quotes, with a space or without one between them.
            let value = |name: &str| {
                let (_, after) = target.split_once(&format!("\"{name}\":"))?;
                after.split('"').nth(1)
            };
            let (Some(pod), Some(round)) = (value("pod"), value("round")) else { continue };
            let (Some(pod), Ok(round)) = (cluster::number_of(pod), round.parse()) else { continue };
            let rounds = self.rounds.entry(pod).or_default();
            if rounds.last().is_none_or(|(last, _)| *last != round) {
                rounds.push((round, at));
            }
        }
    }
}

/// What has come to be since the list with this tag, if anything has within a second.
async fn news(port: u16, tag: &mut String) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "GET /sd/{MARKED}?wait=1s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = answer.split_off(head);
    let head = String::from_utf8_lossy(&answer);
    let header = head.lines().filter_map(|line| line.split_once(": "));
    if let Some((_, found)) = header.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("etag")) {
        found.clone_into(tag);
    }
    Ok(body)
}
