//! Whom to ask, and under which full names: the part of resolv.conf(5) that Prometheus knows.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;

use rosterd_tasks::{blocking, files, interface_number, zoned};

use super::config::PORT;
use super::error::DnsError;

/// Where a discoverer learns whom to ask.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// From this file, read again for every refresh.
    File(PathBuf),
    /// From the configuration.
    Fixed(Settings),
}

impl Source {
    /// The file of the system.
    pub(super) fn system() -> Self {
        Self::File(PathBuf::from("/etc/resolv.conf"))
    }

    /// These servers, no search domains.
    pub(super) fn servers(servers: Vec<SocketAddr>) -> Self {
        Self::Fixed(Settings { servers, search: Vec::new(), ndots: 1 })
    }

    /// What is to be used now. Fails when the file cannot be read or names no nameserver.
    pub(super) async fn read(&self) -> Result<Settings, DnsError> {
        let path = match self {
            Self::File(path) => path,
            Self::Fixed(settings) => return Ok(settings.clone()),
        };
        let file = path.clone();
        let text = blocking(move || files::read(&file)).await;
        let text = text.map_err(|source| DnsError::ResolvConf { path: path.clone(), source })?;
        let settings = Settings::parse(&String::from_utf8_lossy(&text));
        if settings.servers.is_empty() {
            return Err(DnsError::NoNameserver { path: path.clone() });
        }
        Ok(settings)
    }
}

/// Whom to ask, and how to complete a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    /// A name with at least that many dots is tried as it is before it is tried below the search domains.
    pub(super) ndots: usize,
}

impl Settings {
    /// Lenient, as resolvers are: what is not understood is skipped, and the last of several `search` lines counts.
    /// As in Prometheus, there may be any number of nameservers, and timeouts and attempts come from elsewhere.
    pub(super) fn parse(text: &str) -> Self {
        let mut settings = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().and_then(nameserver)),
                Some("domain") => settings.search = words.next().map(str::to_owned).into_iter().collect(),
                Some("search") => settings.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    for count in words.filter_map(|word| word.strip_prefix("ndots:")) {
                        settings.ndots = count.parse::<usize>().unwrap_or(0).min(15);
                    }
                }
                _ => {}
            }
        }
        settings
    }

    /// The full names to try for a name, in order. All end with a dot.
    pub(super) fn full_names(&self, name: &str) -> Vec<String> {
        if is_full(name) {
            return vec![name.to_owned()];
        }
        let itself = format!("{name}.");
        let below = self.search.iter().map(|domain| {
            let full = format!("{itself}{domain}");
            if is_full(&full) { full } else { full + "." }
        });
        if dots(name) >= self.ndots {
            std::iter::once(itself.clone()).chain(below).collect()
        } else {
            below.chain(std::iter::once(itself.clone())).collect()
        }
    }
}

/// An address, possibly one that needs its interface: `fe80::1%eth0`.
fn nameserver(text: &str) -> Option<SocketAddr> {
    let Some((address, zone)) = zoned(text) else {
        return text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    };
    Some(SocketAddrV6::new(address, PORT, 0, interface_number(zone).ok()?).into())
}

/// Whether a name ends with a dot that is not escaped.
fn is_full(name: &str) -> bool {
    name.strip_suffix('.').is_some_and(|rest| (rest.len() - rest.trim_end_matches('\\').len()) % 2 == 0)
}

/// Dots that part labels, not those that belong to one.
fn dots(name: &str) -> usize {
    let mut escaped = false;
    let parts = name.bytes().filter(|byte| {
        let part = *byte == b'.' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        part
    });
    parts.count()
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;

    fn search(domains: &[&str], ndots: usize) -> Settings {
        Settings { servers: Vec::new(), search: domains.iter().map(|domain| (*domain).to_owned()).collect(), ndots }
    }

    #[test]
    fn the_known_lines_are_read_and_the_others_skipped() {
        let text = "# local\n; too\nnameserver 192.0.2.1 # first\nnameserver 2001:db8::1\nnameserver localhost\n\
                    nameserver 192.0.2.3\nnameserver 192.0.2.4\nsearch a.test\nsearch b.test c.test.\n\
                    options edns0 ndots:5 timeout:1 rotate\nsortlist 192.0.2.0\nnameserver";
        let settings = Settings::parse(text);
        let servers: Vec<_> = settings.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53", "192.0.2.4:53"]);
        assert_eq!(settings.search, ["b.test", "c.test."]);
        assert_eq!(settings.ndots, 5);
    }

    #[test]
    fn a_domain_replaces_the_search_list_and_the_other_way_round() {
        assert_eq!(Settings::parse("search a b\ndomain c\n").search, ["c"]);
        assert_eq!(Settings::parse("domain c\nsearch a b\n").search, ["a", "b"]);
        assert!(Settings::parse("domain c\ndomain\n").search.is_empty());
    }

    #[test]
    fn ndots_is_at_most_15_and_zero_when_it_is_no_number() {
        for (text, ndots) in [("", 1), ("options ndots:0", 0), ("options ndots:99", 15), ("options ndots:many", 0)] {
            assert_eq!(Settings::parse(text).ndots, ndots, "{text}");
        }
    }

    #[test]
    fn an_interface_may_be_part_of_the_address() {
        let loopback = Settings::parse("nameserver ::1%lo").servers;
        assert!(matches!(loopback.as_slice(), [SocketAddr::V6(address)] if address.scope_id() > 0), "{loopback:?}");
        let numbered = Settings::parse("nameserver fe80::1%7").servers;
        assert!(matches!(numbered.as_slice(), [SocketAddr::V6(address)] if address.scope_id() == 7), "{numbered:?}");
        assert!(Settings::parse("nameserver fe80::1%no-such-interface").servers.is_empty());
    }

    #[test]
    fn names_with_enough_dots_are_tried_as_they_are_first() {
        let cases: [(&str, usize, &[&str]); 6] = [
            ("host.", 1, &["host."]),
            ("host", 1, &["host.a.test.", "host.b.test.", "host."]),
            ("host.sub", 1, &["host.sub.", "host.sub.a.test.", "host.sub.b.test."]),
            ("host.sub", 2, &["host.sub.a.test.", "host.sub.b.test.", "host.sub."]),
            ("host", 0, &["host.", "host.a.test.", "host.b.test."]),
            (r"ho\.st", 1, &[r"ho\.st.a.test.", r"ho\.st.b.test.", r"ho\.st."]),
        ];
        for (name, ndots, expected) in cases {
            assert_eq!(search(&["a.test", "b.test."], ndots).full_names(name), expected, "{name} with ndots {ndots}");
        }
    }

    #[test]
    fn an_escaped_dot_does_not_end_a_name() {
        assert!(is_full(r"a\\."));
        assert!(!is_full(r"a\."));
        assert!(!is_full("a"));
    }

    #[test]
    fn a_file_is_read_each_time_and_must_name_a_server() {
        leak_checked_live(|| async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("resolv.conf");
            let source = Source::File(path.clone());
            assert!(matches!(source.read().await, Err(DnsError::ResolvConf { .. })));
            std::fs::write(&path, "search a.test\n").unwrap();
            assert!(matches!(source.read().await, Err(DnsError::NoNameserver { .. })));
            std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
            assert_eq!(source.read().await.unwrap().servers, ["192.0.2.1:53".parse().unwrap()]);
        });
    }
}
