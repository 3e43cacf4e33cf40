//! Roles of Kubernetes that allow what a configuration needs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use rosterd_discovery::Permission;
use serde::Serialize;

const API: &str = "rbac.authorization.k8s.io";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// The service account that rosterd runs as, `monitoring/rosterd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) namespace: String,
    name: String,
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        let is_name = |name: &str| !name.is_empty() && name.chars().all(fits);
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("a service account is written NAMESPACE/NAME, as monitoring/rosterd".to_owned()),
        }
    }
}

/// A Role, or with `role_ref` and `subjects` what binds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'d>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_ref: Option<RoleRef<'d>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Subject<'d>>,
}

#[derive(Debug, Serialize)]
struct Metadata<'d> {
    name: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'d str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: [&'static str; 1],
    resources: BTreeSet<&'static str>,
    verbs: &'static [&'static str],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RoleRef<'d> {
    api_group: &'static str,
    kind: &'static str,
    name: &'d str,
}

#[derive(Debug, Serialize)]
struct Subject<'d> {
    kind: &'static str,
    name: &'d str,
    namespace: &'d str,
}

/// The rules of each cluster and namespace, and under no namespace those for all of it. What is allowed there is not allowed again.
fn rules(permissions: &[Permission]) -> BTreeMap<(Option<&str>, Option<&str>), Vec<Rule>> {
    let mut found: BTreeMap<_, BTreeMap<_, BTreeSet<&'static str>>> = BTreeMap::new();
    for needed in permissions {
        if !permissions.iter().any(|other| other != needed && other.covers(needed)) {
            let rules = found.entry((needed.cluster.as_deref(), needed.namespace.as_deref())).or_default();
            rules.entry((needed.group, needed.verbs)).or_default().insert(needed.resource);
        }
    }
    let rule = |((group, verbs), resources)| Rule { api_groups: [group], resources, verbs };
    found.into_iter().map(|(place, rules)| (place, rules.into_iter().map(rule).collect())).collect()
}

/// The Roles and what binds them to the account, as YAML. Those for another cluster stand behind a line that names it.
pub(super) fn roles(permissions: &[Permission], account: &Account) -> Result<String, serde_yaml::Error> {
    if permissions.is_empty() {
        return Ok("# Nothing is asked of the API of Kubernetes, and nothing has to be allowed.\n".to_owned());
    }
    // Of several rosterds in a cluster, none takes another's.
    let name = format!("{}-{}", account.namespace, account.name);
    let (mut text, mut before) = (String::new(), None);
    for ((cluster, namespace), rules) in rules(permissions) {
        if let Some(cluster) = cluster.filter(|cluster| before != Some(*cluster)) {
            let cluster: String = cluster.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("# To be applied to the cluster of {cluster}:\n"));
        }
        before = cluster;
        let (role, binding) = match namespace {
            None => ("ClusterRole", "ClusterRoleBinding"),
            Some(_) => ("Role", "RoleBinding"),
        };
        let document = |kind| Document {
            api_version: VERSION,
            kind,
            metadata: Metadata { name: &name, namespace },
            rules: Vec::new(),
            role_ref: None,
            subjects: Vec::new(),
        };
        let subject = Subject { kind: "ServiceAccount", name: &account.name, namespace: &account.namespace };
        let bound = Document {
            role_ref: Some(RoleRef { api_group: API, kind: role, name: &name }),
            subjects: vec![subject],
            ..document(binding)
        };
        for document in [Document { rules, ..document(role) }, bound] {
            text.push_str("---\n");
            text.push_str(&serde_yaml::to_string(&document)?);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(namespace: Option<&str>, group: &'static str, resource: &'static str) -> Permission {
        Permission { cluster: None, namespace: namespace.map(Into::into), group, resource, verbs: &["list", "watch"] }
    }

    #[test]
    fn what_is_allowed_everywhere_is_not_allowed_again() {
        let elsewhere = Permission { cluster: Some("https://b".to_owned()), ..permission(Some("a"), "", "pods") };
        let needed = [
            permission(Some("a"), "", "pods"),
            permission(Some("a"), "", "services"),
            permission(None, "", "pods"),
            permission(None, "", "nodes"),
            permission(Some("b"), "apps", "replicasets"),
            permission(Some("a"), "", "services"),
            elsewhere,
        ];
        let rules = rules(&needed);
        let shown = rules.iter().flat_map(|(place, rules)| rules.iter().map(move |rule| (place, rule)));
        let shown: Vec<_> = shown
            .map(|((cluster, namespace), rule)| {
                format!("{cluster:?} {namespace:?} {} {:?}", rule.api_groups[0], rule.resources)
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"None None  {"nodes", "pods"}"#,
                r#"None Some("a")  {"services"}"#,
                r#"None Some("b") apps {"replicasets"}"#,
                r#"Some("https://b") Some("a")  {"pods"}"#,
            ]
        );
    }

    #[test]
    fn an_account_has_a_namespace_and_a_name() {
        let account: Account = "monitoring/rosterd".parse().unwrap();
        assert_eq!((&*account.namespace, &*account.name), ("monitoring", "rosterd"));
        for text in ["rosterd", "/rosterd", "a/", "a/b/c", "A/b"] {
            assert!(text.parse::<Account>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_yaml_whatever_names_are_like() {
        let account: Account = "1/true".parse().unwrap();
        let elsewhere = Permission { cluster: Some("a\nkind: Pod".to_owned()), ..permission(None, "", "nodes") };
        let text = roles(&[permission(Some("123"), "", "pods"), elsewhere], &account).unwrap();
        assert!(text.contains("namespace: '123'") && text.contains("name: 'true'"), "{text}");
        assert!(text.contains("# To be applied to the cluster of akind: Pod:\n---\n"), "{text}");
        let none = roles(&[], &account).unwrap();
        assert!(none.starts_with("# Nothing") && none.lines().count() == 1, "{none}");
    }
}
