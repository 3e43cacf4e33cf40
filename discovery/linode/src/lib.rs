//! Linode: instances with their addresses, read whole when the feed of events has news.

mod config; // what the user writes, its defaults and checks
mod decode; // bytes -> lists -> groups; pure
mod discoverer; // the I/O
mod feed; // whether there is news
#[cfg(test)]
mod tests;

pub use config::LinodeConfig;
