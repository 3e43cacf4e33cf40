//! Eureka: the instances of the applications that it knows of, polled as a whole.

mod config;
mod decode;
#[cfg(test)]
mod tests;

pub use config::EurekaConfig;
