//! Noticing changed files: one watcher for `file_sd`, the configuration's auto-reload and everything else that is read
//! again when it changes. Built on inotify; where that is not to be had, the caller's own interval has to do.

mod error; // why files cannot be watched
mod inbox; // events of the operating system, kept until somebody asks; bounded
mod inotify; // one instance for many watchers
mod pattern; // what stands for many names
mod plan; // paths and patterns -> directories to watch, and what an event in one of them means
#[cfg(test)]
mod tests;
mod watched; // these put together, with a short debounce; blocking
mod watcher; // the face of it, which blocks nobody

pub use error::WatchError;
pub use inotify::Inotify;
pub use pattern::{BadPattern, check_pattern, stands_for};
pub use plan::{Expansion, expand};
pub use watched::Changes;
pub use watcher::Watcher;
