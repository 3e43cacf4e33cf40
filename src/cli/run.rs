//! `rosterd run`: the agent, until a signal or a request over HTTP ends it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Command};
use rosterd_client::{SafeUrl, Url};
use rosterd_discovery::Registry;
use rosterd_model::bare_key;
use rosterd_tasks::{Stopper, Task, blocking};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::exit::Failure;
use super::flags::{ConfigFiles, duration, multi_thread};
use super::log::LogArgs;
use super::signals::Signals;
use crate::agent::{Agent, AgentError, Options, Web};
use crate::api::Build;
use crate::web::{DEFAULT_LISTEN_ADDRESS, Settings};

/// How long what is left on threads of its own may hold up the end of the process.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Run the agent.
///
/// The first SIGTERM or SIGINT ends it in order, the second at once. SIGHUP reads the configuration again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFiles,
    /// Allow templates to run commands and to send signals: check, reload, verify
    #[arg(long = "templates.allow-commands")]
    allow_template_commands: bool,
    /// Read the configuration again when one of its files changes
    #[arg(long = "config.auto-reload")]
    auto_reload: bool,
    /// How often --config.auto-reload looks at the files, besides being told of changes by the system; at least 1s
    #[arg(long = "config.auto-reload-interval", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    auto_reload_interval: Duration,
    /// Let a reload remove every job at once, instead of when it is asked for twice
    #[arg(long = "config.allow-empty")]
    allow_empty: bool,
    /// The folder of what outlives the process; empty for nothing
    #[arg(long = "storage.path", value_name = "DIR", default_value = "data/", value_parser = path)]
    storage_path: PathBuf,
    /// Where to listen: host:port, or :port for all interfaces; may be repeated
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = DEFAULT_LISTEN_ADDRESS)]
    listen_address: Vec<String>,
    /// A file with TLS, users and headers, in the format of Prometheus' exporter toolkit
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// Allow to reload and to quit over HTTP
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// The URL under which rosterd is reached from outside; its path is the prefix of all routes
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// The prefix of all routes, if not the path of --web.external-url
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// How many connections there may be at once
    #[arg(long = "web.max-connections", value_name = "COUNT", default_value = "512", value_parser = at_least_one)]
    max_connections: usize,
    /// How long a connection may rest
    #[arg(long = "web.read-timeout", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    read_timeout: Duration,
    /// How long the agent may take to end, and a reload to stop what it replaces, before the rest is aborted
    #[arg(long = "shutdown.timeout", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    shutdown_timeout: Duration,
    /// What this one is called among the members of rosterd.cluster, if not as the machine is
    #[arg(long = "cluster.member", value_name = "NAME")]
    cluster_member: Option<String>,
    #[command(flatten)]
    log: LogArgs,
}

fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.into())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("without connections nobody would be answered".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

impl Args {
    fn options(self, flags: BTreeMap<String, String>, build: Build) -> Result<Options, Failure> {
        let system = self.config.system();
        Ok(Options {
            config_file: self.config.config_file,
            rosterd_config_file: self.config.rosterd_config_file,
            storage_path: Some(self.storage_path).filter(|path| !path.as_os_str().is_empty()),
            auto_reload: self.auto_reload.then_some(self.auto_reload_interval),
            allow_empty: self.allow_empty,
            system,
            allow_template_commands: self.allow_template_commands,
            member: self.cluster_member,
            mechanisms: Registry::linked()?,
            flags,
            build,
            shutdown_timeout: self.shutdown_timeout,
            web: Web {
                settings: Settings {
                    listen_addresses: self.listen_address,
                    max_connections: self.max_connections,
                    read_timeout: self.read_timeout,
                    ..Settings::default()
                },
                config_file: self.web_config_file,
                external_url: self.external_url,
                route_prefix: self.route_prefix,
                enable_lifecycle: self.enable_lifecycle,
            },
        })
    }
}

pub(super) fn run(args: Args, flags: BTreeMap<String, String>, build: Build) -> Result<(), Failure> {
    args.log.start();
    info!(
        version = build.version,
        revision = build.revision,
        file = %args.config.config_file.display(),
        addresses = args.listen_address.join(","),
        "rosterd starts"
    );
    let options = args.options(flags, build)?;
    raise_open_files();
    do_without_huge_pages();
    let runtime = multi_thread()?;
    let end = runtime.block_on(attended(options));
    runtime.shutdown_timeout(LAST_WAIT);
    // An error has the last word otherwise.
    end.inspect(|()| info!("rosterd has ended"))
}

/// Each target keeps a connection: as many files may be open as the system lets this process have, not only as many as
/// shells begin with.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        warn!(
            %error,
            limit = limit.current,
            "cannot raise the limit of open files: many targets will not be reached"
        );
    }
}

/// The system may give 2 MiB where a few bytes were asked for, and most of them stay unused: that is half of the memory of an
/// agent with few targets, and saves it no time. Commands that it runs do without them, too.
fn do_without_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        debug!(%error, "the system has no say in huge pages");
    }
}

/// Gives back what of the program's file was needed to start alone: most of the memory of an agent with few targets.
async fn give_back_the_start() {
    #[cfg(target_os = "linux")]
    match blocking(rosterd_resident::give_back).await {
        Ok(bytes) => debug!(bytes, "pages of the program were given back after its start"),
        Err(error) => debug!(%error, "pages of the program stay mapped after its start"),
    }
}

/// Runs the agent, and does what signals ask for.
async fn attended(options: Options) -> Result<(), Failure> {
    let (stop, hangups) = (CancellationToken::new(), Arc::new(Notify::new()));
    let attendant = Stopper::new();
    // A task of its own: it answers the second signal whatever the agent is busy with.
    let signals = Signals::listen()?;
    let attending = signals.attend(stop.clone(), Arc::clone(&hangups), attendant.token().clone());
    let mut attending = attendant.spawn("signals", attending);
    let end = agent(options, stop, &hangups, &mut attending).await;
    attendant.stop(LAST_WAIT).await;
    end.map_err(|error| match error {
        // Its problems have places and codes of their own.
        AgentError::Config { source, .. } => source.into(),
        error => error.into(),
    })
}

/// Runs the agent, which ends in order when nobody is left who attends to signals.
async fn agent(
    options: Options,
    stop: CancellationToken,
    hangups: &Notify,
    attending: &mut Task<()>,
) -> Result<(), AgentError> {
    let Some(agent) = Agent::start(options, &stop).await? else { return Ok(()) };
    give_back_the_start().await;
    let reloads = agent.reload_requests();
    let mut run = pin!(agent.run(stop.clone()));
    loop {
        tokio::select! {
            biased;
            ended = &mut run => return ended,
            Some(Err(panicked)) = &mut *attending => {
                stop.cancel();
                run.await?;
                return Err(AgentError::TaskEnded { task: "signals", message: panicked.0 });
            }
            // When a wish is waiting already, one more changes nothing. The log tells how it went.
            () = hangups.notified() => drop(reloads.try_send(oneshot::channel().0)),
        }
    }
}

/// All flags of a subcommand and their values, as the API shows them.
pub(super) fn flags_of(command: &Command, matches: &ArgMatches) -> BTreeMap<String, String> {
    let value = |id: &str| {
        let values = matches.try_get_raw(id).ok().flatten().into_iter().flatten();
        values.map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>().join(",")
    };
    let flags = command.get_arguments().filter_map(|argument| Some((argument.get_long()?, argument.get_id().as_str())));
    flags.filter(|(long, _)| *long != "help").map(|(long, id)| (long.to_owned(), without_password(value(id)))).collect()
}

/// The value of a flag as it may be shown: password and secret parameters of a URL are not.
fn without_password(value: String) -> String {
    match Url::parse(&value) {
        Ok(_) => SafeUrl::new(value).to_string(),
        Err(_) => bare_key(&value).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rosterd_testkit::{Folder, leak_checked_live};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_agent_ends_when_nobody_is_left_who_attends_to_signals() {
        leak_checked_live(async || {
            let folder = Folder::new();
            let file = folder.write("prometheus.yml", "{}");
            let file = format!("--config.file={}", file.display());
            let line = ["rosterd", &file, "--storage.path=", "--web.listen-address=127.0.0.1:0"];
            let options = Line::parse_from(line).args.options(BTreeMap::new(), Build::of(["unknown"; 3])).unwrap();
            let (stop, attendant) = (CancellationToken::new(), Stopper::new());
            let mut attending = attendant.spawn("signals", async { panic!("oops") });
            let ended = agent(options, stop, &Notify::new(), &mut attending).await;
            let Err(AgentError::TaskEnded { task, message }) = ended else { panic!("{ended:?}") };
            assert_eq!((task, &*message), ("signals", "oops"));
            assert!(attendant.stop(LAST_WAIT).await.is_empty());
        });
    }

    #[test]
    fn the_password_of_a_url_is_not_shown() {
        let shown = |value: &str| without_password(value.to_owned());
        assert_eq!(shown("https://me:secret@h/x"), "https://me:xxxxx@h/x");
        assert_eq!(shown("http://me:secret@[fe80::1%25lo]:1/x"), "http://me:xxxxx@[fe80::1%25lo]:1/x");
        assert_eq!(shown("https://h/x?token=secret"), "https://h/x?token=xxxxx");
        assert_eq!(shown("https://me:secret@h:99999/x?y=secret"), "https://h:99999/x");
        for plain in ["https://h/x", "localhost:8395", "data/", ""] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn no_huge_pages_are_taken() {
        do_without_huge_pages();
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
