//! Files that nobody but the agent has to read: samples with their labels, and whose they are.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file to be written, or makes one of mode 0600.
pub(crate) fn options() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).mode(0o600);
    options
}

/// Writes a whole file, in place of what it held.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    options().truncate(true).open(path)?.write_all(text.as_bytes())
}
