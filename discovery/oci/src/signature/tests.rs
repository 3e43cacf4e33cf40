//! The signatures of Oracle's page "Request Signatures", and what a verifier says of ours.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use rosterd_client::Url;
use rosterd_testkit::fixture;

use super::*;

const PUBLIC: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QFNUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+FUR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB";
const GET: &str = "GBas7grhyrhSKHP6AVIj/h5/Vp8bd/peM79H9Wv8kjoaCivujVXlpbKLjMPeDUhxkFIWtTtLBj3sUzaFj34XE6YZAHc9r2DmE4pMwOAy/kiITcZxa1oHPOeRheC0jP2dqbTll8fmTZVwKZOKHYPtrLJIJQHJjNvxFWeHQjMaR7M=";
const POST: &str = "Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0qIdazWaBy/Ml8DRhqlocMwoSXv0fbukP8J5N80LCmzT/FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH0itrtPJBgKmrWso=";

fn url(text: &str) -> Url {
    Url::parse(text).expect(text)
}

fn dated(mut request: Request) -> Request {
    let date = HeaderValue::from_static("Thu, 05 Jan 2014 21:31:40 GMT");
    request.headers.insert(header::DATE, date);
    request
}

fn is_published(request: &Request, signature: &str) -> bool {
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, decode(PUBLIC));
    key.verify(signed_text(request).1.as_bytes(), &decode(signature)).is_ok()
}

#[test]
fn what_is_signed_is_what_oracle_signs() {
    let get = url("https://iaas.us-phoenix-1.oraclecloud.com/20160918/instances?availabilityDomain=Pjwf%3A%20PHX-AD-1\
         &compartmentId=ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa\
         &displayName=TeamXInstances&volumeId=ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q");
    assert!(is_published(&dated(Request::get(get)), GET));
    let post = url("https://iaas.us-phoenix-1.oraclecloud.com/20160918/volumeAttachments");
    let mut post = dated(Request::post(post, ""));
    for (name, value) in [
        ("content-length", "316"),
        ("content-type", "application/json"),
        ("x-content-sha256", "V9Z20UJTvkvpJ50flBzKE32+6m2zJjweHpDMX/U4Uy0="),
    ] {
        post.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    assert!(is_published(&post, POST));
    assert_eq!(signed_text(&post).0, "date (request-target) host content-length content-type x-content-sha256");
    assert!(!is_published(&post, GET));
}

#[test]
fn a_signature_is_good_and_says_whose_it_is() {
    let key = Rsa::from_pem(fixture("sign/rfc7515.pkcs8.pem").as_bytes()).expect("a key");
    let now = UNIX_EPOCH + Duration::from_secs(1_388_957_500);
    let mut request = Request::post(url("http://h:8080/v1/x509?a=b+c"), "{}");
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    sign(&mut request, "t/u/f", &key, now).expect("signed");
    let proof = &request.headers[header::AUTHORIZATION];
    assert!(proof.is_sensitive());
    let (said, signature) = proof.to_str().expect("text").split_once("signature=\"").expect("a signature");
    let names = "date (request-target) host content-length content-type x-content-sha256";
    assert_eq!(said, format!("Signature version=\"1\",headers=\"{names}\",keyId=\"t/u/f\",algorithm=\"rsa-sha256\","));
    let text = "date: Sun, 05 Jan 2014 21:31:40 GMT\n(request-target): post /v1/x509?a=b+c\nhost: h:8080\n\
                content-length: 2\ncontent-type: application/json\n\
                x-content-sha256: RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=";
    let signature = STANDARD.decode(signature.trim_end_matches('"')).expect("base64");
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().expect("a public key"));
    verifier.verify(text.as_bytes(), &signature).expect("it is good");
}
