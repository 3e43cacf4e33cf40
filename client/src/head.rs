//! The head of a reply of HTTP/1.1, read as Go's `net/http` does, so that what Prometheus can scrape can be scraped here:
//! lines may be folded and may end with a bare line feed, there may be any number of headers, and one whose name has a blank
//! counts for nothing. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The largest head, with those of the replies before the final one: as much as Go takes.
pub(crate) const LARGEST: usize = 10 << 20;
/// More headers than this are an error where the library reads the head. Room for them is made for each reply.
pub(crate) const MOST_HEADERS: usize = 4096;

/// What a head says.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection stays open after the body.
    pub(crate) keep: bool,
}

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// Where its chunks say.
    Chunked,
    /// Where the connection does.
    Closed,
}

/// What is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the first line of the reply is not that of HTTP/1.0 or HTTP/1.1")]
    Status,
    #[error("a header of the reply is malformed")]
    Header,
    #[error("the reply has more headers than can be kept")]
    TooMany,
    #[error("the length of the reply is malformed, or said differently twice")]
    Length,
    #[error("the transfer encoding of the reply is not supported: only chunked is")]
    Encoding,
    #[error("the head of the reply is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the head of the reply is larger than {LARGEST} bytes, or has more than {MOST_HEADERS} headers")]
    TooMuch,
    #[error("the reply breaks the rules of HTTP/2, or its head is larger than {LARGEST} bytes")]
    Http2,
    #[error("a chunk of the reply is malformed")]
    Chunk,
}

/// The length of the head at the beginning of these bytes, with the empty line that ends it; `None` as long as there is none.
/// The first `seen` bytes are known to have no end.
pub(crate) fn length(bytes: &[u8], seen: usize) -> Option<usize> {
    // The end is at most three bytes long, and may have begun before.
    let mut from = seen.saturating_sub(3);
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        from += at + 1;
        match &bytes[from..] {
            [b'\n', ..] => return Some(from + 1),
            [b'\r', b'\n', ..] => return Some(from + 2),
            _ => {}
        }
    }
    None
}

/// Reads a whole head.
pub(crate) fn read(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut lines = Lines(bytes);
    let (status, newer) = status(lines.next().unwrap_or_default())?;
    let headers = headers(lines)?;
    let framing = framing(status, newer, &headers)?;
    let says = |token: &str| {
        let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    let keep = framing != Framing::Closed && !says("close") && (newer || says("keep-alive"));
    Ok(Head { status, headers, framing, keep })
}

/// Lines without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The status, and whether this is HTTP/1.1 or newer.
fn status(line: &[u8]) -> Result<(StatusCode, bool), Malformed> {
    let text = std::str::from_utf8(line).map_or_else(|error| &line[..error.valid_up_to()], str::as_bytes);
    let text = String::from_utf8_lossy(text);
    let (version, rest) = text.split_once(' ').ok_or(Malformed::Status)?;
    let newer = match version.strip_prefix("HTTP/").map(str::as_bytes) {
        Some([b'0'..=b'9', b'.', b'0'..=b'9']) => version >= "HTTP/1.1",
        _ => return Err(Malformed::Status),
    };
    let code = rest.trim_start_matches(' ').split(' ').next().unwrap_or_default();
    let status = StatusCode::from_bytes(code.as_bytes()).map_err(|_| Malformed::Status)?;
    Ok((status, newer))
}

fn headers(lines: Lines<'_>) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::new();
    let mut lines = lines.peekable();
    if lines.peek().is_some_and(|first| is_continued(first)) {
        return Err(Malformed::Header);
    }
    let mut folded = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Err(Malformed::Header) };
        let mut line = trim(line);
        if lines.peek().is_some_and(|next| is_continued(next)) {
            folded.clear();
            folded.extend_from_slice(line);
            while let Some(more) = lines.next_if(|next| is_continued(next)) {
                folded.push(b' ');
                folded.extend_from_slice(trim(more));
            }
            line = &folded;
        }
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = HeaderValue::from_bytes(trim(value)).map_err(|_| Malformed::Header)?;
        match HeaderName::from_bytes(name) {
            Ok(name) => drop(headers.try_append(name, value).map_err(|_| Malformed::TooMany)?),
            // Go keeps it, under a name that nobody asks for.
            Err(_) if is_blank_but_good(name) => {}
            Err(_) => return Err(Malformed::Header),
        }
    }
    Ok(headers)
}

/// Without blanks and tabs around it.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Whether a line belongs to the one before. An empty one ends the head.
fn is_continued(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// Whether a name would be one without its blanks.
fn is_blank_but_good(name: &[u8]) -> bool {
    let without: Vec<u8> = name.iter().copied().filter(|byte| *byte != b' ').collect();
    without.len() < name.len() && (without.is_empty() || HeaderName::from_bytes(&without).is_ok())
}

fn framing(status: StatusCode, newer: bool, headers: &HeaderMap) -> Result<Framing, Malformed> {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = match (newer, encodings.next(), encodings.next()) {
        (false, ..) | (true, None, _) => false,
        (true, Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Malformed::Encoding),
    };
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) {
        return Err(Malformed::Length);
    }
    let number = |value: &HeaderValue| {
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<i64>().ok()).map(i64::unsigned_abs).ok_or(Malformed::Length)
    };
    let length = length.map(number).transpose()?;
    let without_body =
        status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    Ok(match length {
        _ if without_body => Framing::Length(0),
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::Closed,
    })
}

/// The size of a chunk, by the line before it.
pub(crate) fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    // Blanks may stand behind it only.
    let size = if size.first().is_some_and(u8::is_ascii_hexdigit) { trim(size) } else { size };
    let digits = std::str::from_utf8(size).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(Malformed::Chunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Head, Malformed> {
        read(text.as_bytes())
    }

    fn header(text: &str, name: &str) -> Option<String> {
        let value = head(text).expect(text).headers.get(name).cloned();
        value.map(|value| value.to_str().expect("tests have text").to_owned())
    }

    #[test]
    fn folded_lines_are_one() {
        let text = "HTTP/1.1 200 OK\r\nx-long: a\r\n  b \r\n\t\tc\r\n \r\ncontent-length: 1\r\n\r\n";
        assert_eq!(header(text, "x-long").as_deref(), Some("a b c"));
        assert_eq!(head(text).expect("a head").framing, Framing::Length(1));
    }

    #[test]
    fn names_with_blanks_count_for_nothing() {
        let text = "HTTP/1.1 200 OK\ncontent-length : 3\nx y: 1\n : 2\ncontent-type: text/plain\n\n";
        let head = head(text).expect("a head");
        assert_eq!((head.headers.len(), head.framing, head.keep), (1, Framing::Closed, false));
        for bad in ["x\ty: 1", "x", "(): 1", ": 1", " x: 1", "é: 1", "x: \u{1}", "x: \u{7f}"] {
            let text = format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n");
            assert_eq!(read(text.as_bytes()), Err(Malformed::Header), "{bad:?}");
        }
    }

    #[test]
    fn any_number_of_headers_is_kept() {
        let many: String = (0..20_000).map(|number| format!("x-{number}: {number}\r\n")).collect();
        let head = head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).expect("a head");
        assert_eq!((head.headers.len(), &head.headers["x-19999"]), (20_000, &HeaderValue::from_static("19999")));
        let too_many: String = (0..40_000).map(|number| format!("x-{number}: {number}\r\n")).collect();
        assert_eq!(read(format!("HTTP/1.1 200 OK\r\n{too_many}\r\n").as_bytes()), Err(Malformed::TooMany));
    }

    #[test]
    fn the_first_line_has_a_version_and_a_status() {
        for (line, status, keep) in [
            ("HTTP/1.1 200 OK", 200, true),
            ("HTTP/1.1 204", 204, true),
            ("HTTP/1.1   404 Not Found", 404, true),
            ("HTTP/1.0 200 OK", 200, false),
            ("HTTP/2.0 200 OK", 200, true),
        ] {
            let head = head(&format!("{line}\r\ncontent-length: 0\r\n\r\n")).expect(line);
            assert_eq!((head.status.as_u16(), head.keep), (status, keep), "{line}");
        }
        for line in ["HTTP/1.1", "HTTP/1.1 20 OK", "HTTP/1.10 200 OK", "http/1.1 200 OK", "SSH-2.0-x", "HTTP/1.1 2000"]
        {
            assert_eq!(head(&format!("{line}\r\n\r\n")), Err(Malformed::Status), "{line}");
        }
    }

    #[test]
    fn the_body_ends_where_the_head_says() {
        for (headers, framing) in [
            ("", Ok(Framing::Closed)),
            ("content-length: 5", Ok(Framing::Length(5))),
            ("content-length: 5\r\nContent-Length: 5", Ok(Framing::Length(5))),
            ("content-length: 5\r\ncontent-length: 6", Err(Malformed::Length)),
            ("content-length: +5", Err(Malformed::Length)),
            ("content-length:", Err(Malformed::Length)),
            ("content-length: 9223372036854775808", Err(Malformed::Length)),
            ("transfer-encoding: Chunked", Ok(Framing::Chunked)),
            ("transfer-encoding: chunked\r\ncontent-length: 5", Ok(Framing::Chunked)),
            ("transfer-encoding: gzip, chunked", Err(Malformed::Encoding)),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Err(Malformed::Encoding)),
        ] {
            let found = head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n"));
            assert_eq!(found.map(|head| head.framing), framing, "{headers}");
        }
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head(old).expect("a head").framing, Framing::Closed);
        for status in ["204 No", "304 Not", "100 Go on"] {
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\n");
            assert_eq!(head(&text).expect("a head").framing, Framing::Length(0), "{status}");
        }
    }

    #[test]
    fn a_connection_stays_open_unless_one_says_otherwise() {
        let keep = |text: &str| head(&format!("{text}\r\ncontent-length: 0\r\n\r\n")).expect("a head").keep;
        assert!(keep("HTTP/1.0 200 OK\r\nconnection: Keep-Alive"));
        assert!(!keep("HTTP/1.1 200 OK\r\nconnection: x, Close"));
        assert!(!keep("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nconnection: close"));
    }

    #[test]
    fn chunks_have_a_size() {
        for (line, size) in [("5", 5), ("00fF", 255), ("a; name=value", 10), ("3 \t", 3), ("0", 0)] {
            assert_eq!(chunk_size(line.as_bytes()), Ok(size), "{line}");
        }
        for line in ["", "x", "-1", "+1", " 1", "ffffffffffffffff0", "0x1"] {
            assert_eq!(chunk_size(line.as_bytes()), Err(Malformed::Chunk), "{line}");
        }
    }

    proptest! {
        #[test]
        fn the_end_is_found_however_the_bytes_come(
            text in "[a\r\n]{0,40}", cuts in proptest::collection::vec(0_usize..40, 0..5),
        ) {
            let bytes = text.as_bytes();
            let whole = length(bytes, 0);
            let (mut seen, mut cuts) = (0, cuts);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            for cut in cuts.into_iter().map(|cut| cut.min(bytes.len())) {
                let found = length(&bytes[..cut], seen);
                if found.is_some() || cut == bytes.len() {
                    // An end that is found may have been found before more came, never later.
                    prop_assert_eq!(found, whole);
                    break;
                }
                seen = cut;
            }
        }

        #[test]
        fn no_head_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = [b"HTTP/1.1 200 OK\r\n", bytes.as_slice(), b"\r\n\r\n"].concat();
            read(&text).ok();
        }
    }
}
