//! Questions for lists that come in pages: with links, or with a number, an offset or a token that goes to some place of the question.

use http::HeaderMap;
use rosterd_client::{Url, shown};
use rosterd_discovery::Error;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::pages::{Bounds, Turn, read_within};
use crate::{Before, Fault, Page, Question};

/// Where the next page is named in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagePlace {
    /// In this parameter of the URL.
    Parameter(&'static str),
    /// In this parameter of the URL, which a server may not know: if it does not, a list that begins anew has ended.
    Unpromised(&'static str),
    /// In this member of the body, which is a map in JSON.
    Json(&'static str),
    /// In this field of the body, which is a form.
    Form(&'static str),
    /// In a link. What counts of it are its parameters: a server behind a proxy often does not know its own name, and what is secret in
    /// the question goes to nobody else.
    Link,
}

/// A question, and how it is asked for another page.
#[derive(Debug, Clone)]
struct Asked {
    question: Question,
    place: PagePlace,
}

impl Question {
    /// Reads all pages of a list, each of which has a link to the next one.
    pub async fn pages<T: Send + 'static>(
        self,
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        self.paged(PagePlace::Link, move |_, body, _| decode(body)).await
    }

    /// Reads all pages of a list. [What comes next](Page::new) of a page goes to `place`. `decode` is told what was read before, so that it
    /// can count where the server does not.
    pub async fn paged<T: Send + 'static>(
        self,
        place: PagePlace,
        decode: impl Fn(&HeaderMap, &[u8], Before) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let read = move |asked: Asked, before: Before| {
            let decode = decode.clone();
            let read = move |headers: &HeaderMap, body: &[u8]| Ok((decode(headers, body, before)?, body.len()));
            asked.question.read_whole(read)
        };
        read_within(Bounds::USUAL, Asked { question: self, place }, read).await
    }
}

impl Turn for Asked {
    fn turn(&mut self, next: &str) -> Result<(), Fault> {
        let question = &mut self.question;
        match self.place {
            PagePlace::Link => {
                let url = question.url_mut();
                let link = url.join(next).map_err(|_| Fault::new("the link to the next page is no URL"))?;
                url.set_query(link.query());
            }
            PagePlace::Parameter(name) | PagePlace::Unpromised(name) => set_parameter(question.url_mut(), name, next),
            PagePlace::Json(name) => {
                let mut body: Value = serde_json::from_slice(question.body())?;
                let map = body.as_object_mut().ok_or_else(|| Fault::new("the body of the question is no map"))?;
                map.insert(name.to_owned(), next.into());
                question.set_body(body.to_string());
            }
            PagePlace::Form(name) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(url::form_urlencoded::parse(question.body()).filter(|(key, _)| key != name));
                let form = form.append_pair(name, next).finish();
                question.set_body(form);
            }
        }
        Ok(())
    }

    fn mark(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(self.question.url().query().unwrap_or_default().as_bytes());
        hash.update(b"\n");
        hash.update(self.question.body());
        hash.digest128()
    }

    fn shown(&self) -> String {
        shown(self.question.url())
    }

    fn may_begin_anew(&self) -> bool {
        matches!(self.place, PagePlace::Unpromised(_))
    }
}

fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let others: Vec<_> = url
        .query_pairs()
        .filter(|(key, _)| key != name)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
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
        Ok(Page::new(items, next))
    }

    #[test]
    fn the_next_page_is_named_where_the_api_wants_it() {
        leak_checked_live(async || {
            let page =
                |step: Step, items: &str, next: &str| step.json(format!(r#"{{"items": [{items}], "next": "{next}"}}"#));
            let form = "application/x-www-form-urlencoded";
            let server = ScriptedServer::start([
                page(Step::get("/list?page=1&per_page=2"), "1,2", "b c"),
                page(Step::get("/list?per_page=2&page=b+c"), "3", ""),
                page(Step::post("/json").with_body(r#"{"a":1}"#), "4", "t"),
                page(Step::post("/json").with_body(r#"{"Token":"t","a":1}"#), "5", "u"),
                page(Step::post("/json").with_body(r#"{"Token":"u","a":1}"#), "6", ""),
                page(Step::post("/form").with_body("Action=List"), "7", "a+b"),
                page(Step::post("/form").with_body("Action=List&Marker=a%2Bb"), "8", ""),
            ])
            .await;
            let decode = |_: &HeaderMap, body: &[u8], _: Before| decode(body);
            let api = Api::plain(&server.url(""));
            let question = api.get(["list"]).parameter("page", "1").parameter("per_page", "2");
            let list = question.paged(PagePlace::Parameter("page"), decode).await;
            assert_eq!(list.expect("a list"), [1, 2, 3]);
            let list = api.post(["json"], br#"{"a":1}"#.to_vec()).paged(PagePlace::Json("Token"), decode).await;
            assert_eq!(list.expect("a list"), [4, 5, 6]);
            let list =
                api.post_as(["form"], form, b"Action=List".to_vec()).paged(PagePlace::Form("Marker"), decode).await;
            assert_eq!(list.expect("a list"), [7, 8]);
            server.finish().await;
        });
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

    #[test]
    fn who_reads_can_count_where_the_server_does_not() {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/list").json(r#"{"items": [1, 2]}"#),
                Step::get("/list?offset=2").json(r#"{"items": [3, 4]}"#),
                Step::get("/list?offset=4").json(r#"{"items": [5]}"#),
            ])
            .await;
            let full = |_: &HeaderMap, body: &[u8], before: Before| {
                let List { items, .. } = crate::json(body)?;
                let next = (items.len() == 2).then(|| (before.items + items.len()).to_string());
                assert_eq!(before.pages * 2, before.items);
                Ok(Page::new(items, next))
            };
            let list = Api::plain(&server.url("")).get(["list"]).paged(PagePlace::Parameter("offset"), full).await;
            assert_eq!(list.expect("a list"), [1, 2, 3, 4, 5]);
            server.finish().await;
        });
    }

    #[test]
    fn a_server_that_does_not_turn_pages_is_told_or_has_said_all() {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/list?page=1").any_times().json(r#"{"items": [1, 2]}"#),
                Step::get("/list?page=2").any_times().json(r#"{"items": [1, 2]}"#),
            ])
            .await;
            let counted = |_: &HeaderMap, body: &[u8], before: Before| {
                let List { items, .. } = crate::json(body)?;
                let first = items.first().map(u32::to_string);
                Ok(Page::new(items, Some((before.pages + 2).to_string())).beginning_with(first.as_deref()))
            };
            let ask = |place| Api::plain(&server.url("")).get(["list"]).parameter("page", "1").paged(place, counted);
            let error = ask(PagePlace::Parameter("page")).await.expect_err("no list");
            let told = format!("the reply of {} is not what", server.url("/list"));
            assert!(error.code() == "sd_rest_malformed" && error.to_string().starts_with(&told), "{error}");
            assert_eq!(ask(PagePlace::Unpromised("page")).await.expect("a list"), [1, 2]);
            server.finish().await;
        });
    }

    #[test]
    fn places_that_lead_back_and_pages_that_fail_are_told() {
        leak_checked_live(async || {
            for (second, want) in [
                (r#"{"items": [2], "next": "?page=2"}"#, "what names the next page leads back"),
                (r#"{"items": [2], "next": "http://["}"#, "the link to the next page is no URL"),
                (r#"{"items": 2}"#, "line 1, column 11: expected a list, found a number"),
            ] {
                let server = ScriptedServer::start([
                    Step::get("/list").json(r#"{"items": [1], "next": "?page=2"}"#),
                    Step::get("/list?page=2").json(second),
                ])
                .await;
                let error = Api::plain(&server.url("")).get(["list"]).pages(decode).await.expect_err("no list");
                let told = format!("the reply of {} is not what its API promises: {want}", server.url("/list"));
                assert_eq!((error.code(), error.to_string()), ("sd_rest_malformed", told));
                server.finish().await;
            }
        });
    }

    #[test]
    fn a_server_that_stops_in_the_middle_costs_no_more_than_its_time() {
        leak_checked_live(async || {
            let slow = Step::get("/list?page=0").json(r#"{"items": [], "next": "?page=1"}"#);
            let server = ScriptedServer::start([slow, Step::get("/list?page=1").stall()]).await;
            let asked = Asked {
                question: Api::plain(&server.url("")).get(["list"]).parameter("page", "0"),
                place: PagePlace::Link,
            };
            let read = |asked: Asked, _: Before| asked.question.read(|body| Ok((decode(body)?, body.len())));
            let bounds = Bounds { time: std::time::Duration::from_millis(300), ..Bounds::USUAL };
            let error = read_within(bounds, asked, read).await.expect_err("no list");
            let told = format!("no complete reply of {} within 300ms", server.url("/list"));
            assert_eq!((error.code(), error.to_string()), ("http_timeout", told));
            drop(server);
        });
    }
}
