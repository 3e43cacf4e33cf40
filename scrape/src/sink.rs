//! Where scraped series go.

use rosterd_ship::{Block, Wants};

/// Takes what scrapes hand over.
pub trait Sink: Send + Sync + 'static {
    /// What it can make use of. Asked when jobs change.
    fn wants(&self) -> Wants;

    /// Takes the series of a scrape. Must not wait. Series of one `key` arrive in order.
    fn push(&self, key: u64, block: &Block);
}
