//! One inotify instance for many watchers: of instances there are few (128 for a user, as a rule), of watched directories many.
//!
//! Directories are told apart by device and inode, as inotify does: two paths to one directory are one watch of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::inbox::Inbox;

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// An inotify instance, opened when the first directory is to be watched. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Inotify(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    open: OpenBackend,
    /// Never locked while `routes` is: the thread that reads events wants that one, and answers to this one.
    backend: Mutex<Option<RecommendedWatcher>>,
    routes: Arc<Mutex<Routes>>,
}

pub(super) type Handler = Box<dyn FnMut(notify::Result<Event>) + Send>;
pub(super) type OpenBackend = fn(Handler) -> notify::Result<RecommendedWatcher>;

/// Who wants to know what of which directory.
#[derive(Debug, Default)]
struct Routes {
    directories: HashMap<Identity, Directory>,
    /// By the paths that the backend knows.
    paths: HashMap<PathBuf, Identity>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Inboxes, each with the path under which it knows the directory.
    readers: Vec<(Arc<Inbox>, PathBuf)>,
}

impl Default for Inotify {
    fn default() -> Self {
        Self::with_backend(notify::recommended_watcher)
    }
}

impl Inotify {
    pub(super) fn with_backend(open: OpenBackend) -> Self {
        Self(Arc::new(Shared { open, backend: Mutex::new(None), routes: Arc::default() }))
    }

    /// Opens the instance, if it is not open.
    pub(super) fn open(&self) -> notify::Result<()> {
        let mut backend = self.0.backend.lock().unwrap_or_else(PoisonError::into_inner);
        if backend.is_none() {
            let routes = Arc::clone(&self.0.routes);
            *backend = Some((self.0.open)(Box::new(move |event| lock(&routes).hand_out(event)))?);
        }
        Ok(())
    }

    /// Whether directories can be watched.
    pub(super) fn is_open(&self) -> bool {
        self.0.backend.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Sends events of a directory to an inbox from now on, under this path. Watching again what is watched loses no
    /// event.
    pub(super) fn watch(&self, inbox: &Arc<Inbox>, path: &Path, identity: Identity) -> notify::Result<()> {
        let mut backend = self.0.backend.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(backend) = backend.as_mut() else { return Err(notify::Error::generic("it is not open")) };
        let (stale, known) = self.routes().add(inbox, path, identity);
        for path in stale {
            // A directory that is gone is not watched any more.
            backend.unwatch(&path).ok();
        }
        let watched = backend.watch(&known, RecursiveMode::NonRecursive);
        if watched.is_err() {
            let unused = self.routes().remove(inbox, path, identity);
            unused.into_iter().for_each(|path| drop(backend.unwatch(&path)));
        }
        watched
    }

    /// Sends no more events of a directory to an inbox.
    pub(super) fn unwatch(&self, inbox: &Arc<Inbox>, path: &Path, identity: Identity) {
        let mut backend = self.0.backend.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.routes().remove(inbox, path, identity);
        if let (Some(path), Some(backend)) = (unused, backend.as_mut()) {
            match backend.unwatch(&path) {
                Ok(()) => {}
                Err(error) if matches!(error.kind, ErrorKind::WatchNotFound) => {}
                Err(error) => tracing::debug!(%error, "cannot end the watch of a directory"),
            }
        }
    }

    /// How many directories are watched.
    #[cfg(test)]
    pub(super) fn directories(&self) -> usize {
        self.routes().directories.len()
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        lock(&self.0.routes)
    }
}

fn lock(routes: &Mutex<Routes>) -> MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Routes {
    /// Adds a reader. Returns paths that the backend has to forget first, and the one by which it knows the directory.
    fn add(&mut self, inbox: &Arc<Inbox>, path: &Path, identity: Identity) -> (Vec<PathBuf>, PathBuf) {
        let mut stale = Vec::new();
        if let Some(other) = self.paths.get(path).copied().filter(|other| *other != identity) {
            // Another directory has taken the place: whoever read the one before looks for it by itself.
            self.directories.remove(&other);
            self.paths.remove(path);
            stale.push(path.to_owned());
        }
        let directory = self.directories.entry(identity).or_insert_with(|| {
            self.paths.insert(path.to_owned(), identity);
            Directory { path: path.to_owned(), readers: Vec::new() }
        });
        if directory.path != path && !is_still(&directory.path, identity) {
            // It was moved.
            self.paths.remove(&directory.path);
            self.paths.insert(path.to_owned(), identity);
            stale.push(std::mem::replace(&mut directory.path, path.to_owned()));
        }
        if !directory.readers.iter().any(|(reader, known)| Arc::ptr_eq(reader, inbox) && known == path) {
            directory.readers.push((Arc::clone(inbox), path.to_owned()));
        }
        (stale, directory.path.clone())
    }

    /// Removes a reader. Returns the path of a directory that nobody reads any more.
    fn remove(&mut self, inbox: &Arc<Inbox>, path: &Path, identity: Identity) -> Option<PathBuf> {
        let directory = self.directories.get_mut(&identity)?;
        directory.readers.retain(|(reader, known)| !(Arc::ptr_eq(reader, inbox) && known == path));
        if !directory.readers.is_empty() {
            return None;
        }
        let directory = self.directories.remove(&identity)?;
        self.paths.remove(&directory.path);
        Some(directory.path)
    }

    /// Gives an event to those who read its directory; what concerns no directory, to all.
    fn hand_out(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            everything => {
                let mut told: Vec<&Arc<Inbox>> = Vec::new();
                for (inbox, _) in self.directories.values().flat_map(|directory| &directory.readers) {
                    if !told.iter().any(|other| Arc::ptr_eq(other, inbox)) {
                        told.push(inbox);
                        inbox.put(copy(&everything));
                    }
                }
                return;
            }
        };
        for path in &event.paths {
            let inside = path.parent().and_then(|parent| Some((parent, path.file_name()?)));
            let inside = inside.map(|(parent, name)| (parent, Some(name)));
            for (directory, name) in inside.into_iter().chain([(path.as_path(), None)]) {
                let Some(directory) = self.paths.get(directory).and_then(|identity| self.directories.get(identity))
                else {
                    continue;
                };
                for (inbox, known) in &directory.readers {
                    let path = name.map_or_else(|| known.clone(), |name| known.join(name));
                    inbox.put(Ok(Event::new(event.kind).add_path(path)));
                }
            }
        }
    }
}

fn is_still(path: &Path, identity: Identity) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == identity)
}

/// Errors of the backend cannot be cloned.
fn copy(event: &notify::Result<Event>) -> notify::Result<Event> {
    match event {
        Ok(event) => Ok(event.clone()),
        Err(error) => Err(notify::Error::generic(&error.to_string())),
    }
}
