//! Servers, as the API tells of them: a target for each that has an IPv4 address. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

/// The name of a network card without one.
const UNNAMED: &str = "unnamed";

rosterd_rest::reply! {
    struct Answer {
        id: String = "id",
        limit: usize = "limit",
        servers: Option<Vec<Server>> = "items",
    }

    struct Server {
        id: String = "id",
        metadata: Metadata = "metadata",
        properties: Properties = "properties",
        entities: Entities = "entities",
    }

    struct Metadata {
        state: String = "state",
    }

    struct Properties {
        zone: String = "availabilityZone",
        cpu: String = "cpuFamily",
        name: String = "name",
        state: String = "vmState",
        kind: String = "type",
        cdrom: Reference = "bootCdrom",
        volume: Reference = "bootVolume",
    }

    struct Reference {
        id: String = "id",
    }

    struct Entities {
        cards: Cards = "nics",
        volumes: Volumes = "volumes",
    }

    struct Cards {
        items: Vec<Card> = "items",
    }

    struct Card {
        properties: Option<CardProperties> = "properties",
    }

    struct CardProperties {
        name: Option<String> = "name",
        addresses: Vec<String> = "ips",
    }

    struct Volumes {
        items: Vec<Volume> = "items",
    }

    struct Volume {
        properties: VolumeProperties = "properties",
    }

    struct VolumeProperties {
        image: String = "image",
    }
}

/// A server, and the id of the list that it stands in.
#[derive(Debug)]
pub(super) struct Listed {
    list: Arc<str>,
    server: Server,
}

/// A page after so many servers, of which there is another one if it is full.
pub(super) fn page(body: &[u8], before: usize, asked: usize) -> Result<Page<Listed>, Fault> {
    let answer: Answer = json(body)?;
    let (list, servers) = (Arc::<str>::from(answer.id), present(answer.servers, "items")?);
    let size = if answer.limit == 0 { asked } else { answer.limit };
    let next = (servers.len() >= size).then(|| (before + servers.len()).to_string());
    let first = servers.first().map(|server| server.id.clone());
    let items = servers.into_iter().map(|server| Listed { list: Arc::clone(&list), server }).collect();
    Ok(Page::new(items, next).beginning_with(first.as_deref()))
}

pub(super) fn groups(servers: Vec<Listed>, port: u16) -> Vec<TargetGroup> {
    each_a_target(servers, |listed, sheet| listed.label(port, sheet))
}

/// These before those.
fn put_before<'a>(all: &mut Vec<&'a str>, first: &'a [String]) {
    all.splice(..0, first.iter().map(String::as_str));
}

impl Listed {
    /// The addresses of a later card stand before those of the ones before it.
    fn label(&self, port: u16, sheet: &mut Sheet) -> Option<String> {
        let Server { id, metadata, properties, entities } = &self.server;
        let (mut all, mut by_name) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for card in entities.cards.items.iter().filter_map(|card| card.properties.as_ref()) {
            let name = card.name.as_deref().unwrap_or(UNNAMED);
            put_before(&mut all, &card.addresses);
            put_before(by_name.entry(name).or_default(), &card.addresses);
        }
        sheet.endpoint(all.first()?, port);
        sheet.list("__meta_ionos_server_ip", &all, ",");
        for (name, addresses) in by_name {
            sheet.set_sanitised("__meta_ionos_server_nic_ip_", name, &format!(",{},", addresses.join(",")));
        }
        sheet.set("__meta_ionos_server_availability_zone", &properties.zone);
        sheet.set("__meta_ionos_server_cpu_family", &properties.cpu);
        sheet.set("__meta_ionos_server_servers_id", &self.list);
        sheet.set("__meta_ionos_server_id", id);
        sheet.set("__meta_ionos_server_lifecycle", &metadata.state);
        sheet.set("__meta_ionos_server_name", &properties.name);
        sheet.set("__meta_ionos_server_state", &properties.state);
        sheet.set("__meta_ionos_server_type", &properties.kind);
        sheet.set("__meta_ionos_server_boot_cdrom_id", &properties.cdrom.id);
        sheet.set("__meta_ionos_server_boot_volume_id", &properties.volume.id);
        let image = entities.volumes.items.first().map_or("", |volume| &volume.properties.image);
        sheet.set("__meta_ionos_server_boot_image_id", image);
        Some(id.clone())
    }
}
