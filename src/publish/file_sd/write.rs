//! Replaces a file atomically: whoever reads it sees the old content or the new, whole, whatever crashes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rosterd_tasks::files;
use tracing::warn;
use xxhash_rust::xxh3::xxh3_128;

use super::FileSdError;
use super::error::InPlace;

/// How temporary files end.
const TEMPORARY: &str = ".rosterd-tmp";
/// As many bytes as Linux's file systems take for a name.
const LONGEST_NAME: usize = 255;

/// The steps that can be made to fail, or to hang, in tests.
pub(in crate::publish) trait Disk: Send + Sync + 'static {
    /// Writes a piece to the temporary file.
    fn write(&self, file: &mut dyn Write, piece: &[u8]) -> io::Result<()> {
        file.write_all(piece)
    }

    /// Puts the temporary file in its place.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Gives a file a second name.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }
}

/// The disk as it is.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {}

/// Whether the file has exactly this content. A file that is missing has not; fails where that cannot be read.
pub(super) fn is_content(path: &Path, pieces: impl Iterator<Item = Bytes>) -> io::Result<bool> {
    let same = || -> io::Result<bool> {
        let mut file = BufReader::with_capacity(64 * 1024, files::open(path)?);
        let mut found = Vec::new();
        for piece in pieces {
            found.resize(piece.len(), 0);
            file.read_exact(&mut found)?;
            if found != piece {
                return Ok(false);
            }
        }
        Ok(file.read(&mut [0])? == 0)
    };
    match same() {
        // The second is of one that is shorter.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(false),
        same => same,
    }
}

/// Replaces the content of the file, or makes it. Missing folders are made; owner, group and permissions of a file that exists are
/// kept, the last unless nobody may read it, and a symbolic link stays one. On failure the file is as before.
pub(super) fn replace(disk: &dyn Disk, path: &Path, pieces: impl Iterator<Item = Bytes>) -> Result<(), FileSdError> {
    let place = Place::of(path)?;
    let temporary = place.beside(TEMPORARY);
    place.write(disk, &temporary, pieces)?;
    // What cannot be removed either is replaced by the next write.
    place.take_in(disk, &temporary).inspect_err(|_| fs::remove_file(&temporary).unwrap_or_default())
}

/// Where a file is, or will be.
#[derive(Debug)]
pub(in crate::publish) struct Place {
    /// The file itself, links followed.
    path: PathBuf,
    /// Its folder, which is there.
    folder: PathBuf,
    name: OsString,
}

impl Place {
    /// The place of the file at this path. Folders that are missing are made. Fails when there can be no file.
    pub(in crate::publish) fn of(path: &Path) -> Result<Self, FileSdError> {
        if path.is_dir() {
            return Err(FileSdError::IsFolder { path: path.to_path_buf() });
        }
        if let Some(what) = files::in_the_way(path) {
            return Err(FileSdError::InTheWay { path: path.to_path_buf(), what });
        }
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let no_name = || FileSdError::NoName { path: path.clone() };
        let (folder, name) = (path.parent().ok_or_else(no_name)?, path.file_name().ok_or_else(no_name)?);
        fs::create_dir_all(folder).map_err(|source| no_folder(folder, source))?;
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), path })
    }

    /// The file itself.
    pub(in crate::publish) fn path(&self) -> &Path {
        &self.path
    }

    /// A hidden file beside it, of which there is one for each ending. Always the same name: what a crash left is replaced by
    /// the next write. Its ending keeps it out of `*.json`.
    pub(in crate::publish) fn beside(&self, ending: &str) -> PathBuf {
        let mut beside = OsString::from(".");
        if self.name.len() + 1 + ending.len() <= LONGEST_NAME {
            beside.push(&self.name);
        } else {
            beside.push(format!("{:032x}", xxh3_128(self.name.as_encoded_bytes())));
        }
        beside.push(ending);
        self.folder.join(beside)
    }

    /// Writes a file beside it, with its permissions. On failure nothing is left of that.
    pub(in crate::publish) fn write(
        &self,
        disk: &dyn Disk,
        beside: &Path,
        pieces: impl Iterator<Item = Bytes>,
    ) -> Result<(), FileSdError> {
        write_temporary(disk, beside, &self.path, pieces.map(Ok)).map_err(|source| {
            // What cannot be removed either is replaced by the next write.
            fs::remove_file(beside).ok();
            self.failed(source)
        })
    }

    /// Makes `to`, which is not there, the same file as `from`, both of them the place or beside it. Where a file cannot have two
    /// names, it is a copy with its owner and permissions, which is whole and on the disk as soon as it is there.
    pub(in crate::publish) fn double(&self, disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), FileSdError> {
        let copy = || {
            let temporary = self.beside(TEMPORARY);
            let copied = write_temporary(disk, &temporary, from, pieces(files::open(from)?));
            copied.and_then(|()| disk.rename(&temporary, to)).inspect_err(|_| {
                // What cannot be removed either is replaced by the next one.
                fs::remove_file(&temporary).ok();
            })
        };
        // Not every file system has links, and not every file may be linked.
        disk.link(from, to).or_else(|_| copy()).map_err(|source| self.failed(source))?;
        self.sync()
    }

    /// Puts a file from beside it in its place, in one step.
    pub(in crate::publish) fn take_in(&self, disk: &dyn Disk, beside: &Path) -> Result<(), FileSdError> {
        disk.rename(beside, &self.path).map_err(|source| self.failed(source))?;
        sync_folder(&self.folder).map_err(|source| self.failed_with(InPlace::New, source))
    }

    /// Makes new names durable.
    pub(in crate::publish) fn sync(&self) -> Result<(), FileSdError> {
        sync_folder(&self.folder).map_err(|source| self.failed(source))
    }

    /// What a failure of the system means for the file, which was not touched.
    pub(in crate::publish) fn failed(&self, source: io::Error) -> FileSdError {
        // What cannot be looked at is taken for there.
        let in_place = if self.path.try_exists().unwrap_or(true) { InPlace::Old } else { InPlace::Nothing };
        self.failed_with(in_place, source)
    }

    fn failed_with(&self, in_place: InPlace, source: io::Error) -> FileSdError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileSdError::Full { path, in_place, source },
            _ => FileSdError::Write { path, in_place, source },
        }
    }
}

/// Whether nobody at all may read the file, which then does not serve whom it is written for.
pub(super) fn is_unreadable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !is_readable(&found.permissions()))
}

fn is_readable(permissions: &fs::Permissions) -> bool {
    permissions.mode() & 0o444 != 0
}

fn no_folder(folder: &Path, source: io::Error) -> FileSdError {
    let path = folder.to_path_buf();
    let in_the_way = folder.ancestors().find_map(|at| match fs::metadata(at) {
        Ok(found) if !found.is_dir() => Some(at.to_path_buf()),
        _ => None,
    });
    if let Some(at) = in_the_way {
        return FileSdError::NotAFolder { path, at };
    }
    // The first below the root of which nobody can tell whether it is there: the one above it hides it.
    let is_hidden = |at: &&Path| fs::metadata(at).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    match folder.ancestors().take_while(is_hidden).last().and_then(Path::parent) {
        Some(at) => FileSdError::HiddenFolder { path, at: at.to_path_buf(), source },
        None => FileSdError::Folder { path, source },
    }
}

/// The content of a file, piece by piece.
fn pieces(mut file: File) -> impl Iterator<Item = io::Result<Bytes>> {
    std::iter::from_fn(move || {
        let mut piece = vec![0; 64 * 1024];
        let read = file.read(&mut piece).map(|read| {
            piece.truncate(read);
            Bytes::from(piece)
        });
        Some(read).filter(|read| !matches!(read, Ok(piece) if piece.is_empty()))
    })
}

/// Writes a file whose owner, group and permissions are those of the one at `path`, if there is one.
fn write_temporary(
    disk: &dyn Disk,
    temporary: &Path,
    path: &Path,
    pieces: impl Iterator<Item = io::Result<Bytes>>,
) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = File::options().write(true).create_new(true).mode(0o644).open(temporary)?;
    if let Ok(old) = fs::metadata(path) {
        keep_owner(&file, path, &old)?;
        // After the owner, which takes some of them away.
        if is_readable(&old.permissions()) {
            file.set_permissions(old.permissions())?;
        }
    }
    let mut file = BufWriter::with_capacity(64 * 1024, file);
    for piece in pieces {
        disk.write(&mut file, &piece?)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Gives the file the owner and the group of the old one. Only root may give files away: for others each is tried by itself, and
/// what cannot be is said.
fn keep_owner(file: &File, path: &Path, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    let owner = (new.uid() != old.uid()).then(|| old.uid());
    let group = (new.gid() != old.gid()).then(|| old.gid());
    let group = group.map(|group| (group, fchown(file, None, Some(group))));
    let owner = owner.map(|owner| (owner, fchown(file, Some(owner), None)));
    for (what, number, given) in
        [group.map(|(id, given)| ("group", id, given)), owner.map(|(id, given)| ("owner", id, given))]
            .into_iter()
            .flatten()
    {
        if let Err(error) = given {
            warn!(file = %path.display(), what, number, %error, "the file cannot keep whose it was");
        }
    }
    Ok(())
}

/// Makes the new name durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
