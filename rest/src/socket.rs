//! Servers behind unix sockets: `unix://` and a path. Pure.

use std::path::{Path, PathBuf};

/// The longest path of a unix socket.
const LONGEST_PATH: usize = 107;

/// Why a path is none of a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// `unix://` and nothing more.
    #[error("the path of the socket is missing: write unix:///path")]
    NoPath,
    /// A path that no socket can have.
    #[error("the path of a unix socket has no more than {LONGEST_PATH} bytes")]
    LongPath,
}

/// The socket that a text names which begins with `unix://`; `None` for any other text.
pub fn socket(text: &str) -> Option<Result<PathBuf, SocketError>> {
    let path = text.strip_prefix("unix://")?;
    Some(match path.len() {
        0 => Err(SocketError::NoPath),
        length if length > LONGEST_PATH => Err(SocketError::LongPath),
        _ => Ok(Path::new(path).to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_behind_its_scheme() {
        let long = format!("unix:///{}", "x".repeat(107));
        for (text, want) in [
            ("unix:///run/a@b.sock", Some(Ok(PathBuf::from("/run/a@b.sock")))),
            ("unix://run/x.sock", Some(Ok(PathBuf::from("run/x.sock")))),
            ("unix://", Some(Err(SocketError::NoPath))),
            (&long, Some(Err(SocketError::LongPath))),
            ("/run/x.sock", None),
            ("http://unix", None),
        ] {
            assert_eq!(socket(text), want, "{text}");
        }
    }
}
