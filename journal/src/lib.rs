//! The journal: the history of the roster, in segment files of its own. Events are appended in batches; each segment begins
//! with a checkpoint, the whole roster of that moment, so that the roster of any time can be rebuilt from one segment, and old
//! ones can go. What is damaged is skipped and told. Everything here blocks: it is for threads that may.

mod batch; // events to the body of a record
mod body; // and back, in place
mod checkpoint; // a whole roster to bodies of records, and back
mod counts; // of targets, over time
mod down; // which targets are
mod error;
mod event;
mod held; // why a target is
mod medium; // files, or memory
mod moment; // which event is the last one of a time
mod pace; // how far a clock is believed
mod past; // the roster of a time
mod query; // queries as data
mod read; // executes them
mod record; // what precedes a body
mod segment; // what is known of one
#[cfg(test)]
mod tests;
mod time;
mod varint;
mod walk; // from record to record, past damage
mod writer;

pub use batch::Batch;
pub use counts::Counts;
pub use down::Fingerprints;
pub use error::{Fault, JournalError};
pub use event::{Event, Kind, Note};
pub use held::Held;
pub use past::{Past, PastDifference};
pub use query::{Page, Query, meaning};
pub use read::{Reader, Resume};
pub use time::Time;
pub use writer::{Found, Settings, Target, Writer};
