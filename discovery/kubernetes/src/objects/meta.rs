//! What all objects have.

use serde::Deserialize;

use super::Map;
use super::json::List;
use crate::codec::{Field, In, Out, Str, fields};

/// What all objects have. Its name stands first in every record, so that a record can be found by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Meta<'a> {
    /// Empty for what is in no namespace.
    pub(crate) namespace: Str<'a>,
    pub(crate) name: Str<'a>,
    pub(crate) labels: Map<'a>,
    pub(crate) annotations: Map<'a>,
    /// Where in the history the object stands; empty in what was read from a record.
    pub(crate) version: Str<'a>,
}

impl<'a> Field<'a> for Meta<'a> {
    fn put(&self, out: &mut Out<'_>) {
        out.text(&self.namespace);
        out.own(&self.name);
        self.labels.put(out);
        self.annotations.put(out);
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        Some(Self {
            namespace: from.text()?,
            name: from.text()?,
            labels: Map::take(from)?,
            annotations: Map::take(from)?,
            version: Str::default(),
        })
    }
}

/// Who made an object and controls it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owner<'a> {
    pub(crate) kind: Str<'a>,
    pub(crate) name: Str<'a>,
}

fields!(Owner { kind, name });

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MetaJson<'a> {
    #[serde(borrow)]
    namespace: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    pub(super) uid: Str<'a>,
    #[serde(borrow)]
    resource_version: Str<'a>,
    #[serde(borrow)]
    labels: Map<'a>,
    #[serde(borrow)]
    annotations: Map<'a>,
    #[serde(borrow)]
    owner_references: List<OwnerJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OwnerJson<'a> {
    #[serde(borrow)]
    kind: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    controller: Option<bool>,
}

impl<'a> MetaJson<'a> {
    /// The first owner that controls it.
    pub(super) fn take_controller(&mut self) -> Option<Owner<'a>> {
        let owners = std::mem::take(&mut self.owner_references).0.into_iter();
        let controls = |owner: &OwnerJson<'_>| owner.controller == Some(true);
        owners.into_iter().find(controls).map(|OwnerJson { kind, name, .. }| Owner { kind, name })
    }
}

impl<'a> From<MetaJson<'a>> for Meta<'a> {
    fn from(json: MetaJson<'a>) -> Self {
        let MetaJson { namespace, name, labels, annotations, resource_version, .. } = json;
        Self { namespace, name, labels, annotations, version: resource_version }
    }
}
