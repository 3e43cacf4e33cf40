//! Over a unix socket.

use std::path::Path;

use rosterd_model::Report;
use rosterd_testkit::{Folder, leak_checked_live};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

fn client_of(path: &Path, settings: &str) -> Client {
    let config: HttpClientConfig = serde_yaml::from_str(settings).expect(settings);
    Client::new(&config, Options { unix_socket: Some(path.to_owned()), ..Options::default() }).expect(settings)
}

/// Answers the requests of one connection with these replies, and returns the first lines of the requests.
async fn serve(listener: &UnixListener, replies: &[&str]) -> Vec<String> {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut asked = Vec::new();
    for reply in replies {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        let request = String::from_utf8(request).expect("it is text");
        asked.push(request.lines().next().unwrap_or_default().to_owned());
        stream.write_all(reply.as_bytes()).await.expect("it reads");
    }
    asked
}

#[test]
fn all_goes_to_the_socket_and_its_connection_is_kept() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let path = folder.path("engine.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        // Nobody is there: of a socket, a proxy is not asked.
        let client = client_of(&path, "proxy_url: http://127.0.0.1:1");
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let asking = async {
            for at in ["a", "b"] {
                let body = body(&client, &format!("http://no.such.host.invalid/{at}")).await.expect("a reply");
                assert_eq!(body, "ok");
            }
        };
        let replies = [ok, ok];
        let ((), asked) = tokio::join!(asking, serve(&listener, &replies));
        assert_eq!(asked, ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]);
    });
}

#[test]
fn a_redirect_does_not_lead_away_from_the_socket() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let path = folder.path("engine.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let client = client_of(&path, "{}");
        let to = ["HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n"];
        let (reply, _) = tokio::join!(async { get(&client, "http://localhost/").await }, serve(&listener, &to));
        let error = reply.map(drop).expect_err("it is not followed").to_string();
        assert!(error.contains("those of a unix socket are not followed"), "{error}");
    });
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let path = folder.path("engine.sock");
        let client = client_of(&path, "{}");
        let report = Report::of(&get(&client, "http://localhost/").await.map(drop).expect_err("nobody is there"));
        let cause = format!("the unix socket {}: No such file or directory", path.display());
        assert_eq!((report.code.as_str(), report.causes.as_slice()), ("http_connect", &[cause][..]));
    });
}
