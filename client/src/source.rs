//! Strings that stand in the configuration or in a file. A file is read again when it has changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rosterd_model::Secret;
use rosterd_tasks::files::{self, Stamp};

use crate::ClientError;

/// Where a string comes from.
pub(crate) enum Source {
    Inline(Arc<str>),
    File(WatchedFile),
}

impl Source {
    /// The one of both that is set.
    pub(crate) fn of(inline: &str, file: &Path) -> Option<Self> {
        if !inline.is_empty() {
            return Some(Self::Inline(inline.into()));
        }
        (!file.as_os_str().is_empty()).then(|| Self::File(WatchedFile::new(file)))
    }

    /// The same for a secret.
    pub(crate) fn of_secret(inline: &Secret, file: &Path) -> Option<Self> {
        Self::of(inline.expose(), file)
    }

    /// The string as it is now, for a file without the white space around it.
    pub(crate) fn read(&self) -> Result<Arc<str>, ClientError> {
        match self {
            Self::Inline(text) => Ok(Arc::clone(text)),
            Self::File(file) => file.read(),
        }
    }

    /// For messages: the key, and the file if there is one.
    pub(crate) fn describe(&self, key: &str) -> String {
        match self {
            Self::Inline(_) => key.to_owned(),
            Self::File(file) => format!("{key}_file {}", file.path.display()),
        }
    }
}

/// Reads what may not be there.
pub(crate) fn read(source: Option<&Source>) -> Result<Option<Arc<str>>, ClientError> {
    source.map(Source::read).transpose()
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("<inline>"),
            Self::File(file) => file.path.fmt(f),
        }
    }
}

/// A file, with what it held when it was last read.
pub(crate) struct WatchedFile {
    path: PathBuf,
    last: Mutex<Option<Snapshot>>,
}

struct Snapshot {
    stamp: Stamp,
    content: Arc<str>,
}

impl WatchedFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: Mutex::new(None) }
    }

    /// The content. These files are small and local, and mostly it is one `stat`: not worth a thread.
    pub(crate) fn read(&self) -> Result<Arc<str>, ClientError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let unreadable = |source| ClientError::FileUnreadable { path: self.path.clone(), source };
        let stamp = Stamp::at(&self.path).map_err(unreadable)?;
        if let Some(last) = last.as_ref().filter(|last| last.stamp.is_settled_at(&stamp)) {
            return Ok(Arc::clone(&last.content));
        }
        let text = files::read_text(&self.path).map_err(unreadable)?;
        let content: Arc<str> = text.trim().into();
        // Equal content keeps its pointer, which makes comparing it with what was used before cheap.
        let content = match last.take() {
            Some(last) if last.content == content => last.content,
            _ => content,
        };
        *last = Some(Snapshot { stamp, content: Arc::clone(&content) });
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::Coded;

    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, " one\n").expect("written");
        let source = Source::of("", &path).expect("a source");
        assert_eq!(&*source.read().expect("read"), "one");
        // As long, and perhaps within one tick of the file system's clock.
        std::fs::write(&path, " two\n").expect("written");
        assert_eq!(&*source.read().expect("read"), "two");
        let other = folder.path().join("other");
        std::fs::write(&other, "three").expect("written");
        std::fs::rename(&other, &path).expect("renamed");
        assert_eq!(&*source.read().expect("read"), "three");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let source = Source::of("", Path::new("/nonexistent/token")).expect("a source");
        let error = source.read().expect_err("not there");
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            ("cannot read /nonexistent/token", "http_file_unreadable")
        );
    }

    #[test]
    fn what_is_not_set_is_no_source() {
        assert!(Source::of("", Path::new("")).is_none());
        assert_eq!(&*Source::of("x", Path::new("")).expect("a source").read().expect("read"), "x");
    }
}
