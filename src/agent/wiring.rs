//! Start, run, reload, shut down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_client::System;
use rosterd_config::{Config, Loaded, Problem};
use rosterd_discovery::{Manager, Registry};
use rosterd_model::{Coded, Report};
use rosterd_scrape::Health;
use rosterd_tasks::{Fatal, Guard, Stopper, Supervision, blocking, portion};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::in_use::InUse;
use super::load::Loader;
use super::metrics::Metrics;
use super::presence::JobPresence;
use super::prometheus_names::{self, Known};
use super::reload::{Reloads, Wish};
use super::second_look::{Cause, SecondLook};
use super::stores::{Stores, storage_failures, try_again};
use super::told::{operation, turned};
use super::warnings::Warnings;
use super::{AgentError, jobs};
use crate::api::{self, ConfigView, Lifecycle, Refused, ReloadRequest};
use crate::cluster::Share;
use crate::journal::{self, Journal, JournalHandle, Kind, Note};
use crate::publish::file_sd::Publisher;
use crate::publish::templates::Templates;
use crate::publish::{Publications, ServedLists, Wanted, Workers};
use crate::reconcile::Reconciler;
use crate::roster::{Roster, RosterHandle};
use crate::scrape::{self, Scraping};
use crate::store::ledger::Member;
use crate::{reconcile, roster, web};

/// The shares of the time for a shutdown in which discovery has ended, and in which is sent what there is.
const DISCOVERY: f64 = 0.3;
const SENDING: f64 = 0.8;

/// What an agent is told besides its configuration.
#[derive(Debug)]
pub struct Options {
    /// `--config.file`.
    pub config_file: PathBuf,
    /// `--rosterd.config.file`.
    pub rosterd_config_file: Option<PathBuf>,
    /// `--storage.path`; without it nothing outlives the process.
    pub storage_path: Option<PathBuf>,
    /// `--config.auto-reload`: how often to look at the files besides their events; `None` never looks.
    pub auto_reload: Option<Duration>,
    /// `--config.allow-empty`: a reload may remove every job without being asked for twice.
    pub allow_empty: bool,
    /// The machine, with the environment, and with what `--enable-exec-sd` says of commands.
    pub system: System,
    /// `--templates.allow-commands`: templates may run commands and send signals.
    pub allow_template_commands: bool,
    /// `--cluster.member`: what this one is called among the members, if not as the machine is.
    pub member: Option<String>,
    /// The mechanisms.
    pub mechanisms: Registry,
    /// All flags with their values, for the API.
    pub flags: BTreeMap<String, String>,
    /// What is running.
    pub build: api::Build,
    /// How long all may take to end, and what a reload stops.
    pub shutdown_timeout: Duration,
    /// The HTTP face.
    pub web: Web,
}

/// What the HTTP face is told.
#[derive(Debug, Clone)]
pub struct Web {
    /// Listeners and their limits.
    pub settings: web::Settings,
    /// `--web.config.file`.
    pub config_file: Option<PathBuf>,
    /// `--web.external-url`.
    pub external_url: Option<String>,
    /// `--web.route-prefix`.
    pub route_prefix: Option<String>,
    /// `--web.enable-lifecycle`.
    pub enable_lifecycle: bool,
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    options: Options,
    metrics: Metrics,
    manager: Manager,
    roster: RosterHandle,
    journal: JournalHandle,
    scraping: Scraping,
    wanted: Wanted,
    view: watch::Sender<Arc<ConfigView>>,
    checksum: u64,
    /// How many jobs there are.
    jobs: usize,
    /// What of the configuration is in use.
    in_use: InUse,
    share: Share,
    second_look: SecondLook,
    refused: Option<u64>,
    warnings: Warnings,
    reloads: Reloads,
    reload_requests: mpsc::Sender<ReloadRequest>,
    server: web::Server,
    quit: CancellationToken,
    stopping: CancellationToken,
    supervision: Supervision,
    loader: Loader,
    reloading: Guard,
    /// Roster and reconciler.
    work: Stopper,
}

impl Agent {
    /// Starts an agent: loads the configuration, restores the roster, starts discovery, and serves HTTP.
    ///
    /// Returns `None` when `stop` fires before that is done. Fails when the configuration is not good, the store is taken,
    /// or an address cannot be listened on. In both cases nothing of it is left running, except for a disk that hangs.
    pub async fn start(options: Options, stop: &CancellationToken) -> Result<Option<Self>, AgentError> {
        let registry = prometheus::Registry::new();
        let supervision =
            Supervision::register(&registry).map_err(|source| AgentError::Metrics { part: "supervision", source })?;
        let opened = async {
            let loaded = Loader::new(&options, &supervision).load().await?;
            let file = options.web.config_file.clone();
            let live = blocking(move || file.as_deref().map(web::Live::open).transpose()).await?.map(Arc::new);
            let server = web::Server::bind(options.web.settings.clone(), live, &supervision).await?;
            let stores = Stores::open(options.storage_path.as_deref()).await?;
            Ok::<_, AgentError>((loaded, server, stores))
        };
        // Nothing runs yet that had to be stopped.
        let Some(opened) = stop.run_until_cancelled(opened).await else { return Ok(None) };
        let (loaded, server, stores) = opened?;
        let grace = loaded.config.rosterd.ready_grace_period.as_std();
        let queues = options.storage_path.as_ref().map(|path| path.join("remote_write"));
        let journal = history(&loaded.config);
        let (mut agent, router) =
            Self::assemble(options, registry, supervision, server, stores, queues, grace, journal)?;
        let taken = async {
            let prepared = agent.prepare(loaded).await?;
            agent.take(prepared).await;
            Ok(())
        };
        match stop.run_until_cancelled(taken).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                agent.shutdown().await;
                return Err(error);
            }
            None => return agent.end(None).await.map(|()| None),
        }
        // A roster without jobs has nothing to wait for and would say that it is ready.
        agent.server.serve(router);
        Ok(Some(agent))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they are what was opened, and what of the configuration counts before it is taken"
    )]
    fn assemble(
        options: Options,
        registry: prometheus::Registry,
        supervision: Supervision,
        server: web::Server,
        stores: Stores,
        queues: Option<PathBuf>,
        grace: Duration,
        history: Option<journal::Settings>,
    ) -> Result<(Self, axum::Router), AgentError> {
        let failed = |part| move |source| AgentError::Metrics { part, source };
        let metrics = Metrics::register(&registry, &options.build).map_err(failed("agent"))?;
        let roster_metrics = roster::metrics::Metrics::register(&registry).map_err(failed("roster"))?;
        let reconcile_metrics = reconcile::metrics::Metrics::register(&registry).map_err(failed("reconciler"))?;
        let http_metrics = api::HttpMetrics::register(&registry).map_err(failed("http"))?;

        server.register(&registry).map_err(failed("web"))?;
        let port = server.addresses().first().map_or(0, SocketAddr::port);
        let external_url = api::ExternalUrl::parse(options.web.external_url.as_deref(), options.system.name(), port)?;
        let route_prefix = api::route_prefix(options.web.route_prefix.as_deref(), &external_url);

        let work = Stopper::under(&supervision);
        let (updates, received) = mpsc::channel(1);
        let manager = Manager::new(&options.mechanisms, &registry, options.system.clone(), updates, &supervision)?;
        let clock = roster::Clock::system();
        let roster = Roster::start(&work, stores.blocks, roster_metrics, clock, received);
        let journal_metrics = journal::metrics::Metrics::register(&registry).map_err(failed("journal"))?;
        let folder = options.storage_path.as_ref().map(|path| path.join("journal"));
        let listed = manager.directory();
        let providers = Arc::new(move || listed.list());
        let journal = Journal::start(&work, &roster, folder, history, providers, stores.lost, journal_metrics);
        let wanted = Wanted::default();
        let publisher = Publisher::start(&roster, wanted.files(), &work);
        let (unused, failures, stop) = (Arc::clone(&stores.ledger), stores.failures.clone(), work.token().clone());
        work.spawn_restarting("storage", move || try_again(Arc::clone(&unused), failures.clone(), stop.clone()));
        let ledger = (stores.ledger, Member::local());
        let files = publisher.statuses();
        let templates = Templates::new(publisher.clone(), wanted.templates(), options.allow_template_commands);
        let makers = Workers { files: publisher, templates };
        let workers = Reconciler::start(ledger, makers, wanted.all(), reconcile_metrics, &work);
        let told = journal.clone();
        workers.on_end(move |ended| operation(ended).into_iter().for_each(|note| told.note(note)));
        let publications = Publications::of_files(workers, files);

        let surroundings = scrape::Surroundings {
            queues,
            system: options.system.clone(),
            threads: tokio::runtime::Handle::current().metrics().num_workers(),
        };
        let scraping = Scraping::start(surroundings, &registry, &roster, &work).map_err(failed("scraping"))?;

        let (trends, stop) = (api::Trends::default(), work.token().clone());
        let (seen, statuses, sent, kept) =
            (roster.clone(), scraping.statuses(), scraping.remote_writes(), trends.clone());
        work.spawn_restarting("trends", move || {
            kept.clone().follow(seen.clone(), statuses.clone(), sent.clone(), stop.clone())
        });
        let (kept, known, stop) = (trends.clone(), journal.clone(), work.token().clone());
        work.spawn_restarting("trends", move || kept.clone().remember(known.clone(), stop.clone()));
        let kept_journal = journal.clone();
        let (seen, told) = (roster.clone(), journal.clone());
        scraping.statuses().on_turn(move |turn| {
            if !turn.is_first || told.is_news(&turn.job, turn.fingerprint, turn.health == Health::Down) {
                told.note(turned(&seen.view(), &turn));
            }
        });

        let none = ConfigView {
            yaml: String::new(),
            loaded: SystemTime::now(),
            prometheus_names: false,
            idle: None,
            refused: None,
        };
        let (view, config) = watch::channel(Arc::new(none));
        let (reload_requests, requests) = mpsc::channel(1);
        let (quit, stopping) = (CancellationToken::new(), CancellationToken::new());
        let reloads = Reloads::new(requests, options.auto_reload);
        let directory = manager.directory();
        JobPresence::register(&registry, roster.clone(), manager.directory()).map_err(failed("roster"))?;
        let (listed, counted, build) = (manager.directory(), scraping.counted(), options.build.clone());
        let prometheus_names = api::PrometheusNames::new(move |own| {
            let (totals, endpoints) = counted.now();
            let known = Known { build: &build, providers: &listed.list(), totals: &totals, endpoints: &endpoints };
            prometheus_names::translate(own, &known)
        });
        let state = api::State {
            build: options.build.clone(),
            flags: options.flags.clone(),
            external_url,
            route_prefix,
            registry,
            prometheus_names,
            metrics: http_metrics,
            started: SystemTime::now(),
            directory: std::env::current_dir().unwrap_or_default(),
            config,
            lifecycle: Lifecycle {
                enabled: options.web.enable_lifecycle,
                reload: reload_requests.clone(),
                quit: quit.clone(),
                stopping: stopping.clone(),
            },
            roster: roster.clone(),
            providers: api::Providers::new(move || directory.list()),
            scrapes: scraping.statuses(),
            scraped: scraping.jobs(),
            trends,
            publications,
            served: ServedLists::default(),
            remote_writes: scraping.remote_writes(),
            journal: journal.clone(),
            storage: api::Storage::new(move || storage_failures(&stores.failures, &kept_journal)),
            waiting: Arc::new(Semaphore::new(options.web.settings.max_connections.div_ceil(2))),
            heavy: Arc::new(Semaphore::new((3 * options.web.settings.max_connections).div_ceil(4))),
            trying: Arc::new(Semaphore::new(2)),
            compressing: Arc::new(Semaphore::new(4)),
            listen_port: port,
            ready_at: Instant::now() + grace,
        };
        let (loader, reloading) = (Loader::new(&options, &supervision), supervision.guard("reload"));
        let agent = Self {
            options,
            metrics,
            manager,
            roster,
            journal,
            scraping,
            wanted,
            view,
            checksum: 0,
            jobs: 0,
            in_use: InUse::default(),
            share: Share::default(),
            second_look: SecondLook::default(),
            refused: None,
            warnings: Warnings::default(),
            reloads,
            reload_requests,
            server,
            quit,
            stopping,
            supervision,
            loader,
            reloading,
            work,
        };
        Ok((agent, api::router(Arc::new(state))))
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// The roster, for whoever embeds the agent.
    pub fn roster(&self) -> RosterHandle {
        self.roster.clone()
    }

    /// How to ask for a reload; the answer says whether the configuration is in use.
    pub fn reload_requests(&self) -> mpsc::Sender<ReloadRequest> {
        self.reload_requests.clone()
    }

    /// Reloads when asked to, until `stop` fires or somebody quits it over HTTP; then shuts down.
    ///
    /// Fails when tasks had to be aborted, or when one ended without which there is no going on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), AgentError> {
        let (quit, supervision) = (self.quit.clone(), self.supervision.clone());
        let mut ended = pin!(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => None,
                () = quit.cancelled() => None,
                fatal = supervision.fatal() => Some(fatal),
            }
        });
        let fatal = loop {
            let guard = self.reloading.clone();
            let reload = guard.run(&"reload", async {
                let wish = self.reloads.next().await;
                self.fulfil(wish).await;
            });
            tokio::select! {
                biased;
                // Also in the middle of a reload: what it was about to stop is stopped with the rest.
                fatal = &mut ended => break fatal,
                reloaded = reload => if let Err(panicked) = reloaded {
                    // Half a configuration may be in use.
                    break Some(Fatal { task: "reload", message: panicked.0 });
                }
            }
        };
        self.end(fatal).await
    }

    /// Shuts down, because of this if it is not what somebody asked for.
    async fn end(self, fatal: Option<Fatal>) -> Result<(), AgentError> {
        let stragglers = self.shutdown().await;
        match fatal {
            Some(Fatal { task, message }) => Err(AgentError::TaskEnded { task, message }),
            None if !stragglers.is_empty() => Err(AgentError::Stragglers { names: stragglers }),
            None => Ok(()),
        }
    }

    /// Stops within one deadline: no discovery, no scrapes, nothing to send, and requests meanwhile come to their end. Then no
    /// work, which is left a share of the time in any case: it stores what is known.
    async fn shutdown(self) -> Vec<String> {
        info!("shutting down");
        self.stopping.cancel();
        let deadline = Instant::now() + self.options.shutdown_timeout;
        let (discovery, sending) = (portion(deadline, DISCOVERY), portion(deadline, SENDING));
        let (manager, scraping) = (self.manager, &self.scraping);
        let sources = async move {
            let stragglers = manager.shutdown(discovery).await;
            [stragglers, scraping.end(sending).await].concat()
        };
        let (mut stragglers, late) = tokio::join!(self.server.shutdown(sending), sources);
        stragglers.extend(late);
        stragglers.extend(self.work.stop_by(deadline).await);
        stragglers.iter().map(|name| name.to_string()).collect()
    }

    async fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Asked(answer) => {
                let result = self.reload(Cause::Asked).await;
                // Whoever asked may have gone away.
                answer.send(result).ok();
            }
            // The result is in the log, the metrics and the API.
            Wish::Changed => drop(self.reload(Cause::Changed).await),
            Wish::Due => drop(self.reload(Cause::Due).await),
        }
    }

    /// Reads the configuration and takes it into use if it is good, and new or asked for.
    async fn reload(&mut self, cause: Cause) -> Result<(), Refused> {
        let forced = cause == Cause::Asked;
        match self.loader.load().await {
            Ok(loaded) if !forced && loaded.checksum == self.checksum && self.refused.is_none() => Ok(()),
            Ok(loaded) => {
                if let Err(error) = self.check_jobs(&loaded, cause) {
                    return Err(self.refuse(&error, forced));
                }
                info!(file = %self.options.config_file.display(), "configuration changed, taking it into use");
                match self.prepare(loaded).await {
                    Ok(prepared) => {
                        self.take(prepared).await;
                        Ok(())
                    }
                    Err(error) => Err(self.refuse(&error, forced)),
                }
            }
            Err(error) => Err(self.refuse(&error, forced)),
        }
    }

    /// Fails when every job would go and nobody has confirmed that.
    fn check_jobs(&mut self, loaded: &Loaded, cause: Cause) -> Result<(), AgentError> {
        let jobs = self.jobs;
        if !loaded.config.scrape_configs.is_empty() || jobs == 0 || self.options.allow_empty {
            self.second_look.forget();
            return Ok(());
        }
        match self.second_look.confirms(loaded.checksum, cause, Instant::now()) {
            true => Ok(()),
            false => Err(AgentError::NoJobs { path: self.options.config_file.clone(), jobs }),
        }
    }

    /// Does what may still show that a configuration cannot be used; then what runs goes on.
    async fn prepare(&self, loaded: Loaded) -> Result<Prepared, AgentError> {
        let system = self.options.system.clone();
        let share = Share::by(&loaded.config.rosterd.cluster, &self.names())?;
        let (loaded, clients) = blocking(move || {
            let clients = Scraping::clients(&loaded.config, &system);
            (loaded, clients)
        })
        .await;
        let clients = clients?;
        self.scraping.prepare(&loaded.config).await?;
        Ok(Prepared { loaded, clients, share })
    }

    /// What this one may be called among the members: as it was told, or as the machine is, with its domain or without.
    fn names(&self) -> Vec<&str> {
        let machine = self.options.system.name();
        let host = machine.split('.').next().unwrap_or(machine);
        self.options.member.as_deref().map_or_else(|| vec![machine, host], |name| vec![name])
    }

    /// Tells that a configuration is not taken into use, and goes on with the one before.
    fn refuse(&mut self, error: &AgentError, forced: bool) -> Refused {
        let refused = Refused { report: Report::of(error), problems: error.problems().to_vec() };
        // A file that stays bad is told once, not at every look.
        let seen = xxhash_rust::xxh3::xxh3_64(refused.report.to_string().as_bytes());
        if forced || self.refused != Some(seen) {
            for Problem { file, line, column, key, code, message } in &refused.problems {
                error!(file = %file.display(), line, column, key, code, error = message, "problem in the configuration");
            }
            let report = match refused.problems.len() {
                0 => refused.report.to_string(),
                count => format!("{}: problems: {count}", refused.report.message),
            };
            error!(error = report, code = error.code(), "configuration refused, the one before stays in use");
            self.metrics.refused();
            let detail = Some(refused.line().into());
            self.journal.note(Note { detail, ..Note::of(Kind::ReloadRefused) });
            let told = Some(refused.clone());
            self.view.send_modify(|view| {
                *view = Arc::new(ConfigView { refused: told, ..ConfigView::clone(view) });
            });
            self.refused = Some(seen);
        }
        refused
    }

    /// Takes a good configuration into use: the roster before discovery, so that it knows whose updates come.
    async fn take(&mut self, prepared: Prepared) {
        let Prepared { loaded, clients, share } = prepared;
        self.warnings.tell(&loaded.warnings);
        let config = &loaded.config;
        let plan = self.manager.plan(jobs::discovery(config)).await;
        let grace = config.rosterd.ready_grace_period.as_std();
        // Before the jobs change: what these come to is nothing for an output that is written otherwise now.
        self.wanted.set(&jobs::outputs(config), &jobs::templates(config));
        self.journal.set(history(config));
        let changed = self.in_use.take(config);
        let settings = roster::Settings { grace, brake: jobs::agent_brake(&config.rosterd) };
        self.roster.set_jobs(jobs::roster(config, &plan.jobs), settings).await;
        self.journal.note(Note { detail: Some(changed.into()), ..Note::of(Kind::Reloaded) });
        if let Some((table, own)) = share.table().filter(|_| self.share != share) {
            let slots = share.slots();
            info!(member = %own, members = table.members().len(), slots, "this member scrapes the targets of its slots, and the others theirs");
        } else if let Some(name) = self.options.member.as_deref().filter(|_| share.table().is_none()) {
            warn!(
                member = name,
                "--cluster.member has no effect: the configuration has no rosterd.cluster, and all targets are scraped here"
            );
        }
        self.share = share.clone();
        self.scraping.take(config, clients, share.clone());
        let applied = self.manager.apply(plan, Instant::now() + self.options.shutdown_timeout).await;
        // By their patterns, new files of more jobs are noticed too.
        let patterns = config.scrape_config_files.iter().map(PathBuf::from);
        let watched: Vec<_> = loaded.files.iter().cloned().chain(patterns).collect();
        self.reloads.watch(&watched).await;
        self.checksum = loaded.checksum;
        self.jobs = config.scrape_configs.len();
        self.refused = None;
        self.metrics.loaded(&config.rosterd.cluster.name, &share);
        self.view.send_replace(Arc::new(ConfigView {
            yaml: config.to_yaml(),
            loaded: SystemTime::now(),
            prometheus_names: config.rosterd.metrics.prometheus_names,
            idle: config.why_idle(),
            refused: None,
        }));
        let (started, stopped) = (applied.started, applied.stopped);
        info!(jobs = config.scrape_configs.len(), started, stopped, "configuration in use");
        if let Some(why) = config.why_idle() {
            info!(why, "targets are discovered and published, nothing is scraped");
        }
    }
}

/// A configuration that can be used, and what was made for it.
struct Prepared {
    loaded: Loaded,
    clients: scrape::Clients,
    share: Share,
}

/// How the journal is kept, if there is to be one.
fn history(config: &Config) -> Option<journal::Settings> {
    let rosterd_config::Journal { enabled, retention, max_size } = &config.rosterd.journal;
    enabled.then(|| journal::Settings { retention: retention.as_std(), max_size: max_size.bytes() })
}

#[cfg(test)]
mod tests;
