//! Virtual machines, as the API tells of them: a target for each that has an address. Pure.

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

rosterd_rest::reply! {
    struct Answer {
        machines: Option<Vec<Machine>> = "Vms",
        next: Option<String> = "NextPageToken",
    }

    pub(super) struct Machine {
        id: String = "VmId",
        state: String = "State",
        private: String = "PrivateIp",
        public: String = "PublicIp",
        placement: Placement = "Placement",
        tags: Vec<Tag> = "Tags",
    }

    struct Placement {
        subregion: String = "SubregionName",
    }

    struct Tag {
        key: String = "Key",
        value: String = "Value",
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page<Machine>, Fault> {
    let answer: Answer = json(body)?;
    Ok(Page::new(present(answer.machines, "Vms")?, answer.next))
}

pub(super) fn groups(machines: Vec<Machine>, region: &str, port: u16) -> Vec<TargetGroup> {
    each_a_target(machines, |machine, sheet| machine.label(region, port, sheet))
}

impl Machine {
    fn label(&self, region: &str, port: u16, sheet: &mut Sheet) -> Option<String> {
        let address = [&self.private, &self.public].into_iter().find(|address| !address.is_empty())?;
        sheet.endpoint(address, port);
        sheet.set("__meta_outscale_vm_instance_id", &self.id);
        sheet.set("__meta_outscale_vm_region", region);
        sheet.set("__meta_outscale_vm_subregion", &self.placement.subregion);
        sheet.set("__meta_outscale_vm_state", &self.state);
        sheet.set("__meta_outscale_vm_private_ip", &self.private);
        sheet.set("__meta_outscale_vm_public_ip", &self.public);
        let tags = self.tags.iter().filter(|tag| !tag.key.is_empty() && !tag.value.is_empty());
        sheet.map("__meta_outscale_vm_tag_", tags.map(|tag| (&tag.key, &tag.value)));
        Some(self.id.clone())
    }
}
