//! The characters of names.

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

/// Where the name ends that begins at `start`.
#[inline]
pub(super) fn name_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    start + rest.iter().position(|&byte| !is_name(byte)).unwrap_or(rest.len())
}
