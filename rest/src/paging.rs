//! Lists that come in pages whose answers say what to ask for next: a number, an offset, a token.

use std::collections::HashSet;

use http::HeaderMap;
use rosterd_client::shown;
use rosterd_discovery::Error;
use serde_json::Value;

use crate::{Fault, Page, Question, RestError};

/// So many pages of a list are read. Who has more does not know where the list ends.
const MOST: usize = 10_000;

/// Where the next page is named in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this parameter of the URL.
    Parameter(&'static str),
    /// In this member of the body, which is a map in JSON.
    Json(&'static str),
    /// In this field of the body, which is a form.
    Form(&'static str),
}

/// What was read of a list before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// How many pages: the number of this one, counted from 0.
    pub pages: usize,
    /// How many items.
    pub items: usize,
}

impl Question {
    /// Reads all pages of a list. [`Page::next`] is what goes to `place` for the next one: it ends where there is none, or an empty
    /// one. `decode` is told what was read before, so that it can count where the server does not.
    pub async fn paged<T: Send + 'static>(
        self,
        place: Place,
        decode: impl Fn(&HeaderMap, &[u8], Before) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut question, mut seen) = (Vec::new(), self, HashSet::new());
        loop {
            let before = Before { pages: seen.len(), items: all.len() };
            let decode = decode.clone();
            let read = move |headers: &HeaderMap, body: &[u8]| decode(headers, body, before);
            let Page { items, next } = question.clone().read_whole(read).await?;
            all.extend(items);
            let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(all) };
            let fault = match question.turn_to(place, &next) {
                Err(fault) => fault,
                Ok(()) if seen.len() >= MOST => Fault::new(format!("there are more than {MOST} pages")),
                Ok(()) if !seen.insert(next) => Fault::new("what names the next page leads back"),
                Ok(()) => continue,
            };
            return Err(RestError::Malformed { url: shown(question.url()), source: fault }.into());
        }
    }

    fn turn_to(&mut self, place: Place, next: &str) -> Result<(), Fault> {
        match place {
            Place::Parameter(name) => {
                let url = self.url_mut();
                let others: Vec<_> = url
                    .query_pairs()
                    .filter(|(key, _)| key != name)
                    .map(|(key, value)| (key.into_owned(), value.into_owned()))
                    .collect();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, next);
            }
            Place::Json(name) => {
                let mut body: Value = serde_json::from_slice(self.body())?;
                let map = body.as_object_mut().ok_or_else(|| Fault::new("the body of the question is no map"))?;
                map.insert(name.to_owned(), next.into());
                self.set_body(body.to_string());
            }
            Place::Form(name) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(url::form_urlencoded::parse(self.body()).filter(|(key, _)| key != name));
                let form = form.append_pair(name, next).finish();
                self.set_body(form);
            }
        }
        Ok(())
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

    fn decode(_: &HeaderMap, body: &[u8], _: Before) -> Result<Page<u32>, Fault> {
        let List { items, next } = crate::json(body)?;
        Ok(Page { items, next })
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
            let api = Api::plain(&server.url(""));
            let question = api.get(["list"]).parameter("page", "1").parameter("per_page", "2");
            let list = question.paged(Place::Parameter("page"), decode).await;
            assert_eq!(list.expect("a list"), [1, 2, 3]);
            let list = api.post(["json"], br#"{"a":1}"#.to_vec()).paged(Place::Json("Token"), decode).await;
            assert_eq!(list.expect("a list"), [4, 5, 6]);
            let list = api.post_as(["form"], form, b"Action=List".to_vec()).paged(Place::Form("Marker"), decode).await;
            assert_eq!(list.expect("a list"), [7, 8]);
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
                Ok(Page { items, next })
            };
            let list = Api::plain(&server.url("")).get(["list"]).paged(Place::Parameter("offset"), full).await;
            assert_eq!(list.expect("a list"), [1, 2, 3, 4, 5]);
            server.finish().await;
        });
    }

    #[test]
    fn a_list_without_end_is_told() {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/list").json(r#"{"items": [1], "next": "a"}"#),
                Step::get("/list?page=a").json(r#"{"items": [2], "next": "a"}"#),
            ])
            .await;
            let list = Api::plain(&server.url("")).get(["list"]).paged(Place::Parameter("page"), decode).await;
            let error = list.expect_err("no list");
            let url = server.url("/list?page=a");
            let told = format!("the reply of {url} is not what its API promises: what names the next page leads back");
            assert_eq!((error.code(), error.to_string()), ("sd_rest_malformed", told));
            server.finish().await;
        });
    }
}
