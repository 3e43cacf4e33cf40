//! Debian's ZooKeeper on the loopback interface, and sessions that change what it holds. They speak its protocol by
//! themselves, so that nothing under test is trusted.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::{Folder, Process, free_address, need, patience};

/// So many times a server is started anew because somebody took its port in the meantime.
const ATTEMPTS: usize = 5;
/// Everybody may do everything.
const ALL: i32 = 31;
/// Everybody may do everything but read.
const UNREADABLE: i32 = ALL & !1;

/// A server that stands alone.
#[derive(Debug)]
pub struct ZookeeperServer {
    process: Process,
    port: u16,
    folder: Folder,
}

impl ZookeeperServer {
    /// Starts one that holds nothing.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start.
    pub async fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let folder = Folder::new();
            let port = free_address().port();
            let data = folder.path("data");
            folder.write(
                "zoo.cfg",
                format!(
                    "tickTime=200\nmaxSessionTimeout=60000\ndataDir={}\nclientPortAddress=127.0.0.1\nclientPort={port}\n\
                     admin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=cons,wchs,srvr\n",
                    data.display()
                ),
            );
            let mut server = Self { process: run(&folder), port, folder };
            if server.answers().await {
                return server;
            }
        }
        panic!("ZooKeeper does not start");
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait().await;
    }

    /// Starts it again after [`kill`](Self::kill), with all it held: nodes and sessions.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn again(&mut self) {
        self.process = run(&self.folder);
        assert!(self.answers().await, "ZooKeeper does not start again");
    }

    /// Removes all it holds while it does not run: nodes, and the sessions of all clients.
    ///
    /// # Panics
    ///
    /// When it held nothing.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path("data")).expect("it wrote something");
    }

    /// What it answers to a command of four letters.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn tells(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("it listens");
        stream.write_all(command.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    /// A session that changes what it holds. End it by [`close`](ZookeeperSession::close).
    ///
    /// # Panics
    ///
    /// When none is to be had.
    pub async fn session(&self) -> ZookeeperSession {
        ZookeeperSession::open(&self.address()).await.expect("it takes sessions")
    }

    /// Waits until it takes sessions; false when it ends before.
    async fn answers(&mut self) -> bool {
        // Not by `eventually_ok`: who drives it in the contract has to be `Send`, and no closure that borrows can promise that.
        let end = Instant::now() + patience();
        loop {
            if self.process.exited().is_some() {
                return false;
            }
            if let Some(session) = ZookeeperSession::open(&self.address()).await {
                session.close().await;
                return self.process.exited().is_none();
            }
            assert!(Instant::now() < end, "ZooKeeper takes no session:\n{}", self.process.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn run(folder: &Folder) -> Process {
    // The library names what it needs besides.
    let library = PathBuf::from("/usr/share/java/zookeeper.jar");
    assert!(library.is_file(), "this test needs {}: apt-get install zookeeper", library.display());
    let mut command = Command::new(need("java", "zookeeper"));
    command.args(["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(library);
    command.arg("org.apache.zookeeper.server.ZooKeeperServerMain").arg(folder.path("zoo.cfg"));
    Process::start("ZooKeeper", &mut command)
}

/// A session. Nodes that it holds go when it is closed.
#[derive(Debug)]
pub struct ZookeeperSession {
    stream: TcpStream,
    sent: i32,
}

impl ZookeeperSession {
    async fn open(address: &str) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let mut request = Vec::new();
        int(&mut request, 0);
        long(&mut request, 0);
        int(&mut request, 60_000);
        long(&mut request, 0);
        buffer(&mut request, &[0; 16]);
        let answer = timeout(Duration::from_secs(5), exchange(&mut stream, request)).await.ok()?.ok()?;
        let id = i64::from_be_bytes(answer.get(8..16)?.try_into().ok()?);
        (id != 0).then_some(Self { stream, sent: 0 })
    }

    /// Makes a node hold this, and those above it if they are not there.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn set(&mut self, path: &str, data: &str) {
        let above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        for path in above.into_iter().skip(1) {
            self.create(path, "", 0).await;
        }
        if !self.create(path, data, 0).await {
            let body = request(path, |body| {
                buffer(body, data.as_bytes());
                int(body, -1);
            });
            assert_eq!(self.ask(5, body).await, 0, "set {path}");
        }
    }

    /// Makes a node that goes with this session.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn hold(&mut self, path: &str, data: &str) {
        assert!(self.create(path, data, 1).await, "{path} is there already");
    }

    /// Deletes a node that has no children.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn delete(&mut self, path: &str) {
        assert_eq!(self.ask(2, request(path, |body| int(body, -1))).await, 0, "delete {path}");
    }

    /// Lets everybody read a node, or nobody.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn readable(&mut self, path: &str, readable: bool) {
        let body = request(path, |body| {
            everybody(body, if readable { ALL } else { UNREADABLE });
            int(body, -1);
        });
        assert_eq!(self.ask(7, body).await, 0, "change who may read {path}");
    }

    /// Ends the session, and what it held.
    pub async fn close(mut self) {
        self.ask(-11, Vec::new()).await;
    }

    /// Whether the node was not there.
    async fn create(&mut self, path: &str, data: &str, flags: i32) -> bool {
        let body = request(path, |body| {
            buffer(body, data.as_bytes());
            everybody(body, ALL);
            int(body, flags);
        });
        match self.ask(1, body).await {
            0 => true,
            -110 => false,
            code => panic!("create {path}: {code}"),
        }
    }

    /// Sends a request and returns the code of the answer.
    async fn ask(&mut self, operation: i32, body: Vec<u8>) -> i32 {
        self.sent += 1;
        let mut request = Vec::new();
        int(&mut request, self.sent);
        int(&mut request, operation);
        request.extend(body);
        let answer = timeout(patience(), exchange(&mut self.stream, request)).await.expect("it answers in time");
        let answer = answer.expect("it answers");
        i32::from_be_bytes(answer[12..16].try_into().expect("a code has four bytes"))
    }
}

async fn exchange(stream: &mut TcpStream, request: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    buffer(&mut frame, &request);
    stream.write_all(&frame).await?;
    let mut answer = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn request(path: &str, rest: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    buffer(&mut body, path.as_bytes());
    rest(&mut body);
    body
}

fn everybody(body: &mut Vec<u8>, permissions: i32) {
    int(body, 1);
    int(body, permissions);
    buffer(body, b"world");
    buffer(body, b"anyone");
}

fn int(body: &mut Vec<u8>, number: i32) {
    body.extend(number.to_be_bytes());
}

fn long(body: &mut Vec<u8>, number: i64) {
    body.extend(number.to_be_bytes());
}

fn buffer(body: &mut Vec<u8>, bytes: &[u8]) {
    int(body, i32::try_from(bytes.len()).expect("tests write little"));
    body.extend(bytes);
}
