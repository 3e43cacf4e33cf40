//! What the user writes under `nerve_sd_configs` and `serverset_sd_configs`.

use std::net::Ipv6Addr;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Identity, MechanismConfig};
use rosterd_model::{Duration, Problem, bare_url};
use rosterd_tasks::zoned;
use serde::{Deserialize, Serialize};

use crate::discoverer::Zookeeper;
use crate::member::Kind;
use crate::metrics::{NerveMetrics, ServersetMetrics};
use crate::session::{Ensemble, Sessions};

/// The port of ZooKeeper.
const PORT: u16 = 2181;

/// The members of services in an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Members {
    /// The servers of the ensemble: `host` or `host:port`. A path behind one of them goes before all `paths`.
    pub servers: Vec<String>,
    /// Where the members are: nodes whose own data, and those of all nodes below, are looked at.
    pub paths: Vec<String>,
    /// The session timeout that is asked for.
    pub timeout: Duration,
}

impl Default for Members {
    fn default() -> Self {
        Self { servers: Vec::new(), paths: Vec::new(), timeout: StdDuration::from_secs(10).into() }
    }
}

/// One entry of `nerve_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NerveConfig(pub Members);

/// One entry of `serverset_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServersetConfig(pub Members);

impl Members {
    fn identity(&self, id: &mut Identity) {
        id.set("servers", self.servers.iter().map(|server| address_of(server)));
        id.set("paths", self.roots());
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |path: String, code, message: String| problems.push(Problem::new(path, code, message));
        if self.servers.is_empty() {
            let message = "servers is empty: give at least one server of the ensemble";
            add("servers".to_owned(), "cfg_zookeeper_no_servers", message.to_owned());
        }
        if self.paths.is_empty() {
            add("paths".to_owned(), "cfg_zookeeper_no_paths", "paths is empty: give at least one path".to_owned());
        }
        for (index, server) in self.servers.iter().enumerate() {
            if let Some(fault) = fault_of_server(server) {
                let message =
                    format!("{:?} {fault}: write it like zk1, zk1:2181 or [2001:db8::1]:2181", bare_url(server));
                add(format!("servers[{index}]"), "cfg_zookeeper_bad_server", message);
            }
        }
        let mut prefixes = self.servers.iter().map(|server| prefix_of(server)).filter(|prefix| !prefix.is_empty());
        if let Some(first) = prefixes.next()
            && let Some(other) = prefixes.find(|prefix| *prefix != first)
        {
            let (first, other) = (bare_url(first), bare_url(other));
            let message =
                format!("{first:?} and {other:?} both go before all paths: write one of them, behind the last server");
            add("servers".to_owned(), "cfg_zookeeper_bad_server", message);
        }
        for (index, path) in self.paths.iter().enumerate() {
            if let Some(fault) = fault_of_path(path) {
                let shown = if path.starts_with('/') { path.into() } else { bare_url(path) };
                add(format!("paths[{index}]"), "cfg_zookeeper_bad_path", format!("{shown:?} {fault}"));
            }
        }
        problems
    }

    /// The ensemble.
    fn ensemble(&self) -> Ensemble {
        let servers = self.servers.iter().map(|server| address_of(server)).collect();
        Ensemble { servers, timeout: self.timeout.into() }
    }

    /// Where to begin to read, without what is below another.
    pub(crate) fn roots(&self) -> Vec<String> {
        let prefix = self.servers.iter().map(|server| prefix_of(server)).find(|prefix| !prefix.is_empty());
        let whole = |path: &String| match format!("{}{}", prefix.unwrap_or_default(), path.trim_end_matches('/')) {
            root if root.is_empty() => "/".to_owned(),
            whole => whole,
        };
        let mut roots: Vec<_> = self.paths.iter().map(whole).collect();
        roots.sort();
        roots.dedup();
        let is_below = |path: &str, root: &str| {
            path != root && path.starts_with(root) && (root == "/" || path[root.len()..].starts_with('/'))
        };
        let all = roots.clone();
        roots.retain(|path| !all.iter().any(|root| is_below(path, root)));
        roots
    }
}

/// `host:port` of a server, as everything is done with it.
fn address_of(server: &str) -> String {
    let address = server.split('/').next().unwrap_or_default();
    match port_of(address) {
        Some(_) => address.to_owned(),
        None => format!("{address}:{PORT}"),
    }
}

/// What stands behind a server, to be put before all paths.
fn prefix_of(server: &str) -> &str {
    server.find('/').map_or("", |at| server[at..].trim_end_matches('/'))
}

/// What stands behind the last colon, if that is no part of an address of IPv6.
fn port_of(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    (!host.starts_with('[') || host.ends_with(']')).then_some(port)
}

/// Whether it is an address of IPv6, perhaps with its zone: `fe80::1%eth0`.
fn is_address(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok() || zoned(host).is_some()
}

fn fault_of_server(server: &str) -> Option<&'static str> {
    let address = server.split('/').next().unwrap_or_default();
    let port = port_of(address);
    let host = port.map_or(address, |port| &address[..address.len() - port.len() - 1]);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.map_or(host, |host| host).is_empty() {
        return Some("names no host");
    }
    if bracketed.map_or(host.contains([':', '[', ']', ' ', ',']), |host| !is_address(host)) {
        return Some("is not a host with a port");
    }
    if port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port == 0) || port.parse::<u16>().is_err()) {
        return Some("has a port that is none");
    }
    let prefix = prefix_of(server);
    (!prefix.is_empty() && fault_of_path(prefix).is_some()).then_some("ends in a path that cannot be")
}

/// What ZooKeeper does not take as a path.
fn fault_of_path(path: &str) -> Option<&'static str> {
    let Some(rest) = path.strip_prefix('/') else { return Some("does not begin with /") };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        return None;
    }
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if rest.split('/').any(odd) {
        return Some("has a part that is empty, . or ..");
    }
    rest.contains(|character: char| character.is_control()).then_some("has a character that cannot be in a path")
}

/// All of a mechanism that is not what its members look like.
macro_rules! mechanism {
    ($config:ty, $name:literal, $kind:expr, $metrics:ty) => {
        impl MechanismConfig for $config {
            const MECHANISM: &'static str = $name;

            type Metrics = $metrics;
            type Shared = Sessions;

            fn identity(&self, id: &mut Identity) {
                self.0.identity(id);
            }

            fn check(&self, _: &CheckContext) -> Vec<Problem> {
                self.0.check()
            }

            fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
                let (sessions, guard) = (cx.shared.clone(), cx.guard.clone());
                let (ensemble, roots) = (self.0.ensemble(), self.0.roots());
                let watches = cx.metrics.watches.clone();
                Ok(Box::new(Zookeeper { kind: $kind, ensemble, roots, sessions, guard, watches }))
            }
        }

        rosterd_discovery::register!($config);
    };
}

mechanism!(NerveConfig, "nerve", Kind::Nerve, NerveMetrics);
mechanism!(ServersetConfig, "serverset", Kind::Serverset, ServersetMetrics);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<NerveConfig, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    fn problems(yaml: &str) -> Vec<(String, &'static str)> {
        let problems = MechanismConfig::check(&parse(yaml).unwrap(), &CheckContext::default());
        problems.into_iter().map(|problem| (problem.path, problem.code)).collect()
    }

    #[test]
    fn the_defaults_are_those_of_prometheus() {
        let config = parse("{servers: [localhost], paths: [/monitoring]}").unwrap();
        assert_eq!(StdDuration::from(config.0.timeout), StdDuration::from_secs(10));
        assert!(problems("{servers: [localhost], paths: [/monitoring]}").is_empty());
        assert_eq!(config.0.ensemble().servers, ["localhost:2181"]);
        let serverset: ServersetConfig = serde_yaml::from_str("{servers: [localhost], paths: [/monitoring]}").unwrap();
        assert_eq!(serverset.0, config.0);
    }

    #[test]
    fn what_cannot_work_is_a_problem_at_its_place() {
        for (yaml, path, code) in [
            ("{paths: [/a]}", "servers", "cfg_zookeeper_no_servers"),
            ("{servers: [a]}", "paths", "cfg_zookeeper_no_paths"),
            ("{servers: [a], paths: [/a, b]}", "paths[1]", "cfg_zookeeper_bad_path"),
            ("{servers: [a], paths: ['']}", "paths[0]", "cfg_zookeeper_bad_path"),
            ("{servers: [a], paths: [/a//b]}", "paths[0]", "cfg_zookeeper_bad_path"),
            ("{servers: [a], paths: [/a/../b]}", "paths[0]", "cfg_zookeeper_bad_path"),
            ("{servers: [a, ''], paths: [/a]}", "servers[1]", "cfg_zookeeper_bad_server"),
            ("{servers: [':2181'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['a:x'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['a:0'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['2001:db8::1'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['[2001:db8::x]:1'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['http://a:2181'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: ['a,b'], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: [a/x//y], paths: [/a]}", "servers[0]", "cfg_zookeeper_bad_server"),
            ("{servers: [a/x, b/y], paths: [/a]}", "servers", "cfg_zookeeper_bad_server"),
        ] {
            assert_eq!(problems(yaml), [(path.to_owned(), code)], "{yaml}");
        }
        assert!(parse("{servers: [a], paths: [/a], path: /b}").unwrap_err().contains("unknown field `path`"));
    }

    #[test]
    fn servers_have_a_port_and_may_end_in_what_goes_before_all_paths() {
        let config =
            parse("{servers: [a, 'b:2182', '[2001:db8::1]', '[fe80::1%eth0]:1', '[::1]:7/x/y/'], paths: [/, /z/]}")
                .unwrap();
        assert!(config.0.check().is_empty());
        assert_eq!(
            config.0.ensemble().servers,
            ["a:2181", "b:2182", "[2001:db8::1]:2181", "[fe80::1%eth0]:1", "[::1]:7"]
        );
        assert_eq!(config.0.roots(), ["/x/y"]);
    }

    #[test]
    fn a_path_below_another_is_read_with_it() {
        for (paths, roots) in
            [("[/a/b, /a, /ab]", vec!["/a", "/ab"]), ("[/a/, /a]", vec!["/a"]), ("[/a, /]", vec!["/"])]
        {
            assert_eq!(parse(&format!("{{servers: [a], paths: {paths}}}")).unwrap().0.roots(), roots);
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        let config = parse("{servers: [a, b], paths: [/c], timeout: 1m30s}").unwrap();
        assert_eq!(parse(&serde_yaml::to_string(&config).unwrap()).unwrap(), config);
    }
}
