//! Marathon: the tasks of the applications that it runs, polled as a whole from one of its servers.

mod config;
mod decode;
mod discoverer;
mod error;
#[cfg(test)]
mod tests;

pub use config::MarathonConfig;
