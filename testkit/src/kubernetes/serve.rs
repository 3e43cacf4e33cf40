//! Connections, and bodies that go on for as long as a watch does.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{Answer, Watch, answer, bookmark, event, events, put_event, status};
use super::history::Object;
use super::{Fault, Shared};

/// How many bytes a slow answer is cut into pieces of at the most.
const PIECE: usize = 16 << 10;
/// Objects of a list are put together to pieces of about so many bytes.
const BATCH: usize = 64 << 10;
/// A day: longer than any watch.
const LONG: Duration = Duration::from_secs(86_400);

/// Accepts connections until it is dropped, which closes them all.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            shared.state().connections += 1;
            connections.spawn(connection(stream, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A connection, with the answers that it is sending.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let (begin, mut begun) = mpsc::channel::<Sending>(64);
    let service = service_fn(|request| respond(request, &shared, &begin));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            // Clients close connections as they like, and faults do: neither is an error here.
            _ = &mut serving => return,
            Some(send) = begun.recv() => drop(sending.spawn(send.run())),
            Some(_) = sending.join_next() => {}
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    begin: &mpsc::Sender<Sending>,
) -> Result<Response<Sent>, Infallible> {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let answer = answer(&mut shared.state(), path, query, token);
    let (pieces, sent) = mpsc::channel(1);
    let mut response = Response::new(Sent(sent));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Answer::Whole { status, wait, .. } = &answer {
        *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
        }
    }
    // Fails only when the connection has ended.
    begin.send(Sending { answer, shared: Arc::clone(shared), pieces }).await.ok();
    Ok(response)
}

/// The body of an answer that is being sent.
struct Sent(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// What sends it.
struct Sending {
    answer: Answer,
    shared: Arc<Shared>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
}

/// Nobody reads any more, or the answer has ended by a fault.
struct Ended;

/// Sends pieces with a fault.
struct Faulty<'p> {
    to: &'p mpsc::Sender<io::Result<Bytes>>,
    fault: Option<Fault>,
    sent: usize,
    shared: &'p Shared,
}

impl Faulty<'_> {
    async fn send(&mut self, piece: Bytes) -> Result<(), Ended> {
        match &self.fault {
            Some(Fault::Silence) => {
                self.to.closed().await;
                Err(Ended)
            }
            Some(Fault::Cut(bytes)) if self.sent + piece.len() >= *bytes => {
                let left = piece.slice(..bytes - self.sent);
                self.pass(left).await?;
                // Time for it to be written: an error that follows at once would be all that is.
                sleep(Duration::from_millis(20)).await;
                self.to.send(Err(io::ErrorKind::ConnectionAborted.into())).await.ok();
                Err(Ended)
            }
            Some(Fault::Short(bytes)) if self.sent + piece.len() >= *bytes => {
                let left = piece.slice(..bytes - self.sent);
                self.pass(left).await?;
                Err(Ended)
            }
            Some(Fault::Stall(bytes)) if self.sent + piece.len() >= *bytes => {
                let mut rest = piece;
                let some = rest.split_to(bytes - self.sent);
                self.pass(some).await?;
                self.fault = None;
                let mut changes = self.shared.changes.subscribe();
                let healed = changes.wait_for(|_| self.shared.state().faults.is_empty());
                tokio::select! {
                    // The server is there for as long as it sends.
                    _ = healed => {}
                    () = self.to.closed() => return Err(Ended),
                }
                self.pass(rest).await
            }
            Some(Fault::Slow(bytes, pause)) => {
                let (bytes, pause) = ((*bytes).clamp(1, PIECE), *pause);
                let mut rest = piece;
                while !rest.is_empty() {
                    let some = rest.split_to(bytes.min(rest.len()));
                    self.pass(some).await?;
                    sleep(pause).await;
                }
                Ok(())
            }
            _ => self.pass(piece).await,
        }
    }

    async fn pass(&mut self, piece: Bytes) -> Result<(), Ended> {
        self.sent += piece.len();
        self.shared.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.to.send(Ok(piece)).await.map_err(|_| Ended)
    }
}

impl Sending {
    async fn run(self) {
        let Self { answer, shared, pieces } = self;
        match answer {
            Answer::Whole { body, fault, .. } => {
                let mut pieces = Faulty { to: &pieces, fault, sent: 0, shared: &shared };
                // It has ended either way.
                pieces.send(body).await.ok();
            }
            Answer::List { head, objects, fault } => {
                let mut pieces = Faulty { to: &pieces, fault, sent: 0, shared: &shared };
                drop(list(head, &objects, &mut pieces).await);
            }
            Answer::Watch { watch, fault } => {
                let error = match &fault {
                    Some(Fault::ErrorEvent(code)) => Some(*code),
                    _ => None,
                };
                let mut pieces = Faulty { to: &pieces, fault, sent: 0, shared: &shared };
                shared.state().open_watches += 1;
                let _open = Open(&shared);
                match error {
                    Some(code) => {
                        let reason = if code == 410 { "Expired" } else { "InternalError" };
                        let line = event("ERROR", status(code, reason, "told to fail").to_string().as_bytes());
                        pieces.send(line).await.ok();
                    }
                    None => drop(follow(watch, &shared, &mut pieces).await),
                }
            }
        }
    }
}

/// Sends a list.
async fn list(head: String, objects: &[Arc<Object>], pieces: &mut Faulty<'_>) -> Result<(), Ended> {
    let mut batch = head.into_bytes();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            batch.push(b',');
        }
        batch.extend_from_slice(&object.json);
        if batch.len() > BATCH {
            pieces.send(std::mem::take(&mut batch).into()).await?;
        }
    }
    batch.extend_from_slice(b"]}\n");
    pieces.send(batch.into()).await
}

/// Sends the objects that a watch begins with.
async fn begin(
    resource: &str,
    objects: &[Arc<Object>],
    version: Option<u64>,
    pieces: &mut Faulty<'_>,
) -> Result<(), Ended> {
    let mut batch = Vec::new();
    for object in objects {
        put_event(&mut batch, "ADDED", &object.json);
        if batch.len() > BATCH {
            pieces.send(std::mem::take(&mut batch).into()).await?;
        }
    }
    if let Some(version) = version {
        batch.extend_from_slice(&bookmark(resource, version, true));
    }
    if batch.is_empty() { Ok(()) } else { pieces.send(batch.into()).await }
}

/// Counts an open watch.
struct Open<'s>(&'s Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state().open_watches -= 1;
    }
}

/// Sends what a watch begins with, and then what happens.
async fn follow(watch: Watch, shared: &Shared, pieces: &mut Faulty<'_>) -> Result<(), Ended> {
    let Watch { meant, first, first_version, mut position, bookmarks, seconds, cuts } = watch;
    let mut changes = shared.changes.subscribe();
    let end = Instant::now() + seconds.map_or(LONG, Duration::from_secs);
    if matches!(pieces.fault, Some(Fault::Silence)) {
        pieces.to.closed().await;
        return Err(Ended);
    }
    begin(&meant.resource, &first, first_version, pieces).await?;
    drop(first);
    loop {
        changes.borrow_and_update();
        let (news, version, every) = {
            let state = shared.state();
            if state.cuts > cuts {
                return Ok(());
            }
            let (now, happened) = state.history.since(position);
            let news: Vec<_> = happened.iter().filter_map(|happened| events(&meant, happened, bookmarks)).collect();
            position = now;
            (news, state.history.version, state.settings.bookmarks.filter(|_| bookmarks))
        };
        for line in news {
            pieces.send(line).await?;
        }
        tokio::select! {
            () = pieces.to.closed() => return Err(Ended),
            () = sleep_until(end) => return Ok(()),
            changed = timeout(every.unwrap_or(LONG), changes.changed()) => match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => pieces.send(bookmark(&meant.resource, version, false)).await?,
            },
        }
    }
}
