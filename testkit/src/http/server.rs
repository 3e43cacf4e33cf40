//! The server as a test sees it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Context;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::script::{Received, Script, Step};
use super::serve::{Access, Shared, serve};
use super::tls::Certificates;
use crate::{eventually, patience};

/// An HTTP server on the loopback interface that expects the calls of a script and answers them.
///
/// Steps are expected in their order, or [in any](Step::any_order), each once; a [route](Step::any_times) at any time. The test fails
/// on a missing call and on any other call, which is answered with 501, when [`finish`](Self::finish) is called or the server is
/// dropped.
///
/// ```
/// use rosterd_testkit::{ScriptedServer, Step, get, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let server = ScriptedServer::start([
///         Step::get("/targets").json("[]").reply_header("etag", "\"1\""),
///         Step::get("/targets").status(503).reply_header("retry-after", "7"),
///     ])
///     .await;
///     assert_eq!(get(&server.url("/targets")).await.unwrap(), (200, "[]".to_owned()));
///     assert_eq!(get(&server.url("/targets?again")).await.unwrap().0, 503);
///     assert_eq!(server.requests()[1].path, "/targets?again");
///     server.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct ScriptedServer {
    /// Unless it is behind a unix socket.
    address: Option<SocketAddr>,
    shared: Arc<Shared>,
    certificates: Option<Certificates>,
    tasks: JoinSet<Infallible>,
    finished: bool,
}

impl ScriptedServer {
    /// Listens on a free port.
    pub async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), steps).await
    }

    /// Listens on an address.
    ///
    /// # Panics
    ///
    /// When the address is taken.
    pub async fn start_at(address: SocketAddr, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::begin(address, None, steps).await
    }

    /// The same over TLS, with a certificate that nobody knows, and for those who have [one of their own](Self::tls_config).
    pub async fn with_tls(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::begin((Ipv4Addr::LOCALHOST, 0).into(), Some(Certificates::with_clients()), steps).await
    }

    async fn begin(
        address: SocketAddr,
        certificates: Option<Certificates>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut server = Self::new(Some(address), certificates, steps);
        let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
        let access = server.certificates.as_ref().map_or(Access::Plain, |it| Access::Tls(it.acceptor()));
        server.tasks.spawn(serve(accept, access, Arc::clone(&server.shared)));
        server
    }

    /// Listens on a unix socket that it makes at this path.
    pub async fn start_behind(socket: &Path, steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made there");
        let mut server = Self::new(None, None, steps);
        let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
        server.tasks.spawn(serve(accept, Access::Plain, Arc::clone(&server.shared)));
        server
    }

    fn new(
        address: Option<SocketAddr>,
        certificates: Option<Certificates>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        let server = Self { address, shared: Arc::default(), certificates, tasks: JoinSet::new(), finished: false };
        for step in steps {
            server.then(step);
        }
        server
    }

    /// Adds a step after all others, or a route before all others.
    pub fn then(&self, step: Step) {
        self.script().add(step);
        self.shared.changed.notify_waiters();
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// When it is [behind a socket](Self::start_behind).
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it listens on a port")
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        match self.certificates {
            None => format!("http://{}{path}", self.address()),
            Some(_) => format!("https://localhost:{}{path}", self.address().port()),
        }
    }

    /// A `tls_config` that trusts the server and that it trusts.
    ///
    /// # Panics
    ///
    /// When the server does not speak TLS.
    pub fn tls_config(&self) -> String {
        self.certificates.as_ref().expect("a server with TLS").tls_config()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.script().received.clone()
    }

    /// How many requests have come in.
    pub fn request_count(&self) -> usize {
        self.script().received.len()
    }

    /// Waits until so many requests have come in.
    pub async fn wait_requests(&self, count: usize) {
        let what = format!("{count} requests came to the scripted server");
        eventually(patience(), &what, || self.script().received.len() >= count).await;
    }

    /// Waits until all steps have been called for.
    pub async fn wait_steps(&self) {
        eventually(patience(), "all steps of the scripted server were called for", || self.script().left() == 0).await;
    }

    /// Stops the server.
    ///
    /// # Panics
    ///
    /// When a call was missing or unexpected.
    pub async fn finish(mut self) {
        self.finished = true;
        self.tasks.shutdown().await;
        self.verify();
    }

    fn verify(&self) {
        let complaints = self.script().complaints();
        assert!(complaints.is_empty(), "the scripted server complains:\n  {}", complaints.join("\n  "));
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if !self.finished && !std::thread::panicking() {
            self.verify();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{get, leak_checked_live};

    fn complaint(server: ScriptedServer) -> String {
        let panic = catch_unwind(AssertUnwindSafe(|| drop(server))).expect_err("the server must complain");
        panic.downcast_ref::<String>().cloned().expect("complaints are text")
    }

    #[test]
    fn a_missing_call_fails_the_test() {
        leak_checked_live(|| async {
            let server = ScriptedServer::start([Step::post("/never")]).await;
            assert!(complaint(server).contains("missing call POST /never"));
        });
    }

    #[test]
    fn an_unexpected_call_fails_the_test_and_says_why() {
        leak_checked_live(|| async {
            let server = ScriptedServer::start([Step::get("/a").with_header("accept", "text/csv")]).await;
            assert_eq!(get(&server.url("/b")).await.unwrap().0, 501);
            assert_eq!(get(&server.url("/a")).await.unwrap().0, 501);
            let complaint = complaint(server);
            let wanted =
                ["unexpected call GET /b; expected next is GET /a: it is another call", "its header accept is None"];
            assert!(wanted.iter().all(|part| complaint.contains(part)), "{complaint}");
        });
    }

    #[test]
    fn steps_come_in_order_and_routes_between_them() {
        leak_checked_live(|| async {
            let steps =
                [Step::get("/a").body("1"), Step::get("/a").body("2"), Step::get("/live").any_times().status(204)];
            let server = ScriptedServer::start(steps).await;
            for (path, answer) in [("/live", (204, "")), ("/a", (200, "1")), ("/live", (204, "")), ("/a", (200, "2"))] {
                assert_eq!(get(&server.url(path)).await.unwrap(), (answer.0, answer.1.to_owned()));
            }
            server.wait_steps().await;
            server.wait_requests(4).await;
            server.finish().await;
        });
    }

    #[test]
    fn steps_of_any_order_are_missed_and_come_once() {
        leak_checked_live(|| async {
            let steps = [Step::get("/a").any_order(), Step::get("/b").any_order(), Step::get("/c").any_order()];
            let server = ScriptedServer::start(steps).await;
            for (path, status) in [("/b", 200), ("/a", 200), ("/b", 501)] {
                assert_eq!(get(&server.url(path)).await.unwrap().0, status, "{path}");
            }
            let complaint = complaint(server);
            assert!(
                complaint.contains("missing call GET /c") && !complaint.contains("missing call GET /a"),
                "{complaint}"
            );
        });
    }

    #[test]
    fn who_knows_the_index_waits_for_another() {
        leak_checked_live(|| async {
            let server = ScriptedServer::start([Step::get("/a").index("x-index", 3).body("3")]).await;
            for path in ["/a", "/a?index=2", "/a?index=3&wait=5ms"] {
                assert_eq!(get(&server.url(path)).await.unwrap().1, "3", "{path}");
            }
            let url = server.url("/a?index=3&wait=600000ms");
            let change = async {
                server.wait_requests(4).await;
                server.then(Step::get("/b").any_times());
                server.then(Step::get("/a").index("x-index", 4).body("4"));
            };
            let (answer, ()) = tokio::join!(get(&url), change);
            assert_eq!(answer.unwrap().1, "4");
            server.finish().await;
        });
    }

    #[test]
    fn bodies_can_come_in_parts() {
        leak_checked_live(|| async {
            let server = ScriptedServer::start([Step::get("/a").body("in four parts").in_parts(4)]).await;
            assert_eq!(get(&server.url("/a")).await.unwrap().1, "in four parts");
            server.finish().await;
        });
    }

    #[test]
    fn parts_can_be_kept_back() {
        leak_checked_live(|| async {
            let pause = std::time::Duration::from_millis(20);
            let server = ScriptedServer::start([Step::get("/a").body("in four parts").in_parts(4).pause(pause)]).await;
            let begun = tokio::time::Instant::now();
            assert_eq!(get(&server.url("/a")).await.unwrap().1, "in four parts");
            assert!(begun.elapsed() >= 4 * pause, "{:?}", begun.elapsed());
            server.finish().await;
        });
    }

    #[test]
    fn answers_can_break_off() {
        leak_checked_live(|| async {
            let steps = [Step::get("/cut").body("whole body").truncate(5), Step::get("/closed").close()];
            let server = ScriptedServer::start(steps).await;
            assert!(get(&server.url("/cut")).await.is_err());
            assert!(get(&server.url("/closed")).await.is_err());
            server.finish().await;
        });
    }
}
