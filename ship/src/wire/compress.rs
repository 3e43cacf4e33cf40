//! Compression of bodies.

use std::{fmt, io};

use bytes::Bytes;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// The block format of snappy, which every receiver takes.
    #[default]
    Snappy,
    /// Zstandard, which some receivers take; a third to half the size of snappy.
    Zstd,
}

/// Zstandard's cheapest level that still looks for repetitions far away.
const LEVEL: i32 = 1;

impl Compression {
    /// The `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }

    /// The body, compressed.
    pub fn pack(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::Snappy => {
                snap::raw::Encoder::new().compress_vec(body).expect("bodies are below the 4 GiB that snappy can take")
            }
            Self::Zstd => zstd::bulk::compress(body, LEVEL).expect("the level exists and the buffer is large enough"),
        }
    }

    /// The body as it was before [`pack`](Self::pack). Fails when the bytes are damaged, or unpack to more than `limit`.
    pub fn unpack(self, packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Snappy => {
                let length = snap::raw::decompress_len(packed).map_err(io::Error::other)?;
                if length > limit {
                    return Err(io::Error::other("the body is too large"));
                }
                snap::raw::Decoder::new().decompress_vec(packed).map_err(io::Error::other)
            }
            Self::Zstd => zstd::bulk::decompress(packed, limit),
        }
    }
}

/// Compresses bodies one after the other, and keeps what that takes.
pub struct Packer {
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    scratch: Vec<u8>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self { snappy: snap::raw::Encoder::new(), zstd: None, scratch: Vec::new() }
    }
}

impl Packer {
    /// The body, compressed as by [`Compression::pack`].
    pub fn pack(&mut self, compression: Compression, body: &[u8]) -> Bytes {
        let length = match compression {
            Compression::Snappy => {
                let most = snap::raw::max_compress_len(body.len());
                if self.scratch.len() < most {
                    self.scratch.resize(most, 0);
                }
                let packed = self.snappy.compress(body, &mut self.scratch);
                packed.expect("bodies are below the 4 GiB that snappy can take")
            }
            Compression::Zstd => {
                let made = || zstd::bulk::Compressor::new(LEVEL).expect("the level exists");
                let zstd = self.zstd.get_or_insert_with(made);
                let most = zstd::zstd_safe::compress_bound(body.len());
                if self.scratch.len() < most {
                    self.scratch.resize(most, 0);
                }
                let packed = zstd.compress_to_buffer(body, self.scratch.as_mut_slice());
                packed.expect("the buffer is large enough")
            }
        };
        Bytes::copy_from_slice(&self.scratch[..length])
    }
}
