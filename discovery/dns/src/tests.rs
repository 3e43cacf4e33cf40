//! DNS discovery against a real nameserver: BIND, on a free port of the loopback interface.

use std::fmt::Write as _;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use rosterd_model::TargetGroup;
use rosterd_model::labels::ADDRESS;
use rosterd_tasks::Supervision;
use tempfile::TempDir;
use tokio::time::timeout;

use rosterd_testkit::{eventually_ok, free_address, leak_checked_live, patience};

use super::config::{DnsConfig, RecordKind};
use super::discoverer::Dns;
use super::error::LookupError;
use super::metrics::DnsMetrics;
use super::resolv_conf::{Settings, Source};
use super::resolver::lookup;
use rosterd_discovery::{Context, Error, MechanismMetrics, Polling, Reading, Refresh, Unreadable, Updates, Word};

const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(20);
const NAMED: &str = "/usr/sbin/named";

const ZONE: &str = "
ns      A     192.0.2.53
web     A     192.0.2.1
web     A     192.0.2.2
web     AAAA  2001:db8::1
www     CNAME chain
chain   CNAME web
mail    MX    10 mx1
mail    MX    20 mx2.other.test.
sub     NS    ns
_http._tcp SRV 10 5 8080 web
_http._tcp SRV 10 5 8081 www
";

/// A nameserver for `example.test` and `second.test` that refuses all other questions. It ends when it is dropped.
struct Named {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Named {
    async fn start(zone: &str) -> Self {
        assert!(Path::new(NAMED).exists(), "{NAMED} is missing: apt-get install bind9");
        let try_it = async || Self::try_start(zone).await.ok_or("the port was taken meanwhile".to_owned());
        eventually_ok(patience(), "named starts", try_it).await
    }

    /// `None` when somebody else took the port meanwhile.
    async fn try_start(zone: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        std::fs::write(folder.path().join("named.conf"), configuration(folder.path(), address)).unwrap();
        // Without it, named would look for the root servers on the Internet.
        std::fs::write(folder.path().join("hint"), ". 60 NS ns.invalid.\nns.invalid. 60 A 127.0.0.1\n").unwrap();
        write_zone(folder.path(), 1, zone);
        let process = Command::new(NAMED)
            .args(["-g", "-n", "1", "-c"])
            .arg(folder.path().join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut named = Self { process, folder, address };
        let look = async || {
            let log = std::fs::read_to_string(named.folder.path().join("log")).unwrap();
            if named.process.try_wait().unwrap().is_some() || log.contains("address in use") {
                assert!(log.contains("address in use"), "named failed:\n{log}");
                return Ok(false);
            }
            if log.contains("all zones loaded") && log.contains(" running") { Ok(true) } else { Err(log) }
        };
        let is_running = eventually_ok(patience(), "named runs", look).await;
        is_running.then_some(named)
    }

    /// Replaces the zone; the server may take a moment.
    fn reload(&self, serial: u32, zone: &str) {
        write_zone(self.folder.path(), serial, zone);
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    }

    fn settings(&self) -> Settings {
        settings(&[self.address])
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let folder = folder.display();
    let zone = |name: &str| format!("zone \"{name}\" {{ type primary; file \"{folder}/zone\"; }};\n");
    format!(
        "options {{ directory \"{folder}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};\n\
         pid-file none; session-keyfile none; recursion no; dnssec-validation no; minimal-responses yes; notify no;\n\
         max-records-per-type 0; }};\n\
         controls {{}};\nzone \".\" {{ type hint; file \"{folder}/hint\"; }};\n{}{}",
        zone("example.test"),
        zone("second.test"),
    )
}

fn write_zone(folder: &Path, serial: u32, zone: &str) {
    let head = format!("$TTL 60\n@ SOA ns admin {serial} 3600 600 86400 60\n@ NS ns\n");
    std::fs::write(folder.join("zone.new"), head + zone).unwrap();
    std::fs::rename(folder.join("zone.new"), folder.join("zone")).unwrap();
}

fn settings(servers: &[SocketAddr]) -> Settings {
    Settings { servers: servers.to_vec(), search: Vec::new(), ndots: 1 }
}

fn discoverer(settings: Settings, kind: RecordKind, names: &[&str]) -> (Dns, DnsMetrics) {
    let metrics = DnsMetrics::register(&prometheus::Registry::new()).unwrap();
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let config = DnsConfig { names, kind, port: 80, ..DnsConfig::default() };
    let guard = Supervision::default().guard("source");
    (Dns::new(&config, Source::Fixed(settings), metrics.clone(), guard), metrics)
}

/// Looks all names up once: the groups of those that were answered, and the others.
async fn look_up(dns: &mut Dns) -> Result<(Vec<TargetGroup>, Vec<Unreadable>), Error> {
    match dns.refresh().await? {
        Reading::EverythingBut(groups, unread) => Ok((groups, unread)),
        other => panic!("{other:?} says less than every name"),
    }
}

/// The groups of the names, or the error of the first that was not answered.
async fn groups(settings: Settings, kind: RecordKind, names: &[&str]) -> Result<Vec<TargetGroup>, Error> {
    let (mut dns, _) = discoverer(settings, kind, names);
    let (groups, unread) = look_up(&mut dns).await?;
    unread.into_iter().next().map_or(Ok(groups), |unread| Err(unread.error))
}

fn addresses(group: &TargetGroup) -> Vec<&str> {
    group.targets.iter().map(|target| target.get(ADDRESS).unwrap()).collect()
}

/// Asks until the answer is as wanted.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let look = async || if holds().await { Ok(()) } else { Err(String::new()) };
    eventually_ok(patience(), what, look).await;
}

#[test]
fn every_type_of_record_becomes_targets() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        for (kind, name, expected) in [
            (RecordKind::A, "web.example.test", &["192.0.2.1:80", "192.0.2.2:80"][..]),
            (RecordKind::A, "www.example.test.", &["192.0.2.1:80", "192.0.2.2:80"]),
            (RecordKind::Aaaa, "web.example.test", &["[2001:db8::1]:80"]),
            (RecordKind::Mx, "mail.example.test", &["mx1.example.test:80", "mx2.other.test:80"]),
            (RecordKind::Ns, "example.test", &["ns.example.test:80"]),
            (RecordKind::Srv, "_http._tcp.example.test", &["web.example.test:8080", "www.example.test:8081"]),
            (RecordKind::Mx, "web.example.test", &[]),
            (RecordKind::A, "missing.example.test", &[]),
        ] {
            let groups = groups(named.settings(), kind, &[name]).await.unwrap();
            assert_eq!(groups.len(), 1);
            assert_eq!((&*groups[0].source, addresses(&groups[0])), (name, expected.to_vec()), "{kind} of {name}");
        }
    });
}

#[test]
fn names_are_groups_and_metrics_count_them() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        let (mut dns, metrics) =
            discoverer(named.settings(), RecordKind::A, &["web.example.test", "gone.example.test", "web.example.test"]);
        let (groups, unread) = look_up(&mut dns).await.unwrap();
        assert!(unread.is_empty());
        let sizes: Vec<_> = groups.iter().map(|group| (&*group.source, group.targets.len())).collect();
        assert_eq!(sizes, [("web.example.test", 2), ("gone.example.test", 0)]);
        assert_eq!(look_up(&mut dns).await.unwrap().0, groups, "the order of an answer is no news");
        assert_eq!((metrics.lookups.get(), metrics.lookup_failures.get()), (4, 0));
    });
}

#[test]
fn names_that_dns_does_not_know_are_warned_of() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        let (good, other, gone) = ("mail.example.test", "web.example.test", "gone.example.test");
        for (names, code, text) in [
            (&[good][..], None, ""),
            (&[good, gone], Some("sd_dns_no_such_name"), "there is no name \"gone.example.test\" in DNS"),
            (
                &[gone, "x.example.test", other],
                Some("sd_dns_no_such_name"),
                "there is no name \"gone.example.test\" in DNS, and so it is with 1 more of the names",
            ),
            (
                &[good, other],
                Some("sd_dns_no_records"),
                "\"web.example.test\" has no MX records in DNS: `type` says which records are asked for",
            ),
            // Nothing is known of a name that is not answered.
            (&[good, "web.refused.test"], None, ""),
        ] {
            let (mut dns, _) = discoverer(named.settings(), RecordKind::Mx, names);
            look_up(&mut dns).await.unwrap();
            let warning = dns.warning();
            assert_eq!(warning.as_ref().map(|error| error.code()), code, "{names:?}");
            assert_eq!(warning.map(|error| error.to_string()).unwrap_or_default(), text);
        }
        // What is there the next time is warned of no longer.
        let (mut dns, _) = discoverer(named.settings(), RecordKind::A, &[gone]);
        look_up(&mut dns).await.unwrap();
        assert!(dns.warning().is_some());
        named.reload(2, &format!("{ZONE}\ngone A 192.0.2.7\n"));
        eventually_ok(patience(), "the name is there", async || {
            look_up(&mut dns).await.unwrap();
            dns.warning().map_or(Ok(()), |warning| Err(warning.to_string()))
        })
        .await;
    });
}

#[test]
fn search_domains_complete_a_name() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        let search = |domains: &[&str]| Settings {
            search: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            ndots: 2,
            ..named.settings()
        };
        let found = groups(search(&["nowhere.example.test", "example.test"]), RecordKind::A, &["web"]).await.unwrap();
        assert_eq!((&*found[0].source, found[0].targets.len()), ("web", 2));
        // A domain that cannot be asked for does no harm as long as another one has the name ...
        let found = groups(search(&["refused.test", "second.test"]), RecordKind::A, &["web"]).await.unwrap();
        assert_eq!(found[0].targets.len(), 2);
        // ... but where none has it, it might exist in the one that did not answer.
        let error = groups(search(&["refused.test", "second.test"]), RecordKind::A, &["missing"]).await.unwrap_err();
        assert_eq!(error.code(), "sd_dns_lookup_failed");
    });
}

#[test]
fn answers_that_do_not_fit_come_over_tcp() {
    leak_checked_live(|| async {
        let mut zone = ZONE.to_owned();
        for index in 0..500 {
            writeln!(zone, "_many._tcp SRV 0 0 {} host-with-a-long-name-{index}", 9000 + index).unwrap();
        }
        let named = Named::start(&zone).await;
        let groups = groups(named.settings(), RecordKind::Srv, &["_many._tcp.example.test"]).await.unwrap();
        assert_eq!(groups[0].targets.len(), 500);
    });
}

#[test]
fn the_next_server_is_asked_when_one_is_dead_or_refuses() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        let other = Named::start(ZONE).await;
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let servers = [free_address(), silent.local_addr().unwrap(), named.address];
        let found = groups(settings(&servers), RecordKind::A, &["web.example.test"]).await.unwrap();
        assert_eq!(found[0].targets.len(), 2);

        let zone = "elsewhere.test";
        let conf = format!(
            "{}zone \"{zone}\" {{ type primary; file \"{}/zone\"; }};\n",
            configuration(other.folder.path(), other.address),
            other.folder.path().display()
        );
        std::fs::write(other.folder.path().join("named.conf"), conf).unwrap();
        other.reload(2, ZONE);
        let servers = settings(&[named.address, other.address]);
        until("the second server has the zone", || async {
            groups(servers.clone(), RecordKind::A, &["web.elsewhere.test"])
                .await
                .is_ok_and(|groups| groups[0].targets.len() == 2)
        })
        .await;
        let refused = lookup(&named.settings(), "web.elsewhere.test", RecordType::A).await.unwrap_err();
        assert!(refused_by(&refused), "{refused:?}");
    });
}

fn refused_by(error: &LookupError) -> bool {
    use super::error::ServerError::Code;
    matches!(error, LookupError::NoAnswer { source: Code { code: hickory_proto::op::ResponseCode::Refused, .. }, .. })
}

#[test]
fn when_all_servers_are_dead_all_names_are_unread() {
    leak_checked_live(|| async {
        let dead = [free_address(), free_address()];
        let (mut dns, metrics) = discoverer(settings(&dead), RecordKind::A, &["a.test", "b.test"]);
        let (groups, unread) = look_up(&mut dns).await.unwrap();
        assert!(groups.is_empty());
        let names: Vec<_> = unread.iter().map(|unread| (&*unread.source, unread.error.code())).collect();
        assert_eq!(names, [("a.test", "sd_dns_lookup_failed"), ("b.test", "sd_dns_lookup_failed")]);
        let error = &unread[0].error;
        assert!(error.to_string().starts_with("cannot look up \"a.test\": none of 2 nameservers"), "{error}");
        assert_eq!((metrics.lookups.get(), metrics.lookup_failures.get()), (2, 2));
    });
}

#[test]
fn a_name_that_cannot_be_is_the_operators_business() {
    leak_checked_live(|| async {
        let error = groups(settings(&[free_address()]), RecordKind::A, &["a..b"]).await.unwrap_err();
        let text = error.report().to_string();
        assert!(
            text.ends_with("a..b is not a name in DNS: there is nothing between two of its dots, or before the first"),
            "{text}"
        );
        assert_eq!((error.code(), error.priority()), ("sd_dns_bad_name", rosterd_model::Priority::Operator));
    });
}

#[test]
fn names_that_are_never_answered_hide_no_other() {
    leak_checked_live(|| async {
        let named = Named::start(ZONE).await;
        let names = ["a..x", "web.example.test", "web.refused.test", "missing.example.test"];
        let (mut dns, _) = discoverer(named.settings(), RecordKind::A, &names);
        let (groups, unread) = look_up(&mut dns).await.unwrap();
        let sizes: Vec<_> = groups.iter().map(|group| (&*group.source, group.targets.len())).collect();
        assert_eq!(sizes, [("web.example.test", 2), ("missing.example.test", 0)]);
        let codes: Vec<_> = unread.iter().map(|unread| (&*unread.source, unread.error.code())).collect();
        assert_eq!(codes, [("a..x", "sd_dns_bad_name"), ("web.refused.test", "sd_dns_lookup_failed")]);
    });
}

/// Runs the whole discoverer: a record changes, while one of two names cannot be looked up any more.
#[test]
fn a_failed_name_is_unread_while_the_others_change() {
    leak_checked_live(|| async {
        let first = Named::start(ZONE).await;
        let (dns, _) = discoverer(first.settings(), RecordKind::A, &["web.example.test", "web.second.test"]);
        let cx = Context::detached("dns/test");
        let (up, mut words) = Updates::channel(&cx);
        let run = Polling::boxed(dns, INTERVAL).run(cx.clone(), up);
        let script = async {
            let whole = words.recv().await.unwrap();
            assert_eq!(whole.groups().iter().map(|group| group.targets.len()).collect::<Vec<_>>(), [2, 2]);

            // The other zone is no longer served: its name is refused from now on.
            let conf = configuration(first.folder.path(), first.address).replace("second.test", "third.test");
            std::fs::write(first.folder.path().join("named.conf"), conf).unwrap();
            first.reload(2, &ZONE.replace("192.0.2.2", "192.0.2.9"));
            let is_so = |word: &Word| {
                let changed = word.groups().iter().any(|it| addresses(it) == ["192.0.2.1:80", "192.0.2.9:80"]);
                changed && !word.unread().is_empty()
            };
            let word = loop {
                let word = words.recv().await.unwrap();
                if is_so(&word) {
                    break word;
                }
            };
            assert!(matches!(&word, Word::EverythingBut(groups, _) if groups.len() == 1));
            assert_eq!(&*word.unread()[0].source, "web.second.test");
            assert!(cx.failures() > 0);
            cx.stop.cancel();
        };
        let (ended, ()) = timeout(DEADLINE, async { tokio::join!(run, script) }).await.unwrap();
        ended.unwrap();
    });
}

#[test]
fn a_panic_over_one_name_costs_that_name() {
    leak_checked_live(|| async {
        // Without a server there is nobody to ask, which the system's settings rule out.
        let (mut dns, metrics) = discoverer(settings(&[]), RecordKind::A, &["a..x", "web.example.test"]);
        let (groups, unread) = look_up(&mut dns).await.unwrap();
        let codes: Vec<_> = unread.iter().map(|unread| (&*unread.source, unread.error.code())).collect();
        assert_eq!(codes, [("a..x", "sd_dns_bad_name"), ("web.example.test", "sd_dns_panicked")]);
        assert!(unread[1].error.to_string().contains("at least one server"), "{}", unread[1].error);
        assert_eq!((groups.len(), metrics.lookup_failures.get()), (0, 2));
    });
}
