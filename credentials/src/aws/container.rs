//! The agent that gives keys to a container: of ECS, or of EKS Pod Identity.

use http::header;
use rosterd_client::{Client, Request, Url, secret_value};
use rosterd_model::Secret;
use rosterd_tasks::blocking;
use rosterd_tasks::files::read_text;

use super::AwsError;
use super::chain::{Authorization, Container};
use super::given::{Given, Written};

const WHOSE: &str = "the agent of the container";
const LARGEST: u64 = 64 << 10;

/// Asks for keys.
pub(super) async fn keys(client: &Client, container: &Container) -> Result<Given, AwsError> {
    let unusable =
        |reason: String| AwsError::Unusable { place: "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), reason };
    let mut request = Request::get(Url::parse(&container.url).map_err(|error| unusable(error.to_string()))?);
    let authorization = match &container.authorization {
        Authorization::None => None,
        Authorization::Value(value) => Some(value.clone()),
        Authorization::File(path) => {
            let (file, path) = (path.clone(), path.clone());
            let text = blocking(move || read_text(&file)).await;
            let text = text.map_err(|source| AwsError::FileUnreadable { path, source })?;
            Some(Secret::new(text.trim()))
        }
    };
    if let Some(authorization) = authorization {
        let value = secret_value("the token", authorization.expose());
        let value = value.map_err(|_| unusable("the token for it has a line break".to_owned()))?;
        request.headers.insert(header::AUTHORIZATION, value);
    }
    let unreachable = |source| AwsError::Unreachable { whose: WHOSE, source };
    let response = client.send(request).await.map_err(unreachable)?;
    let (is_success, status) = (response.status().is_success(), response.status_error());
    let secrets = response.secrets().clone();
    let written = Written::parse(WHOSE, &response.body(Some(LARGEST)).await.map_err(unreachable)?);
    match written {
        Ok(written) if is_success => written.given(WHOSE, &secrets),
        Err(error) if is_success => Err(error),
        Ok(written) => Err(written.refusal(WHOSE, &secrets).unwrap_or_else(|| unreachable(status))),
        Err(_) => Err(unreachable(status)),
    }
}
