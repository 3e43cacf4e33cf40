//! Ways to a target, and what it may ask for.

use std::net::Ipv4Addr;

use rosterd_testkit::{
    Folder, RemoteWriteReceiver, ScriptedServer, Server, Step, eventually, eventually_ok, leak_checked_live, patience,
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::rosterd;
use super::tls_target::TlsTarget;

/// rosterd with one job, and a receiver.
struct Stage {
    rosterd: Server,
    receiver: RemoteWriteReceiver,
    folder: Folder,
}

impl Stage {
    /// `job` is the rest of the job.
    async fn start(folder: Folder, address: &str, job: &str) -> Self {
        let receiver = RemoteWriteReceiver::start().await;
        folder.write("prometheus.yml", Self::config(&receiver, address, job));
        let rosterd = rosterd(&folder.path("prometheus.yml"), &[]).await;
        Self { rosterd, receiver, folder }
    }

    fn config(receiver: &RemoteWriteReceiver, address: &str, job: &str) -> String {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
             scrape_configs:\n- job_name: j\n  static_configs: [{{targets: ['{address}']}}]\n{job}",
            receiver.url()
        )
    }

    /// Waits until the API tells this of the target.
    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let look = async || {
            let target =
                self.rosterd.data("/api/v1/targets").await["activeTargets"].get(0).cloned().unwrap_or_default();
            if wanted(&target) { Ok(target) } else { Err(format!("{target:#}\n{}", self.rosterd.log())) }
        };
        eventually_ok(patience(), what, look).await
    }

    async fn until_up(&self) {
        self.until("the target is up", |target| target["health"] == "up").await;
    }

    /// Waits until a sample of this name has arrived.
    async fn arrives(&self, name: &str) {
        let is = || self.receiver.samples().iter().any(|sample| sample.label("__name__") == Some(name));
        eventually(patience(), &format!("{name} arrives"), is).await;
    }
}

fn page(step: Step, body: &str) -> Step {
    step.reply_header("content-type", "text/plain; version=0.0.4").body(body.to_owned())
}

#[test]
fn certificates_and_passwords_may_be_exchanged() {
    leak_checked_live(|| async {
        let (target, certificate) = TlsTarget::start("me", "first").await;
        let folder = Folder::new();
        folder.write("ca.pem", certificate);
        folder.write("password", "first\n");
        let job =
            "  scheme: https\n  basic_auth: {username: me, password_file: password}\n  tls_config: {ca_file: ca.pem}\n";
        let stage = Stage::start(folder, &target.address(), job).await;
        stage.until_up().await;
        stage.arrives("secured").await;

        let certificate = target.rotate("me", "second");
        let down = stage.until("the new certificate is not trusted", |target| target["health"] == "down").await;
        assert_eq!(down["lastErrorKind"], "misconfigured", "{down:#}");
        stage.folder.replace("ca.pem", certificate);
        let refused = |target: &Value| target["lastError"].as_str().is_some_and(|error| error.contains("401"));
        let down = stage.until("the old password is refused", refused).await;
        assert_eq!(down["lastErrorKind"], "misconfigured", "{down:#}");
        stage.folder.replace("password", "second");
        stage.until_up().await;
        assert!(!stage.rosterd.log().contains("second"));
    });
}

#[test]
fn a_target_may_be_behind_a_proxy() {
    leak_checked_live(|| async {
        let proxy = ScriptedServer::start([page(
            Step::get("/metrics").with_header("host", "target.invalid:1234").any_times(),
            "by_proxy 1\n",
        )])
        .await;
        let job = format!("  proxy_url: '{}'\n", proxy.url(""));
        let stage = Stage::start(Folder::new(), "target.invalid:1234", &job).await;
        stage.arrives("by_proxy").await;
        stage.until_up().await;
    });
}

/// Lets clients through to one address, whatever they ask for, and notes what they say.
async fn tunnel(listener: TcpListener, to: String, asked: tokio::sync::mpsc::Sender<String>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let mut stream = BufReader::new(stream);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") && stream.read_line(&mut request).await.is_ok_and(|read| read > 0) {}
        asked.send(request).await.ok();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
        let mut other = TcpStream::connect(&to).await.expect("the target listens");
        copy_bidirectional(&mut stream, &mut other).await.ok();
    }
}

#[test]
fn a_target_behind_tls_may_be_behind_a_proxy() {
    leak_checked_live(|| async {
        let (target, certificate) = TlsTarget::start("me", "secret").await;
        let folder = Folder::new();
        folder.write("ca.pem", certificate);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let proxy = listener.local_addr().expect("a bound listener has an address");
        let (asked, mut heard) = tokio::sync::mpsc::channel(100);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(tunnel(listener, target.address(), asked));
        let job = format!(
            "  scheme: https\n  proxy_url: 'http://{proxy}'\n  proxy_connect_header: {{X-Let-Me: [through]}}\n  \
             basic_auth: {{username: me, password: secret}}\n  tls_config: {{ca_file: ca.pem}}\n"
        );
        let stage = Stage::start(folder, &target.address(), &job).await;
        stage.until_up().await;
        let request = heard.recv().await.expect("the proxy was asked").to_lowercase();
        let wanted = [format!("connect {}", target.address()), "x-let-me: through".to_owned()];
        assert!(wanted.iter().all(|part| request.contains(part)), "{request}");
        assert!(!request.contains("\r\nauthorization"), "the proxy does not learn the password: {request}");
        drop(stage);
        tasks.shutdown().await;
    });
}

#[test]
fn a_target_may_be_behind_a_unix_socket() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let path = folder.path("metrics.sock");
        let listener = UnixListener::bind(&path).expect("a new folder takes a socket");
        let job =
            format!("  relabel_configs: [{{target_label: __unix_socket__, replacement: '{}'}}]\n", path.display());
        let stage = Stage::start(folder, "a-name", &job).await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.expect("rosterd connects");
            loop {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.expect("a request comes");
                let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
                assert!(request.contains("\r\nhost: a-name\r\n"), "{request}");
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nby_socket 1\n";
                stream.write_all(answer.as_bytes()).await.expect("rosterd reads");
            }
        };
        tokio::select! {
            () = async { stage.arrives("by_socket").await; stage.until_up().await } => {}
            () = serving => {}
        }
    });
}

#[test]
fn credentials_are_not_sent_where_a_target_redirects_to() {
    leak_checked_live(|| async {
        let there = Step::get("/there").without_header("authorization").without_header("x-secret").any_times();
        let other = ScriptedServer::start([page(there, "redirected 1\n")]).await;
        let elsewhere = format!("http://localhost:{}/there", other.address().port());
        let server = ScriptedServer::start([Step::get("/metrics")
            .with_header("authorization", "Bearer hunter2")
            .with_header("x-secret", "hunter3")
            .status(302)
            .reply_header("location", &elsewhere)
            .any_times()])
        .await;
        let job = "  authorization: {credentials: hunter2}\n  http_headers: {X-Secret: {secrets: [hunter3]}}\n";
        let stage = Stage::start(Folder::new(), &server.address().to_string(), job).await;
        stage.arrives("redirected").await;
        stage.until_up().await;
        assert!(!stage.rosterd.log().contains("hunter"));
    });
}

#[test]
fn a_target_that_asks_for_time_gets_it() {
    leak_checked_live(|| async {
        // A second request would be a complaint.
        let busy = Step::get("/metrics").status(429).reply_header("retry-after", "3600");
        let server = ScriptedServer::start([busy]).await;
        let rests = "rosterd: {scrape: {honor_retry_after: 1h}}\n";
        let stage = Stage::start(Folder::new(), &server.address().to_string(), rests).await;
        let snoozes = |target: &Value| target["lastErrorCode"] == "scrape_snoozing";
        let target = stage.until("the target is left alone", snoozes).await;
        assert!(target["snoozedUntil"].is_string() && target["health"] == "down", "{target:#}");
        let downs = || {
            let samples = stage.receiver.samples();
            samples.iter().filter(|sample| sample.label("__name__") == Some("up") && sample.value == Some(0.0)).count()
        };
        eventually(patience(), "it counts as down at each interval", || downs() >= 3).await;
        server.finish().await;
    });
}

#[test]
fn a_target_that_asks_for_time_is_asked_at_each_interval_all_the_same() {
    leak_checked_live(|| async {
        let busy = || Step::get("/metrics").status(503).reply_header("retry-after", "3600");
        let server = ScriptedServer::start([busy(), busy(), busy()]).await;
        server.then(page(Step::get("/metrics").any_times(), "rested 1\n"));
        let stage = Stage::start(Folder::new(), &server.address().to_string(), "").await;
        let target = stage.until("the target is down", |target| target["health"] == "down").await;
        assert!(target["snoozedUntil"].is_null(), "{target:#}");
        stage.arrives("rested").await;
        server.finish().await;
    });
}

/// More than any clock can tell, and what is no time at all.
#[test]
fn a_target_may_ask_for_any_time() {
    leak_checked_live(|| async {
        for asked in ["18446744073709551615", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "-1", "soon"]
        {
            let busy = Step::get("/metrics").status(503).reply_header("retry-after", asked).any_times();
            let server = ScriptedServer::start([busy]).await;
            let rests = "rosterd: {scrape: {honor_retry_after: 1y}}\n";
            let stage = Stage::start(Folder::new(), &server.address().to_string(), rests).await;
            server.wait_requests(1).await;
            stage.until("the target is down", |target| target["health"] == "down").await;
            let downs =
                || stage.receiver.samples().iter().filter(|sample| sample.label("__name__") == Some("up")).count();
            eventually(patience(), "it goes on", || downs() >= 2).await;
        }
    });
}

#[test]
fn failures_are_written_down_where_the_configuration_says() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([Step::get("/metrics").status(500).any_times()]).await;
        let address = server.address().to_string();
        let stage = Stage::start(Folder::new(), &address, "  scrape_failure_log_file: failures.log\n").await;
        let lines = |file: &str| -> Vec<Value> {
            let text = std::fs::read_to_string(stage.folder.path(file)).unwrap_or_default();
            // The last line may not be complete yet.
            let end = text.rfind('\n').map_or(0, |end| end + 1);
            text[..end].lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
        };
        eventually(patience(), "two failures are written down", || lines("failures.log").len() >= 2).await;
        let line = &lines("failures.log")[0];
        assert_eq!((&line["job_name"], &line["target"]), (&"j".into(), &format!("http://{address}/metrics").into()));
        assert!(line["msg"].as_str().is_some_and(|words| words.contains("500")), "{line:#}");

        let config = Stage::config(&stage.receiver, &address, "  scrape_failure_log_file: other.log\n");
        stage.folder.replace("prometheus.yml", config);
        stage.rosterd.signal(rustix::process::Signal::HUP);
        eventually(patience(), "the other file is written to", || !lines("other.log").is_empty()).await;
    });
}
