//! Publishing the roster to others: as http_sd and as files for file_sd.

pub mod encode;
pub mod file_sd;
mod publications; // what they tell of themselves
mod served; // when lists were handed out

pub use publications::{Publication, Publications};
pub use served::ServedLists;
