//! What the user writes under `dns_sd_configs`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration as StdDuration;

use hickory_proto::rr::RecordType;
use rosterd_model::{Duration, bare_url};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::discoverer::Dns;
use super::error::fault;
use super::metrics::DnsMetrics;
use super::query::Query;
use super::resolv_conf::Source;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::Problem;

/// One entry of `dns_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// The names to look up.
    pub names: Vec<String>,
    /// The records to ask for.
    #[serde(rename = "type")]
    pub kind: RecordKind,
    /// The port of all targets; SRV records have their own.
    pub port: u16,
    /// How often the names are looked up.
    pub refresh_interval: Duration,
    /// rosterd's own: ask these instead of those in `/etc/resolv.conf`, which is then not read at all, so that names are
    /// taken as they are, without its search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Nameserver>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            kind: RecordKind::Srv,
            port: 0,
            refresh_interval: StdDuration::from_secs(30).into(),
            nameservers: Vec::new(),
        }
    }
}

impl MechanismConfig for DnsConfig {
    const MECHANISM: &'static str = "dns";

    type Metrics = DnsMetrics;
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.set("names", &self.names);
        id.value("type", &self.kind, &RecordKind::Srv);
        id.value("port", &self.port, &0);
        id.set("nameservers", self.nameservers.iter().map(|server| server.0));
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.names.is_empty() {
            problems.push(Problem::new(
                "names",
                "cfg_dns_no_names",
                "names is empty: give at least one name to look up",
            ));
        }
        if self.port == 0 && self.kind != RecordKind::Srv {
            let message = format!("{} records have no port of their own: set port", self.kind);
            problems.push(Problem::new("port", "cfg_dns_no_port", message));
        }
        problems
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let names = self.names.iter().enumerate();
        let found = names.filter_map(|(index, name)| {
            let message = format!("{:?} {}", bare_url(name), never_found(name)?);
            Some(Finding::Idle(Problem::new(format!("names[{index}]"), "cfg_no_effect", message)))
        });
        found.collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let source = match self.nameservers.as_slice() {
            [] => Source::system(),
            servers => Source::servers(servers.iter().map(|server| server.0).collect()),
        };
        Ok(Polling::boxed(Dns::new(self, source, cx.metrics.clone(), cx.guard.clone()), self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(DnsConfig);

/// Why a name is none that anybody has in DNS, with what to do.
fn never_found(name: &str) -> Option<String> {
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || name.parse::<SocketAddr>().is_ok();
    let told = match name {
        _ if is_address => "is an address and no name: put it into static_configs",
        _ if name.contains("://") => "is a URL and no name: leave out the scheme, the port and the path",
        _ if name.contains(':') => "is no name in DNS: leave out the port, for which there is the key `port`",
        _ if name.contains(char::is_whitespace) => "is no name in DNS: there is a blank in it",
        _ if Query::new(name, RecordType::A).is_err() => return Some(format!("is no name in DNS{}", fault(name))),
        _ => return None,
    };
    Some(told.to_owned())
}

/// The type of the records to ask for. Read without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Service records: host and port.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Nameservers.
    Ns,
}

impl RecordKind {
    const ALL: [Self; 5] = [Self::Srv, Self::A, Self::Aaaa, Self::Mx, Self::Ns];

    fn name(self) -> &'static str {
        match self {
            Self::Srv => "SRV",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Ns => "NS",
        }
    }

    pub(super) fn record_type(self) -> RecordType {
        match self {
            Self::Srv => RecordType::SRV,
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Mx => RecordType::MX,
            Self::Ns => RecordType::NS,
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for RecordKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for RecordKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&text));
        found.ok_or_else(|| {
            de::Error::custom(format!("{text:?} records are not supported: use one of SRV, A, AAAA, MX, NS"))
        })
    }
}

/// The address of a nameserver, with port 53 unless it names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nameserver(pub SocketAddr);

/// The port of DNS.
pub(super) const PORT: u16 = 53;

impl FromStr for Nameserver {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(SocketAddr::new(address, PORT))),
            Err(_) => text.parse().map(Self),
        }
    }
}

impl Serialize for Nameserver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Nameserver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            let wanted = "192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353";
            de::Error::custom(format!(
                "{:?} is not the address of a nameserver: write it like {wanted}",
                bare_url(&text)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<DnsConfig, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    fn codes(config: &DnsConfig) -> Vec<&'static str> {
        config.check(&CheckContext::default()).into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn the_defaults_are_those_of_prometheus() {
        let config = parse("names: [_metrics._tcp.example.com]").unwrap();
        assert_eq!((config.kind, config.port), (RecordKind::Srv, 0));
        assert_eq!(StdDuration::from(config.refresh_interval), StdDuration::from_secs(30));
        assert!(codes(&config).is_empty());
    }

    #[test]
    fn every_type_is_read_in_any_case_and_needs_a_port_except_srv() {
        for kind in RecordKind::ALL {
            let lower = kind.name().to_lowercase();
            let config = parse(&format!("{{names: [a], type: {lower}}}")).unwrap();
            assert_eq!(config.kind, kind);
            let expected: &[&str] = if kind == RecordKind::Srv { &[] } else { &["cfg_dns_no_port"] };
            assert_eq!(codes(&config), expected, "{kind}");
            assert!(codes(&DnsConfig { port: 80, ..config }).is_empty());
        }
    }

    #[test]
    fn no_names_are_a_problem() {
        assert_eq!(codes(&DnsConfig::default()), ["cfg_dns_no_names"]);
    }

    #[test]
    fn names_that_nobody_has_are_told() {
        let names = ["a.example", "_http._tcp.a.example.", "0/25.2.0.192.in-addr.arpa", r"a\032b.example", "web"];
        let config = DnsConfig { names: names.map(str::to_owned).to_vec(), ..DnsConfig::default() };
        assert!(config.examine(&CheckContext::default()).is_empty());
        for (name, told) in [
            ("http://a.example/x", "is a URL and no name: leave out the scheme"),
            ("a.example:9100", "is no name in DNS: leave out the port"),
            ("with blank", "is no name in DNS: there is a blank in it"),
            ("192.0.2.1", "is an address and no name: put it into static_configs"),
            ("192.0.2.1:53", "is an address and no name: put it into static_configs"),
            ("[::1]", "is an address and no name: put it into static_configs"),
            ("a..b", "is no name in DNS: there is nothing between two of its dots"),
        ] {
            let names = vec!["a.example".to_owned(), name.to_owned()];
            let found = DnsConfig { names, ..DnsConfig::default() }.examine(&CheckContext::default());
            let [Finding::Idle(problem)] = &*found else { panic!("{name}: {found:?}") };
            assert_eq!((&*problem.path, problem.code), ("names[1]", "cfg_no_effect"));
            assert!(problem.message.starts_with(&format!("{name:?} {told}")), "{}", problem.message);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (yaml, wanted) in [
            ("{names: [a], type: TXT}", "\"TXT\" records are not supported"),
            ("{names: [a], nameservers: [dns.example]}", "is not the address of a nameserver"),
            ("{names: [a], port: 65536}", "65536"),
            ("{names: [a], name: b}", "unknown field `name`"),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(error.contains(wanted), "{yaml}: {error}");
        }
    }

    #[test]
    fn nameservers_may_name_a_port() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(text.parse::<Nameserver>().unwrap().0.to_string(), address);
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        let config =
            parse("{names: [a, b], type: MX, port: 25, refresh_interval: 1m30s, nameservers: ['::1']}").unwrap();
        assert_eq!(parse(&serde_yaml::to_string(&config).unwrap()).unwrap(), config);
    }
}
