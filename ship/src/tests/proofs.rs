//! Who sends is proved by tokens of clouds: shared, kept and made anew when a receiver refuses one.

use std::sync::atomic::{AtomicU32, Ordering};

use rosterd_client::Environment;
use rosterd_credentials::aws::Who;
use rosterd_credentials::azure::AzureMethod;
use rosterd_testkit::{AwsCall, FakeAws, Folder, ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::json;

use super::*;
use crate::{AzureConfig, GoogleConfig, SigV4Config};

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

/// An AWS that knows a key and as many sessions of a role as are asked for: `role1` and so on.
async fn aws_with_roles() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.know("mine", "secret", "");
    (1..9).for_each(|number| aws.know(&format!("role{number}"), "role secret", "session"));
    let given = AtomicU32::new(0);
    aws.answer("AssumeRole", move |call| {
        assert_eq!((call.field("RoleArn"), call.field("ExternalId")), (Some("arn:role"), Some("e")));
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        let key = format!("<AccessKeyId>role{number}</AccessKeyId><SecretAccessKey>role secret</SecretAccessKey>");
        let ends = "<SessionToken>session</SessionToken><Expiration>2126-01-01T00:00:00Z</Expiration>";
        (200, format!("<R><AssumeRoleResult><Credentials>{key}{ends}</Credentials></AssumeRoleResult></R>"))
    });
    // What is written has no name.
    aws.answer("", |_| (200, String::new()));
    aws
}

/// A shipper whose endpoints of these names write there as the role.
async fn ship_as_role(aws: &FakeAws, names: &[&str]) -> Ship {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "mine".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        ("AWS_ENDPOINT_URL_STS", aws.url()),
    ];
    let ship = Ship::on(&System::new("m", Environment::from_iter(variables)), None);
    let who = Who { role_arn: "arn:role".to_owned(), external_id: "e".to_owned(), ..Who::default() };
    let with = |name: &&str| EndpointConfig {
        sigv4: Some(SigV4Config { who: who.clone(), service: String::new() }),
        ..endpoint(name, &format!("{}/workspaces/w//api/v1/remote_write?a=b", aws.url()))
    };
    ship.shipper.configure(names.iter().map(with).collect()).await.unwrap();
    ship
}

fn writes(aws: &FakeAws) -> Vec<AwsCall> {
    aws.calls().into_iter().filter(|call| call.operation.is_empty()).collect()
}

fn assumed(aws: &FakeAws) -> usize {
    aws.operations().iter().filter(|operation| *operation == "AssumeRole").count()
}

#[test]
fn what_is_sent_to_aws_is_signed_as_a_role_and_verified() {
    leak_checked_live(|| async {
        let aws = aws_with_roles().await;
        let ship = ship_as_role(&aws, &["a", "b"]).await;
        ship.shipper.push(1, &block(&["m"], 1.0, now(1)));
        eventually(patience(), "both wrote", || writes(&aws).len() == 2).await;
        ship.wait_empty().await;
        for write in writes(&aws) {
            assert_eq!((&*write.service, &*write.region, &*write.key), ("aps", "eu-west-1", "role1"));
        }
        assert_eq!(assumed(&aws), 1, "for both");
        assert_eq!(aws.refused(), [""; 0]);
        ship.end().await;
        aws.finish().await;
    });
}

/// As AWS says it.
fn forbidden() -> (u16, String) {
    (403, json!({"message": "The security token included in the request is invalid."}).to_string())
}

#[test]
fn a_session_that_is_revoked_is_replaced_and_what_was_refused_is_sent() {
    leak_checked_live(|| async {
        let aws = aws_with_roles().await;
        let ship = ship_as_role(&aws, &["a"]).await;
        ship.shipper.push(1, &block(&["m"], 1.0, now(1)));
        eventually(patience(), "it wrote", || writes(&aws).len() == 1).await;
        ship.wait_empty().await;
        aws.answer("", |call| if call.key == "role1" { forbidden() } else { (200, String::new()) });
        ship.shipper.push(1, &block(&["m"], 2.0, now(2)));
        eventually(patience(), "it wrote again", || writes(&aws).len() == 3).await;
        ship.wait_empty().await;
        assert_eq!(writes(&aws).into_iter().map(|write| write.key).collect::<Vec<_>>(), ["role1", "role1", "role2"]);
        let status = ship.shipper.status().remove(0);
        assert_eq!((status.samples_sent, status.samples_rejected), (2, 0));
        ship.end().await;
        aws.finish().await;
    });
}

#[test]
fn who_may_not_write_is_not_asked_for_keys_at_each_request() {
    leak_checked_live(|| async {
        let aws = aws_with_roles().await;
        aws.answer("", |_| forbidden());
        let (ship, begun) = (ship_as_role(&aws, &["a"]).await, Instant::now());
        for number in 1..=5 {
            ship.shipper.push(1, &block(&["m"], 1.0, now(number)));
            let rejected = || ship.shipper.status()[0].samples_rejected == number as u64;
            eventually(patience(), "it is refused for good", rejected).await;
        }
        let most = 2 + begun.elapsed().as_secs() as usize / 60;
        assert!((2..=most).contains(&assumed(&aws)), "{} of {most}", assumed(&aws));
        assert_eq!(writes(&aws).len(), 5 + assumed(&aws) - 1);
        ship.end().await;
        aws.finish().await;
    });
}

#[test]
fn who_may_write_again_and_loses_the_session_gets_another_at_once() {
    leak_checked_live(|| async {
        let aws = aws_with_roles().await;
        let ship = ship_as_role(&aws, &["a"]).await;
        let write = async |number: usize, taken: bool| {
            let status = || ship.shipper.status().remove(0);
            let count = || if taken { status().samples_sent } else { status().samples_rejected };
            let before = count();
            ship.shipper.push(1, &block(&["m"], 1.0, now(number)));
            eventually(patience(), "what becomes of it is known", || count() > before).await;
        };
        aws.answer("", |_| forbidden());
        write(1, false).await;
        aws.answer("", |_| (200, String::new()));
        write(2, true).await;
        aws.answer("", |call| if call.key == "role2" { forbidden() } else { (200, String::new()) });
        write(3, true).await;
        let keys: Vec<_> = writes(&aws).into_iter().map(|write| write.key).collect();
        assert_eq!(keys, ["role1", "role2", "role2", "role2", "role3"]);
        ship.end().await;
        aws.finish().await;
    });
}

#[test]
fn who_cannot_sign_keeps_what_is_to_be_sent() {
    leak_checked_live(|| async {
        let aws = FakeAws::start().await;
        let ship = Ship::on(&System::new("m", Environment::from_iter([("AWS_EC2_METADATA_DISABLED", "true")])), None);
        let sigv4 = Some(SigV4Config { who: Who { region: "r".to_owned(), ..Who::default() }, service: String::new() });
        ship.shipper.configure(vec![EndpointConfig { sigv4, ..endpoint("a", &aws.url()) }]).await.unwrap();
        ship.shipper.push(1, &block(&["m"], 1.0, now(1)));
        let failure = || ship.shipper.status().remove(0).last_error.map(|report| report.code);
        eventually(patience(), "it says why", || failure().as_deref() == Some("ship_unsigned")).await;
        assert!(aws.calls().is_empty() && aws.refused().is_empty(), "nothing is sent unsigned");
        assert!(ship.shipper.status()[0].pending.samples > 0);
        // Without a disk it would go on trying until the deadline.
        ship.shipper.shutdown(Instant::now() + Duration::from_millis(10)).await;
        assert!(ship.stopper.stop(patience()).await.is_empty());
        aws.finish().await;
    });
}
