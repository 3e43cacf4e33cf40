//! What was read last: a body that is the same says nothing new.

use xxhash_rust::xxh3::xxh3_128;

use crate::Fault;

/// The hash of the last body that was read, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Last(Option<u128>);

impl Last {
    /// What becomes of a body if it is another one, and what is the last one then. A body that cannot be read is none.
    pub(crate) fn changed<T>(
        self,
        body: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<(Self, Option<T>), Fault> {
        let read = Self(Some(xxh3_128(body)));
        Ok((read, if read == self { None } else { Some(decode(body)?) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_unless_it_is_the_last_one_that_could_be_read() {
        let length = |body: &[u8]| if body.is_empty() { Err(Fault::new("empty")) } else { Ok(body.len()) };
        let mut last = Last::default();
        let mut read = |body: &str| {
            let (read, length) = last.changed(body.as_bytes(), length).ok()?;
            last = read;
            Some(length)
        };
        let bodies = ["", "a", "a", "bc", "", "bc", "a"];
        assert_eq!(
            bodies.map(&mut read),
            [None, Some(Some(1)), Some(None), Some(Some(2)), None, Some(None), Some(Some(1))]
        );
    }
}
