//! Keys and regions from those who give them: the metadata of a machine, agents of containers, STS, commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rosterd_client::{ClientError, Environment, HttpClientConfig, Request, System, Url};
use rosterd_model::{Coded, Priority, Retry};
use rosterd_testkit::{FakeAws, Folder, ScriptedServer, Step, leak_checked, leak_checked_live, query_error};

use super::{Account, AwsError, Signer, Who};
use crate::Authorize;
use crate::sigv4::Keys;

const TOKEN: &str = "x-aws-ec2-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn system(variables: &[(&str, &str)]) -> System {
    System::new("host", Environment::from_iter(variables.iter().copied()))
}

fn account(who: &Who, system: &System) -> Account {
    Account::new(who.clone(), &HttpClientConfig::default(), system, None).expect("an account")
}

fn keys(id: &str, secret: &str, token: &str) -> Keys {
    Keys { id: id.to_owned(), secret: secret.into(), token: token.into() }
}

async fn told(account: &Account) -> String {
    account.keys().await.expect_err("no keys").to_string()
}

fn json(id: &str, ends: &str) -> String {
    format!(
        r#"{{"Code": "Success", "AccessKeyId": "{id}", "SecretAccessKey": "s", "Token": "t", "Expiration": "{ends}"}}"#
    )
}

/// A little more than files are not looked at again.
const AGAIN: Duration = Duration::from_secs(301);
const FAR: &str = "2126-01-01T00:00:00Z";

#[test]
fn the_machine_gives_the_keys_of_its_role_and_its_region_for_a_token() {
    leak_checked_live(async || {
        let token = || {
            Step::of(Method::PUT, "/latest/api/token")
                .with_header("x-aws-ec2-metadata-token-ttl-seconds", "300")
                .body("T")
        };
        let server = ScriptedServer::start([
            token(),
            Step::get("/latest/dynamic/instance-identity/document")
                .with_header(TOKEN, "T")
                .json(r#"{"region": "eu-west-1"}"#),
            token(),
            Step::get(ROLES).with_header(TOKEN, "T").body("mine\nother\n"),
            Step::get(&format!("{ROLES}mine")).with_header(TOKEN, "T").json(json("i", FAR)),
        ])
        .await;
        let url = server.url("/");
        let account = account(&Who::default(), &system(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]));
        assert_eq!(&*account.region().await.expect("a region"), "eu-west-1");
        for _ in 0..2 {
            assert_eq!(*account.keys().await.expect("keys"), keys("i", "s", "t"));
            assert_eq!(&*account.region().await.expect("a region"), "eu-west-1");
        }
        server.finish().await;
    });
}

#[test]
fn a_machine_that_gives_no_token_is_asked_without_unless_that_is_forbidden() {
    leak_checked_live(async || {
        for status in [403, 404, 405] {
            let server = ScriptedServer::start([
                Step::of(Method::PUT, "/latest/api/token").status(status),
                Step::get(&format!("{ROLES}mine")).without_header(TOKEN).json(json("i", FAR)),
            ])
            .await;
            let url = server.url("");
            let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url), ("AWS_EC2_INSTANCE_PROFILE_NAME", "mine")];
            assert_eq!(account(&Who::default(), &system(&variables)).keys().await.expect("keys").id, "i");
            server.finish().await;
        }
        let server = ScriptedServer::start([Step::of(Method::PUT, "/latest/api/token").status(403)]).await;
        let url = server.url("");
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url), ("AWS_EC2_METADATA_V1_DISABLED", "true")];
        let told = told(&account(&Who::default(), &system(&variables))).await;
        assert!(
            told.contains("there are none of the metadata of the instance: server returned HTTP status 403"),
            "{told}"
        );
        server.then(Step::of(Method::PUT, "/latest/api/token").status(403));
        let region = account(&Who::default(), &system(&variables)).region().await.expect_err("no region");
        assert_eq!(region.code(), "cloud_aws_no_region");
        server.finish().await;
        let server = ScriptedServer::start([Step::of(Method::PUT, "/latest/api/token").status(400)]).await;
        let url = server.url("");
        let told = self::told(&account(&Who::default(), &system(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]))).await;
        assert!(told.contains("400"), "{told}");
        server.finish().await;
    });
}

#[test]
fn keys_of_the_machine_that_cannot_be_renewed_are_used_on() {
    leak_checked_live(async || {
        let token = || Step::of(Method::PUT, "/latest/api/token").any_times().body("T");
        let path = format!("{ROLES}mine");
        let server = ScriptedServer::start([
            token(),
            // They ended long ago, and are what there is.
            Step::get(&path).json(json("old", "2001-01-01T00:00:00Z")),
            Step::get(&path).status(500),
            Step::get(&path).json(json("new", FAR)),
        ])
        .await;
        let url = server.url("");
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url), ("AWS_EC2_INSTANCE_PROFILE_NAME", "mine")];
        let account = account(&Who::default(), &system(&variables));
        for want in ["old", "old", "new"] {
            let keys = account.keys().await.expect("keys");
            assert_eq!(keys.id, want);
            account.forget(&keys).await;
        }
        server.finish().await;
    });
}

#[test]
fn who_has_nothing_is_told_so() {
    leak_checked_live(async || {
        let nothing = account(&Who::default(), &system(&[("AWS_EC2_METADATA_DISABLED", "true")]));
        assert_eq!(
            told(&nothing).await,
            "cannot get a token: no credentials are configured, and the metadata of the instance are switched off"
        );
        let region = nothing.region().await.expect_err("no region").to_string();
        assert_eq!(region, "there is no region: set region, AWS_REGION or that of the profile");
        let server =
            ScriptedServer::start([Step::of(Method::PUT, "/latest/api/token").body("T"), Step::get(ROLES).status(404)])
                .await;
        let url = server.url("");
        let roleless = account(&Who::default(), &system(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]));
        let told = told(&roleless).await;
        assert!(told.contains("gives no keys: 404 Not Found: the instance has no role"), "{told}");
        server.finish().await;
    });
}

#[test]
fn the_agent_of_a_container_is_shown_its_token_as_it_is_now() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let file = folder.write("token", "one\n");
        let server = ScriptedServer::start([
            Step::get("/v1/credentials").with_header("authorization", "one").json(json("i", FAR)),
            Step::get("/v1/credentials").with_header("authorization", "two").json(json("j", FAR)),
            Step::get("/v1/credentials").status(400).json(r#"{"code": "InvalidToken", "message": "expired"}"#),
        ])
        .await;
        let url = server.url("/v1/credentials");
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().expect("a path")),
        ];
        let account = account(&Who::default(), &system(&variables));
        for want in ["i", "j"] {
            let keys = account.keys().await.expect("keys");
            assert_eq!(keys.id, want);
            account.forget(&keys).await;
            folder.replace("token", "two");
        }
        let refused = told(&account).await;
        assert!(refused.contains("the agent of the container gives no keys: InvalidToken: expired"), "{refused}");
        let asked = || Step::get("/v1/credentials").with_header("authorization", "two");
        for (step, want) in [
            (asked().body("<html>"), "it is not the JSON of keys"),
            (asked().status(502).body("<html>"), "HTTP status 502"),
            // Its token goes nowhere else.
            (asked().status(307).reply_header("location", "/elsewhere"), "HTTP status 307"),
        ] {
            server.then(step);
            let told = told(&account).await;
            assert!(told.contains(want), "{told}");
        }
        server.finish().await;
    });
}

fn credentials(id: &str) -> String {
    format!(
        "<Response><Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>role secret</SecretAccessKey>
         <SessionToken>session</SessionToken><Expiration>{FAR}</Expiration></Credentials></Result></Response>"
    )
}

#[test]
fn roles_are_assumed_with_signed_questions_to_sts() {
    leak_checked_live(async || {
        let aws = FakeAws::start().await;
        aws.know("mine", "secret", "");
        aws.know("first", "role secret", "session");
        aws.answer("AssumeRole", |call| match call.field("RoleArn") {
            Some("arn:first") => (200, credentials("first")),
            Some("arn:second") if call.field("ExternalId") == Some("e x") => (200, credentials("second")),
            _ => (403, query_error("AccessDenied")),
        });
        let folder = Folder::new();
        let config =
            folder.write("config", "[profile p]\nrole_arn = arn:first\nsource_profile = q\nduration_seconds = 1800\n");
        let keys_file = folder.write("credentials", "[q]\naws_access_key_id = mine\naws_secret_access_key = secret\n");
        let (url, path) = (aws.url(), |path: &Path| path.display().to_string());
        let (config, keys_file) = (path(&config), path(&keys_file));
        let system = system(&[
            ("AWS_CONFIG_FILE", &config),
            ("AWS_SHARED_CREDENTIALS_FILE", &keys_file),
            ("AWS_ENDPOINT_URL_STS", &url),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let who = Who {
            profile: "p".to_owned(),
            role_arn: "arn:second".to_owned(),
            external_id: "e x".to_owned(),
            ..Who::default()
        };
        let found = account(&who, &system).keys().await.expect("keys");
        assert_eq!(*found, keys("second", "role secret", "session"));
        let calls = aws.calls();
        let asked: Vec<_> =
            calls.iter().map(|call| (&*call.key, &*call.region, call.field("DurationSeconds"))).collect();
        assert_eq!(asked, [("mine", "eu-west-1", Some("1800")), ("first", "eu-west-1", Some("900"))]);
        assert_eq!(aws.refused(), [""; 0]);
        let denied = Who { external_id: String::new(), ..who };
        let refused = told(&account(&denied, &system)).await;
        assert!(refused.contains("STS gives no keys: AccessDenied: as a test wants it"), "{refused}");
        aws.answer("AssumeRole", |_| (503, "<html>busy</html>".to_owned()));
        let busy = told(&account(&denied, &system)).await;
        assert!(busy.contains("HTTP status 503"), "what is no answer of STS comes from something between: {busy}");
        aws.finish().await;
    });
}

#[test]
fn a_token_of_somebody_else_is_exchanged_as_it_is_now() {
    leak_checked_live(async || {
        let aws = FakeAws::start().await;
        aws.answer("AssumeRoleWithWebIdentity", |call| match call.field("WebIdentityToken") {
            Some("t1") => (200, credentials("one")),
            Some("t2") => (200, credentials("two")),
            _ => (400, query_error("InvalidIdentityToken")),
        });
        let folder = Folder::new();
        let file = folder.write("token", "t1\n");
        let url = aws.url();
        let system = system(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("a path")),
            ("AWS_ROLE_ARN", "arn:role"),
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let account = account(&Who::default(), &system);
        for (want, next) in [("one", "t2"), ("two", "t3")] {
            let keys = account.keys().await.expect("keys");
            assert_eq!(keys.id, want);
            account.forget(&keys).await;
            folder.replace("token", next);
        }
        assert!(told(&account).await.contains("InvalidIdentityToken"));
        assert!(aws.calls().iter().all(|call| call.key.is_empty() && call.field("RoleArn") == Some("arn:role")));
        aws.finish().await;
    });
}

#[test]
fn what_proves_to_others_who_asks_is_not_shown_to_sts() {
    leak_checked_live(async || {
        let sts =
            ScriptedServer::start([Step::post("/").without_header("authorization").body(credentials("one"))]).await;
        let folder = Folder::new();
        let (file, url) = (folder.write("token", "t1"), sts.url(""));
        let system = system(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("a path")),
            ("AWS_ROLE_ARN", "arn:role"),
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let settings = HttpClientConfig { bearer_token: "hunter2".into(), ..HttpClientConfig::default() };
        let account = Account::new(Who::default(), &settings, &system, None).expect("an account");
        assert_eq!(account.keys().await.expect("keys").id, "one");
        sts.finish().await;
    });
}

#[test]
fn a_signature_that_is_refused_costs_its_own_key_alone() {
    leak_checked(async || {
        let folder = Folder::new();
        let write = |id: &str| {
            folder.write("credentials", format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n"))
        };
        write("old");
        // In the home of whoever runs it.
        let (home, file) = (folder.root().display().to_string(), "~/credentials");
        let variables = [("AWS_SHARED_CREDENTIALS_FILE", file), ("HOME", &*home), ("AWS_REGION", "eu-west-1")];
        let signer = Signer::new(Arc::new(account(&Who::default(), &system(&variables))), "aps");
        let proof = async || {
            let mut request = Request::get(Url::parse("http://h/").expect("a URL"));
            signer.authorize(&mut request).await.expect("authorized");
            let proof = request.headers["authorization"].to_str().expect("text").to_owned();
            let scope = proof.split("Credential=").nth(1).and_then(|rest| rest.split(',').next()).expect("a scope");
            let parts: Vec<_> = scope.split('/').collect();
            assert_eq!(parts[2..], ["eu-west-1", "aps", "aws4_request"]);
            (parts[0].to_owned(), request)
        };
        let (id, first) = proof().await;
        assert_eq!(id, "old");
        write("new");
        assert_eq!(proof().await.0, "old");
        assert!(signer.refused(&first).await);
        assert_eq!(proof().await.0, "new");
        write("newest");
        assert!(signer.refused(&first).await, "another one may be there meanwhile");
        assert_eq!(proof().await.0, "new");
    });
}

#[test]
fn who_gives_no_keys_says_who_has_to_act_and_when_to_come_back() {
    let refused = |passes| AwsError::Refused { whose: "STS", code: "C".to_owned(), message: String::new(), passes };
    assert_eq!([true, false].map(|passes| refused(passes).priority()), [Priority::Retry, Priority::Operator]);
    let after = Duration::from_secs(7);
    let source = ClientError::Throttled {
        url: "http://sts/".to_owned(),
        status: http::StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(after),
    };
    let busy = AwsError::Unreachable { whose: "STS", source };
    assert_eq!((busy.priority(), busy.retry()), (Priority::Retry, Retry::After(after)));
    assert_eq!(AwsError::NothingConfigured.retry(), Retry::Backoff, "files come");
}

#[test]
fn what_those_say_who_give_no_keys_is_one_line_without_what_they_were_shown() {
    leak_checked_live(async || {
        let aws = FakeAws::start().await;
        aws.answer("AssumeRoleWithWebIdentity", |call| {
            let words = format!("not\n {} {}", call.field("WebIdentityToken").unwrap_or_default(), "x".repeat(999));
            (400, format!("<R><Error><Code>InvalidIdentityToken</Code><Message>{words}</Message></Error></R>"))
        });
        let folder = Folder::new();
        let file = folder.write("token", "hunter2\n");
        let (file, url) = (file.to_str().expect("a path"), aws.url());
        let system = system(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
            ("AWS_ROLE_ARN", "arn:role"),
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let told_by_sts = told(&account(&Who::default(), &system)).await;
        assert!(told_by_sts.contains("InvalidIdentityToken: not <secret> xxx"), "{told_by_sts}");
        assert!(told_by_sts.ends_with("x...") && told_by_sts.len() < 450, "{told_by_sts}");
        aws.finish().await;
        let server = ScriptedServer::start([
            Step::get("/v1").status(400).json(r#"{"code": "No", "message": "not\n hunter2"}"#),
            Step::of(Method::PUT, "/latest/api/token").body("hunter2"),
            Step::get(&format!("{ROLES}mine")).json(r#"{"Code": "Failed", "Message": "not\r\n hunter2"}"#),
        ])
        .await;
        let (agent, metadata) = (server.url("/v1"), server.url(""));
        let of_agent =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hunter2")];
        let of_machine = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata), ("AWS_EC2_INSTANCE_PROFILE_NAME", "mine")];
        for (variables, want) in [(of_agent, "No: not <secret>"), (of_machine, "Failed: not <secret>")] {
            let told = told(&account(&Who::default(), &self::system(&variables))).await;
            assert!(told.ends_with(want), "{told}");
        }
        server.finish().await;
    });
}

#[test]
fn commands_of_profiles_run_only_where_they_may() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let config = folder.write(
            "config",
            "[profile good]\ncredential_process = echo \"{\\\"Version\\\": 1, \\\"AccessKeyId\\\": \\\"$WHO\\\", \\\"SecretAccessKey\\\": \\\"s\\\"}\"\n\
             [profile old]\ncredential_process = echo '{\"Version\": 2}'\n\
             [profile bad]\ncredential_process = exit 7\n",
        );
        let config = config.display().to_string();
        let system = system(&[("AWS_CONFIG_FILE", &config), ("WHO", "me")]);
        let of = |profile: &str| Who { profile: profile.to_owned(), ..Who::default() };
        let told = told(&account(&of("good"), &system)).await;
        assert!(told.contains("--enable-exec-sd"), "{told}");
        let system = system.allowing_commands(true);
        assert_eq!(*account(&of("good"), &system).keys().await.expect("keys"), keys("me", "s", ""));
        for (profile, want) in [("old", "another Version than 1"), ("bad", "exit status: 7")] {
            let told = self::told(&account(&of(profile), &system)).await;
            assert!(told.contains(want), "{told}");
        }
    });
}

#[test]
fn keys_that_are_exchanged_in_a_file_are_found_without_a_restart() {
    leak_checked(async || {
        let folder = Folder::new();
        let write = |id: &str| {
            folder.write("credentials", format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n"))
        };
        let file = write("old").display().to_string();
        let variables = [("AWS_SHARED_CREDENTIALS_FILE", &*file), ("AWS_CONFIG_FILE", "/nowhere")];
        let account = account(&Who::default(), &system(&variables));
        assert_eq!(account.keys().await.expect("keys").id, "old");
        write("new");
        assert_eq!(account.keys().await.expect("keys").id, "old", "nothing is read for each request");
        tokio::time::advance(AGAIN).await;
        assert_eq!(account.keys().await.expect("keys").id, "new");
    });
}

#[test]
fn a_region_and_endpoints_of_files_that_change_count_without_a_restart_and_stay_while_there_are_none() {
    leak_checked(async || {
        let folder = Folder::new();
        let write =
            |name: &str| folder.write("config", format!("[default]\nregion = {name}\nendpoint_url = http://{name}\n"));
        let file = write("one");
        let variables = [("AWS_CONFIG_FILE", file.to_str().expect("a path")), ("AWS_EC2_METADATA_DISABLED", "true")];
        let account = account(&Who::default(), &system(&variables));
        let place = async || {
            let (region, url) =
                (account.region().await.expect("a region"), account.endpoint("ec2").await.expect("a URL"));
            format!("{region} {url}")
        };
        assert_eq!(place().await, "one http://one/");
        write("two");
        assert_eq!(place().await, "one http://one/", "nothing is read for each request");
        tokio::time::advance(AGAIN).await;
        assert_eq!(place().await, "two http://two/");
        folder.remove("config");
        tokio::time::advance(AGAIN).await;
        assert_eq!(place().await, "two http://two/", "what was known stays");
        write("three");
        assert_eq!(place().await, "two http://two/");
        tokio::time::advance(AGAIN).await;
        assert_eq!(place().await, "three http://three/");

        // What comes after it in the order is no answer to a file that is being written.
        let other = folder.write("credentials", "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n");
        let variables = [
            ("AWS_CONFIG_FILE", file.to_str().expect("a path")),
            ("AWS_SHARED_CREDENTIALS_FILE", other.to_str().expect("a path")),
            ("AWS_REGION", "elsewhere"),
        ];
        let who = Who { profile: "default".to_owned(), ..Who::default() };
        let account = self::account(&who, &system(&variables));
        assert_eq!(account.region().await.as_deref().expect("a region"), "three");
        folder.write("config", "");
        tokio::time::advance(AGAIN).await;
        assert_eq!(account.region().await.as_deref().expect("a region"), "three");
    });
}

#[test]
fn shared_files_that_are_not_there_say_nothing_and_those_that_cannot_be_read_are_told() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let home = folder.root().display().to_string();
        let off = ("AWS_EC2_METADATA_DISABLED", "true");
        let told = told(&account(&Who::default(), &system(&[("HOME", &home), off]))).await;
        assert!(told.contains("no credentials are configured"), "{told}");
        let told = self::told(&account(&Who::default(), &system(&[("AWS_CONFIG_FILE", &home), off]))).await;
        assert!(told.contains(&format!("cannot read {home}")), "{told}");
    });
}
