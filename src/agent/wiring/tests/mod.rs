//! How an agent ends: in one deadline, when a part that it cannot do without has ended, and in the middle of a reload.

mod panics; // what becomes of each part that panics
mod refused; // configurations that are not good

use async_trait::async_trait;
use rosterd_discovery::{
    Build, CheckContext, Context, Discoverer, Error, Identity, Mechanism, MechanismConfig, Registry, Updates,
};
use rosterd_model::Problem;
use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::*;

/// `deaf_sd_configs`: never ends by itself, and panics when a configuration called `bad` is checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Deaf {
    name: String,
}

impl MechanismConfig for Deaf {
    const MECHANISM: &'static str = "deaf";
    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.text("name", &self.name);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        assert!(self.name != "bad", "a bad name");
        Vec::new()
    }

    fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Box::new(Running))
    }
}

struct Running;

#[async_trait]
impl Discoverer for Running {
    async fn run(self: Box<Self>, _: Context, up: Updates) -> Result<(), Error> {
        up.everything(Vec::new()).await?;
        std::future::pending().await
    }
}

/// A configuration with a discoverer for each name.
fn config(names: &[&str]) -> String {
    let entries: Vec<_> = names.iter().map(|name| format!("{{name: {name}}}")).collect();
    format!("scrape_configs: [{{job_name: a, deaf_sd_configs: [{}]}}]", entries.join(", "))
}

fn options(folder: &Folder, mechanisms: Registry, shutdown_timeout: Duration) -> Options {
    Options {
        config_file: folder.path("prometheus.yml"),
        rosterd_config_file: None,
        storage_path: Some(folder.path("data")),
        auto_reload: None,
        allow_empty: false,
        allow_template_commands: false,
        member: None,
        system: System::new("host", rosterd_client::Environment::default()),
        mechanisms,
        flags: BTreeMap::new(),
        build: crate::api::Build::of(["unknown"; 3]),
        shutdown_timeout,
        web: Web {
            settings: web::Settings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..web::Settings::default() },
            config_file: None,
            external_url: None,
            route_prefix: None,
            enable_lifecycle: true,
        },
    }
}

async fn started(options: Options) -> Agent {
    Agent::start(options, &CancellationToken::new()).await.unwrap().expect("nobody stops it")
}

async fn agent(folder: &Folder, names: &[&str], shutdown_timeout: Duration) -> Agent {
    folder.write("prometheus.yml", config(names));
    started(options(folder, Registry::new([Mechanism::of::<Deaf>()], []).unwrap(), shutdown_timeout)).await
}

async fn wait_running(agent: &Agent, count: usize) {
    let directory = agent.manager.directory();
    let synced = || directory.list().iter().filter(|provider| provider.status.last_success.is_some()).count();
    eventually(patience(), "the discoverers run", || synced() == count).await;
}

#[test]
fn those_who_do_not_listen_share_one_deadline_and_are_named() {
    leak_checked_live(async || {
        let folder = Folder::new();
        // What is left of it after the discoverers is for the rest, who needs it when the machine is busy.
        let agent = agent(&folder, &["x", "y", "z"], Duration::from_secs(10)).await;
        wait_running(&agent, 3).await;
        let stop = CancellationToken::new();
        stop.cancel();
        let ended = agent.run(stop).await;
        let Err(AgentError::Stragglers { names }) = ended else { panic!("{ended:?}") };
        assert_eq!(names.iter().filter(|name| name.starts_with("discoverer ")).count(), 3, "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("discoverer ") || name.starts_with("provider ")), "{names:?}");
    });
}

#[test]
fn a_stop_does_not_wait_for_a_reload_that_waits_for_others() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let agent = agent(&folder, &["x"], Duration::from_secs(4)).await;
        wait_running(&agent, 1).await;
        let (requests, mut views, stop) = (agent.reload_requests(), agent.roster().watch(), CancellationToken::new());
        let providers = |view: &Arc<roster::view::RosterView>| -> Vec<_> {
            let job = view.job("a").expect("the job is there");
            job.providers().iter().map(|provider| provider.key.clone()).collect()
        };
        let before = providers(&views.borrow_and_update().clone());
        folder.replace("prometheus.yml", config(&["y"]));
        let (answer, answered) = oneshot::channel();
        let reload = async {
            requests.send(answer).await.unwrap();
            // Then it waits for a discoverer that does not end.
            views.wait_for(|view| providers(view) != before).await.unwrap();
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(agent.run(stop.clone()), reload);
        assert!(answered.await.is_err(), "the reload came to its end");
        let Err(AgentError::Stragglers { names }) = ended else { panic!("{ended:?}") };
        assert!(names.iter().any(|name| name.starts_with("discoverer ")), "{names:?}");
    });
}

#[test]
fn an_essential_task_that_panics_ends_the_agent_in_order() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let agent = agent(&folder, &[], Duration::from_secs(10)).await;
        agent.work.spawn_essential("heart", async { panic!("oops") });
        let ended = agent.run(CancellationToken::new()).await;
        let Err(error @ AgentError::TaskEnded { task: "heart", .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("agent_task_ended", "the task heart ended unexpectedly: oops")
        );
    });
}

#[test]
fn a_panic_while_a_configuration_is_checked_refuses_it() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let mut agent = agent(&folder, &["x"], Duration::from_millis(100)).await;
        wait_running(&agent, 1).await;
        folder.replace("prometheus.yml", config(&["bad"]));
        let report = agent.reload(Cause::Asked).await.expect_err("it panics").report;
        assert_eq!(report.code, "agent_config_panicked");
        assert!(report.message.contains("a bad name"), "{report}");
        folder.replace("prometheus.yml", config(&["x", "y"]));
        agent.reload(Cause::Asked).await.expect("it is good");
        wait_running(&agent, 2).await;
        assert!(!agent.shutdown().await.is_empty(), "they do not listen");
    });
}
