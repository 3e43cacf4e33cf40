//! Damage to what rosterd has stored, while it does not run: what a bad disk, a careless hand or another program does to a file.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dice::Dice;

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// What was discovered.
    Roster,
    /// What was decided.
    Ledger,
    /// The segments of the journal.
    Journal,
    /// The queues of remote write: segments, and what says of them up to where they were sent, and whose they are.
    Queue,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A few bytes are others.
    Flipped,
    /// Its end is missing.
    Cut,
    /// It begins with something else.
    Overwritten,
    /// All of it is something else.
    Garbage,
    /// A part of it is zeros.
    Blank,
    /// Something stands behind it.
    Grown,
    /// Nothing is in it.
    Emptied,
    /// It is not there.
    Removed,
    /// A folder has its name.
    Folder,
}

impl How {
    pub(crate) const ALL: [Self; 9] = [
        Self::Flipped,
        Self::Cut,
        Self::Overwritten,
        Self::Garbage,
        Self::Blank,
        Self::Grown,
        Self::Emptied,
        Self::Removed,
        Self::Folder,
    ];
}

/// A file was damaged.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    what: Stored,
    how: How,
    path: PathBuf,
    /// It was the last of its kind in its folder: the process may have had no time for more.
    is_last: bool,
}

/// What rosterd said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: then nothing may be missing either.
    Nothing,
    /// That something is lost, or it is of such a kind that nobody can know.
    Lost,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.path.display(), self.how)
    }
}

/// Damages a file of this kind below the folder of the storage, if there is one.
pub(crate) fn damage(storage: &Path, what: Stored, dice: &mut Dice) -> Option<Damage> {
    let files = what.files(storage);
    (!files.is_empty()).then(|| {
        let file = dice.pick(&files);
        Damage::new(file, what, *dice.pick(&How::ALL), dice)
    })
}

impl Stored {
    /// The files of this kind.
    pub(crate) fn files(self, storage: &Path) -> Vec<PathBuf> {
        let named = |folder: PathBuf, is_ours: fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            entries.filter(move |path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours))
        };
        let mut files: Vec<_> = match self {
            Self::Roster => vec![storage.join("roster.redb")],
            Self::Ledger => vec![storage.join("ledger.redb")],
            Self::Journal => named(storage.join("journal"), is_segment).collect(),
            Self::Queue => {
                let queues = named(storage.join("remote_write"), |_| true);
                queues.flat_map(|queue| named(queue, |name| is_segment(name) || OF_A_QUEUE.contains(&name))).collect()
            }
        };
        files.retain(|path| path.is_file());
        files.sort();
        files
    }
}

/// What else there is in the folder of a queue.
const OF_A_QUEUE: [&str; 3] = ["endpoint", "position", "receiver"];

fn is_segment(name: &str) -> bool {
    name.ends_with(".segment")
}

impl Damage {
    /// Damages this file.
    pub(crate) fn new(path: &Path, what: Stored, how: How, dice: &mut Dice) -> Self {
        let mut bytes = std::fs::read(path).expect("a file that rosterd has made can be read");
        let size = bytes.len();
        // A byte that is not what was there.
        let other = |dice: &mut Dice, byte: u8| byte ^ u8::try_from(1 + dice.below(255)).expect("it is below 256");
        let some = |dice: &mut Dice, most: usize| {
            let from = if size == 0 { 0 } else { dice.below(size) };
            from..(from + 1 + dice.below(most)).min(size)
        };
        match how {
            How::Flipped => {
                for _ in 0..=dice.below(8) {
                    some(dice, 1).for_each(|at| bytes[at] = other(dice, bytes[at]));
                }
            }
            How::Cut => bytes.truncate(some(dice, 1).start),
            How::Overwritten => {
                let length = (1 + dice.below(5000)).min(size);
                bytes[..length].iter_mut().for_each(|byte| *byte = other(dice, *byte));
            }
            How::Garbage => bytes.iter_mut().for_each(|byte| *byte = other(dice, *byte)),
            How::Blank => bytes[some(dice, 9000)].fill(0),
            How::Grown => (0..=dice.below(5000)).for_each(|_| bytes.push(other(dice, 0))),
            How::Emptied => bytes.clear(),
            How::Removed | How::Folder => {}
        }
        let written = match how {
            How::Removed => std::fs::remove_file(path),
            How::Folder => std::fs::remove_file(path).and_then(|()| std::fs::create_dir(path)),
            _ => std::fs::write(path, bytes),
        };
        written.unwrap_or_else(|error| panic!("cannot damage {}: {error}", path.display()));
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        let others = std::fs::read_dir(path.parent().expect("a file is in a folder")).expect("a folder").flatten();
        let later = others.filter(|other| is_segment(&other.file_name().to_string_lossy()));
        let is_last = later.into_iter().all(|other| other.file_name() <= name(path));
        Self { what, how, path: path.to_owned(), is_last }
    }

    /// What the next process said of it; an error where that is not what it has to say. It is good when it has settled.
    pub(crate) fn check(&self, log: &str) -> Result<Told, String> {
        let path = self.path.display().to_string();
        let says = |code: &str| log.lines().any(|line| line.contains(code) && line.contains(&path));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let has_to_say = |code: &str| {
            if says(code) { Ok(()) } else { Err(format!("{self}, and no line says {code} of it:\n{log}")) }
        };
        let is_aside = || {
            let entries = std::fs::read_dir(self.path.parent().expect("a file is in a folder")).expect("a folder");
            entries.flatten().any(|entry| {
                let other = entry.file_name().to_string_lossy().into_owned();
                other.len() > name.len() && other.starts_with(&name)
            })
        };
        let has_to_be_aside =
            || if is_aside() { Ok(()) } else { Err(format!("{self}, and it is not moved aside:\n{log}")) };
        match self.what {
            Stored::Roster | Stored::Ledger => {
                match self.how {
                    How::Overwritten | How::Garbage | How::Folder => has_to_say("store_damaged")?,
                    How::Emptied | How::Removed => {
                        has_to_say(BEGUN)?;
                        return Ok(Told::Lost);
                    }
                    How::Flipped | How::Cut | How::Blank | How::Grown => {}
                }
                if !says("store_damaged") {
                    return Ok(Told::Nothing);
                }
                has_to_be_aside()?;
                Ok(Told::Lost)
            }
            Stored::Journal => {
                match self.how {
                    How::Garbage | How::Folder => {
                        has_to_say("journal_damaged")?;
                        has_to_be_aside()?;
                    }
                    How::Emptied if !self.is_last => has_to_say("journal_damaged")?,
                    _ => {}
                }
                // What is behind the start of a segment is seen when somebody reads it.
                Ok(Told::Lost)
            }
            Stored::Queue => {
                match self.how {
                    How::Garbage | How::Folder if is_segment(&name) => {
                        has_to_say("ship_queue_damaged")?;
                        has_to_be_aside()?;
                    }
                    How::Folder if name == "position" => has_to_say("ship_queue_damaged")?,
                    How::Garbage | How::Emptied if name == "endpoint" => has_to_say("ship_queue_damaged")?,
                    _ => {}
                }
                // What is to be read later is seen later.
                Ok(if name == "receiver" { Told::Nothing } else { Told::Lost })
            }
        }
    }
}

/// What the log says of a store that was not there.
const BEGUN: &str = "store begun";
