//! JSON web tokens (RFC 7519) in the compact form of RFC 7515: those that are signed here, and what those of others say.

use std::fmt::Write;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rosterd_model::Secret;
use serde_json::{Map, Value};

use crate::{Algorithm, KeyError, Rsa};

/// A token with these claims, signed. `alg` and `typ` are added to the header.
pub fn signed(
    key: &Rsa,
    algorithm: Algorithm,
    mut header: Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<Secret, KeyError> {
    header.insert("alg".to_owned(), algorithm.name().into());
    header.insert("typ".to_owned(), "JWT".into());
    let part = |map: &Map<String, Value>| {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(map).expect("a map of texts and values can be written"))
    };
    let mut token = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(algorithm, token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token.into())
}

/// Claims of who asks whom, from this time on, in seconds of Unix time, for so many seconds, with an id that no other has.
pub fn claims(
    issuer: &str,
    subject: &str,
    audience: &str,
    now: u64,
    lasts: u64,
) -> Result<Map<String, Value>, KeyError> {
    Ok(Map::from_iter([
        ("iss".to_owned(), issuer.into()),
        ("sub".to_owned(), subject.into()),
        ("jti".to_owned(), id()?.into()),
        ("aud".to_owned(), audience.into()),
        ("iat".to_owned(), now.into()),
        ("exp".to_owned(), (now + lasts).into()),
    ]))
}

/// A new id for the claim `jti`: a random UUID.
pub fn id() -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| KeyError::Failed)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        write!(id, "{byte:02x}").expect("a string takes everything");
    }
    Ok(id)
}

/// When a token of somebody else ends, in seconds of Unix time, if it is one that says so. Whether its signature is good is for those
/// to judge who are asked with it.
pub fn ends(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    // Without a fraction; one before 1970 is 0.
    Some(claims.get("exp")?.as_f64()? as u64)
}
