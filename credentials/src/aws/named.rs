//! What the environment says of who asks, and where, as far as it tells one account or region from another. Pure.

use rosterd_client::{Environment, Identity, SafeUrl};
use rosterd_model::Secret;

use super::Who;

impl Who {
    /// Says who asks, as [`identity`](Self::identity) does, and besides whom the environment names: quietly, and only where that counts.
    /// What the shared files say does not, but which they are does. Nor does what is another one after each start of a container.
    pub fn identity_on(&self, id: &mut Identity, environment: &Environment) {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let either = |one: &str, other: &str| variable(one).or_else(|| variable(other)).unwrap_or_default();
        let (has_keys, has_profile) =
            (!self.access_key.is_empty() && !self.secret_key.is_empty(), !self.profile.is_empty());
        let mut named = self.clone();
        if !has_profile {
            either("AWS_PROFILE", "AWS_DEFAULT_PROFILE").clone_into(&mut named.profile);
        }
        let key = (!has_keys && !has_profile).then(|| {
            let id = either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
            (id, either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"))
        });
        let key = key.filter(|(id, secret)| !id.is_empty() && !secret.is_empty());
        if let Some((id, secret)) = key {
            (named.access_key, named.secret_key) = (id.to_owned(), Secret::new(secret));
        }
        self.identity(id);
        id.quietly(|id| {
            named.identity(id);
            if self.region.is_empty() {
                // A profile that is configured may have one that counts more.
                let name = if has_profile { "environment/region" } else { "region" };
                id.text(name, either("AWS_REGION", "AWS_DEFAULT_REGION"));
            }
            for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
                id.text(&format!("environment/{name}"), variable(name).unwrap_or_default());
            }
            if has_keys || has_profile || key.is_some() {
                return;
            }
            let web_identity = variable("AWS_WEB_IDENTITY_TOKEN_FILE").and_then(|_| variable("AWS_ROLE_ARN"));
            id.text("environment/web_identity", web_identity.unwrap_or_default());
            for name in ["AWS_EC2_INSTANCE_PROFILE_NAME", "AWS_EC2_METADATA_SERVICE_ENDPOINT"] {
                id.text(&format!("environment/{name}"), variable(name).unwrap_or_default());
            }
        });
    }
}

/// Where the environment says that a service is.
pub fn endpoint_on(service: &str, environment: &Environment) -> SafeUrl {
    let is_ignored =
        environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty() && !is_ignored);
    let own = variable(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()));
    SafeUrl::new(own.or_else(|| variable("AWS_ENDPOINT_URL")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn data(who: &Who, variables: &[(&str, &str)]) -> u64 {
        let mut id = Identity::new();
        who.identity_on(&mut id, &variables.iter().copied().collect());
        let shown: Vec<_> = id.reads().iter().map(|(name, _)| name.to_owned()).collect();
        let wanted = if who.region.is_empty() { &[][..] } else { &["region"] };
        assert_eq!(shown, wanted, "nobody is shown who asks");
        id.hash()
    }

    fn nobody() -> Who {
        Who::default()
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    #[test]
    fn whom_the_environment_names_tells_accounts_and_regions_apart() {
        let all = [
            data(&nobody(), &[]),
            data(&nobody(), &[("AWS_PROFILE", "a")]),
            data(&nobody(), &[("AWS_DEFAULT_PROFILE", "b")]),
            data(&nobody(), &[("AWS_REGION", "a")]),
            data(&nobody(), &[("AWS_DEFAULT_REGION", "b")]),
            data(&nobody(), &KEYS),
            data(&nobody(), &[("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "other")]),
            data(&nobody(), &[KEYS[0], KEYS[1], ("AWS_PROFILE", "a")]),
            data(&nobody(), &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "a")]),
            data(&nobody(), &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "b")]),
            data(&nobody(), &[("AWS_CONFIG_FILE", "/a")]),
            data(&nobody(), &[("AWS_SHARED_CREDENTIALS_FILE", "/a")]),
            data(&nobody(), &[("AWS_EC2_INSTANCE_PROFILE_NAME", "a")]),
            data(&nobody(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://a")]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn it_is_as_good_as_what_is_written_which_counts_more() {
        let keys = Who { access_key: "id".to_owned(), secret_key: Secret::new("secret"), ..nobody() };
        assert_eq!(data(&nobody(), &KEYS), data(&keys, &[]));
        let region = Who { region: "r".to_owned(), ..nobody() };
        assert_eq!(data(&nobody(), &[("AWS_REGION", "r")]), data(&region, &[("AWS_REGION", "other")]));
        let profile = Who { profile: "p".to_owned(), ..nobody() };
        assert_eq!(data(&nobody(), &[("AWS_PROFILE", "p")]), data(&profile, &KEYS));
        assert_ne!(data(&profile, &[("AWS_REGION", "r")]), data(&Who { region: "r".to_owned(), ..profile }, &[]));
        let other = [("AWS_ACCESS_KEY_ID", "other"), ("AWS_SECRET_ACCESS_KEY", "other"), ("AWS_ROLE_ARN", "r")];
        assert_eq!(data(&keys, &other), data(&keys, &[]));
    }

    #[test]
    fn what_is_of_no_use_or_changes_by_itself_does_not_count() {
        let token = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/7"), ("AWS_SESSION_TOKEN", "t")];
        for variables in [&token[..], &[("AWS_ROLE_ARN", "without a token")], &KEYS[..1], &[("AWS_PROFILE", "")]] {
            assert_eq!(data(&nobody(), variables), data(&nobody(), &[]), "{variables:?}");
        }
    }

    #[test]
    fn a_service_may_be_named_by_itself_or_with_all() {
        let at = |variables: &[(&str, &str)]| endpoint_on("ec2", &variables.iter().copied().collect()).to_string();
        let all = ("AWS_ENDPOINT_URL", "http://all/");
        assert_eq!(at(&[]), "");
        assert_eq!(at(&[all]), "http://all/");
        assert_eq!(
            at(&[all, ("AWS_ENDPOINT_URL_EC2", "http://ec2/"), ("AWS_ENDPOINT_URL_RDS", "http://rds/")]),
            "http://ec2/"
        );
        assert_eq!(at(&[all, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE")]), "");
    }
}
