//! Whose queue it is. Samples go only to whom they were queued for: to the receiver, and there to the tenant that they are
//! for. Whatever else changes, in the file or of its order, an endpoint goes on with its queue.

use rosterd_client::{HttpClientConfig, Identity, SafeUrl, Url, proves, without_user};

use crate::config::EndpointConfig;

/// What two endpoints have to have in common if one is to go on with the queue of the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owner {
    /// The name that is written; empty if there is none.
    pub(crate) name: String,
    /// The receiver and the tenant there, by what is said openly.
    pub(crate) tenant: u64,
    /// What proves that besides: passwords, tokens, certificates. They are renewed, and may tell tenants apart all the same.
    pub(crate) proof: u64,
    /// `write_relabel_configs`: which samples they are, of one tenant.
    pub(crate) rules: u64,
}

/// A queue that no running endpoint has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) owner: Owner,
    /// The configuration before this one had an endpoint for it.
    pub(crate) just_now: bool,
}

impl Owner {
    pub(crate) fn of(config: &EndpointConfig) -> Self {
        let name = if config.named { config.name.clone() } else { String::new() };
        Self { name, tenant: tenant(config), proof: proof(config), rules: rules(config) }
    }
}

/// Chooses for each owner the queue to go on with, if there is one: that which is its own in all respects, or else the one of
/// its name and tenant, or else one of its tenant. Where it is another proof, that may be another tenant: it is taken for a
/// renewal only when one endpoint came and one went.
pub(crate) fn choose(queues: &[Left], owners: &[Owner]) -> Vec<Option<usize>> {
    let mut chosen = vec![None; owners.len()];
    type Same = fn(&Owner, &Owner) -> bool;
    let same: [Same; 4] = [
        |one, other| one == other,
        |one, other| !one.name.is_empty() && (&one.name, one.tenant) == (&other.name, other.tenant),
        |one, other| (one.tenant, one.proof, one.rules) == (other.tenant, other.proof, other.rules),
        |one, other| (one.tenant, one.proof) == (other.tenant, other.proof),
    ];
    for same in same {
        for (index, owner) in owners.iter().enumerate() {
            let fits = |queue: &usize| !chosen.contains(&Some(*queue)) && same(owner, &queues[*queue].owner);
            if chosen[index].is_none() {
                let of = |just_now| (0..queues.len()).filter(fits).find(|queue| queues[*queue].just_now == just_now);
                chosen[index] = of(true).or_else(|| of(false));
            }
        }
    }
    let renewed = |one: &Owner, other: &Owner| (&one.name, one.tenant) == (&other.name, other.tenant);
    for index in 0..owners.len() {
        let came =
            (0..owners.len()).filter(|other| chosen[*other].is_none() && renewed(&owners[index], &owners[*other]));
        let went = (0..queues.len()).filter(|queue| {
            queues[*queue].just_now && !chosen.contains(&Some(*queue)) && renewed(&owners[index], &queues[*queue].owner)
        });
        if let ([only], [queue]) = (&came.collect::<Vec<_>>()[..], &went.collect::<Vec<_>>()[..])
            && *only == index
        {
            chosen[index] = Some(*queue);
        }
    }
    chosen
}

/// Names the endpoints that have no name after their receivers: host, port and path, and nothing that is secret. Where that is
/// the same for several, it is followed by what their tenants and rules come to, which does not depend on their order.
pub fn give_names(endpoints: &mut [EndpointConfig]) {
    for endpoint in endpoints.iter_mut().filter(|endpoint| !endpoint.named) {
        endpoint.name = receiver(&endpoint.url);
    }
    let plain: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
    for index in 0..endpoints.len() {
        let shared = plain.iter().filter(|name| **name == plain[index]).count() > 1;
        if shared && !endpoints[index].named {
            let mut id = Identity::new();
            id.text("tenant", tenant(&endpoints[index]));
            id.text("rules", rules(&endpoints[index]));
            let name = format!("{}-{:06x}", plain[index], id.hash() & 0xff_ffff);
            let others = endpoints[..index].iter().chain(&endpoints[index + 1..]);
            endpoints[index].name = numbered(&name, others.map(|endpoint| &*endpoint.name));
        }
    }
}

/// The names that queues had in their folders in 0.1: those of endpoints without one followed the order.
pub(crate) fn names_of_first_release(endpoints: &[EndpointConfig]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for endpoint in endpoints {
        let name = if endpoint.named { endpoint.name.clone() } else { receiver(&endpoint.url) };
        names.push(if endpoint.named { name } else { numbered(&name, names.iter().map(|name| &**name)) });
    }
    names
}

fn receiver(url: &Url) -> String {
    format!("{}{}", url.authority(), url.path())
}

/// The name, or the first with a number that is not taken.
fn numbered<'a>(name: &str, taken: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut names = std::iter::once(name.to_owned()).chain((2u64..).map(|number| format!("{name}-{number}")));
    names.find(|name| !taken.clone().any(|taken| taken == name)).unwrap_or_default()
}

fn tenant(config: &EndpointConfig) -> u64 {
    let mut id = Identity::new();
    let mut url = without_user(&config.url);
    url.set_query(None);
    id.text("url", url);
    let open = config.url.query_pairs().filter(|(name, _)| !proves(name));
    id.parts("query", open, |id, (name, value)| id.text(&name, value));
    let mut client =
        HttpClientConfig { http_headers: config.client.http_headers.clone(), ..HttpClientConfig::default() };
    // A tenant is one however it is written: as a value, as a secret, in a file.
    client.http_headers.retain(|name, _| !proves(name));
    if let Some(oauth2) = &config.client.oauth2 {
        let mut oauth2 = oauth2.clone();
        (oauth2.client_secret, oauth2.client_secret_file, oauth2.tls_config) = Default::default();
        oauth2.endpoint_params.retain(|name, _| !proves(name));
        client.oauth2 = Some(oauth2);
    }
    client.identity(&mut id);
    let auth = config.client.basic_auth.clone().unwrap_or_default();
    // There are two ways to write it.
    id.text("user", if auth.username.is_empty() { config.url.username() } else { &auth.username });
    id.path("user_file", &auth.username_file);
    id.part("headers", |id| {
        let open = config.headers.iter().filter(|(name, _)| !proves(name));
        open.for_each(|(name, value)| id.secret(&name.to_lowercase(), value));
    });
    id.hash()
}

fn proof(config: &EndpointConfig) -> u64 {
    let mut id = Identity::new();
    id.url("url", &SafeUrl::new(config.url.clone()));
    config.client.identity(&mut id);
    id.part("headers", |id| {
        config.headers.iter().for_each(|(name, value)| id.secret(&name.to_lowercase(), value));
    });
    if let Some(sigv4) = &config.sigv4 {
        id.part("sigv4", |id| {
            sigv4.who.identity(id);
            id.text("service", &sigv4.service);
        });
    }
    if let Some(azure) = &config.azuread {
        id.part("azuread", |id| azure.identity(id));
    }
    if let Some(google) = &config.google_iam {
        id.part("google_iam", |id| google.identity(id));
    }
    id.hash()
}

fn rules(config: &EndpointConfig) -> u64 {
    let mut id = Identity::new();
    id.parts("rules", config.rules.iter(), |id, rule| {
        let rule = rule.config();
        id.text("action", rule.action);
        id.list("source_labels", &rule.source_labels);
        // Left empty they are not at their defaults.
        id.list("texts", [&rule.separator, &rule.target_label, &rule.regex, &rule.replacement]);
        id.text("modulus", rule.modulus);
    });
    id.hash()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, [tenant, proof, rules]: [u64; 3]) -> Owner {
        Owner { name: name.to_owned(), tenant, proof, rules }
    }

    /// Queues of the configuration before, and those that were left long ago.
    fn chosen(
        queues: &[(&str, [u64; 3])],
        left: &[(&str, [u64; 3])],
        owners: &[(&str, [u64; 3])],
    ) -> Vec<Option<usize>> {
        let of = |just_now| move |(name, of): &(&str, [u64; 3])| Left { owner: owner(name, *of), just_now };
        let queues: Vec<_> = queues.iter().map(of(true)).chain(left.iter().map(of(false))).collect();
        let owners: Vec<_> = owners.iter().map(|(name, of)| owner(name, *of)).collect();
        choose(&queues, &owners)
    }

    #[test]
    fn a_header_names_a_tenant_however_it_is_written() {
        let tenant = |client: &str| {
            let client = serde_yaml::from_str(client).unwrap();
            super::tenant(&EndpointConfig { client, ..crate::tests::endpoint("", "http://h/w") })
        };
        for kind in ["values", "secrets", "files"] {
            let of = |value: &str| tenant(&format!("http_headers: {{X-Scope-OrgID: {{{kind}: [{value}]}}}}"));
            assert_ne!(of("a"), of("b"), "{kind}");
            let proof = |value: &str| tenant(&format!("http_headers: {{X-Api-Key: {{{kind}: [{value}]}}}}"));
            assert_eq!(proof("a"), proof("b"), "{kind}");
        }
    }

    #[test]
    fn no_order_changes_whose_a_queue_is() {
        let (a, b) = (("", [1, 1, 0]), ("", [2, 2, 0]));
        assert_eq!(chosen(&[a, b], &[], &[b, a]), [Some(1), Some(0)]);
        assert_eq!(chosen(&[a, b], &[], &[b]), [Some(1)]);
        assert_eq!(chosen(&[a], &[], &[b]), [None]);
        assert_eq!(chosen(&[], &[a, b], &[b]), [Some(1)]);
        // Only the rules tell them apart.
        let (c, d) = (("", [1, 1, 5]), ("", [1, 1, 6]));
        assert_eq!(chosen(&[c, d], &[], &[d, c]), [Some(1), Some(0)]);
        assert_eq!(chosen(&[c, d], &[], &[d]), [Some(1)]);
    }

    #[test]
    fn another_proof_is_a_renewal_only_where_one_went_and_one_came() {
        let of = |proof| ("", [1, proof, 0]);
        assert_eq!(chosen(&[of(1)], &[], &[of(2)]), [Some(0)]);
        assert_eq!(chosen(&[of(1), of(2)], &[], &[of(3), of(2)]), [Some(0), Some(1)]);
        assert_eq!(chosen(&[of(1), of(2)], &[], &[of(3)]), [None], "which of them it was nobody knows");
        assert_eq!(chosen(&[of(1)], &[], &[of(2), of(3)]), [None, None]);
        assert_eq!(chosen(&[], &[of(1)], &[of(2)]), [None], "it was left before");
    }

    #[test]
    fn a_name_holds_where_all_but_the_tenant_changes() {
        let (a, b) = (("a", [1, 1, 1]), ("b", [1, 2, 2]));
        assert_eq!(chosen(&[a, b], &[], &[("b", [1, 9, 9]), ("a", [1, 8, 8])]), [Some(1), Some(0)]);
        assert_eq!(chosen(&[a], &[], &[("a", [2, 1, 1])]), [None]);
        assert_eq!(chosen(&[a], &[], &[("", [1, 1, 1])]), [Some(0)], "the name was taken away");
        assert_eq!(chosen(&[("", [1, 1, 1])], &[], &[("a", [1, 1, 7])]), [Some(0)], "it was given");
        assert_eq!(chosen(&[a], &[], &[("c", [1, 2, 1])]), [None]);
    }
}
