//! Compression of bodies.

use std::io;

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
