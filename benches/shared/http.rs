//! One request, and how long it took.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body, as it went over the wire.
    pub(crate) body: Vec<u8>,
}

/// Asks over a connection of its own.
pub(crate) async fn get(port: u16, path: &str, encoding: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let (Some(status), Some(head)) = (status, head) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    Ok(Answer { status, body: answer.split_off(head + 4) })
}
