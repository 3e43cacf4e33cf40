//! A consumer that remembers a list, and asks whether it is another one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What it remembers.
#[derive(Debug, Default)]
pub(crate) struct Cached {
    list: Option<(String, String)>,
    /// Every other time it asks for all of it, so that both are asked.
    asks_for_all: bool,
}

impl Cached {
    /// Status and body of the list at a URL: those from before where it is said to be the same. `None` when nobody listens.
    pub(crate) async fn ask(&mut self, url: &str) -> Option<(u16, String)> {
        self.asks_for_all = !self.asks_for_all;
        let tag = self.list.as_ref().map(|(tag, _)| tag.as_str()).filter(|_| !self.asks_for_all);
        let (head, body) = get(url, tag).await?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        if status == 304 {
            return Some((200, self.list.as_ref()?.1.clone()));
        }
        let tag = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("etag").then(|| value.trim().to_owned())
        });
        self.list = tag.filter(|_| status == 200).map(|tag| (tag, body.clone()));
        Some((status, body))
    }
}

/// Head and body of an answer, which ends with its connection.
async fn get(url: &str, tag: Option<&str>) -> Option<(String, String)> {
    let (authority, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(authority).await.ok()?;
    let tag = tag.map(|tag| format!("if-none-match: {tag}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nhost: {authority}\r\n{tag}\r\n").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    tokio::time::timeout(rosterd_testkit::patience(), stream.read_to_end(&mut answer)).await.ok()?.ok()?;
    let (head, body) = str::from_utf8(&answer).ok()?.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}
