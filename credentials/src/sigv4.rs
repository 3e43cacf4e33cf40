//! AWS [Signature Version 4] of requests: what they are, who asks and when come in, headers go out.
//!
//! [Signature Version 4]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write;

use aws_lc_rs::{digest, hmac};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use rosterd_client::{Request, Secret, Url, secret_value};
use rosterd_model::{Coded, Priority, Retry};
use rosterd_sign::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is made with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// The id of the access key.
    pub id: String,
    /// The secret key.
    pub secret: Secret,
    /// The token of a session; empty if there is none.
    pub token: Secret,
}

/// What a signature is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The region.
    pub region: &'a str,
    /// The name of the service for signatures.
    pub service: &'a str,
}

/// A key that no header can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key to sign with has a line break")]
pub struct Unsignable;

impl Coded for Unsignable {
    fn code(&self) -> &'static str {
        "sign_line_break"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}

/// Adds the headers of a signature that is made at this time. Nothing of the request may change afterwards.
pub fn sign(request: &mut Request, keys: &Keys, scope: Scope<'_>, now: Timestamp) -> Result<(), Unsignable> {
    let Scope { region, service } = scope;
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let secret = |text: &str| secret_value("a key", text).map_err(|_| Unsignable);
    let at = HeaderValue::from_str(&time).map_err(|_| Unsignable)?;
    request.headers.insert(HeaderName::from_static("x-amz-date"), at);
    if !keys.token.is_empty() {
        let token = secret(keys.token.expose())?;
        request.headers.insert(HeaderName::from_static("x-amz-security-token"), token);
    }
    let (canonical, signed) = canonical(request);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(digest::digest(&digest::SHA256, canonical.as_bytes())));
    let mut key = format!("AWS4{}", keys.secret.expose()).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        key = mac(&key, part).as_ref().to_vec();
    }
    let signature = hex(mac(&key, &text));
    let id = &keys.id;
    let proof = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
    let proof = secret(&proof)?;
    request.headers.insert(header::AUTHORIZATION, proof);
    Ok(())
}

/// The canonical form of a request, and the names of the headers that are in it.
fn canonical(request: &Request) -> (String, String) {
    let mut headers = vec![("host".to_owned(), host(&request.url))];
    for (name, value) in &request.headers {
        let name = name.as_str();
        if matches!(name, "content-type" | "content-encoding") || name.starts_with("x-amz-") {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers.push((name.to_owned(), value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    headers.sort();
    let signed = headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let (method, body) = (&request.method, hex(digest::digest(&digest::SHA256, &request.body)));
    // The path is encoded already, and once more for all services but S3, which alone tells several slashes from one.
    let path = encode(&slashes_as_one(request.url.path()), true);
    (format!("{method}\n{path}\n{}\n{lines}\n{signed}\n{body}", query(&request.url)), signed)
}

fn slashes_as_one(path: &str) -> String {
    let mut last = ' ';
    path.chars().filter(|&character| std::mem::replace(&mut last, character) != '/' || character != '/').collect()
}

/// What is sent as the `Host` header.
fn host(url: &Url) -> String {
    let url = url.without_zone();
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Sorted by names, and by values where these are the same: `a` comes before `a-b`, although `a=` does not.
fn query(url: &Url) -> String {
    let encoded = url.query_pairs().map(|(name, value)| (encode(&name, false), encode(&value, false)));
    let mut pairs: Vec<_> = encoded.collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            b'/' if path => out.push('/'),
            _ => write!(out, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    out
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: Secret::default(),
        }
    }

    /// The signature of a request at the time that the examples of AWS have.
    fn signature(mut request: Request) -> String {
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        sign(&mut request, &keys(), Scope { region: "us-east-1", service: "service" }, now).unwrap();
        let proof = request.headers[header::AUTHORIZATION].to_str().unwrap();
        proof.rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_examples() {
        let url = |text: &str| Url::parse(text).unwrap();
        let vanilla = Request::get(url("https://example.amazonaws.com/"));
        assert_eq!(signature(vanilla), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let sorted = Request::get(url("https://example.amazonaws.com/?Param2=value2&Param1=value1"));
        assert_eq!(signature(sorted), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
        let mut form = Request::post(url("https://example.amazonaws.com/"), "Param1=value1");
        form.headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        assert_eq!(host(&url("https://[fe80::1%25eth0]:8443/")), "[fe80::1]:8443");
        assert_eq!(signature(form), "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
    }

    #[test]
    fn a_request_is_signed_in_its_canonical_form() {
        let mut request = Request::post(Url::parse("https://h:8443//a//b%20c/d%2Fe?z=1&a=2").unwrap(), "body");
        for (name, value) in [
            ("x-amz-target", "T.Op"),
            ("content-type", "text/plain;   charset=utf-8"),
            ("content-encoding", "snappy"),
            ("accept", "text/plain"),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        let (text, signed) = canonical(&request);
        assert_eq!(signed, "content-encoding;content-type;host;x-amz-target");
        let lines = [
            "POST",
            "/a/b%2520c/d%252Fe",
            "a=2&z=1",
            "content-encoding:snappy",
            "content-type:text/plain; charset=utf-8",
            "host:h:8443",
            "x-amz-target:T.Op",
            "",
            &signed,
            "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5",
        ];
        assert_eq!(text, lines.join("\n"));
    }

    #[test]
    fn parameters_are_sorted_by_name_and_then_by_value() {
        let sorted = |parameters: &str| query(&Url::parse(&format!("https://h/?{parameters}")).unwrap());
        assert_eq!(sorted("a-b=1&a1=2&a=4&a=3&A=5"), "A=5&a=3&a=4&a-b=1&a1=2");
        assert_eq!(sorted("b=%20/&%C3%BC=~&b"), "%C3%BC=~&b=&b=%20%2F");
        assert_eq!(sorted(""), "");
    }

    #[test]
    fn the_token_of_a_session_is_signed_and_secret() {
        let mut request = Request::get(Url::parse("https://example.amazonaws.com/").unwrap());
        let keys = Keys { token: "session".into(), ..keys() };
        let scope = Scope { region: "us-east-1", service: "service" };
        sign(&mut request, &keys, scope, "2015-08-30T12:36:00Z".parse().unwrap()).unwrap();
        let token = &request.headers["x-amz-security-token"];
        assert!(token.is_sensitive() && token == "session");
        let proof = &request.headers[header::AUTHORIZATION];
        assert!(proof.is_sensitive());
        assert!(proof.to_str().unwrap().contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
        let broken = Keys { id: "a\nb".to_owned(), ..keys };
        assert_eq!(sign(&mut request, &broken, scope, Timestamp::UNIX_EPOCH), Err(Unsignable));
    }
}
