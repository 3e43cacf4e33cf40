//! Yandex Cloud: the instances of folders, polled from the API.

mod account; // where the services are, and tokens for them
mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod decode; // answers -> values and groups; pure
mod discoverer; // what is asked
mod error;
#[cfg(test)]
mod tests;

pub use config::YandexcloudConfig;
