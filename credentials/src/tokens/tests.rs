//! When a token is asked for, and when not.

use std::sync::atomic::AtomicBool;

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};
use rosterd_testkit::leak_checked;
use tokio::time::{advance, sleep};

use super::*;

/// Gives the tokens 1, 2, 3 and so on, each after a second.
#[derive(Default)]
struct Counter {
    given: AtomicU64,
    fails: AtomicBool,
    lasts: Option<Duration>,
}

#[async_trait]
impl Issuer for Counter {
    type Token = u64;

    async fn issue(&self) -> Result<Issued<u64>, Error> {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(Duration::from_secs(1)).await;
        match self.fails.load(Ordering::Relaxed) {
            false => Ok(Issued { token: number, lasts: self.lasts }),
            true => Err(refusal("http://issuer/", 403)),
        }
    }
}

fn refusal(url: &str, status: u16) -> Error {
    let status = StatusCode::from_u16(status).expect("a status");
    ClientError::Unauthorized { url: url.to_owned(), status }.into()
}

fn tokens(lasts: Option<u64>) -> Tokens<Counter> {
    Tokens::new(Counter { lasts: lasts.map(Duration::from_secs), ..Counter::default() })
}

async fn used(tokens: &Tokens<Counter>) -> Result<u64, String> {
    let result = tokens.with(async |token| Ok(*token)).await;
    result.map_err(|error| format!("{}: {error}", error.code()))
}

fn given(tokens: &Tokens<Counter>) -> u64 {
    tokens.issuer.given.load(Ordering::Relaxed)
}

#[test]
fn one_token_is_asked_for_however_many_need_it() {
    leak_checked(async || {
        let tokens = tokens(None);
        let all = futures_util::future::join_all((0..5).map(|_| used(&tokens))).await;
        assert_eq!((all, given(&tokens)), (vec![Ok(1); 5], 1));
        advance(Duration::from_secs(1 << 20)).await;
        assert_eq!(used(&tokens).await, Ok(1), "it was not said to end");
    });
}

#[test]
fn a_failure_is_that_of_all_who_waited_for_it_and_of_nobody_later() {
    leak_checked(async || {
        let tokens = tokens(None);
        tokens.issuer.fails.store(true, Ordering::Relaxed);
        let all = futures_util::future::join_all((0..3).map(|_| used(&tokens))).await;
        let told = "sd_rest_no_token: cannot get a token: server returned HTTP status 403 Forbidden for http://issuer/: \
                    check the credentials";
        assert_eq!((all, given(&tokens)), (vec![Err(told.to_owned()); 3], 1));
        tokens.issuer.fails.store(false, Ordering::Relaxed);
        assert_eq!(used(&tokens).await, Ok(2));
    });
}

#[test]
fn why_there_is_no_token_says_who_has_to_act_and_when_to_come_back() {
    let busy = || {
        let (url, status, after) = ("http://issuer/".to_owned(), StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(7));
        Told::from(Error::from(ClientError::Throttled { url, status, retry_after: Some(after) }))
    };
    for error in [NoToken::None { source: busy() }, NoToken::Refused { source: busy() }] {
        assert_eq!((error.priority(), error.retry()), (Priority::Retry, Retry::After(Duration::from_secs(7))));
    }
    let refused = NoToken::None { source: Told::from(refusal("http://issuer/", 403)) };
    assert_eq!(refused.priority(), Priority::Operator);
    let told = Told::from(Error::from(NoToken::None { source: busy() }));
    let cause = std::error::Error::source(&told).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("server returned HTTP status 429 Too Many Requests for http://issuer/"));
}

#[test]
fn whoever_asks_may_be_dropped() {
    leak_checked(async || {
        let tokens = tokens(None);
        let first = tokio::time::timeout(Duration::from_millis(500), used(&tokens));
        let (first, second) = tokio::join!(first, used(&tokens));
        assert!(first.is_err());
        assert_eq!(second, Ok(2));
    });
}

#[test]
fn a_token_is_renewed_before_its_end() {
    leak_checked(async || {
        for (lasts, renewal) in [(600, 540), (86_400, 86_100)] {
            let tokens = tokens(Some(lasts));
            assert_eq!(used(&tokens).await, Ok(1));
            // A second has gone by until it came.
            advance(Duration::from_secs(renewal - 2)).await;
            assert_eq!(used(&tokens).await, Ok(1), "{lasts}");
            advance(Duration::from_secs(1)).await;
            assert_eq!(used(&tokens).await, Ok(2), "{lasts}");
        }
    });
}

#[test]
fn a_token_that_cannot_be_renewed_is_used_until_its_end() {
    leak_checked(async || {
        let tokens = tokens(Some(600));
        assert_eq!(used(&tokens).await, Ok(1));
        tokens.issuer.fails.store(true, Ordering::Relaxed);
        advance(Duration::from_secs(540)).await;
        assert_eq!((used(&tokens).await, given(&tokens)), (Ok(1), 2));
        assert_eq!((used(&tokens).await, given(&tokens)), (Ok(1), 2), "not again at once");
        advance(Duration::from_secs(30)).await;
        assert_eq!((used(&tokens).await, given(&tokens)), (Ok(1), 3));
        advance(Duration::from_secs(30)).await;
        assert!(used(&tokens).await.is_err_and(|error| error.starts_with("sd_rest_no_token")));
        tokens.issuer.fails.store(false, Ordering::Relaxed);
        assert_eq!(used(&tokens).await, Ok(5));
    });
}

#[test]
fn a_refused_token_is_thrown_away_once_for_all() {
    leak_checked(async || {
        let tokens = tokens(Some(600));
        let ask = || tokens.with(async |token| if *token == 1 { Err(refusal("http://api/", 401)) } else { Ok(*token) });
        let all = futures_util::future::join_all((0..4).map(|_| ask())).await;
        assert!(all.into_iter().all(|token| token.is_ok_and(|token| token == 2)));
        assert_eq!(given(&tokens), 2);
    });
}

#[test]
fn a_new_token_that_is_refused_too_is_told_with_who_refused_it() {
    leak_checked(async || {
        for (status, given_in_all, want) in [
            (
                401,
                2,
                "sd_rest_token_refused: a new token is refused: server returned HTTP status 401 Unauthorized for http://api/: check the credentials",
            ),
            // It knows who asks, and will not have it.
            (
                403,
                1,
                "http_unauthorized: server returned HTTP status 403 Forbidden for http://api/: check the credentials",
            ),
        ] {
            let tokens = tokens(Some(600));
            let error = tokens.with(async |_| Err::<(), _>(refusal("http://api/", status))).await.expect_err("refused");
            assert_eq!(format!("{}: {error}", error.code()), want);
            assert_eq!(given(&tokens), given_in_all, "{status}");
        }
    });
}
