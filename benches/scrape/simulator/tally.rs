//! What samples amount to: their number, and a sum over the whole content that does not depend on their order.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// So many samples. Two tallies have equal sums when the same samples were added, in any order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    /// Of all bits.
    pub(super) exact: u64,
    /// Of values as far as single precision tells them apart: some programs read numbers nearly right.
    pub(super) rough: u64,
}

impl Tally {
    /// Adds a sample of a series.
    pub(super) fn add(&mut self, series: u64, value: f64) {
        self.count += 1;
        let bits = value.to_bits();
        self.exact = self.exact.wrapping_add(mixed(series, bits));
        // The odd number keeps round values away from where the next one begins.
        self.rough = self.rough.wrapping_add(mixed(series, bits.wrapping_add(0x0a5a_5a5a) >> 29));
    }

    /// Adds all samples of another one.
    pub(super) fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.exact = self.exact.wrapping_add(other.exact);
        self.rough = self.rough.wrapping_add(other.rough);
    }
}

fn mixed(series: u64, value: u64) -> u64 {
    let mixed = (series ^ value.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// The identity of a series, from its labels in any order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Series(u64);

impl Series {
    /// Adds a label. `1` and `1.0` are the same bound of a bucket.
    pub(super) fn label(&mut self, name: &[u8], value: &[u8]) {
        let value =
            if matches!(name, b"le" | b"quantile") { value.strip_suffix(b".0").unwrap_or(value) } else { value };
        self.0 = self.0.wrapping_add(xxh3_64_with_seed(value, xxh3_64(name)));
    }

    pub(super) fn hash(self) -> u64 {
        self.0
    }
}
