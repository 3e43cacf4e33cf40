//! Request bodies of remote write 1.0 and 2.0. Pure: no I/O, no clock.
//!
//! The messages are those of the [specification 1.0] and the [specification 2.0]; field numbers come from `prompb` of
//! Prometheus. Series come in as bytes of version 1.0 (see [`Block`](crate::Block)) and are copied where an endpoint wants
//! them as they are.
//!
//! [specification 1.0]: https://prometheus.io/docs/specs/prw/remote_write_spec/
//! [specification 2.0]: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/

mod age;
mod assemble;
mod compress;
mod convert;
pub mod field;
mod histogram;
mod message;
mod metadata;
mod series;
mod split;
mod symbols;
#[cfg(test)]
pub(crate) mod tests;

pub use age::drop_older_than;
pub use assemble::{Assembler, BlockPlace, Dropped, Head, MOST_BYTES, Sends};
pub use compress::{Compression, Packer};
pub use convert::{v1_to_v2, v2_to_v1};
pub use histogram::encode_histogram;
pub use message::{Message, Written};
pub use metadata::metadata_request;
pub use series::{Damaged, Fields, Series, each_series, label_len, put_exemplar, put_label, put_sample, sample_len};
pub use split::{Part, split};

/// The value that says that a series has ended: a NaN that no target can expose.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
