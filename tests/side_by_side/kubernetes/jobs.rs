//! Configurations that ask the cluster, and whether two programs find the same there.

use std::path::PathBuf;

use rosterd_testkit::{Folder, Server, eventually_ok, patience};
use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::targets::Targets;

/// Where `configured` writes the token.
pub(super) const TOKEN: &str = "token";

/// Writes a configuration whose jobs ask this cluster, as whoever has the token; those that name a kubeconfig file stay as they are.
/// Nothing is scraped: there is no proxy where they are told that one is.
pub(super) fn configured(folder: &Folder, cluster: &Cluster, token: &str, jobs: &str) -> PathBuf {
    configured_at(&cluster.url(), folder, cluster, token, jobs)
}

/// The same for a cluster that is reached by another URL than its own.
pub(super) fn configured_at(url: &str, folder: &Folder, cluster: &Cluster, token: &str, jobs: &str) -> PathBuf {
    folder.write(TOKEN, token);
    let mut config: Value = serde_yaml::from_str(jobs).expect("a configuration");
    for job in config["scrape_configs"].as_array_mut().expect("there are jobs") {
        job["proxy_url"] = json!("http://127.0.0.1:9");
        for mechanism in job["kubernetes_sd_configs"].as_array_mut().expect("all jobs ask the cluster") {
            if mechanism.get("kubeconfig_file").is_some() {
                continue;
            }
            mechanism["api_server"] = json!(url);
            mechanism["authorization"] = json!({"credentials_file": TOKEN});
            mechanism["tls_config"] = json!({"ca_file": cluster.file("ca.pem")});
        }
    }
    folder.write("prometheus.yml", serde_yaml::to_string(&config).expect("what was read can be written"))
}

/// Waits until both programs have the same targets, as far as they are looked at.
pub(super) async fn agrees(ours: &Server, theirs: &Server, look_at: impl Fn(Targets) -> Targets) {
    let look = async || {
        let (ours, theirs) = (look_at(Targets::of(ours).await), look_at(Targets::of(theirs).await));
        if ours == theirs { Ok(()) } else { Err(ours.difference(&theirs, ["rosterd", "the other"])) }
    };
    eventually_ok(patience(), &format!("rosterd and {} agree", theirs.name()), look).await;
}

/// Waits until a job has these addresses, and no others.
pub(super) async fn has(program: &Server, job: &str, addresses: &[&str]) {
    let look = async || {
        let targets = Targets::of(program).await.active;
        let found = targets.iter().filter(|target| target.pool == job).map(|target| &*target.discovered["__address__"]);
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        if found == addresses { Ok(()) } else { Err(format!("{found:?}\n{}", program.log())) }
    };
    eventually_ok(patience(), &format!("{job} has {addresses:?}"), look).await;
}

/// Waits until what `/api/v1/providers` says of the provider of a job holds all these texts.
pub(super) async fn tells(program: &Server, job: &str, texts: &[&str]) {
    let look = async || {
        let answer = program.data("/api/v1/providers").await;
        let providers = answer["providers"].as_array().map_or(&[][..], Vec::as_slice);
        let mine = providers.iter().find(|provider| provider["jobs"].to_string().contains(&format!("{job:?}")));
        let told = mine.map(Value::to_string).unwrap_or_default();
        let missing: Vec<_> = texts.iter().filter(|text| !told.contains(**text)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} are not in {told}")) }
    };
    eventually_ok(patience(), &format!("the provider of {job} tells {texts:?}"), look).await;
}
