//! Where credentials come from: the order of Go's SDK, over what is written, the environment and the shared files. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use rosterd_client::{Environment, Identity, Url};
use rosterd_model::Secret;

use super::AwsError;
use super::endpoint::{self, Variant};
use super::profiles::{Profile, Profiles};
use crate::sigv4::Keys;

const DEFAULT: &str = "default";
/// How long an assumed role is good where nobody says it, as in Go's SDK; a profile may say more, not less.
const ROLE_LASTS: Duration = Duration::from_secs(900);
/// Where the agents of ECS and of EKS give keys to containers.
const ECS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
const EKS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
const EKS_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);

/// What the configuration says of who asks. What is not written comes from the environment and the shared files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// The region.
    pub region: String,
    /// The id of a key.
    pub access_key: String,
    /// The key; counts only with its id.
    pub secret_key: Secret,
    /// A named profile.
    pub profile: String,
    /// A role to assume with what is found.
    pub role_arn: String,
    /// For the role.
    pub external_id: String,
    /// Whether STS is asked at its FIPS endpoint, where that is for the configuration to say.
    pub fips_sts: Option<bool>,
}

impl Who {
    /// Says who asks, quietly, and where. What the environment and files say of it does not count.
    pub fn identity(&self, id: &mut Identity) {
        let Self { region, access_key, secret_key, profile, role_arn, external_id, fips_sts } = self;
        id.text("region", region);
        id.quietly(|id| {
            id.text("access_key", access_key);
            id.secret("secret_key", secret_key);
            id.text("profile", profile);
            id.text("role_arn", role_arn);
            id.text("external_id", external_id);
            id.value("fips_sts", &fips_sts.unwrap_or_default(), &false);
        });
    }
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// They are written.
    Keys(Keys),
    /// STS gives them for a token of somebody else's.
    WebIdentity(WebIdentity),
    /// The agent of a container gives them.
    Container(Container),
    /// The machine's metadata have them.
    Instance,
    /// Nobody may be asked.
    Nowhere,
    /// A command prints them.
    Command { profile: String, command: String },
    /// STS gives them for others.
    Role(Box<Self>, Role),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebIdentity {
    pub(super) token_file: PathBuf,
    pub(super) role_arn: String,
    pub(super) session_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) url: String,
    pub(super) authorization: Authorization,
}

/// What proves to the agent who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    None,
    Value(Secret),
    /// It changes, and is read each time.
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: String,
    pub(super) session_name: String,
    pub(super) lasts: Duration,
}

/// How the metadata of the machine are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) endpoint: String,
    /// Whether it is asked without a token where it gives none.
    pub(super) allows_v1: bool,
    /// Whose keys, where that is said.
    pub(super) role: Option<String>,
}

/// All that counts of the environment and the files, for one who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) who: &'a Who,
    pub(super) environment: &'a Environment,
    pub(super) profiles: &'a Profiles,
}

impl<'a> Chain<'a> {
    fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).filter(|value| !value.is_empty())
    }

    fn either(&self, one: &str, other: &str) -> Option<&'a str> {
        self.variable(one).or_else(|| self.variable(other))
    }

    /// The name of the profile that counts, and whether somebody has written it.
    fn profile_name(&self) -> (&'a str, bool) {
        if !self.who.profile.is_empty() {
            return (&self.who.profile, true);
        }
        self.either("AWS_PROFILE", "AWS_DEFAULT_PROFILE").map_or((DEFAULT, false), |name| (name, true))
    }

    fn profile(&self) -> Profile<'a> {
        self.profiles.get(self.profile_name().0)
    }

    /// What the environment says, or else the profile.
    fn setting(&self, variable: &str, key: &str) -> Option<&'a str> {
        self.variable(variable).or_else(|| self.profile().get(key))
    }

    fn is_set(&self, variable: &str, key: &str) -> bool {
        self.setting(variable, key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The region, if anybody but the machine says it.
    pub(super) fn region(&self) -> Option<&'a str> {
        let written = Some(&*self.who.region).filter(|region| !region.is_empty());
        // What the profile of the configuration says is nearer than what all of the process say.
        let of_profile = || self.profile().get("region");
        let own = || if self.who.profile.is_empty() { None } else { of_profile() };
        written.or_else(own).or_else(|| self.either("AWS_REGION", "AWS_DEFAULT_REGION")).or_else(of_profile)
    }

    /// The URL of a service: what is configured for it, or where AWS has it.
    pub(super) fn endpoint(&self, service: &str, region: &str) -> Result<Url, AwsError> {
        let variable = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let is_ignored = self.is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        let configured = self.either(&variable, "AWS_ENDPOINT_URL").or_else(|| self.profile().endpoint_url(service));
        let parse = |url: &str, place: &str| {
            Url::parse(url).map_err(|error| AwsError::Unusable { place: place.to_owned(), reason: error.to_string() })
        };
        let fips_sts = self.who.fips_sts.filter(|_| service == "sts");
        if let Some(url) = configured.filter(|_| !is_ignored && fips_sts != Some(true)) {
            return parse(url, &format!("the endpoint of {service} ({variable}, or endpoint_url of the profile)"));
        }
        let variant = Variant {
            fips: fips_sts.unwrap_or_else(|| self.is_set("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")),
            dual_stack: self.is_set("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
        };
        parse(&endpoint::url(service, region, variant), &format!("the region {region:?}"))
    }

    /// How the metadata of the machine are asked for; none if they are not to be.
    pub(super) fn instance(&self) -> Option<Instance> {
        if self.is_set("AWS_EC2_METADATA_DISABLED", "") {
            return None;
        }
        let mode = self.setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
        let usual = match mode {
            Some(mode) if mode.eq_ignore_ascii_case("ipv6") => "http://[fd00:ec2::254]",
            _ => "http://169.254.169.254",
        };
        let endpoint = self.setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
        Some(Instance {
            endpoint: endpoint.unwrap_or(usual).to_owned(),
            allows_v1: !self.is_set("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled"),
            role: self.setting("AWS_EC2_INSTANCE_PROFILE_NAME", "ec2_instance_profile_name").map(str::to_owned),
        })
    }

    /// Where the keys come from.
    pub(super) fn origin(&self) -> Result<Origin, AwsError> {
        let Who { access_key, secret_key, role_arn, external_id, .. } = self.who;
        let base = if !access_key.is_empty() && !secret_key.is_empty() {
            Origin::Keys(Keys { id: access_key.clone(), secret: secret_key.clone(), ..Keys::default() })
        } else {
            self.found()?
        };
        if role_arn.is_empty() {
            return Ok(base);
        }
        let (arn, external_id) = (role_arn.clone(), external_id.clone());
        Ok(Origin::Role(Box::new(base), Role { arn, external_id, session_name: session_name(None), lasts: ROLE_LASTS }))
    }

    fn found(&self) -> Result<Origin, AwsError> {
        let (name, is_named) = self.profile_name();
        if self.who.profile.is_empty() {
            if let Some(keys) = self.of_environment() {
                return Ok(Origin::Keys(keys));
            }
            if let Some(file) = self.variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
                let (role, session) = (self.variable("AWS_ROLE_ARN"), self.variable("AWS_ROLE_SESSION_NAME"));
                return web_identity(file, role, session, "AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN");
            }
        }
        if !self.profiles.has(name) && is_named {
            return Err(AwsError::NoProfile { profile: name.to_owned(), files: "the shared files of AWS".to_owned() });
        }
        self.of_profile(name, &mut Vec::new())
    }

    fn of_environment(&self) -> Option<Keys> {
        let id = self.either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")?.to_owned();
        let secret = Secret::new(self.either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")?);
        let token = Secret::new(self.variable("AWS_SESSION_TOKEN").unwrap_or_default());
        Some(Keys { id, secret, token })
    }

    /// What a profile says; `seen` are those that refer to it.
    fn of_profile(&self, name: &'a str, seen: &mut Vec<&'a str>) -> Result<Origin, AwsError> {
        let profile = self.profiles.get(name);
        let place = format!("profile {name:?}");
        let unusable = |reason: String| AwsError::Unusable { place: place.clone(), reason };
        let keys = match (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
            (Some(id), Some(secret)) => {
                let token = Secret::new(profile.get("aws_session_token").unwrap_or_default());
                Some(Origin::Keys(Keys { id: id.to_owned(), secret: Secret::new(secret), token }))
            }
            (None, None) => None,
            _ => return Err(unusable("aws_access_key_id and aws_secret_access_key need each other".to_owned())),
        };
        let role = profile.get("role_arn");
        // A profile that another one stands on gives its own keys, whatever role it could assume: unless it has none.
        if seen.contains(&name) {
            return keys.ok_or_else(|| unusable("its source_profile leads back to it, and it has no keys".to_owned()));
        }
        seen.push(name);
        let base = if let Some(source) = profile.get("source_profile") {
            if !self.profiles.has(source) {
                return Err(unusable(format!("its source_profile {source:?} is in none of the shared files")));
            }
            self.of_profile(source, seen)?
        } else if let Some(keys) = keys {
            keys
        } else if let Some(source) = profile.get("credential_source") {
            match source {
                "Ec2InstanceMetadata" => self.instance_origin(),
                "Environment" => Origin::Keys(self.of_environment().ok_or_else(|| {
                    unusable("credential_source is Environment, and the environment has no keys".to_owned())
                })?),
                "EcsContainer" => self.container()?.ok_or_else(|| {
                    unusable("credential_source is EcsContainer, and the environment names no container".to_owned())
                })?,
                other => {
                    let known = "Ec2InstanceMetadata, Environment and EcsContainer";
                    return Err(unusable(format!("credential_source {other:?} is none of {known}")));
                }
            }
        } else if let Some(file) = profile.get("web_identity_token_file") {
            // The role is that of the token.
            return web_identity(
                file,
                role,
                profile.get("role_session_name"),
                "web_identity_token_file without role_arn",
            );
        } else if profile.has_any("sso_") || profile.has_any("login_session") {
            return Err(unusable("it is for people who log in by a browser: give rosterd keys or a role".to_owned()));
        } else if let Some(command) = profile.get("credential_process") {
            Origin::Command { profile: name.to_owned(), command: command.to_owned() }
        } else {
            self.of_machine()?
        };
        let Some(arn) = role else { return Ok(base) };
        if profile.get("mfa_serial").is_some() {
            return Err(unusable("it has mfa_serial, and nobody is here to type a code".to_owned()));
        }
        let lasts = profile.get("duration_seconds").map(str::parse).transpose();
        let lasts = lasts.map_err(|_| unusable("duration_seconds is no number".to_owned()))?;
        let role = Role {
            arn: arn.to_owned(),
            external_id: profile.get("external_id").unwrap_or_default().to_owned(),
            session_name: session_name(profile.get("role_session_name")),
            lasts: lasts.map_or(ROLE_LASTS, |seconds| Duration::from_secs(seconds).max(ROLE_LASTS)),
        };
        Ok(Origin::Role(Box::new(base), role))
    }

    /// What the place gives where rosterd runs.
    fn of_machine(&self) -> Result<Origin, AwsError> {
        Ok(self.container()?.unwrap_or_else(|| self.instance_origin()))
    }

    fn instance_origin(&self) -> Origin {
        if self.instance().is_some() { Origin::Instance } else { Origin::Nowhere }
    }

    fn container(&self) -> Result<Option<Origin>, AwsError> {
        let full = self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let url = match (full, self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
            (Some(url), _) => url.to_owned(),
            (None, Some(path)) => format!("http://{ECS}{path}"),
            (None, None) => return Ok(None),
        };
        if !may_have_token(&url) {
            return Err(AwsError::Unusable {
                place: "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
                reason: "it is neither an https URL nor one of this machine or of the agents of ECS and EKS".to_owned(),
            });
        }
        let file = self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let authorization = match (file, self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
            (Some(file), _) => Authorization::File(file.into()),
            (None, Some(token)) => Authorization::Value(Secret::new(token)),
            (None, None) => Authorization::None,
        };
        Ok(Some(Origin::Container(Container { url, authorization })))
    }
}

fn web_identity(file: &str, role_arn: Option<&str>, session: Option<&str>, without: &str) -> Result<Origin, AwsError> {
    let missing = || AwsError::Unusable { place: without.to_owned(), reason: "a token is for a role".to_owned() };
    let role_arn = role_arn.ok_or_else(missing)?.to_owned();
    Ok(Origin::WebIdentity(WebIdentity { token_file: file.into(), role_arn, session_name: session_name(session) }))
}

/// What the trail of AWS shows as who asked.
fn session_name(written: Option<&str>) -> String {
    written.unwrap_or("rosterd").to_owned()
}

/// Whether a container's token may go to this URL: over TLS, or to where nobody else listens.
fn may_have_token(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    if url.scheme() == "https" {
        return true;
    }
    let host = url.without_zone().host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || [IpAddr::V4(ECS), EKS.into(), EKS_IPV6.into()].contains(&address),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests;
