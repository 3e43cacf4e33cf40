//! Strings that stand in the configuration or in a file. A file is read again when it has changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rosterd_model::Secret;
use rosterd_tasks::files::{self, Stamp};
use rosterd_tasks::{Looked, Threads, Together};

use crate::{ClientError, System};

/// Where a string comes from: one way for all that stand in the configuration or in a file.
pub struct Source(Kind);

enum Kind {
    Inline(Arc<str>),
    File(WatchedFile),
}

impl Source {
    /// The one of both that is set.
    pub(crate) fn of(inline: &str, file: &Path, system: &System) -> Option<Self> {
        if !inline.is_empty() {
            return Some(Self(Kind::Inline(inline.into())));
        }
        (!file.as_os_str().is_empty()).then(|| Self(Kind::File(WatchedFile::new(file, system.readers_of(file)))))
    }

    /// The same for a secret.
    pub fn of_secret(inline: &Secret, file: &Path, system: &System) -> Option<Self> {
        Self::of(inline.expose(), file, system)
    }

    /// The string as it is now, or was a moment ago if it had rested; for a file without the white space around it. Whoever
    /// drops it waits no longer, though a disk hangs; all who wait for that share one thread.
    pub async fn read(&self) -> Result<Arc<str>, ClientError> {
        match &self.0 {
            Kind::Inline(text) => Ok(Arc::clone(text)),
            Kind::File(file) => match file.together.recent() {
                Some(text) => Ok(text),
                // In a box: it is large.
                None => Box::pin(file.read()).await,
            },
        }
    }

    /// The same on a thread that may block.
    pub(crate) fn read_here(&self) -> Result<Arc<str>, ClientError> {
        match &self.0 {
            Kind::Inline(text) => Ok(Arc::clone(text)),
            Kind::File(file) => file.watched.read().map(|found| found.value),
        }
    }

    /// For messages: the key, and the file if there is one.
    pub(crate) fn describe(&self, key: &str) -> String {
        match &self.0 {
            Kind::Inline(_) => key.to_owned(),
            Kind::File(file) => format!("{key}_file {}", file.watched.path.display()),
        }
    }
}

/// Reads what may not be there.
pub(crate) async fn read(source: Option<&Source>) -> Result<Option<Arc<str>>, ClientError> {
    match source {
        Some(source) => source.read().await.map(Some),
        None => Ok(None),
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Inline(_) => f.write_str("<inline>"),
            Kind::File(file) => file.watched.path.fmt(f),
        }
    }
}

/// A file, with what it held when it was last read.
pub(crate) struct WatchedFile {
    watched: Arc<ReadFile>,
    together: Together<Arc<str>>,
}

struct ReadFile {
    path: PathBuf,
    last: Mutex<Option<Snapshot>>,
}

struct Snapshot {
    stamp: Stamp,
    content: Arc<str>,
}

impl WatchedFile {
    pub(crate) fn new(path: &Path, threads: &Threads) -> Self {
        let watched = Arc::new(ReadFile { path: path.to_owned(), last: Mutex::new(None) });
        Self { watched, together: Together::on(threads) }
    }

    /// The content, as it is after this was called, or was a moment ago if it had rested. Mostly it is one `stat` at most; but
    /// that hangs for as long as a file server does.
    pub(crate) async fn read(&self) -> Result<Arc<str>, ClientError> {
        let watched = Arc::clone(&self.watched);
        self.together.ask(move || watched.read()).await
    }
}

impl ReadFile {
    /// The content. Nobody waits for the lock as long as a disk hangs.
    fn read(&self) -> Result<Looked<Arc<str>>, ClientError> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let unreadable = |source| ClientError::FileUnreadable { path: self.path.clone(), source };
        let stamp = Stamp::at(&self.path).map_err(unreadable)?;
        if let Some(last) = last().as_ref().filter(|last| last.stamp.is_settled_at(&stamp)) {
            return Ok(Looked { value: Arc::clone(&last.content), rests: true });
        }
        let text = files::read_text(&self.path).map_err(unreadable)?;
        let content: Arc<str> = text.trim().into();
        // Equal content keeps its pointer, which makes comparing it with what was used before cheap.
        let mut last = last();
        let content = match last.take() {
            Some(last) if last.content == content => last.content,
            _ => content,
        };
        *last = Some(Snapshot { stamp, content: Arc::clone(&content) });
        Ok(Looked { value: content, rests: false })
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::Coded;

    use super::*;

    fn of(inline: &str, file: &Path) -> Option<Source> {
        Source::of(inline, file, &System::default())
    }

    #[test]
    fn a_file_is_read_again_when_it_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, " one\n").expect("written");
        let source = of("", &path).expect("a source");
        assert_eq!(&*source.read_here().expect("read"), "one");
        // As long, and perhaps within one tick of the file system's clock.
        std::fs::write(&path, " two\n").expect("written");
        assert_eq!(&*source.read_here().expect("read"), "two");
        let other = folder.path().join("other");
        std::fs::write(&other, "three").expect("written");
        std::fs::rename(&other, &path).expect("renamed");
        assert_eq!(&*source.read_here().expect("read"), "three");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let source = of("", Path::new("/nonexistent/token")).expect("a source");
        let error = source.read_here().expect_err("not there");
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            ("cannot read /nonexistent/token", "http_file_unreadable")
        );
    }

    #[test]
    fn what_is_not_set_is_no_source() {
        assert!(of("", Path::new("")).is_none());
        assert_eq!(&*of("x", Path::new("")).expect("a source").read_here().expect("read"), "x");
    }
}
