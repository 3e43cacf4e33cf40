//! What the APIs are asked, how that is signed, and what becomes of their answers.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use rosterd_credentials::sign::Rsa;
use rosterd_discovery::{CheckContext, MechanismConfig as _, Sheet, System};
use rosterd_model::Names;
use rosterd_testkit::contract::{Run, failures_in_turn, shared_by};
use rosterd_testkit::{
    Folder, Received, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::OciConfig;
use super::decode::{Decoder, Instance, Vnic};

fn config(text: &str) -> OciConfig {
    serde_yaml::from_str(text).expect(text)
}

fn pem() -> String {
    fixture("sign/rfc7515.pkcs8.pem")
}

#[test]
fn instances_become_labels() {
    let read = |name: &str| fixture(&format!("discovery/oci/{name}.json"));
    let instances: Vec<Instance> = serde_json::from_str(&read("instances")).expect("instances");
    let vnics: Vec<Vnic> = serde_json::from_str(&read("vnics")).expect("network cards");
    let mut decoder =
        Decoder { tenancy: "ocid1.tenancy.oc1..t", port: 9100, sheet: Sheet::default(), names: Names::new() };
    let groups: Vec<_> = instances.iter().zip(&vnics).filter_map(|(it, vnic)| decoder.group("t/a", it, vnic)).collect();
    assert_golden("discovery/oci/instances.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
    assert!(decoder.group("t/a", &instances[0], &Vnic::default()).is_none(), "it has no address");
}

/// Whether this is the signature of the request by that key, as the server would find out from what came in.
fn assert_signed(request: &Received, id: &str, public: &[u8]) {
    let proof = request.header("authorization").expect("a signature");
    let fields: BTreeMap<_, _> = proof
        .strip_prefix("Signature ")
        .expect(proof)
        .split("\",")
        .map(|field| field.split_once("=\"").expect(proof))
        .collect();
    assert_eq!((fields["keyId"], fields["algorithm"], fields["version"]), (id, "rsa-sha256", "1"));
    let line = |name: &str| match name {
        "(request-target)" => format!("{name}: {} {}", request.method.as_str().to_lowercase(), request.path),
        name => format!("{name}: {}", request.header(name).unwrap_or_else(|| panic!("{name} is missing"))),
    };
    let names: Vec<_> = fields["headers"].split(' ').collect();
    let needed = if request.method == "POST" { 6 } else { 3 };
    assert_eq!(names.len(), needed, "{names:?}");
    let text = names.into_iter().map(line).collect::<Vec<_>>().join("\n");
    let signature = STANDARD.decode(fields["signature"].trim_end_matches('"')).expect("base64");
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    verifier.verify(text.as_bytes(), &signature).unwrap_or_else(|_| panic!("not signed with the key: {text}"));
}

fn of(cloud: &ScriptedServer, folder: &Folder, more: &str) -> OciConfig {
    let key = folder.write("key.pem", pem());
    config(&format!(
        "{{region: eu-frankfurt-1, tenancy: t, user: u, fingerprint: f, key_file: '{}', endpoint: '{}', refresh_interval: 1h{more}}}",
        key.display(),
        cloud.url("")
    ))
}

#[test]
fn what_a_user_may_ask_is_shared_by_all_that_ask_as_this_user_and_keys_by_those_with_the_same_key_and_way() {
    let user = "region: r, tenancy: t, user: u, fingerprint: f, key_file: /k";
    let with = |text: &str| config(&format!("{{{text}}}"));
    let kept = |texts: &[String]| {
        let shared = shared_by(texts.iter().map(|text| with(text)));
        format!("{:?}, {:?}", shared.buckets, shared.keys)
    };
    let more = |more: &[&str]| more.iter().map(|more| format!("{user}{more}")).collect::<Vec<_>>();
    let jobs = ["", ", refresh_interval: 7m", ", port: 9", ", compartments: [c]", ", authorization: {credentials: c}"];
    assert_eq!(kept(&more(&jobs)), "1 kept, 1 kept");
    let ways = [
        "",
        ", key_passphrase: one",
        ", key_passphrase: two",
        ", proxy_url: 'http://u:one@proxy'",
        ", proxy_url: 'http://u:two@proxy'",
    ];
    assert_eq!(kept(&more(&ways)), "1 kept, 5 kept");
    let users = [("r", "u"), ("r", "v"), ("s", "u")];
    let users =
        users.map(|(region, user)| format!("region: {region}, tenancy: t, user: {user}, fingerprint: f, key_file: /k"));
    assert_eq!(kept(&users), "3 kept, 3 kept");
    let machines = ["", ", proxy_url: 'http://proxy'"].map(|more| format!("auth: instance_principal, region: r{more}"));
    assert_eq!(kept(&machines), "1 kept, 2 kept");
}

fn compartments(of: &str) -> String {
    format!("/20160918/compartments?accessLevel=ACCESSIBLE&compartmentId={of}&compartmentIdInSubtree=false&limit=100")
}

fn listed(what: &str, of: &str) -> String {
    format!("/20160918/{what}?compartmentId={of}&limit=100")
}

fn children(ids: &[&str]) -> String {
    let all: Vec<_> = ids.iter().map(|id| json!({"id": id, "lifecycleState": "ACTIVE"})).collect();
    json!(all).to_string()
}

/// One instance of this name, which is reached at that address.
fn holds(cloud: &ScriptedServer, compartment: &str, id: &str, address: &str) {
    let attachment = json!([
        {"instanceId": id, "vnicId": format!("{id}-gone"), "lifecycleState": "DETACHED"},
        {"instanceId": id, "vnicId": format!("{id}-second"), "lifecycleState": "ATTACHED"},
        {"instanceId": id, "vnicId": format!("{id}-first"), "lifecycleState": "ATTACHED"},
    ]);
    let route = |path: &str, body: Value| cloud.then(Step::get(path).any_times().json(body.to_string()));
    route(&listed("instances", compartment), json!([{"id": id, "compartmentId": compartment}]));
    route(&listed("vnicAttachments", compartment), attachment);
    route(&format!("/20160918/vnics/{id}-second"), json!({"id": "2", "isPrimary": false, "privateIp": "10.9.9.9"}));
    route(&format!("/20160918/vnics/{id}-first"), json!({"id": "1", "isPrimary": true, "privateIp": address}));
}

async fn told(run: &mut Run) -> Vec<String> {
    addresses(run.next().await.expect("a word").groups()).into_iter().collect()
}

#[test]
fn the_tree_of_compartments_is_walked_page_by_page_and_each_request_is_signed() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        let route = |path: &str| Step::get(path).any_times();
        let inactive = json!([{"id": "b", "lifecycleState": "ACTIVE"}, {"id": "gone", "lifecycleState": "DELETED"}]);
        cloud.then(route(&compartments("t")).json(children(&["a"])).reply_header("opc-next-page", "x y"));
        cloud.then(route(&format!("{}&page=x+y", compartments("t"))).json(inactive.to_string()));
        cloud.then(route(&compartments("a")).json(children(&["a1", "t"])));
        cloud.then(route(&compartments("b")).json("[]"));
        cloud.then(route(&compartments("a1")).json("[]"));
        cloud.then(route(&listed("instances", "t")).json("[]"));
        holds(&cloud, "a", "one", "10.0.0.1");
        holds(&cloud, "a1", "two", "10.0.0.2");
        cloud.then(route(&listed("instances", "b")).json("[]"));
        let mut run = Run::start(&of(&cloud, &folder, "")).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        let found: Vec<_> = word.groups().iter().map(|group| format!("{} {}", group.source, group.key)).collect();
        assert_eq!(found, ["t/a one", "t/a/a1 two"]);
        assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["10.0.0.1:80", "10.0.0.2:80"]);
        run.stop().await.expect("it ends").expect("in order");
        let public = Rsa::from_pem(pem().as_bytes()).and_then(|key| key.public_key()).expect("a key");
        for request in cloud.requests() {
            assert_signed(&request, "t/u/f", &public);
        }
        cloud.finish().await;
    });
}

#[test]
fn a_compartment_that_fails_hides_no_other_and_one_that_may_not_be_read_is_left_out() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        let route = |path: &str| Step::get(path).any_times();
        let not_found = r#"{"code": "NotAuthorizedOrNotFound", "message": "Authorization failed or requested resource not found."}"#;
        cloud.then(route(&compartments("t")).json(children(&["a", "b", "c", "d"])));
        cloud.then(route(&compartments("a")).status(404).json(not_found));
        cloud.then(route(&compartments("b")).status(500));
        cloud.then(route(&compartments("c")).json("[]"));
        cloud.then(route(&compartments("d")).json("[]"));
        cloud.then(route(&listed("instances", "t")).status(404).json(not_found));
        holds(&cloud, "a", "one", "10.0.0.1");
        holds(&cloud, "b", "two", "10.0.0.2");
        cloud.then(route(&listed("instances", "c")).status(500));
        holds(&cloud, "d", "three", "10.0.0.3");
        cloud.then(route("/20160918/vnics/three-first").status(500));
        let mut run = Run::start(&of(&cloud, &folder, "")).await.expect("it can be built");
        assert_eq!(told(&mut run).await, ["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["t/b/compartments", "t/c", "t/d"]);
        let warning = run.status().warning.expect("a warning").report;
        assert_eq!(warning.code, "sd_oci_not_allowed");
        assert!(warning.message.contains("2 compartments") && warning.message.ends_with("a, t"), "{warning}");
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn what_was_read_before_stays_when_it_may_not_be_read_any_more() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        let route = |path: &str| Step::get(path).any_times();
        let not_found = r#"{"code": "NotAuthorizedOrNotFound", "message": "Authorization failed or requested resource not found."}"#;
        cloud.then(route(&compartments("t")).json(children(&["a", "b", "c"])));
        for id in ["a", "b", "c"] {
            cloud.then(route(&compartments(id)).json("[]"));
            holds(&cloud, id, &format!("of-{id}"), &format!("10.0.0.{}", id.as_bytes()[0] - b'a' + 1));
        }
        cloud.then(route(&listed("instances", "t")).status(404).json(not_found));
        let mut config = of(&cloud, &folder, "");
        config.refresh_interval = "3s".parse().expect("a duration");
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]).await;
        assert_eq!(run.unread().count(), 0, "what never was is left out");
        // A card of one, all instances of another, and a third one is deleted.
        cloud.then(route("/20160918/vnics/of-a-first").status(404).json(not_found));
        cloud.then(route(&listed("instances", "b")).status(404).json(not_found));
        cloud.then(route(&compartments("t")).json(children(&["a", "b"])));
        run.finds(&["10.0.0.1:80", "10.0.0.2:80"]).await;
        eventually(patience(), "it is told", || {
            while run.try_next().is_some() {}
            run.unread().eq(["t/b"])
        })
        .await;
        // And all that are in the tenancy.
        cloud.then(route(&compartments("t")).status(404).json(not_found));
        eventually(patience(), "that is told, too", || {
            while run.try_next().is_some() {}
            run.unread().any(|source| source == "t/compartments")
        })
        .await;
        run.finds(&["10.0.0.1:80", "10.0.0.2:80"]).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn compartments_that_are_named_are_all_that_is_looked_into_and_have_to_be_there() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        holds(&cloud, "a", "one", "10.0.0.1");
        cloud.then(Step::get(&listed("instances", "b")).any_times().status(404).json("{}"));
        let mut run = Run::start(&of(&cloud, &folder, ", compartments: [a, b, a]")).await.expect("it can be built");
        assert_eq!(told(&mut run).await, ["10.0.0.1:80"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["b"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

async fn failure(config: &OciConfig) -> String {
    failures_in_turn(&System::default(), std::slice::from_ref(config)).await.remove(0)
}

#[test]
fn a_user_who_asks_too_much_asks_less_in_all_jobs() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        let busy = Step::get(&listed("instances", "a")).any_times().status(429);
        cloud.then(busy.reply_header("retry-after", "300"));
        let of = |more: &str| of(&cloud, &folder, &format!(", compartments: [a]{more}"));
        let configs = [of(""), of(", port: 9"), OciConfig { user: "other".to_owned(), ..of("") }];
        let told = failures_in_turn(&System::default(), &configs).await;
        assert_eq!(told, ["http_throttled", "sd_rest_slowed_down", "http_throttled"]);
        cloud.finish().await;
    });
}

#[test]
fn what_cannot_be_signed_or_is_refused_is_told() {
    leak_checked_live(async || {
        let (cloud, folder) = (ScriptedServer::start([]).await, Folder::new());
        let good = of(&cloud, &folder, ", compartments: [a]");
        for (key, code) in [("", "sd_rest_no_token"), ("/none", "sd_rest_no_token")] {
            let file = folder.write("other.pem", key);
            let key_file = if key.is_empty() { file } else { key.into() };
            assert_eq!(failure(&OciConfig { key_file, ..good.clone() }).await, code);
        }
        let locked =
            OciConfig { key_file: folder.write("locked.pem", fixture("sign/rfc7515.locked.pem")), ..good.clone() };
        assert_eq!(failure(&locked).await, "sd_rest_no_token");
        for (status, code) in
            [(401, "sd_rest_token_refused"), (429, "http_throttled"), (500, "http_status"), (404, "http_status")]
        {
            cloud.then(Step::get(&listed("instances", "a")).any_times().status(status).json("{}"));
            assert_eq!(failure(&good).await, code, "{status}");
        }
        cloud.then(Step::get(&listed("instances", "a")).any_times().json("{}"));
        assert_eq!(failure(&good).await, "sd_rest_malformed");
        let phrase = folder.write("phrase", "let me in\r\n");
        let opened = OciConfig { key_passphrase_file: phrase, ..locked };
        assert_eq!(failure(&opened).await, "sd_rest_malformed", "it signs");
        cloud.finish().await;
    });
}

/// A certificate of a machine of the tenancy `t`, with its key.
fn machine() -> (String, String, Vec<u8>) {
    let key = Rsa::from_pem(pem().as_bytes()).and_then(|key| key.public_key()).expect("a key");
    let signing = KeyPair::from_pem_and_sign_algo(&pem(), &PKCS_RSA_SHA256).expect("a key");
    let mut params = CertificateParams::new(["machine".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "ocid1.instance.oc1..i");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "opc-tenant:t");
    (params.self_signed(&signing).expect("signed").pem(), pem(), key)
}

fn body_of(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn a_machine_asks_as_itself_with_a_key_that_its_certificate_vouches_for() {
    leak_checked_live(async || {
        let cloud = ScriptedServer::start([]).await;
        let (certificate, key, public) = machine();
        let told = |path: &str, body: &str| {
            let step = Step::get(&format!("/opc/v2/{path}")).any_times().with_header("authorization", "Bearer Oracle");
            cloud.then(step.body(body.to_owned()));
        };
        told("instance/region", "fra\n");
        told("identity/cert.pem", &certificate);
        told("identity/key.pem", &key);
        told("identity/intermediate.pem", &certificate);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp": 4102444800}"#);
        let token = format!("e30.{claims}.c2ln");
        cloud.then(Step::post("/v1/x509").any_times().json(json!({"token": token}).to_string()));
        cloud.then(Step::get(&compartments("t")).any_times().json("[]"));
        holds(&cloud, "t", "one", "10.0.0.1");
        let text = format!(
            "{{auth: instance_principal, region: eu-frankfurt-1, endpoint: '{}', refresh_interval: 1h}}",
            cloud.url("")
        );
        let system = System::new("machine", [("OCI_METADATA_BASE_URL", cloud.url("/opc/v2"))].into_iter().collect());
        let mut run = Run::start_on(&system, &config(&text)).await.expect("it can be built");
        assert_eq!(self::told(&mut run).await, ["10.0.0.1:80"]);
        run.stop().await.expect("it ends").expect("in order");
        let requests = cloud.requests();
        let federation = requests.iter().find(|request| request.path == "/v1/x509").expect("it asked");
        let body: Value = serde_json::from_slice(&federation.body).expect("JSON");
        assert_eq!(body["certificate"], json!(body_of(&certificate)));
        assert_eq!(body["intermediateCertificates"], json!([body_of(&certificate)]));
        let der = STANDARD.decode(body_of(&certificate)).expect("base64");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        let hash: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_signed(federation, &format!("t/fed-x509-sha256/{}", hash.join(":")), &public);
        let session = STANDARD.decode(body["publicKey"].as_str().expect("a key")).expect("base64");
        assert_ne!(session, public);
        let asked: Vec<_> = requests.iter().filter(|request| request.path.starts_with("/20160918/")).collect();
        assert_eq!(asked.len(), 5);
        for request in asked {
            assert_signed(request, &format!("ST${token}"), &session);
        }
        cloud.finish().await;
    });
}

#[test]
fn what_cannot_be_is_refused() {
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    let key = "region: r, tenancy: t, user: u, fingerprint: f, key_file: k";
    for (text, want) in [
        ("{tenancy: t, user: u, fingerprint: f, key_file: k}".to_owned(), "cfg_missing_key region"),
        ("{region: r, user: u, fingerprint: f, key_file: k}".to_owned(), "cfg_missing_key tenancy"),
        ("{region: r, tenancy: t, user: u, fingerprint: f}".to_owned(), "cfg_missing_key key_file"),
        (format!("{{{key}, key_passphrase: p, key_passphrase_file: f}}"), "cfg_conflicting_keys key_passphrase_file"),
        ("{auth: instance_principal, region: r, user: u}".to_owned(), "cfg_conflicting_keys user"),
        ("{auth: instance_principal, region: r, key_passphrase: p}".to_owned(), "cfg_conflicting_keys key_passphrase"),
        (format!("{{{key}, compartments: [a, '']}}"), "cfg_empty_entry compartments[1]"),
        (format!("{{{}}}", key.replace("region: r", "region: 'a b'")), "cfg_invalid_value region"),
        (format!("{{{key}, endpoint: 'iaas'}}"), "cfg_invalid_value endpoint"),
    ] {
        assert_eq!(problems(&text), [want], "{text}");
    }
    assert_eq!(problems(&format!("{{{key}, key_passphrase: p}}")), [""; 0]);
    assert_eq!(problems("{auth: instance_principal, region: oci.test:8443}"), [""; 0]);
    assert!(serde_yaml::from_str::<OciConfig>("{auth: invalid}").is_err());
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    assert_eq!(config("{auth: api_key, region: '', port: 80, refresh_interval: 60s}"), OciConfig::default());
}
