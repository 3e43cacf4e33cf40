//! What is published of the roster, as lists and as files, and what the ledger has of that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use rosterd::publish::encode::{self, Encoding};
use rosterd::publish::file_sd::{self, Format, Output, Publisher};
use rosterd::reconcile::metrics::Metrics;
use rosterd::reconcile::{DesiredSet, Reconciler, Statuses};
use rosterd::roster::RosterHandle;
use rosterd::roster::view::{self, JobView};
use rosterd::store::ledger::{Ledger, Member, MemoryLedger, Picture, Transaction, Version, Watch};
use rosterd::store::{StoreError, ledger};
use rosterd_tasks::Stopper;
use rosterd_testkit::Folder;
use tokio::sync::watch;

use crate::model::{Expected, list};
use crate::truth::Content;
use crate::world::{Disk, name};

/// Where all jobs are published together.
const ALL: &str = "all.yml";

/// What may be in a file: nothing, as there is none; something that is no list; a list.
type Found = Option<Option<Content>>;

/// A ledger on the disk.
#[derive(Debug)]
struct Decisions {
    ledger: MemoryLedger,
    disk: Disk,
}

#[async_trait]
impl Ledger for Decisions {
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError> {
        self.disk.check()?;
        self.ledger.apply(transaction).await
    }

    async fn read(&self, member: &Member) -> Result<Picture, StoreError> {
        self.ledger.read(member).await
    }

    async fn watch(&self, member: &Member) -> Result<Watch, StoreError> {
        self.ledger.watch(member).await
    }
}

/// Who publishes in a process.
pub(crate) struct Published {
    outputs: watch::Sender<Option<Arc<DesiredSet<Output>>>>,
    statuses: Statuses<Output>,
}

/// The files and the ledger, which outlive processes, and what the files may have.
pub(crate) struct Files {
    folder: Folder,
    ledger: MemoryLedger,
    /// What they had when they were last looked at.
    known: BTreeMap<String, Found>,
    /// What was to be published since, were it for a moment.
    seen: BTreeMap<String, BTreeSet<Content>>,
    /// The jobs that are published, each alone and all together.
    jobs: Vec<usize>,
}

impl Published {
    pub(crate) fn start(roster: &RosterHandle, files: &Files, disk: &Disk, work: &Stopper) -> Self {
        let (outputs, wanted) = watch::channel(None);
        let publisher = Publisher::start(roster, wanted.clone(), work);
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let decisions: Arc<dyn Ledger> = Arc::new(Decisions { ledger: files.ledger.clone(), disk: disk.clone() });
        let statuses = Reconciler::start((decisions, Member::local()), publisher, wanted, metrics, work);
        Self { outputs, statuses }
    }

    /// Publishes the jobs of the files.
    pub(crate) fn want(&self, files: &Files) {
        let jobs: Vec<_> = files.jobs.iter().copied().map(name).collect();
        let output = |file: &str, format, jobs: &[Arc<str>]| {
            Output { path: files.folder.path(file), format, jobs: jobs.to_vec() } //
        };
        let mut outputs: Vec<_> =
            jobs.iter().map(|job| output(&file(job), Format::Json, std::slice::from_ref(job))).collect();
        if !jobs.is_empty() {
            outputs.push(output(ALL, Format::Yaml, &jobs));
        }
        self.outputs.send_replace(Some(Arc::new(file_sd::desired(&outputs))));
    }

    fn wanted(&self) -> BTreeSet<String> {
        let outputs = self.outputs.borrow().clone();
        outputs.iter().flat_map(|outputs| outputs.keys()).map(|id| id.to_string()).collect()
    }
}

fn file(job: &str) -> String {
    format!("{job}.json")
}

impl Files {
    pub(crate) fn new() -> Self {
        let (folder, ledger) = (Folder::new(), MemoryLedger::new());
        Self { folder, ledger, known: BTreeMap::new(), seen: BTreeMap::new(), jobs: Vec::new() }
    }

    /// From now on these jobs are published.
    pub(crate) fn set_jobs(&mut self, jobs: impl Iterator<Item = usize>) {
        self.jobs = jobs.collect();
    }

    /// The file of each list, and what it should have, if that is known.
    fn lists(&self, jobs: &BTreeMap<usize, Expected>) -> BTreeMap<String, Option<Content>> {
        let list = |of: &[usize]| {
            let of: Option<Vec<_>> = of.iter().map(|job| jobs.get(job)).collect();
            of.and_then(|of| list(of.into_iter()))
        };
        let alone = self.jobs.iter().map(|job| (file(&name(*job)), list(std::slice::from_ref(job))));
        let together = (!self.jobs.is_empty()).then(|| (ALL.to_owned(), list(&self.jobs)));
        alone.chain(together).collect()
    }

    /// This is to be published at the moment.
    pub(crate) fn note(&mut self, jobs: &BTreeMap<usize, Expected>) {
        for (file, list) in self.lists(jobs) {
            self.seen.entry(file).or_default().extend(list);
        }
    }

    /// Somebody deletes the file of a job, or writes something else into it.
    pub(crate) fn touch(&mut self, job: usize, deletes: bool) {
        let file = file(&name(job));
        if deletes {
            std::fs::remove_file(self.folder.path(&file)).ok();
        } else {
            self.folder.replace(&file, "something else");
        }
        self.known.insert(file, (!deletes).then_some(None));
    }

    fn found(&self, file: &str) -> Found {
        let text = std::fs::read_to_string(self.folder.path(file)).ok()?;
        let groups: Option<Vec<serde_yaml::Value>> = serde_yaml::from_str(&text).ok();
        Some(groups.map(|groups| addresses(&groups)))
    }

    /// Compares the files with what they should have: what is known, or else what they had.
    pub(crate) fn compare(&mut self, jobs: &BTreeMap<usize, Expected>, after: &str) {
        let (wanted, seen) = (self.lists(jobs), std::mem::take(&mut self.seen));
        let files: BTreeSet<_> = wanted.keys().chain(self.known.keys()).cloned().collect();
        for file in files {
            let found = self.found(&file);
            match wanted.get(&file).cloned().flatten() {
                Some(list) => assert_eq!(found, Some(Some(list)), "{file} after {after}"),
                None => {
                    let before = self.known.get(&file).cloned().flatten();
                    let meanwhile =
                        found.clone().flatten().is_some_and(|it| seen.get(&file).is_some_and(|all| all.contains(&it)));
                    assert!(
                        found == before || meanwhile,
                        "{file} after {after}: {found:?}, not {before:?} nor {seen:?}"
                    );
                }
            }
            self.known.insert(file, found);
        }
    }

    /// The ledger has what is published, and nothing that has not ended.
    pub(crate) async fn compare_decisions(&self, published: &Published, after: &str) {
        let Picture { operations, workers, .. } = self.ledger.read(&Member::local()).await.unwrap();
        assert_eq!(operations, [] as [ledger::Operation; 0], "operations after {after}");
        let decided: BTreeSet<_> = workers.into_iter().map(|worker| worker.id).collect();
        let shown: BTreeSet<_> = published.statuses.all().into_iter().map(|status| status.id.to_string()).collect();
        assert_eq!((&decided, &shown), (&published.wanted(), &published.wanted()), "decided and shown after {after}");
    }
}

/// The targets of groups.
fn addresses(groups: &[serde_yaml::Value]) -> Content {
    let targets = groups.iter().flat_map(|group| group["targets"].as_sequence().into_iter().flatten());
    targets.map(|target| target.as_str().unwrap().to_owned()).collect()
}

/// What a list has that is handed out, in whatever encoding; `None` when none is.
pub(crate) fn handed_out(job: &Arc<JobView>) -> Option<Content> {
    let jobs = view::servable(std::slice::from_ref(job)).ok()?;
    let lists = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd].map(|encoding| {
        let bytes = encode::list(&jobs, encoding).flat_map(|piece| piece.to_vec()).collect::<Vec<_>>();
        let mut text = String::new();
        let read = match encoding {
            Encoding::Identity => (&*bytes).read_to_string(&mut text),
            Encoding::Gzip => flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text),
            Encoding::Zstd => zstd::Decoder::new(&*bytes).unwrap().read_to_string(&mut text),
        };
        read.unwrap();
        text
    });
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    Some(addresses(&serde_yaml::from_str::<Vec<serde_yaml::Value>>(&lists[0]).unwrap()))
}

impl Disk {
    /// Fails as long as nothing can be written.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.crashed.load(Ordering::Relaxed) || !self.works.load(Ordering::Relaxed) {
            true => Err(StoreError::Full { path: "disk".into(), source: std::io::ErrorKind::StorageFull.into() }),
            false => Ok(()),
        }
    }
}
