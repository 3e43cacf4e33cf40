//! Clusters of databases, as the API tells of them: a target each. Pure.

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

rosterd_rest::reply! {
    struct Answer {
        databases: Option<Vec<Cluster>> = "databases",
    }

    pub(super) struct Cluster {
        id: String = "id",
        name: String = "name",
        engine: String = "engine",
        version: String = "version",
        status: String = "status",
        region: String = "region",
        size: String = "size",
        nodes: i64 = "num_nodes",
        tags: Vec<String> = "tags",
        public: Connection = "connection",
        private: Connection = "private_connection",
    }

    struct Connection {
        host: String = "host",
    }
}

/// A page after so many. As long as something is on one there may be another one.
pub(super) fn page(body: &[u8], before: usize) -> Result<Page<Cluster>, Fault> {
    let answer: Answer = json(body)?;
    let clusters = present(answer.databases, "databases")?;
    let first = clusters.first().map(|cluster| cluster.id.clone());
    let next = first.is_some().then(|| (before + 2).to_string());
    Ok(Page::new(clusters, next).beginning_with(first.as_deref()))
}

pub(super) fn groups(clusters: Vec<Cluster>, port: u16) -> Vec<TargetGroup> {
    each_a_target(clusters, |cluster, sheet| Some(cluster.label(port, sheet)))
}

impl Cluster {
    /// One without a host has no address; rules may give it one.
    fn label(&self, port: u16, sheet: &mut Sheet) -> String {
        let hosts = [&self.private.host, &self.public.host];
        if let Some(host) = hosts.into_iter().find(|host| !host.is_empty()) {
            sheet.endpoint(host, port);
        }
        sheet.set("__meta_digitalocean_db_id", &self.id);
        sheet.set("__meta_digitalocean_db_name", &self.name);
        sheet.set("__meta_digitalocean_db_engine", &self.engine);
        sheet.set("__meta_digitalocean_db_version", &self.version);
        sheet.set("__meta_digitalocean_db_status", &self.status);
        sheet.set("__meta_digitalocean_db_region", &self.region);
        sheet.set("__meta_digitalocean_db_size", &self.size);
        sheet.number("__meta_digitalocean_db_num_nodes", self.nodes);
        sheet.set("__meta_digitalocean_db_host", &self.public.host);
        sheet.set("__meta_digitalocean_db_private_host", &self.private.host);
        for tag in &self.tags {
            // As it is, with what other labels have no room for: Prometheus does the same.
            sheet.set(&["__meta_digitalocean_db_tag_", tag].concat(), "true");
        }
        self.id.clone()
    }
}
