//! Docker: the containers of an engine, with their networks and ports. The events of the engine hint at changes.

mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod containers; // containers and networks -> groups; pure
mod discoverer; // the I/O
#[cfg(test)]
mod tests;

pub use config::DockerConfig;
