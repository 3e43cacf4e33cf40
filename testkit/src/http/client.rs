//! One request.

use std::io;

use bytes::Bytes;
use http::request::Builder;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

/// Asks for a URL over a connection of its own and returns status and body. No redirects, no TLS.
pub async fn get(url: &str) -> io::Result<(u16, String)> {
    ask(url, |target| http::Request::get(target), Bytes::new()).await
}

/// Posts JSON to a URL in the same way.
pub async fn post(url: &str, json: impl Into<Bytes>) -> io::Result<(u16, String)> {
    ask(url, |target| http::Request::post(target).header("content-type", "application/json"), json.into()).await
}

async fn ask(url: &str, begin: impl FnOnce(&str) -> Builder, body: Bytes) -> io::Result<(u16, String)> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let address = url.socket_addrs(|| None)?;
    let stream = TcpStream::connect(&*address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = begin(target).header("host", host).body(Full::new(body)).map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            // The answer came with the end: it is there, or was never begun.
            exchange.await
        }
    }
}
