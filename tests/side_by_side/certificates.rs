//! Certificates of all kinds, with rosterd and a real Prometheus in front of one nginx: the same verdict on each, for scrapes,
//! discovery and remote write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use rosterd_testkit::{Folder, Process, Server, eventually_ok, free_address, leak_checked_live, need, patience};
use serde_json::Value;
use tokio::net::TcpStream;

use super::authorities::make_all;
use super::programs::{Wrapper, prometheus, rosterd};

/// A server and the `tls_config` of its clients.
struct SetUp {
    name: &'static str,
    /// The host of the URL.
    host: &'static str,
    /// The names of the files with the server's certificate (and those sent with it) and its key.
    server: (&'static str, &'static str),
    /// What else nginx is told.
    nginx: &'static str,
    /// A second server behind the same port: by which name it is asked for, and its files.
    by_name: Option<(&'static str, &'static str, &'static str)>,
    tls: &'static str,
    verdict: Verdict,
}

/// Whether it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    /// In Prometheus; rosterd cannot, as `docs/configuration.md` says.
    NotHere,
    /// Not in Go 1.19, of which Prometheus 2.42 is made, but in that of 3.14.
    Newer,
}

const fn set_up(
    name: &'static str,
    server: (&'static str, &'static str),
    tls: &'static str,
    verdict: Verdict,
) -> SetUp {
    SetUp { name, host: "localhost", server, nginx: "", by_name: None, tls, verdict }
}

const fn with(nginx: &'static str, set_up: SetUp) -> SetUp {
    SetUp { nginx, ..set_up }
}

/// The first certificate is for whoever asks for something else than the name of the second, which is other.example.
const fn two(set_up: SetUp) -> SetUp {
    SetUp { by_name: Some(("other.example", "other.pem", "other.key")), ..set_up }
}

const LEAF: (&str, &str) = ("leaf.pem", "leaf.key");
const CA: &str = "ca_file: ca.pem";
const ANY: &str = "insecure_skip_verify: true";
const TLS_1_2: &str = "ssl_protocols TLSv1.2;";
const TLS_1_3: &str = "ssl_protocols TLSv1.3;";
const CLIENTS: &str = "ssl_verify_client on; ssl_client_certificate clients.pem;";

use Verdict::{Bad, Good, NotHere};

fn set_ups() -> Vec<SetUp> {
    let client = |cert: &'static str| -> &'static str {
        match cert {
            "good" => "ca_file: ca.pem, cert_file: client.pem, key_file: client.key",
            "v1" => "ca_file: ca.pem, cert_file: client_v1.pem, key_file: client_v1.key",
            "p521" => "ca_file: ca.pem, cert_file: client_p521.pem, key_file: client_p521.key",
            "self" => "ca_file: ca.pem, cert_file: self_ca.pem, key_file: self_ca.key",
            "odd" => "ca_file: ca.pem, cert_file: client_odd.pem, key_file: client_odd.key",
            _ => "ca_file: ca.pem, cert_file: client_stranger.pem, key_file: client_stranger.key",
        }
    };
    vec![
        set_up("signed by the authority", LEAF, CA, Good),
        SetUp { host: "127.0.0.1", ..set_up("an address as name", LEAF, CA, Good) },
        set_up("sent with the authority between", ("between_chain.pem", "between_leaf.key"), CA, Good),
        set_up("sent without the authority between", ("between_leaf.pem", "between_leaf.key"), CA, Bad),
        set_up("the authority between trusted", ("between_leaf.pem", "between_leaf.key"), "ca_file: between.pem", Good),
        set_up("itself, an authority", ("self_ca.pem", "self_ca.key"), "ca_file: self_ca.pem", Good),
        set_up("itself, no authority", ("self.pem", "self.key"), "ca_file: self.pem", Good),
        set_up("signed, and trusted itself", LEAF, "ca_file: leaf.pem", Good),
        set_up("trusted by nobody", ("self.pem", "self.key"), "", Bad),
        set_up("of another authority", LEAF, "ca_file: stranger.pem", Bad),
        set_up("rubbish beside the authority", LEAF, "ca_file: rubbish_ca.pem", Good),
        set_up("another name", ("other.pem", "other.key"), CA, Bad),
        set_up(
            "another name, asked for",
            ("other.pem", "other.key"),
            "ca_file: ca.pem, server_name: other.example",
            Good,
        ),
        two(set_up("chosen by name", LEAF, "ca_file: ca.pem, server_name: other.example", Good)),
        two(set_up("not chosen by name", LEAF, CA, Good)),
        two(SetUp {
            host: "127.0.0.1",
            ..with(
                "ssl_reject_handshake on;",
                set_up("by name only", LEAF, "ca_file: ca.pem, server_name: other.example", Good),
            )
        }),
        two(with("ssl_reject_handshake on;", set_up("by another name", LEAF, CA, Bad))),
        set_up("another name, trusted itself", ("other.pem", "other.key"), "ca_file: other.pem", Bad),
        set_up("any name of a domain", ("wild.pem", "wild.key"), "ca_file: ca.pem, server_name: a.example", Good),
        set_up("a name below", ("wild.pem", "wild.key"), "ca_file: ca.pem, server_name: a.b.example", Bad),
        set_up("a common name alone", ("common.pem", "common.key"), CA, Bad),
        set_up("expired", ("expired.pem", "expired.key"), CA, Bad),
        set_up("expired, trusted itself", ("expired.pem", "expired.key"), "ca_file: expired.pem", Bad),
        set_up("expired, whatever it is", ("expired.pem", "expired.key"), ANY, Good),
        set_up("not yet valid", ("early.pem", "early.key"), CA, Bad),
        set_up("of an expired authority", ("old_leaf.pem", "old_leaf.key"), "ca_file: old_ca.pem", Bad),
        set_up("of no authority", ("no_ca_leaf.pem", "no_ca_leaf.key"), "ca_file: self.pem", Bad),
        set_up("an authority as server", ("leaf_ca.pem", "leaf_ca.key"), CA, Good),
        set_up("for clients", ("for_clients.pem", "for_clients.key"), CA, Bad),
        set_up("an extension that nobody knows", ("odd.pem", "odd.key"), CA, Bad),
        set_up("an extension that nobody knows, whatever it is", ("odd.pem", "odd.key"), ANY, Good),
        set_up("version 1", ("v1.pem", "v1.key"), "ca_file: v1.pem", Bad),
        set_up("version 1, whatever it is", ("v1.pem", "v1.key"), ANY, Good),
        with(TLS_1_2, set_up("version 1 by TLS 1.2, whatever it is", ("v1.pem", "v1.key"), ANY, Good)),
        set_up("P-521", ("p521.pem", "p521.key"), CA, Good),
        with(TLS_1_2, set_up("P-521 by TLS 1.2, whatever it is", ("p521.pem", "p521.key"), ANY, Good)),
        set_up("Ed25519", ("ed25519.pem", "ed25519.key"), CA, Good),
        set_up("RSA of 1024 bits", ("rsa1024.pem", "rsa1024.key"), CA, Good),
        set_up("RSA of 1024 bits, whatever it is", ("rsa1024.pem", "rsa1024.key"), ANY, Good),
        with(TLS_1_2, set_up("RSA of 1024 bits by TLS 1.2", ("rsa1024.pem", "rsa1024.key"), CA, Good)),
        set_up("of an authority for such names", ("narrow_good.pem", "narrow_good.key"), "ca_file: narrow.pem", Good),
        set_up("of an authority for other names", ("narrow_bad.pem", "narrow_bad.key"), "ca_file: narrow.pem", Bad),
        with(TLS_1_2, set_up("TLS 1.2", LEAF, CA, Good)),
        with(TLS_1_2, set_up("TLS 1.2 is too old", LEAF, "ca_file: ca.pem, min_version: TLS13", Bad)),
        with(TLS_1_3, set_up("TLS 1.3 is too new", LEAF, "ca_file: ca.pem, max_version: TLS12", Bad)),
        with(
            "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0;",
            set_up("a cipher suite with CBC", LEAF, CA, NotHere),
        ),
        with(
            "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;",
            set_up("TLS 1.1", LEAF, "ca_file: ca.pem, min_version: TLS10", NotHere),
        ),
        with(CLIENTS, set_up("a client's certificate", LEAF, client("good"), Good)),
        with(CLIENTS, set_up("a client's certificate is missing", LEAF, CA, Bad)),
        with(CLIENTS, set_up("a client's certificate of version 1", LEAF, client("v1"), Good)),
        with(CLIENTS, set_up("a client's certificate with P-521", LEAF, client("p521"), Good)),
        with(CLIENTS, set_up("a client's certificate signed by itself", LEAF, client("self"), Good)),
        with(CLIENTS, set_up("a client's certificate of a stranger", LEAF, client("stranger"), Bad)),
        with(
            "ssl_verify_client optional_no_ca;",
            set_up("a client's certificate that nobody knows", LEAF, client("odd"), Good),
        ),
        with(
            CLIENTS,
            set_up(
                "a client's certificate with RSA of 1024 bits",
                LEAF,
                "ca_file: ca.pem, cert_file: client_rsa1024.pem, key_file: client_rsa1024.key",
                NotHere,
            ),
        ),
    ]
}

/// nginx with all servers, each on a port of its own.
struct Servers {
    _process: Process,
    ports: Vec<u16>,
}

impl Servers {
    async fn start(folder: &Folder, set_ups: &[SetUp]) -> Self {
        let mut ports = BTreeSet::new();
        while ports.len() < set_ups.len() {
            ports.insert(free_address().port());
        }
        let ports: Vec<_> = ports.into_iter().collect();
        let mut servers = String::new();
        for (set_up, port) in set_ups.iter().zip(&ports) {
            let (cert, key) = set_up.server;
            // A suite that is not chosen for one server may be for another.
            let suites = if set_up.nginx.contains("ssl_ciphers") { "" } else { "ssl_ciphers DEFAULT:@SECLEVEL=0;" };
            let protocols = if set_up.nginx.contains("ssl_protocols") { "" } else { "ssl_protocols TLSv1.2 TLSv1.3;" };
            let mut server = |cert: &str, key: &str, more: &str| {
                writeln!(
                    servers,
                    "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
                        {suites} {protocols} {more}
                        location /metrics {{ default_type text/plain; return 200 \"something 1\\n\"; }}
                        location /sd {{ default_type application/json; return 200 '[{{\"targets\": [\"127.0.0.1:9\"]}}]'; }}
                        location /write {{ return 204; }} }}",
                )
                .expect("a string takes all");
            };
            server(cert, key, set_up.nginx);
            if let Some((name, cert, key)) = set_up.by_name {
                server(cert, key, &format!("server_name {name};"));
            }
        }
        let root = folder.root().display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {root}/{kind};"))
            .join(" ");
        let config = folder.write(
            "nginx.conf",
            format!(
                "daemon off; master_process off; pid {root}/pid; error_log stderr;
                events {{ worker_connections 4096; }}
                http {{ log_format short '$server_port $request_uri $status'; access_log {root}/access.log short;
                    client_max_body_size 0; {paths}\n{servers} }}"
            ),
        );
        let mut command = Command::new(need("nginx", "nginx-light"));
        command.args(["-p", &root.to_string(), "-e", "stderr", "-c"]).arg(config);
        let mut process = Process::start("nginx", &mut command);
        for port in &ports {
            let look = async || {
                assert!(process.exited().is_none(), "nginx does not start: {}", process.log());
                TcpStream::connect(("127.0.0.1", *port)).await.map_err(|error| format!("{error}: {}", process.log()))
            };
            drop(eventually_ok(patience(), "nginx starts", look).await);
        }
        Self { _process: process, ports }
    }

    /// The URL of a path of a server.
    fn url(&self, set_ups: &[SetUp], number: usize, path: &str) -> String {
        format!("https://{}:{}{path}", set_ups[number].host, self.ports[number])
    }
}

/// Three uses of each server. `whose` tells whose requests nginx has answered.
fn configuration(set_ups: &[SetUp], servers: &Servers, whose: &str) -> String {
    let (mut jobs, mut endpoints) = (String::new(), String::new());
    for (number, set_up) in set_ups.iter().enumerate() {
        let (tls, host, port) = (set_up.tls, set_up.host, servers.ports[number]);
        let [sd, write] = ["/sd".to_owned(), format!("/write/{whose}")].map(|path| servers.url(set_ups, number, &path));
        write!(
            jobs,
            "- {{job_name: scrape {number}, scheme: https, tls_config: {{{tls}}}, \
                static_configs: [{{targets: ['{host}:{port}']}}]}}\n\
             - {{job_name: find {number}, http_sd_configs: \
                [{{url: '{sd}', refresh_interval: 1s, tls_config: {{{tls}}}}}]}}\n"
        )
        .expect("a string takes all");
        let queue = "queue_config: {batch_send_deadline: 100ms, max_shards: 1}, metadata_config: {send: false}";
        writeln!(endpoints, "- {{name: write {number}, url: '{write}', {queue}, tls_config: {{{tls}}}}}")
            .expect("a string takes all");
    }
    format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nremote_write:\n{endpoints}scrape_configs:\n{jobs}")
}

/// By set-up: whether a scrape, discovery and remote write have worked, and how often it was scraped.
type Seen = BTreeMap<&'static str, [bool; 3]>;

/// What has worked, and when each was scraped last; nothing as long as not all were.
async fn seen(
    program: &Server,
    set_ups: &[SetUp],
    servers: &Servers,
    folder: &Folder,
    whose: &str,
) -> Option<(Seen, Vec<String>)> {
    let answer = program.data("/api/v1/targets").await;
    let log = std::fs::read_to_string(folder.path("access.log")).unwrap_or_default();
    let (mut seen, mut times) = (Seen::new(), Vec::new());
    for (number, set_up) in set_ups.iter().enumerate() {
        let of = |kind: &str| {
            let pool = format!("{kind} {number}");
            answer["activeTargets"].as_array().into_iter().flatten().find(move |target| target["scrapePool"] == *pool)
        };
        let scraped = of("scrape").filter(|target| target["health"] != "unknown")?;
        times.push(scraped["lastScrape"].as_str()?.to_owned());
        let written = format!("{} /write/{whose} 204", servers.ports[number]);
        let worked = [
            scraped["health"] == "up",
            of("find").is_some_and(|target: &Value| target["scrapePool"].is_string()),
            log.lines().any(|line| line == written),
        ];
        seen.insert(set_up.name, worked);
    }
    Some((seen, times))
}

/// Waits until a program has come to these verdicts, and stands by them at the scrape after the next.
async fn comes_to(
    expected: &Seen,
    program: &Server,
    set_ups: &[SetUp],
    servers: &Servers,
    folder: &Folder,
    whose: &str,
) {
    let (mut last, mut calm) = (Vec::new(), 0);
    let look = async || {
        let now = seen(program, set_ups, servers, folder, whose).await;
        let Some((_, times)) = now.as_ref().filter(|(seen, _)| seen == expected) else {
            (last, calm) = (Vec::new(), 0);
            let Some((seen, _)) = now else { return Err("not all were scraped".to_owned()) };
            let wrong = seen.iter().filter(|(name, worked)| expected.get(*name) != Some(worked));
            let wrong: Vec<_> = wrong.map(|(name, worked)| format!("{name}: {worked:?}")).collect();
            return Err(format!("scrape, discovery, remote write:\n{}\n{}", wrong.join("\n"), program.log()));
        };
        let all_new = last.len() == times.len() && last.iter().zip(times).all(|(old, new)| old != new);
        if all_new || last.is_empty() {
            (last, calm) = (times.clone(), calm + 1);
        }
        if calm < 3 { Err(format!("as it should be, but scraped no more since {last:?}")) } else { Ok(()) }
    };
    eventually_ok(2 * patience(), &format!("{whose} comes to the verdicts, and stands by them"), look).await;
}

#[test]
fn certificates_are_trusted_as_in_prometheus() {
    leak_checked_live(|| async {
        let (folder, set_ups) = (Folder::new(), set_ups());
        make_all(&folder);
        let servers = Servers::start(&folder, &set_ups).await;
        let expected = |here: &[Verdict]| -> Seen {
            set_ups.iter().map(|set_up| (set_up.name, [here.contains(&set_up.verdict); 3])).collect()
        };
        let config = |whose: &str| folder.write(&format!("{whose}.yml"), configuration(&set_ups, &servers, whose));
        let theirs = prometheus("prometheus", &config("prometheus"), Wrapper::default()).await;
        let ours = rosterd(&config("rosterd"), Wrapper::default(), &[]).await;
        comes_to(&expected(&[Good, NotHere]), &theirs, &set_ups, &servers, &folder, "prometheus").await;
        comes_to(&expected(&[Good, Verdict::Newer]), &ours, &set_ups, &servers, &folder, "rosterd").await;
    });
}
