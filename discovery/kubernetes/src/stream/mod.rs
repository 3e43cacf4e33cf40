//! Bytes of lists and watches, cut into pieces while they arrive. No more of a body is kept than one object.

mod event; // lines of a watch
mod items; // a list
mod lines;
#[cfg(test)]
mod tests;

pub(crate) use event::{Event, EventKind, ListMeta, Status};
pub(crate) use items::{Items, Piece};
pub(crate) use lines::Lines;

/// No object is larger: etcd takes a megabyte and a half.
pub(crate) const LARGEST: usize = 16 << 20;
