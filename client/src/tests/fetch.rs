//! Bodies as they are sent, over connections that the caller keeps.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use rosterd_model::{Coded, Priority, Report};
use rosterd_testkit::{Folder, ScriptedServer, Step, leak_checked_live};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::super::{Budget, Connection, Fetch, Fetched, Share};
use super::{Client, ClientError, client};

pub(super) async fn fetch(
    client: &Client,
    url: &str,
    connection: &mut Connection,
    limit: u64,
) -> Result<(Fetched, String), ClientError> {
    let headers = HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("text/plain"))]);
    let fetch = Fetch { url, unix_socket: "", headers: &headers, timeout: Duration::from_secs(20), limit };
    let mut body = Vec::new();
    let fetched = client.fetch(&fetch, connection, &mut body, &mut Share::default()).await?;
    Ok((fetched, String::from_utf8(body).expect("tests reply with text")))
}

/// Serves replies one after the other, each on the connection that is open, or on a new one where it is closed.
async fn serve(listener: TcpListener, replies: Vec<(&'static str, bool)>) -> usize {
    let (mut connections, mut open) = (0, None);
    for (reply, close) in replies {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => {
                connections += 1;
                listener.accept().await.expect("it listens").0
            }
        };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("a request comes");
            request.extend_from_slice(&byte);
        }
        stream.write_all(reply.as_bytes()).await.expect("the client reads");
        open = (!close).then_some(stream);
    }
    connections
}

#[test]
fn a_connection_serves_as_long_as_the_server_leaves_it_open() {
    leak_checked_live(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics?x=%2F+y", listener.local_addr().unwrap());
        let replies = vec![
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n", false),
            // Closed without a word: the next request finds out and connects anew.
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthree", true),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfour", true),
            ("HTTP/1.0 200 OK\r\n\r\nfive", true),
        ];
        let (client, mut connection) = (client("{}"), Connection::default());
        let asking = async {
            let mut bodies = Vec::new();
            // Whether the third is found to be closed at once is a matter of luck.
            for open in [Some(true), Some(true), None, Some(false), Some(false)] {
                bodies.push(fetch(&client, &url, &mut connection, 100).await.unwrap().1);
                assert!(open.is_none_or(|open| connection.is_open() == open), "{bodies:?}");
            }
            bodies
        };
        let (connections, bodies) = tokio::join!(serve(listener, replies), asking);
        assert_eq!(bodies, ["one", "two", "three", "four", "five"]);
        assert_eq!(connections, 3);
    });
}

#[test]
fn a_reply_that_breaks_off_or_is_too_large_is_an_error() {
    leak_checked_live(|| async {
        let steps = [Step::get("/cut").body("whole body").truncate(5), Step::get("/large").body("12345")];
        let server = ScriptedServer::start(steps).await;
        let (client, mut connection) = (client("{}"), Connection::default());
        let error = fetch(&client, &server.url("/cut"), &mut connection, 100).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
        let error = fetch(&client, &server.url("/large"), &mut connection, 4).await.unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { limit: 4, .. }), "{error:?}");
        assert!(!connection.is_open());
        server.finish().await;
        let error = fetch(&client, &server_url_of_nobody(), &mut connection, 4).await.unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    });
}

#[test]
fn a_port_without_a_host_is_asked_for_on_this_machine() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([Step::get("/a").body("plain"), Step::get("/a").body("shared")]).await;
        let (client, mut connection) = (client("{}"), Connection::default());
        // What has a user goes over the connections that are shared.
        for (user, body) in [("", "plain"), ("u:p@", "shared")] {
            let url = server.url("/a").replace("127.0.0.1", user);
            assert!(url.starts_with(&format!("http://{user}:")), "{url}");
            assert_eq!(fetch(&client, &url, &mut connection, 100).await.unwrap().1, body);
        }
        server.finish().await;
    });
}

#[test]
fn what_can_never_be_fetched_is_a_matter_of_the_settings() {
    leak_checked_live(|| async {
        for url in ["http://127.0.0.1:99999/metrics", "http://127.0.0.1:http/", "http://a%20b:1/", "http://:/"] {
            let error = fetch(&client("{}"), url, &mut Connection::default(), 4).await.unwrap_err();
            assert_eq!((error.code(), error.priority()), ("http_settings", Priority::Operator), "{error:?}");
            let reason = crate::never_fetched(url).expect(url);
            assert_eq!(Report::of(&error).to_string(), format!("cannot use the URL {url:?}: {reason}"));
        }
    });
}

#[test]
fn of_a_url_that_cannot_be_used_no_secret_is_told() {
    leak_checked_live(|| async {
        for (url, shown) in [
            ("http://u:hunter2@127.0.0.1:99999/a?sid=hunter2", "http://127.0.0.1:99999/a"),
            ("http://127.0.0.1:99999/a?sid=hunter2#hunter2", "http://127.0.0.1:99999/a"),
            ("http://u:hun/ter2@127.0.0.1/a?sid=hunter2", "http://..."),
            ("hunter2@h/a?sid=hunter2", "h/a"),
        ] {
            let error = fetch(&client("{}"), url, &mut Connection::default(), 4).await.unwrap_err();
            let told = Report::of(&error).to_string();
            assert!(told.contains(&format!("the URL {shown:?}")) && !told.contains("ter2"), "{told}");
        }
        let url = format!("{}a?sid=hunter2", server_url_of_nobody());
        let error = fetch(&client("{}"), &url, &mut Connection::default(), 4).await.unwrap_err();
        assert!(error.code() == "http_connect" && error.to_string().ends_with("/a"), "{error}");
    });
}

/// An address that nobody listens on.
fn server_url_of_nobody() -> String {
    format!("http://{}/", rosterd_testkit::free_address())
}

#[test]
fn a_connection_that_the_server_gives_up_is_not_kept_although_it_is_open() {
    leak_checked_live(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        for (reply, kept) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", true),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", false),
        ] {
            let (client, mut connection) = (client("{}"), Connection::default());
            let serving = async {
                let mut stream = listener.accept().await.unwrap().0;
                stream.write_all(reply.as_bytes()).await.unwrap();
                stream
            };
            let (fetched, _open) = tokio::join!(fetch(&client, &url, &mut connection, 100), serving);
            assert_eq!((fetched.unwrap().1.as_str(), connection.is_open()), ("a", kept), "{reply}");
        }
    });
}

/// The bodies that a scrape and another request read behind a head, or why not.
async fn both(head: String) -> [Result<String, Report>; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let reply: &'static str = format!("HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\nbody").leak();
    let (client, mut connection) = (client("{}"), Connection::default());
    let asking = async {
        let scraped = fetch(&client, &url, &mut connection, 100).await;
        let sent = super::body(&client, &url).await;
        [scraped.map(|scraped| scraped.1), sent].map(|result| result.map_err(|error| Report::of(&error)))
    };
    // The client may go away while it is written to.
    let serving = async {
        for _ in 0..2 {
            let mut stream = listener.accept().await.unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(reply.as_bytes()).await.ok();
        }
    };
    tokio::join!(asking, serving).0
}

#[test]
fn heads_are_read_as_go_reads_them() {
    leak_checked_live(|| async {
        let many: String = (0..300).map(|number| format!("x-{number}: v\r\n")).collect();
        for good in [
            many,
            format!("x-large: {}\r\n", "v".repeat(300_000)),
            "x-folded: a\r\n b\r\n\tc\r\n".to_owned(),
            "x y: 1\r\n".to_owned(),
            "content-length : 1\r\n".to_owned(),
        ] {
            assert_eq!(both(good.clone()).await, [Ok("body".to_owned()), Ok("body".to_owned())], "{good:.100}");
        }
        let bad = both("content-length: x\r\n".to_owned()).await.map(|result| result.map_err(|error| error.code));
        assert_eq!(bad, [Err("http_malformed".to_owned()), Err("http_malformed".to_owned())]);
    });
}

#[test]
fn heads_may_be_as_large_as_go_takes_them() {
    leak_checked_live(|| async {
        let of = |bytes: usize| -> String {
            let line = |number| format!("x-{number}: {}\r\n", "v".repeat(8 << 10));
            (0..bytes >> 13).map(line).collect()
        };
        for good in [of(1 << 20), of(9 << 20), format!("x: {}\r\n", "v".repeat(9 << 20))] {
            assert_eq!(both(good).await, [Ok("body".to_owned()), Ok("body".to_owned())]);
        }
        for error in both(of(11 << 20)).await.map(Result::unwrap_err) {
            assert_eq!(error.code, "http_malformed");
            assert!(error.to_string().contains("head of the reply is larger than 10485760 bytes"), "{error}");
        }
    });
}

#[test]
fn a_large_head_takes_memory_of_the_budget() {
    leak_checked_live(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface is there");
        let url = format!("http://{}/metrics", listener.local_addr().expect("it is bound"));
        let (client, headers) = (client("{}"), HeaderMap::new());
        let fetch =
            Fetch { url: &url, unix_socket: "", headers: &headers, timeout: Duration::from_secs(20), limit: 100 };
        for (size, budget, good) in [(1 << 20, 4 << 20, true), (1 << 20, 1 << 20, false), (100, 10, true)] {
            let (budget, mut connection, mut body) = (Budget::new(budget), Connection::default(), Vec::new());
            let mut share = budget.share();
            let serving = async {
                let (mut stream, _) = listener.accept().await.expect("it listens");
                read_request(&mut stream).await;
                let reply = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 1\r\n\r\n1", "v".repeat(size));
                // It goes away in the middle.
                stream.write_all(reply.as_bytes()).await.ok();
            };
            let (fetched, ()) = tokio::join!(client.fetch(&fetch, &mut connection, &mut body, &mut share), serving);
            assert_eq!((fetched.is_ok(), share.refused().is_none()), (good, good), "{size} {fetched:?}");
            drop(share);
            assert_eq!(budget.taken(), 0);
        }
    });
}

#[test]
fn credentials_are_sent_and_stay_with_their_host() {
    leak_checked_live(|| async {
        let other = ScriptedServer::start([Step::get("/there").without_header("authorization").body("there")]).await;
        let elsewhere = format!("http://localhost:{}/there", other.address().port());
        let server = ScriptedServer::start([
            Step::get("/a")
                .with_header("authorization", "Bearer hunter2")
                .with_header("accept", "text/plain")
                .body("a"),
            Step::get("/b")
                .with_header("authorization", "Bearer hunter2")
                .status(302)
                .reply_header("location", &elsewhere),
            Step::get("/c").status(404).body("no"),
        ])
        .await;
        let (client, mut connection) = (client("{authorization: {credentials: hunter2}}"), Connection::default());
        assert_eq!(fetch(&client, &server.url("/a"), &mut connection, 100).await.unwrap().1, "a");
        let (fetched, body) = fetch(&client, &server.url("/b"), &mut connection, 100).await.unwrap();
        assert_eq!((fetched.redirected.map(String::from), body.as_str()), (Some(elsewhere), "there"));
        let (fetched, _) = fetch(&client, &server.url("/c"), &mut connection, 100).await.unwrap();
        assert_eq!(fetched.status, StatusCode::NOT_FOUND);
        let error = fetched.status_error(&server.url("/c")).to_string();
        assert!(error.contains("404 Not Found") && error.contains("/c"), "{error}");
        server.finish().await;
        other.finish().await;
    });
}

#[test]
fn a_target_may_be_behind_a_unix_socket() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let path = folder.path("metrics.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (client, mut connection, headers) = (client("{}"), Connection::default(), HeaderMap::new());
        let mut body = Vec::new();
        let path = path.display().to_string();
        let fetch = Fetch {
            url: "http://localhost/metrics",
            unix_socket: &path,
            headers: &headers,
            timeout: Duration::from_secs(20),
            limit: 100,
        };
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /metrics HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        };
        let mut share = Share::default();
        let (fetched, ()) = tokio::join!(client.fetch(&fetch, &mut connection, &mut body, &mut share), serving);
        assert_eq!((fetched.unwrap().status, body.as_slice()), (StatusCode::OK, &b"ok"[..]));
        let tls = Fetch { url: "https://localhost/metrics", ..fetch };
        assert!(client.fetch(&tls, &mut connection, &mut body, &mut Share::default()).await.is_err());
    });
}

#[test]
fn what_does_not_come_in_time_is_given_up() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([Step::get("/never").stall()]).await;
        let (client, mut connection, headers) = (client("{}"), Connection::default(), HeaderMap::new());
        let url = server.url("/never");
        let timeout = Duration::from_millis(50);
        let fetch = Fetch { url: &url, unix_socket: "", headers: &headers, timeout, limit: 100 };
        let error = client.fetch(&fetch, &mut connection, &mut Vec::new(), &mut Share::default()).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
        server.finish().await;
    });
}

#[test]
fn bodies_under_way_share_a_budget_and_take_nothing_of_it_before_they_come() {
    leak_checked_live(|| async {
        let budget = Budget::new(100_000);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface is there");
        let url = format!("http://{}/metrics", listener.local_addr().expect("it is bound"));
        let (client, headers) = (client("{}"), HeaderMap::new());
        let timeout = Duration::from_secs(20);
        let fetch = Fetch { url: &url, unix_socket: "", headers: &headers, timeout, limit: u64::MAX };
        for framing in ["content-length: 90000", "transfer-encoding: chunked", "connection: close"] {
            let (mut connection, mut body, mut share) = (Connection::default(), Vec::new(), budget.share());
            let mut other = budget.share();
            let serving = async {
                let (mut stream, _) = listener.accept().await.expect("it listens");
                read_request(&mut stream).await;
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await.expect("it reads");
                // The head is read meanwhile.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(budget.taken(), 0, "{framing}: nothing came");
                assert!(other.cover(50_000));
                // It goes away in the middle.
                let chunk = if framing.ends_with("chunked") { "15f90\r\n" } else { "" };
                stream.write_all(format!("{chunk}{}", "x".repeat(90_000)).as_bytes()).await.ok();
            };
            let fetching = client.fetch(&fetch, &mut connection, &mut body, &mut share);
            let (fetched, ()) = tokio::join!(fetching, serving);
            let error = fetched.expect_err("there is not that much");
            assert!(matches!(error, ClientError::TooLarge { .. }), "{framing}: {error:?}");
            assert_eq!(share.refused(), Some(100_000), "{framing}");
            assert!(budget.taken() <= 100_000, "{framing}");
        }
        assert_eq!(budget.taken(), 0, "all is given back");
        let (mut body, mut share) = (Vec::new(), budget.share());
        let serving = async {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            read_request(&mut stream).await;
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n{}", "x".repeat(90_000));
            stream.write_all(reply.as_bytes()).await.expect("it reads");
        };
        let mut connection = Connection::default();
        let (fetched, ()) = tokio::join!(client.fetch(&fetch, &mut connection, &mut body, &mut share), serving);
        fetched.expect("it is within the budget, though not twice");
        assert_eq!(body.len(), 90_000);
        assert!(body.capacity() < 95_000, "what is announced is not exceeded: {}", body.capacity());
    });
}

#[test]
fn a_small_body_takes_its_size_of_the_budget_however_it_is_framed() {
    leak_checked_live(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface is there");
        let url = format!("http://{}/metrics", listener.local_addr().expect("it is bound"));
        let (client, headers) = (client("{}"), HeaderMap::new());
        let timeout = Duration::from_secs(20);
        let fetch = Fetch { url: &url, unix_socket: "", headers: &headers, timeout, limit: u64::MAX };
        for (framing, body, enough) in [
            ("content-length: 10", "0123456789", 10),
            ("transfer-encoding: chunked", "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n", 10),
            // There may be more of it, as far as is known.
            ("connection: close", "0123456789", 1 << 20),
        ] {
            for limit in [9, enough] {
                let budget = Budget::new(limit);
                let (mut connection, mut bytes, mut share) = (Connection::default(), Vec::new(), budget.share());
                // Head and body come together, as those of small replies do.
                let serving = async {
                    let (mut stream, _) = listener.accept().await.expect("it listens");
                    read_request(&mut stream).await;
                    let reply = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
                    stream.write_all(reply.as_bytes()).await.expect("it reads");
                };
                let fetching = client.fetch(&fetch, &mut connection, &mut bytes, &mut share);
                let (fetched, ()) = tokio::join!(fetching, serving);
                assert_eq!(fetched.is_ok(), limit == enough, "{framing}, {limit}: {fetched:?}");
                assert_eq!(share.refused(), (limit == 9).then_some(9), "{framing}");
                let taken = budget.taken();
                assert!(limit == 9 || taken >= 10 && bytes == b"0123456789", "{framing}: {taken}");
            }
        }
    });
}

async fn read_request(stream: &mut tokio::net::TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a request comes");
        request.push(byte[0]);
    }
}
