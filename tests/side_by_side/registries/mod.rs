//! Registries of services: rosterd and a real Prometheus find the same targets in them, through changes, failures and recovery.

mod consul;
mod nomad;

use std::collections::BTreeSet;
use std::path::Path;

use rosterd_testkit::{
    Folder, ScriptedServer, Server, Step, eventually_ok, fixture, leak_checked_live, patience, xmlrpc_answer,
    xmlrpc_fault,
};
use serde_json::{Value, json};

use super::built::Built;
use super::programs::{SHOWS_NEWS, Wrapper, prometheus, rosterd, vmagent};
use super::targets::{Found, Labels, Targets};

/// Both, with one job that discovers by the same configuration.
pub(crate) struct Pair {
    ours: Server,
    theirs: Server,
    peer: Peer,
    /// On what they agreed last: the labels of each active target before relabelling.
    agreed: BTreeSet<Labels>,
    _folder: Folder,
}

/// Labels that a peer does not tell: how they begin, and why.
pub(crate) type Unknown = &'static [(&'static str, &'static str)];

/// Who is beside rosterd.
#[derive(Clone, Copy)]
enum Peer {
    /// Debian's Prometheus.
    Old,
    /// A Prometheus 3.
    New,
    /// Debian's vmagent.
    Vmagent(Unknown),
}

impl Pair {
    /// Beside Debian's Prometheus.
    pub(crate) async fn start(discovery: &str) -> Self {
        Self::within(&Wrapper::default(), discovery).await
    }

    /// The same, both within this.
    pub(crate) async fn within(wrapper: &Wrapper, discovery: &str) -> Self {
        let start = async |config: &Path| prometheus("Prometheus", config, wrapper.clone()).await;
        Self::beside(Peer::Old, wrapper, discovery, start).await
    }

    /// Beside a Prometheus 3, for what Debian's cannot, or does in another way.
    pub(crate) async fn beside_3(built: &Built, discovery: &str) -> Self {
        Self::beside(Peer::New, &Wrapper::default(), discovery, async |config| {
            built.prometheus(config, Wrapper::default()).await
        })
        .await
    }

    /// Beside Debian's vmagent.
    pub(crate) async fn beside_vmagent(unknown: Unknown, discovery: &str) -> Self {
        let discovery = format!("{discovery}\n  {SHOWS_NEWS}");
        Self::beside(Peer::Vmagent(unknown), &Wrapper::default(), &discovery, async |config| {
            vmagent("vmagent", config).await
        })
        .await
    }

    async fn beside(peer: Peer, wrapper: &Wrapper, discovery: &str, start: impl AsyncFn(&Path) -> Server) -> Self {
        let folder = Folder::new();
        let config = folder.write(
            "prometheus.yml",
            format!("global: {{scrape_interval: 10m}}\nscrape_configs:\n- job_name: registry\n  {discovery}\n"),
        );
        let ours = rosterd(&config, wrapper.clone(), &[]).await;
        let theirs = start(&config).await;
        Self { ours, theirs, peer, agreed: BTreeSet::new(), _folder: folder }
    }

    /// Waits until both have the same targets, so many of them, and each of these is the value of a label of theirs: what is new, for a
    /// number alone may be that of before.
    pub(crate) async fn agree(&mut self, count: usize, new: &[&str]) {
        let look = async || {
            let found = self.common().await?;
            let is_there = |value: &str| found.iter().any(|labels| labels.values().any(|it| it == value));
            let missing: Vec<_> = new.iter().filter(|value| !is_there(value)).collect();
            match found.len() == count && missing.is_empty() {
                true => Ok(found),
                false => Err(format!("they agree, but on {} targets, and without {missing:?}", found.len())),
            }
        };
        let names = [self.ours.name(), self.theirs.name()];
        self.agreed =
            eventually_ok(patience(), &format!("{names:?} agree on {count} targets, with {new:?}"), look).await;
    }

    /// Waits until so many providers have failed twice more, by these metrics: once might be a question from before they were refused. It
    /// takes nothing away.
    pub(crate) async fn fail(&self, [ours, theirs]: [&str; 2], refused: usize) {
        let counts = async || (self.ours.series(ours).await, self.theirs.metric(theirs, "").await);
        let before = counts().await;
        let enough = (2 * refused) as f64;
        let look = async || {
            let now = counts().await;
            let more = now.0.iter().map(|(labels, now)| (labels, now - before.0.get(labels).unwrap_or(&0.0)));
            let more: Vec<_> = more.collect();
            // Of theirs each asks at each interval, so that none asks twice as often as another one.
            let is_enough = match more.iter().any(|(labels, _)| labels.contains("provider=")) {
                true => more.iter().filter(|(_, more)| *more >= 2.0).count() >= refused,
                false => more.iter().map(|(_, more)| more).sum::<f64>() >= enough,
            };
            if is_enough && now.1 - before.1 >= enough { Ok(()) } else { Err(format!("{now:?}")) }
        };
        let what = format!("{refused} have failed twice by {ours} and {theirs} since {before:?}");
        eventually_ok(patience(), &what, look).await;
        assert_eq!(self.common().await.as_ref(), Ok(&self.agreed), "what fails takes nothing away");
    }

    /// What both have; else in what they differ.
    async fn common(&self) -> Result<BTreeSet<Labels>, String> {
        let names = [self.ours.name(), self.theirs.name()];
        let theirs = match self.peer {
            Peer::Old => Targets::of_2_42(&self.theirs, &self.theirs).await,
            Peer::New => Targets::of(&self.theirs).await,
            Peer::Vmagent(unknown) => {
                let is_known = |name: &str| unknown.iter().all(|(unknown, _)| !name.starts_with(unknown));
                let [ours, theirs] = [Found::by(&self.ours, is_known).await, Found::by(&self.theirs, is_known).await];
                return ours.and(&theirs, names).cloned();
            }
        };
        let ours = Targets::of(&self.ours).await;
        let is_same = ours == theirs;
        let difference = ours.difference(&theirs, names);
        if is_same { Ok(ours.active.into_iter().map(|target| target.discovered).collect()) } else { Err(difference) }
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

/// What vmagent has in place of a count of failures: when it has asked twice more, it was refused before.
pub(super) const ASKED_BY_VMAGENT: &str = "vm_promscrape_discovery_requests_total";

#[test]
fn applications_of_eureka() {
    leak_checked_live(|| async {
        for by_vmagent in [false, true] {
            let server = ScriptedServer::start([]).await;
            eureka(&server, &[("WEB", &["127.0.7.1", "127.0.7.2"]), ("API", &["localhost"])]);
            let url = server.url("/eureka");
            let discovery = format!("eureka_sd_configs: [{{server: '{url}', refresh_interval: 1s}}]");
            let (mut pair, failures) = match by_vmagent {
                false => (Pair::start(&discovery).await, FAILURES),
                true => (Pair::beside_vmagent(&[], &discovery).await, [FAILURES[0], ASKED_BY_VMAGENT]),
            };
            pair.agree(3, &[]).await;
            eureka(&server, &[("WEB", &["127.0.7.2"]), ("NEW", &["127.0.7.4"]), ("NONE", &[])]);
            pair.agree(2, &["127.0.7.4:9"]).await;
            server.then(Step::get("/eureka/apps").any_times().status(503));
            pair.fail(failures, 1).await;
            eureka(&server, &[("WEB", &["127.0.7.6"])]);
            pair.agree(1, &["127.0.7.6:9"]).await;
        }
    });
}

#[test]
fn assignments_of_kuma() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let path = "/mads/v3/discovery:monitoringassignments";
        let serve = |body: String| server.then(Step::post(path).any_times().json(body));
        let body = fixture("discovery/kuma/snake_case.json");
        serve(body.clone());
        let section = format!("{{server: '{}', client_id: me, refresh_interval: 1s}}", server.url("/mads"));
        let mut pair = Pair::beside_3(&built, &format!("kuma_sd_configs: [{section}]")).await;
        pair.agree(4, &["192.168.0.1:5670"]).await;
        let changed =
            body.replace("\"v2\"", "\"v3\"").replace("web-01", "moved").replace("192.168.0.1:", "192.168.0.9:");
        serve(changed.replace("\"zone\": \"a\"", "\"zone\": \"b\""));
        pair.agree(4, &["192.168.0.9:5670", "moved", "b"]).await;
        for refused in [Step::post(path).status(503), Step::post(path).body("{}"), Step::post(path).json("[]")] {
            server.then(refused.any_times());
            pair.fail(["rosterd_discovery_kuma_fetch_failures_total", "prometheus_sd_kuma_fetch_failures_total"], 1)
                .await;
        }
        let assignment =
            r#"{"@type": "KIND", "mesh": "m", "service": "s", "targets": [{"name": "n", "address": "127.0.7.1:9"}]}"#;
        let body =
            format!(r#"{{"version_info": "v4", "nonce": "n4", "type_url": "KIND", "resources": [{assignment}]}}"#);
        serve(body.replace("KIND", "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"));
        pair.agree(1, &["127.0.7.1:9"]).await;
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
        let mut pair = Pair::start(&discovery).await;
        pair.agree(6, &[]).await;
        serve("/v1/gz/discover", r#"{"cns": [{"server_uuid": "a", "server_hostname": "b"}]}"#);
        serve("/v1/discover?groups=web%2Cdb", &containers.replace("\"eu-1\"", "\"eu-2\", \"x\""));
        pair.agree(4, &["b", ",web,eu-2,x,"]).await;
        // Prometheus takes an error in JSON for an empty list.
        server.then(Step::get("/v1/gz/discover").any_times().status(503).body("not now"));
        pair.fail(FAILURES, 1).await;
        serve("/v1/gz/discover", r#"{"cns": []}"#);
        pair.agree(3, &[]).await;
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
        let mut pair =
            Pair::start(&format!("marathon_sd_configs: [{{servers: ['{}'], refresh_interval: 1s}}]", server.url("")))
                .await;
        pair.agree(20, &[]).await;
        serve(body.replace("/host-network-any-port", "/renamed").replace("31013", "31113"));
        pair.agree(20, &["/renamed", "mesos-1.example:31113"]).await;
        server.then(Step::get("/v2/apps/").any_times().status(500));
        pair.fail(FAILURES, 1).await;
        serve(r#"{"apps": [{"id": "/a", "tasks": [{"id": "t", "host": "127.0.7.1", "ports": [9]}]}]}"#.to_owned());
        pair.agree(1, &["127.0.7.1:9"]).await;
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
        let mut pair = Pair::start(&format!(
            "puppetdb_sd_configs: [{{url: '{}', query: 'resources {{}}', include_parameters: true, port: 9, refresh_interval: 1s, bearer_token: t}}]
  relabel_configs:
  - {{regex: __meta_puppetdb_(.*), replacement: pdb_$1, action: labelmap}}",
            server.url("/puppet/")
        ))
        .await;
        pair.agree(5, &[]).await;
        server.then(asked().json(body.replace("9113,", "91130000,").replace("\"rack.no\": 7", "\"rack.no\": -0.25")));
        pair.agree(5, &["9.113e+07", "-0.25"]).await;
        for refused in [
            asked().status(503),
            asked().body(body.clone()),
            asked().json("{}"),
            asked().json(body.clone()).truncate(99),
        ] {
            server.then(refused);
            pair.fail(FAILURES, 1).await;
        }
        server.then(asked().json(r#"[{"certname": "127.0.7.1", "resource": "1", "exported": true}]"#));
        pair.agree(1, &["127.0.7.1:9"]).await;
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
        let mut pair = Pair::start(&format!(
            "uyuni_sd_configs: [{{server: '{}', username: me, password: p&w, refresh_interval: 1s}}]
  relabel_configs:
  - {{regex: __meta_uyuni_(.*), replacement: uyuni_$1, action: labelmap}}
  - {{source_labels: [__meta_uyuni_scheme], target_label: __scheme__}}
  - {{source_labels: [__meta_uyuni_proxy_module], target_label: __param_module}}",
            server.url("/manager/")
        ))
        .await;
        pair.agree(3, &[]).await;
        uyuni(&server, "1x", "127.0.7.2", &[("b", 10)]);
        pair.agree(2, &["127.0.7.2:9"]).await;
        let entitled = ["<string>1x</string>", "<string>monitoring_entitled</string>"];
        let listed = || call("system.listSystemGroupsForSystemsWithEntitlement", &entitled);
        for refused in [
            listed().status(503),
            listed().body(xmlrpc_fault(-23, "You do not have permissions")),
            listed().body(xmlrpc_answer(&json!([{"id": 1}])).as_bytes()[..120].to_vec()),
            listed().body(xmlrpc_answer(&json!([{"id": "1"}]))),
        ] {
            server.then(refused);
            pair.fail(FAILURES, 1).await;
        }
        // The session is gone, and so is what was asked in it.
        server.then(listed().body(xmlrpc_fault(-1, "Could not find session with id: 1")));
        uyuni(&server, "2x", "127.0.7.3", &[]);
        pair.agree(1, &["127.0.7.3:9"]).await;
    });
}
