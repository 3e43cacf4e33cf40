//! AWS [Signature Version 4] of requests. No credentials are looked for behind the user's back: they stand in the
//! configuration or in the file that it names.
//!
//! [Signature Version 4]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write;
use std::path::Path;

use aws_lc_rs::{digest, hmac};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use rosterd_client::{Request, Secret, Url};
use rosterd_model::in_words;

use crate::config::SigV4Config;

/// Amazon Managed Service for Prometheus.
const SERVICE: &str = "aps";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs requests.
#[derive(Debug)]
pub(super) struct Signer(SigV4Config);

/// What a signature is made with.
#[derive(Debug, Clone, PartialEq, Default)]
struct Credentials {
    id: String,
    key: Secret,
    token: Secret,
    region: String,
}

impl Signer {
    /// Fails when there is nothing to sign with.
    pub(super) fn new(config: &SigV4Config) -> Result<Self, String> {
        if !config.role_arn.is_empty() {
            return Err("sigv4.role_arn is not supported: give the keys of a user, or a profile".to_owned());
        }
        let signer = Self(config.clone());
        signer.credentials().map(|_| signer)
    }

    /// Adds the headers of a signature.
    pub(super) fn sign(&self, request: &mut Request) -> Result<(), String> {
        self.sign_at(request, Timestamp::now())
    }

    fn sign_at(&self, request: &mut Request, now: Timestamp) -> Result<(), String> {
        let credentials = self.credentials()?;
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &time[..8];
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "a key of sigv4 has a line break".to_owned());
        request.headers.insert(HeaderName::from_static("x-amz-date"), value(&time)?);
        if !credentials.token.is_empty() {
            let mut token = value(credentials.token.expose())?;
            token.set_sensitive(true);
            request.headers.insert(HeaderName::from_static("x-amz-security-token"), token);
        }
        let (canonical, signed) = canonical(request);
        let service = if self.0.service.is_empty() { SERVICE } else { &self.0.service };
        let scope = format!("{date}/{}/{service}/aws4_request", credentials.region);
        let text =
            format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(digest::digest(&digest::SHA256, canonical.as_bytes())));
        let mut key = format!("AWS4{}", credentials.key.expose()).into_bytes();
        for part in [date, &credentials.region, service, "aws4_request"] {
            key = mac(&key, part).as_ref().to_vec();
        }
        let signature = hex(mac(&key, &text));
        let id = &credentials.id;
        let mut proof =
            value(&format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"))?;
        proof.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, proof);
        Ok(())
    }

    /// The credentials as they are now.
    fn credentials(&self) -> Result<Credentials, String> {
        let config = &self.0;
        let mut found = match (&config.credentials_file, config.access_key.is_empty()) {
            (_, false) => Credentials {
                id: config.access_key.clone(),
                key: config.secret_key.clone(),
                token: config.session_token.clone(),
                region: String::new(),
            },
            (Some(file), true) => of_file(file, &config.profile)?,
            (None, true) => return Err("sigv4 needs access_key and secret_key, or a profile".to_owned()),
        };
        if !config.region.is_empty() {
            found.region.clone_from(&config.region);
        }
        if found.region.is_empty() {
            return Err("sigv4 needs a region".to_owned());
        }
        Ok(found)
    }
}

fn of_file(file: &Path, profile: &str) -> Result<Credentials, String> {
    let profile = if profile.is_empty() { "default" } else { profile };
    let text = rosterd_tasks::files::read_text(file)
        .map_err(|error| format!("cannot read {}: {}", file.display(), in_words(error)))?;
    of_profile(&text, profile).ok_or_else(|| format!("{} has no keys of profile {profile:?}", file.display()))
}

/// The keys of a profile, in the format of `~/.aws/credentials` and `~/.aws/config`.
fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let (mut ours, mut found) = (false, Credentials::default());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let name = name.trim();
            ours = name.strip_prefix("profile ").unwrap_or(name).trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| ours) {
            let value = value.trim();
            match key.trim() {
                "aws_access_key_id" => found.id = value.to_owned(),
                "aws_secret_access_key" => found.key = value.into(),
                "aws_session_token" => found.token = value.into(),
                "region" => found.region = value.to_owned(),
                _ => {}
            }
        }
    }
    (!found.id.is_empty() && !found.key.is_empty()).then_some(found)
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
    // The path is encoded already, and once more for all services but S3.
    let path = encode(request.url.path(), true);
    (format!("{method}\n{path}\n{}\n{lines}\n{signed}\n{body}", query(&request.url)), signed)
}

/// What is sent as the `Host` header.
fn host(url: &Url) -> String {
    let url = url.without_zone();
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn query(url: &Url) -> String {
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| format!("{}={}", encode(&name, false), encode(&value, false))).collect();
    pairs.sort();
    pairs.join("&")
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

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SigV4Config {
        SigV4Config {
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            ..SigV4Config::default()
        }
    }

    /// The signature of a request at the time that the examples of AWS have.
    fn signature(mut request: Request) -> String {
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        Signer::new(&config()).unwrap().sign_at(&mut request, now).unwrap();
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
    fn keys_come_from_a_profile() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n\n[profile prod]\n\
                    aws_access_key_id = c\naws_secret_access_key = d\naws_session_token = e\nregion = f\n";
        let found = of_profile(text, "prod").unwrap();
        assert_eq!((&*found.id, found.key.expose(), found.token.expose(), &*found.region), ("c", "d", "e", "f"));
        assert_eq!(of_profile(text, "default").unwrap().id, "a");
        assert_eq!(of_profile(text, "none"), None);
    }

    #[test]
    fn what_cannot_be_signed_with_is_refused() {
        let refused = |config: SigV4Config| Signer::new(&config).unwrap_err();
        assert!(refused(SigV4Config { role_arn: "arn:x".to_owned(), ..config() }).contains("role_arn"));
        assert!(refused(SigV4Config { region: String::new(), ..config() }).contains("region"));
        assert!(refused(SigV4Config { access_key: String::new(), ..config() }).contains("access_key"));
    }
}
