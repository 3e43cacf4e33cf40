//! Consulagent: the services that are registered with one agent of Consul, with their health as it knows it. Its servers are not asked.

mod config;
mod decode;
#[cfg(test)]
mod tests;

pub use config::ConsulAgentConfig;
