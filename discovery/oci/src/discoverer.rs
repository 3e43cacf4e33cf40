//! Asks for the instances of compartments, and for where they can be reached.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rosterd_credentials::Tokens;
use rosterd_discovery::{Build, Error, Identity, Reading, Refresh, Sheet, Unreadable};
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Api, PagePlace, Question, Sources, refused_with};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;

use super::bucket::Bucket;
use super::config::{Auth, OPERATIONS, OciConfig};
use super::decode::{self, Attachment, Compartment, Decoder, Instance, Vnic};
use super::error::OciError;
use super::key_file::KeyFile;
use super::principal::Principal;
use super::region::Region;
use super::signature::{Signer, Signers, Signing};

const VERSION: &str = "20160918";
/// How many there are on a page.
const PAGE: &str = "100";
/// So many compartments are read at the same time.
const AT_ONCE: usize = 4;
/// Up to so many network cards are read in each refresh.
const FEW: usize = 50;
/// How long what is known of one is good if there are more of them.
const GOOD: Duration = Duration::from_secs(600);

pub(super) struct Oci {
    config: OciConfig,
    identity: Api,
    compute: Api,
    keys: Arc<Tokens<Signers>>,
    vnics: Mutex<HashMap<String, (Instant, Arc<Vnic>)>>,
    /// Compartments, and their lists of those that are in them.
    sources: Sources,
    trees: Sources,
    /// Of which of them these were read by this process.
    read: HashSet<String>,
    listed: HashSet<String>,
    not_allowed: Vec<String>,
}

/// A compartment, and the name of the source that it is: with what it is in, if that was found out.
struct Within {
    source: String,
    id: String,
}

impl Oci {
    pub(super) fn new(config: OciConfig, cx: &Build<'_, OciConfig>) -> Result<Self, Error> {
        let region = Region::new(&config.region);
        let server = |api: &str| match config.endpoint.parse() {
            Some(_) => config.endpoint.clone(),
            None => region.server(api),
        };
        let of = |api: &str| Api::new(&server(api), &config.client, config.refresh_interval.into(), cx);
        let (identity, compute) =
            (of("identity")?.counted(cx.metrics, &OPERATIONS), of("iaas")?.counted(cx.metrics, &OPERATIONS));
        let signs = config.signer();
        let keys = cx.shared.keys.get_or_try(signs.clone(), || {
            Ok::<_, Error>(Tokens::new(match signs.auth {
                Auth::ApiKey => Signers::File(KeyFile::new(&signs)),
                Auth::InstancePrincipal => Signers::Machine(Box::new(Principal::new(&signs, cx)?)),
            }))
        })?;
        let mut user = Identity::new();
        config.user(&mut user);
        let signer = Arc::new(Signer { keys: Arc::clone(&keys), bucket: cx.shared.buckets.get(user, Bucket::default) });
        let throttle = cx.shared.throttles.get(|id| config.user(id));
        let signed = |api: Api| api.throttled(Arc::clone(&throttle)).authorized(Arc::clone(&signer) as Arc<_>);
        let (identity, compute) = (signed(identity), signed(compute));
        let sources = || Sources::new(config.refresh_interval.into());
        Ok(Self {
            sources: sources(),
            trees: sources(),
            config,
            identity,
            compute,
            keys,
            vnics: Mutex::default(),
            read: HashSet::new(),
            listed: HashSet::new(),
            not_allowed: Vec::new(),
        })
    }

    async fn list<T: DeserializeOwned + Send + 'static>(&self, question: Question) -> Result<Vec<T>, Error> {
        question.parameter("limit", PAGE).paged(PagePlace::Parameter("page"), decode::page).await
    }

    /// The compartments to look into, breadth first. Those that cannot be listed hide what is in them, and nothing else.
    async fn compartments(&mut self, tenancy: &str) -> (Vec<Within>, Vec<Unreadable>) {
        if !self.config.compartments.is_empty() {
            let mut seen = HashSet::new();
            let named = self.config.compartments.iter().filter(|id| seen.insert(id.as_str()));
            return (named.map(|id| Within { source: id.clone(), id: id.clone() }).collect(), Vec::new());
        }
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        let mut seen = HashSet::from([tenancy.to_owned()]);
        let mut round = self.trees.round();
        let mut level = vec![Within { source: tenancy.to_owned(), id: tenancy.to_owned() }];
        while !level.is_empty() {
            let (mut reading, mut below) = (Vec::new(), Vec::new());
            for place in &level {
                reading.push((place.source.clone(), self.children(&place.id)));
            }
            let read = round.read(AT_ONCE, reading).await;
            for ((source, children), place) in read.into_iter().zip(&level) {
                match children {
                    Ok(children) => {
                        let children =
                            children.into_iter().filter(|child| child.is_active() && seen.insert(child.id.clone()));
                        below.extend(
                            children.map(|child| Within { source: format!("{source}/{}", child.id), id: child.id }),
                        );
                        self.listed.insert(source);
                    }
                    // What is not known is left out, and what is known stays: rights that are just being changed take nothing away.
                    Err(error) if may_not(&error) && !self.listed.contains(&source) => {
                        debug!(%error, compartment = place.id, "the compartments of a compartment may not be listed");
                        self.not_allowed.push(place.id.clone());
                    }
                    Err(error) => unread.push(Unreadable::scope(format!("{source}/compartments"), &source, error)),
                }
            }
            found.append(&mut level);
            level = below;
        }
        (found, unread)
    }

    async fn children(&self, id: &str) -> Result<Vec<Compartment>, Error> {
        let question = self.identity.get([VERSION, "compartments"]).named("compartments");
        let question = question.parameter("accessLevel", "ACCESSIBLE").parameter("compartmentId", id);
        self.list(question.parameter("compartmentIdInSubtree", "false")).await
    }

    /// The groups of the instances of a compartment.
    async fn groups(&self, place: &Within, tenancy: &str) -> Result<Vec<TargetGroup>, Error> {
        let of = |path: &'static str, name| {
            self.compute.get([VERSION, path]).named(name).parameter("compartmentId", &place.id)
        };
        let instances: Vec<Instance> = self.list(of("instances", "instances")).await?;
        // What comes or goes while pages are read may stand on two of them.
        let instances: BTreeMap<_, _> =
            instances.into_iter().filter(|it| !it.id.is_empty()).map(|it| (it.id.clone(), it)).collect();
        if instances.is_empty() {
            return Ok(Vec::new());
        }
        let attachments: Vec<Attachment> = self.list(of("vnicAttachments", "vnic_attachments")).await?;
        let mut cards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for card in attachments.into_iter().filter(Attachment::is_attached) {
            cards.entry(card.instance).or_default().push(card.vnic);
        }
        let mut groups = Vec::new();
        let mut decoder = Decoder { tenancy, port: self.config.port, sheet: Sheet::default(), names: Names::new() };
        for (id, instance) in &instances {
            let cards = cards.get(id).map(Vec::as_slice).unwrap_or_default();
            let Some(vnic) = self.primary(cards).await? else {
                debug!(instance = id, "an instance has no primary network card that can be read");
                continue;
            };
            groups.extend(decoder.group(&place.source, instance, &vnic));
        }
        Ok(groups)
    }

    /// The primary one of these network cards. One that may not be read is passed over.
    async fn primary(&self, cards: &[String]) -> Result<Option<Arc<Vnic>>, Error> {
        for card in cards {
            match self.vnic(card).await {
                Ok(vnic) if vnic.is_primary => return Ok(Some(vnic)),
                Ok(_) => {}
                Err(error) if may_not(&error) => debug!(%error, vnic = card, "a network card may not be read"),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn vnic(&self, id: &str) -> Result<Arc<Vnic>, Error> {
        let (known, has_many) = {
            let vnics = self.vnics();
            (vnics.get(id).cloned(), vnics.len() > FEW)
        };
        if has_many
            && let Some((read, vnic)) = &known
            && read.elapsed() < GOOD
        {
            return Ok(Arc::clone(vnic));
        }
        let question = self.compute.get([VERSION, "vnics", id]).named("vnic");
        let vnic = match (question.read(decode::vnic).await, known) {
            (Ok(vnic), _) => Arc::new(vnic),
            // It is attached, and was read before.
            (Err(error), Some((_, known))) if may_not(&error) => {
                debug!(%error, vnic = id, "a network card may not be read any more");
                known
            }
            (Err(error), _) => return Err(error),
        };
        self.vnics().insert(id.to_owned(), (Instant::now(), Arc::clone(&vnic)));
        Ok(vnic)
    }

    fn vnics(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<Vnic>)>> {
        self.vnics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it may not be read, or is not there, which Oracle does not tell apart.
fn may_not(error: &Error) -> bool {
    refused_with(error) == Some(StatusCode::NOT_FOUND)
}

#[async_trait]
impl Refresh for Oci {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let begun = Instant::now();
        let signing: Arc<Signing> = self.keys.get().await?;
        self.not_allowed.clear();
        let (places, mut unread) = self.compartments(&signing.tenancy).await;
        let (mut groups, mut reading) = (Vec::new(), Vec::new());
        for place in &places {
            reading.push((place.source.clone(), self.groups(place, &signing.tenancy)));
        }
        let read = self.sources.read(AT_ONCE, reading).await;
        for ((source, found), place) in read.into_iter().zip(&places) {
            match found {
                Ok(found) => {
                    groups.extend(found);
                    self.read.insert(source);
                }
                Err(error)
                    if may_not(&error) && self.config.compartments.is_empty() && !self.read.contains(&source) =>
                {
                    debug!(%error, compartment = place.id, "the instances of a compartment may not be listed");
                    self.not_allowed.push(place.id.clone());
                }
                Err(error) => unread.push(Unreadable::new(source, error)),
            }
        }
        // Those that have gone are asked for no more.
        self.vnics().retain(|_, (read, _)| *read + GOOD * 2 > begun);
        if !unread.is_empty() {
            return Ok(Reading::EverythingBut(groups, unread));
        }
        let sources: HashSet<_> = places.iter().map(|place| &*place.source).collect();
        for known in [&mut self.read, &mut self.listed] {
            known.retain(|source| sources.contains(&**source));
        }
        Ok(Reading::Everything(groups))
    }

    fn warning(&self) -> Option<Error> {
        let mut compartments = self.not_allowed.clone();
        compartments.sort();
        compartments.dedup();
        (!compartments.is_empty()).then(|| OciError::NotAllowed { compartments }.into())
    }
}
