//! From updates of providers to files on disk, and the replacement of one file.

mod publishing;
mod write;
