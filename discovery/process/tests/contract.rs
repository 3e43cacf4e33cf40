//! `process` keeps the contract of discoverers, in a made-up `/proc`: a process for each group, a socket for each address.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_process::ProcessConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{FakeProc, FakeProcess, leak_checked_live};

/// A thread of the kernel, which is always there: a machine without any is none.
const KERNEL: FakeProcess<'_> = FakeProcess {
    pid: 9,
    started: 1,
    exe: "",
    cwd: "/",
    cmdline: "",
    uid: 0,
    cgroup: "0::/",
    network: 1,
    sockets: &[],
};

struct Machine {
    proc: FakeProc,
    groups: Vec<Vec<[u8; 4]>>,
    is_gone: bool,
}

impl Machine {
    fn show(&self) {
        if self.is_gone {
            return;
        }
        for (pid, addresses) in (1..).zip(&self.groups) {
            // Inodes are not used again.
            let number = |address: &[u8; 4]| u64::from(u32::from_be_bytes(*address));
            let sockets: Vec<u64> = addresses.iter().map(number).collect();
            let printed = |address: &[u8; 4]| format!("{:08X}:{:04X}", u32::from_ne_bytes(*address), 9100);
            let lines: Vec<_> = addresses.iter().map(|address| (printed(address), number(address))).collect();
            let lines: Vec<_> = lines.iter().map(|(address, number)| (&**address, "0A", *number)).collect();
            self.proc.show(&FakeProcess { pid, network: pid, sockets: &sockets, ..FakeProcess::default() });
            self.proc.sockets(pid, "net/tcp", &lines);
        }
        for pid in self.groups.len() as u32 + 1..=2 {
            self.proc.remove(pid);
        }
    }
}

#[async_trait]
impl Driver for Machine {
    fn config(&self) -> Box<dyn AnyConfig> {
        let refresh_interval = Duration::from_millis(20).into();
        Box::new(ProcessConfig { refresh_interval, ports: true, procfs: self.proc.path(), ..ProcessConfig::default() })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let ip = |address: &&str| -> [u8; 4] {
            let host = address.split(':').next().expect("a host");
            host.parse::<std::net::Ipv4Addr>().expect("an address").octets()
        };
        self.groups = groups.iter().map(|(_, addresses)| addresses.iter().map(ip).collect()).collect();
        self.show();
    }

    async fn break_source(&mut self) -> bool {
        self.proc.mounted(false);
        self.is_gone = true;
        true
    }

    async fn heal(&mut self) {
        if std::mem::take(&mut self.is_gone) {
            self.proc.mounted(true);
            self.proc.show(&KERNEL);
        }
        self.show();
    }
}

#[test]
fn process_keeps_the_contract() {
    leak_checked_live(async || {
        let proc = FakeProc::new();
        proc.show(&KERNEL);
        contract::check(&mut Machine { proc, groups: Vec::new(), is_gone: false }).await;
    });
}
