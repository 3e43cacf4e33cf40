//! Which settings go together. The rules are those of Prometheus; all that break one are told, not only the first.

use rosterd_client::{HttpClientConfig, SafeUrl, Url, UrlError};
use rosterd_model::Problem;

use super::field::FieldSelector;
use super::label::LabelSelector;
use super::{KubernetesConfig, Role, SelectorConfig, unset};

const CONFLICT: &str = "cfg_conflicting_keys";
const MISSING: &str = "cfg_missing_key";
const INVALID: &str = "cfg_invalid_value";

pub(super) fn check(config: &KubernetesConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: &str, code, message: String| problems.push(Problem::new(path, code, message));
    if config.role.is_none() {
        add("role", MISSING, format!("role is missing: write {}", Role::either(&Role::ALL)));
    }
    let (server, file) = (!unset(&config.api_server), !unset(&config.kubeconfig_file));
    let settings = config.client != HttpClientConfig::default();
    if let Some(Err(error)) = api_server(&config.api_server) {
        add("api_server", INVALID, error);
    }
    if server && file {
        add("kubeconfig_file", CONFLICT, "kubeconfig_file and api_server cannot stand together".to_owned());
    }
    if file && settings {
        let message = "settings of the HTTP client cannot stand beside kubeconfig_file, which has its own";
        add("kubeconfig_file", CONFLICT, message.to_owned());
    } else if !server && settings {
        let message = "settings of the HTTP client need api_server: without it, those of the service account are used";
        add("api_server", MISSING, message.to_owned());
    }
    if config.namespaces.own_namespace && (server || file) {
        let key = if server { "api_server" } else { "kubeconfig_file" };
        let message = format!("own_namespace is that of the pod in which rosterd runs, and cannot be used with {key}");
        add("namespaces.own_namespace", CONFLICT, message);
    }
    for (index, name) in config.namespaces.names.iter().enumerate() {
        if !is_label(name) {
            let message = format!("{name:?} is not the name of a namespace");
            add(&format!("namespaces.names[{index}]"), INVALID, message);
        }
    }
    for (index, selector) in config.selectors.iter().enumerate() {
        check_selector(config, index, selector, &mut add);
    }
    problems.extend(config.client.check());
    problems
}

fn check_selector(
    config: &KubernetesConfig,
    index: usize,
    selector: &SelectorConfig,
    add: &mut impl FnMut(&str, &'static str, String),
) {
    let path = format!("selectors[{index}]");
    if let Some(role) = config.role {
        let allowed = role.selectable();
        if !selector.role.is_some_and(|of| allowed.contains(&of)) {
            let message = format!("with the role {role}, the role of a selector is {}", Role::either(allowed));
            add(&format!("{path}.role"), INVALID, message);
        }
    }
    if config.selectors[..index].iter().any(|other| other.role == selector.role) {
        let role = selector.role.map(Role::name).unwrap_or_default();
        add(&format!("{path}.role"), "cfg_duplicate_name", format!("there is a selector for {role:?} already"));
    }
    if let Err(error) = FieldSelector::parse(&selector.field) {
        add(&format!("{path}.field"), INVALID, format!("{:?} is no field selector: {error}", selector.field));
    }
    if let Err(error) = LabelSelector::parse(&selector.label) {
        add(&format!("{path}.label"), INVALID, format!("{:?} is no label selector: {error}", selector.label));
    }
}

/// The URL of the API server. As for client-go, a host and a port alone mean plain HTTP.
pub(crate) fn api_server(url: &SafeUrl) -> Option<Result<Url, String>> {
    let parsed = url.parse()?;
    let parsed = match parsed {
        Err(UrlError::NoScheme) => Url::parse(&format!("http://{url}")),
        parsed => parsed,
    };
    Some(match parsed {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Err("the URL must begin with http:// or https://".to_owned())
        }
        Ok(url) => Ok(url),
        Err(error) => Err(error.to_string()),
    })
}

/// Whether this is a label of DNS, as names of namespaces are: it becomes a part of a path.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}
