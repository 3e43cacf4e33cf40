//! What a configuration reads, and as whom: what makes two configurations give the same data. Apart from this they may differ, in
//! intervals, timeouts and limits, and what one has found is as good for the other.
//!
//! The hash is stored and compared by later versions and on other machines, so that neither the order in which things are
//! said counts nor how they are spelt, and what is not set leaves no trace: a key of a later version, left at its default,
//! changes nothing.

mod reads; // what of it is shown
mod settings; // what counts of the HTTP client

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::Path;

use aws_lc_rs::pbkdf2;
use rosterd_model::Secret;
use rosterd_tasks::files::clean;
use xxhash_rust::xxh3::xxh3_64;

pub use self::reads::Reads;
use crate::SafeUrl;
use crate::secrets::{hidden_query, proves};

/// The same everywhere, because so are identities.
const SALT: &[u8] = b"rosterd: whose view it is";
/// A secret that can be guessed cannot be guessed fast from an identity that somebody saw.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// Collects what counts. Each name is given once; the last value of a name wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    fields: BTreeMap<String, Vec<u8>>,
    reads: Reads,
}

impl Identity {
    /// Nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A text, unless it is empty.
    pub fn text(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.reads.note(name, vec![value.clone()]);
        self.put(name, b't', value.into_bytes());
    }

    /// What counts and is not shown as what is read: what may hold a secret, and who asks.
    pub fn quietly(&mut self, say: impl FnOnce(&mut Self)) {
        let reads = self.reads.clone();
        say(self);
        self.reads = reads;
    }

    /// A value, unless it is the default.
    pub fn value<V: PartialEq + Display>(&mut self, name: &str, value: &V, default: &V) {
        if value != default {
            self.text(name, value);
        }
    }

    /// A path, however it is spelt. Relative paths have to be resolved before.
    pub fn path(&mut self, name: &str, path: &Path) {
        if !path.as_os_str().is_empty() {
            self.text(name, clean(path).display());
        }
    }

    /// A URL, however it is spelt; its password and the values of parameters that are secret count as secrets. What is no URL
    /// counts as it is written.
    pub fn url(&mut self, name: &str, url: &SafeUrl) {
        let Some(Ok(mut parsed)) = url.parse() else { return self.text(name, url) };
        parsed.drop_fragment();
        if let Some(hidden) = hidden_query(&parsed) {
            let pairs = parsed.query_pairs().filter(|(name, value)| proves(name) && !value.is_empty());
            let secrets: Vec<_> = pairs.map(|(_, value)| Secret::new(value)).collect();
            parsed.set_query(Some(&hidden));
            self.secrets(&format!("{name}/parameters"), &secrets);
        }
        let password = Secret::new(parsed.password().unwrap_or_default());
        let user = parsed.username().to_owned();
        parsed.set_user(&user, None);
        self.text(name, &parsed);
        self.secret(&format!("{name}/password"), &password);
        parsed.set_user("", None);
        parsed.set_query(None);
        self.reads.note(name, vec![parsed.to_string()]);
    }

    /// URLs whose order counts, unless there are none.
    pub fn urls<'u>(&mut self, name: &str, urls: impl IntoIterator<Item = &'u SafeUrl>) {
        let mut shown = Vec::new();
        self.parts(name, urls, |id, url| {
            id.url("url", url);
            shown.extend(id.reads.iter().flat_map(|(_, values)| values.to_vec()));
        });
        self.reads.note(name, shown);
    }

    /// A secret, as a hash that says nothing of it, unless it is empty.
    pub fn secret(&mut self, name: &str, secret: &Secret) {
        if !secret.is_empty() {
            self.put(name, b's', derived(secret));
        }
    }

    /// Secrets whose order counts, unless there are none.
    pub fn secrets(&mut self, name: &str, secrets: &[Secret]) {
        self.parts(name, secrets, |id, secret| id.secret("value", secret));
    }

    /// A value of something with a name of its own, which says whether it is a secret.
    pub fn named(&mut self, name: &str, value: &str) {
        if proves(name) { self.secret(name, &Secret::new(value)) } else { self.text(name, value) }
    }

    /// Texts whose order counts, unless there are none.
    pub fn list<T: Display>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        let (mut encoded, values) = (Vec::new(), values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>());
        values.iter().for_each(|value| piece(&mut encoded, value.as_bytes()));
        self.put(name, b'l', encoded);
        self.reads.note(name, values);
    }

    /// Texts whose order and number do not count, unless there are none.
    pub fn set<T: Display>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        let mut values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        values.sort();
        values.dedup();
        self.list(name, values);
    }

    /// What belongs together under a name, unless nothing is said in it.
    pub fn part(&mut self, name: &str, say: impl FnOnce(&mut Self)) {
        let mut part = Self::new();
        say(&mut part);
        self.put(name, b'p', part.encoded());
    }

    /// The same for each of several, whose order counts.
    pub fn parts<T>(&mut self, name: &str, each: impl IntoIterator<Item = T>, mut say: impl FnMut(&mut Self, T)) {
        let mut encoded = Vec::new();
        for item in each {
            let mut part = Self::new();
            say(&mut part, item);
            piece(&mut encoded, &part.encoded());
        }
        self.put(name, b'a', encoded);
    }

    /// What is read, for people: texts, lists and URLs that were given one by one, in this order, without what is secret.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The hash.
    pub fn hash(&self) -> u64 {
        xxh3_64(&self.encoded())
    }

    fn put(&mut self, name: &str, kind: u8, value: Vec<u8>) {
        if value.is_empty() {
            self.fields.remove(name);
        } else {
            self.fields.insert(name.to_owned(), [&[kind], value.as_slice()].concat());
        }
    }

    fn encoded(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (name, value) in &self.fields {
            piece(&mut encoded, name.as_bytes());
            piece(&mut encoded, value);
        }
        encoded
    }
}

/// Appends bytes so that what follows cannot be taken for a part of them.
fn piece(encoded: &mut Vec<u8>, bytes: &[u8]) {
    encoded.extend((bytes.len() as u64).to_be_bytes());
    encoded.extend(bytes);
}

fn derived(secret: &Secret) -> Vec<u8> {
    let mut derived = vec![0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, SALT, secret.expose().as_bytes(), &mut derived);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(say: impl FnOnce(&mut Identity)) -> u64 {
        let mut identity = Identity::new();
        say(&mut identity);
        identity.hash()
    }

    #[test]
    fn the_order_of_names_does_not_count_and_that_of_lists_does() {
        let one = hash(|id| (id.text("a", "1"), id.text("b", "2")).1);
        assert_eq!(one, hash(|id| (id.text("b", "2"), id.text("a", "1")).1));
        assert_ne!(one, hash(|id| (id.text("a", "2"), id.text("b", "1")).1));
        assert_ne!(hash(|id| id.list("a", ["x", "y"])), hash(|id| id.list("a", ["y", "x"])));
        assert_eq!(hash(|id| id.set("a", ["x", "y", "x"])), hash(|id| id.set("a", ["y", "x"])));
    }

    #[test]
    fn what_is_not_set_leaves_no_trace() {
        let plain = hash(|id| id.text("a", "1"));
        let more = hash(|id| {
            id.text("a", "1");
            id.text("b", "");
            id.value("c", &7, &7);
            id.path("d", Path::new(""));
            id.url("e", &SafeUrl::default());
            id.secret("f", &Secret::default());
            id.list("g", [""; 0]);
            id.part("h", |id| id.text("x", ""));
            id.parts("i", [0; 0], |_, _| ());
        });
        assert_eq!(plain, more);
    }

    #[test]
    fn pieces_do_not_run_into_each_other() {
        let texts = [
            hash(|id| id.list("a", ["xy"])),
            hash(|id| id.list("a", ["x", "y"])),
            hash(|id| id.text("a", "xy")),
            hash(|id| id.part("a", |id| id.text("x", "y"))),
            hash(|id| id.parts("a", ["y"], |id, y| id.text("x", y))),
            hash(|id| id.secret("a", &Secret::new("xy"))),
        ];
        let distinct: std::collections::BTreeSet<_> = texts.into_iter().collect();
        assert_eq!(distinct.len(), texts.len());
    }

    #[test]
    fn spelling_does_not_count() {
        let url = |text: &str| hash(|id| id.url("url", &SafeUrl::new(text)));
        assert_eq!(url("HTTP://Host:80/a/../b"), url("http://host/b"));
        assert_ne!(url("http://host/b"), url("https://host/b"));
        assert_eq!(url("http://host/b#part"), url("http://host/b"));
        let path = |text: &str| hash(|id| id.path("file", Path::new(text)));
        assert_eq!(path("/a/./b/../c.yml"), path("/a/c.yml"));
    }

    #[test]
    fn secrets_count_and_are_not_kept() {
        let of = |password: &str| {
            let mut identity = Identity::new();
            identity.url("url", &SafeUrl::new(format!("http://u:{password}@host/")));
            identity
        };
        assert_ne!(of("hunter2").hash(), of("hunter3").hash());
        assert!(!holds(&of("hunter2"), "hunter2"));
    }

    #[test]
    fn parameters_of_urls_count_and_those_that_are_secret_are_not_kept() {
        let of = |url: &str| {
            let mut identity = Identity::new();
            identity.url("url", &SafeUrl::new(url));
            identity
        };
        let urls = [
            "http://h/?api_key=hunter2&zone=z",
            "http://h/?api_key=hunter3&zone=z",
            "http://h/?api_key=&zone=z",
            "http://h/?api_key=hunter2&zone=y",
            "http://h/?token=hunter2&zone=z",
            "http://h/?token=a&token=hunter2",
            "http://h/?token=hunter2&token=a",
            "http://h/?zone=z",
        ];
        let distinct: std::collections::BTreeSet<_> = urls.iter().map(|url| of(url).hash()).collect();
        assert_eq!(distinct.len(), urls.len());
        assert!(urls.iter().all(|url| !holds(&of(url), "hunter")));
        assert!(holds(&of(urls[0]), "zone=z"));
    }

    #[test]
    fn what_is_read_is_shown_without_secrets_queries_and_who_asks() {
        let mut identity = Identity::new();
        identity.url("url", &SafeUrl::new("http://me:hunter2@h/x?zone=z&token=hunter3"));
        identity.text("role", "pod");
        identity.text("region", "");
        identity.value("port", &80, &80);
        identity.set("names", ["b", "a", "b"]);
        identity.secret("password", &Secret::new("hunter2"));
        identity.part("labels", |id| id.text("a", "b"));
        identity.quietly(|id| id.text("cert", "mine"));
        let mut client = crate::HttpClientConfig::default();
        client.tls_config.cert = "mine".to_owned();
        client.identity(&mut identity);
        let reads: Vec<_> = identity.reads().iter().map(|(name, values)| (name, values.join(" "))).collect();
        let shown = [("url", "http://h/x"), ("role", "pod"), ("names", "a b")];
        assert_eq!(reads, shown.map(|(name, values)| (name, values.to_owned())));
        assert_ne!(identity.hash(), Identity::new().hash());
    }

    fn holds(identity: &Identity, text: &str) -> bool {
        identity.encoded().windows(text.len()).any(|window| window == text.as_bytes())
    }
}
