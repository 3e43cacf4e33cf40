//! A real name server, bind9, on a loopback address of its own, as the resolver of whoever is started with
//! [`Names::wrapper`].

use std::net::Ipv4Addr;
use std::process::Command;

use rosterd_testkit::{Folder, Process, free_loopback_listener, need};
use rustix::process::Signal;

use super::programs::Wrapper;

const ZONE: &str = "zone";

/// A name server for `example.test`.
pub(crate) struct Names {
    folder: Folder,
    process: Process,
    serial: u32,
}

impl Names {
    /// Serves these records.
    pub(crate) async fn start(records: &str) -> Self {
        let folder = Folder::new();
        // Clients of resolv.conf ask port 53. Nobody else has a free port of this number at the same time.
        let port = free_loopback_listener().local_addr().expect("a bound listener has an address").port();
        let address = Ipv4Addr::new(127, 53, (port >> 8) as u8, port as u8);
        folder
            .write("resolv.conf", format!("search example.test\nnameserver {address}\noptions timeout:2 attempts:2\n"));
        let root = folder.root().display();
        let config = folder.write(
            "named.conf",
            format!(
                r#"options {{
                    directory "{root}"; listen-on port 53 {{ {address}; }}; listen-on-v6 {{ none; }};
                    recursion no; pid-file none; session-keyfile none; notify no; dnssec-validation no;
                }};
                controls {{ }};
                zone "example.test" {{ type primary; file "{ZONE}"; }};"#
            ),
        );
        folder.write(ZONE, zone(1, records));
        let mut command = Command::new(need("named", "bind9"));
        let process = Process::start("named", command.arg("-g").args(["-n", "1", "-c"]).arg(&config));
        let mut names = Self { folder, process, serial: 1 };
        names.process.wait_log(": running").await;
        names
    }

    /// Serves these records instead.
    pub(crate) async fn replace(&mut self, records: &str) {
        self.serial += 1;
        self.folder.replace(ZONE, zone(self.serial, records));
        self.process.signal(Signal::HUP);
        let loaded = format!("zone example.test/IN: loaded serial {}\n", self.serial);
        self.process.wait_log(&loaded).await;
    }

    /// Makes it the resolver of a program.
    pub(crate) fn wrapper(&self) -> Wrapper {
        Wrapper::resolv_conf(&self.folder.path("resolv.conf"))
    }
}

fn zone(serial: u32, records: &str) -> String {
    format!("$TTL 60\n@ SOA ns hostmaster {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}\n")
}
