//! What is wrong with a section of a configuration.

/// Something wrong in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the entry down: `tls_config.ca_file`, `files[2]`. Empty for the entry itself.
    pub path: String,
    /// A stable code, `cfg_...`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem at a path below the entry.
    pub fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.into(), code, message: message.into() }
    }
}
