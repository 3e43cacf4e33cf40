//! Remote write: what was scraped goes to receivers, through a queue that outlives them and this process.

mod block;
pub mod wire;

pub use block::{Block, Counts, Extra, Wants};
