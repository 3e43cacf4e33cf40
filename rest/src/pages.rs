//! Lists that come in pages, each of which has a link to the next one.

use std::collections::HashSet;
use std::time::Duration;

use rosterd_client::{ClientError, Url, shown};
use rosterd_discovery::Error;

use crate::{Fault, Question, RestError};

/// So many pages of a list are read. Who has more does not know where the list ends.
const MOST: usize = 10_000;
/// So long may all of them take.
const LONGEST: Duration = Duration::from_secs(600);

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The link to the next one, if there is one.
    pub next: Option<String>,
}

impl Question {
    /// Reads all pages of a list. What counts of a link are its parameters: a server behind a proxy often does not know its own
    /// name, and what is secret in the question goes to nobody else.
    pub async fn pages<T: Send + 'static>(
        self,
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        self.pages_within(MOST, LONGEST, decode).await
    }

    async fn pages_within<T: Send + 'static>(
        self,
        most: usize,
        longest: Duration,
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let url = shown(self.url());
        let read = tokio::time::timeout(longest, self.pages_up_to(most, decode)).await;
        read.unwrap_or_else(|_| Err(ClientError::Timeout { url, after: longest }.into()))
    }

    async fn pages_up_to<T: Send + 'static>(
        self,
        most: usize,
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut question) = (Vec::new(), self);
        let query = |url: &Url| url.query().map(str::to_owned);
        let mut seen = HashSet::from([query(question.url_mut())]);
        loop {
            let Page { items, next } = question.clone().read(decode.clone()).await?;
            all.extend(items);
            let Some(next) = next else { return Ok(all) };
            let url = question.url_mut();
            let fault = match url.join(&next) {
                Ok(_) if seen.len() >= most => Fault::new(format!("there are more than {most} pages")),
                Ok(link) if seen.insert(query(&link)) => {
                    url.set_query(link.query());
                    continue;
                }
                Ok(_) => Fault::new("the link to the next page leads back"),
                Err(_) => Fault::new("the link to the next page is no URL"),
            };
            return Err(RestError::Malformed { url: shown(url), source: fault }.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

    use super::*;
    use crate::Api;

    crate::reply! {
        struct List {
            items: Vec<u32> = "items",
            next: Option<String> = "next",
        }
    }

    fn decode(body: &[u8]) -> Result<Page<u32>, Fault> {
        let List { items, next } = crate::json(body)?;
        Ok(Page { items, next })
    }

    #[test]
    fn pages_are_read_until_none_follows_from_the_server_that_was_asked() {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/prefix/list?limit=2")
                    .json(r#"{"items": [1, 2], "next": "https://internal/list?limit=2&marker=b%20c"}"#),
                Step::get("/prefix/list?limit=2&marker=b%20c")
                    .json(r#"{"items": [3], "next": "?marker=d"}"#)
                    .in_parts(7),
                Step::get("/prefix/list?marker=d").json(r#"{"items": []}"#),
            ])
            .await;
            let list = Api::plain(&server.url("/prefix")).get(["list"]).parameter("limit", "2").pages(decode).await;
            assert_eq!(list.expect("a list"), [1, 2, 3]);
            server.finish().await;
        });
    }

    /// A server whose list never ends.
    async fn endless() -> ScriptedServer {
        let page = |number: u32| {
            let step = Step::get(&format!("/list?page={number}")).any_times();
            step.json(format!(r#"{{"items": [{number}], "next": "?page={}"}}"#, number + 1))
        };
        ScriptedServer::start((0..30).map(page)).await
    }

    #[test]
    fn a_list_that_does_not_end_is_given_up() {
        leak_checked_live(async || {
            let server = endless().await;
            let ask = || Api::plain(&server.url("")).get(["list"]).parameter("page", "0");
            let error = ask().pages_within(20, LONGEST, decode).await.expect_err("no list");
            let url = server.url("/list?page=19");
            let told = format!("the reply of {url} is not what its API promises: there are more than 20 pages");
            assert_eq!((error.code(), error.to_string()), ("sd_rest_malformed", told));
            server.finish().await;
            let slow = Step::get("/list?page=0").any_times().json(r#"{"items": [], "next": "?page=1"}"#);
            let server = ScriptedServer::start([slow, Step::get("/list?page=1").any_times().stall()]).await;
            let ask = Api::plain(&server.url("")).get(["list"]).parameter("page", "0");
            let error = ask.pages_within(20, Duration::from_millis(300), decode).await.expect_err("no list");
            let told = format!("no complete reply of {} within 300ms", server.url("/list?page=0"));
            assert_eq!((error.code(), error.to_string()), ("http_timeout", told));
            drop(server);
        });
    }

    #[test]
    fn links_that_lead_back_and_pages_that_fail_are_told() {
        leak_checked_live(async || {
            for (second, want) in [
                (r#"{"items": [2], "next": "?page=2"}"#, "the link to the next page leads back"),
                (r#"{"items": [2], "next": "http://["}"#, "the link to the next page is no URL"),
                (r#"{"items": 2}"#, "line 1, column 11: expected a list, found a number"),
            ] {
                let server = ScriptedServer::start([
                    Step::get("/list").json(r#"{"items": [1], "next": "?page=2"}"#),
                    Step::get("/list?page=2").json(second),
                ])
                .await;
                let error = Api::plain(&server.url("")).get(["list"]).pages(decode).await.expect_err("no list");
                let told = format!("the reply of {} is not what its API promises: {want}", server.url("/list?page=2"));
                assert_eq!((error.code(), error.to_string()), ("sd_rest_malformed", told));
                server.finish().await;
            }
        });
    }
}
