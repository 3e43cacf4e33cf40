//! Dedicated servers, as Robot tells of them: a target each. Pure.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::StatusCode;
use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, each_a_target, json};

/// How long the address is locked out that logged in wrongly three times. Whoever did once would, at the next interval, do so again.
const LOCKED: Duration = Duration::from_secs(600);
/// What is waited for at least once there were too many questions.
const LEAST: Duration = Duration::from_secs(60);

rosterd_rest::reply! {
    struct Refusal {
        error: Limit = "error",
    }

    struct Limit {
        code: String = "code",
        requests: u64 = "max_request",
        seconds: u64 = "interval",
    }

    struct Entry {
        server: Server = "server",
    }

    struct Server {
        address: String = "server_ip",
        number: i64 = "server_number",
        name: String = "server_name",
        datacenter: String = "dc",
        status: String = "status",
        product: String = "product",
        is_cancelled: bool = "cancelled",
        subnets: Vec<Subnet> = "subnet",
    }

    struct Subnet {
        ip: String = "ip",
        mask: String = "mask",
    }
}

pub(super) fn groups(body: &[u8], port: u16) -> Result<Vec<TargetGroup>, Fault> {
    let entries: Vec<Entry> = json(body)?;
    Ok(each_a_target(entries, |entry, sheet| Some(entry.server.label(port, sheet))))
}

/// How long nobody asks after this refusal: it is one of too many questions by its body alone.
pub(super) fn pause(status: StatusCode, body: &[u8]) -> Option<Duration> {
    match status {
        StatusCode::UNAUTHORIZED => Some(LOCKED),
        StatusCode::FORBIDDEN => {
            let Limit { code, requests, seconds } = json::<Refusal>(body).ok()?.error;
            let spaced = || Duration::from_secs(seconds / requests.max(1)).max(LEAST);
            (code == "RATE_LIMIT_EXCEEDED").then(spaced)
        }
        _ => None,
    }
}

impl Server {
    fn label(&self, port: u16, sheet: &mut Sheet) -> String {
        let datacenter = self.datacenter.to_lowercase();
        sheet.endpoint(&self.address, port);
        sheet.set("__meta_hetzner_role", "robot");
        sheet.number("__meta_hetzner_server_id", self.number);
        sheet.set("__meta_hetzner_server_name", &self.name);
        sheet.set("__meta_hetzner_datacenter", &datacenter);
        sheet.set("__meta_hetzner_robot_datacenter", &datacenter);
        sheet.set("__meta_hetzner_public_ipv4", &self.address);
        sheet.set("__meta_hetzner_server_status", &self.status);
        sheet.set("__meta_hetzner_robot_product", &self.product);
        sheet.flag("__meta_hetzner_robot_cancelled", self.is_cancelled);
        if let Some(subnet) = self.subnets.iter().find(|subnet| subnet.ip.parse::<Ipv4Addr>().is_err()) {
            sheet.set("__meta_hetzner_public_ipv6_network", &format!("{}/{}", subnet.ip, subnet.mask));
        }
        self.number.to_string()
    }
}
