//! What `/proc` shows of one process. Blocking.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::DiscoverConfig;
use crate::error::ProcessError;
use crate::parse::{self, Listening, Program};

/// What is read of any of its files: longer command lines are cut off, and all others are shorter.
const LONGEST: u64 = 128 << 10;
/// A table has a line for each socket.
const LONGEST_TABLE: u64 = 256 << 20;

/// Why a process was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is no more, or has no program: a thread of the kernel, or what is left of a process that has ended.
    Gone,
    /// It may not be read.
    Refused,
    /// It could not be read just now.
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        /// What the kernel says where a process was that is no more.
        const NO_SUCH_PROCESS: i32 = 3;
        match error.raw_os_error() {
            Some(NO_SUCH_PROCESS) => Self::Gone,
            _ => match error.kind() {
                io::ErrorKind::NotFound => Self::Gone,
                io::ErrorKind::PermissionDenied => Self::Refused,
                _ => Self::Failed(error),
            },
        }
    }
}

/// What was read of a process. What is empty was not asked for, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Known {
    pub(crate) exe: String,
    pub(crate) cwd: String,
    pub(crate) command_line: String,
    pub(crate) user: Option<u32>,
    pub(crate) control_groups: String,
    pub(crate) container: String,
}

/// A process, by its folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn of(procfs: &Path, pid: u32) -> Self {
        Self(procfs.join(pid.to_string()))
    }

    /// What it runs.
    pub(crate) fn program(&self) -> Result<Program, Unread> {
        let program = parse::program(&self.text("stat")?);
        program.ok_or_else(|| Unread::Failed(io::Error::new(io::ErrorKind::InvalidData, "stat tells no program")))
    }

    /// All that is wanted of it.
    pub(crate) fn read(&self, wanted: &DiscoverConfig) -> Result<Known, Unread> {
        let mut known = Known::default();
        if wanted.exe {
            known.exe = self.link("exe")?;
        }
        if wanted.cwd {
            known.cwd = self.link("cwd")?;
        }
        if wanted.commandline {
            known.command_line = parse::command_line(&self.bytes("cmdline", LONGEST)?);
        }
        if wanted.username || wanted.uid {
            known.user = parse::user(&self.text("status")?);
        }
        if wanted.container_id || wanted.cgroup_path {
            let groups = self.text("cgroup")?;
            if wanted.container_id {
                known.container = parse::container(&groups).unwrap_or_default().to_owned();
            }
            if wanted.cgroup_path {
                known.control_groups = parse::control_groups(&groups);
            }
        }
        Ok(known)
    }

    /// The network that it is in.
    pub(crate) fn network(&self) -> Result<String, Unread> {
        self.link("ns/net")
    }

    /// What is listened on in its network.
    pub(crate) fn listening(&self) -> Result<Listening, Unread> {
        let mut found = Listening::new();
        for table in ["net/tcp", "net/tcp6"] {
            match self.bytes(table, LONGEST_TABLE) {
                Ok(text) => parse::listening(&String::from_utf8_lossy(&text), &mut found),
                // There may be no IPv6; whether the process is there shows elsewhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound && table == "net/tcp6" => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Those of the addresses that it listens on itself.
    pub(crate) fn listens_on(&self, listening: &Listening) -> Result<BTreeSet<SocketAddr>, Unread> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(self.0.join("fd"))? {
            let link = match std::fs::read_link(entry?.path()) {
                Ok(link) => link,
                // It is closed by now, or is a file whose path is too long to be told.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let socket = link.to_str().and_then(parse::socket);
            found.extend(socket.and_then(|socket| listening.get(&socket)));
        }
        Ok(found)
    }

    fn link(&self, name: &str) -> Result<String, Unread> {
        Ok(std::fs::read_link(self.0.join(name))?.to_string_lossy().into_owned())
    }

    fn text(&self, name: &str) -> Result<String, Unread> {
        Ok(String::from_utf8_lossy(&self.bytes(name, LONGEST)?).into_owned())
    }

    fn bytes(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.0.join(name))?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The numbers of all processes. Whoever looks is one: where none is shown the kernel shows nothing.
pub(crate) fn processes(procfs: &Path) -> Result<BTreeSet<u32>, ProcessError> {
    let unlisted = |source| ProcessError::List { path: procfs.to_owned(), source };
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(procfs).map_err(unlisted)? {
        let entry = entry.map_err(unlisted)?;
        found.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    if found.is_empty() {
        return Err(ProcessError::Nobody { path: procfs.to_owned() });
    }
    Ok(found)
}
