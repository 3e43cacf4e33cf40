//! Who sent a request.

use std::fmt;
use std::net::SocketAddr;

/// Who sent a request; the server puts it among the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection: a proxy, if there is one.
    pub address: SocketAddr,
    /// The user whose password was right; `None` where nobody has to say who he is.
    pub user: Option<String>,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user}@{}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}
