//! What the user writes under `oci_sd_configs`.

use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_client::{SafeUrl, Secret, unset};
use rosterd_credentials::{Kept, Tokens};
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, MechanismShared, Polling, System,
};
use rosterd_model::{Duration, Problem, in_words};
use rosterd_rest::{Calls, Throttles};
use rosterd_tasks::{Stopper, files};
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::discoverer::Oci;
use super::region::Region;
use super::signature::Signers;

/// What is asked for: of the machine and of who gives it tokens, too.
pub(super) const OPERATIONS: [&str; 6] =
    ["compartments", "instances", "vnic_attachments", "vnic", "federation", "metadata"];

rosterd_client::with_http_client! {
    /// One entry of `oci_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct OciConfig {
        /// How requests are signed.
        pub auth: Auth = Auth::ApiKey,
        /// The region, or the domain below which its APIs are.
        pub region: String = String::new(),
        /// The OCID of the tenancy.
        #[serde(skip_serializing_if = "unset")]
        pub tenancy: String = String::new(),
        /// The OCID of the user whose key it is.
        #[serde(skip_serializing_if = "unset")]
        pub user: String = String::new(),
        /// The fingerprint of the key.
        #[serde(skip_serializing_if = "unset")]
        pub fingerprint: String = String::new(),
        /// The file of the key, in PEM.
        #[serde(skip_serializing_if = "unset")]
        pub key_file: PathBuf = PathBuf::new(),
        /// Its pass phrase.
        #[serde(skip_serializing_if = "unset")]
        pub key_passphrase: Secret = Secret::default(),
        /// A file with it.
        #[serde(skip_serializing_if = "unset")]
        pub key_passphrase_file: PathBuf = PathBuf::new(),
        /// The OCIDs of compartments; all of the tenancy that may be seen if there are none.
        #[serde(skip_serializing_if = "unset")]
        pub compartments: Vec<String> = Vec::new(),
        /// rosterd's own: where all APIs are, in place of where those of the region are.
        #[serde(skip_serializing_if = "unset")]
        pub endpoint: SafeUrl = SafeUrl::default(),
        /// The port of targets.
        pub port: u16 = 80,
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// With the key of a user.
    ApiKey,
    /// With that of the machine.
    InstancePrincipal,
}

impl OciConfig {
    /// What counts for keys to sign with, and by which way they are asked for. What the settings of the client prove is not for whoever
    /// gives them.
    pub(super) fn signer(&self) -> Self {
        Self {
            compartments: Vec::new(),
            port: 0,
            refresh_interval: Duration::default(),
            client: self.client.without_proof(),
            ..self.clone()
        }
    }

    /// Says which user asks whom, by whatever key and whatever way.
    pub(super) fn user(&self, id: &mut Identity) {
        id.text("auth", if self.auth == Auth::ApiKey { "" } else { "instance_principal" });
        id.text("region", self.region.to_lowercase());
        id.url("endpoint", &self.endpoint);
        id.text("tenancy", &self.tenancy);
        id.quietly(|id| id.text("user", &self.user));
    }

    /// Says who asks whom.
    fn who(&self, id: &mut Identity) {
        self.user(id);
        id.quietly(|id| id.text("fingerprint", &self.fingerprint));
        self.client.identity(id);
    }

    fn check_key(&self, problems: &mut Vec<Problem>) {
        let file = self.key_file.display().to_string();
        let keys =
            [("tenancy", &self.tenancy), ("user", &self.user), ("fingerprint", &self.fingerprint), ("key_file", &file)];
        let has_phrase = !self.key_passphrase.is_empty();
        let has_phrase_file = !unset(&self.key_passphrase_file);
        match self.auth {
            Auth::ApiKey => {
                let missing = keys.into_iter().filter(|(_, value)| value.is_empty());
                problems.extend(missing.map(|(key, _)| {
                    let message =
                        format!("{key} is missing: a request is signed as a user where auth is api_key, the default");
                    Problem::new(key, "cfg_missing_key", message)
                }));
                if has_phrase && has_phrase_file {
                    let message = "give either key_passphrase or key_passphrase_file";
                    problems.push(Problem::new("key_passphrase_file", "cfg_conflicting_keys", message));
                }
            }
            Auth::InstancePrincipal => {
                let phrases = [("key_passphrase", has_phrase), ("key_passphrase_file", has_phrase_file)];
                let all = keys.map(|(key, value)| (key, !value.is_empty())).into_iter().chain(phrases);
                problems.extend(all.filter(|(_, is_set)| *is_set).map(|(key, _)| {
                    let message = format!("{key} is for auth: api_key; with instance_principal the machine has a key");
                    Problem::new(key, "cfg_conflicting_keys", message)
                }));
            }
        }
    }

    fn files(&mut self) -> [(&'static str, &mut PathBuf); 2] {
        [("key_file", &mut self.key_file), ("key_passphrase_file", &mut self.key_passphrase_file)]
    }
}

impl MechanismConfig for OciConfig {
    const MECHANISM: &'static str = "oci";

    type Metrics = Calls<Self>;
    type Shared = Shared;

    fn identity(&self, id: &mut Identity) {
        self.who(id);
        id.set("compartments", &self.compartments);
        id.value("port", &self.port, &80);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.region.is_empty() {
            problems.push(Problem::new(
                "region",
                "cfg_missing_key",
                "region is missing: write one such as eu-frankfurt-1",
            ));
        } else if Region::new(&self.region).server("iaas").check("region").is_some() {
            let message = "region is the name of a region, such as eu-frankfurt-1, or a domain";
            problems.push(Problem::new("region", "cfg_invalid_value", message));
        }
        self.check_key(&mut problems);
        for (index, _) in self.compartments.iter().enumerate().filter(|(_, compartment)| compartment.is_empty()) {
            let message = "a compartment has an OCID";
            problems.push(Problem::new(format!("compartments[{index}]"), "cfg_empty_entry", message));
        }
        if self.endpoint.parse().is_some() {
            problems.extend(self.endpoint.check("endpoint"));
        }
        problems.extend(self.client.check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        for (_, file) in self.files() {
            if !unset(file) {
                *file = base.join(&*file);
            }
        }
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let mut found: Vec<_> = self.client.examine().into_iter().map(Finding::Missing).collect();
        for (key, file) in self.clone().files() {
            if !unset(file)
                && let Err(error) = files::read(file)
            {
                let message = format!("cannot read {}: {}", file.display(), in_words(error));
                found.push(Finding::Missing(Problem::new(key, "cfg_unreadable", message)));
            }
        }
        found
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Oci::new(self.clone(), &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(OciConfig);

/// What all discoverers have in common.
#[derive(Debug, Default)]
pub struct Shared {
    /// By the user.
    pub(super) throttles: Throttles,
    pub(super) buckets: Kept<Identity, Bucket>,
    /// By [what counts for them](OciConfig::signer).
    pub(super) keys: Kept<OciConfig, Tokens<Signers>>,
}

impl MechanismShared for Shared {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}
