//! With the real roster and the real reconciler; with real commands on the real clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::relabel::Rules;
use rosterd_model::{Labels, Report, TargetGroup};
use rosterd_tasks::Stopper;
use rosterd_testkit::{Folder, eventually, everything, leak_checked, leak_checked_live, patience};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::rendering::{LONG, bounds};
use crate::publish::file_sd::Publisher;
use crate::publish::templates::look::Look;
use crate::publish::templates::place::Files;
use crate::publish::templates::refusals::What;
use crate::publish::templates::steps::NAMES;
use crate::publish::templates::worker::TemplateWorker;
use crate::publish::templates::{Reload, SignalName, Template, Templates, desired, render};
use crate::reconcile::{
    self, DesiredSet, EndedOperation, OperationState, Phase, Reconciler, Statuses, Work, Worker, WorkerStatus,
};
use crate::roster::view::RosterView;
use crate::roster::{self, Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::ledger::{Ledger, Member};
use crate::store::{MemoryBlocks, MemoryLedger};

/// What outlives a process.
#[derive(Clone)]
pub(super) struct Stores(pub(super) Arc<dyn Ledger>);

impl Default for Stores {
    fn default() -> Self {
        Self(Arc::new(MemoryLedger::new()))
    }
}

pub(super) struct Running {
    stopper: Stopper,
    updates: mpsc::Sender<Update>,
    roster: RosterHandle,
    wanted: watch::Sender<Option<Arc<DesiredSet<Template>>>>,
    templates: Templates,
    pub(super) statuses: Statuses<Template>,
}

impl Running {
    pub(super) async fn start(stores: &Stores, templates: &[Template]) -> Self {
        Self::with(|_| {}, stores, templates).await
    }

    /// One that may run commands, unless it is told otherwise.
    async fn with(change: impl FnOnce(&mut Templates), stores: &Stores, templates: &[Template]) -> Self {
        let (stopper, registry) = (Stopper::new(), prometheus::Registry::new());
        let (updates, receiver) = mpsc::channel(1);
        let metrics = roster::metrics::Metrics::register(&registry).unwrap();
        let roster = Roster::start(&stopper, Arc::new(MemoryBlocks::new()), metrics, Clock::system(), receiver);
        let (_files, no_files) = watch::channel(None);
        let files = Publisher::start(&roster, no_files, &stopper);
        let (wanted, templates) = watch::channel(Some(Arc::new(desired(templates))));
        let mut make = Templates::new(files, templates.clone(), true);
        change(&mut make);
        let metrics = reconcile::metrics::Metrics::register(&registry).unwrap();
        let ledger = (Arc::clone(&stores.0), Member::local());
        let statuses = Reconciler::start(ledger, make.clone(), templates, metrics, &stopper);
        roster.set_jobs(vec![job("a", "p/1"), job("b", "p/2")], Duration::from_secs(300)).await;
        Self { stopper, updates, roster, wanted, templates: make, statuses }
    }

    pub(super) async fn report(&self, provider: &str, targets: &[Labels]) {
        let group = TargetGroup { source: "s".into(), targets: targets.to_vec(), ..TargetGroup::default() };
        let groups = if targets.is_empty() { Vec::new() } else { vec![group] };
        self.updates.send(everything(ProviderKey::new(provider), groups)).await.unwrap();
    }

    /// One target of the first job.
    pub(super) async fn has(&self, address: &str) {
        self.report("p/1", &[target(address, &[])]).await;
    }

    /// The roster once all its jobs are known.
    pub(super) async fn known(&self) -> Arc<RosterView> {
        let mut views = self.roster.watch();
        let is_known = |view: &Arc<RosterView>| view.jobs().all(|job| job.servable().is_ok());
        Arc::clone(&*views.wait_for(is_known).await.expect("the roster goes on"))
    }

    fn status(&self, template: &Template) -> Option<WorkerStatus<Template>> {
        self.statuses.get(&format!("template:{}", template.destination.display()))
    }

    pub(super) async fn until_in(&self, template: &Template, phase: Phase) {
        let what = format!("{} is {phase:?}", template.destination.display());
        eventually(patience(), &what, || self.status(template).is_some_and(|it| it.state == phase)).await;
    }

    pub(super) fn phase(&self, template: &Template) -> Option<Phase> {
        self.status(template).map(|it| it.state)
    }

    fn error(&self, template: &Template) -> Report {
        self.status(template).and_then(|it| it.last_error).expect("it says why")
    }

    /// Operations that have ended and did something.
    fn ended(&self) -> Vec<EndedOperation> {
        let mut ended = self.statuses.ended();
        ended.retain(|ended| ended.status.action == reconcile::Action::Update);
        ended
    }

    pub(super) async fn stop(self) {
        assert!(self.stopper.stop(Duration::from_secs(10)).await.is_empty());
    }
}

fn job(name: &str, provider: &str) -> JobSpec {
    let defaults = [
        ("job", name),
        ("__scrape_interval__", "1m"),
        ("__scrape_timeout__", "10s"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
    ];
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&[], Default::default()).expect("no rules compile"),
        defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

pub(super) fn target(address: &str, labels: &[(&str, &str)]) -> Labels {
    [("__address__", address)].into_iter().chain(labels.iter().copied()).collect()
}

/// A template that lists the addresses of the first job, without commands.
pub(super) fn template(folder: &Path) -> Template {
    let source = folder.join("x.tmpl");
    std::fs::write(&source, "list: {{ targets | map(attribute='address') | join(' ') }}\n").unwrap();
    Template {
        source,
        destination: folder.join("x.conf"),
        jobs: vec!["a".into()],
        check: Vec::new(),
        reload: Reload::None,
        verify: Vec::new(),
        min_interval: Duration::ZERO,
        timeout: Duration::from_secs(60),
    }
}

/// A command of the shell, with the file as `$1`.
pub(super) fn shell(script: &str, file: &str) -> Vec<String> {
    ["sh", "-c", script, "sh", file].map(str::to_owned).into()
}

/// A reload that notes what it is given in `reloads`, and fails for addresses on port 66.
pub(super) fn noted(folder: &Path) -> Reload {
    let script = format!("cat \"$1\" >>{}; ! grep -q :66 \"$1\"", folder.join("reloads").display());
    Reload::Command(shell(&script, &folder.join("x.conf").display().to_string()))
}

pub(super) fn content(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

async fn until_has(path: &Path, text: &str) {
    let what = format!("{} has {text:?}", path.display());
    eventually(patience(), &what, || content(path).as_deref() == Some(text)).await;
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_follows_the_roster_and_unknown_is_not_empty() {
    leak_checked(async || {
        let (folder, stores) = (Folder::new(), Stores::default());
        let it = template(folder.root());
        let agent = Running::start(&stores, std::slice::from_ref(&it)).await;
        agent.until_in(&it, Phase::Snoozing).await;
        assert_eq!(content(&it.destination), None);
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.report("p/1", &[]).await;
        until_has(&it.destination, "list: \n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.stop().await;

        let agent = Running::start(&stores, std::slice::from_ref(&it)).await;
        agent.until_in(&it, Phase::Snoozing).await;
        assert_eq!(content(&it.destination).as_deref(), Some("list: \n"), "it stays while the roster is unknown");
        agent.report("p/1", &[]).await;
        agent.until_in(&it, Phase::Done).await;
        assert!(agent.ended().is_empty(), "nothing had to be done: {:?}", agent.ended());
        agent.stop().await;
        assert_eq!(names(folder.root()), ["x.conf", "x.tmpl"], "nothing is left beside it");
    });
}

#[test]
fn a_template_is_not_rendered_while_one_of_its_jobs_is_unknown_however_long_that_is() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = Template { jobs: vec!["a".into(), "b".into()], ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        let mut views = agent.roster.watch();
        let is_given_up = |view: &Arc<RosterView>| view.job("b").is_some_and(|job| job.is_given_up());
        views.wait_for(is_given_up).await.expect("its time of grace ends");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        agent.until_in(&it, Phase::Snoozing).await;
        assert_eq!(content(&it.destination), None, "it would be without the other job");
        agent.report("p/2", &[target("y:1", &[])]).await;
        until_has(&it.destination, "list: x:1 y:1\n").await;
        agent.stop().await;
    });
}

#[test]
fn a_file_that_somebody_deletes_comes_back_and_a_template_that_changes_is_rendered() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        folder.remove("x.conf");
        until_has(&it.destination, "list: x:1\n").await;
        folder.replace("x.tmpl", "{{ targets | length }} of them\n");
        until_has(&it.destination, "1 of them\n").await;
        folder.replace("x.tmpl", "{{ target }}\n");
        agent.until_in(&it, Phase::Cancelled).await;
        assert_eq!(agent.error(&it).code, "publish_template_failed");
        assert!(agent.error(&it).message.ends_with("x.conf stays as it was"), "{}", agent.error(&it));
        assert_eq!(content(&it.destination).as_deref(), Some("1 of them\n"), "the file stays");
        let ended = agent.ended().pop().expect("it is an operation that failed");
        assert_eq!((ended.status.state, ended.error), (OperationState::Failed, Some(agent.error(&it))));
        folder.remove("x.tmpl");
        eventually(patience(), "it is told that there is none", || {
            agent
                .status(&it)
                .and_then(|it| it.last_error)
                .is_some_and(|error| error.code == "publish_template_unreadable")
        })
        .await;
        folder.write("x.tmpl", "{{ targets | length }} again\n");
        until_has(&it.destination, "1 again\n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.stop().await;
    });
}

#[test]
fn where_there_was_no_file_nothing_is_said_to_stay() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        folder.replace("x.tmpl", "{# nothing #}\n");
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        agent.until_in(&it, Phase::Cancelled).await;
        let told = format!(
            "{} renders to nothing, which is put nowhere: if that is meant, let it render at least a comment; there was no {} \
             before, and there is none now",
            it.source.display(),
            it.destination.display()
        );
        assert_eq!(agent.error(&it).message, told);
        agent.stop().await;
    });
}

#[test]
fn a_file_that_cannot_be_read_is_not_one_that_somebody_changed() {
    let folder = Folder::new();
    let files = Files::of(&folder.path("x.conf")).unwrap();
    assert!(!files.compare(1).unwrap(), "what is missing is another one");
    std::os::unix::fs::symlink("x.conf", folder.path("x.conf")).unwrap();
    let error = files.compare(1).expect_err("a link to itself");
    assert_eq!(error.to_string(), format!("cannot read {}", folder.path("x.conf").display()));
}

#[test]
fn an_edit_of_a_template_or_of_what_it_includes_is_noticed_when_it_happens() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        folder.write("x.tmpl", "{% include 'part' %}\n");
        folder.write("part", "one {{ targets | length }}");
        let never = |templates: &mut Templates| templates.look = Duration::from_secs(3600);
        let agent = Running::with(never, &Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "one 1").await;
        agent.until_in(&it, Phase::Done).await;
        folder.replace("part", "two");
        until_has(&it.destination, "two").await;
        agent.until_in(&it, Phase::Done).await;
        folder.replace("x.tmpl", "three\n");
        until_has(&it.destination, "three\n").await;
        agent.stop().await;
    });
}

#[test]
fn a_storm_comes_to_few_operations() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = Template { min_interval: Duration::from_secs(5), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:0").await;
        until_has(&it.destination, "list: x:0\n").await;
        let begun = tokio::time::Instant::now();
        for port in 1..=200 {
            agent.has(&format!("x:{port}")).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        until_has(&it.destination, "list: x:200\n").await;
        let most = 2 + usize::try_from(begun.elapsed().as_secs() / 5).unwrap();
        let ended = agent.ended().len();
        assert!((2..=most).contains(&ended), "{ended} operations in {:?}", begun.elapsed());
        agent.stop().await;
    });
}

#[test]
fn what_the_check_refuses_never_takes_the_place_of_the_file() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let check = shell(
            "test -s \"$1\" || exit 9; grep -q :66 \"$1\" && printf 'no 66\\nat all\\n' >&2 && exit 3; true",
            "{file}",
        );
        let it = Template { check, reload: noted(folder.root()), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.has("x:66").await;
        agent.until_in(&it, Phase::Cancelled).await;
        let error = agent.error(&it);
        assert_eq!(error.code, "publish_command_failed");
        let file = it.destination.display();
        let told =
            format!("sh, the check of {file}, failed with exit status: 3: no 66 | at all; {file} stays as it was");
        assert_eq!(error.message, told);
        assert_eq!(content(&it.destination).as_deref(), Some("list: x:1\n"));
        assert_eq!(folder.read("reloads"), "list: x:1\n", "the program is left alone");
        assert_eq!(names(folder.root()), ["reloads", "x.conf", "x.tmpl"]);
        agent.has("x:2").await;
        until_has(&it.destination, "list: x:2\n").await;
        agent.until_in(&it, Phase::Done).await;
        assert_eq!(agent.status(&it).unwrap().last_error, None);
        agent.stop().await;
    });
}

#[test]
fn a_check_that_changes_what_it_judges_is_refused() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let check = shell("echo more >>\"$1\"", "{file}");
        let it = Template { check, reload: noted(folder.root()), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        agent.until_in(&it, Phase::Cancelled).await;
        assert_eq!(agent.error(&it).code, "publish_staged_changed");
        assert_eq!(names(folder.root()), ["x.tmpl"], "nothing is put in place, and nobody is told");
        agent.stop().await;
    });
}

#[test]
fn a_failed_reload_or_verification_brings_the_old_file_back() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let verify = shell("! grep -q :77 \"$1\"", &it.destination.display().to_string());
        let it = Template { reload: noted(folder.root()), verify, ..it };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        for (address, what) in [("x:66", "reload"), ("x:77", "verify")] {
            let before = agent.ended().len();
            agent.has(address).await;
            eventually(patience(), "it is given up", || agent.ended().len() > before).await;
            agent.until_in(&it, Phase::Cancelled).await;
            let error = agent.error(&it);
            let file = it.destination.display();
            assert!(error.message.starts_with(&format!("sh, the {what} of {file}, failed")), "{error}");
            assert!(error.message.ends_with(&format!("; {file} is as it was before")), "{error}");
            assert_eq!(content(&it.destination).as_deref(), Some("list: x:1\n"));
        }
        let reloads = folder.read("reloads");
        let told = "list: x:1\nlist: x:66\nlist: x:1\nlist: x:77\nlist: x:1\n";
        assert_eq!(reloads, told, "each time the program is told of the old one again");
        let ended = agent.ended();
        let states: Vec<_> = ended.iter().map(|ended| (ended.status.state, ended.status.step_name)).collect();
        let failed = (OperationState::Failed, Some("reload_restored"));
        assert_eq!(states, [(OperationState::Done, Some("clear")), failed, failed]);
        assert_eq!(names(folder.root()), ["reloads", "x.conf", "x.tmpl"]);
        agent.stop().await;
    });
}

#[test]
fn an_old_file_that_somebody_removed_is_told_once_and_the_next_one_begins_anew() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let script = "grep -q :66 \"$1\" || exit 0; rm \"${1%/*}/.${1##*/}.rosterd-old\"; exit 3";
        let reload = Reload::Command(shell(script, &it.destination.display().to_string()));
        let it = Template { reload, ..it };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.has("x:66").await;
        agent.until_in(&it, Phase::Cancelled).await;
        let (error, file) = (agent.error(&it), it.destination.display());
        let told = format!(
            "sh, the reload of {file}, failed with exit status: 3; {file} cannot be restored, as somebody removed the old one, \
             which was kept beside it"
        );
        assert_eq!(error.message, told);
        assert_eq!(content(&it.destination).as_deref(), Some("list: x:66\n"));
        let ended: Vec<_> = agent.ended().iter().map(|it| (it.status.state, it.status.step_name)).collect();
        let states = [(OperationState::Done, Some("clear")), (OperationState::Failed, Some("restore"))];
        assert_eq!(ended, states);
        agent.has("x:2").await;
        until_has(&it.destination, "list: x:2\n").await;
        agent.until_in(&it, Phase::Done).await;
        assert_eq!(agent.status(&it).unwrap().last_error, None);
        assert_eq!(names(folder.root()), ["x.conf", "x.tmpl"]);
        agent.stop().await;
    });
}

#[test]
fn a_file_in_place_that_was_refused_is_not_good_but_tried_again() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        let (mut worker, stop) = (TemplateWorker::new(&agent.templates, &it), CancellationToken::new());
        let jobs = worker.jobs().expect("they are known");
        // Its own worker would look at the same file when time goes on, and only one at a time may.
        agent.stop().await;
        let rendered = render(&it.source, &jobs, &bounds(LONG)).0.unwrap();
        worker.refusals.refused(What::Content(rendered.hash), Duration::from_secs(60));
        assert!(matches!(worker.look(jobs.clone(), &stop).await, Look::Refused(_)));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(matches!(worker.look(jobs.clone(), &stop).await, Look::Begin));
        worker.refusals.clear();
        assert!(matches!(worker.look(jobs, &stop).await, Look::AsItShouldBe));
    });
}

#[test]
fn an_operation_that_does_not_say_what_was_there_before_never_removes_the_file() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        let mut worker = TemplateWorker::new(&agent.templates, &it);
        // Its own worker would look at the same file, and only one at a time may.
        agent.stop().await;
        folder.write("x.conf", "list: x:1\n");
        let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(b"list: x:1\n"));
        let of_nine_steps = |content: &serde_json::Value, had_former: bool| json!({ "content": content, "had_former": had_former, "why": null });
        let former = [json!(null), json!(hash)].map(|content| [true, false].map(|had| of_nine_steps(&content, had)));
        for left in former.into_iter().flatten().chain([json!({ "content": null }), json!({ "content": hash })]) {
            for step in 3..u32::try_from(NAMES.len()).unwrap() {
                let (action, spec, left) = (reconcile::Action::Update, it.clone(), left.clone());
                let work = Work { action, spec, revision: None, step, attempt: 0, repeated: true, left };
                worker.run(&work, &CancellationToken::new()).await;
                let found = content(&it.destination);
                assert_eq!(found.as_deref(), Some("list: x:1\n"), "step {step}: {}", work.left);
            }
        }
    });
}

#[test]
fn a_program_that_a_lost_ledger_may_not_have_told_is_told() {
    leak_checked_live(async || {
        for (left, told) in [("", ""), (".x.conf.rosterd-old", "list: x:1\n"), (".x.conf.rosterd-none", "list: x:1\n")]
        {
            let folder = Folder::new();
            let it = Template { reload: noted(folder.root()), ..template(folder.root()) };
            folder.write("x.conf", "list: x:1\n");
            folder.write("reloads", "");
            if !left.is_empty() {
                folder.write(left, "list: x:0\n");
            }
            let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
            agent.has("x:1").await;
            eventually(patience(), "it is looked at", || {
                agent.templates.files.statuses.get(&it.destination).is_some_and(|it| it.reached.is_some())
            })
            .await;
            agent.until_in(&it, Phase::Done).await;
            assert_eq!(folder.read("reloads"), told, "{left}");
            assert_eq!(names(folder.root()), ["reloads", "x.conf", "x.tmpl"], "{left}");
            agent.stop().await;
        }
    });
}

#[test]
fn what_was_there_before_a_lost_ledger_is_what_comes_back() {
    leak_checked_live(async || {
        for (left, comes) in [(".x.conf.rosterd-old", Some("list: x:0\n")), (".x.conf.rosterd-none", None)] {
            let folder = Folder::new();
            let it = Template { reload: noted(folder.root()), ..template(folder.root()) };
            folder.write("x.conf", "list: x:66\n");
            folder.write(left, "list: x:0\n");
            let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
            agent.has("x:66").await;
            agent.until_in(&it, Phase::Cancelled).await;
            assert_eq!(content(&it.destination).as_deref(), comes, "{left}");
            agent.stop().await;
        }
    });
}

#[test]
fn a_template_that_does_not_come_to_an_end_is_an_operation_and_then_one_that_failed() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = Template { timeout: Duration::from_secs(4), ..template(folder.root()) };
        // Some seconds of printing, whatever the machine.
        folder.write("x.tmpl", "{% for x in range(9999) %}{% for y in range(9999) %}{{ y }}{% endfor %}{% endfor %}");
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        agent.until_in(&it, Phase::Cancelled).await;
        assert_eq!(agent.error(&it).code, "publish_template_endless");
        let ended: Vec<_> = agent.ended().iter().map(|it| (it.status.state, it.status.step_name)).collect();
        assert_eq!(ended, [(OperationState::Failed, Some("discard"))]);
        folder.replace("x.tmpl", "fine\n");
        until_has(&it.destination, "fine\n").await;
        agent.stop().await;
    });
}

#[test]
fn what_takes_long_to_render_is_in_flight_meanwhile() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        let every = agent.templates.files.writing.available_permits();
        let turn =
            agent.templates.files.writing.clone().acquire_many_owned(u32::try_from(every).unwrap()).await.unwrap();
        agent.has("x:1").await;
        eventually(patience(), "it renders", || {
            let operation = agent.status(&it).and_then(|it| it.operation);
            operation.is_some_and(|it| (it.state, it.step_name) == (OperationState::InFlight, Some("render")))
        })
        .await;
        agent.until_in(&it, Phase::Pending).await;
        drop(turn);
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        agent.stop().await;
    });
}

#[test]
fn a_first_file_that_is_not_taken_is_removed_again() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = Template { reload: noted(folder.root()), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:66").await;
        agent.until_in(&it, Phase::Cancelled).await;
        assert!(agent.error(&it).message.contains("is removed again, as there was none before"));
        assert_eq!(content(&it.destination), None);
        agent.stop().await;
    });
}

#[test]
fn without_the_flag_nothing_is_run_whatever_the_ledger_has() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let it = Template { reload: noted(folder.root()), ..template(folder.root()) };
        let agent =
            Running::with(|templates| templates.allow_commands = false, &Stores::default(), std::slice::from_ref(&it))
                .await;
        agent.has("x:1").await;
        agent.until_in(&it, Phase::Cancelled).await;
        assert_eq!(agent.error(&it).code, "publish_commands_disabled");
        assert!(!folder.path("reloads").exists());
        agent.stop().await;
    });
}

#[test]
fn a_command_that_hangs_is_ended_and_told_with_what_it_said() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let check = shell("echo waiting; exec sleep 600", "{file}");
        let it = Template { check, timeout: Duration::from_secs(3), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        agent.until_in(&it, Phase::Cancelled).await;
        let error = agent.error(&it);
        assert_eq!(error.code, "publish_command_timeout");
        assert!(error.message.contains("did not end within 3s: waiting; "), "{error}");
        agent.stop().await;
    });
}

#[test]
fn a_command_that_leaves_its_output_open_counts_by_how_it_ended() {
    leak_checked_live(async || {
        for (script, told) in
            [("echo fine; sleep 600 &", None), ("printf '\\303\\244 no' >&2; sleep 600 & exit 3", Some("ä no"))]
        {
            let folder = Folder::new();
            let check = shell(script, "{file}");
            let it = Template { check, timeout: patience(), ..template(folder.root()) };
            let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
            agent.has("x:1").await;
            match told {
                None => until_has(&it.destination, "list: x:1\n").await,
                Some(told) => {
                    agent.until_in(&it, Phase::Cancelled).await;
                    let message = agent.error(&it).message;
                    assert!(message.contains(&format!("failed with exit status: 3: {told};")), "{message}");
                }
            }
            agent.stop().await;
        }
    });
}

#[test]
fn a_destination_that_cannot_be_is_an_operation_that_failed_until_it_can() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = Template { destination: folder.path("out/x.conf"), ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        std::fs::remove_dir_all(folder.path("out")).unwrap();
        folder.write("out", "in the way");
        let is_failed = |it: &EndedOperation| it.status.state == OperationState::Failed;
        let failed = || agent.ended().into_iter().filter(is_failed).map(|it| it.status.id).collect::<Vec<_>>();
        eventually(patience(), "it is given up", || failed().len() == 1).await;
        let first = failed();
        let is_told_once = || failed().len() == 1 && failed() != first;
        eventually(patience(), "it is tried again, and told as one", is_told_once).await;
        agent.until_in(&it, Phase::Cancelled).await;
        let error = agent.error(&it);
        assert_eq!(error.code, "publish_folder_failed");
        let ended = agent.ended().pop().expect("it is an operation that failed");
        assert_eq!((ended.status.step_name, ended.error), (Some("discard"), Some(error)));
        folder.remove("out");
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        assert_eq!(agent.ended().pop().map(|it| it.status.state), Some(OperationState::Done));
        agent.stop().await;
    });
}

#[test]
fn a_template_that_is_configured_otherwise_and_refused_is_tried_again() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        let other = folder.write("other.tmpl", "{{ target }}\n");
        let it = Template { source: other, ..it };
        agent.wanted.send_replace(Some(Arc::new(desired(std::slice::from_ref(&it)))));
        agent.until_in(&it, Phase::Cancelled).await;
        folder.replace("other.tmpl", "{{ targets | length }} of them\n");
        until_has(&it.destination, "1 of them\n").await;
        agent.stop().await;
    });
}

#[test]
fn a_program_is_signalled_by_the_number_in_its_file_if_it_runs() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let signalled = folder.path("signalled");
        // A shell traps no signal that was ignored when it began, as SIGHUP is below nohup.
        let script =
            format!("trap 'echo told >>{0}' USR1; echo ready >{0}; while :; do sleep 0.05; done", signalled.display());
        let mut program = std::process::Command::new("sh");
        let mut program = rosterd_testkit::Process::start("program", program.args(["-c", &script]));
        eventually(patience(), "it is ready", || signalled.exists()).await;
        let pid_file: PathBuf = folder.path("x.pid");
        let reload = Reload::Signal { signal: SignalName::Usr1, pid_file };
        let it = Template { reload, ..template(folder.root()) };
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.until_in(&it, Phase::Done).await;
        assert_eq!(content(&signalled).as_deref(), Some("ready\n"), "there was no file with its number yet");
        folder.write("x.pid", format!("{}\n", program.id()));
        agent.has("x:2").await;
        until_has(&signalled, "ready\ntold\n").await;
        agent.until_in(&it, Phase::Done).await;
        folder.write("x.pid", "\n");
        agent.has("x:4").await;
        let tries = || agent.status(&it).and_then(|it| it.operation).map_or(0, |operation| operation.attempt);
        eventually(patience(), "it waits for its number", || tries() > 2).await;
        folder.write("x.pid", format!("{}\n", program.id()));
        until_has(&signalled, "ready\ntold\ntold\n").await;
        agent.until_in(&it, Phase::Done).await;
        folder.write("x.pid", "nonsense");
        agent.has("x:3").await;
        agent.until_in(&it, Phase::Cancelled).await;
        assert_eq!(agent.error(&it).code, "publish_signal_failed");
        assert_eq!(content(&it.destination).as_deref(), Some("list: x:4\n"));
        agent.stop().await;
        program.signal(rustix::process::Signal::KILL);
        eventually(patience(), "it has ended", || program.exited().is_some()).await;
    });
}

#[test]
fn what_is_removed_from_the_configuration_stays_as_it_is() {
    leak_checked(async || {
        let folder = Folder::new();
        let it = template(folder.root());
        let agent = Running::start(&Stores::default(), std::slice::from_ref(&it)).await;
        agent.has("x:1").await;
        until_has(&it.destination, "list: x:1\n").await;
        agent.wanted.send_replace(Some(Arc::new(DesiredSet::new())));
        eventually(patience(), "the worker is gone", || agent.statuses.all().is_empty()).await;
        agent.stop().await;
        assert_eq!(names(folder.root()), ["x.conf", "x.tmpl"]);
    });
}
