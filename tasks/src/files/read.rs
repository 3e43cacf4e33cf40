//! Reads files without waiting for what never comes: a pipe that nobody writes to, a device that never ends. Blocking, as
//! long as a disk takes.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, makedev};

/// What a file of settings, a secret or a certificate may hold: the largest bundles of authorities have a tenth of it.
const LARGEST: u64 = 16 << 20;
/// What a configuration may hold: some hundred thousand targets written by hand.
const LARGEST_DOCUMENT: u64 = 256 << 20;
/// How long a pipe may give nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a regular file for reading; `/dev/null` is an empty one. Fails with what is there instead, if it is something else.
pub fn open(path: &Path) -> io::Result<File> {
    let (file, found) = open_any(path)?;
    if is_regular(&found) { Ok(file) } else { Err(unsuitable(found.file_type())) }
}

/// The content of a small regular file. Fails when it is something else or beyond all bounds.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    up_to(LARGEST, open(path)?, &mut bytes)?;
    Ok(bytes)
}

/// Like [`read`], for text.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The content of a configuration: of a regular file, or of a pipe such as `<(command)` and `/dev/stdin` are, which is read
/// to its end as long as something comes.
pub fn read_document(path: &Path) -> io::Result<Vec<u8>> {
    let (file, found) = open_any(path)?;
    let mut bytes = Vec::new();
    if is_regular(&found) {
        up_to(LARGEST_DOCUMENT, file, &mut bytes)?;
    } else if found.file_type().is_fifo() {
        up_to(LARGEST_DOCUMENT, Pipe { file, patience: PATIENCE }, &mut bytes)?;
    } else {
        return Err(unsuitable(found.file_type()));
    }
    Ok(bytes)
}

/// What is at a path instead of a regular file, in words; `None` if it is one, or nothing is there.
pub fn in_the_way(path: &Path) -> Option<&'static str> {
    let found = std::fs::metadata(path).ok()?;
    (!found.is_file()).then(|| what(found.file_type()))
}

fn open_any(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a device may do something to it.
    let found = std::fs::metadata(path)?;
    if !is_regular(&found) && !found.file_type().is_fifo() {
        return Err(unsuitable(found.file_type()));
    }
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // It may have been replaced meanwhile.
    let found = file.metadata()?;
    Ok((file, found))
}

fn is_regular(found: &Metadata) -> bool {
    found.is_file() || (found.file_type().is_char_device() && found.rdev() == makedev(1, 3))
}

fn up_to(limit: u64, from: impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    from.take(limit + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("there is more in it than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(())
}

fn unsuitable(found: FileType) -> io::Error {
    let kind = if found.is_dir() { io::ErrorKind::IsADirectory } else { io::ErrorKind::InvalidInput };
    io::Error::new(kind, format!("it is {}, not a file", what(found)))
}

fn what(found: FileType) -> &'static str {
    match found {
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        found if found.is_char_device() || found.is_block_device() => "a device",
        _ => "something else",
    }
}

/// A pipe that was opened without waiting for who writes to it.
struct Pipe {
    file: File,
    patience: Duration,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = Timespec::try_from(self.patience).map_err(io::Error::other)?;
        loop {
            // Before somebody has opened its other end, nothing is what a read gives, as at its end: only this tells them apart.
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => {
                    let message = format!("it is a pipe, and nothing came out of it for {:?}", self.patience);
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => match self.file.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use rosterd_testkit::Folder;

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once_and_named() {
        let folder = Folder::new();
        let pipe = folder.named_pipe("pipe");
        let socket = folder.path("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        for (path, what) in [
            (pipe.as_path(), "it is a named pipe, not a file"),
            (&socket, "it is a socket, not a file"),
            (folder.root(), "it is a folder, not a file"),
            (Path::new("/dev/zero"), "it is a device, not a file"),
        ] {
            assert_eq!(read(path).expect_err("it is no file").to_string(), what);
            assert!(in_the_way(path).is_some_and(|found| what.contains(found)), "{what}");
        }
        assert_eq!(
            read_document(Path::new("/dev/zero")).expect_err("no file").to_string(),
            "it is a device, not a file"
        );
        assert_eq!(read(Path::new("/dev/null")).expect("as if empty"), b"");
        assert_eq!(in_the_way(&folder.path("none")), None);
    }

    #[test]
    fn more_than_is_possible_is_not_read() {
        let folder = Folder::new();
        let path = folder.path("large");
        File::create(&path).and_then(|file| file.set_len(LARGEST + 1)).expect("a file with a hole");
        assert_eq!(read(&path).expect_err("too large").to_string(), "there is more in it than 16 MiB");
        assert_eq!(read_document(&path).expect("not for a document").len() as u64, LARGEST + 1);
    }

    #[test]
    fn a_document_comes_out_of_a_pipe_whenever_it_is_written() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let read = std::thread::spawn(move || read_document(&path));
        for piece in ["a: 1\n", "b: 2\n"] {
            writer.write_all(piece.as_bytes()).expect("written");
        }
        drop(writer);
        assert_eq!(read.join().expect("no panic").expect("read"), b"a: 1\nb: 2\n");

        let folder = Folder::new();
        let path = folder.named_pipe("pipe");
        let named = path.clone();
        let read = std::thread::spawn(move || read_document(&named));
        // Waits for the reader, who does not take the time until then for the end.
        File::options().write(true).open(&path).and_then(|mut file| file.write_all(b"c: 3")).expect("written");
        assert_eq!(read.join().expect("no panic").expect("read"), b"c: 3");
    }

    #[test]
    fn nobody_waits_for_ever_for_who_never_writes() {
        let folder = Folder::new();
        let (file, _) = open_any(&folder.named_pipe("pipe")).expect("it opens");
        let mut pipe = Pipe { file, patience: Duration::from_millis(1) };
        assert_eq!(pipe.read(&mut [0]).expect_err("nothing comes").kind(), io::ErrorKind::TimedOut);
    }
}
