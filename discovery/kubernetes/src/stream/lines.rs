//! The lines of a watch.

use memchr::memchr;

use super::LARGEST;
use crate::error::Malformed;

/// Cuts what arrives into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes what arrived; `each` is told each line that it ends, until one fails.
    pub(crate) fn push<E: From<Malformed>>(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, after) = (&chunk[..end], &chunk[end + 1..]);
            if self.rest.is_empty() {
                each(line)?;
            } else {
                self.rest.extend_from_slice(line);
                let told = each(&self.rest);
                self.rest.clear();
                told?;
            }
            chunk = after;
        }
        if self.rest.len() + chunk.len() > LARGEST {
            return Err(Malformed::TooLarge { limit: LARGEST }.into());
        }
        self.rest.extend_from_slice(chunk);
        Ok(())
    }
}
