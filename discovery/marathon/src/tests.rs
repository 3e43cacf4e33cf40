//! What Marathon is asked, and what becomes of its answers.

use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    Folder, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};

use super::{MarathonConfig, decode};
use rosterd_discovery::MechanismConfig as _;

const PATH: &str = "/v2/apps/?embed=apps.tasks";
const ONE: &str = r#"{"apps": [{"id": "/a", "tasks": [{"id": "t", "host": "a", "ports": [1]}]}]}"#;

fn config(text: &str) -> MarathonConfig {
    serde_yaml::from_str(text).expect(text)
}

async fn failure(config: &MarathonConfig) -> String {
    let run = Run::start(config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let code = run.status().last_error.expect("there is one").report.code;
    run.stop().await.expect("it ends").expect("in order");
    code
}

#[test]
fn tasks_become_labels() {
    let groups = decode::groups(fixture("discovery/marathon/apps.json").as_bytes()).expect("groups");
    assert_golden("discovery/marathon/apps.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn the_token_of_a_file_is_read_for_each_question() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("token", "one\n");
        let step = |token: &str| Step::get(PATH).with_header("authorization", &format!("token={token}")).json(ONE);
        let server = ScriptedServer::start([step("one")]).await;
        let mut config =
            config(&format!("{{servers: ['{}'], auth_token_file: token, refresh_interval: 3s}}", server.url("")));
        config.resolve_paths(&folder.path(""));
        let mut run = Run::start(&config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        folder.write("token", "two");
        server.then(step("two").any_times());
        run.next().await.expect("a word");
        run.stop().await.expect("it ends").expect("in order");
        folder.remove("token");
        assert_eq!(failure(&config).await, "sd_marathon_token_unreadable");
        folder.write("token", "a\nb");
        assert_eq!(failure(&config).await, "sd_marathon_token_invalid");
        server.finish().await;
    });
}

#[test]
fn a_server_that_fails_is_followed_by_the_next_one() {
    leak_checked_live(async || {
        let broken = ScriptedServer::start([Step::get(PATH).status(503)]).await;
        let whole = ScriptedServer::start([
            Step::get(PATH).with_header("authorization", "token=t").json(ONE).in_parts(5),
            Step::get(PATH).any_times().json(ONE),
        ])
        .await;
        let servers = format!("['{}', '{}']", broken.url(""), whole.url(""));
        let config = config(&format!("{{servers: {servers}, auth_token: t, refresh_interval: 3s}}"));
        let mut run = Run::start(&config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        run.next().await.expect("a word");
        assert!(run.status().last_error.is_none());
        run.stop().await.expect("it ends").expect("in order");
        broken.finish().await;
        whole.finish().await;
    });
}

#[test]
fn refusals_and_malformed_answers_are_told() {
    leak_checked_live(async || {
        let route = || Step::get(PATH).any_times();
        for (step, code) in [
            (route().status(401), "http_unauthorized"),
            (route().status(403), "http_unauthorized"),
            (route().status(429).reply_header("retry-after", "17"), "http_throttled"),
            (route().json(ONE).truncate(20), "http_broken"),
            (route().json(r#"{"apps": {}}"#), "sd_rest_malformed"),
            (route().json(r#"{"message": "no leader"}"#), "sd_rest_malformed"),
        ] {
            let server = ScriptedServer::start([step]).await;
            let config = config(&format!("{{servers: ['{}'], refresh_interval: 1h}}", server.url("/")));
            assert_eq!(failure(&config).await, code);
            server.finish().await;
        }
    });
}
