//! What a machine of EC2 is told of itself: keys of its role, and its region. Asked with a token (IMDSv2); where none is given, as in
//! a container that is too far away for one, without (v1).

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use rosterd_client::{Client, ClientError, Request, Response, Secrets, Url, brief, secret_value};
use serde::Deserialize;

use super::AwsError;
use super::chain::Instance;
use super::given::{Given, Written};

pub(super) const WHOSE: &str = "the metadata of the instance";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_LASTS: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// Long enough for what is asked with one token.
const TOKEN_SECONDS: HeaderValue = HeaderValue::from_static("300");
/// Who answers at all answers at once. Outside of EC2 nobody does, and packets are dropped.
const TOKEN_WAIT: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(5);
const LARGEST: u64 = 64 << 10;
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
const DOCUMENT: &str = "latest/dynamic/instance-identity/document";

/// Keys that a machine is given are asked for again after this time at the latest, as in Go's SDK.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// The metadata, as long as one token is good.
pub(super) struct Metadata<'a> {
    client: &'a Client,
    base: Url,
    token: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Document {
    region: String,
}

impl<'a> Metadata<'a> {
    /// Asks for a token.
    pub(super) async fn open(client: &'a Client, instance: &Instance) -> Result<Self, AwsError> {
        let base = Url::parse(&instance.endpoint).map_err(|error| AwsError::Unusable {
            place: "AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(),
            reason: error.to_string(),
        })?;
        let mut metadata = Self { client, base, token: None };
        let mut request = Request { method: Method::PUT, ..metadata.request("latest/api/token", TOKEN_WAIT) };
        request.headers.insert(TOKEN_LASTS, TOKEN_SECONDS);
        let unreachable = |source| AwsError::Unreachable { whose: WHOSE, source };
        let token = match client.send(request).await {
            Ok(response) => match response.status() {
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    Err(response.status_error())
                }
                _ => Ok(text(response).await.map_err(unreachable)?.0),
            },
            Err(error) => Err(error),
        };
        match token {
            Ok(token) => {
                let malformed =
                    |_| AwsError::Malformed { whose: WHOSE, reason: "the token has a line break".to_owned() };
                metadata.token = Some(secret_value("the token", token.trim()).map_err(malformed)?);
            }
            Err(_) if instance.allows_v1 => {}
            Err(source) => return Err(unreachable(source)),
        }
        Ok(metadata)
    }

    /// Keys of a role, of the only one unless it is said which.
    pub(super) async fn keys(&self, role: Option<&str>) -> Result<Given, AwsError> {
        let role = match role {
            Some(role) => role.to_owned(),
            None => {
                let (roles, _) = self.get(ROLES).await.map_err(|source| match source {
                    ClientError::Status { status, .. } if status == StatusCode::NOT_FOUND => {
                        let message = "the instance has no role".to_owned();
                        AwsError::Refused { whose: WHOSE, code: status.to_string(), message, passes: false }
                    }
                    source => AwsError::NoCredentials { whose: WHOSE, source },
                })?;
                let first = roles.lines().map(str::trim).find(|role| !role.is_empty());
                let none = || AwsError::Malformed { whose: WHOSE, reason: "the list of roles is empty".to_owned() };
                first.ok_or_else(none)?.to_owned()
            }
        };
        let unreachable = |source| AwsError::Unreachable { whose: WHOSE, source };
        let (written, secrets) = self.get(&format!("{ROLES}{role}")).await.map_err(unreachable)?;
        Written::parse(WHOSE, written.as_bytes())?.given(WHOSE, &secrets)
    }

    /// The region of the machine.
    pub(super) async fn region(&self) -> Result<String, AwsError> {
        let (document, _) = self.get(DOCUMENT).await.map_err(|source| AwsError::NoRegion { source: Some(source) })?;
        let Document { region } = serde_json::from_str(&document)
            .map_err(|error| AwsError::Malformed { whose: WHOSE, reason: brief(&format!("{DOCUMENT}: {error}")) })?;
        Ok(region)
    }

    /// What it says, and the secrets of the question.
    async fn get(&self, path: &str) -> Result<(String, Secrets), ClientError> {
        let mut request = self.request(path, WAIT);
        if let Some(token) = &self.token {
            request.headers.insert(TOKEN, token.clone());
        }
        text(self.client.send(request).await?).await
    }

    fn request(&self, path: &str, wait: Duration) -> Request {
        let mut url = self.base.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Request { timeout: Some(wait), ..Request::get(url) }
    }
}

async fn text(response: Response) -> Result<(String, Secrets), ClientError> {
    let secrets = response.secrets().clone();
    let body = response.success()?.body(Some(LARGEST)).await?;
    Ok((String::from_utf8_lossy(&body).into_owned(), secrets))
}
