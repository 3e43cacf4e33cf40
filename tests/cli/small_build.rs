//! The small agent that `--no-default-features` gives: what it has works, and what it has not is refused by its name.

use rosterd_testkit::{Folder, ScriptedServer, Step, leak_checked_live};

use super::run;
use super::sources::{Agent, configuration};

#[test]
fn what_is_left_out_is_refused_with_what_to_do() {
    let folder = Folder::new();
    for (name, feature, config) in [
        ("aws", "aws", "[{role: ec2}]"),
        ("azure", "azure", "[{subscription_id: s, authentication_method: SDK}]"),
        ("consul", "consul", "[{}]"),
        ("consulagent", "consulagent", "[{}]"),
        ("digitalocean", "digitalocean", "[{}]"),
        ("docker", "docker", "[{host: 'unix:///s'}]"),
        ("dockerswarm", "dockerswarm", "[{host: 'unix:///s', role: nodes}]"),
        ("ec2", "aws", "[{}]"),
        ("ecs", "aws", "[{}]"),
        ("elasticache", "aws", "[{}]"),
        ("eureka", "eureka", "[{server: 'http://e'}]"),
        ("exec", "exec", "[{command: [true]}]"),
        ("hetzner", "hetzner", "[{role: hcloud}]"),
        ("ionos", "ionos", "[{datacenter_id: d}]"),
        ("gce", "gce", "[{project: p, zone: z}]"),
        ("kubelet", "kubelet", "[{}]"),
        ("kubernetes", "kubernetes", "[{role: node}]"),
        ("kuma", "kuma", "[{server: 'http://a'}]"),
        ("linode", "linode", "[{}]"),
        ("marathon", "marathon", "[{servers: ['http://m']}]"),
        ("outscale", "outscale", "[{access_key: a, secret_key: s}]"),
        ("ovhcloud", "ovhcloud", "[{application_key: a, application_secret: s, consumer_key: c, service: vps}]"),
        ("lightsail", "aws", "[{}]"),
        ("msk", "aws", "[{}]"),
        ("process", "process", "[{}]"),
        ("nerve", "zookeeper", "[{servers: [localhost], paths: [/a]}]"),
        ("nomad", "nomad", "[{}]"),
        ("oci", "oci", "[{region: r, tenancy: t, user: u, fingerprint: f, key_file: k}]"),
        ("openstack", "openstack", "[{role: instance, region: One}]"),
        ("scaleway", "scaleway", "[{role: instance}]"),
        ("stackit", "stackit", "[{project: p}]"),
        ("triton", "triton", "[{account: a, dns_suffix: d, endpoint: e}]"),
        ("puppetdb", "puppetdb", "[{url: 'http://p', query: q}]"),
        ("rds", "aws", "[{}]"),
        ("uyuni", "uyuni", "[{server: 'http://u', username: u, password: p}]"),
        ("vultr", "vultr", "[{}]"),
        ("yandexcloud", "yandexcloud", "[{service: compute}]"),
    ] {
        let file = folder.write("prometheus.yml", configuration(&format!("{name}_sd_configs: {config}"), "1s"));
        let ended = run(&["check", "config", &file.display().to_string()]);
        let told =
            format!("{name}_sd_configs is not in this build of rosterd: take one that has the feature {feature}, or");
        assert_ne!(ended.status, Some(0), "{ended:?}");
        assert!(format!("{}{}", ended.output, ended.errors).contains(&told), "{ended:?}");
    }
}

#[test]
fn the_four_that_are_always_there_discover() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), ScriptedServer::start([]).await);
        server.then(Step::get("/targets").any_times().json(r#"[{"targets": ["http:1"]}]"#));
        folder.write("a.json", r#"[{"targets": ["file:1"]}]"#);
        let nameserver = rosterd_testkit::Nameserver::start().await;
        nameserver.knows("name.test", &[[192, 0, 2, 1].into()]);
        let discovery = format!(
            "static_configs: [{{targets: ['static:1']}}]
  file_sd_configs: [{{files: ['*.json']}}]
  http_sd_configs: [{{url: '{}'}}]
  dns_sd_configs: [{{names: [name.test], type: A, port: 1, nameservers: ['{}']}}]",
            server.url("/targets"),
            nameserver.address(),
        );
        folder.write("prometheus.yml", configuration(&discovery, "1h"));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["192.0.2.1:1", "file:1", "http:1", "static:1"]).await;
        agent.stop().await;
        nameserver.stop().await;
        server.finish().await;
    });
}
