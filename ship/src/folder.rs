//! The folders of queues: one for each name and URL, so that other settings can change without losing what waits.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rosterd_client::without_user;
use rosterd_tasks::blocking;
use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::EndpointConfig;
use crate::log;

/// Says whose queue it is: name, URL without credentials, and the age limit in seconds.
const ABOUT: &str = "endpoint";

/// The folder of an endpoint.
pub(crate) fn of(folder: &Path, config: &EndpointConfig) -> PathBuf {
    // Credentials may change.
    let identity = format!("{}\0{}", config.name, without_user(&config.url));
    folder.join(format!("{:032x}", xxh3_128(identity.as_bytes())))
}

/// Labels the folders of these endpoints. Those of others are told, and deleted once their youngest file is older than
/// their age limit. Whatever goes wrong here is no reason not to start.
pub(crate) async fn tidy(folder: &Path, configs: Vec<EndpointConfig>) {
    let folder = folder.to_owned();
    let tidied = blocking(move || {
        let mut ours = Vec::new();
        for config in &configs {
            let own = of(&folder, config);
            label(&own, config)?;
            ours.push(own);
        }
        strangers(&folder, &ours)
    })
    .await;
    if let Err(error) = tidied {
        warn!(%error, "cannot look after the folders of remote write queues");
    }
}

fn label(own: &Path, config: &EndpointConfig) -> io::Result<()> {
    let url = without_user(&config.url);
    let text = format!("{}\n{url}\n{}\n", config.name.replace('\n', " "), config.disk.max_age.as_secs());
    let path = own.join(ABOUT);
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    std::fs::create_dir_all(own)?;
    std::fs::write(path, text)
}

fn strangers(folder: &Path, ours: &[PathBuf]) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(about) = std::fs::read_to_string(path.join(ABOUT)) else { continue };
        if ours.contains(&path) {
            continue;
        }
        let lines: Vec<_> = about.lines().collect();
        let [name, url, max_age] = lines[..] else { continue };
        let max_age = Duration::from_secs(max_age.parse().unwrap_or(0));
        let (bytes, youngest) = contents(&path)?;
        let expired = !max_age.is_zero() && youngest.elapsed().is_ok_and(|age| age > max_age);
        // Another process may use it.
        if expired && log::is_free(&path) {
            std::fs::remove_dir_all(&path)?;
            info!(endpoint = name, url, bytes, "queue of an endpoint that is no longer configured is too old, deleted");
        } else {
            let path = path.display();
            warn!(endpoint = name, url, bytes, %path, "queue of an endpoint that is not configured is kept");
        }
    }
    Ok(())
}

/// How many bytes there are, and when the last of them was written.
fn contents(folder: &Path) -> io::Result<(u64, SystemTime)> {
    let (mut bytes, mut youngest) = (0, SystemTime::UNIX_EPOCH);
    for entry in std::fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        bytes += metadata.len();
        youngest = youngest.max(metadata.modified()?);
    }
    Ok((bytes, youngest))
}
