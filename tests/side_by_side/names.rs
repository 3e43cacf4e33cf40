//! A real name server, bind9, as the resolver of whoever is started with [`Names::wrapper`].
//!
//! A resolver is asked on port 53, and bind9 listens only on addresses of interfaces, of which the loopback has one. So it
//! has a free port there, and what comes to port 53 of another loopback address is passed on to it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use rosterd_testkit::{Folder, Process, free_address, need};
use rustix::process::Signal;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::programs::Wrapper;

const ZONE: &str = "zone";

/// A name server for `example.test`.
pub(crate) struct Names {
    folder: Folder,
    process: Process,
    _passing: JoinSet<Infallible>,
    serial: u32,
}

impl Names {
    /// Serves these records.
    pub(crate) async fn start(records: &str) -> Self {
        let folder = Folder::new();
        let port = free_address().port();
        // Nobody else has a free port of this number at the same time.
        let address = Ipv4Addr::new(127, 53, (port >> 8) as u8, port as u8);
        folder
            .write("resolv.conf", format!("search example.test\nnameserver {address}\noptions timeout:2 attempts:2\n"));
        let root = folder.root().display();
        let config = folder.write(
            "named.conf",
            format!(
                r#"options {{
                    directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
                    recursion no; pid-file none; session-keyfile none; notify no; dnssec-validation no;
                }};
                controls {{ }};
                zone "example.test" {{ type primary; file "{ZONE}"; }};"#
            ),
        );
        folder.write(ZONE, zone(1, records));
        let mut command = Command::new(need("named", "bind9"));
        let process = Process::start("named", command.arg("-g").args(["-n", "1", "-c"]).arg(&config));
        let socket = UdpSocket::bind((address, 53)).await.expect("port 53 of an unused loopback address is free");
        let mut passing = JoinSet::new();
        passing.spawn(pass_on(socket, (Ipv4Addr::LOCALHOST, port).into()));
        let mut names = Self { folder, process, _passing: passing, serial: 1 };
        names.process.wait_log("all zones loaded").await;
        names
    }

    /// Serves these records instead.
    pub(crate) async fn replace(&mut self, records: &str) {
        self.serial += 1;
        self.folder.replace(ZONE, zone(self.serial, records));
        self.process.signal(Signal::HUP);
        let loaded = format!("zone example.test/IN: loaded serial {}", self.serial);
        self.process.wait_log(&loaded).await;
    }

    /// Makes it the resolver of a program.
    pub(crate) fn wrapper(&self) -> Wrapper {
        Wrapper::resolv_conf(&self.folder.path("resolv.conf"))
    }
}

/// Passes questions on, and answers back.
async fn pass_on(socket: UdpSocket, server: SocketAddr) -> Infallible {
    let (socket, mut exchanges) = (Arc::new(socket), JoinSet::new());
    let mut question = [0; 4096];
    loop {
        tokio::select! {
            Ok((length, client)) = socket.recv_from(&mut question) => {
                let (socket, question) = (Arc::clone(&socket), question[..length].to_vec());
                exchanges.spawn(async move {
                    let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                    upstream.send_to(&question, server).await?;
                    let mut answer = [0; 4096];
                    let length = upstream.recv(&mut answer).await?;
                    socket.send_to(&answer[..length], client).await
                });
            }
            // Who asks gets no answer, and asks again.
            Some(_) = exchanges.join_next() => {}
        }
    }
}

fn zone(serial: u32, records: &str) -> String {
    format!("$TTL 60\n@ SOA ns hostmaster {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}\n")
}
