//! Who asks: by the configuration, a file or the environment.

use std::collections::BTreeSet;

use rosterd_client::{Environment, Secret};
use rosterd_discovery::{Identity, MechanismConfig, System};
use rosterd_testkit::contract::{self, Run};
use rosterd_testkit::{Folder, ScriptedServer, addresses, leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{HYPERVISOR, HYPERVISORS, asked, config, failure, login, of, stop};
use crate::{OpenstackConfig, credentials};

#[test]
fn each_way_to_prove_who_one_is_is_told_as_keystone_wants_it() {
    let user = json!({"name": "me", "domain": {"name": "Default"}, "password": "p"});
    let by_password = |user: Value| json!({"methods": ["password"], "password": {"user": user}});
    for (keys, identity, scope) in [
        ("username: me, password: p, domain_name: Default", by_password(user.clone()), None),
        (
            "username: me, password: p, domain_id: d, project_name: n",
            by_password(json!({"name": "me", "domain": {"id": "d"}, "password": "p"})),
            Some(json!({"project": {"name": "n", "domain": {"id": "d"}}})),
        ),
        (
            "userid: u, password: p, project_id: i, project_name: n",
            by_password(json!({"id": "u", "password": "p"})),
            Some(json!({"project": {"id": "i"}})),
        ),
        ("username: me, password: p, domain_name: Default, application_credential_id: c", by_password(user), None),
        (
            "token: t, project_name: n, domain_name: Staff",
            json!({"methods": ["token"], "token": {"id": "t"}}),
            Some(json!({"project": {"name": "n", "domain": {"name": "Staff"}}})),
        ),
        (
            "application_credential_id: c, application_credential_secret: s, project_id: i",
            json!({"methods": ["application_credential"], "application_credential": {"id": "c", "secret": "s"}}),
            None,
        ),
        (
            "application_credential_name: c, application_credential_secret: s, username: me, domain_id: d",
            json!({"methods": ["application_credential"], "application_credential":
                {"name": "c", "secret": "s", "user": {"name": "me", "domain": {"id": "d"}}}}),
            None,
        ),
        (
            "application_credential_name: c, application_credential_secret: s, userid: u",
            json!({"methods": ["application_credential"], "application_credential":
                {"name": "c", "secret": "s", "user": {"id": "u"}}}),
            None,
        ),
    ] {
        let config = config(&format!("{{{keys}}}"));
        let mut want = json!({"auth": {"identity": identity}});
        if let Some(scope) = scope {
            want["auth"]["scope"] = scope;
        }
        assert_eq!(credentials::request(&config, &Secret::new("t")), want, "{keys}");
    }
}

#[test]
fn who_asks_as_the_same_logs_in_once_for_all_jobs_and_over_a_reload() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let hypervisors = |token: &str| server.then(asked(HYPERVISORS, token).any_times().json(HYPERVISOR));
        server.then(login(&server, "one"));
        hypervisors("one");
        let equipment = contract::equipment(&System::default(), &OpenstackConfig::default());
        let start = |more: &str| {
            let config = of(&server, &format!("role: hypervisor, {more}"));
            Run::of(equipment.of(OpenstackConfig::MECHANISM).build(&config, "openstack/1").expect("it is built"))
        };
        let shown = async |more: [&str; 2], ports: [&str; 2]| {
            let mut runs = more.map(start);
            for (run, port) in runs.iter_mut().zip(ports) {
                let word = run.next().await.expect("a word");
                assert_eq!(Vec::from_iter(addresses(word.groups())), [format!("10.0.0.1:{port}")]);
            }
            for run in runs {
                stop(run).await;
            }
        };
        shown(["port: 1", "port: 2"], ["1", "2"]).await;
        // A reload builds them anew.
        shown(["port: 3", "all_tenants: true"], ["3", "80"]).await;
        // Whoever asks as somebody else, or in another way, has a token of its own.
        server.then(login(&server, "two"));
        hypervisors("two");
        shown(["project_name: p, port: 4", "project_name: p, port: 5"], ["4", "5"]).await;
        server.then(login(&server, "three"));
        hypervisors("three");
        let other = "tls_config: {insecure_skip_verify: true}";
        shown([other, other], ["80", "80"]).await;
        equipment.end(Instant::now() + patience()).await;
        server.finish().await;
    });
}

#[test]
fn a_token_of_a_file_is_read_whenever_keystone_is_asked() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let server = ScriptedServer::start([]).await;
        let proof =
            |token: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}).to_string();
        let text = format!(
            "{{identity_endpoint: '{}', token_file: token, region: One, role: hypervisor, refresh_interval: 1s}}",
            server.url("")
        );
        let mut config = config(&text);
        config.resolve_paths(&folder.path(""));
        assert_eq!(failure(&config).await.causes[0], format!("cannot read {}", folder.path("token").display()));
        folder.write("token", "first\n");
        server.then(login(&server, "one").with_body(proof("first")));
        server.then(asked(HYPERVISORS, "one").json(HYPERVISOR));
        for step in [
            asked(HYPERVISORS, "one").status(401),
            login(&server, "two").with_body(proof("second")),
            asked(HYPERVISORS, "two").json(HYPERVISOR),
        ] {
            server.then(step);
        }
        server.then(asked(HYPERVISORS, "two").any_times().json(HYPERVISOR));
        let mut run = Run::start(&config).await.expect("it is built");
        run.next().await.expect("a word");
        folder.write("token", "second");
        run.next().await.expect("a word");
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn without_keystone_in_the_configuration_the_environment_says_who_asks() {
    let of = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().map(|(name, value)| (*name, *value)).collect();
        credentials::of_environment(&config("{region: One, password: mine}"), &environment)
    };
    let url = ("OS_AUTH_URL", "http://keystone/v3");
    let found = of(&[
        url,
        ("OS_USERNAME", "me"),
        ("OS_PASSWORD", "p"),
        ("OS_DOMAIN_NAME", "d"),
        ("OS_TENANT_NAME", "old"),
        ("OS_PROJECT_NAME", "new"),
    ])
    .expect("complete");
    let request = credentials::request(&found, &Secret::default());
    assert_eq!(request["auth"]["identity"]["password"]["user"]["password"], "p");
    assert_eq!(request["auth"]["scope"]["project"]["name"], "new");
    assert_eq!(found.region, "One");
    // As files of Horizon have it.
    for (domain, expected) in [
        (&[("OS_USER_DOMAIN_NAME", "u"), ("OS_PROJECT_DOMAIN_ID", "i")][..], ("u", "")),
        (&[("OS_PROJECT_DOMAIN_ID", "i")], ("", "i")),
        (&[("OS_DOMAIN_ID", "d"), ("OS_USER_DOMAIN_NAME", "u")], ("", "d")),
    ] {
        let user = [url, ("OS_USERNAME", "me"), ("OS_PASSWORD", "p")];
        let found = of(&[&user, domain].concat()).expect("complete");
        assert_eq!((&*found.domain_name, &*found.domain_id), expected);
    }
    let system =
        of(&[url, ("OS_USERID", "u"), ("OS_PASSWORD", "p"), ("OS_SYSTEM_SCOPE", "all"), ("OS_PROJECT_ID", "i")]);
    let request = credentials::request(&system.expect("complete"), &Secret::default());
    assert_eq!(request["auth"]["scope"], json!({"system": {"all": true}}));
    let told = |variables: &[(&str, &str)]| {
        use rosterd_model::Coded as _;
        let error = of(variables).expect_err("it is not complete");
        (error.code(), error.to_string())
    };
    assert_eq!(told(&[("OS_USERNAME", "me")]).0, "sd_openstack_no_keystone");
    let (code, message) = told(&[url, ("OS_USERNAME", "me"), ("OS_PASSWORD", "hunter2")]);
    assert_eq!(code, "sd_openstack_environment");
    assert!(message.ends_with("count within a domain: give OS_DOMAIN_NAME or OS_DOMAIN_ID"), "{message}");
    let (_, message) = told(&[url, ("OS_APPLICATION_CREDENTIAL_ID", "i")]);
    assert!(message.ends_with(": OS_APPLICATION_CREDENTIAL_SECRET is missing"), "{message}");
    let (_, message) = told(&[url, ("OS_USERNAME", "me"), ("OS_USERID", "i"), ("OS_PASSWORD", "p")]);
    assert!(message.ends_with(": give either OS_USERNAME or OS_USERID"), "{message}");
}

#[test]
fn all_that_the_environment_says_of_who_asks_counts_and_nothing_of_the_configuration() {
    let identity = |variables: &[(&str, &str)]| {
        let written = "{region: One, username: mine, password: mine, token: mine, token_file: mine, application_credential_id: mine}";
        let environment = [("OS_AUTH_URL", "http://k")].iter().chain(variables).copied().collect();
        let found = credentials::of_environment(&config(written), &environment).expect("complete");
        credentials::request(&found, &found.token)["auth"].clone()
    };
    let by_credential =
        |it: Value| json!({"identity": {"methods": ["application_credential"], "application_credential": it}});
    let secret = ("OS_APPLICATION_CREDENTIAL_SECRET", "s");
    assert_eq!(
        identity(&[("OS_APPLICATION_CREDENTIAL_ID", "c"), secret]),
        by_credential(json!({"id": "c", "secret": "s"}))
    );
    assert_eq!(
        identity(&[("OS_APPLICATION_CREDENTIAL_NAME", "n"), ("OS_USERID", "u"), secret]),
        by_credential(json!({"name": "n", "secret": "s", "user": {"id": "u"}}))
    );
    let user = [("OS_USERID", "u"), ("OS_PASSWORD", "p")];
    let by_password = json!({"methods": ["password"], "password": {"user": {"id": "u", "password": "p"}}});
    for (project, id) in [
        (&[("OS_TENANT_ID", "old")][..], "old"),
        (&[("OS_TENANT_ID", "old"), ("OS_PROJECT_ID", "new"), ("OS_PROJECT_NAME", "n")], "new"),
    ] {
        let want = json!({"identity": by_password, "scope": {"project": {"id": id}}});
        assert_eq!(identity(&[&user, project].concat()), want);
    }
    let by_name = [("OS_TENANT_NAME", "old"), ("OS_DOMAIN_ID", "d")];
    let user = [("OS_USERNAME", "me"), ("OS_PASSWORD", "p")];
    let scope = json!({"project": {"name": "old", "domain": {"id": "d"}}});
    assert_eq!(identity(&[&user, &by_name[..]].concat())["scope"], scope);
}

#[test]
fn a_user_who_is_given_by_an_id_needs_no_domain_of_the_environment() {
    let variables =
        [("OS_AUTH_URL", "http://k"), ("OS_PASSWORD", "p"), ("OS_USERID", "u"), ("OS_USER_DOMAIN_NAME", "Default")];
    let found = credentials::of_environment(&config("{region: One}"), &variables.into_iter().collect());
    let found = found.expect("complete");
    assert_eq!((&*found.userid, &*found.domain_name), ("u", ""));
}

#[test]
fn whom_the_environment_names_counts_as_whom_the_configuration_does() {
    let data = |text: &str, variables: &[(&str, &str)]| {
        let environment = variables.iter().map(|(name, value)| (*name, *value)).collect();
        let mut identity = Identity::new();
        config(text).identity_on(&mut identity, &System::new("machine", environment));
        identity.hash()
    };
    let me = [("OS_AUTH_URL", "http://k"), ("OS_USERNAME", "me"), ("OS_PASSWORD", "p"), ("OS_DOMAIN_NAME", "d")];
    let of = |more: &[(&str, &str)]| data("{region: One}", &[&me[..], more].concat());
    let said = "{region: One, identity_endpoint: 'http://k', username: me, password: p, domain_name: d}";
    assert_eq!(of(&[]), data(said, &[("OS_AUTH_URL", "http://other")]));
    let all = [
        of(&[]),
        of(&[("OS_AUTH_URL", "http://other")]),
        of(&[("OS_PASSWORD", "q")]),
        of(&[("OS_PROJECT_ID", "i")]),
        of(&[("OS_SYSTEM_SCOPE", "all")]),
        data("{region: One}", &[]),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
}
