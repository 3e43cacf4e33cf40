//! Numbers in as few bytes as they need, seven bits to a byte. Reading never fails otherwise than by `None`.

/// Appends a number.
pub(crate) fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number that may be below 0.
pub(crate) fn push_signed(out: &mut Vec<u8>, number: i64) {
    push(out, (number << 1 ^ number >> 63) as u64);
}

/// Takes a number off the front.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift > 63 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

/// Takes a number off the front that counts something in memory.
pub(crate) fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(take(bytes)?).ok()
}

/// Takes a number off the front that may be below 0.
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = take(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..20), rest in any::<u8>()) {
            let mut bytes = Vec::new();
            for number in &numbers {
                push(&mut bytes, *number);
                push_signed(&mut bytes, *number as i64);
            }
            bytes.push(rest);
            let mut read = &bytes[..];
            for number in &numbers {
                prop_assert_eq!(take(&mut read), Some(*number));
                prop_assert_eq!(take_signed(&mut read), Some(*number as i64));
            }
            prop_assert_eq!(read, &[rest]);
        }
    }

    #[test]
    fn what_has_no_end_is_no_number() {
        assert_eq!(take(&mut &[0x80; 3][..]), None);
        assert_eq!(take(&mut &[0x80; 30][..]), None);
    }
}
