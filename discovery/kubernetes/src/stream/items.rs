//! A list, cut into its objects while it arrives.

use memchr::memchr2;

use super::LARGEST;
use crate::error::Malformed;

/// Cuts `{"metadata":{…},"items":[{…},{…}]}` into pieces. What else there is at the outside is passed over.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// What arrived and belongs to nothing that is whole yet.
    buffer: Vec<u8>,
    /// Up to where the buffer was looked at.
    at: usize,
    depth: usize,
    string: Option<Text>,
    /// Where the last string at the outside is: perhaps a key.
    last: (usize, usize),
    key: Key,
    /// Where the piece begins that is being read.
    start: Option<usize>,
    ended: bool,
}

/// A string that has not ended.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    /// The next character stands for itself.
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Key {
    #[default]
    Other,
    Metadata,
    Items,
}

/// A piece of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// What the list says of itself.
    Metadata(&'a [u8]),
    /// An object.
    Object(&'a [u8]),
}

impl Items {
    /// Takes what arrived; `each` is told each piece that is whole now, until one fails.
    pub(crate) fn push<E: From<Malformed>>(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.buffer.extend_from_slice(chunk);
        while let Some(piece) = self.next()? {
            each(match self.key {
                Key::Metadata => Piece::Metadata(&self.buffer[piece.0..piece.1]),
                _ => Piece::Object(&self.buffer[piece.0..piece.1]),
            })?;
        }
        self.shorten();
        if self.buffer.len() > LARGEST {
            return Err(Malformed::TooLarge { limit: LARGEST }.into());
        }
        Ok(())
    }

    /// Whether the list was whole.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Where the next whole piece is; `None` when more has to arrive.
    fn next(&mut self) -> Result<Option<(usize, usize)>, Malformed> {
        loop {
            if let Some(string) = self.string
                && !self.end_string(string)
            {
                return Ok(None);
            }
            let Some(byte) = self.buffer.get(self.at) else { return Ok(None) };
            let at = self.at;
            self.at += 1;
            match byte {
                b'"' => self.string = Some(Text { start: at, escaped: false }),
                b'{' | b'[' => {
                    if self.ended || self.depth == 0 && *byte == b'[' {
                        return Err(Malformed::NoList);
                    }
                    let wanted = match self.key {
                        Key::Items => 2,
                        Key::Metadata => 1,
                        Key::Other => usize::MAX,
                    };
                    if self.depth == wanted && *byte == b'{' {
                        self.start = Some(at);
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(Malformed::NoList)?;
                    self.ended |= self.depth == 0;
                    let inside = if self.key == Key::Items { 2 } else { 1 };
                    if self.depth == inside
                        && let Some(start) = self.start.take()
                    {
                        return Ok(Some((start, at + 1)));
                    }
                }
                b':' if self.depth == 1 => {
                    self.key = match self.buffer.get(self.last.0..self.last.1) {
                        Some(b"\"items\"") => Key::Items,
                        Some(b"\"metadata\"") => Key::Metadata,
                        _ => Key::Other,
                    };
                }
                _ if self.depth == 0 && !byte.is_ascii_whitespace() => return Err(Malformed::NoList),
                _ => {}
            }
        }
    }

    /// Looks for the end of a string; false when it has not arrived.
    fn end_string(&mut self, mut string: Text) -> bool {
        loop {
            if string.escaped {
                if self.at >= self.buffer.len() {
                    break;
                }
                self.at += 1;
                string.escaped = false;
            }
            match memchr2(b'"', b'\\', &self.buffer[self.at..]) {
                None => {
                    self.at = self.buffer.len();
                    break;
                }
                Some(found) => {
                    self.at += found + 1;
                    if self.buffer[self.at - 1] == b'"' {
                        if self.depth == 1 {
                            self.last = (string.start, self.at);
                        }
                        self.string = None;
                        return true;
                    }
                    string.escaped = true;
                }
            }
        }
        self.string = Some(string);
        false
    }

    /// Lets go of what was looked at.
    fn shorten(&mut self) {
        let last = (self.depth == 1 && self.last.1 > 0).then_some(self.last.0);
        let string = self.string.map(|string| string.start);
        let keep = [self.start, last, string].into_iter().flatten().fold(self.at, usize::min);
        self.buffer.drain(..keep);
        self.at -= keep;
        self.start = self.start.map(|start| start - keep);
        self.string = self.string.map(|string| Text { start: string.start - keep, ..string });
        self.last = if last.is_some() { (self.last.0 - keep, self.last.1 - keep) } else { (0, 0) };
    }
}
