//! Who sends is proved by tokens of clouds: shared, kept and made anew when a receiver refuses one.

use rosterd_client::Environment;
use rosterd_credentials::azure::AzureMethod;
use rosterd_testkit::{Folder, ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::json;

use super::*;
use crate::{AzureConfig, GoogleConfig};

fn token(value: &str) -> String {
    json!({"access_token": value, "expires_in": 3599, "token_type": "Bearer"}).to_string()
}

/// Sends a sample to all endpoints, and waits until there were so many requests.
async fn send(ship: &Ship, server: &ScriptedServer, requests: usize) {
    ship.shipper.push(1, &block(&["m"], 1.0, now(1)));
    server.wait_requests(requests).await;
    ship.wait_empty().await;
}

/// The token of each request that came, and the project that it names.
fn proofs(receiver: &ScriptedServer) -> Vec<(String, String)> {
    let of = |request: &rosterd_testkit::Received, name| request.header(name).unwrap_or_default().to_owned();
    let writes = receiver.requests().into_iter().filter(|request| request.path == "/w");
    writes.map(|request| (of(&request, "authorization"), of(&request, "x-goog-user-project"))).collect()
}

#[test]
fn google_is_asked_for_a_token_once_for_all_who_send_as_the_same() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let google = ScriptedServer::start([
            Step::post("/token").any_order().json(token("t1")),
            Step::post("/w").any_times().status(204),
        ])
        .await;
        let key = json!({"type": "service_account", "client_email": "me", "private_key": fixture("sign/rfc7515.pkcs8.pem"),
            "token_uri": google.url("/token"), "quota_project_id": "payer"});
        let file = folder.write("key.json", key.to_string());
        let with = |name: &str| EndpointConfig {
            google_iam: Some(GoogleConfig { credentials_file: Some(file.clone()) }),
            ..endpoint(name, &google.url("/w"))
        };
        let ship = Ship::of(None, vec![with("a"), with("b")]).await;
        send(&ship, &google, 3).await;
        let changed = EndpointConfig { timeout: Duration::from_secs(7), ..with("a") };
        ship.shipper.configure(vec![changed]).await.unwrap();
        send(&ship, &google, 4).await;
        assert_eq!(proofs(&google), vec![("Bearer t1".to_owned(), "payer".to_owned()); 3]);
        ship.end().await;
        google.finish().await;
    });
}

#[test]
fn a_token_that_is_refused_is_replaced_and_what_was_refused_is_sent() {
    leak_checked_live(|| async {
        let machine = Step::get("/computeMetadata/v1/instance/service-accounts/default/token");
        let write = |token: &str| Step::post("/w").with_header("authorization", &format!("Bearer {token}"));
        let google = ScriptedServer::start([
            machine.clone().json(token("old")),
            write("old").status(401),
            machine.json(token("new")),
            write("new").status(204),
        ])
        .await;
        let variables = [("GCE_METADATA_HOST", google.address().to_string())];
        let ship = Ship::on(&System::new("m", Environment::from_iter(variables)), None);
        let config = EndpointConfig { google_iam: Some(GoogleConfig::default()), ..endpoint("a", &google.url("/w")) };
        ship.shipper.configure(vec![config]).await.unwrap();
        send(&ship, &google, 4).await;
        ship.end().await;
        google.finish().await;
    });
}

#[test]
fn samples_wait_while_there_is_no_token() {
    leak_checked_live(|| async {
        let refused = json!({"error": "invalid_client", "error_description": "not hunter2"}).to_string();
        let asked = || {
            Step::post("/t/oauth2/v2.0/token").with_body(
                "grant_type=client_credentials&client_id=c&client_secret=hunter2&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default",
            )
        };
        let azure = ScriptedServer::start([
            asked().status(401).json(refused),
            asked().json(token("t1")),
            Step::post("/w").with_header("authorization", "Bearer t1").status(204),
        ])
        .await;
        let azuread = AzureConfig {
            method: AzureMethod::Secret {
                tenant_id: "t".to_owned(),
                client_id: "c".to_owned(),
                client_secret: "hunter2".into(),
            },
            authority: azure.url(""),
            scope: "https://monitor.azure.com//.default".to_owned(),
        };
        let config = EndpointConfig { azuread: Some(azuread), ..endpoint("a", &azure.url("/w")) };
        let ship = Ship::of(None, vec![config]).await;
        send(&ship, &azure, 3).await;
        let told = ship.shipper.status()[0].last_error.clone().expect("it failed once");
        assert_eq!(told.code, "ship_unproven");
        assert!(told.to_string().contains("invalid_client: not <secret>"), "{told}");
        ship.end().await;
        azure.finish().await;
    });
}
