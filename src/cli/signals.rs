//! Signals: the first that asks to end is graceful, the second is not; SIGHUP reloads.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Error, exit};

/// The signals that rosterd has an answer to.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

#[derive(Debug)]
enum Wish {
    End(&'static str, SignalKind),
    Reload,
}

impl Signals {
    /// From now on these signals do not end the process by themselves. Needs a runtime.
    pub(super) fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|source| Error::Runtime { source });
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM", SignalKind::terminate()),
            _ = self.interrupt.recv() => Wish::End("SIGINT", SignalKind::interrupt()),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// Passes on what signals ask for, until `done`. The second signal to end ends the process at once.
    pub(super) async fn attend(mut self, stop: CancellationToken, hangups: Arc<Notify>, done: CancellationToken) {
        loop {
            let wish = tokio::select! {
                biased;
                () = done.cancelled() => return,
                wish = self.next() => wish,
            };
            match wish {
                Wish::Reload => hangups.notify_one(),
                Wish::End(signal, kind) if stop.is_cancelled() => {
                    warn!(signal, "ending at once: this is the second signal");
                    std::process::exit(i32::from(exit::SIGNAL) + kind.as_raw_value());
                }
                Wish::End(signal, _) => {
                    info!(signal, "ending in order; a second signal ends at once");
                    stop.cancel();
                }
            }
        }
    }
}
