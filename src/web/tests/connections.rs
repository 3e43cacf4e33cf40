//! Connections: how long they are waited for, and who makes room for whom.

use tokio::sync::Notify;

use super::*;

#[test]
fn a_request_that_runs_is_answered_before_the_server_is_gone() {
    leak_checked_live(async || {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            get(move || async move {
                begun.notify_one();
                go.notified().await;
                "late"
            })
        };
        let (server, address) = serve(settings(), None, Router::new().route("/", handler)).await;
        let url = format!("http://{address}/");
        let client = plain();
        let (answer, ()) =
            tokio::join!(async { client.get(&url).send().await.unwrap().text().await.unwrap() }, async {
                begun.notified().await;
                let stopping = stop(server);
                tokio::pin!(stopping);
                // The listener is gone before the request is answered.
                let refused = async {
                    eventually(patience(), "connections are refused", || {
                        std::net::TcpStream::connect(address).is_err()
                    })
                    .await;
                };
                tokio::select! {
                    () = stopping.as_mut() => panic!("the server did not wait"),
                    () = refused => {}
                }
                go.notify_one();
                stopping.await;
            });
        assert_eq!(answer, "late");
    });
}

#[test]
fn a_client_that_hangs_is_cut_at_the_deadline() {
    leak_checked_live(async || {
        let begun = Arc::new(Notify::new());
        let seen = Arc::clone(&begun);
        let hang = get(move || async move {
            seen.notify_one();
            std::future::pending::<()>().await;
        });
        let (server, address) = serve(settings(), None, Router::new().route("/", hang)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        let cut = server.shutdown(Instant::now() + Duration::from_millis(50)).await;
        let name = format!("http connection {}", client.local_addr().unwrap());
        assert_eq!(cut, [Arc::from(name)]);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_at_the_deadline_and_is_no_fault() {
    leak_checked_live(async || {
        let endless = get(|| async {
            let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 64 * 1024]));
            axum::body::Body::from_stream(futures_util::stream::repeat_with(piece))
        });
        let (server, address) = serve(settings(), None, Router::new().route("/", endless)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        let late = server.shutdown(Instant::now() + Duration::from_secs(1)).await;
        assert_eq!((late, server.connections()), (Vec::new(), Vec::new()));
    });
}

#[test]
fn a_request_that_is_half_there_does_not_hold_up_a_stop() {
    leak_checked_live(async || {
        let (server, address) = serve(settings(), None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost:").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(tokio::time::timeout(patience(), server.shutdown(far)).await, Ok(Vec::new()));
    });
}

#[test]
fn headers_that_trickle_are_not_waited_for() {
    leak_checked_live(async || {
        let impatient = Settings { header_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(patience(), client.read_to_end(&mut rest)).await.expect("the server hangs up").ok();
        stop(server).await;
    });
}

#[test]
fn a_connection_that_rests_is_closed() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new();
        write(folder.path(), "server", &authority.sign("localhost"));
        let live = configured(&folder, "tls_server_config: {cert_file: server.pem, key_file: server.key}");
        let impatient = Settings { read_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, Some(live), hello()).await;
        let url = format!("https://localhost:{}/version", address.port());
        let mut keeping = authority.client(None);
        keeping.keeps = true;
        assert_eq!(keeping.get(&url).send().await.unwrap().text().await.unwrap(), "HTTP/2.0");
        let what = "the resting connection is gone";
        eventually(patience(), what, || server.connections().is_empty()).await;
        stop(server).await;
    });
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut() {
    leak_checked_live(async || {
        let endless = get(|| async {
            let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 64 * 1024]));
            axum::body::Body::from_stream(futures_util::stream::repeat_with(piece))
        });
        let impatient = Settings { read_timeout: Duration::from_millis(200), ..settings() };
        let (server, address) = serve(impatient, None, Router::new().route("/", endless)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        eventually(patience(), "the client is cut", || server.connections().is_empty()).await;
        stop(server).await;
    });
}

/// What a new connection is answered to one request.
async fn asked(address: SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(patience(), client.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[test]
fn a_connection_that_rests_makes_room_for_another() {
    leak_checked_live(async || {
        let (server, address) = serve(Settings { max_connections: 1, ..settings() }, None, hello()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        first.read_exact(&mut [0; 12]).await.unwrap();
        assert!(asked(address, "/").await.ends_with("hello"));
        let mut rest = Vec::new();
        tokio::time::timeout(patience(), first.read_to_end(&mut rest)).await.expect("it is closed").ok();
        stop(server).await;
    });
}

#[test]
fn silent_connections_keep_nobody_out() {
    leak_checked_live(async || {
        let (server, address) = serve(Settings { max_connections: 4, ..settings() }, None, hello()).await;
        let mut silent = Vec::new();
        for _ in 0..64 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(asked(address, "/").await.ends_with("hello"));
        eventually(patience(), "the others are gone", || server.connections().len() <= 4).await;
        stop(server).await;
    });
}

#[test]
fn probes_are_answered_while_all_connections_are_busy() {
    leak_checked_live(async || {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            get(move || async move {
                begun.notify_one();
                go.notified().await;
                "late"
            })
        };
        let router = hello().route("/late", handler).route("/under/-/healthy", get(|| async { "healthy" }));
        let (server, address) = serve(Settings { max_connections: 1, ..settings() }, None, router).await;
        let (answer, ()) = tokio::join!(asked(address, "/late"), async {
            begun.notified().await;
            let refused = asked(address, "/").await;
            assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"web_busy\""), "{refused}");
            assert!(refused.contains("retry-after: "), "{refused}");
            assert!(asked(address, "/under/-/healthy").await.ends_with("healthy"));
            go.notify_one();
        });
        assert!(answer.ends_with("late"));
        assert!(asked(address, "/").await.ends_with("hello"));
        stop(server).await;
    });
}

#[test]
fn who_asks_for_nothing_is_not_waited_for() {
    leak_checked_live(async || {
        let impatient = Settings { first_request_timeout: Duration::from_millis(100), ..settings() };
        let (server, address) = serve(impatient, None, hello()).await;
        let mut keeping = TcpStream::connect(address).await.unwrap();
        keeping.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        keeping.read_exact(&mut [0; 12]).await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut nothing = Vec::new();
        tokio::time::timeout(patience(), silent.read_to_end(&mut nothing)).await.expect("the server hangs up").ok();
        assert_eq!(nothing, b"");
        assert_eq!(server.connections().len(), 1, "who has asked is still there");
        stop(server).await;
    });
}

#[test]
fn endless_headers_are_refused() {
    leak_checked_live(async || {
        let (server, address) = serve(settings(), None, hello()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
        client.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        tokio::time::timeout(patience(), client.read_to_end(&mut answer)).await.unwrap().ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
        stop(server).await;
    });
}
