//! Bytes that end with their checksum, of which one flipped.

/// Puts right a single byte that is not as it was written, by the checksum (CRC-32, little-endian) that the bytes end with.
/// Returns whether they are good now. Of bytes that are damaged in more places some are taken for good, one time in a million for
/// each byte, so that something else has to bear them out.
pub(super) fn mend(bytes: &mut [u8]) -> bool {
    let Some((content, checksum)) = bytes.split_last_chunk_mut::<4>() else { return false };
    let found = crc32fast::hash(content);
    let difference = found ^ u32::from_le_bytes(*checksum);
    if difference.to_le_bytes().iter().filter(|byte| **byte != 0).count() <= 1 {
        *checksum = found.to_le_bytes();
        return true;
    }
    // What each flip of the last byte does to the checksum, then of the one before, and so on.
    let flips: Vec<u32> = (0..=u32::from(u8::MAX)).map(shifted).collect();
    let mut effects = flips.clone();
    for byte in content.iter_mut().rev() {
        if let Some(flip) = effects.iter().position(|effect| *effect == difference) {
            *byte ^= flip as u8;
            return true;
        }
        for effect in &mut effects {
            *effect = *effect >> 8 ^ flips[*effect as usize & 0xff];
        }
    }
    false
}

/// The remainder of a byte.
fn shifted(byte: u32) -> u32 {
    (0..8).fold(byte, |rest, _| if rest & 1 == 1 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_single_byte_is_put_right_and_two_are_not() {
        let mut good: Vec<u8> = (0..60u8).map(|number| number.wrapping_mul(77)).collect();
        good.extend(crc32fast::hash(&good).to_le_bytes());
        for index in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[index] ^= flip;
                assert!(mend(&mut bytes), "byte {index}");
                assert_eq!(bytes, good, "byte {index}");
            }
        }
        let mut bytes = good.clone();
        (bytes[3], bytes[40]) = (bytes[3] ^ 1, bytes[40] ^ 1);
        let damaged = bytes.clone();
        assert!(!mend(&mut bytes));
        assert_eq!(bytes, damaged, "what cannot be mended is left as it is");
    }
}
