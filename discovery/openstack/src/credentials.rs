//! Who asks: how that is checked, taken from the environment, and told to Keystone. Pure.
//!
//! A password counts more than a token, and that more than an application credential, as in gophercloud.

use rosterd_client::{Environment, Identity, SafeUrl, Secret, unset};
use rosterd_model::Problem;
use serde_json::{Value, json};

use super::OpenstackConfig;
use super::error::OpenstackError;

const CONFLICT: &str = "cfg_conflicting_keys";
const MISSING: &str = "cfg_missing_key";

/// How one proves who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Password,
    Token,
    Credential,
}

impl Method {
    fn of(config: &OpenstackConfig) -> Option<Self> {
        if !config.password.is_empty() {
            return Some(Self::Password);
        }
        if !config.token.is_empty() || !unset(&config.token_file) {
            return Some(Self::Token);
        }
        let is_credential =
            !config.application_credential_id.is_empty() || !config.application_credential_name.is_empty();
        is_credential.then_some(Self::Credential)
    }
}

/// All that is wrong with what says who asks.
pub(super) fn check(config: &OpenstackConfig) -> Vec<Problem> {
    let mut problems: Vec<_> = config.identity_endpoint.check("identity_endpoint").into_iter().collect();
    if problems.is_empty() && version(&config.identity_endpoint).is_some_and(|version| version.starts_with("v2")) {
        let message = "version 2 of the API of Keystone is gone since 2018: leave the version out, or write v3";
        problems.push(Problem::new("identity_endpoint", "cfg_invalid_value", message));
    }
    let Some(method) = Method::of(config) else {
        let message = "nothing proves who asks: give a password, a token or an application credential";
        problems.push(Problem::new("password", MISSING, message));
        return problems;
    };
    let (named, identified) = (!config.username.is_empty(), !config.userid.is_empty());
    let domains = [&config.domain_id, &config.domain_name].iter().filter(|domain| !domain.is_empty()).count();
    let mut wrong = |key: &str, code, message: &str| problems.push(Problem::new(key, code, message));
    match method {
        Method::Password if named && identified => wrong("userid", CONFLICT, "give either username or userid"),
        Method::Password if identified && domains > 0 => {
            wrong("userid", CONFLICT, "an id of a user goes without domain_id and domain_name");
        }
        Method::Password if named && domains == 2 => {
            wrong("domain_name", CONFLICT, "give either domain_id or domain_name");
        }
        Method::Token if !config.token.is_empty() && !unset(&config.token_file) => {
            wrong("token_file", CONFLICT, "give either token or token_file");
        }
        Method::Token if named || identified => {
            wrong("token", CONFLICT, "a token says itself whose it is: leave out the user")
        }
        Method::Credential if config.application_credential_secret.is_empty() => {
            wrong("application_credential_secret", MISSING, "application_credential_secret is missing");
        }
        _ => {}
    }
    let needs_user = match method {
        Method::Password => true,
        Method::Token => false,
        Method::Credential => config.application_credential_id.is_empty(),
    };
    if needs_user && !named && !identified {
        wrong("username", MISSING, "username is missing, or userid");
    }
    let needs_domain = needs_user && named && !identified;
    let has_scope = method != Method::Credential && config.project_id.is_empty() && !config.project_name.is_empty();
    if domains == 0 && (needs_domain || has_scope) {
        let message = "names of users and projects count within a domain: give domain_name or domain_id";
        wrong("domain_name", MISSING, message);
    }
    problems
}

/// What is said of who asks, and does not count because it does not say whom.
pub(super) fn idle(config: &OpenstackConfig) -> Option<Problem> {
    let says_who = Method::of(config).is_some() || !config.username.is_empty() || !config.userid.is_empty();
    let message =
        "without identity_endpoint, the environment (OS_AUTH_URL and others) says who asks, and not the configuration";
    (config.identity_endpoint.parse().is_none() && says_who)
        .then(|| Problem::new("identity_endpoint", "cfg_no_effect", message))
}

/// Says who asks, for the data are theirs.
pub(super) fn identity(config: &OpenstackConfig, id: &mut Identity) {
    id.text("username", &config.username);
    id.text("userid", &config.userid);
    id.secret("password", &config.password);
    id.text("project_name", &config.project_name);
    id.text("project_id", &config.project_id);
    id.text("domain_name", &config.domain_name);
    id.text("domain_id", &config.domain_id);
    id.text("application_credential_name", &config.application_credential_name);
    id.text("application_credential_id", &config.application_credential_id);
    id.secret("application_credential_secret", &config.application_credential_secret);
    id.secret("token", &config.token);
    id.path("token_file", &config.token_file);
}

/// The configuration with what the environment says of who asks whom, as the clients of OpenStack read it.
pub(super) fn of_environment(
    config: &OpenstackConfig,
    environment: &Environment,
) -> Result<OpenstackConfig, OpenstackError> {
    let text = |name: &str| environment.get(name).unwrap_or_default().to_owned();
    let newer = |name: &str, old: &str| Some(text(name)).filter(|value| !value.is_empty()).unwrap_or_else(|| text(old));
    // Prometheus reads the first pair alone; files of Horizon have the others, also where the user is given by an id, which needs none.
    let is_named = text("OS_USERID").is_empty();
    let domain = ["OS_", "OS_USER_", "OS_PROJECT_"]
        .map(|whose| (text(&format!("{whose}DOMAIN_NAME")), text(&format!("{whose}DOMAIN_ID"))))
        .into_iter()
        .take(if is_named { 3 } else { 1 })
        .find(|(name, id)| !name.is_empty() || !id.is_empty());
    let (domain_name, domain_id) = domain.unwrap_or_default();
    let config = OpenstackConfig {
        identity_endpoint: SafeUrl::new(text("OS_AUTH_URL")),
        username: text("OS_USERNAME"),
        userid: text("OS_USERID"),
        password: Secret::new(text("OS_PASSWORD")),
        project_name: newer("OS_PROJECT_NAME", "OS_TENANT_NAME"),
        project_id: newer("OS_PROJECT_ID", "OS_TENANT_ID"),
        domain_name,
        domain_id,
        application_credential_name: text("OS_APPLICATION_CREDENTIAL_NAME"),
        application_credential_id: text("OS_APPLICATION_CREDENTIAL_ID"),
        application_credential_secret: Secret::new(text("OS_APPLICATION_CREDENTIAL_SECRET")),
        token: Secret::default(),
        token_file: Default::default(),
        is_system: text("OS_SYSTEM_SCOPE") == "all",
        ..config.clone()
    };
    if config.identity_endpoint.parse().is_none() {
        return Err(OpenstackError::NoKeystone);
    }
    match check(&config).into_iter().next() {
        None => Ok(config),
        Some(problem) => Err(OpenstackError::Environment { reason: of_variables(&problem.message) }),
    }
}

/// What is wrong with keys, said of the variables that stand for them.
fn of_variables(message: &str) -> String {
    let variable = |word: &str| match word {
        "identity_endpoint" => Some("OS_AUTH_URL".to_owned()),
        "username" | "userid" | "domain_name" | "domain_id" => Some(format!("OS_{}", word.to_uppercase())),
        word if word.starts_with("application_credential_") => Some(format!("OS_{}", word.to_uppercase())),
        _ => None,
    };
    let words = message.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let translated = words.map(|piece| {
        let word = piece.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        variable(word).map_or_else(|| piece.to_owned(), |name| format!("{name}{}", &piece[word.len()..]))
    });
    translated.collect()
}

/// The version that a URL of Keystone ends in.
pub(super) fn version(keystone: &SafeUrl) -> Option<String> {
    let url = keystone.parse()?.ok()?;
    let last = url.path_segments()?.rfind(|segment| !segment.is_empty())?;
    super::catalog::is_version(last).then(|| last.to_owned())
}

/// What Keystone is asked for a token with. The token that one has, if there is one, may come from a file.
pub(super) fn request(config: &OpenstackConfig, token: &Secret) -> Value {
    let (method, proof) = match Method::of(config) {
        None | Some(Method::Password) => {
            let mut user = user(config);
            user["password"] = config.password.expose().into();
            ("password", json!({"user": user}))
        }
        Some(Method::Token) => ("token", json!({"id": token.expose()})),
        Some(Method::Credential) => ("application_credential", credential(config)),
    };
    let mut auth = json!({"identity": {"methods": [method], method: proof}});
    // An application credential is one of a project, and Keystone refuses it with another one.
    if method != "application_credential"
        && let Some(scope) = scope(config)
    {
        auth["scope"] = scope;
    }
    json!({"auth": auth})
}

fn credential(config: &OpenstackConfig) -> Value {
    let secret = config.application_credential_secret.expose();
    match config.application_credential_id.as_str() {
        "" => json!({"name": config.application_credential_name, "secret": secret, "user": user(config)}),
        id => json!({"id": id, "secret": secret}),
    }
}

fn user(config: &OpenstackConfig) -> Value {
    match config.userid.as_str() {
        "" => json!({"name": config.username, "domain": domain(config)}),
        id => json!({"id": id}),
    }
}

fn scope(config: &OpenstackConfig) -> Option<Value> {
    if config.is_system {
        return Some(json!({"system": {"all": true}}));
    }
    match (config.project_id.as_str(), config.project_name.as_str()) {
        ("", "") => None,
        ("", name) => Some(json!({"project": {"name": name, "domain": domain(config)}})),
        (id, _) => Some(json!({"project": {"id": id}})),
    }
}

fn domain(config: &OpenstackConfig) -> Value {
    match config.domain_id.as_str() {
        "" => json!({"name": config.domain_name}),
        id => json!({"id": id}),
    }
}
