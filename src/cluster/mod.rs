//! Members that share the targets of one configuration: each target has a slot, and each slot has a member that owns it. Pure.

mod error;
mod share; // which targets are whose
mod slot; // which slot a target has
mod table; // which member owns a slot

pub use error::NotAMember;
pub use share::Share;
pub use slot::{SLOTS, Slot, is_asked};
pub use table::Table;
