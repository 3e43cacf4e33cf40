//! Docker swarm: the services, tasks or nodes that a manager of a swarm knows. Its events hint at changes.

mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod discoverer; // the I/O
mod groups; // what becomes of what a manager tells; pure
mod labels; // what labels are called
mod objects; // what a manager tells
mod role;
#[cfg(test)]
mod tests;

pub use config::DockerSwarmConfig;
pub use role::Role;
