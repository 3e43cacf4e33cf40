//! AWS: instances of EC2 and Lightsail, tasks of ECS, brokers of MSK, databases of RDS and nodes of ElastiCache. Each is a mechanism of
//! its own, and a role of the mechanism `aws`.

mod config; // what the user writes, its defaults, how it builds a discoverer
mod discoverer; // what is read when
mod error;
mod hub; // what jobs share: who asks, connections, rates
mod rate; // how fast is asked; pure
mod refusal; // what AWS says that does not answer; pure
mod roles; // what is asked for, and what becomes of it
mod service; // one service in one region, and how it is asked
#[cfg(test)]
mod tests;
mod xml; // replies in XML; pure

pub use config::{
    AwsConfig, Ec2Config, EcsConfig, ElasticacheConfig, Filter, LightsailConfig, MskConfig, RdsConfig, Role,
};
