//! `/etc/hosts`, read again when it changed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rosterd_tasks::{Threads, files};

use crate::source::WatchedFile;

/// `/etc/hosts`, where it comes before all other sources.
pub(super) struct Hosts {
    file: WatchedFile,
    read: Mutex<Read>,
}

/// What a file says.
#[derive(Default)]
struct Read {
    /// What it was read from.
    text: Arc<str>,
    addresses: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    pub(super) fn of_system() -> Option<Self> {
        let switch = files::read_text(Path::new("/etc/nsswitch.conf")).unwrap_or_default();
        files_come_first(&switch).then(|| Self::new(Path::new("/etc/hosts")))
    }

    pub(super) fn new(path: &Path) -> Self {
        Self { file: WatchedFile::new(path, &Threads::new(1)), read: Mutex::default() }
    }

    pub(super) async fn of(&self, host: &str) -> Option<Arc<[IpAddr]>> {
        let text = self.file.read().await.ok()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&read.text, &text) {
            *read = Read { addresses: hosts(&text), text };
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        read.addresses.get(&host).map(|addresses| addresses.as_slice().into())
    }
}

fn hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut all = HashMap::<_, Vec<_>>::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        // An address that needs its interface is left to the resolver.
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        for name in words {
            let addresses = all.entry(name.to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    all
}

/// Whether a name service switch looks at files before all else, as it does when it says nothing.
fn files_come_first(switch: &str) -> bool {
    let sources = switch.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"));
    sources.is_none_or(|sources| sources.split_ascii_whitespace().next() == Some("files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_at_where_they_come_first() {
        for (switch, first) in [
            ("", true),
            ("passwd: files\nhosts:  files dns", true),
            ("hosts: mymachines files", false),
            ("# hosts: dns\n", true),
        ] {
            assert_eq!(files_come_first(switch), first, "{switch}");
        }
    }
}
