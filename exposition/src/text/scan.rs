//! Looking at bytes: the characters of names, and words of eight bytes looked at in one go.

const START: u8 = 1;
const NAME: u8 = 2;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        if ascii.is_ascii_alphabetic() || ascii == b'_' || ascii == b':' {
            class[byte] = START | NAME;
        } else if ascii.is_ascii_digit() {
            class[byte] = NAME;
        }
        byte += 1;
    }
    class
};

/// Whether a name may begin with it.
#[inline]
pub(super) fn is_name_start(byte: u8) -> bool {
    CLASS[usize::from(byte)] & START != 0
}

/// Whether it may be part of a name.
#[inline]
fn is_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & NAME != 0
}

/// Whether it separates words in Prometheus' format.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Where the name ends that begins at `start`.
#[inline]
pub(super) fn name_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    start + rest.iter().position(|&byte| !is_name(byte)).unwrap_or(rest.len())
}

/// Eight bytes, the first one lowest; `None` where fewer are left.
#[inline]
pub(super) fn load(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// The highest bit of each byte that is `byte`. Bits above the lowest one may be wrong, because of borrows.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (LOW * u64::from(byte));
    zeros.wrapping_sub(LOW) & !zeros & HIGH
}

/// Where the closing quote of a string without escapes and line breaks stands, which begins at `start`. `None` if it has
/// one of them, or is too near to the end of the body to be looked at in this way.
#[inline]
pub(super) fn plain_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let word = load(bytes, at)?;
        let hits = equal(word, b'"') | equal(word, b'\\') | equal(word, b'\n');
        if hits != 0 {
            let end = at + (hits.trailing_zeros() / 8) as usize;
            return (bytes[end] == b'"').then_some(end);
        }
        at += 8;
    }
}

/// Whether the same `length` bytes stand at two places. May say no near the end of the body.
#[inline]
pub(super) fn same(bytes: &[u8], one: usize, other: usize, length: usize) -> bool {
    let differ = |offset: usize| match (load(bytes, one + offset), load(bytes, other + offset)) {
        (Some(one), Some(other)) => one ^ other,
        _ => u64::MAX,
    };
    match length {
        0 => true,
        1..=8 => differ(0) << (64 - 8 * length) == 0,
        9..=16 => differ(0) | differ(length - 8) == 0,
        _ => bytes.get(one..one + length).is_some_and(|one| Some(one) == bytes.get(other..other + length)),
    }
}

/// The digits at the beginning of a word: their number, and how many there are.
#[inline]
pub(super) fn leading_digits(word: u64) -> (u64, u32) {
    let digits = word ^ (LOW * u64::from(b'0'));
    // Exact up to the first byte that is no digit, and that is the one asked for.
    let others = (digits.wrapping_add(LOW * 0x76) | digits) & HIGH;
    let count = others.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // What comes before the first digit counts as zeros. Then neighbours are added up: pairs, fours, all eight.
    let digits = digits << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    const MASK: u64 = 0x0000_00ff_0000_00ff;
    let high = (pairs & MASK).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & MASK).wrapping_mul(1 + (10_000 << 32));
    (high.wrapping_add(low) >> 32, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_and_read() {
        for (text, number, count) in [
            ("12345678", 12_345_678, 8),
            ("00000001", 1, 8),
            ("7\n123456", 7, 1),
            ("99 \u{ff}abc", 99, 2),
            ("1234567/", 1_234_567, 7),
            ("123:5678", 123, 3),
            ("x1234567", 0, 0),
            ("\u{ff}123456", 0, 0),
        ] {
            let word = load(text.as_bytes(), 0).expect("there are eight bytes");
            assert_eq!(leading_digits(word), (number, count), "{text:?}");
        }
    }

    #[test]
    fn strings_end_at_the_first_quote() {
        let end = |text: &str| plain_string_end(text.as_bytes(), 1);
        assert_eq!(end("\"abc\"   \"   "), Some(4));
        assert_eq!(end("\"\"12345678"), Some(1));
        assert_eq!(end("\"0123456789abcdefé#!\" 12345678"), Some(21));
        assert_eq!(end("\"ab\\\"c\" 12345678"), None);
        assert_eq!(end("\"ab\nc\" 12345678"), None);
        assert_eq!(end("\"abcdefghijklm"), None);
        assert_eq!(end("\"abc\""), None);
    }

    #[test]
    fn places_are_compared_to_the_last_byte() {
        for length in 0..40 {
            let text = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH";
            let twice = [text, text, "--------"].concat();
            assert!(same(twice.as_bytes(), 0, text.len(), length));
            for wrong in 0..length {
                let mut bytes = twice.clone().into_bytes();
                bytes[wrong] = b'!';
                assert!(!same(&bytes, 0, text.len(), length), "{length} {wrong}");
            }
            assert!(same(twice.as_bytes(), 0, twice.len(), 0) && !same(twice.as_bytes(), 0, twice.len(), length + 1));
        }
    }
}
