//! The file of `--web.config.file`, in the format of Prometheus' exporter toolkit: TLS, headers, users, rate limit.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rosterd_model::Problem;
use rosterd_tasks::files;
use rosterd_yaml::{Problems, Tree};
use rustls::ServerConfig;

use super::Error;
use super::doors::{Door, Doors};
use super::rate::Bucket;
use super::section::{Section, Value, invalid};
use super::tls::Tls;
use super::users::{self, Users};

/// The headers that may be added to responses, and their possible values where these are few.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// A web configuration that can be used: everything it names has been read.
#[derive(Debug)]
pub struct Loaded {
    /// TLS, unless it is off.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) http2: bool,
    /// What answers have besides their own; those without a value are not sent.
    pub(super) headers: HeaderMap,
    pub(super) users: Users,
    pub(super) rate: Option<Arc<Bucket>>,
    /// The files that it names.
    pub(super) files: Vec<PathBuf>,
    pub(super) doors: Doors,
}

impl Loaded {
    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Reads a web configuration and the certificates it names. Fails with all problems at once.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    load_by(path, files::read)
}

/// Like [`load`], also out of a pipe, which cannot be read again.
pub fn load_once(path: &Path) -> Result<Loaded, Error> {
    load_by(path, files::read_document)
}

fn load_by(path: &Path, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Loaded, Error> {
    let bytes = read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let mut tree = Tree::default();
    let root = tree
        .read(path, &bytes)
        .sound()
        .map_err(|problems| Error::Malformed { path: path.to_owned(), source: Problems(problems) })?;
    let base = path.parent().unwrap_or(Path::new(""));
    parse(Value::new(&tree, root), base).map_err(|problems| {
        let placed = |Problem { path, code, message }: Problem| {
            let (place, _) = tree.find(root, &path, &HashSet::new());
            tree.problem(place, path, code, message)
        };
        Error::Invalid { path: path.to_owned(), source: Problems(problems.into_iter().map(placed).collect()) }
    })
}

/// Reads a web configuration whose relative paths start at `base`.
fn parse(document: Value<'_>, base: &Path) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut root = Section::new("", Some(document), &mut problems);
    let tls = Tls::read(root.value("tls_server_config"), base, &mut problems);
    let (http2, headers) = http_server(root.value("http_server_config"), &mut problems);
    let written = root.value("basic_auth_users");
    let users = basic_auth_users(written, &mut problems);
    let rate = rate_limit(root.value("rate_limit"), &mut problems);
    root.end(&mut problems);
    let files = tls.files();
    let (certificates, names) = tls.doors();
    let doors = Doors { users: Door::of(written.is_some(), !users.is_empty()), certificates, names };
    let tls = tls.server_config(http2, &mut problems).map(Arc::new);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Loaded { tls, http2, headers, users, rate: rate.map(Arc::new), files, doors })
}

fn http_server(value: Option<Value<'_>>, problems: &mut Vec<Problem>) -> (bool, HeaderMap) {
    let mut section = Section::new("http_server_config", value, problems);
    let http2 = section.boolean("http2", true, problems);
    let configured = Section::new("http_server_config.headers", section.value("headers"), problems);
    section.end(problems);
    let mut headers = HeaderMap::new();
    for (name, value) in configured.rest() {
        let path = format!("http_server_config.headers.{name}");
        let Some((known, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let allowed = HEADERS.map(|(name, _)| name).join(", ");
            problems.push(invalid(&path, format!("this header cannot be set here, only {allowed}")));
            continue;
        };
        let Some(text) = value.text() else {
            problems.push(invalid(&path, "a string is needed here"));
            continue;
        };
        if !text.is_empty() && !values.is_empty() && !values.contains(&text) {
            problems.push(invalid(&path, format!("{text:?} is not possible, only {}", values.join(" or "))));
            continue;
        }
        match HeaderValue::from_str(text) {
            Ok(value) => {
                let name = HeaderName::try_from(*known).expect("the names in the table are valid");
                headers.insert(name, value);
            }
            Err(_) => problems.push(invalid(&path, "this cannot be the value of a header")),
        }
    }
    (http2, headers)
}

fn basic_auth_users(value: Option<Value<'_>>, problems: &mut Vec<Problem>) -> Users {
    let mut hashes = HashMap::new();
    for (user, hash) in Section::new("basic_auth_users", value, problems).rest() {
        let path = format!("basic_auth_users.{user}");
        let hash = hash.text().unwrap_or_default();
        match users::cost(hash) {
            Ok(4..=31) => drop(hashes.insert(user, hash.to_owned())),
            Ok(cost) => problems.push(invalid(&path, format!("a cost of {cost} is not possible, only 4 to 31"))),
            Err(_) => {
                problems.push(invalid(&path, "this is not a bcrypt hash: write what htpasswd -nBC 10 \"\" prints"));
            }
        }
    }
    Users::new(hashes)
}

fn rate_limit(value: Option<Value<'_>>, problems: &mut Vec<Problem>) -> Option<Bucket> {
    let mut section = Section::new("rate_limit", value, problems);
    let interval = section.value("interval").map(|value| (value, go_duration(value)));
    let burst = section.value("burst").map(|value| value.read::<u32>());
    section.end(problems);
    let interval = match interval {
        None => return None,
        Some((_, Some(interval))) => interval,
        Some(_) => {
            problems.push(invalid("rate_limit.interval", "a duration such as 100ms or 1m30s is needed here"));
            return None;
        }
    };
    match burst {
        _ if interval.is_zero() => None,
        Some(Some(burst)) if burst > 0 => Some(Bucket::new(interval, burst)),
        _ => {
            let message = "a number above 0 is needed here: with less, no request would ever get through";
            problems.push(invalid("rate_limit.burst", message));
            None
        }
    }
}

/// A duration as Go reads it: numbers with a unit each, or a whole number of nanoseconds.
fn go_duration(value: Value<'_>) -> Option<Duration> {
    if let Some(nanoseconds) = value.read() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let text = value.text()?;
    let mut rest = text.trim_start_matches('+');
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, read: impl FnOnce(Value<'_>) -> T) -> T {
        let mut tree = Tree::default();
        let root = tree.read(Path::new("web.yml"), text.as_bytes()).sound().expect("it is YAML");
        read(Value::new(&tree, root))
    }

    fn problems(text: &str) -> Vec<String> {
        let found = with(text, |document| parse(document, Path::new("/"))).err().unwrap_or_default();
        found.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let loaded = with("", |document| parse(document, Path::new("/"))).unwrap();
        assert!(!loaded.has_tls() && loaded.http2 && loaded.headers.is_empty() && loaded.users.is_empty());
        assert!(loaded.rate.is_none() && loaded.files.is_empty());
    }

    #[test]
    fn problems_have_their_places_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let shown = |text: &str| {
            std::fs::write(&path, text).unwrap();
            match load(&path).expect_err(text) {
                Error::Malformed { source, .. } | Error::Invalid { source, .. } => {
                    source.0.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.key)).collect::<Vec<_>>()
                }
                other => panic!("{other}"),
            }
        };
        assert_eq!(shown("rate_limit:\n  interval: 1s\n  burst:\t0\nx: 1\n"), ["3:10 rate_limit.burst", "4:4 x"]);
        assert_eq!(shown("rate_limit: {\n"), ["1:14 "], "no place is behind the end");
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_paths() {
        let found = problems(
            "tls_server_config: {cert_fil: a, min_version: TLS11, cipher_suites: [TLS_X, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}\n\
             http_server_config: {http2: maybe, headers: {X-Frame-Options: allow, Server: x}}\n\
             basic_auth_users: {alice: plain}\n\
             rate_limit: {interval: 1s, burst: 0}\n\
             basic_auth_user: {}\n",
        );
        let starts = [
            "tls_server_config.cert_fil: there is no such key; did you mean cert_file?",
            "tls_server_config.min_version: ",
            "tls_server_config.cipher_suites[0]: ",
            "tls_server_config.cipher_suites[1]: ",
            "http_server_config.http2: ",
            "http_server_config.headers.X-Frame-Options: ",
            "http_server_config.headers.Server: ",
            "basic_auth_users.alice: this is not a bcrypt hash: write what htpasswd",
            "rate_limit.burst: ",
            "basic_auth_user: there is no such key; did you mean basic_auth_users?",
        ];
        for start in starts {
            assert!(found.iter().any(|problem| problem.starts_with(start)), "{start} is missing in {found:#?}");
        }
        assert_eq!(found.len(), starts.len(), "{found:#?}");
    }

    #[test]
    fn a_certificate_needs_its_key_and_both_must_be_readable() {
        let found = problems("tls_server_config: {cert_file: no/such.pem}");
        assert!(found.iter().any(|problem| problem.starts_with("tls_server_config.key_file: ")), "{found:?}");
        let unreadable = "tls_server_config.cert_file: cannot read /no/such.pem";
        assert!(found.iter().any(|problem| problem.starts_with(unreadable)), "{found:?}");
    }

    #[test]
    fn clients_are_verified_only_with_a_policy_and_an_authority() {
        let found = problems("tls_server_config: {cert: x, key: y, client_ca: z}");
        assert!(found.iter().any(|problem| problem.starts_with("tls_server_config.client_auth_type: ")), "{found:?}");
        let found = problems("tls_server_config: {cert: x, key: y, client_auth_type: RequireAndVerifyClientCert}");
        assert!(found.iter().any(|problem| problem.starts_with("tls_server_config.client_ca_file: ")), "{found:?}");
    }

    #[test]
    fn durations_are_those_of_go() {
        let read = |text: &str| with(text, go_duration);
        assert_eq!(read("1m30.5s"), Some(Duration::from_millis(90_500)));
        assert_eq!(read("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(read("1000"), Some(Duration::from_micros(1)));
        assert_eq!(read("'0'"), Some(Duration::ZERO));
        assert_eq!([read("1d"), read("-1s"), read("5x"), read("''"), read("'7'")], [None; 5]);
    }
}
