//! What the benchmarks beside other programs have in common: the programs, what they use, and the table of figures.

pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod table;
pub(crate) mod usage;
