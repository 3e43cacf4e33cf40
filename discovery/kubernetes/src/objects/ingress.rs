//! Ingresses.

use serde::Deserialize;

use super::json::List;
use super::meta::MetaJson;
use super::{Meta, Object};
use crate::codec::{Str, fields};

/// An ingress.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ingress<'a> {
    pub(crate) meta: Meta<'a>,
    pub(crate) class: Str<'a>,
    /// The hosts that have a certificate.
    pub(crate) secure_hosts: Vec<Str<'a>>,
    pub(crate) rules: Vec<Rule<'a>>,
}

fields!(Ingress { meta, class, secure_hosts, rules });

/// A host, and the paths below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rule<'a> {
    pub(crate) host: Str<'a>,
    /// `None` where nothing is said of paths, which is not the same as none of them.
    pub(crate) paths: Option<Vec<Str<'a>>>,
}

fields!(Rule { host, paths });

impl<'a> Object<'a> for Ingress<'a> {
    type Json = IngressJson<'a>;

    fn meta(&self) -> &Meta<'a> {
        &self.meta
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct IngressJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow)]
    spec: Option<SpecJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SpecJson<'a> {
    #[serde(borrow)]
    ingress_class_name: Str<'a>,
    #[serde(borrow)]
    tls: List<TlsJson<'a>>,
    #[serde(borrow)]
    rules: List<RuleJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TlsJson<'a> {
    #[serde(borrow)]
    hosts: List<Str<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuleJson<'a> {
    #[serde(borrow)]
    host: Str<'a>,
    #[serde(borrow)]
    http: Option<HttpJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HttpJson<'a> {
    #[serde(borrow)]
    paths: List<PathJson<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PathJson<'a> {
    #[serde(borrow)]
    path: Str<'a>,
}

impl<'a> From<IngressJson<'a>> for Ingress<'a> {
    fn from(json: IngressJson<'a>) -> Self {
        let spec = json.spec.unwrap_or_default();
        Self {
            meta: json.metadata.into(),
            class: spec.ingress_class_name,
            secure_hosts: spec.tls.0.into_iter().flat_map(|tls| tls.hosts.0).collect(),
            rules: spec.rules.convert(),
        }
    }
}

impl<'a> From<RuleJson<'a>> for Rule<'a> {
    fn from(json: RuleJson<'a>) -> Self {
        let paths = |http: HttpJson<'a>| http.paths.0.into_iter().map(|path| path.path).collect();
        Self { host: json.host, paths: json.http.map(paths) }
    }
}
