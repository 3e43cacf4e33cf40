//! The calendar that rosterd sees: that of the machine, or one that jumps, where libfaketime is there to put itself before it.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use rosterd_testkit::{Folder, skipped};

use crate::agent::write;

/// Where Debian has it, for each of its machines.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// A calendar for one process.
pub(crate) struct Calendar {
    library: Option<PathBuf>,
    folder: Folder,
    seconds: i64,
}

impl Calendar {
    #[expect(clippy::disallowed_methods, reason = "CI says so by the environment")]
    pub(crate) fn new() -> Self {
        let folders = std::fs::read_dir(LIBRARIES).into_iter().flatten().filter_map(Result::ok);
        let library = folders.map(|folder| folder.path().join(LIBRARY)).find(|library| library.is_file());
        if library.is_none() {
            assert!(std::env::var_os("CI").is_none(), "CI has to have libfaketime: ci/install installs it");
            skipped("no calendar that jumps, as libfaketime is not there: apt-get install faketime");
        }
        let mut calendar = Self { library, folder: Folder::new(), seconds: 0 };
        calendar.jump(0);
        calendar
    }

    /// Moves it, back or ahead; returns whether it can be.
    pub(crate) fn jump(&mut self, seconds: i64) -> bool {
        self.seconds += seconds;
        write(&self.folder.path("offset"), &format!("{:+}", self.seconds));
        self.library.is_some()
    }

    /// What it says now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(if self.library.is_some() { self.seconds } else { 0 })
    }

    /// What a process needs in its environment to see it. The clock that only goes forward and the times of files stay as they are.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(library) = &self.library else { return Vec::new() };
        vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.folder.path("offset").display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}
