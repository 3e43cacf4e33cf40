//! YAML with places: every value knows its file, line and column; decoding goes on after an error, so that all problems
//! of a file are told at once; scalars mean what they mean to Prometheus' YAML reader. Configurations, lists of target
//! groups and whatever else is YAML are read here and nowhere else.

mod access; // maps, lists and enums for the decoder
mod build; // parser events -> tree
mod decode; // tree -> types
mod fault; // why a value was refused
mod parse; // bytes -> parser events
mod problem; // what is wrong, and where
mod scalar; // what a scalar means
mod syntax; // what the parser complains of, in our words
mod tree; // values and their places

pub use build::Reading;
pub use decode::{Cursor, Decoded, decode, load};
pub use fault::Fault;
pub use problem::{Problem, Problems, code};
pub use tree::{Id, Tree, join_path};

#[cfg(test)]
mod tests;
