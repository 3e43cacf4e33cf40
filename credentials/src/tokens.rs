//! Tokens that somebody has to be asked for: once for all who need one, again shortly before it ends, and when it is refused.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rosterd_client::ClientError;
use rosterd_model::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::{NoToken, Told};

/// How long before its end a token is renewed, if that is not more than a tenth of its time.
const MARGIN: Duration = Duration::from_secs(300);

/// Who gives tokens.
#[async_trait]
pub trait Issuer: Send + Sync + 'static {
    /// A token, and what came with it.
    type Token: Send + Sync + 'static;

    /// Asks for a token.
    async fn issue(&self) -> Result<Issued<Self::Token>, Error>;

    /// Whether this error says that a token is good for nothing: the status 401, unless an issuer knows more.
    fn is_refused(&self, error: &Error) -> bool {
        let error: &(dyn StdError + 'static) = &**error;
        let status = |error: &ClientError| matches!(error, ClientError::Unauthorized { status, .. } if *status == StatusCode::UNAUTHORIZED);
        error.downcast_ref().is_some_and(status)
    }
}

/// What was given.
#[derive(Debug)]
pub struct Issued<T> {
    /// The token.
    pub token: T,
    /// How long it is good, if that was said.
    pub lasts: Option<Duration>,
}

/// The token of an issuer, as long as it is good.
pub struct Tokens<I: Issuer> {
    issuer: I,
    /// How often it was asked.
    asked: AtomicU64,
    state: Mutex<State<I::Token>>,
}

struct State<T> {
    held: Option<Held<T>>,
    /// Why there was none, the last time.
    failure: Option<Told>,
}

struct Held<T> {
    token: Arc<T>,
    /// When it is renewed, and when it ends.
    times: Option<(Instant, Instant)>,
}

impl<I: Issuer> fmt::Debug for Tokens<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl<I: Issuer> Tokens<I> {
    /// None so far.
    pub fn new(issuer: I) -> Self {
        let state = State { held: None, failure: None };
        Self { issuer, asked: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Asks with a token; if that is refused, once more with a new one.
    pub async fn with<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Arc<I::Token>) -> F,
    ) -> Result<T, Error> {
        let token = self.get().await?;
        match ask(Arc::clone(&token)).await {
            Err(error) if self.issuer.is_refused(&error) => self.forget(&token).await,
            answer => return answer,
        }
        ask(self.get().await?).await.map_err(|error| match self.issuer.is_refused(&error) {
            true => NoToken::Refused { source: error.into() }.into(),
            false => error,
        })
    }

    /// The token. Whoever comes while it is asked for waits for that one answer.
    pub async fn get(&self) -> Result<Arc<I::Token>, Error> {
        let asked = self.asked.load(Ordering::Relaxed);
        let mut state = self.state.lock().await;
        if let Some(held) = &state.held
            && held.times.is_none_or(|(renewal, _)| Instant::now() < renewal)
        {
            return Ok(Arc::clone(&held.token));
        }
        if let Some(failure) = &state.failure
            && self.asked.load(Ordering::Relaxed) != asked
        {
            return Err(NoToken::None { source: failure.clone() }.into());
        }
        let begun = Instant::now();
        let issued = self.issuer.issue().await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        match issued {
            Ok(Issued { token, lasts }) => {
                let held = Held { token: Arc::new(token), times: lasts.and_then(|lasts| times(begun, lasts)) };
                let token = Arc::clone(&held.token);
                *state = State { held: Some(held), failure: None };
                Ok(token)
            }
            Err(error) => {
                let now = Instant::now();
                // It may be too early for a new one, but not too late for the old one.
                if let Some(Held { token, times: Some((renewal, end)) }) = &mut state.held
                    && now < *end
                {
                    *renewal = now + (*end - now) / 2;
                    let left = (*end - now).as_secs();
                    warn!(%error, code = error.code(), left, "cannot renew a token, keeping the old one until it ends");
                    return Ok(Arc::clone(token));
                }
                let failure = Told::from(error);
                *state = State { held: None, failure: Some(failure.clone()) };
                Err(NoToken::None { source: failure }.into())
            }
        }
    }

    /// Throws this token away, unless another one has taken its place.
    async fn forget(&self, token: &Arc<I::Token>) {
        self.state.lock().await.held.take_if(|held| Arc::ptr_eq(&held.token, token));
    }

    /// Throws the token away if it is the one that was used and refused.
    pub async fn forget_if(&self, is_used: impl Fn(&I::Token) -> bool) {
        self.state.lock().await.held.take_if(|held| is_used(&held.token));
    }
}

/// When a token is renewed and when it ends, unless that is too far away to matter.
fn times(begun: Instant, lasts: Duration) -> Option<(Instant, Instant)> {
    let end = begun.checked_add(lasts)?;
    Some((end - MARGIN.min(lasts / 10), end))
}
