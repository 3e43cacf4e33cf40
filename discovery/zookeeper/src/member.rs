//! Data of nodes as targets. JSON is taken as Go takes it: names of keys in any case, what is `null` or absent is empty, and a value
//! of another type makes no member of the whole.

use rosterd_discovery::{Sheet, host_port};
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Labels, Names};
use serde_json::{Map, Value};

const NERVE_PATH: &str = "__meta_nerve_path";
const NERVE_HOST: &str = "__meta_nerve_endpoint_host";
const NERVE_PORT: &str = "__meta_nerve_endpoint_port";
const NERVE_NAME: &str = "__meta_nerve_endpoint_name";
const SERVERSET_PATH: &str = "__meta_serverset_path";
const SERVERSET_HOST: &str = "__meta_serverset_endpoint_host";
const SERVERSET_PORT: &str = "__meta_serverset_endpoint_port";
const SERVERSET_HOST_OF: &str = "__meta_serverset_endpoint_host_";
const SERVERSET_PORT_OF: &str = "__meta_serverset_endpoint_port_";
const SERVERSET_STATUS: &str = "__meta_serverset_status";
const SERVERSET_SHARD: &str = "__meta_serverset_shard";

/// How members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nerve,
    Serverset,
}

/// The target that a node holds, if it holds one: most nodes are there for those below them.
pub(crate) fn target(kind: Kind, path: &str, data: &[u8], names: &mut Names) -> Option<Labels> {
    // Go reads a byte that is not UTF-8 as U+FFFD.
    let value: Value = serde_json::from_str(&String::from_utf8_lossy(data)).ok()?;
    let member = Fields::of(&value)?;
    let mut sheet = Sheet::default();
    match kind {
        Kind::Nerve => nerve(&member, path, &mut sheet)?,
        Kind::Serverset => serverset(&member, path, &mut sheet)?,
    }
    Some(sheet.build(names))
}

fn nerve(member: &Fields<'_>, path: &str, sheet: &mut Sheet) -> Option<()> {
    let (host, port) = member.endpoint()?;
    sheet.set(ADDRESS, &host_port(host, port));
    sheet.set(NERVE_PATH, path);
    sheet.set(NERVE_HOST, host);
    sheet.set(NERVE_PORT, &port.to_string());
    sheet.set(NERVE_NAME, member.text("name")?);
    Some(())
}

fn serverset(member: &Fields<'_>, path: &str, sheet: &mut Sheet) -> Option<()> {
    let (host, port) = member.fields("serviceEndpoint")?.endpoint()?;
    sheet.set(ADDRESS, &host_port(host, port));
    sheet.set(SERVERSET_PATH, path);
    sheet.set(SERVERSET_HOST, host);
    sheet.set(SERVERSET_PORT, &port.to_string());
    for (name, endpoint) in member.fields("additionalEndpoints")?.0.into_iter().flatten() {
        let (host, port) = Fields::of(endpoint)?.endpoint()?;
        sheet.set_sanitised(SERVERSET_HOST_OF, name, host);
        sheet.set_sanitised(SERVERSET_PORT_OF, name, &port.to_string());
    }
    sheet.set(SERVERSET_STATUS, member.text("status")?);
    sheet.set(SERVERSET_SHARD, &member.number("shard")?.to_string());
    Some(())
}

/// An object; one that is `null` has no fields.
struct Fields<'v>(Option<&'v Map<String, Value>>);

impl<'v> Fields<'v> {
    /// `None` where something else stands.
    fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self(None)),
            Value::Object(fields) => Some(Self(Some(fields))),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> &'v Value {
        let fields = self.0.into_iter().flatten();
        let alike = |(key, _): &(&String, &Value)| key.to_lowercase() == name.to_lowercase();
        let exact = self.0.and_then(|fields| fields.get(name));
        exact.or_else(|| fields.filter(alike).map(|(_, value)| value).next_back()).unwrap_or(&Value::Null)
    }

    fn fields(&self, name: &str) -> Option<Fields<'v>> {
        Fields::of(self.get(name))
    }

    fn text(&self, name: &str) -> Option<&'v str> {
        match self.get(name) {
            Value::Null => Some(""),
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Value::Null => Some(0),
            // One with a fraction or an exponent is none for Go.
            number => number.as_i64(),
        }
    }

    fn endpoint(&self) -> Option<(&'v str, i64)> {
        Some((self.text("host")?, self.number("port")?))
    }
}
