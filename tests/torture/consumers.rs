//! Consumers that hang: they connect and say nothing, ask and do not read, or wait for news that they never take.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::dice::Dice;

/// At most so many hang at once: far fewer than may be connected.
const MOST: usize = 24;

const SAY: [&str; 8] = [
    "",
    "GET /sd/web HT",
    "GET /api/v1/targets HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /sd HTTP/1.1\r\nhost: a\r\n\r\nGET /sd HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /sd/web?wait=10m HTTP/1.1\r\nhost: a\r\nif-none-match: \"x\"\r\n\r\n",
    "GET /api/v1/watch HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /targets HTTP/1.1\r\nhost: a\r\naccept: text/html\r\n\r\n",
    "POST /-/reload HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n",
];

/// All that hang.
#[derive(Default)]
pub(crate) struct Consumers(Vec<TcpStream>);

impl Consumers {
    /// One more hangs, and one that did goes away if there are many. Returns what it says.
    pub(crate) async fn come(&mut self, address: SocketAddr, dice: &mut Dice) -> &'static str {
        if self.0.len() >= MOST {
            self.0.swap_remove(dice.below(MOST));
        }
        let says = *dice.pick(&SAY);
        if let Ok(mut stream) = TcpStream::connect(address).await
            && stream.write_all(says.as_bytes()).await.is_ok()
        {
            self.0.push(stream);
        }
        says
    }

    /// All go away.
    pub(crate) fn leave(&mut self) {
        self.0.clear();
    }
}
