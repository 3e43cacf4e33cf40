//! Publishing the roster to others: as http_sd and as files for file_sd.

pub mod encode;
pub mod file_sd;
