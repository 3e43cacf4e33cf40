//! What a file of credentials adds to a request: one that rests, and one that was written just now, so that each request looks.
//! Run with `cargo bench -p rosterd-client`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use http::HeaderMap;
use rosterd_client::{Client, Connection, Fetch, HttpClientConfig, Options, Share};
use rosterd_testkit::Folder;

/// How many targets are scraped at the same time.
const TARGETS: [usize; 2] = [1, 64];
/// Longer than a file has to have been left alone.
const REST: Duration = Duration::from_secs(4);

/// Answers requests on threads of its own, of which none comes in two pieces here.
fn serve(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    while stream.read(&mut request).is_ok_and(|read| read > 0) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nup 1\n").is_err() {
            return;
        }
    }
}

async fn scrape(client: &Client, url: &str, connections: &mut [Connection]) {
    let headers = HeaderMap::new();
    let fetch = Fetch { url, unix_socket: "", headers: &headers, timeout: Duration::from_secs(20), limit: 100 };
    let all = connections.iter_mut().map(|connection| async {
        let (mut body, mut share) = (Vec::new(), Share::default());
        client.fetch(&fetch, connection, &mut body, &mut share).await.expect("the target answers");
    });
    join_all(all).await;
}

fn credentials(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads can be started");
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let url = format!("http://{}/metrics", listener.local_addr().expect("it listens"));
    serve(listener);
    let path = folder.write("token", "s3cret");
    runtime.block_on(async { tokio::time::sleep(REST).await });

    let in_file = format!("authorization: {{credentials_file: {}}}", path.display());
    for targets in TARGETS {
        let mut group = criterion.benchmark_group(format!("{targets} requests at once"));
        group.throughput(Throughput::Elements(targets as u64));
        for (name, settings, touched) in [
            ("a token in the configuration", "authorization: {credentials: s3cret}", false),
            ("a token in a file that rests", &in_file, false),
            ("a token in a file that changes", &in_file, true),
        ] {
            let config: HttpClientConfig = serde_yaml::from_str(settings).expect("settings are YAML");
            let client = Client::new(&config, Options::default()).expect("settings are good");
            let mut connections: Vec<_> = std::iter::repeat_with(Connection::default).take(targets).collect();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    if touched {
                        folder.write("token", "s3cret");
                    }
                    runtime.block_on(scrape(&client, &url, &mut connections));
                });
            });
            runtime.block_on(async { tokio::time::sleep(REST).await });
        }
        group.finish();
    }
}

criterion_group!(benches, credentials);
criterion_main!(benches);
