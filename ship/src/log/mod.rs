//! The queue on disk: a log of records in segments, and the position up to which they were sent.
//!
//! A folder holds `<number>.segment` files, a `position` and a `lock`. Records are appended, read in their order and
//! acknowledged; what is acknowledged is deleted a segment at a time. Whatever a killed process, a full disk or a failing one
//! leaves behind, every whole record is found. Everything here blocks: it is for a thread of its own.

pub(crate) mod fuzzing; // what may happen to a log
mod mend; // bytes of which one flipped
mod place; // the folder
mod position; // up to where records were acknowledged
mod reader; // the records of a segment
mod record; // a record and its bytes
mod segment; // one file
mod store; // the log
#[cfg(test)]
mod tests;
mod walk; // from record to record

pub(crate) use place::{LogError, has_segments, is_free, is_usable};
pub(crate) use position::REACH;
pub(crate) use record::Record;
pub(crate) use store::{Fault, Kept, Log, Settings, is_spent};
