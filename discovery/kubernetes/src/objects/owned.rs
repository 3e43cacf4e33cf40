//! Replica sets and jobs, of which only who made them counts.

use serde::Deserialize;

use super::meta::MetaJson;
use super::{Map, Meta, Object, Owner};
use crate::codec::fields;

macro_rules! owned {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub(crate) struct $name<'a> {
            pub(crate) meta: Meta<'a>,
            pub(crate) controller: Option<Owner<'a>>,
        }

        fields!($name { meta, controller });

        impl<'a> Object<'a> for $name<'a> {
            type Json = OwnedJson<'a>;

            fn meta(&self) -> &Meta<'a> {
                &self.meta
            }
        }

        impl<'a> From<OwnedJson<'a>> for $name<'a> {
            fn from(mut json: OwnedJson<'a>) -> Self {
                let controller = json.metadata.take_controller();
                let meta = Meta { labels: Map::default(), annotations: Map::default(), ..json.metadata.into() };
                Self { meta, controller }
            }
        }
    };
}

owned! {
    /// A replica set, without labels and annotations.
    ReplicaSet
}

owned! {
    /// A job, without labels and annotations.
    Job
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct OwnedJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
}
