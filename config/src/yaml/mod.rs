//! YAML with places: every value knows its file, line and column; decoding goes on after an error, so that all problems
//! of a file are told at once; scalars mean what they mean to Prometheus' YAML reader.

mod access; // maps, lists and enums for the decoder
mod build; // parser events -> tree
mod decode; // tree -> types
mod fault; // why a value was refused
mod scalar; // what a scalar means
mod tree; // values and their places

pub(crate) use decode::decode;
pub(crate) use tree::{Id, Tree, join_path};

#[cfg(test)]
mod tests;
