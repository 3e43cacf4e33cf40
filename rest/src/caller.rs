//! Sends questions: not faster than the server wants, with what proves who asks, and counted.

use std::sync::Arc;

use http::StatusCode;
use rosterd_client::{Client, ClientError, Request, Response};
use rosterd_credentials::{Authorize, NoToken};
use rosterd_discovery::Error;

use crate::calls::Counter;
use crate::refused::refusal;
use crate::{Reset, Throttle};

/// A client, and what belongs to each of its questions.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) authorize: Option<Arc<dyn Authorize>>,
    pub(crate) throttle: Option<Arc<Throttle>>,
    pub(crate) reset: Reset,
    pub(crate) calls: Option<Counter>,
}

impl Caller {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, authorize: None, throttle: None, reset: Reset::Again, calls: None }
    }

    /// Sends a request; once more if its proof was refused, and there is another one.
    pub(crate) async fn send(&self, operation: &str, request: Request) -> Result<Response, Error> {
        let Some(authorize) = &self.authorize else { return self.send_as_it_is(operation, request).await };
        let mut first = request.clone();
        authorize.authorize(&mut first).await?;
        let response = self.send_as_it_is(operation, first.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !authorize.refused(&first).await {
            return Ok(response);
        }
        drop(response);
        let mut second = request;
        authorize.authorize(&mut second).await?;
        let response = self.send_as_it_is(operation, second).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => {
                let secrets = response.secrets().clone();
                Err(NoToken::Refused { source: refusal(response, &secrets, &|_, _| ()).await.into() }.into())
            }
            _ => Ok(response),
        }
    }

    async fn send_as_it_is(&self, operation: &str, request: Request) -> Result<Response, Error> {
        if let Some(throttle) = &self.throttle {
            let url = request.url.clone();
            throttle.turn(|| url.without_zone().origin().ascii_serialization()).await?;
        }
        let sent: Result<Response, ClientError> = self.client.send(request).await;
        if let Some(calls) = &self.calls {
            calls.count(operation, &sent);
        }
        let response = sent?;
        if let Some(throttle) = &self.throttle {
            throttle.learn(response.status(), response.headers(), self.reset);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use http::{HeaderName, HeaderValue};
    use prometheus::{IntCounterVec, Opts};
    use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

    use super::*;
    use crate::{Api, Throttles};

    /// Proves by a number that grows with each refusal, and signs the method and the URL of each request.
    #[derive(Debug, Default)]
    struct Number(AtomicU32);

    #[async_trait]
    impl Authorize for Number {
        async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
            let proof = format!("{} {} {}", self.0.load(Ordering::Relaxed), request.method, request.url.path());
            request.headers.insert(HeaderName::from_static("x-proof"), HeaderValue::from_str(&proof).expect("a value"));
            Ok(())
        }

        async fn refused(&self, _: &Request) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    fn counter() -> Counter {
        let counter = IntCounterVec::new(Opts::new("calls", "calls"), &["operation", "result"]);
        Counter::of(counter.expect("a counter"), &["list"])
    }

    async fn ask(api: &Api, path: &str) -> Result<String, String> {
        let read = api.get([path]).named("list").read(|body| Ok(String::from_utf8_lossy(body).into_owned())).await;
        read.map_err(|error| {
            let report = error.report();
            let words = report.causes.iter().find(|cause| cause.starts_with("it says: "));
            words.map_or_else(|| error.code().to_owned(), |words| format!("{}: {words}", error.code()))
        })
    }

    #[test]
    fn each_request_is_proved_anew_and_once_more_if_the_proof_is_refused() {
        leak_checked_live(async || {
            let step = |path: &str, proof: &str| Step::get(path).with_header("x-proof", proof);
            let server = ScriptedServer::start([
                step("/a", "0 GET /a").body("one"),
                step("/b", "0 GET /b").status(401),
                step("/b", "1 GET /b").body("two"),
                step("/c", "1 GET /c").status(401),
                step("/c", "2 GET /c").status(401).json(r#"{"message": "unknown key"}"#),
                step("/d", "2 GET /d").status(403).body("no"),
            ])
            .await;
            let mut api = Api::plain(&server.url("")).authorized(Arc::new(Number::default()));
            let counter = counter();
            api.count_by(counter.clone());
            let answers = [ask(&api, "a").await, ask(&api, "b").await, ask(&api, "c").await, ask(&api, "d").await];
            let told = |text: &str| text.to_owned();
            let refused = r#"sd_rest_token_refused: it says: {"message": "unknown key"}"#;
            let want =
                [Ok(told("one")), Ok(told("two")), Err(told(refused)), Err(told("http_unauthorized: it says: no"))];
            assert_eq!(answers, want);
            let counted = ["ok", "unauthorized", "forbidden", "failed"].map(|result| counter.counted("list", result));
            assert_eq!(counted, [2, 3, 1, 0]);
            server.finish().await;
        });
    }

    #[test]
    fn who_wants_to_be_asked_less_is_not_asked_by_anybody_of_the_same_user() {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/a").status(429).reply_header("retry-after", "300"),
                Step::get("/b").body("other"),
            ])
            .await;
            let throttles = Throttles::default();
            let api = |user: &str| {
                let throttle = throttles.get(|id| id.text("user", user));
                Api::plain(&server.url("")).throttled(throttle)
            };
            assert_eq!(ask(&api("me"), "a").await, Err("http_throttled".to_owned()));
            let refused = api("me").get(["b"]).read(|_| Ok(())).await.expect_err("not asked");
            assert_eq!(refused.code(), "sd_rest_slowed_down");
            let (told, who) = (
                refused.to_string(),
                format!("{} wants to be asked less: nothing is asked for another ", server.url("")),
            );
            assert!(told.starts_with(&who), "{told}");
            assert_eq!(ask(&api("other"), "b").await, Ok("other".to_owned()));
            server.finish().await;
        });
    }
}
