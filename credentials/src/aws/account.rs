//! Who asks AWS, and where: keys that are found, held and renewed, the region, and the endpoints of services.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header;
use jiff::Timestamp;
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, System, Tally, Url};
use rosterd_model::{Error, Secret};
use rosterd_tasks::blocking;
use rosterd_tasks::files::read_text;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::chain::{Chain, Origin};
use super::given::Given;
use super::metadata::{self, Metadata};
use super::profiles::Profiles;
use super::sts::Sts;
use super::{AwsError, Who, command, container};
use crate::sigv4::{self, Keys, Scope};
use crate::{Authorize, Issued, Issuer, Tokens};

/// What is asked for where an [`Account`] is counted: keys of a role, and what machines and containers are told of themselves.
pub const STS: &str = "sts";
/// See [`STS`].
pub const METADATA: &str = "metadata";
/// How long an exchange about keys may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long keys without an end, and what else files say, are used before they are looked for again: it may be something else by then.
const AGAIN: Duration = Duration::from_secs(300);
/// How long keys of the machine are used on that cannot be renewed: AWS takes them where its own metadata fail.
const GRACE: Duration = Duration::from_secs(600);

/// One who asks. All that ask as the same share it.
pub struct Account {
    seeker: Arc<Seeker>,
    keys: Tokens<Giver>,
    /// Where its services are, and until when nobody looks again. One at a time does.
    whereabouts: tokio::sync::Mutex<Option<(Instant, Whereabouts)>>,
}

/// Where the services of an account are.
#[derive(Clone)]
struct Whereabouts {
    region: Arc<str>,
    /// The shared files, which may name endpoints.
    profiles: Arc<Profiles>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("who", &self.seeker.who).finish_non_exhaustive()
    }
}

impl Account {
    /// One who asks as this says. Nothing is read or asked for before it is needed. Of the settings of the client, those for
    /// connections count for STS; nothing of them counts for the metadata of machines and containers, which are near. What both are
    /// asked for is counted by the tally, if there is one, as [`STS`] and [`METADATA`].
    pub fn new(
        who: Who,
        settings: &HttpClientConfig,
        system: &System,
        tally: Option<Arc<dyn Tally>>,
    ) -> Result<Self, ClientError> {
        let options = || Options {
            timeout: TIMEOUT,
            name: "credentials of AWS".to_owned(),
            system: system.clone(),
            ..Options::default()
        };
        let counted = |client: Client, operation| match &tally {
            Some(tally) => client.counted(operation, Arc::clone(tally)),
            None => client,
        };
        let near = HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() };
        let far = HttpClientConfig { follow_redirects: false, ..settings.without_proof() };
        let seeker = Arc::new(Seeker {
            who,
            system: system.clone(),
            near: counted(Client::new(&near, options())?, METADATA),
            far: counted(Client::unchecked(&far, options())?, STS),
            of_machine: Mutex::default(),
            region_of_machine: OnceCell::new(),
        });
        Ok(Self { keys: Tokens::new(Giver(Arc::clone(&seeker))), seeker, whereabouts: tokio::sync::Mutex::default() })
    }

    /// The region: as it is configured, in files as they were some minutes ago at most, or else that of the machine.
    pub async fn region(&self) -> Result<Arc<str>, AwsError> {
        Ok(self.whereabouts().await?.region)
    }

    /// The URL of a service in the region: `ec2`. Files that name it count as for the region.
    pub async fn endpoint(&self, service: &str) -> Result<Url, AwsError> {
        let Whereabouts { region, profiles, .. } = self.whereabouts().await?;
        self.seeker.chain(&profiles).endpoint(service, &region)
    }

    /// Where its services are. What was found once is good until something else is.
    async fn whereabouts(&self) -> Result<Whereabouts, AwsError> {
        let mut last = self.whereabouts.lock().await;
        let found = match &*last {
            None => self.seeker.whereabouts().await?,
            Some((until, known)) if Instant::now() < *until => return Ok(known.clone()),
            Some((_, known)) => self.seeker.whereabouts_again(known.clone()).await,
        };
        *last = Some((Instant::now() + AGAIN, found.clone()));
        Ok(found)
    }

    /// The keys to sign with.
    pub async fn keys(&self) -> Result<Arc<Keys>, Error> {
        self.keys.get().await
    }

    /// Throws keys away that are refused, unless there are others already.
    pub async fn forget(&self, keys: &Keys) {
        self.keys.forget_if(|held| held == keys).await;
    }
}

/// Signs what is sent to one service as one who asks.
#[derive(Debug)]
pub struct Signer {
    account: Arc<Account>,
    service: String,
}

impl Signer {
    /// For this service.
    pub fn new(account: Arc<Account>, service: impl Into<String>) -> Self {
        Self { account, service: service.into() }
    }
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let (keys, region) = (self.account.keys().await?, self.account.region().await?);
        let scope = Scope { region: &region, service: &self.service };
        Ok(sigv4::sign(request, &keys, scope, Timestamp::now())?)
    }

    async fn refused(&self, request: &Request) -> bool {
        let proof =
            request.headers.get(header::AUTHORIZATION).and_then(|proof| proof.to_str().ok()).unwrap_or_default();
        self.account.keys.forget_if(|held| proof.contains(&format!("Credential={}/", held.id))).await;
        true
    }
}

struct Giver(Arc<Seeker>);

#[async_trait]
impl Issuer for Giver {
    type Token = Keys;

    async fn issue(&self) -> Result<Issued<Keys>, Error> {
        let given = self.0.keys().await?;
        Ok(Issued { lasts: given.lasts(Timestamp::now()).or(Some(AGAIN)), token: given.keys })
    }
}

/// Looks for keys where they may be.
struct Seeker {
    who: Who,
    system: System,
    /// For the metadata of machines and containers.
    near: Client,
    /// For STS.
    far: Client,
    /// The last keys of the machine.
    of_machine: Mutex<Option<Keys>>,
    region_of_machine: OnceCell<Arc<str>>,
}

type Giving<'a> = Pin<Box<dyn Future<Output = Result<Given, AwsError>> + Send + 'a>>;

impl Seeker {
    fn chain<'a>(&'a self, profiles: &'a Profiles) -> Chain<'a> {
        Chain { who: &self.who, environment: self.system.environment(), profiles }
    }

    /// What the shared files say now. One that is not there says nothing.
    async fn profiles(&self) -> Result<Profiles, AwsError> {
        let environment = self.system.environment();
        let home = environment.get("HOME").filter(|home| !home.is_empty()).map(Path::new);
        let place = |variable: &str, usual: &str| {
            let told = environment.get(variable).filter(|path| !path.is_empty());
            let told = told.map(|path| match (path.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => path.into(),
            });
            told.or_else(|| home.map(|home| home.join(usual)))
        };
        let files = [place("AWS_CONFIG_FILE", ".aws/config"), place("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];
        let [config, credentials] =
            blocking(move || files.map(|file| file.map_or(Ok(String::new()), |file| text(&file)))).await;
        Ok(Profiles::parse(&config?, &credentials?))
    }

    async fn whereabouts(&self) -> Result<Whereabouts, AwsError> {
        let profiles = self.profiles().await?;
        let region = self.region(self.chain(&profiles)).await?;
        Ok(Whereabouts { region, profiles: Arc::new(profiles) })
    }

    /// The same, or what is known already: files may be out of reach or empty for a while, and disks hang. Where they said something and
    /// say nothing now, what comes after them in the order is another region, and no news.
    async fn whereabouts_again(&self, known: Whereabouts) -> Whereabouts {
        let found = match timeout(TIMEOUT, self.whereabouts()).await {
            Ok(Ok(found)) if found.profiles.lacks_a_file_of(&known.profiles) => {
                Err("one of the shared files is empty or not there".to_owned())
            }
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(late) => Err(late.to_string()),
        };
        found.unwrap_or_else(|error| {
            warn!(error, "cannot look for the region and for endpoints again, keeping the last ones");
            known
        })
    }

    async fn region(&self, chain: Chain<'_>) -> Result<Arc<str>, AwsError> {
        match chain.region() {
            Some(region) => Ok(region.into()),
            // It does not move.
            None => self.region_of_machine.get_or_try_init(|| self.ask_for_region(chain)).await.cloned(),
        }
    }

    async fn ask_for_region(&self, chain: Chain<'_>) -> Result<Arc<str>, AwsError> {
        let Some(instance) = chain.instance() else { return Err(AwsError::NoRegion { source: None }) };
        let metadata = Metadata::open(&self.near, &instance).await.map_err(|error| match error {
            AwsError::Unreachable { source, .. } => AwsError::NoRegion { source: Some(source) },
            error => error,
        });
        let region = metadata?.region().await?;
        if region.is_empty() { Err(AwsError::NoRegion { source: None }) } else { Ok(region.into()) }
    }

    async fn keys(&self) -> Result<Given, AwsError> {
        let profiles = self.profiles().await?;
        let chain = self.chain(&profiles);
        let origin = chain.origin()?;
        self.give(&origin, chain).await
    }

    /// The keys of an origin. A role stands on another one.
    fn give<'a>(&'a self, origin: &'a Origin, chain: Chain<'a>) -> Giving<'a> {
        Box::pin(async move {
            match origin {
                Origin::Keys(keys) => Ok(keys.clone().into()),
                Origin::Nowhere => Err(AwsError::NothingConfigured),
                Origin::Command { profile, command } => command::keys(&self.system, profile, command).await,
                Origin::Container(container) => container::keys(&self.near, container).await,
                Origin::Instance => self.of_machine(chain).await,
                Origin::WebIdentity(identity) => {
                    let (file, path) = (identity.token_file.clone(), identity.token_file.clone());
                    let token = blocking(move || read_text(&file)).await;
                    let token = token.map_err(|source| AwsError::FileUnreadable { path, source })?;
                    let region = self.region(chain).await?;
                    self.sts(chain, &region)?.assume_with(&Secret::new(token.trim()), identity).await
                }
                Origin::Role(base, role) => {
                    let given = self.give(base, chain).await?;
                    let region = self.region(chain).await?;
                    self.sts(chain, &region)?.assume(&given.keys, role).await
                }
            }
        })
    }

    fn sts<'a>(&'a self, chain: Chain<'_>, region: &'a str) -> Result<Sts<'a>, AwsError> {
        Ok(Sts { client: &self.far, url: chain.endpoint("sts", region)?, region })
    }

    async fn of_machine(&self, chain: Chain<'_>) -> Result<Given, AwsError> {
        let last = || self.of_machine.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let given = match chain.instance() {
            None => Err(AwsError::NothingConfigured),
            Some(instance) => match Metadata::open(&self.near, &instance).await {
                Ok(metadata) => metadata.keys(instance.role.as_deref()).await,
                Err(AwsError::Unreachable { whose, source }) => Err(AwsError::NoCredentials { whose, source }),
                Err(error) => Err(error),
            },
        };
        match given {
            Ok(Given { keys, ends }) => {
                *last() = Some(keys.clone());
                Ok(Given { keys, ends: used_until(ends, now) })
            }
            Err(error) => {
                let Some(keys) = last().clone() else { return Err(error) };
                warn!(%error, "keys of the instance cannot be renewed, going on with the last ones");
                Ok(Given { keys, ends: used_until(Some(now), now) })
            }
        }
    }
}

/// Until when keys of the machine are used from this time on, if they end then.
fn used_until(ends: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let until = |time: Duration| now.checked_add(time).ok();
    match ends {
        // The metadata are late. AWS knows of that.
        Some(ends) if ends <= now => until(GRACE),
        ends => ends.into_iter().chain(until(metadata::LONGEST)).min(),
    }
}

/// The text of a shared file.
fn text(file: &Path) -> Result<String, AwsError> {
    match read_text(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| AwsError::FileUnreadable { path: file.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_machine_are_asked_for_again_after_an_hour_and_used_on_where_they_have_ended() {
        let now: Timestamp = "2030-01-01T12:00:00Z".parse().expect("a time");
        let until = |ends: Option<&str>| {
            let ends = ends.map(|ends| ends.parse().expect("a time"));
            used_until(ends, now).expect("a time").to_string()
        };
        assert_eq!(until(Some("2030-01-01T12:30:00Z")), "2030-01-01T12:30:00Z");
        assert_eq!(until(Some("2030-01-01T18:00:00Z")), "2030-01-01T13:00:00Z");
        assert_eq!(until(None), "2030-01-01T13:00:00Z");
        assert_eq!(until(Some("2030-01-01T11:00:00Z")), "2030-01-01T12:10:00Z");
    }
}
