//! Exec: runs a command that prints target groups as JSON, in the format of http_sd. Off unless `--enable-exec-sd`.
//!
//! The command runs without a shell, in a process group of its own, with no standard input, and with an environment of
//! `PATH` (the usual six folders) plus what `env` says. Whatever is left of its process group when it has ended, failed,
//! run out of time or been stopped is killed. It has ended when it exited *and* nobody holds its output open any more.

mod config;
mod discoverer;
mod error;
#[cfg(test)]
mod tests;

pub use config::ExecConfig;
