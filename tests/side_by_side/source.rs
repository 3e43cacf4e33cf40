//! An HTTP server that a test turns to other answers, to errors, and off. It answers every path alike.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The server; off when dropped.
pub(crate) struct Source {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinSet<Infallible>,
}

struct Shared {
    content_type: &'static str,
    answer: Mutex<(u16, String)>,
    requests: AtomicUsize,
}

impl Source {
    /// Serves target groups as JSON.
    pub(crate) async fn json(body: impl Into<String>) -> Self {
        Self::start("application/json", body.into()).await
    }

    /// Serves a page of metrics.
    pub(crate) async fn exposition() -> Self {
        Self::start("text/plain; version=0.0.4", "something 1\n".to_owned()).await
    }

    async fn start(content_type: &'static str, body: String) -> Self {
        let shared = Shared { content_type, answer: Mutex::new((200, body)), requests: AtomicUsize::new(0) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut source = Self { address, shared: Arc::new(shared), task: JoinSet::new() };
        source.on().await;
        source
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this from now on.
    pub(crate) fn answer(&self, status: u16, body: impl Into<String>) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = (status, body.into());
    }

    /// How many requests it has answered.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Refuses connections until [`on`](Self::on).
    pub(crate) async fn off(&mut self) {
        self.task.shutdown().await;
    }

    /// Listens, where it did before.
    pub(crate) async fn on(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.address = listener.local_addr().expect("a bound listener has an address");
        self.task.spawn(serve(listener, Arc::clone(&self.shared)));
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(exchange(stream, Arc::clone(&shared)));
            }
            // A client that went away is no concern of the server.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request and its answer; the connection ends with it.
async fn exchange(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        shared.content_type,
        body.len()
    );
    shared.requests.fetch_add(1, Ordering::Relaxed);
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
