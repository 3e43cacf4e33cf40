//! Tokens that are sent as they are.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use rosterd_client::{ClientError, Request, Secret, secret_value};
use rosterd_model::Error;

use crate::{Authorize, Issuer, Tokens};

const BEARER: &str = "Bearer ";

/// Sends the token of an issuer as `Authorization: Bearer`, or in another header as it is.
pub struct Bearer<I: Issuer<Token = Secret>> {
    tokens: Arc<Tokens<I>>,
    header: HeaderName,
    scheme: &'static str,
}

impl<I: Issuer<Token = Secret>> fmt::Debug for Bearer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl<I: Issuer<Token = Secret>> Bearer<I> {
    /// As `Authorization: Bearer`. The tokens may be shared by several.
    pub fn new(tokens: Arc<Tokens<I>>) -> Self {
        Self { tokens, header: header::AUTHORIZATION, scheme: BEARER }
    }

    /// As this header, with nothing before it.
    pub fn in_header(tokens: Arc<Tokens<I>>, header: HeaderName) -> Self {
        Self { tokens, header, scheme: "" }
    }

    fn value(&self, token: &Secret) -> Result<HeaderValue, ClientError> {
        value(self.scheme, token)
    }
}

#[async_trait]
impl<I: Issuer<Token = Secret>> Authorize for Bearer<I> {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let token = self.tokens.get().await?;
        request.headers.insert(self.header.clone(), self.value(&token)?);
        Ok(())
    }

    async fn refused(&self, request: &Request) -> bool {
        let sent = request.headers.get(&self.header);
        self.tokens.forget_if(|token| self.value(token).ok().as_ref() == sent).await;
        sent.is_some()
    }
}

/// The value of `Authorization` that shows a token.
#[cfg(feature = "google")]
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, ClientError> {
    value(BEARER, token)
}

fn value(scheme: &str, token: &Secret) -> Result<HeaderValue, ClientError> {
    secret_value("a token", &format!("{scheme}{}", token.expose()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rosterd_client::Url;
    use rosterd_testkit::leak_checked;

    use super::*;
    use crate::Issued;

    #[derive(Default)]
    struct Counter(AtomicU32);

    #[async_trait]
    impl Issuer for Counter {
        type Token = Secret;

        async fn issue(&self) -> Result<Issued<Secret>, Error> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Issued { token: format!("t{number}").into(), lasts: None })
        }
    }

    fn sent(request: &Request, name: &HeaderName) -> String {
        assert!(request.headers[name].is_sensitive());
        request.headers[name].to_str().expect("text").to_owned()
    }

    #[test]
    fn a_refused_token_is_replaced_by_another_one_and_only_that_one() {
        leak_checked(async || {
            let bearer = Bearer::new(Arc::new(Tokens::new(Counter::default())));
            let name = header::AUTHORIZATION;
            let request = || Request::get(Url::parse("http://h/").expect("a URL"));
            let (mut first, mut late) = (request(), request());
            bearer.authorize(&mut first).await.expect("authorized");
            bearer.authorize(&mut late).await.expect("authorized");
            assert_eq!((sent(&first, &name), sent(&late, &name)), ("Bearer t0".to_owned(), "Bearer t0".to_owned()));
            assert!(!bearer.refused(&request()).await, "it had no token");
            assert!(bearer.refused(&first).await);
            bearer.authorize(&mut first).await.expect("authorized");
            assert!(bearer.refused(&late).await, "another one may be there meanwhile");
            bearer.authorize(&mut late).await.expect("authorized");
            assert_eq!((sent(&first, &name), sent(&late, &name)), ("Bearer t1".to_owned(), "Bearer t1".to_owned()));
        });
    }

    #[test]
    fn a_header_of_its_own_has_the_token_alone() {
        leak_checked(async || {
            let name = HeaderName::from_static("x-auth-token");
            let bearer = Bearer::in_header(Arc::new(Tokens::new(Counter::default())), name.clone());
            let mut request = Request::get(Url::parse("http://h/").expect("a URL"));
            bearer.authorize(&mut request).await.expect("authorized");
            assert_eq!(sent(&request, &name), "t0");
            assert!(!request.headers.contains_key(header::AUTHORIZATION));
        });
    }
}
