//! STS: keys of a role, for other keys or for a token of somebody else's.

use http::{HeaderValue, header};
use jiff::Timestamp;
use rosterd_client::{Client, Request, Secrets, Url};
use rosterd_model::Secret;
use url::form_urlencoded::Serializer;

use super::AwsError;
use super::chain::{Role, WebIdentity};
use super::given::Given;
use crate::sigv4::{self, Keys, Scope};

const WHOSE: &str = "STS";
const SERVICE: &str = "sts";
const VERSION: &str = "2011-06-15";
const LARGEST: u64 = 256 << 10;
/// What passes by itself: whom STS asks did not answer, or the token is of a key that it does not know yet.
const PASSING: [&str; 2] = ["IDPCommunicationError", "InvalidIdentityToken"];

/// Where STS is, and for which region it signs.
pub(super) struct Sts<'a> {
    pub(super) client: &'a Client,
    pub(super) url: Url,
    pub(super) region: &'a str,
}

impl Sts<'_> {
    /// Keys of a role that these may assume.
    pub(super) async fn assume(&self, keys: &Keys, role: &Role) -> Result<Given, AwsError> {
        let seconds = role.lasts.as_secs().to_string();
        let mut more = vec![("DurationSeconds", &*seconds)];
        if !role.external_id.is_empty() {
            more.push(("ExternalId", &role.external_id));
        }
        let mut request = self.request(form("AssumeRole", &role.arn, &role.session_name, &more));
        let scope = Scope { region: self.region, service: SERVICE };
        sigv4::sign(&mut request, keys, scope, Timestamp::now()).map_err(|error| AwsError::Unusable {
            place: "the key to assume a role with".to_owned(),
            reason: error.to_string(),
        })?;
        self.ask(request, None).await
    }

    /// Keys of the role that a token is for. The token is the only proof.
    pub(super) async fn assume_with(&self, token: &Secret, identity: &WebIdentity) -> Result<Given, AwsError> {
        let fields = [("WebIdentityToken", token.expose())];
        let form = form("AssumeRoleWithWebIdentity", &identity.role_arn, &identity.session_name, &fields);
        self.ask(Request { has_secrets: true, ..self.request(form) }, Some(token.clone())).await
    }

    fn request(&self, form: String) -> Request {
        let mut request = Request::post(self.url.clone(), form);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, kind);
        request
    }

    /// Asks, with this secret in the body.
    async fn ask(&self, request: Request, secret: Option<Secret>) -> Result<Given, AwsError> {
        let unreachable = |source| AwsError::Unreachable { whose: WHOSE, source };
        let response = self.client.send(request).await.map_err(unreachable)?;
        let (is_success, status) = (response.status().is_success(), response.status_error());
        let secrets = response.secrets().clone().and(secret);
        let body = response.body(Some(LARGEST)).await.map_err(unreachable)?;
        match read(&String::from_utf8_lossy(&body), is_success, &secrets) {
            // What no answer of STS is comes from something between.
            Err(AwsError::Malformed { .. }) if !is_success => Err(unreachable(status)),
            read => read,
        }
    }
}

fn form(action: &str, role_arn: &str, session_name: &str, more: &[(&str, &str)]) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", VERSION);
    form.append_pair("RoleArn", role_arn).append_pair("RoleSessionName", session_name);
    form.extend_pairs(more).finish()
}

fn read(text: &str, is_success: bool, secrets: &Secrets) -> Result<Given, AwsError> {
    let malformed = |reason: &str| AwsError::Malformed { whose: WHOSE, reason: reason.to_owned() };
    let document = roxmltree::Document::parse(text).map_err(|_| malformed("it is not XML"))?;
    let of = |section: &str, name: &str| {
        let section = document.descendants().find(|node| node.tag_name().name() == section)?;
        let found = section.children().find(|node| node.tag_name().name() == name)?;
        Some(found.text().unwrap_or_default().trim().to_owned())
    };
    if !is_success {
        let code = of("Error", "Code").ok_or_else(|| malformed("it has no code"))?;
        let passes = PASSING.contains(&&*code);
        let message = secrets.brief(&of("Error", "Message").unwrap_or_default());
        return Err(AwsError::Refused { whose: WHOSE, code: secrets.brief(&code), message, passes });
    }
    let key = |name| of("Credentials", name).filter(|value| !value.is_empty());
    let (Some(id), Some(secret), Some(token)) = (key("AccessKeyId"), key("SecretAccessKey"), key("SessionToken"))
    else {
        return Err(malformed("the reply has no credentials"));
    };
    let ends = key("Expiration").map(|ends| ends.parse()).transpose();
    let ends = ends.map_err(|_| malformed("Expiration is no point in time"))?;
    Ok(Given { keys: Keys { id, secret: secret.into(), token: token.into() }, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_refusals_are_read() {
        let reply = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>
            <AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials><AccessKeyId>i</AccessKeyId>
            <SecretAccessKey>s</SecretAccessKey><SessionToken> t </SessionToken>
            <Expiration>2030-01-02T03:04:05.678Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let Given { keys, ends } = read(reply, true, &Secrets::default()).expect("keys");
        assert_eq!(keys, Keys { id: "i".to_owned(), secret: "s".into(), token: "t".into() });
        assert_eq!(ends.map(|ends| ends.to_string()).as_deref(), Some("2030-01-02T03:04:05.678Z"));
        let refused = |code: &str| {
            let text = format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>");
            match read(&text, false, &Secrets::default()) {
                Err(AwsError::Refused { code, message, passes, .. }) => (code, message, passes),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused("AccessDenied"), ("AccessDenied".to_owned(), "m".to_owned(), false));
        assert!(refused("IDPCommunicationError").2);
        for (text, is_success) in
            [("<a/>", true), ("<a/>", false), ("<a", true), (&*reply.replace("s</Secret", "</Secret"), true)]
        {
            assert!(matches!(read(text, is_success, &Secrets::default()), Err(AwsError::Malformed { .. })), "{text}");
        }
    }
}
