//! What rosterd takes from the machine that it runs on, as the command line saw it. Nothing below the command line looks at
//! the process's own environment, so that a configuration means the same to every agent of a process and in every test.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rosterd_tasks::{Machine, Threads};
use rustls_native_certs::CertificateResult;

use crate::certificates::Pool;
use crate::names::Names;

/// How many files of certificates and credentials of a folder are looked at at the same time.
const FILES_AT_ONCE: usize = 4;
/// So many lines there are for them: folders share one only by chance.
const LINES: usize = 32;
/// How many pools of connections are made at the same time.
const POOLS_AT_ONCE: usize = 16;

/// Where distributions keep the certificates that they trust: the first file that there is, and every folder. The
/// places are those of OpenSSL's and Go's.
const ROOT_FILES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/opt/etc/ssl/certs/ca-certificates.crt",
];
const ROOT_FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Environment variables, as a value. Cloning shares it.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All variables.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A variable that may be written in capitals or in small letters; the former wins, an empty one counts as none.
    pub fn either_case(&self, capitals: &str) -> Option<&str> {
        let found = self.get(capitals).filter(|value| !value.is_empty());
        found.or_else(|| self.get(&capitals.to_lowercase())).filter(|value| !value.is_empty())
    }
}

/// Only how many there are: values may be secrets, and names say what is secret here.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }
}

/// The machine of one agent: its name, its environment, and the certificates that it trusts, which are read once for all
/// clients. Cloning shares it. The default is a machine without a name and with an empty environment.
#[derive(Debug, Clone, Default)]
pub struct System(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    name: String,
    environment: Environment,
    allows_commands: bool,
    roots: OnceLock<Arc<Pool>>,
    names: Names,
    /// Where files are read, by folder: that of one may be on a disk that hangs.
    files: Box<[Threads]>,
    pools: Threads,
}

impl Default for Seen {
    fn default() -> Self {
        let files = (0..LINES).map(|_| Threads::new(FILES_AT_ONCE)).collect();
        let (name, environment, allows_commands, roots, names) = <_>::default();
        Self { name, environment, allows_commands, roots, names, files, pools: Threads::new(POOLS_AT_ONCE) }
    }
}

impl System {
    /// A machine of this name, with what the command line saw of it.
    pub fn new(name: impl Into<String>, environment: Environment) -> Self {
        Self(Arc::new(Seen { name: name.into(), environment, ..Seen::default() }))
    }

    /// The same machine, on which commands that the configuration names may be run, or one of the files that it names
    /// (`--enable-exec-sd`).
    #[must_use]
    pub fn allowing_commands(self, allowed: bool) -> Self {
        let Seen { name, environment, .. } = &*self.0;
        let (name, environment) = (name.clone(), environment.clone());
        Self(Arc::new(Seen { name, environment, allows_commands: allowed, ..Seen::default() }))
    }

    /// Whether commands may be run.
    pub fn allows_commands(&self) -> bool {
        self.0.allows_commands
    }

    /// The name of the machine.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What tells its schedules from those of other machines.
    pub fn machine(&self) -> Machine {
        Machine::named(&self.0.name)
    }

    /// The environment.
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// Where a file is read, and others of its folder.
    pub(crate) fn readers_of(&self, file: &Path) -> &Threads {
        let mut hasher = DefaultHasher::new();
        file.parent().hash(&mut hasher);
        &self.0.files[hasher.finish() as usize % LINES]
    }

    /// Where pools of connections are made, with certificates that were read.
    pub(crate) fn pool_makers(&self) -> &Threads {
        &self.0.pools
    }

    /// Looks hosts up.
    pub(crate) fn names(&self) -> Names {
        self.0.names.clone()
    }

    /// The certificates that the system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`. They are read when the first
    /// connection needs them.
    pub(crate) fn roots(&self) -> Arc<Pool> {
        let load = || {
            let found = certificates(&self.0.environment);
            for error in &found.errors {
                tracing::warn!(%error, "cannot read some certificates that the system trusts");
            }
            Arc::new(found.certs.into_iter().collect())
        };
        Arc::clone(self.0.roots.get_or_init(load))
    }
}

fn certificates(environment: &Environment) -> CertificateResult {
    let (file, folders) = places(environment);
    let mut all = rustls_native_certs::load_certs_from_paths(file.as_deref(), None);
    for folder in folders {
        let more = rustls_native_certs::load_certs_from_paths(None, Some(&folder));
        all.certs.extend(more.certs);
        all.errors.extend(more.errors);
    }
    all.certs.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    all.certs.dedup();
    all
}

/// The file and the folders to read.
fn places(environment: &Environment) -> (Option<PathBuf>, Vec<PathBuf>) {
    // An empty variable counts as none, as for Go.
    let file = environment.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let folders = environment.get("SSL_CERT_DIR").unwrap_or_default().split(':').filter(|path| !path.is_empty());
    let folders: Vec<_> = folders.map(PathBuf::from).collect();
    if file.is_some() || !folders.is_empty() {
        return (file, folders);
    }
    let exist = |path: &&str| Path::new(path).exists();
    let file = ROOT_FILES.iter().copied().find(exist).map(PathBuf::from);
    (file, ROOT_FOLDERS.iter().copied().filter(exist).map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn what_is_printed_for_developers_has_nothing_of_the_environment() {
        let system = System::new("m", Environment::from_iter([("DB_PASSWORD", "s3cret"), ("HOME", "/root")]));
        let printed = format!("{system:?}");
        assert!(printed.contains("2 variables") && !printed.contains("DB_PASSWORD"), "{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn certificates_come_from_where_the_environment_says_and_are_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let (file, first, second) =
            (folder.path().join("one.pem"), folder.path().join("first"), folder.path().join("second"));
        std::fs::write(&file, pem()).unwrap();
        for folder in [&first, &second] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("a.pem"), pem()).unwrap();
        }
        let text = |path: &Path| path.display().to_string();
        let folders = format!("{}::{}", text(&first), text(&second));
        let environment: Environment =
            [("SSL_CERT_FILE", text(&file)), ("SSL_CERT_DIR", folders)].into_iter().collect();
        let system = System::new("host", environment);
        assert_eq!(system.roots().len(), 3);
        std::fs::remove_file(&file).unwrap();
        assert!(Arc::ptr_eq(&system.roots(), &system.clone().roots()), "clones share what was read");
    }

    #[test]
    fn files_that_hang_keep_no_thread_from_those_of_other_folders() {
        let (system, one) = (System::default(), Path::new("/mnt/gone/token"));
        let same = |other: &Path| std::ptr::eq(system.readers_of(one), system.readers_of(other));
        assert!(same(Path::new("/mnt/gone/password")), "there are a few for a folder");
        let others = (0..100).map(|number| PathBuf::from(format!("/etc/secrets/{number}/token")));
        assert!(others.filter(|other| !same(other)).count() > 80);
        assert!(!std::ptr::eq(system.readers_of(one), system.pool_makers()));
    }

    #[test]
    fn a_missing_file_of_the_environment_is_not_replaced_by_that_of_the_system() {
        let environment: Environment = [("SSL_CERT_FILE", "/none")].into_iter().collect();
        assert_eq!(System::new("host", environment).roots().len(), 0);
    }

    #[test]
    fn an_empty_variable_leaves_the_places_of_the_system() {
        let environment: Environment = [("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")].into_iter().collect();
        assert_eq!(places(&environment), places(&Environment::default()));
    }
}
