//! What fuzzing runs, and stable tests with it: any bytes as the answer of a receiver, and whatever happens to a queue on disk.

pub use crate::endpoint::fuzzing::answer;
pub use crate::log::fuzzing::queue;
