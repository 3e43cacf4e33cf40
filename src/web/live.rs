//! Keeps a web configuration fresh: whenever it is asked for, changed files are read again. A file that turned bad is
//! logged once and changes nothing.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rosterd_model::{Coded, Report};
use rosterd_tasks::files::Stamp;
use rosterd_tasks::{Looked, Threads, Together};
use tracing::{error, info};
use xxhash_rust::xxh3::Xxh3Default;

use super::Error;
use super::doors::Opened;
use super::file::{Loaded, load};

/// Longer than that nobody waits for the files: what is known is used.
const PATIENCE: Duration = Duration::from_millis(200);

/// A web configuration file that is followed.
#[derive(Debug)]
pub struct Live {
    watched: Arc<LiveFiles>,
    together: Together<Arc<Loaded>>,
}

#[derive(Debug)]
struct LiveFiles {
    path: PathBuf,
    /// Locked by whoever reads the files, as long as that takes.
    state: Mutex<State>,
    /// What is known without reading them.
    known: Mutex<Arc<Loaded>>,
}

#[derive(Debug)]
struct State {
    loaded: Arc<Loaded>,
    /// The web configuration and what it names.
    files: Vec<PathBuf>,
    look: Look,
    /// A hash of the files, `None` when they could not be used.
    content: Option<u64>,
    refused: Option<Report>,
}

impl Live {
    /// Loads the file for the first time.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let loaded = load(path)?;
        let files = files(path, &loaded);
        // The look is not trusted: the files may have changed since they were loaded.
        let content = Some(content(&files));
        let loaded = Arc::new(loaded);
        let known = Mutex::new(Arc::clone(&loaded));
        let state = State { content, loaded, files, look: Look::none(), refused: None };
        let watched = LiveFiles { path: path.to_owned(), state: Mutex::new(state), known };
        Ok(Self { watched: Arc::new(watched), together: Together::on(&Threads::new(1)) })
    }

    /// The configuration as the files say it now, or said it a moment ago if they had rested, or when they were last good, or
    /// could be read at all: a disk that hangs keeps nobody waiting.
    pub async fn current(&self) -> Arc<Loaded> {
        let watched = Arc::clone(&self.watched);
        let read = self.together.ask_within(PATIENCE, move || Ok::<_, Infallible>(watched.look())).await;
        read.map_or_else(|| self.watched.known(), |Ok(loaded)| loaded)
    }
}

impl LiveFiles {
    fn known(&self) -> Arc<Loaded> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration as the files say it now, on a thread that may block.
    fn look(&self) -> Looked<Arc<Loaded>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let look = Look::at(&state.files);
        if state.look.is_settled_at(&look) {
            return Looked { value: Arc::clone(&state.loaded), rests: true };
        }
        let content = content(&state.files);
        state.look = look;
        if state.content != Some(content) {
            self.reload(&mut state, content);
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&state.loaded);
        }
        Looked { value: Arc::clone(&state.loaded), rests: false }
    }

    fn reload(&self, state: &mut State, content: u64) {
        match self.read(&state.loaded) {
            Ok(loaded) => {
                info!(file = %self.path.display(), "web configuration read again");
                let files = files(&self.path, &loaded);
                // Files that were not looked at before are compared by content the next time.
                if files != state.files {
                    state.look = Look::none();
                }
                state.content = (files == state.files).then_some(content);
                state.files = files;
                state.loaded = Arc::new(loaded);
                state.refused = None;
            }
            Err(refused) => {
                let report = Report::of(&refused);
                if state.refused.as_ref() != Some(&report) {
                    error!(error = %report, code = refused.code(), "web configuration refused, keeping the one before");
                }
                // What is missing may be a file that the one before did not name: try again each time.
                state.look = Look::none();
                state.content = None;
                state.refused = Some(report);
            }
        }
    }

    fn read(&self, before: &Loaded) -> Result<Loaded, Error> {
        let mut loaded = load(&self.path)?;
        if let Some(Opened { key, how }) = before.doors.opened_by(&loaded.doors) {
            return Err(Error::Opens { path: self.path.clone(), key, how });
        }
        if loaded.has_tls() != before.has_tls() {
            return Err(Error::Switched { path: self.path.clone(), on: loaded.has_tls() });
        }
        loaded.users.remember(&before.users);
        // A limit that stays the same keeps its count.
        if let (Some(old), Some(new)) = (&before.rate, &mut loaded.rate)
            && old.is_like(new)
        {
            *new = Arc::clone(old);
        }
        Ok(loaded)
    }
}

fn files(path: &Path, loaded: &Loaded) -> Vec<PathBuf> {
    std::iter::once(path.to_owned()).chain(loaded.files.iter().cloned()).collect()
}

fn content(files: &[PathBuf]) -> u64 {
    let mut hasher = Xxh3Default::new();
    for file in files {
        let bytes = rosterd_tasks::files::read(file);
        hasher.update(&bytes.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes.unwrap_or_default());
    }
    hasher.digest()
}

/// What files looked like from outside; nothing for those that are not there.
#[derive(Debug)]
struct Look(Vec<Option<Stamp>>);

impl Look {
    fn at(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|path| Stamp::at(path).ok()).collect())
    }

    /// A look that says nothing: whatever is seen next has to be read.
    fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether the files surely hold now what they held then.
    fn is_settled_at(&self, now: &Self) -> bool {
        let same = |(then, now): (&Option<Stamp>, &Option<Stamp>)| match (then, now) {
            (Some(then), Some(now)) => then.is_settled_at(now),
            (then, now) => then.is_none() && now.is_none(),
        };
        self.0.len() == now.0.len() && self.0.iter().zip(&now.0).all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::super::doors::Doors;
    use super::*;

    #[test]
    fn a_change_is_seen_at_once_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        std::fs::write(&path, "rate_limit: {interval: 1s, burst: 1}").unwrap();
        let live = Live::open(&path).unwrap();
        let first = live.watched.look().value;
        assert!(Arc::ptr_eq(&first, &live.watched.look().value), "what did not change is not read again");

        std::fs::write(&path, "rate_limit: {interval: 1s, burst: 2}").unwrap();
        let second = live.watched.look().value;
        assert!(!second.rate.as_ref().unwrap().is_like(first.rate.as_ref().unwrap()));

        std::fs::write(&path, "rate_limits: {}").unwrap();
        assert!(Arc::ptr_eq(&second, &live.watched.look().value));
        std::fs::remove_file(&path).unwrap();
        assert!(Arc::ptr_eq(&second, &live.watched.look().value));

        std::fs::write(&path, "http_server_config: {http2: false}\nrate_limit: {interval: 1s, burst: 2}").unwrap();
        let third = live.watched.look().value;
        assert!(!third.http2);
        assert!(Arc::ptr_eq(second.rate.as_ref().unwrap(), third.rate.as_ref().unwrap()), "the count goes on");
    }

    /// A running server's view of a file, and the folder in which a certificate and its key are.
    fn opened(text: &str) -> (tempfile::TempDir, Live) {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        let path = folder.path().join("web.yml");
        std::fs::write(&path, text).unwrap();
        let live = Live::open(&path).unwrap();
        (folder, live)
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_never_lets_anybody_in() {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let text = format!(
            "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_ca_file: cert.pem\n  \
             client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [me]\n\
             http_server_config: {{http2: false}}\nrate_limit: {{interval: 1s, burst: 9}}\n\
             basic_auth_users:\n  alice: {hash}\n  bob: {hash}\n"
        );
        let (_folder, live) = opened(&text);
        for length in 0..text.len() {
            std::fs::write(&live.watched.path, &text[..length]).unwrap();
            let current = live.watched.look().value;
            assert!(!current.users.is_empty() && current.doors == Doors::GUARDED, "{:?}", &text[..length]);
        }
    }

    #[test]
    fn who_means_to_let_everybody_in_says_so() {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let users = format!("basic_auth_users: {{alice: {hash}}}");
        let (_folder, live) = opened(&users);
        let first = live.watched.look().value;
        for open in ["", "\n \n", "# later\n", "---\n", "{}", "null", "basic_auth_users:", "http_server_config: {}"] {
            std::fs::write(&live.watched.path, open).unwrap();
            for _ in 0..3 {
                assert!(Arc::ptr_eq(&first, &live.watched.look().value), "{open:?}");
            }
        }
        std::fs::write(&live.watched.path, users.replace("alice", "bob")).unwrap();
        assert!(!Arc::ptr_eq(&first, &live.watched.look().value) && !live.watched.look().value.users.is_empty());
        for open in ["basic_auth_users: {}", ""] {
            std::fs::write(&live.watched.path, open).unwrap();
            assert!(live.watched.look().value.users.is_empty(), "{open:?}");
        }
    }

    #[test]
    fn certificates_of_clients_are_asked_for_until_the_file_says_otherwise() {
        let tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: ";
        let (_folder, live) = opened(&format!("{tls} RequireAnyClientCert, client_allowed_sans: [me]}}"));
        let first = live.watched.look().value;
        for open in ["RequireAnyClientCert}", "'', client_allowed_sans: [me]}", "NoClientCert}"] {
            std::fs::write(&live.watched.path, format!("{tls} {open}")).unwrap();
            assert!(Arc::ptr_eq(&first, &live.watched.look().value), "{open}");
        }
        std::fs::write(&live.watched.path, format!("{tls} NoClientCert, client_allowed_sans: [me]}}")).unwrap();
        assert!(!Arc::ptr_eq(&first, &live.watched.look().value));
    }

    #[test]
    fn tls_is_not_turned_on_behind_the_back_of_clients() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        std::fs::write(&path, "").unwrap();
        let live = Live::open(&path).unwrap();
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(&path, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}").unwrap();
        assert!(load(&path).unwrap().has_tls());
        assert!(!live.watched.look().value.has_tls());
    }
}
