//! An address of the cluster that stays while API servers behind it go and come.

use std::net::Ipv4Addr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Hands connections on to the port of an API server. When that is another one, they end.
pub(super) struct Front {
    port: u16,
    behind: watch::Sender<Option<u16>>,
    _tasks: JoinSet<()>,
}

impl Front {
    /// In front of this port.
    pub(super) async fn start(behind: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (sender, receiver) = watch::channel(Some(behind));
        let mut tasks = JoinSet::new();
        tasks.spawn(hand_on(listener, receiver));
        Self { port, behind: sender, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Ends all connections, and takes no more.
    pub(super) fn closes(&self) {
        self.behind.send_replace(None);
    }

    /// Leads to another port.
    pub(super) fn leads_to(&self, port: u16) {
        self.behind.send_replace(Some(port));
    }
}

async fn hand_on(listener: TcpListener, behind: watch::Receiver<Option<u16>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let mut behind = behind.clone();
        let Some(port) = *behind.borrow_and_update() else { continue };
        connections.spawn(async move {
            let both = async {
                let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                copy_bidirectional(&mut stream, &mut server).await
            };
            tokio::select! {
                _ = behind.changed() => {}
                // Who goes is not missed.
                _ = both => {}
            }
        });
    }
}
