//! The folders of queues: whose they are stands in each, so that settings and their order can change without losing what waits.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rosterd_client::without_user;
use rosterd_tasks::{blocking, files};
use tracing::{debug, error, info, warn};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::EndpointConfig;
use crate::log;
use crate::owner::{self, Left, Owner};
use crate::private;

/// Says whose queue it is: name and URL for people, the age limit in seconds, and then for rosterd whether the configuration
/// has the endpoint, and its [`Owner`]. The first release wrote only three lines.
const ABOUT: &str = "endpoint";
/// The code of what is damaged.
const DAMAGED: &str = "ship_queue_damaged";

/// What stands in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct About {
    name: String,
    url: String,
    max_age: Duration,
    owner: Option<Left>,
}

impl About {
    fn of(config: &EndpointConfig) -> Self {
        let mut url = without_user(&config.url);
        // There may be a secret in it.
        url.set_query(None);
        let owner = Some(Left { owner: Owner::of(config), just_now: true });
        Self { name: config.name.replace('\n', " "), url: url.into(), max_age: config.disk.max_age, owner }
    }

    /// `None` where nothing says whose queue it is, or not in a way that can be understood.
    fn read(folder: &Path) -> Option<Self> {
        let text = files::read_text(&folder.join(ABOUT)).ok()?;
        let mut lines = text.lines();
        let (name, url) = (lines.next()?.to_owned(), lines.next()?.to_owned());
        let max_age = Duration::from_secs(lines.next()?.parse().unwrap_or(0));
        let owner = match lines.next() {
            None => None,
            Some(line) => {
                let mut numbers = line.split(' ');
                let just_now = numbers.next()? == "used";
                let mut next = || u64::from_str_radix(numbers.next()?, 16).ok();
                let (tenant, proof, rules) = (next()?, next()?, next()?);
                let name = lines.next().unwrap_or_default().to_owned();
                Some(Left { owner: Owner { name, tenant, proof, rules }, just_now })
            }
        };
        Some(Self { name, url, max_age, owner })
    }

    /// Writes it unless it stands there.
    fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = format!("{}\n{}\n{}\n", self.name, self.url, self.max_age.as_secs());
        if let Some(Left { owner: Owner { name, tenant, proof, rules }, just_now }) = &self.owner {
            let used = if *just_now { "used" } else { "left" };
            text += &format!("{used} {tenant:x} {proof:x} {rules:x}\n{}\n", name.replace('\n', " "));
        }
        let path = folder.join(ABOUT);
        if files::read_text(&path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        std::fs::create_dir_all(folder)?;
        // On a full disk the old one stays.
        let new = folder.join("endpoint.new");
        let written = private::write(&new, &text).and_then(|()| std::fs::rename(&new, path));
        written.inspect_err(|_| drop(std::fs::remove_file(&new)))
    }
}

/// The folder in which the first release kept the queue of an endpoint of this name.
fn of_first_release(folder: &Path, name: &str, config: &EndpointConfig) -> PathBuf {
    hashed(folder, &format!("{name}\0{}", without_user(&config.url)))
}

fn hashed(folder: &Path, identity: &str) -> PathBuf {
    folder.join(format!("{:032x}", xxh3_128(identity.as_bytes())))
}

/// Chooses a folder for each of these endpoints that has none: the one whose queue it goes on with, or a new one.
pub(crate) async fn choose(folder: &Path, configs: Vec<EndpointConfig>, running: Vec<Option<PathBuf>>) -> Vec<PathBuf> {
    let folder = folder.to_owned();
    blocking(move || {
        let found = found(&folder).unwrap_or_else(|error| {
            warn!(%error, "cannot look for the folders of remote write queues");
            Vec::new()
        });
        chosen(&folder, &configs, running, found)
    })
    .await
}

fn chosen(
    folder: &Path,
    configs: &[EndpointConfig],
    mut places: Vec<Option<PathBuf>>,
    found: Vec<(PathBuf, About)>,
) -> Vec<PathBuf> {
    let mut found: Vec<_> = found.into_iter().filter(|(path, _)| !places.contains(&Some(path.clone()))).collect();
    // Those of the first release are as they were left: the order of that time holds.
    let names = owner::names_of_first_release(configs);
    for ((config, name), place) in configs.iter().zip(&names).zip(&mut places) {
        let path = of_first_release(folder, name, config);
        let old = found.iter().position(|(found, about)| *found == path && about.owner.is_none());
        if let (None, Some(old)) = (&place, old) {
            *place = Some(found.swap_remove(old).0);
        }
    }
    found.retain(|(_, about)| about.owner.is_some());
    let queues: Vec<_> = found.iter().filter_map(|(_, about)| about.owner.clone()).collect();
    let open: Vec<_> = (0..configs.len()).filter(|index| places[*index].is_none()).collect();
    let owners: Vec<_> = open.iter().map(|index| Owner::of(&configs[*index])).collect();
    for ((index, queue), owner) in open.iter().zip(owner::choose(&queues, &owners)).zip(&owners) {
        let name = &configs[*index].name;
        let place = queue.map_or_else(|| new(folder, name, owner, &places), |queue| found[queue].0.clone());
        places[*index] = Some(place);
    }
    places.into_iter().flatten().collect()
}

/// A folder that nobody has: there is none yet, or it does not say whose it is. By its name it was made for an endpoint of this
/// tenant, whose it has been ever since.
fn new(folder: &Path, endpoint: &str, owner: &Owner, taken: &[Option<PathBuf>]) -> PathBuf {
    let mut paths = (0u64..).map(|number| hashed(folder, &format!("{owner:?} {number}")));
    let free = |path: &PathBuf| About::read(path).is_none() && !taken.contains(&Some(path.clone()));
    let path = paths.find(free).expect("there are more numbers than folders");
    if log::has_segments(&path) {
        let path = path.join(ABOUT);
        error!(endpoint, path = %path.display(), code = DAMAGED, "it does not say whose queue this is, which by its name is this one's");
    }
    path
}

/// The folders that say whose they are.
fn found(folder: &Path) -> io::Result<Vec<(PathBuf, About)>> {
    let folders = folders(folder)?.into_iter();
    Ok(folders.filter_map(|path| About::read(&path).map(|about| (path, about))).collect())
}

/// All of them, in order.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // The order of a folder is any.
    found.sort();
    Ok(found)
}

/// Labels the folders of these endpoints. Those that do not say whose they are, as far as something is in them, are told. Those of others are told unless they are empty, and deleted once they are or their
/// youngest file is older than their age limit. Whatever goes wrong here is no reason not to start.
pub(crate) async fn tidy(folder: &Path, ours: Vec<(PathBuf, EndpointConfig)>) {
    let folder = folder.to_owned();
    blocking(move || {
        let told = |path: &Path, tidied: io::Result<()>| {
            if let Err(error) = tidied {
                warn!(%error, path = %path.display(), "cannot look after the folder of a remote write queue");
            }
        };
        for (own, config) in &ours {
            told(own, About::of(config).write(own));
        }
        let others = match folders(&folder) {
            Ok(found) => found.into_iter().filter(|path| !ours.iter().any(|(own, _)| own == path)),
            Err(error) => return told(&folder, Err(error)),
        };
        let is_running = |name: &str| !name.is_empty() && ours.iter().any(|(_, config)| config.name == name);
        for path in others {
            match About::read(&path) {
                Some(about) => told(&path, stranger(&path, is_running(&about.name), about)),
                None if log::has_segments(&path) => {
                    let path = path.join(ABOUT);
                    error!(path = %path.display(), code = DAMAGED, "it does not say whose queue this is, which is kept and sent by nobody");
                }
                None => {}
            }
        }
    })
    .await;
}

/// Looks after the queue of nobody; `namesake` says that an endpoint of its name runs, which sends to another tenant.
fn stranger(folder: &Path, namesake: bool, mut about: About) -> io::Result<()> {
    let (bytes, youngest) = contents(folder)?;
    let expired = !about.max_age.is_zero() && youngest.elapsed().is_ok_and(|age| age > about.max_age);
    let (endpoint, url) = (&*about.name, &*about.url);
    // Another process may use it.
    if log::is_spent(folder) {
        std::fs::remove_dir_all(folder)?;
        debug!(endpoint, url, "empty queue of an endpoint that is no longer configured, deleted");
    } else if expired && log::is_free(folder) {
        std::fs::remove_dir_all(folder)?;
        info!(endpoint, url, bytes, "queue of an endpoint that is no longer configured is too old, deleted");
    } else {
        let path = folder.display();
        if namesake {
            warn!(endpoint, url, bytes, %path, "queue of the tenant that this endpoint had before is kept, to be sent to that one");
        } else {
            warn!(endpoint, url, bytes, %path, "queue of an endpoint that is not configured is kept");
        }
        if let Some(left) = about.owner.as_mut().filter(|_| log::is_free(folder)) {
            left.just_now = false;
            about.write(folder)?;
        }
    }
    Ok(())
}

/// How many bytes there are, and when the last of them was written.
fn contents(folder: &Path) -> io::Result<(u64, SystemTime)> {
    let (mut bytes, mut youngest) = (0, SystemTime::UNIX_EPOCH);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += metadata.len();
        // When it was left says nothing of what is in it.
        if entry.file_name() != ABOUT {
            youngest = youngest.max(metadata.modified()?);
        }
    }
    Ok((bytes, youngest))
}
