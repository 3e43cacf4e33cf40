//! Who is told of changes.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Member, Version};

/// How many transactions a reader may be behind. One that is further behind is told that it missed some.
const BEHIND: usize = 256;

/// What a reader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerNews {
    /// A transaction made records different: the one of this version.
    Changed(Version),
    /// Some changes cannot be told: read everything again.
    Missed,
}

/// Tells of the changes of one member's records, in their order.
#[derive(Debug)]
pub struct Watch {
    member: Member,
    told: broadcast::Receiver<(Option<Member>, LedgerNews)>,
}

impl Watch {
    /// The next news; `None` when the ledger is gone. Safe to drop at any time.
    pub async fn next(&mut self) -> Option<LedgerNews> {
        loop {
            match self.told.recv().await {
                Ok((member, news)) if member.as_ref().is_none_or(|member| *member == self.member) => return Some(news),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(LedgerNews::Missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// A backend's end. It never waits for a reader.
#[derive(Debug)]
pub(super) struct Feed(broadcast::Sender<(Option<Member>, LedgerNews)>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Feed {
    pub(super) fn watch(&self, member: &Member) -> Watch {
        Watch { member: member.clone(), told: self.0.subscribe() }
    }

    /// Tells of a transaction. To be called in the order of versions.
    pub(super) fn changed(&self, member: &Member, version: Version) {
        self.tell(Some(member.clone()), LedgerNews::Changed(version));
    }

    /// Tells everybody to read again.
    pub(super) fn missed(&self) {
        self.tell(None, LedgerNews::Missed);
    }

    fn tell(&self, member: Option<Member>, news: LedgerNews) {
        // It fails when nobody watches.
        self.0.send((member, news)).ok();
    }
}
