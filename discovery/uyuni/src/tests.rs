//! What Uyuni is asked, and what becomes of its answers.

use std::process::Command;

use rosterd_discovery::Word;
use rosterd_model::{Priority, Retry};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    Process, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, need, patience,
    xmlrpc_answer, xmlrpc_fault,
};
use serde_json::{Value as Json, json};

use super::UyuniConfig;
use super::rpc::{Value, answer};
use super::systems::{endpoints, groups, networks, systems};

fn read<T>(body: &str, read: impl FnOnce(Value<'_>) -> Result<T, rosterd_rest::Fault>) -> T {
    answer(body.as_bytes(), read).expect("it can be read").expect("it is no fault")
}

#[test]
fn endpoints_of_systems_become_labels() {
    let fixture = |name: &str| fixture(&format!("discovery/uyuni/{name}.xml"));
    let systems = read(&fixture("systems"), systems);
    let (endpoints, networks) = (read(&fixture("endpoints"), endpoints), read(&fixture("networks"), networks));
    let groups = groups(&systems, &networks, endpoints, ", ");
    assert_golden("discovery/uyuni/groups.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

/// A call of a method with these parameters, as it is written.
fn called(method: &str, parameters: &[&str]) -> Step {
    let parameters: String = parameters.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>{parameters}</params></methodCall>"
    );
    Step::post("/manager/rpc/api").with_header("content-type", "text/xml").with_body(body)
}

fn login() -> Step {
    called("auth.login", &["<string>me</string>", "<string>hunter2 &amp; more</string>", "<int>600</int>"])
}

fn text(text: &str) -> String {
    format!("<string>{text}</string>")
}

fn list_systems(session: &str) -> Step {
    let method = "system.listSystemGroupsForSystemsWithEntitlement";
    called(method, &[&text(session), &text("monitoring_entitled")])
}

/// A call about systems.
fn about(method: &str, session: &str, systems: &[i64]) -> Step {
    let systems: String = systems.iter().map(|system| format!("<value><int>{system}</int></value>")).collect();
    called(method, &[&text(session), &format!("<array><data>{systems}</data></array>")])
}

fn answered(step: Step, result: &Json) -> Step {
    step.reply_header("content-type", "text/xml").body(xmlrpc_answer(result))
}

/// All that is asked in a session, of one system with one exporter.
fn one(session: &str, host: &str) -> [Step; 3] {
    [
        answered(list_systems(session), &json!([{"id": 7, "system_groups": [{"id": 1, "name": "g"}]}])),
        answered(
            about("system.monitoring.listEndpoints", session, &[7]),
            &json!([{"system_id": 7, "endpoint_name": "e", "port": 9100, "exporter_name": "x", "tls_enabled": true, "module": null}]),
        ),
        answered(
            about("system.getNetworkForSystems", session, &[7]),
            &json!([{"system_id": 7, "hostname": host, "primary_fqdn": "", "ip": "192.0.2.1"}]),
        ),
    ]
}

async fn start(server: &ScriptedServer, interval: &str) -> Run {
    let text = format!(
        "{{server: '{}', username: me, password: hunter2 & more, refresh_interval: {interval}}}",
        server.url("//manager/")
    );
    let config: UyuniConfig = serde_yaml::from_str(&text).expect("a configuration");
    Run::start(&config).await.expect("it can be built")
}

async fn stop(run: Run, server: ScriptedServer) {
    run.stop().await.expect("it ends").expect("in order");
    server.finish().await;
}

/// Waits for a picture that has this address alone.
async fn shows(run: &mut Run, address: &str) {
    let shown = async {
        while addresses(run.picture()).into_iter().ne([address.to_owned()]) {
            run.next().await.expect("a word");
        }
    };
    tokio::time::timeout(patience(), shown).await.expect("it is shown in time");
}

#[test]
fn one_session_serves_until_it_is_not_known_any_more() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([answered(login(), &json!("1x"))]).await;
        one("1x", "a").into_iter().chain(one("1x", "b")).for_each(|step| server.then(step));
        // It forgets its sessions when it is started again.
        let gone = "unhandled internal exception: Could not find session with id: 1";
        server.then(list_systems("1x").body(xmlrpc_fault(-1, gone)));
        server.then(answered(login(), &json!("2x")));
        one("2x", "c").into_iter().for_each(|step| server.then(step.any_times()));
        let mut run = start(&server, "3s").await;
        for address in ["a:9100", "b:9100", "c:9100"] {
            shows(&mut run, address).await;
        }
        assert!(run.status().last_error.is_none(), "{:?}", run.status().last_error);
        server.wait_steps().await;
        stop(run, server).await;
    });
}

#[test]
fn after_any_failure_the_next_reading_has_a_session_of_its_own() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([answered(login(), &json!("1x"))]).await;
        server.then(list_systems("1x").body(xmlrpc_fault(-1, "in words that nobody knows")));
        server.then(answered(login(), &json!("2x")));
        server.then(list_systems("2x").status(502));
        server.then(answered(login(), &json!("3x")));
        one("3x", "a").into_iter().for_each(|step| server.then(step.any_times()));
        let mut run = start(&server, "3s").await;
        shows(&mut run, "a:9100").await;
        server.wait_steps().await;
        stop(run, server).await;
    });
}

#[test]
fn without_systems_nothing_more_is_asked() {
    leak_checked_live(async || {
        let steps = [answered(login(), &json!("1x")), answered(list_systems("1x"), &json!([]))];
        let server = ScriptedServer::start(steps).await;
        let mut run = start(&server, "1h").await;
        assert_eq!(run.next().await.expect("a word").groups(), []);
        stop(run, server).await;
    });
}

/// The error of a reading: its code and words, and how it is met.
async fn failure(steps: impl IntoIterator<Item = Step>, interval: &str) -> (String, String, Priority, Retry) {
    let server = ScriptedServer::start(steps).await;
    let run = start(&server, interval).await;
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("it failed").report;
    stop(run, server).await;
    let words = std::iter::once(report.message).chain(report.causes).collect::<Vec<_>>().join(": ");
    (report.code.to_string(), words, report.priority, report.retry)
}

#[test]
fn refusals_of_the_login_are_told_without_the_password() {
    leak_checked_live(async || {
        let said = "Either the password\n(hunter2 & more) or username is incorrect.";
        let (code, words, priority, _) = failure([login().body(xmlrpc_fault(2950, said))], "1h").await;
        assert_eq!((code.as_str(), priority), ("sd_rest_no_token", Priority::Operator));
        let want = "refuses auth.login: fault 2950: Either the password (<secret>) or username is incorrect.";
        assert!(words.contains(want) && !words.contains("hunter2"), "{words}");
        for (step, cause) in [
            (login().status(401), "401"),
            (login().status(403), "403"),
            (login().status(404).body("no hunter2 &amp; more here"), "404"),
            (login().body("<html><body>hunter2 & more</body></html>"), "not what its API promises"),
            (login().body(xmlrpc_answer(&json!({"a": 1}))), "expected a text, found <struct>"),
            (login().body(xmlrpc_answer(&json!(""))), "session is empty"),
        ] {
            let (code, words, ..) = failure([step], "1h").await;
            assert!(
                code == "sd_rest_no_token" && words.contains(cause) && !words.contains("hunter2"),
                "{code} {words}"
            );
        }
        let (_, _, _, retry) = failure([login().status(429).reply_header("retry-after", "17")], "1h").await;
        assert_eq!(retry, Retry::After(std::time::Duration::from_secs(17)));
    });
}

#[test]
fn what_fails_within_a_session_is_told_and_takes_nothing_away() {
    leak_checked_live(async || {
        let entered = || answered(login(), &json!("1x"));
        let asked = || list_systems("1x");
        let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><methodResponse>&b;</methodResponse>";
        for (step, code) in [
            (asked().status(403), "http_unauthorized"),
            (asked().status(500), "http_status"),
            (asked().status(503), "http_throttled"),
            (asked().close(), "http_broken"),
            (asked().body(xmlrpc_answer(&json!([]))).truncate(40), "http_broken"),
            (asked().body(xmlrpc_answer(&json!([{"id": 7}])).as_bytes()[..150].to_vec()), "sd_rest_malformed"),
            (asked().body(xmlrpc_answer(&json!("text"))), "sd_rest_malformed"),
            (asked().body(xmlrpc_answer(&json!([{"id": "7"}]))), "sd_rest_malformed"),
            (asked().body(bomb), "sd_rest_malformed"),
            (asked().body(xmlrpc_fault(-23, "You do not have permissions")), "sd_uyuni_fault"),
        ] {
            let name = format!("{step:?}");
            assert_eq!(failure([entered(), step], "1h").await.0, code, "{name}");
        }
        assert_eq!(failure([entered(), asked().stall()], "1s").await.0, "http_timeout");
        // Not even a new session is known.
        let again = || asked().body(xmlrpc_fault(-1, "Could not find session with id: 1x and more"));
        let (code, words, ..) = failure([entered(), again(), entered(), again()], "1h").await;
        assert_eq!(code, "sd_rest_token_refused", "{words}");
    });
}

#[test]
fn what_a_session_is_called_is_not_told() {
    leak_checked_live(async || {
        let session = "4711x0123456789abcdef";
        let said = format!("{}{session} may not do this", "x ".repeat(145));
        let steps = [answered(login(), &json!(session)), list_systems(session).body(xmlrpc_fault(5, &said))];
        let (code, words, ..) = failure(steps, "1h").await;
        assert!(code == "sd_uyuni_fault" && words.contains("<secr") && !words.contains("4711"), "{code} {words}");
    });
}

/// XML-RPC as Python has it: a server that gives back, as the group of a system, who logged in and for how long.
const PYTHON: &str = r#"
import sys
from xmlrpc.server import SimpleXMLRPCServer, SimpleXMLRPCRequestHandler

class Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/rpc/api",)

server = SimpleXMLRPCServer(("127.0.0.1", 0), requestHandler=Handler, allow_none=True, logRequests=False)
server.register_function(lambda user, password, seconds: "%s|%s|%d" % (user, password.replace("\r", "CR"), seconds), "auth.login")
server.register_function(
    lambda session, entitlement: [{"id": 7, "system_groups": [{"id": 1, "name": session}, {"id": 2, "name": entitlement}]}, {"id": 8}],
    "system.listSystemGroupsForSystemsWithEntitlement")
server.register_function(
    lambda session, systems: [{"system_id": system, "port": 9100, "endpoint_name": None, "tls_enabled": True} for system in systems],
    "system.monitoring.listEndpoints")
server.register_function(
    lambda session, systems: [{"system_id": system, "hostname": "s%d" % system} for system in systems],
    "system.getNetworkForSystems")
print("port %d;" % server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
fn another_implementation_of_xml_rpc_understands_and_is_understood() {
    leak_checked_live(async || {
        let mut python = Process::start("Python", Command::new(need("python3", "python3")).args(["-c", PYTHON]));
        python.wait_log(";").await;
        let log = python.log();
        let port = log.trim().trim_start_matches("port ").trim_end_matches(';');
        let text = format!(
            "{{server: 'http://127.0.0.1:{port}', username: \"ü<&>'\\\"]]>\", password: \" a\\n\\tb\\r \", entitlement: '&amp;', separator: ' + '}}"
        );
        let config: UyuniConfig = serde_yaml::from_str(&text).expect("a configuration");
        let mut run = Run::start(&config).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        let Word::Everything(groups) = &word else { panic!("{word:?}") };
        assert_eq!(addresses(groups).into_iter().collect::<Vec<_>>(), ["s7:9100", "s8:9100"]);
        assert_eq!(groups[0].labels.get("__meta_uyuni_groups"), Some("ü<&>'\"]]>| a\n\tbCR |600 + &amp;"));
        run.stop().await.expect("it ends").expect("in order");
    });
}
