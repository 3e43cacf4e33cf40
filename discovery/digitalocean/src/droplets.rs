//! Droplets, as the API tells of them: a target for each that has an IPv4 address. Pure.

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

rosterd_rest::reply! {
    struct Answer {
        droplets: Option<Vec<Droplet>> = "droplets",
        links: Links = "links",
    }

    struct Links {
        pages: Neighbours = "pages",
    }

    struct Neighbours {
        next: Option<String> = "next",
    }

    pub(super) struct Droplet {
        id: i64 = "id",
        name: String = "name",
        status: String = "status",
        size: String = "size_slug",
        network: String = "vpc_uuid",
        features: Vec<String> = "features",
        tags: Vec<String> = "tags",
        image: Image = "image",
        region: Region = "region",
        networks: Networks = "networks",
    }

    struct Image {
        slug: String = "slug",
        name: String = "name",
    }

    struct Region {
        slug: String = "slug",
    }

    struct Networks {
        v4: Vec<Address> = "v4",
        v6: Vec<Address> = "v6",
    }

    struct Address {
        kind: String = "type",
        address: String = "ip_address",
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page<Droplet>, Fault> {
    let answer: Answer = json(body)?;
    Ok(Page::new(present(answer.droplets, "droplets")?, answer.links.pages.next))
}

pub(super) fn groups(droplets: Vec<Droplet>, port: u16) -> Vec<TargetGroup> {
    each_a_target(droplets, |droplet, sheet| droplet.label(port, sheet))
}

impl Droplet {
    fn label(&self, port: u16, sheet: &mut Sheet) -> Option<String> {
        if self.networks.v4.is_empty() {
            return None;
        }
        let public = first(&self.networks.v4, "public");
        sheet.endpoint(public, port);
        sheet.number("__meta_digitalocean_droplet_id", self.id);
        sheet.set("__meta_digitalocean_droplet_name", &self.name);
        sheet.set("__meta_digitalocean_image", &self.image.slug);
        sheet.set("__meta_digitalocean_image_name", &self.image.name);
        sheet.set("__meta_digitalocean_private_ipv4", first(&self.networks.v4, "private"));
        sheet.set("__meta_digitalocean_public_ipv4", public);
        sheet.set("__meta_digitalocean_public_ipv6", first(&self.networks.v6, "public"));
        sheet.set("__meta_digitalocean_region", &self.region.slug);
        sheet.set("__meta_digitalocean_size", &self.size);
        sheet.set("__meta_digitalocean_status", &self.status);
        sheet.set("__meta_digitalocean_vpc", &self.network);
        sheet.list_if_any("__meta_digitalocean_features", &self.features, ",");
        sheet.list_if_any("__meta_digitalocean_tags", &self.tags, ",");
        Some(self.id.to_string())
    }
}

fn first<'a>(addresses: &'a [Address], kind: &str) -> &'a str {
    addresses.iter().find(|address| address.kind == kind).map_or("", |address| &address.address)
}
