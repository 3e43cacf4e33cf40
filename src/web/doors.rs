//! What keeps people out. A file that is read while it is written may lack it, so it goes only when the file says so. Pure.

/// Something that keeps people out, as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The file does not mention it.
    Unsaid,
    /// The file says that everybody may pass.
    Open,
    /// Not everybody may pass.
    Guarded,
}

impl Door {
    pub(super) fn of(is_written: bool, is_guarded: bool) -> Self {
        match (is_written, is_guarded) {
            (_, true) => Self::Guarded,
            (true, false) => Self::Open,
            (false, false) => Self::Unsaid,
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doors {
    /// Passwords.
    pub(super) users: Door,
    /// Certificates of clients.
    pub(super) certificates: Door,
    /// The names that these have to have.
    pub(super) names: Door,
}

/// A key that is gone, and what to do if that is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) key: &'static str,
    pub(super) how: &'static str,
}

impl Doors {
    #[cfg(test)]
    pub(super) const GUARDED: Self = Self { users: Door::Guarded, certificates: Door::Guarded, names: Door::Guarded };

    /// The first that was guarded, and that a new file has no word about.
    pub(super) fn opened_by(&self, new: &Self) -> Option<Opened> {
        let doors = [
            (self.users, new.users, "basic_auth_users", "write `basic_auth_users: {}`"),
            (
                self.certificates,
                new.certificates,
                "tls_server_config.client_auth_type",
                "write `client_auth_type: NoClientCert`",
            ),
            // There is no list of names which means all.
            (self.names, new.names, "tls_server_config.client_allowed_sans", "start rosterd again"),
        ];
        let (.., key, how) = doors.into_iter().find(|door| (door.0, door.1) == (Door::Guarded, Door::Unsaid))?;
        Some(Opened { key, how })
    }
}
