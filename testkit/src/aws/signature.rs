//! Whether a request is signed: put together from what arrived, and from nothing that whoever signs has. Pure.

use aws_lc_rs::{digest, hmac};
use http::HeaderMap;
use jiff::Timestamp;

/// How far the time of a signature may be from that of the server, in seconds.
const MOST: i64 = 900;

/// What arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) method: &'a str,
    /// The path and the query, as they were sent.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What the header says of who signed, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) key: String,
    date: String,
    pub(super) region: String,
    pub(super) service: String,
    signed: Vec<String>,
    signature: String,
}

impl Proof {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=...`.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get("authorization")?.to_str().ok()?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let mut scope = field("Credential")?.split('/');
        let mut next = || scope.next().map(str::to_owned);
        let (key, date, region, service) = (next()?, next()?, next()?, next()?);
        if next()? != "aws4_request" || next().is_some() {
            return None;
        }
        let signed = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        Some(Self { key, date, region, service, signed, signature: field("Signature")?.to_owned() })
    }

    /// Whether the holder of this key and this token signed this at this time; or why not, as AWS calls it.
    pub(super) fn verify(
        &self,
        arrived: Arrived<'_>,
        secret: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let value = |name: &str| {
            let all = arrived.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            all.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(",")
        };
        let time = value("x-amz-date");
        let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &time).ok();
        let at = at.and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok()).ok_or("IncompleteSignature")?.timestamp();
        if (at.as_second() - now.as_second()).abs() > MOST {
            return Err("RequestExpired");
        }
        let must = |name: &str| arrived.headers.contains_key(name).then(|| name.to_owned());
        let mut musts = vec!["host".to_owned(), "x-amz-date".to_owned()];
        musts.extend(["content-type", "x-amz-target", "x-amz-security-token"].into_iter().filter_map(must));
        if musts.iter().any(|name| !self.signed.contains(name)) || !time.starts_with(&self.date) {
            return Err("IncompleteSignature");
        }
        if value("x-amz-security-token") != token {
            return Err("InvalidClientTokenId");
        }
        let (path, query) = arrived.path.split_once('?').unwrap_or((arrived.path, ""));
        let mut query: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        query.sort();
        let query: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String = self.signed.iter().map(|name| format!("{name}:{}\n", value(name))).collect();
        let canonical = [
            arrived.method,
            &again(path),
            &query.join("&"),
            &headers,
            &self.signed.join(";"),
            &hex(digest::digest(&digest::SHA256, arrived.body).as_ref()),
        ]
        .join("\n");
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let first = format!("AWS4{secret}").into_bytes();
        let parts = [&*self.date, &self.region, &self.service, "aws4_request", &text];
        let signature = parts.into_iter().fold(first, |key, part| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec()
        });
        if hex(&signature) == self.signature { Ok(()) } else { Err("SignatureDoesNotMatch") }
    }
}

/// A parameter in the one form that AWS knows: names are compared before values.
fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let plain = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    (encoded(&plain(name)), encoded(&plain(value)))
}

/// A path that is encoded, encoded once more, without empty segments.
fn again(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: String = segments.map(|segment| format!("/{}", encoded(segment.as_bytes()))).collect();
    if path.ends_with('/') { segments + "/" } else { segments }
}

fn encoded(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn headers(signed: &str, signature: &str) -> HeaderMap {
        let proof = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}"
        );
        let pairs = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z"), ("authorization", &proof)];
        pairs
            .into_iter()
            .map(|(name, value)| (name.parse().expect(name), value.parse().expect(value)))
            .collect::<Vec<(http::HeaderName, _)>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn what_aws_publishes_is_signed_and_nothing_else() {
        let now: Timestamp = "2015-08-30T12:40:00Z".parse().expect("a time");
        let verify = |method, path, headers: &HeaderMap, body: &str, now| {
            let proof = Proof::read(headers).expect("a proof");
            proof.verify(Arrived { method, path, headers, body: body.as_bytes() }, SECRET, "", now)
        };
        let signed = "host;x-amz-date";
        let vanilla = headers(signed, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        assert_eq!(verify("GET", "/", &vanilla, "", now), Ok(()));
        assert_eq!(verify("POST", "/", &vanilla, "", now), Err("SignatureDoesNotMatch"));
        assert_eq!(verify("GET", "/", &vanilla, "a", now), Err("SignatureDoesNotMatch"));
        assert_eq!(verify("GET", "/?a", &vanilla, "", now), Err("SignatureDoesNotMatch"));
        assert_eq!(
            verify("GET", "/", &vanilla, "", "2015-08-30T13:40:00Z".parse().expect("a time")),
            Err("RequestExpired")
        );
        let sorted = headers(signed, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
        assert_eq!(verify("GET", "/?Param2=value2&Param1=value1", &sorted, "", now), Ok(()));
        let mut form =
            headers("content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
        form.insert("content-type", "application/x-www-form-urlencoded".parse().expect("a header"));
        assert_eq!(verify("POST", "/", &form, "Param1=value1", now), Ok(()));
        let mut unsigned = vanilla;
        unsigned.insert("x-amz-target", "a.b".parse().expect("a header"));
        assert_eq!(verify("GET", "/", &unsigned, "", now), Err("IncompleteSignature"));
    }

    #[test]
    fn what_is_no_proof_is_none() {
        for header in ["", "Basic a", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=a, Signature=b"] {
            let headers: HeaderMap =
                [(http::header::AUTHORIZATION, header.parse().expect("a header"))].into_iter().collect();
            assert_eq!(Proof::read(&headers), None, "{header}");
        }
    }
}
