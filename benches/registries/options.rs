//! What may be said on the command line.

use std::str::FromStr;
use std::time::Duration;

use super::shared::program;

/// All options.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The services of Consul; each has ten instances.
    pub(super) services: usize,
    /// The containers of the engine.
    pub(super) containers: usize,
    /// For how long CPU and requests are counted, without a change and with one.
    pub(super) window: Duration,
    /// How many changes are waited for, one after the other.
    pub(super) changes: usize,
    /// The programs to run, as far as they know the mechanism.
    pub(super) programs: Vec<program::Kind>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            services: 2_000,
            containers: 1_000,
            window: Duration::from_secs(60),
            changes: 3,
            programs: program::Kind::ALL.to_vec(),
        }
    }
}

impl Options {
    /// Reads options; returns also what are none.
    pub(super) fn read(arguments: impl Iterator<Item = String>) -> (Self, Vec<String>) {
        let (mut options, mut others) = (Self::default(), Vec::new());
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--services", services)) => options.services = number(&argument, services),
                Some(("--containers", containers)) => options.containers = number(&argument, containers),
                Some(("--window", seconds)) => options.window = Duration::from_secs(number(&argument, seconds)),
                Some(("--changes", changes)) => options.changes = number(&argument, changes),
                Some(("--only", names)) => options.programs = names.split(',').map(program::Kind::named).collect(),
                // What cargo adds.
                _ if argument == "--bench" => {}
                _ => others.push(argument),
            }
        }
        (options, others)
    }
}

/// A number in an argument.
pub(super) fn number<T: FromStr>(argument: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{argument} is no number"))
}
