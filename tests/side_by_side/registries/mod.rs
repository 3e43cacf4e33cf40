//! Registries of services: rosterd and a real Prometheus find the same targets in them, through changes, failures and recovery.

mod consul;
mod nomad;

use rosterd_testkit::{
    Folder, ScriptedServer, Server, Step, eventually_ok, fixture, leak_checked_live, patience, xmlrpc_answer,
    xmlrpc_fault,
};
use serde_json::{Value, json};

use super::built::Built;
use super::programs::{Wrapper, prometheus, rosterd};
use super::targets::Targets;

/// Both, with one job that discovers by the same configuration.
pub(crate) struct Pair {
    ours: Server,
    theirs: Server,
    /// Whether the other one is a Prometheus 3.
    is_3: bool,
    _folder: Folder,
}

impl Pair {
    /// Beside Debian's Prometheus.
    pub(crate) async fn start(discovery: &str) -> Self {
        Self::beside(None, discovery).await
    }

    /// Beside a Prometheus 3, for what Debian's cannot, or does in another way.
    async fn beside_3(built: &Built, discovery: &str) -> Self {
        Self::beside(Some(built), discovery).await
    }

    async fn beside(built: Option<&Built>, discovery: &str) -> Self {
        let folder = Folder::new();
        let config = folder.write(
            "prometheus.yml",
            format!("global: {{scrape_interval: 10m}}\nscrape_configs:\n- job_name: registry\n  {discovery}\n"),
        );
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = match built {
            Some(built) => built.prometheus(&config, Wrapper::default()).await,
            None => prometheus("prometheus", &config, Wrapper::default()).await,
        };
        Self { ours, theirs, is_3: built.is_some(), _folder: folder }
    }

    /// Waits until both have so many targets, and the same ones.
    pub(crate) async fn agree(&self, count: usize) {
        let look = async || {
            let one = Targets::of(&self.ours).await;
            let other = match self.is_3 {
                true => Targets::of(&self.theirs).await,
                false => Targets::of_2_42(&self.theirs, &self.theirs).await,
            };
            if one != other {
                return Err(one.difference(&other, ["rosterd", "Prometheus"]));
            }
            let found = one.active.len();
            if found == count { Ok(()) } else { Err(format!("they agree, but on {found}")) }
        };
        eventually_ok(patience(), &format!("rosterd and Prometheus agree on {count} targets"), look).await;
    }

    /// Waits until both have failed once more, by these metrics.
    pub(crate) async fn fail(&self, ours: &str, theirs: &str) {
        let counts = async || [self.ours.metric(ours, "").await, self.theirs.metric(theirs, "").await];
        let before = counts().await;
        let look = async || {
            let now = counts().await;
            let both = now.iter().zip(before).all(|(now, before)| *now > before);
            if both { Ok(()) } else { Err(format!("{now:?}")) }
        };
        eventually_ok(patience(), &format!("{ours} and {theirs} are more than {before:?}"), look).await;
    }
}

/// Of Eureka: the applications with the addresses of their instances.
fn eureka(server: &ScriptedServer, applications: &[(&str, &[&str])]) {
    let instance = |address: &&str| {
        format!(
            "<instance><instanceId>{address}:i</instanceId><hostName>{address}</hostName><app>A</app><ipAddr>{address}</ipAddr>\
             <status>UP</status><port enabled=\"true\">9</port><securePort enabled=\"false\">443</securePort>\
             <countryId>1</countryId><dataCenterInfo class=\"x\"><name>MyOwn</name><metadata><z-one>a</z-one></metadata></dataCenterInfo>\
             <metadata><a.b>c &amp; d</a.b><e/></metadata><homePageUrl>http://{address}/?a&amp;b</homePageUrl></instance>"
        )
    };
    let application = |(name, addresses): &(&str, &[&str])| {
        let instances: String = addresses.iter().map(instance).collect();
        format!("<application><name>{name}</name>{instances}</application>")
    };
    let applications: String = applications.iter().map(application).collect();
    let body = format!(
        "<?xml version=\"1.0\"?><applications><versions__delta>1</versions__delta>{applications}</applications>"
    );
    server.then(Step::get("/eureka/apps").any_times().reply_header("content-type", "application/xml").body(body));
}

pub(super) const FAILURES: [&str; 2] =
    ["rosterd_discovery_refresh_failures_total", "prometheus_sd_refresh_failures_total"];

#[test]
fn applications_of_eureka() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        eureka(&server, &[("WEB", &["127.0.7.1", "127.0.7.2"]), ("API", &["localhost"])]);
        let pair =
            Pair::start(&format!("eureka_sd_configs: [{{server: '{}', refresh_interval: 1s}}]", server.url("/eureka")))
                .await;
        pair.agree(3).await;
        eureka(&server, &[("WEB", &["127.0.7.2"]), ("NEW", &["127.0.7.4"]), ("NONE", &[])]);
        pair.agree(2).await;
        server.then(Step::get("/eureka/apps").any_times().status(503));
        pair.fail(FAILURES[0], FAILURES[1]).await;
        pair.agree(2).await;
        eureka(&server, &[("WEB", &["127.0.7.6"])]);
        pair.agree(1).await;
    });
}

#[test]
fn containers_and_compute_nodes_of_triton() {
    leak_checked_live(|| async {
        let server = ScriptedServer::with_tls([]).await;
        let serve = |path: &str, body: &str| server.then(Step::get(path).any_times().json(body.to_owned()));
        let containers = fixture("discovery/triton/containers.json");
        serve("/v1/discover?groups=web%2Cdb", &containers);
        serve("/v1/gz/discover", &fixture("discovery/triton/cns.json"));
        let common = format!(
            "account: me, dns_suffix: cns.triton.example.com, endpoint: localhost, port: {}, refresh_interval: 1s, tls_config: {}",
            server.address().port(),
            server.tls_config()
        );
        let discovery = format!("triton_sd_configs: [{{{common}, groups: [web, db]}}, {{{common}, role: cn}}]");
        let pair = Pair::start(&discovery).await;
        pair.agree(6).await;
        serve("/v1/gz/discover", r#"{"cns": [{"server_uuid": "a", "server_hostname": "b"}]}"#);
        serve("/v1/discover?groups=web%2Cdb", &containers.replace("\"eu-1\"", "\"eu-2\", \"x\""));
        pair.agree(4).await;
        // Prometheus takes an error in JSON for an empty list.
        server.then(Step::get("/v1/gz/discover").any_times().status(503).body("not now"));
        pair.fail(FAILURES[0], FAILURES[1]).await;
        pair.agree(4).await;
        serve("/v1/gz/discover", r#"{"cns": []}"#);
        pair.agree(3).await;
    });
}

#[test]
fn tasks_of_marathon() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let serve = |body: String| server.then(Step::get("/v2/apps/?embed=apps.tasks").any_times().json(body));
        // Of two targets with the same labels each program tells of another one.
        let body = fixture("discovery/marathon/apps.json").replace("[31007]", "[31007, 31017]");
        serve(body.clone());
        let pair =
            Pair::start(&format!("marathon_sd_configs: [{{servers: ['{}'], refresh_interval: 1s}}]", server.url("")))
                .await;
        pair.agree(20).await;
        serve(body.replace("/host-network-any-port", "/renamed").replace("31013", "31113"));
        pair.agree(20).await;
        server.then(Step::get("/v2/apps/").any_times().status(500));
        pair.fail(FAILURES[0], FAILURES[1]).await;
        pair.agree(20).await;
        serve(r#"{"apps": [{"id": "/a", "tasks": [{"id": "t", "host": "127.0.7.1", "ports": [9]}]}]}"#.to_owned());
        pair.agree(1).await;
    });
}

#[test]
fn resources_of_puppetdb() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let asked = || {
            let asked = Step::post("/puppet/pdb/query/v4").any_times().with_body(r#"{"query":"resources {}"}"#);
            let json = "application/json";
            asked.with_header("content-type", json).with_header("accept", json).with_header("authorization", "Bearer t")
        };
        // All labels are kept, so that the resources of a node are different targets.
        let body = fixture("discovery/puppetdb/resources.json").replace("db1.example.com", "127.0.7.3");
        server.then(asked().json(body.clone()));
        let pair = Pair::start(&format!(
            "puppetdb_sd_configs: [{{url: '{}', query: 'resources {{}}', include_parameters: true, port: 9, refresh_interval: 1s, bearer_token: t}}]
  relabel_configs:
  - {{regex: __meta_puppetdb_(.*), replacement: pdb_$1, action: labelmap}}",
            server.url("/puppet/")
        ))
        .await;
        pair.agree(5).await;
        server.then(asked().json(body.replace("9113,", "91130000,").replace("\"rack.no\": 7", "\"rack.no\": -0.25")));
        pair.agree(5).await;
        for refused in [
            asked().status(503),
            asked().body(body.clone()),
            asked().json("{}"),
            asked().json(body.clone()).truncate(99),
        ] {
            server.then(refused);
            pair.fail(FAILURES[0], FAILURES[1]).await;
            pair.agree(5).await;
        }
        server.then(asked().json(r#"[{"certname": "127.0.7.1", "resource": "1", "exported": true}]"#));
        pair.agree(1).await;
    });
}

/// A call of XML-RPC, as both write it.
fn call(method: &str, parameters: &[&str]) -> Step {
    let parameters: String = parameters.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>{parameters}</params></methodCall>"
    );
    Step::post("/manager/rpc/api").any_times().with_header("content-type", "text/xml").with_body(body)
}

/// Of Uyuni: two systems, of which the one has this name and the other one these exporters.
fn uyuni(server: &ScriptedServer, session: &str, name: &str, exporters: &[(&str, u16)]) {
    let answer = |step: Step, result: &Value| server.then(step.body(xmlrpc_answer(result)));
    answer(call("auth.login", &["<string>me</string>", "<string>p&amp;w</string>", "<int>600</int>"]), &json!(session));
    let session = format!("<string>{session}</string>");
    let groups = json!([{"id": 7, "name": "front & end"}, {"id": 8, "name": "<prod>"}]);
    let systems = json!([{"id": 1, "system_groups": groups}, {"id": 2, "system_groups": []}]);
    let entitled = [&*session, "<string>monitoring_entitled</string>"];
    answer(call("system.listSystemGroupsForSystemsWithEntitlement", &entitled), &systems);
    let mut endpoints = vec![json!({
        "system_id": 1, "endpoint_name": "Node", "port": 9, "path": "", "module": null, "exporter_name": "node_exporter", "tls_enabled": false,
    })];
    endpoints.extend(exporters.iter().map(|(exporter, port)| {
        json!({"system_id": 2, "port": port, "path": "/proxy", "module": exporter, "exporter_name": exporter, "tls_enabled": true, "more": [1]})
    }));
    let networks = json!([
        {"system_id": 1, "hostname": name, "primary_fqdn": "one.example.com", "ip": "192.0.2.1"},
        {"system_id": 2, "hostname": "localhost", "primary_fqdn": ""},
    ]);
    // Prometheus asks for systems in any order.
    for order in [
        "<value><int>1</int></value><value><int>2</int></value>",
        "<value><int>2</int></value><value><int>1</int></value>",
    ] {
        let of_these = [&*session, &*format!("<array><data>{order}</data></array>")];
        answer(call("system.monitoring.listEndpoints", &of_these), &json!(endpoints));
        answer(call("system.getNetworkForSystems", &of_these), &networks);
    }
}

#[test]
fn exporters_on_systems_of_uyuni() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        uyuni(&server, "1x", "127.0.7.1", &[("a", 9), ("b", 10)]);
        let pair = Pair::start(&format!(
            "uyuni_sd_configs: [{{server: '{}', username: me, password: p&w, refresh_interval: 1s}}]
  relabel_configs:
  - {{regex: __meta_uyuni_(.*), replacement: uyuni_$1, action: labelmap}}
  - {{source_labels: [__meta_uyuni_scheme], target_label: __scheme__}}
  - {{source_labels: [__meta_uyuni_proxy_module], target_label: __param_module}}",
            server.url("/manager/")
        ))
        .await;
        pair.agree(3).await;
        uyuni(&server, "1x", "127.0.7.2", &[("b", 10)]);
        pair.agree(2).await;
        let entitled = ["<string>1x</string>", "<string>monitoring_entitled</string>"];
        let listed = || call("system.listSystemGroupsForSystemsWithEntitlement", &entitled);
        for refused in [
            listed().status(503),
            listed().body(xmlrpc_fault(-23, "You do not have permissions")),
            listed().body(xmlrpc_answer(&json!([{"id": 1}])).as_bytes()[..120].to_vec()),
            listed().body(xmlrpc_answer(&json!([{"id": "1"}]))),
        ] {
            server.then(refused);
            pair.fail(FAILURES[0], FAILURES[1]).await;
            pair.agree(2).await;
        }
        // The session is gone, and so is what was asked in it.
        server.then(listed().body(xmlrpc_fault(-1, "Could not find session with id: 1")));
        uyuni(&server, "2x", "127.0.7.3", &[]);
        pair.agree(1).await;
    });
}
