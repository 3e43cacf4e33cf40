//! What a receiver takes: what the configuration asks for, unless it turned out not to work.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rosterd_tasks::{blocking, files};
use tracing::warn;

use crate::private;
use crate::wire::{Compression, Message};

/// How long it is remembered that a receiver does not take something.
const REMEMBERED: Duration = Duration::from_secs(4 * 3600);
/// The file in the folder of the queue.
const FILE: &str = "receiver";

/// The version and the compression to use, remembered across restarts.
#[derive(Debug)]
pub(super) struct Protocol {
    message: Message,
    compression: Compression,
    refused: Mutex<Refused>,
    file: Option<PathBuf>,
}

/// Until when something is not tried again, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Refused {
    message_until: i64,
    compression_until: i64,
}

/// What a receiver does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Version 2.0.
    Message,
    /// Zstandard.
    Compression,
}

impl Protocol {
    /// What the configuration asks for; `folder` is that of the queue. A new configuration forgets what was remembered.
    pub(super) fn new(message: Message, compression: Compression, folder: Option<&PathBuf>) -> Self {
        Self { message, compression, refused: Mutex::default(), file: folder.map(|folder| folder.join(FILE)) }
    }

    /// Reads what the process before this one has learnt.
    pub(super) async fn recall(&self) {
        let Some(file) = self.file.clone() else { return };
        let text = blocking(move || files::read_text(&file)).await.unwrap_or_default();
        *self.refused() = Refused::parse(&text);
    }

    /// What to use now.
    pub(super) fn now(&self, now_ms: i64) -> (Message, Compression) {
        let refused = *self.refused();
        let message = if now_ms < refused.message_until { Message::V1 } else { self.message };
        let compression = if now_ms < refused.compression_until { Compression::Snappy } else { self.compression };
        (message, compression)
    }

    /// Remembers that something is not taken.
    pub(super) async fn refuse(&self, refusal: Refusal, now_ms: i64) {
        let until = now_ms + REMEMBERED.as_millis() as i64;
        let refused = {
            let mut refused = self.refused();
            match refusal {
                Refusal::Message => refused.message_until = until,
                Refusal::Compression => refused.compression_until = until,
            }
            *refused
        };
        let Some(file) = self.file.clone() else { return };
        let at = file.clone();
        if let Err(error) = blocking(move || private::write(&at, &refused.to_text())).await {
            warn!(%error, path = %file.display(), "what the receiver takes is remembered only until the end of the process");
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    fn to_text(self) -> String {
        format!("message {}\ncompression {}\n", self.message_until, self.compression_until)
    }

    /// What cannot be read is not remembered.
    fn parse(text: &str) -> Self {
        let number = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key));
            found.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        Self { message_until: number("message "), compression_until: number("compression ") }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rosterd_testkit::leak_checked_live;

    use super::*;

    #[test]
    fn a_refusal_outlives_the_process_and_ends() {
        leak_checked_live(|| async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_owned();
            let protocol = Protocol::new(Message::V2, Compression::Zstd, Some(&path));
            protocol.refuse(Refusal::Message, 1000).await;
            assert_eq!(protocol.now(2000), (Message::V1, Compression::Zstd));
            let mode = std::fs::metadata(path.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "like all that is stored");
            let next = Protocol::new(Message::V2, Compression::Zstd, Some(&path));
            assert_eq!(next.now(2000).0, Message::V2);
            next.recall().await;
            assert_eq!(next.now(2000), (Message::V1, Compression::Zstd));
            assert_eq!(next.now(1000 + 4 * 3_600_000).0, Message::V2);
        });
    }

    #[test]
    fn what_cannot_be_read_is_not_remembered() {
        assert_eq!(Refused::parse("message soon\n\u{0}"), Refused::default());
        let refused = Refused { message_until: 5, compression_until: 0 };
        assert_eq!(Refused::parse(&refused.to_text()), refused);
    }
}
