//! What AWS says that does not answer: a code and words, in XML or JSON. The code says who has to act. Pure.

use std::fmt;

use http::{HeaderMap, StatusCode};
use rosterd_client::brief;
use rosterd_rest::{words, xml};
use serde_json::Value;

use super::xml::Element;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    pub(super) code: String,
    pub(super) message: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To ask less.
    Throttled,
    /// To try again: something in AWS failed.
    Passing,
    /// To get new keys, or to look at the clock.
    Keys,
    /// To be given the right to ask.
    Denied,
    /// To ask for something else.
    Refused,
}

const THROTTLED: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];
const PASSING: [&str; 6] = [
    "InternalError",
    "InternalFailure",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "Unavailable",
];
const KEYS: [&str; 12] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnauthenticatedException",
    "UnrecognizedClientException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
];
const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired"];

impl Refusal {
    /// Reads an answer that is none.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &str) -> Self {
        let (code, message) = of_xml(body).or_else(|| of_json(body)).unwrap_or_default();
        let header = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(bare);
        let code = header.filter(|code| !code.is_empty()).map_or(code, str::to_owned);
        let is = |codes: &[&str]| codes.contains(&&*code);
        let kind = match status.as_u16() {
            _ if is(&THROTTLED) => Kind::Throttled,
            _ if is(&PASSING) => Kind::Passing,
            _ if is(&KEYS) => Kind::Keys,
            _ if is(&DENIED) => Kind::Denied,
            429 => Kind::Throttled,
            500.. => Kind::Passing,
            401 => Kind::Keys,
            403 => Kind::Denied,
            _ => Kind::Refused,
        };
        let code = if code.is_empty() { format!("HTTP status {status}") } else { code };
        // Whoever else answers, as a proxy, has words of its own.
        let message = if message.is_empty() { words(body).unwrap_or_default() } else { brief(&message) };
        Self { kind, code, message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, .. } = self;
        if message.is_empty() { f.write_str(code) } else { write!(f, "{code}: {message}") }
    }
}

/// The name alone of `namespace#Name:where it is documented`.
fn bare(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or_default();
    code.split(':').next().unwrap_or_default().trim()
}

fn of_xml(body: &str) -> Option<(String, String)> {
    let document = xml(body.trim_start()).ok()?;
    let error = document.descendants().find(|node| node.tag_name().name() == "Error")?;
    Some((error.text_of("Code").to_owned(), error.text_of("Message").to_owned()))
}

fn of_json(body: &str) -> Option<(String, String)> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| body.get(name)?.as_str()).unwrap_or_default().to_owned();
    Some((bare(&text(["__type", "code"])).to_owned(), text(["message", "Message"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, header: &str, body: &str) -> (Kind, String, String) {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert("x-amzn-errortype", header.parse().expect("a header"));
        }
        let Refusal { kind, code, message } =
            Refusal::read(StatusCode::from_u16(status).expect("a status"), &headers, body);
        (kind, code, message)
    }

    #[test]
    fn refusals_are_told_by_their_codes_in_each_protocol() {
        let ec2 = |code: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors></Response>"
            )
        };
        let query = |code: &str| {
            format!(
                "<ErrorResponse xmlns=\"http://rds\"><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
            )
        };
        let json = |code: &str| format!("{{\"__type\": \"com.amazonaws#{code}:http://docs\", \"Message\": \"m\"}}");
        for (status, header, body, kind, code) in [
            (503, "", ec2("RequestLimitExceeded"), Kind::Throttled, "RequestLimitExceeded"),
            (400, "", query("Throttling"), Kind::Throttled, "Throttling"),
            (400, "", json("ThrottlingException"), Kind::Throttled, "ThrottlingException"),
            (
                429,
                "TooManyRequestsException:http://x",
                "{\"message\": \"m\"}".to_owned(),
                Kind::Throttled,
                "TooManyRequestsException",
            ),
            (400, "", ec2("AuthFailure"), Kind::Keys, "AuthFailure"),
            (400, "", json("ExpiredTokenException"), Kind::Keys, "ExpiredTokenException"),
            (403, "", query("AccessDenied"), Kind::Denied, "AccessDenied"),
            (403, "", ec2("UnauthorizedOperation"), Kind::Denied, "UnauthorizedOperation"),
            (500, "", ec2("InternalError"), Kind::Passing, "InternalError"),
            (404, "", query("DBClusterNotFoundFault"), Kind::Refused, "DBClusterNotFoundFault"),
            (400, "A", json("B"), Kind::Refused, "A"),
        ] {
            assert_eq!(read(status, header, &body), (kind, code.to_owned(), "m".to_owned()), "{status} {body}");
        }
        for (status, body, kind) in [
            (503, "<html>busy", Kind::Passing),
            (502, "", Kind::Passing),
            (429, "slow", Kind::Throttled),
            (403, "<html></html>", Kind::Denied),
            (404, "{}", Kind::Refused),
        ] {
            assert_eq!(read(status, "", body).0, kind, "{status} {body}");
        }
        assert_eq!(read(404, "", "").1, "HTTP status 404 Not Found");
        for (status, body, want) in [
            (403, "access denied\nfor user bob", "HTTP status 403 Forbidden: access denied for user bob"),
            (404, r#"{"error": "no such page"}"#, r#"HTTP status 404 Not Found: {"error": "no such page"}"#),
            (403, "<html>no</html>", "HTTP status 403 Forbidden"),
            (400, &json("ValidationException"), "ValidationException: m"),
            (400, r#"{"__type": "ValidationException"}"#, r#"ValidationException: {"__type": "ValidationException"}"#),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(Refusal::read(status, &HeaderMap::new(), body).to_string(), want);
        }
    }
}
