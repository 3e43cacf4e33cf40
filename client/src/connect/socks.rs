//! SOCKS 5: a proxy that passes on whatever comes. It looks the names of servers up itself, as with Go.

use std::future::{Ready, ready};
use std::io;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use rosterd_model::Secret;
use tower::{Service, service_fn};

use super::error::ProxyError;
use super::stream::Io;
use crate::error::Cause;

/// What the library says first.
const PREFIX: &str = "SOCKS error: ";

/// The connection behind the proxy to a server.
pub(super) async fn tunnel(
    stream: Box<dyn Io>,
    host: &str,
    port: u16,
    user: Option<&(String, Secret)>,
) -> Result<Box<dyn Io>, Cause> {
    let to: Uri = format!("socks://{host}:{port}").parse()?;
    // There is a connection already, and it is asked for once.
    let mut stream = Some(TokioIo::new(stream));
    let connected = service_fn(move |_: Uri| -> Ready<io::Result<TokioIo<Box<dyn Io>>>> {
        ready(stream.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    });
    let mut socks = SocksV5::new(to.clone(), connected);
    if let Some((user, password)) = user {
        socks = socks.with_auth(user.clone(), password.expose().to_owned());
    }
    match socks.call(to).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.strip_prefix(PREFIX).unwrap_or(&reason).to_owned();
            Err(ProxyError::Socks { to: format!("{host}:{port}"), reason }.into())
        }
    }
}
