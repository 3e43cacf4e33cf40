//! One exchange of HTTP/1.1 over a connection that nobody else uses. What the protocol needs in memory is there only once
//! something came: an idle connection, and one whose server does not answer, is a socket and nothing else.

use std::io;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::budget::Share;
use crate::head::{self, Framing, Head, Malformed};

/// How much is read at once: at least what a small reply needs, at most a piece that the caches hold.
const READS: std::ops::RangeInclusive<u64> = 16 * 1024..=256 * 1024;
/// The longest line before a chunk, and the longest head behind the last.
const LONGEST_LINE: usize = 4096;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Before anything of the reply came: another connection may do better.
    Unanswered(io::Error),
    /// In the middle of the reply.
    Broken(io::Error),
    /// What came cannot be read.
    Malformed(Malformed),
    /// The body is larger than allowed, or than there is memory for.
    TooLarge,
}

/// Why nothing is read.
#[derive(Debug)]
enum Read {
    Failed(io::Error),
    NoMemory,
}

impl From<Read> for Failed {
    fn from(read: Read) -> Self {
        match read {
            Read::Failed(error) => Self::Broken(error),
            Read::NoMemory => Self::TooLarge,
        }
    }
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// A `GET`.
#[derive(Debug)]
pub(crate) struct Get<'a> {
    /// What is asked for, as it is sent.
    pub(crate) path: &'a str,
    /// The host, unless it is among the headers.
    pub(crate) host: &'a HeaderValue,
    pub(crate) headers: &'a HeaderMap,
}

/// What came back besides the body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The socket, if it can carry another exchange.
    pub(crate) socket: Option<Socket>,
}

/// Sends a request and appends the body of the reply to `body`, which may grow by `limit` bytes, and as far as there is memory
/// for. `expected` is how large the reply may be, as a hint.
pub(crate) async fn exchange(
    mut socket: Socket,
    request: &Get<'_>,
    body: &mut Vec<u8>,
    share: &mut Share,
    limit: u64,
    expected: u64,
) -> Result<Answer, Failed> {
    socket.write(&request.encode()).await.map_err(Failed::Unanswered)?;
    let mut reply =
        Reply { socket, ahead: Vec::new(), taken: 0, at_once: expected.clamp(*READS.start(), *READS.end()) };
    let Head { status, headers, framing, keep } = reply.head(share).await?;
    let most = (body.len() as u64).saturating_add(limit);
    match framing {
        Framing::Length(length) if length > limit => return Err(Failed::TooLarge),
        Framing::Length(length) => reply.take(length, length, body, share).await?,
        Framing::Chunked => reply.chunks(body, share, most).await?,
        Framing::Closed => reply.rest(body, share, most).await?,
    }
    // What came after the reply was not asked for.
    let socket = (keep && reply.is_read() && reply.socket.is_quiet()).then_some(reply.socket);
    Ok(Answer { status, headers, socket })
}

impl Get<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        for part in ["GET ", self.path, " HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        let mut line = |name: &[u8], value: &HeaderValue| {
            for part in [name, b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        if !self.headers.contains_key(http::header::HOST) {
            line(b"host", self.host);
        }
        for (name, value) in self.headers {
            line(name.as_str().as_bytes(), value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

impl Socket {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    /// Waits until something came, then reads up to `most` bytes of it, in one piece. 0 at the end. What is read so takes
    /// memory of the share; `rest` is how much there is at most.
    async fn read(
        &self,
        into: &mut Vec<u8>,
        share: &mut Share,
        most: u64,
        at_once: u64,
        rest: u64,
    ) -> Result<usize, Read> {
        use bytes::BufMut;
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let most = bytes(most.min(at_once));
        loop {
            match self {
                Self::Tcp(stream) => stream.readable().await.map_err(Read::Failed)?,
                Self::Unix(stream) => stream.readable().await.map_err(Read::Failed)?,
            }
            if into.capacity() - into.len() < most {
                // As much again as there is, as vectors grow, but no more than will come.
                let more = bytes(rest.min(at_once.max(into.len() as u64)));
                if !share.cover(into.len().saturating_add(more)) {
                    return Err(Read::NoMemory);
                }
                into.reserve_exact(more);
            }
            let mut part = BufMut::limit(&mut *into, most);
            let read = match self {
                Self::Tcp(stream) => stream.try_read_buf(&mut part),
                Self::Unix(stream) => stream.try_read_buf(&mut part),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Sockets say so when they are new, too, and when little came the last time. What comes may take long.
                    if into.is_empty() {
                        *into = Vec::new();
                        share.give_back();
                    }
                }
                done => return done.map_err(Read::Failed),
            }
        }
    }

    /// Whether it is open and nothing came that was not asked for.
    fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A reply that is being read.
struct Reply {
    socket: Socket,
    /// What was read beyond what was wanted.
    ahead: Vec<u8>,
    /// How much of it has been taken.
    taken: usize,
    at_once: u64,
}

impl Reply {
    /// Reads the final head. What is large takes memory of the share, which the body takes over.
    async fn head(&mut self, share: &mut Share) -> Result<Head, Failed> {
        let mut small = Share::default();
        let (mut before, mut seen) = (0, 0);
        loop {
            if let Some(length) = head::length(&self.ahead[self.taken..], seen) {
                before += length;
                if before > head::LARGEST {
                    return Err(Malformed::TooLarge.into());
                }
                let head = head::read(&self.ahead[self.taken..self.taken + length])?;
                self.taken += length;
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok(head);
                }
                seen = 0;
                continue;
            }
            seen = self.ahead.len() - self.taken;
            if before + seen > head::LARGEST {
                return Err(Malformed::TooLarge.into());
            }
            let unanswered = self.ahead.is_empty();
            // Small replies come whole; of large ones most is read where it belongs.
            let share = if seen < *READS.start() as usize { &mut small } else { &mut *share };
            match self.read_ahead(share, *READS.start()).await {
                Ok(1..) => {}
                Ok(0) if unanswered => return Err(Failed::Unanswered(io::ErrorKind::UnexpectedEof.into())),
                Ok(0) => return Err(ended()),
                Err(Read::Failed(error)) if unanswered => return Err(Failed::Unanswered(error)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads something that may not belong to the body.
    async fn read_ahead(&mut self, share: &mut Share, at_once: u64) -> Result<usize, Read> {
        self.socket.read(&mut self.ahead, share, u64::MAX, at_once, u64::MAX).await
    }

    /// Moves so many bytes to the body that came before they were wanted.
    fn hand_over(&mut self, count: usize, body: &mut Vec<u8>, share: &mut Share) -> Result<(), Failed> {
        if !share.cover(body.len().saturating_add(count)) {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&self.ahead[self.taken..self.taken + count]);
        self.taken += count;
        Ok(())
    }

    /// Moves so many bytes to the body, of which so many are left at most.
    async fn take(&mut self, length: u64, rest: u64, body: &mut Vec<u8>, share: &mut Share) -> Result<(), Failed> {
        let (mut left, beyond) = (length, rest - length);
        let there = (self.ahead.len() - self.taken).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.hand_over(there, body, share)?;
        left -= there as u64;
        if left > 0 {
            (self.ahead, self.taken) = (Vec::new(), 0);
        }
        while left > 0 {
            match self.socket.read(body, share, left, self.at_once, left.saturating_add(beyond)).await? {
                0 => return Err(ended()),
                read => left -= read as u64,
            }
        }
        Ok(())
    }

    /// Reads all that comes until the connection ends.
    async fn rest(&mut self, body: &mut Vec<u8>, share: &mut Share, most: u64) -> Result<(), Failed> {
        self.hand_over(self.ahead.len() - self.taken, body, share)?;
        (self.ahead, self.taken) = (Vec::new(), 0);
        loop {
            if body.len() as u64 > most {
                return Err(Failed::TooLarge);
            }
            if self.socket.read(body, share, u64::MAX, self.at_once, u64::MAX).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn chunks(&mut self, body: &mut Vec<u8>, share: &mut Share, most: u64) -> Result<(), Failed> {
        loop {
            let size = head::chunk_size(self.line().await?)?;
            if size == 0 {
                break;
            }
            if size > most.saturating_sub(body.len() as u64) {
                return Err(Failed::TooLarge);
            }
            self.take(size, u64::MAX, body, share).await?;
            if !self.line().await?.is_empty() {
                return Err(Malformed::Chunk.into());
            }
        }
        // Trailers are of no use here.
        let mut trailers = 0;
        loop {
            let line = self.line().await?.len();
            trailers += line;
            match line {
                0 => return Ok(()),
                _ if trailers > LONGEST_LINE => return Err(Malformed::Chunk.into()),
                _ => {}
            }
        }
    }

    /// The next line, which has to end with CR LF.
    async fn line(&mut self) -> Result<&[u8], Failed> {
        loop {
            let there = &self.ahead[self.taken..];
            match there.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let from = self.taken;
                    self.taken += end + 1;
                    let line = self.ahead[from..from + end].strip_suffix(b"\r");
                    return line.filter(|line| !line.contains(&b'\r')).ok_or(Malformed::Chunk.into());
                }
                None if there.len() >= LONGEST_LINE => return Err(Malformed::Chunk.into()),
                None => {
                    // The room of a large head is not kept.
                    self.ahead = self.ahead.split_off(self.taken);
                    self.taken = 0;
                    // It is little.
                    if self.read_ahead(&mut Share::default(), self.at_once).await? == 0 {
                        return Err(ended());
                    }
                }
            }
        }
    }

    fn is_read(&self) -> bool {
        self.taken == self.ahead.len()
    }
}

fn ended() -> Failed {
    Failed::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended in the middle of the reply"))
}
