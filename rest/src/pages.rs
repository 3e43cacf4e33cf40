//! Lists that come in pages, whoever asks for them: read to their end, and given up where they have none.

use std::collections::HashSet;
use std::time::Duration;

use rosterd_client::ClientError;
use rosterd_discovery::Error;
use xxhash_rust::xxh3::xxh3_128;

use crate::{Fault, RestError};

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What names the next one, if there is one.
    pub next: Option<String>,
    first: Option<u128>,
}

impl<T> Page<T> {
    /// A page with these on it. There is no next one where its name is missing or empty.
    pub fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next: next.filter(|next| !next.is_empty()), first: None }
    }

    /// The same, and what its first item is called. Where the pages are counted by who asks, nothing else tells that a server gives the
    /// same one again and again.
    #[must_use]
    pub fn beginning_with(self, id: Option<&str>) -> Self {
        let id = id.filter(|id| !id.is_empty());
        Self { first: id.map(|id| xxh3_128(id.as_bytes())), ..self }
    }
}

/// What was read of a list before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// How many pages: the number of this one, counted from 0.
    pub pages: usize,
    /// How many items.
    pub items: usize,
}

/// What asks for a page, and becomes what asks for the next one.
pub trait Turn: Clone {
    /// Asks for the page of this name from now on.
    fn turn(&mut self, next: &str) -> Result<(), Fault>;

    /// What no other page of the list is asked for with.
    fn mark(&self) -> u128;

    /// Who is asked for it, as people are told.
    fn shown(&self) -> String;

    /// Whether a list that begins anew has ended: of one that nobody promises to have pages.
    fn may_begin_anew(&self) -> bool {
        false
    }
}

/// What a list may take. Who has more does not know where it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) pages: usize,
    pub(crate) time: Duration,
    /// Of the bodies of all pages.
    pub(crate) bytes: u64,
}

impl Bounds {
    pub(crate) const USUAL: Self = Self { pages: 10_000, time: Duration::from_secs(600), bytes: 1 << 30 };
}

/// Reads all pages of a list, from this one on. `read` is told what was read before, so that it can count where the server does not, and
/// says how many bytes the page had.
pub async fn read_pages<P, T, R>(first: P, read: impl Fn(P, Before) -> R) -> Result<Vec<T>, Error>
where
    P: Turn,
    R: Future<Output = Result<(Page<T>, usize), Error>>,
{
    read_within(Bounds::USUAL, first, read).await
}

pub(crate) async fn read_within<P, T, R>(
    bounds: Bounds,
    first: P,
    read: impl Fn(P, Before) -> R,
) -> Result<Vec<T>, Error>
where
    P: Turn,
    R: Future<Output = Result<(Page<T>, usize), Error>>,
{
    let url = first.shown();
    let read = tokio::time::timeout(bounds.time, read_to_the_end(bounds, first, read)).await;
    read.unwrap_or_else(|_| Err(ClientError::Timeout { url, after: bounds.time }.into()))
}

async fn read_to_the_end<P, T, R>(bounds: Bounds, mut page: P, read: impl Fn(P, Before) -> R) -> Result<Vec<T>, Error>
where
    P: Turn,
    R: Future<Output = Result<(Page<T>, usize), Error>>,
{
    let (mut all, mut pages, mut bytes) = (Vec::new(), 0, 0);
    let (mut marks, mut firsts) = (HashSet::from([page.mark()]), HashSet::new());
    loop {
        let (Page { items, next, first }, size) = read(page.clone(), Before { pages, items: all.len() }).await?;
        (pages, bytes) = (pages + 1, bytes + size as u64);
        let begins_anew = first.is_some_and(|first| !firsts.insert(first));
        if begins_anew && page.may_begin_anew() {
            return Ok(all);
        }
        let fault = if begins_anew {
            Fault::new("it begins as a page before it: the server gives the same page again")
        } else if bytes > bounds.bytes {
            Fault::new(format!("this page and those before it have more than {} MiB", bounds.bytes >> 20))
        } else {
            all.extend(items);
            let Some(next) = next else { return Ok(all) };
            match page.turn(&next) {
                Err(fault) => fault,
                Ok(()) if pages >= bounds.pages => Fault::new(format!("there are more than {} pages", bounds.pages)),
                Ok(()) if !marks.insert(page.mark()) => Fault::new("what names the next page leads back"),
                Ok(()) => continue,
            }
        };
        return Err(RestError::Malformed { url: page.shown(), source: fault }.into());
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    /// The number of a page.
    #[derive(Debug, Clone)]
    struct Number {
        number: u32,
        anew: bool,
    }

    impl Turn for Number {
        fn turn(&mut self, next: &str) -> Result<(), Fault> {
            self.number = next.parse().map_err(|_| Fault::new("no number"))?;
            Ok(())
        }

        fn mark(&self) -> u128 {
            self.number.into()
        }

        fn shown(&self) -> String {
            format!("page {}", self.number)
        }

        fn may_begin_anew(&self) -> bool {
            self.anew
        }
    }

    const BOUNDS: Bounds = Bounds { pages: 20, time: Duration::from_secs(600), bytes: 20 << 20 };

    /// What becomes of a list whose pages are made so, and how many of them were asked for.
    async fn read(anew: bool, page: impl Fn(u32, Before) -> (Page<u32>, usize)) -> (Result<Vec<u32>, String>, usize) {
        let asked = std::cell::Cell::new(0);
        let (asked_for, page) = (&asked, &page);
        let read = |number: Number, before: Before| async move {
            asked_for.set(asked_for.get() + 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(page(number.number, before))
        };
        let list = read_within(BOUNDS, Number { number: 0, anew }, read).await;
        (list.map_err(|error| format!("{}: {error}", error.code())), asked.get())
    }

    fn following(number: u32) -> Page<u32> {
        Page::new(vec![number], Some((number + 1).to_string()))
    }

    #[test]
    fn a_list_without_an_end_is_given_up() {
        leak_checked(async || {
            let malformed = |page: &str, why: &str| {
                Err(format!("sd_rest_malformed: the reply of {page} is not what its API promises: {why}"))
            };
            let pages = read(false, |number, _| (following(number), 1)).await;
            assert_eq!(pages, (malformed("page 20", "there are more than 20 pages"), 20));
            let bytes = read(false, |number, _| (following(number), 3 << 20)).await;
            assert_eq!(bytes, (malformed("page 6", "this page and those before it have more than 20 MiB"), 7));
            let back =
                read(false, |number, _| (Page::new(vec![number], Some(((number + 1) % 3).to_string())), 1)).await;
            assert_eq!(back, (malformed("page 0", "what names the next page leads back"), 3));
            let wrong = read(false, |number, _| (Page::new(vec![number], Some("x".to_owned())), 1)).await;
            assert_eq!(wrong, (malformed("page 0", "no number"), 1));
        });
    }

    #[test]
    fn all_pages_together_have_a_time() {
        leak_checked(async || {
            let read = |number: Number, _: Before| async move {
                tokio::time::sleep(Duration::from_secs(59)).await;
                Ok::<_, Error>((following(number.number), 1))
            };
            let begun = tokio::time::Instant::now();
            let list = read_within(BOUNDS, Number { number: 0, anew: false }, read).await;
            let error = list.expect_err("no list");
            assert_eq!(
                (error.code(), error.to_string()),
                ("http_timeout", "no complete reply of page 0 within 600s".to_owned())
            );
            assert_eq!(begun.elapsed(), BOUNDS.time);
        });
    }

    #[test]
    fn a_page_that_comes_again_is_a_fault_or_the_end() {
        leak_checked(async || {
            // Whatever is asked for, it is the first page.
            let same = |number: u32, _: Before| {
                (Page::new(vec![7, 8], Some((number + 1).to_string())).beginning_with(Some("7")), 1)
            };
            let why = "the reply of page 1 is not what its API promises: it begins as a page before it: the server gives the same page again";
            assert_eq!(read(false, same).await, (Err(format!("sd_rest_malformed: {why}")), 2));
            assert_eq!(read(true, same).await, (Ok(vec![7, 8]), 2));
            // What moved from one page to the next one while they were read is on both.
            let moved = |number: u32, _: Before| {
                let page = Page::new(vec![number, number + 1], (number < 3).then(|| (number + 1).to_string()));
                (page.beginning_with(Some(&number.to_string())), 1)
            };
            assert_eq!(read(false, moved).await, (Ok(vec![0, 1, 1, 2, 2, 3, 3, 4]), 4));
            let nameless = |number: u32, before: Before| {
                assert_eq!((before.pages, before.items), (number as usize, number as usize));
                (Page::new(vec![0], (number < 3).then(|| (number + 1).to_string())).beginning_with(Some("")), 1)
            };
            assert_eq!(read(false, nameless).await, (Ok(vec![0; 4]), 4));
        });
    }
}
