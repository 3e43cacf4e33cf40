//! What the APIs answer, and what becomes of it. Pure.

use std::collections::BTreeMap;

use http::HeaderMap;
use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Before, Fault, Page, json, present};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The header that names the next page.
const NEXT: &str = "opc-next-page";

rosterd_rest::reply! {
    pub(super) struct Compartment {
        pub(super) id: String = "id",
        state: String = "lifecycleState",
    }

    pub(super) struct Instance {
        pub(super) id: String = "id",
        compartment: String = "compartmentId",
        name: String = "displayName",
        state: String = "lifecycleState",
        shape: String = "shape",
        availability: String = "availabilityDomain",
        fault: String = "faultDomain",
        region: String = "region",
        image: String = "imageId",
        tags: BTreeMap<String, String> = "freeformTags",
        defined: BTreeMap<String, BTreeMap<String, Value>> = "definedTags",
    }

    pub(super) struct Attachment {
        pub(super) instance: String = "instanceId",
        pub(super) vnic: String = "vnicId",
        state: String = "lifecycleState",
    }

    pub(super) struct Vnic {
        id: String = "id",
        pub(super) is_primary: bool = "isPrimary",
        private: String = "privateIp",
        public: String = "publicIp",
        ipv6: Vec<String> = "ipv6Addresses",
        host: String = "hostnameLabel",
    }
}

/// A page of a list.
pub(super) fn page<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8], _: Before) -> Result<Page<T>, Fault> {
    let next = headers.get(NEXT).and_then(|value| value.to_str().ok());
    Ok(Page::new(json(body)?, next.map(str::to_owned)))
}

/// A network card.
pub(super) fn vnic(body: &[u8]) -> Result<Vnic, Fault> {
    let vnic: Vnic = json(body)?;
    present((!vnic.id.is_empty()).then_some(vnic), "id")
}

impl Compartment {
    pub(super) fn is_active(&self) -> bool {
        self.state == "ACTIVE"
    }
}

impl Attachment {
    pub(super) fn is_attached(&self) -> bool {
        self.state == "ATTACHED" && !self.vnic.is_empty()
    }
}

/// What makes a group of an instance.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    pub(super) tenancy: &'a str,
    pub(super) port: u16,
    pub(super) sheet: Sheet,
    pub(super) names: Names,
}

impl Decoder<'_> {
    /// None of an instance without an address.
    pub(super) fn group(&mut self, source: &str, instance: &Instance, vnic: &Vnic) -> Option<TargetGroup> {
        let mut ipv6: Vec<_> = vnic.ipv6.iter().filter(|address| !address.is_empty()).collect();
        ipv6.sort();
        let all = [&vnic.private, &vnic.public].into_iter().chain(ipv6.iter().copied());
        let address = all.into_iter().find(|address| !address.is_empty())?;
        let sheet = &mut self.sheet;
        sheet.endpoint(address, self.port);
        sheet.set("__meta_oci_instance_id", &instance.id);
        sheet.set("__meta_oci_instance_name", &instance.name);
        sheet.set("__meta_oci_instance_state", &instance.state);
        sheet.set("__meta_oci_instance_shape", &instance.shape);
        sheet.set("__meta_oci_availability_domain", &instance.availability);
        sheet.set("__meta_oci_fault_domain", &instance.fault);
        sheet.set("__meta_oci_region", &instance.region);
        sheet.set("__meta_oci_compartment_id", &instance.compartment);
        sheet.set("__meta_oci_image_id", &instance.image);
        sheet.set("__meta_oci_tenancy_id", self.tenancy);
        sheet.set("__meta_oci_vnic_id", &vnic.id);
        sheet.set("__meta_oci_private_ip", &vnic.private);
        sheet.set("__meta_oci_public_ip", &vnic.public);
        sheet.set("__meta_oci_hostname_label", &vnic.host);
        if !ipv6.is_empty() {
            sheet.list("__meta_oci_ipv6_addresses", &ipv6, ",");
        }
        sheet.map("__meta_oci_tag_", &instance.tags);
        for (namespace, tags) in &instance.defined {
            let tags = tags.iter().filter_map(|(key, value)| Some((format!("{namespace}_{key}"), text(value)?)));
            sheet.map("__meta_oci_defined_tag_", tags);
        }
        let targets = vec![sheet.build(&mut self.names)];
        let key = instance.id.as_str().into();
        Some(TargetGroup { source: source.into(), key, targets, ..TargetGroup::default() })
    }
}

/// The value of a tag, unless it is a list or a map. Numbers are those of JavaScript, written out.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_tags_are_texts() {
        for (value, want) in [
            ("\"a\"", Some("a")),
            ("true", Some("true")),
            ("7", Some("7")),
            ("1.50", Some("1.5")),
            ("1e21", Some("1000000000000000000000")),
            ("9007199254740993", Some("9007199254740992")),
            ("null", None),
            ("[1]", None),
            ("{}", None),
        ] {
            assert_eq!(text(&serde_json::from_str(value).expect("JSON")).as_deref(), want, "{value}");
        }
    }
}
