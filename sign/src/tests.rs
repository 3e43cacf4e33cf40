//! Signatures that are published, and what a verifier of the library says of ours.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RsaParameters, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

/// The key of RFC 7515, A.2.
const PKCS1: &[u8] = include_bytes!("../../testdata/sign/rfc7515.pkcs1.pem");
const PKCS8: &[u8] = include_bytes!("../../testdata/sign/rfc7515.pkcs8.pem");

const ALL: [(Algorithm, &RsaParameters); 4] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
];

fn verify(key: &Rsa, how: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(how, key.public_key().expect("a public key")).verify(message, signature).is_ok()
}

#[test]
fn a_signature_is_that_of_rfc_7515() {
    let message = "eyJhbGciOiJSUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let want = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb\
                F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383\
                LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy\
                wlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    for pem in [PKCS1, PKCS8] {
        let signature = Rsa::from_pem(pem).and_then(|key| key.sign(Algorithm::Rs256, message.as_bytes()));
        assert_eq!(URL_SAFE_NO_PAD.encode(signature.expect("a signature")), want);
    }
}

#[test]
fn what_is_signed_is_verified_by_its_own_algorithm_alone() {
    let key = Rsa::from_pem(PKCS8).expect("a key");
    for (algorithm, _) in ALL {
        let signature = key.sign(algorithm, b"message").expect("a signature");
        for (other, how) in ALL {
            assert_eq!(verify(&key, how, b"message", &signature), other == algorithm, "{algorithm:?} {other:?}");
        }
    }
}

#[test]
fn new_keys_differ() {
    let (one, other) = (Rsa::generate().expect("a key"), Rsa::generate().expect("a key"));
    let signature = one.sign(Algorithm::Rs256, b"message").expect("a signature");
    assert!(verify(&one, &RSA_PKCS1_2048_8192_SHA256, b"message", &signature));
    assert!(!verify(&other, &RSA_PKCS1_2048_8192_SHA256, b"message", &signature));
}

#[test]
fn a_key_is_found_among_other_text_and_what_is_none_is_told_without_its_words() {
    let among = [b"a comment\n", PKCS8, b"OCI_API_KEY\n"].concat();
    assert_eq!(format!("{:?}", Rsa::from_pem(&among).expect("a key")), "an RSA key of 2048 bits");
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----\n";
    let curve = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n";
    for (text, want) in [
        ("", KeyError::None),
        ("secret", KeyError::None),
        (public, KeyError::None),
        (broken, KeyError::Kind),
        (curve, KeyError::Kind),
    ] {
        let error = Rsa::from_pem(text.as_bytes()).expect_err("no key");
        assert_eq!(error, want, "{text}");
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
}

#[test]
fn a_token_has_its_header_its_claims_and_a_signature_over_both() {
    let key = Rsa::from_pem(PKCS1).expect("a key");
    let map = |value: Value| value.as_object().expect("a map").clone();
    let claims = json!({"iss": "me", "exp": 1_300_819_380});
    let token = jwt::signed(&key, Algorithm::Rs512, map(json!({"kid": "k"})), &map(claims.clone())).expect("a token");
    let (signed, signature) = token.expose().rsplit_once('.').expect("three parts");
    let read =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON") };
    let (header, body) = signed.split_once('.').expect("three parts");
    assert_eq!((read(header), read(body)), (json!({"alg": "RS512", "typ": "JWT", "kid": "k"}), claims));
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    assert!(verify(&key, &RSA_PKCS1_2048_8192_SHA512, signed.as_bytes(), &signature));
    assert_eq!(jwt::ends(token.expose()), Some(1_300_819_380));
}

#[test]
fn claims_say_who_asks_whom_and_for_how_long() {
    let mut claims = jwt::claims("issuer", "subject", "audience", 1000, 60).expect("claims");
    let id = claims.remove("jti").expect("an id");
    assert_eq!(id.as_str().map(str::len), Some(36));
    let want = json!({"iss": "issuer", "sub": "subject", "aud": "audience", "iat": 1000, "exp": 1060});
    assert_eq!(Value::from(claims), want);
    assert_ne!(jwt::claims("issuer", "subject", "audience", 1000, 60).expect("claims")["jti"], id);
}

#[test]
fn the_end_of_a_foreign_token_is_known_if_it_says_so() {
    let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    assert_eq!(jwt::ends(&token(r#"{"exp": 17.5}"#)), Some(17));
    assert_eq!(jwt::ends(&token(r#"{"exp": -17}"#)), Some(0));
    for token in
        [token("{}"), token(r#"{"exp": "soon"}"#), token("[1]"), token("{"), "opaque".to_owned(), "a.b".to_owned()]
    {
        assert_eq!(jwt::ends(&token), None, "{token}");
    }
}

#[test]
fn an_id_is_a_random_uuid() {
    let (id, other) = (jwt::id().expect("an id"), jwt::id().expect("an id"));
    assert_ne!(id, other);
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!((lengths, &id[14..15]), (vec![8, 4, 4, 4, 12], "4"));
    assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
}

/// The same key behind the pass phrase `let me in`.
#[cfg(feature = "passphrase")]
#[test]
fn a_key_with_a_pass_phrase_is_opened_by_it_alone() {
    let locked = include_str!("../../testdata/sign/rfc7515.locked.pem");
    let open = |pem: &str, phrase: &str| Rsa::from_locked_pem(pem, &phrase.into());
    let key = open(&format!("{locked}OCI_API_KEY\n"), "let me in").expect("a key");
    assert_eq!(key.public_key(), Rsa::from_pem(PKCS8).and_then(|key| key.public_key()));
    let plain = std::str::from_utf8(PKCS1).expect("PEM is text");
    assert!(open(plain, "").is_ok() && open(plain, "not needed").is_ok());
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n";
    for (pem, phrase, want) in [
        (locked, "", KeyError::NoPassphrase),
        (locked, "let me out", KeyError::Locked),
        (&locked.replace("MII", "MIJ"), "let me in", KeyError::None),
        (&locked.replace("MII", "M!!"), "let me in", KeyError::None),
        (&locked.replace("END ENCRYPTED", "END OTHER"), "let me in", KeyError::None),
        (old, "let me in", KeyError::OldCipher),
        ("", "let me in", KeyError::None),
    ] {
        assert_eq!(open(pem, phrase).map(drop), Err(want), "{phrase}");
    }
}
