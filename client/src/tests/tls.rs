//! Certificates of both sides, their rotation, and versions.

use std::error::Error as _;

use rosterd_model::{Coded, Priority, Report};
use rosterd_testkit::leak_checked_live;
use rustls::version::{TLS12, TLS13};

use super::tls_server::{Authority, TlsServer};
use super::*;

const BOTH: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// The settings that trust an authority, whose certificate stands in the folder.
fn trust(folder: &tempfile::TempDir, authority: &Authority, more: &str) -> String {
    let path = folder.path().join("ca.pem");
    authority.write(&path);
    format!("tls_config: {{ca_file: {}{more}}}", path.display())
}

#[test]
fn only_configured_authorities_are_trusted() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, other) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority.sign("localhost"), None, &BOTH).await;
        let url = server.url("localhost");
        assert_eq!(body(&client(&trust(&folder, &authority, "")), &url).await.expect("trusted"), "0");
        let inline = serde_json::json!({"tls_config": {"ca": authority.certificate.pem()}}).to_string();
        assert_eq!(body(&client(&inline), &url).await.expect("trusted"), "0");
        for settings in [trust(&folder, &other, ""), "{}".to_owned()] {
            let error = get(&client(&settings), &url).await.expect_err("not trusted");
            assert_eq!((error.code(), error.priority()), ("http_tls", Priority::Operator));
        }
        assert_eq!(body(&client("tls_config: {insecure_skip_verify: true}"), &url).await.expect("trusted"), "0");
        server.stop().await;
    });
}

#[test]
fn a_server_has_the_key_of_its_certificate_whoever_has_signed_it() {
    leak_checked_live(async || {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        for versions in [&[&TLS12], &[&TLS13]] {
            let stolen = authority.sign("localhost").with_key_of(authority.sign("localhost"));
            let server = TlsServer::start(&stolen, None, versions).await;
            for settings in [trust(&folder, &authority, ""), "tls_config: {insecure_skip_verify: true}".to_owned()] {
                let error = get(&client(&settings), &server.url("localhost")).await.expect_err("not its key");
                assert_eq!(error.code(), "http_tls", "{settings}");
            }
            server.stop().await;
        }
    });
}

#[test]
fn the_name_must_be_that_of_the_url_or_of_the_settings() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let server = TlsServer::start(&authority.sign("inner.example"), None, &BOTH).await;
        for (host, more, accepted) in [
            ("localhost", "", false),
            ("localhost", ", server_name: inner.example", true),
            ("127.0.0.1", ", server_name: inner.example", true),
            ("localhost", ", server_name: other.example", false),
        ] {
            let reply = get(&client(&trust(&folder, &authority, more)), &server.url(host)).await;
            assert_eq!(reply.is_ok(), accepted, "{host} {more}");
        }
        server.stop().await;
    });
}

#[test]
fn a_server_is_asked_for_the_name_of_the_settings_or_of_the_url() {
    leak_checked_live(async || {
        let server = TlsServer::start(&Authority::new().sign("localhost"), None, &BOTH).await;
        for (host, more, asked) in [
            ("localhost", "", "localhost"),
            ("localhost", ", server_name: inner.example", "inner.example"),
            ("127.0.0.1", ", server_name: inner.example", "inner.example"),
            ("127.0.0.1", "", "none"),
            ("localhost", ", server_name: 127.0.0.1", "none"),
        ] {
            let client = client(&format!("tls_config: {{insecure_skip_verify: true{more}}}"));
            let reply = get(&client, &server.url(host)).await.expect("any certificate will do");
            assert_eq!(reply.headers()["x-name"], asked, "{host} {more}");
        }
        server.stop().await;
    });
}

#[test]
fn a_rotated_authority_takes_effect() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let (old, new) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&new.sign("localhost"), None, &BOTH).await;
        let client = client(&trust(&folder, &old, ""));
        let url = server.url("localhost");
        assert_eq!(get(&client, &url).await.expect_err("not yet trusted").code(), "http_tls");
        new.write(&path);
        body(&client, &url).await.expect("trusted now");
        std::fs::write(&path, "nonsense").expect("written");
        let error = get(&client, &url).await.expect_err("no certificate");
        assert_eq!(error.to_string(), format!("cannot use ca_file {}: no certificate in it", path.display()));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(get(&client, &url).await.expect_err("no file").code(), "http_file_unreadable");
        new.write(&path);
        body(&client, &url).await.expect("trusted again");
        server.stop().await;
    });
}

#[test]
fn a_client_proves_itself_by_a_certificate_that_may_rotate() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, stranger) = (Authority::new(), Authority::new());
        let server = TlsServer::start(&authority.sign("localhost"), Some(&authority), &BOTH).await;
        let url = server.url("localhost");
        let error = body(&client(&trust(&folder, &authority, "")), &url).await.expect_err("no certificate");
        assert_eq!(error.code(), "http_tls", "{}", Report::of(&error));
        let (cert, key) = stranger.sign("client").write(folder.path());
        let more = format!(", cert_file: {}, key_file: {}", cert.display(), key.display());
        let client = client(&trust(&folder, &authority, &more));
        assert_eq!(body(&client, &url).await.expect_err("unknown authority").code(), "http_tls");
        authority.sign("client").write(folder.path());
        assert_eq!(body(&client, &url).await.expect("accepted"), "1");
        server.stop().await;
    });
}

#[test]
fn certificates_that_cannot_be_used_are_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.pem");
    let error = try_client(&format!("tls_config: {{ca_file: {}}}", missing.display())).expect_err("no file");
    assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
    let authority = Authority::new();
    let (cert, _) = authority.sign("a").write(folder.path());
    std::fs::copy(&cert, folder.path().join("first.pem")).expect("copied");
    let (_, key) = authority.sign("b").write(folder.path());
    let first = folder.path().join("first.pem");
    let settings = format!("tls_config: {{cert_file: {}, key_file: {}}}", first.display(), key.display());
    let error = try_client(&settings).expect_err("the key is of another certificate");
    let text = error.to_string();
    assert!(text.contains("first.pem") && text.contains("key.pem") && error.source().is_some(), "{text}");
}

#[test]
fn versions_are_kept_to() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let identity = authority.sign("localhost");
        let old = TlsServer::start(&identity, None, &[&TLS12]).await;
        let new = TlsServer::start(&identity, None, &[&TLS13]).await;
        for (more, with_old, with_new) in [
            (", min_version: TLS10", true, true),
            (", min_version: TLS13", false, true),
            (", max_version: TLS12", true, false),
        ] {
            let client = client(&trust(&folder, &authority, more));
            assert_eq!(get(&client, &old.url("localhost")).await.is_ok(), with_old, "{more}");
            assert_eq!(get(&client, &new.url("localhost")).await.is_ok(), with_new, "{more}");
        }
        old.stop().await;
        new.stop().await;
    });
}
