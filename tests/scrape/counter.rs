//! A target that counts its scrapes: what is missing at a receiver shows.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rosterd_testkit::{eventually, patience};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Series that count alike.
pub(crate) const SERIES: usize = 10;

/// The target; gone when dropped.
pub(crate) struct Counter {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    _tasks: JoinSet<Infallible>,
}

impl Counter {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let count = Arc::<AtomicUsize>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&count)));
        Self { address, count, _tasks: tasks }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was scraped.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until it was scraped so many times more, and returns how often it was in all.
    pub(crate) async fn wait_more(&self, more: usize) -> usize {
        let wanted = self.count() + more;
        eventually(patience(), &format!("{wanted} scrapes"), || self.count() >= wanted).await;
        wanted
    }
}

async fn serve(listener: TcpListener, count: Arc<AtomicUsize>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A client that went away is no concern of the server.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(stream, Arc::clone(&count)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers requests on a connection until it is closed.
async fn answer(mut stream: TcpStream, count: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        request.clear();
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        let body: String = (0..SERIES).map(|number| format!("count{{number=\"{number}\"}} {count}\n")).collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await?;
    }
}
