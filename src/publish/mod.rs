//! Publishing the roster to others: as http_sd, as files for file_sd, and through templates.

pub mod encode;
pub mod file_sd;
mod kind; // the kinds of workers
mod publications; // what they tell of themselves
mod served; // when lists were handed out
pub mod templates;

pub use kind::{Kind, Wanted, Workers};
pub use publications::{Publication, Publications};
pub use served::ServedLists;
