//! Ports of services and endpoints.

use serde::Deserialize;

use crate::codec::{Str, fields};

/// A port of a service, or of the addresses behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Port<'a> {
    pub(crate) name: Str<'a>,
    pub(crate) number: u32,
    pub(crate) protocol: Str<'a>,
}

fields!(Port { name, number, protocol });

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PortJson<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    port: u32,
    #[serde(borrow)]
    protocol: Str<'a>,
}

impl<'a> From<PortJson<'a>> for Port<'a> {
    fn from(json: PortJson<'a>) -> Self {
        Self { name: json.name, number: json.port, protocol: json.protocol }
    }
}
