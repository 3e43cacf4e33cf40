//! Certificates of the server and of its clients.

use super::*;

#[test]
fn tls_serves_both_versions_of_http_and_new_certificates_at_once() {
    leak_checked_live(async || {
        let folder = TempDir::new().unwrap();
        let (first, second) = (Authority::new(), Authority::new());
        write(folder.path(), "server", &first.sign("localhost"));
        let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}";
        let live = configured(&folder, text);
        let (server, address) = serve(settings(), Some(live), hello()).await;
        let url = format!("https://localhost:{}/", address.port());

        let version = format!("{url}version");
        assert_eq!(first.client(None).get(&version).send().await.unwrap().text().await.unwrap(), "HTTP/2.0");
        write(folder.path(), "server", &second.sign("localhost"));
        assert!(first.client(None).get(&url).send().await.is_err());
        assert_eq!(second.client(None).get(&url).send().await.unwrap().text().await.unwrap(), "hello");

        std::fs::write(folder.path().join("server.pem"), "broken").unwrap();
        assert_eq!(second.client(None).get(&url).send().await.unwrap().status(), StatusCode::OK);
        write(folder.path(), "server", &second.sign("localhost"));
        std::fs::write(folder.path().join("web.yml"), format!("{text}\nhttp_server_config: {{http2: false}}")).unwrap();
        assert_eq!(second.client(None).get(&version).send().await.unwrap().text().await.unwrap(), "HTTP/1.1");
        stop(server).await;
    });
}

/// Whether a client without a certificate, with a stranger's, with a good one of another name, and with a good one gets in.
async fn admitted(policy: &str, sans: &str) -> [bool; 4] {
    let folder = TempDir::new().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    write(folder.path(), "server", &authority.sign("localhost"));
    std::fs::write(folder.path().join("ca.pem"), authority.certificate.pem()).unwrap();
    let ca = if policy.contains("Verify") { "client_ca_file: ca.pem, " } else { "" };
    let text = format!(
        "tls_server_config: {{cert_file: server.pem, key_file: server.key, {ca}{sans}client_auth_type: {policy}}}"
    );
    let (server, address) = serve(settings(), Some(configured(&folder, &text)), hello()).await;
    let url = format!("https://localhost:{}/", address.port());
    let identities = [None, Some(stranger.sign("good")), Some(authority.sign("other")), Some(authority.sign("good"))];
    let mut admitted = [false; 4];
    for (admitted, identity) in admitted.iter_mut().zip(&identities) {
        *admitted = authority.client(identity.as_ref()).get(&url).send().await.is_ok();
    }
    stop(server).await;
    admitted
}

#[test]
fn clients_need_what_the_policy_asks_for() {
    leak_checked_live(async || {
        assert_eq!(admitted("NoClientCert", "").await, [true, true, true, true]);
        assert_eq!(admitted("RequestClientCert", "").await, [true, true, true, true]);
        assert_eq!(admitted("RequireAnyClientCert", "").await, [false, true, true, true]);
        assert_eq!(admitted("VerifyClientCertIfGiven", "").await, [true, false, true, true]);
        assert_eq!(admitted("RequireAndVerifyClientCert", "").await, [false, false, true, true]);
    });
}

#[test]
fn clients_need_one_of_the_allowed_names() {
    leak_checked_live(async || {
        let sans = "client_allowed_sans: [good, 10.0.0.1], ";
        assert_eq!(admitted("RequireAndVerifyClientCert", sans).await, [false, false, false, true]);
        assert_eq!(admitted("RequireAnyClientCert", sans).await, [false, true, false, true]);
    });
}

/// A certificate that nobody but its own key has signed.
fn alone(name: &str) -> Signed {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    Signed { certificate: params.self_signed(&key).unwrap(), key }
}

#[test]
fn a_client_may_be_trusted_itself() {
    leak_checked_live(async || {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let (known, stranger) = (alone("client"), alone("client"));
        write(folder.path(), "server", &authority.sign("localhost"));
        write(folder.path(), "client", &known);
        let text = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: client.pem, \
                    client_auth_type: RequireAndVerifyClientCert}";
        let (server, address) = serve(settings(), Some(configured(&folder, text)), hello()).await;
        let url = format!("https://localhost:{}/", address.port());
        assert!(authority.client(Some(&known)).get(&url).send().await.is_ok());
        for identity in [None, Some(&stranger)] {
            assert!(authority.client(identity).get(&url).send().await.is_err());
        }
        stop(server).await;
    });
}
