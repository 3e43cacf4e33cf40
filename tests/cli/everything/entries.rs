//! What is written for each mechanism, and what it is to find.

use std::collections::BTreeSet;

use super::world::World;

/// All that there are, in their order.
pub(super) const MECHANISMS: [&str; 42] = [
    "aws",
    "azure",
    "consul",
    "consulagent",
    "digitalocean",
    "dns",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "exec",
    "file",
    "gce",
    "hetzner",
    "http",
    "ionos",
    "kubelet",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "process",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "static",
    "triton",
    "uyuni",
    "vultr",
    "yandexcloud",
];
pub(super) const PORT: u16 = 9100;

/// The hosts of these numbers that a mechanism has for itself.
pub(super) fn hosts(mechanism: &str, numbers: &[u8]) -> Vec<String> {
    let own = MECHANISMS.iter().position(|name| *name == mechanism).expect("there is such a mechanism");
    numbers.iter().map(|number| format!("10.{own}.0.{number}")).collect()
}

/// With their port.
pub(super) fn addresses(mechanism: &str, numbers: &[u8]) -> Vec<String> {
    hosts(mechanism, numbers).into_iter().map(|host| format!("{host}:{PORT}")).collect()
}

/// The addresses of the targets of a mechanism, when it has those of these numbers.
pub(super) fn found_by(mechanism: &str, numbers: &[u8]) -> BTreeSet<String> {
    let of = match mechanism {
        // These have no port.
        "ovhcloud" | "yandexcloud" => hosts(mechanism, numbers),
        _ => addresses(mechanism, numbers),
    };
    of.into_iter().collect()
}

/// The same of all mechanisms.
pub(super) fn found(numbers: &[u8]) -> BTreeSet<String> {
    MECHANISMS.iter().flat_map(|mechanism| found_by(mechanism, numbers)).collect()
}

/// The job of a mechanism.
pub(super) fn job(world: &World, mechanism: &str, interval: &str) -> String {
    let key = if mechanism == "static" { "static_configs".to_owned() } else { format!("{mechanism}_sd_configs") };
    // Of triton the port is that of the server that is asked.
    let rules = match mechanism {
        "triton" => {
            "  relabel_configs: [{source_labels: [__address__], regex: '(.*).cns:.*', replacement: '$1:9100', target_label: __address__}]\n"
        }
        _ => "",
    };
    let entry = entry(world, mechanism, interval);
    format!("- job_name: {mechanism}\n  proxy_url: 'http://127.0.0.1:9'\n  {key}: [{entry}]\n{rules}")
}

fn entry(world: &World, mechanism: &str, interval: &str) -> String {
    let every = format!("refresh_interval: {interval}");
    let ported = format!("port: {PORT}, {every}");
    let cloud = |more: &str| format!("{{{ported}, {}{more}}}", world.cloud.keys());
    let url = |path: &str| world.cloud.url(path);
    let host = world.address_of_cloud();
    let aws = |region: &str, more: &str| {
        format!(
            "{{region: {region}, access_key: id, secret_key: secret, endpoint: '{}', {ported}{more}}}",
            world.aws.url()
        )
    };
    match mechanism {
        "aws" => aws("other", ", role: ec2"),
        "ec2" | "ecs" | "elasticache" | "lightsail" | "msk" | "rds" => aws("r", ""),
        "azure" => format!(
            "{{subscription_id: s, tenant_id: tenant, client_id: c, client_secret: x, {ported}, endpoint: '{0}', authority: '{0}'}}",
            url("")
        ),
        "consul" => format!("{{server: '{}', {every}}}", world.consul.address()),
        "consulagent" => format!("{{server: '{host}', {every}}}"),
        "digitalocean" | "linode" | "vultr" => cloud(", bearer_token: t"),
        "hetzner" => cloud(", role: hcloud, bearer_token: t"),
        "ionos" => cloud(", datacenter_id: d, bearer_token: t"),
        "outscale" => cloud(", access_key: a, secret_key: s"),
        "scaleway" => cloud(
            ", role: instance, project_id: 11111111-1111-1111-1111-111111111111, access_key: SCWXXXXXXXXXXXXXXXXX, \
             secret_key: 11111111-1111-1111-1111-111111111111",
        ),
        "dns" => {
            format!("{{names: [{}], type: A, nameservers: ['{}'], {ported}}}", World::NAME, world.nameserver.address())
        }
        "docker" => format!("{{host: '{}', match_first_network: false, {ported}}}", world.engine.host()),
        "dockerswarm" => format!("{{host: '{}', role: tasks, {ported}}}", world.engine.host()),
        "eureka" => format!("{{server: '{}', {every}}}", world.scripted.url("/eureka")),
        "exec" => format!("{{command: [cat, '{}'], {every}}}", world.printed()),
        "file" => format!("{{files: ['{}'], {every}}}", world.listed()),
        "gce" => format!("{{project: p, zone: z, endpoint: '{}', {ported}}}", url("")),
        "http" => format!("{{url: '{}', {every}}}", url("/targets")),
        "kubelet" => world.kubelet.config("").replace("50ms", interval),
        "kubernetes" => format!("{{role: pod, api_server: '{}'}}", world.kubernetes.url("")),
        "kuma" => format!("{{server: '{}', {every}}}", url("")),
        "marathon" => format!("{{servers: ['{}'], {every}}}", url("")),
        "nerve" | "serverset" => {
            format!("{{servers: ['{}'], paths: [/{mechanism}], timeout: 2s}}", world.zookeeper.address())
        }
        "nomad" => format!("{{server: '{}', {every}}}", world.scripted.url("")),
        "oci" => format!(
            "{{region: r, tenancy: t, user: u, fingerprint: f, key_file: '{}', compartments: [c], endpoint: '{}', {ported}}}",
            world.key(),
            url("")
        ),
        "openstack" => format!(
            "{{identity_endpoint: '{}', userid: u, password: p, role: instance, region: One, {ported}}}",
            world.scripted.url("/v3")
        ),
        "ovhcloud" => format!(
            "{{endpoint: '{}', application_key: a, application_secret: s, consumer_key: c, service: vps, {every}}}",
            url("/1.0")
        ),
        "process" => format!("{{ports: true, procfs: '{}', {every}}}", world.proc.path().display()),
        "puppetdb" => format!("{{url: '{}', query: q, {ported}}}", url("/")),
        "stackit" => format!("{{project: p, endpoint: '{}', bearer_token: t, {ported}}}", url("/iaas")),
        "static" => format!("{{targets: ['{}']}}", addresses(mechanism, world.shown()).join("', '")),
        "triton" => format!(
            "{{account: me, dns_suffix: cns, endpoint: localhost, port: {}, {every}, tls_config: {}}}",
            world.triton.address().port(),
            world.triton.tls_config()
        ),
        "uyuni" => format!("{{server: '{}', username: u, password: p, {every}}}", world.scripted.url("")),
        "yandexcloud" => format!(
            "{{service: compute, api_endpoint: '{}', yandex_passport_oauth_token: o, folder_ids: [f], {every}}}",
            url("")
        ),
        other => panic!("{other} has no entry: give it one, and something to ask in world.rs"),
    }
}
