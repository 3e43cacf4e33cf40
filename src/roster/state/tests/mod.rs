//! Events in, views out.

mod former; // what a job holds of what it had before
mod hidden; // what stays beneath what may not be read
mod holds; // what stays although nobody says so now
mod kept; // what stays although its source says that it is gone
mod open; // what confirms a removal while sources may still come
mod pieces; // what is known before a picture is whole
mod steps; // what events change, target by target
mod times; // since when, and for how long
mod unused; // what stays of providers that no job uses

use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{GroupId, SourceId, TargetGroup};
use rosterd_testkit::changed;

use super::*;
use crate::roster::Limits;
use crate::roster::block::{Block, BlockId};
use crate::roster::head::Head;
use crate::roster::hold::{Hold, HoldReason, Missing};
use crate::roster::view::NotServable;

fn key(name: &str) -> ProviderKey {
    ProviderKey::new(name)
}

fn rules(yaml: &str) -> Rules {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(yaml).expect("rules parse");
    Rules::compile(&configs, Default::default()).expect("rules compile")
}

fn job(name: &str, providers: &[&str], yaml: &str) -> JobSpec {
    let default = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    JobSpec {
        name: name.into(),
        rules: rules(yaml),
        defaults: vec![
            default("job", name),
            default("__scrape_interval__", "1m"),
            default("__scrape_timeout__", "10s"),
            default("__metrics_path__", "/metrics"),
            default("__scheme__", "http"),
        ],
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: providers.iter().map(|name| key(name)).collect(),
    }
}

fn group(source: &str, addresses: &[&str]) -> TargetGroup {
    let target = |address: &&str| [("__address__", *address), ("__meta_zone", "z")].into_iter().collect();
    TargetGroup { source: source.into(), targets: addresses.iter().map(target).collect(), ..TargetGroup::default() }
}

fn update(provider: &str, groups: Vec<TargetGroup>, whole: bool) -> Update {
    let (groups, gone): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.targets.is_empty());
    Update { whole, ..changed(key(provider), groups, gone.iter().map(TargetGroup::id).collect()) }
}

const GRACE: Duration = Duration::from_secs(300);

fn missing(provider: &str, source: Option<&str>, overdue: bool) -> Missing {
    let report = source.map(|_| report());
    Missing { provider: key(provider), source: source.map(Arc::from), overdue, report }
}

fn wanted(jobs: Vec<JobSpec>) -> Wanted {
    Wanted { jobs, grace: GRACE, ..Wanted::default() }
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: std::time::UNIX_EPOCH }
}

/// What the effects of events leave in a store.
#[derive(Debug, Default)]
struct Kept(BTreeMap<ProviderKey, KeptProvider>);

type KeptProvider = (Option<Head>, BTreeMap<BlockId, Arc<Block>>);

impl Kept {
    fn take(&mut self, effect: Effect) {
        self.0.retain(|key, _| !effect.forgotten.contains(key));
        for (key, id, block) in effect.blocks {
            let blocks = &mut self.0.entry(key).or_default().1;
            match block {
                Some(block) => drop(blocks.insert(id, block)),
                None => drop(blocks.remove(&id)),
            }
        }
        for (key, head) in effect.heads {
            self.0.entry(key).or_default().0 = Some(head);
        }
    }

    fn stored(&self) -> Vec<Stored> {
        let stored = self.0.iter().filter_map(|(key, (head, blocks))| {
            Some(Stored { key: key.clone(), head: head.clone()?, blocks: blocks.clone() })
        });
        stored.collect()
    }

    /// The providers that jobs use or hold.
    fn in_use(&self) -> Vec<ProviderKey> {
        let used = |head: &Option<Head>| head.as_ref().is_none_or(|head| head.unused.is_none());
        self.0.iter().filter(|(_, (head, _))| used(head)).map(|(key, _)| key.clone()).collect()
    }

    /// A state after a restart with these jobs.
    fn restart(&mut self, jobs: Vec<JobSpec>) -> State {
        let mut state = State::default();
        self.restart_at(&mut state, jobs, now());
        state
    }

    /// The same at some time, of which the state is the new one.
    fn restart_at(&mut self, state: &mut State, jobs: Vec<JobSpec>, now: Now) {
        let (kept, stored): (Vec<_>, Vec<_>) = self.stored().into_iter().partition(|stored| stored.head.kept.is_some());
        let is_asked_for = |Stored { head, .. }: &Stored| {
            head.unused.is_none() || jobs.iter().any(|spec| head.jobs.contains(&spec.name))
        };
        let (kept, left): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_asked_for);
        let left = left.into_iter().map(|Stored { key, head, .. }| Left { key, head: Some(head), bytes: 1 }).collect();
        self.take(state.set_jobs(Wanted { stored, kept, left, ..wanted(jobs) }, now));
    }
}

fn instances(state: &State, job: &str) -> Vec<String> {
    let view = state.view();
    let targets = view.job(job).expect("the job exists").targets();
    let mut instances: Vec<_> =
        targets.map(|slot| slot.labels.get("instance").unwrap_or_default().to_owned()).collect();
    instances.sort();
    instances
}

#[test]
fn a_job_has_the_targets_of_all_its_providers() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    let view = state.view();
    let waiting = view.job("a").expect("the job exists").servable();
    assert_eq!(waiting, Err(NotServable::Unsynced { job: "a".into(), missing: vec![missing("p/2", None, false)] }));
    state.update(update("p/2", vec![group("s", &["h:2"])], true), now());
    assert_eq!(instances(&state, "a"), ["h:1", "h:2"]);
    assert_eq!(state.view().job("a").expect("the job exists").servable(), Ok(()));
}

#[test]
fn an_empty_first_report_is_known_to_be_empty() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let effect = state.update(update("p/1", vec![], true), now());
    assert_eq!(effect.heads, [(key("p/1"), Head { jobs: ["a".into()].into(), ..Head::default() })]);
    assert_eq!(state.view().job("a").expect("the job exists").servable(), Ok(()));
    assert!(state.view().waiting_for().is_empty());
}

#[test]
fn only_changed_targets_are_relabelled() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let many: Vec<_> = (0..1000).map(|number| format!("h:{number}")).collect();
    let mut addresses: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(state.update(update("p/1", vec![group("s", &addresses)], true), now()).tally.relabelled, 1000);
    addresses[3] = "new:1";
    addresses.rotate_left(10);
    let effect = state.update(update("p/1", vec![group("s", &addresses)], false), now());
    assert_eq!(effect.tally.relabelled, 1);
    assert_eq!(effect.jobs[&Arc::from("a")], Delta { added: 1, removed: 1 });
}

#[test]
fn equal_targets_are_one_that_knows_how_many_it_comes_from() {
    let mut state = State::default();
    state.set_jobs(
        wanted(vec![job(
            "a",
            &["p/1"],
            "[{target_label: instance, replacement: same}, {target_label: __address__, replacement: 'h:1'}]",
        )]),
        now(),
    );
    let effect = state.update(update("p/1", vec![group("s", &["h:1", "h:2"]), group("t", &["h:3"])], true), now());
    assert_eq!(effect.jobs[&Arc::from("a")], Delta { added: 1, removed: 0 });
    let counts = state.view().job("a").expect("the job exists").counts();
    assert_eq!((counts.targets, counts.duplicates), (1, 2));
    let effect = state.update(update("p/1", vec![TargetGroup::gone("s")], false), now());
    assert_eq!(effect.jobs[&Arc::from("a")], Delta::default());
    let effect = state.update(update("p/1", vec![TargetGroup::gone("t")], false), now());
    assert_eq!(effect.jobs[&Arc::from("a")], Delta { added: 0, removed: 1 });
}

#[test]
fn a_target_that_moves_between_groups_stays() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    let effect = state.update(update("p/1", vec![TargetGroup::gone("s"), group("t", &["h:1"])], false), now());
    assert_eq!(effect.jobs[&Arc::from("a")], Delta::default());
    assert_eq!(instances(&state, "a"), ["h:1"]);
}

#[test]
fn dropped_and_impossible_targets_are_told_apart() {
    let mut state = State::default();
    let yaml = "[{source_labels: [__address__], regex: 'h:1', action: drop}]";
    state.set_jobs(wanted(vec![job("a", &["p/1"], yaml)]), now());
    let effect = state.update(update("p/1", vec![group("s", &["h:1", "h:2", "http://h:3/x"])], true), now());
    let counts = state.view().job("a").expect("the job exists").counts();
    assert_eq!((counts.targets, counts.dropped, counts.failed), (1, 1, 1));
    let failures: Vec<_> = effect.tally.failures.iter().map(|(job, failure)| format!("{job}: {failure}")).collect();
    assert_eq!(
        failures,
        [
            r#"a: "http://h:3/x" is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__"#
        ]
    );
}

#[test]
fn other_rules_relabel_and_equal_ones_do_not() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), now());
    let keep = "[{source_labels: [__address__], regex: 'h:1', action: keep}]";
    let effect = state.set_jobs(wanted(vec![job("a", &["p/1"], keep), job("b", &["p/1"], "[]")]), now());
    assert_eq!(effect.tally.relabelled, 2);
    assert_eq!(effect.jobs.keys().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(effect.jobs[&Arc::from("a")], Delta { added: 0, removed: 1 });
    assert_eq!((instances(&state, "a").len(), instances(&state, "b").len()), (1, 2));
}

#[test]
fn a_removed_job_takes_its_provider_along_unless_another_uses_it() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1", "p/2"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    let effect = state.set_jobs(wanted(vec![job("b", &["p/1"], "[]")]), now());
    assert_eq!(effect.forgotten, [key("p/2")], "it has said nothing that could be kept");
    assert!(state.view().job("a").is_none());
    assert_eq!(instances(&state, "b"), ["h:1"]);
    assert!(state.update(update("p/2", vec![group("s", &["h:9"])], true), now()).jobs.is_empty());
}

#[test]
fn restored_targets_work_until_the_provider_speaks() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    kept.take(before.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), now()));
    let mut state = kept.restart(vec![job("a", &["p/1"], "[]")]);
    let view = state.view();
    let restored = view.job("a").expect("the job exists");
    assert_eq!((restored.servable(), restored.providers()[0].restored, state.restored()), (Ok(()), true, 1));
    assert_eq!(instances(&state, "a"), ["h:1", "h:2"]);
    assert_eq!(restored.revision(), before.view().job("a").expect("the job exists").revision());

    let effect = state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert_eq!((effect.tally.relabelled, effect.jobs[&Arc::from("a")]), (0, Delta { added: 0, removed: 1 }));
    assert!(!state.view().job("a").expect("the job exists").providers()[0].restored);
    assert_eq!(state.restored(), 0);
}

#[test]
fn a_restored_provider_that_no_job_uses_counts_no_more() {
    let mut state = restored();
    assert_eq!(state.restored(), 1);
    state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), now());
    assert_eq!(state.restored(), 0);
}

#[test]
fn above_its_target_limit_a_job_is_not_served() {
    let mut state = State::default();
    let mut spec = job("a", &["p/1"], "[]");
    spec.limits.targets = 1;
    state.set_jobs(wanted(vec![spec.clone()]), now());
    state.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), now());
    let refused = state.view().job("a").expect("the job exists").servable();
    assert_eq!(refused, Err(NotServable::TargetLimit { job: "a".into(), targets: 2, limit: 1 }));
    spec.limits.targets = 2;
    assert_eq!(state.set_jobs(wanted(vec![spec]), now()).tally.relabelled, 0, "a limit needs no relabelling");
    assert_eq!(state.view().job("a").expect("the job exists").servable(), Ok(()));
}

#[test]
fn labels_above_the_limits_of_the_job_are_told() {
    let labels: rosterd_model::Labels =
        [("__address__", "h:1"), ("a", "12345"), ("long_name", "1")].into_iter().collect();
    let exceeded = |limits: Limits| limits.exceeded_by(rosterd_model::target::Target(&labels));
    assert_eq!(exceeded(Limits::default()), None);
    assert_eq!(exceeded(Limits { labels: 2, label_name_length: 9, label_value_length: 5, ..Limits::default() }), None);
    let told = [
        exceeded(Limits { labels: 1, ..Limits::default() }),
        exceeded(Limits { label_name_length: 8, ..Limits::default() }),
        exceeded(Limits { label_value_length: 4, ..Limits::default() }),
    ];
    let told = told.map(|told| told.expect("the limit is exceeded").split(' ').next().unwrap_or_default().to_owned());
    assert_eq!(told, ["label_limit", "label_name_length_limit", "label_value_length_limit"]);
}

fn report() -> rosterd_model::Report {
    rosterd_model::Report {
        code: "sd_test".into(),
        message: "down".to_owned(),
        priority: rosterd_model::Priority::Remote,
        retry: rosterd_model::Retry::Backoff,
        causes: Vec::new(),
    }
}

fn failing(sources: &[(&str, bool)]) -> Arc<rosterd_discovery::UnreadSources> {
    let unread = |known: bool| rosterd_discovery::Unread {
        since: std::time::UNIX_EPOCH,
        known,
        hides: false,
        beneath: None,
        report: report(),
    };
    Arc::new(sources.iter().map(|(name, known)| (Arc::from(*name), unread(*known))).collect())
}

/// What was stored of `s` and `t` before a restart, in a new state.
fn restored() -> State {
    let (mut before, mut kept) = (State::default(), Kept::default());
    before.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    kept.take(before.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), now()));
    kept.restart(vec![job("a", &["p/1"], "[]")])
}

#[test]
fn what_is_stored_of_a_source_stays_until_it_can_be_read() {
    let mut state = restored();
    state.update(Update { unread: failing(&[("t", false)]), ..update("p/1", vec![group("s", &["h:3"])], true) }, now());
    assert_eq!(instances(&state, "a"), ["h:2", "h:3"]);
    state
        .update(Update { unread: failing(&[("t", false)]), ..update("p/1", vec![group("s", &["h:4"])], false) }, now());
    assert_eq!(instances(&state, "a"), ["h:2", "h:4"]);
    state.update(update("p/1", vec![], false), now());
    assert_eq!(instances(&state, "a"), ["h:4"], "it was read, and has nothing any more");
}

#[test]
fn a_source_that_was_read_and_fails_before_the_picture_is_taken_has_only_what_was_read() {
    let mut state = restored();
    state.update(Update { unread: failing(&[("t", true)]), ..update("p/1", vec![group("s", &["h:1"])], true) }, now());
    assert_eq!(instances(&state, "a"), ["h:1"], "it has no targets");
}

#[test]
fn a_source_that_was_read_and_fails_again_has_only_what_was_read() {
    let mut state = restored();
    state.update(Update { unread: failing(&[("t", false)]), ..update("p/1", vec![group("s", &["h:1"])], true) }, now());
    // Read and failed again while the update waited.
    let keyed = TargetGroup { key: "1".into(), ..group("t", &["h:5"]) };
    state.update(Update { unread: failing(&[("t", true)]), ..update("p/1", vec![keyed], false) }, now());
    assert_eq!(instances(&state, "a"), ["h:1", "h:5"]);
}

#[test]
fn an_update_that_removes_many_targets_is_as_large_as_one_that_brings_them() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let many: Vec<_> = (0..600).map(|number| format!("h:{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let all = update("p/1", vec![group("many", &many), group("few", &["h:1"])], true);
    assert!(state.is_large(&all));
    state.update(all, now());
    let (many, few) = (GroupId::of("many", ""), GroupId::of("few", ""));
    assert!(state.is_large(&changed(key("p/1"), Vec::new(), vec![many])));
    assert!(state.is_large(&update("p/1", vec![group("many", &["h:1"])], false)));
    assert!(state.is_large(&update("p/1", vec![group("few", &["h:1"])], true)), "it removes all others");
    assert!(!state.is_large(&changed(key("p/1"), vec![group("new", &["h:2"])], vec![few])));
}
