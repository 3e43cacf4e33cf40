//! What events change, target by target.

use proptest::prelude::*;

use super::*;
use crate::roster::hold::{HoldReason, HoldReasons};
use crate::roster::step::Difference;
use crate::roster::target::Entry;

pub(super) fn telling() -> State {
    let mut state = State::default();
    state.set_telling(true);
    state
}

/// The differences of a job in words, sorted.
pub(super) fn words(effect: &Effect, job: &str) -> Vec<String> {
    let step = effect.step.as_ref().expect("somebody follows");
    let sources = step.jobs.iter().find(|step| &*step.name == job).map_or(&[][..], |step| &step.sources);
    let instance = |labels: &rosterd_model::Labels| labels.get("instance").unwrap_or_default().to_owned();
    let mut words = Vec::new();
    for source in sources {
        let name = ["s", "t", "x"].into_iter().find(|name| SourceId::of(name) == source.source).unwrap_or("?");
        let place = format!("{} {name} {:?}", source.provider, source.reason);
        words.extend(source.differences.iter().map(|difference| match difference {
            Difference::Added(labels) => format!("{place}: +{}", instance(labels)),
            Difference::Removed(labels) => format!("{place}: -{}", instance(labels)),
            Difference::Changed { from, to } => format!("{place}: {} > {}", instance(from), instance(to)),
            Difference::Held(labels, why) => format!("{place}: held {} {}", why.as_str(), instance(labels)),
            Difference::Released(labels) => format!("{place}: released {}", instance(labels)),
        }));
    }
    words.sort();
    words
}

fn limits(effect: &Effect) -> Vec<Option<LimitStep>> {
    effect.step.as_ref().map_or(Vec::new(), |step| step.jobs.iter().map(|job| job.limit).collect())
}

#[test]
fn a_step_tells_each_target_with_its_source_and_the_reason() {
    let mut state = telling();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let effect = state.update(update("p/1", vec![group("s", &["h:1"]), group("t", &["h:2"])], true), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Source: +h:1", "p/1 t Source: +h:2"]);
    let effect = state.update(update("p/1", vec![group("s", &["h:1", "h:3"]), TargetGroup::gone("t")], false), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Source: +h:3", "p/1 t Source: -h:2"]);
    let rules = "[{source_labels: [__address__], regex: 'h:1', action: keep}]";
    let effect = state.set_jobs(wanted(vec![job("a", &["p/1"], rules)]), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Rules: -h:3"]);
    let effect = state.set_jobs(wanted(vec![job("b", &["p/1"], "[]")]), now());
    assert_eq!((words(&effect, "a"), words(&effect, "b").len()), (vec!["p/1 s Reload: -h:1".to_owned()], 2));
    let step = effect.step.expect("somebody follows");
    assert_eq!(
        step.jobs.iter().map(|job| (&*job.name, job.view.is_some())).collect::<Vec<_>>(),
        [("a", false), ("b", true)]
    );
}

#[test]
fn a_target_that_takes_the_place_of_one_with_its_address_is_a_change() {
    let mut state = telling();
    let rules = "[{source_labels: [__meta_zone, v], target_label: instance, separator: ''}]";
    state.set_jobs(wanted(vec![job("a", &["p/1"], rules)]), now());
    let of = |version: &str| {
        let target = [("__address__", "h:1"), ("v", version)].into_iter().collect();
        TargetGroup { source: "s".into(), targets: vec![target], ..TargetGroup::default() }
    };
    state.update(update("p/1", vec![of("1")], true), now());
    let effect = state.update(update("p/1", vec![of("2")], false), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Source: 1 > 2"]);
    // From another source it is another target.
    let other = TargetGroup { source: "t".into(), ..of("3") };
    let effect = state.update(update("p/1", vec![TargetGroup::gone("s"), other], false), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Source: -2", "p/1 t Source: +3"]);
}

#[test]
fn holding_and_releasing_are_told() {
    let mut state = telling();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), now());
    let effect = state.set_jobs(wanted(vec![job("a", &["p/2"], "[]")]), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Reload: held replaced h:1", "p/1 s Reload: held replaced h:2"]);
    let effect = state.update(update("p/2", vec![group("x", &["h:1"])], true), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Reload: -h:2", "p/2 x Source: released h:1"]);
}

#[test]
fn what_other_rules_release_is_told() {
    let mut state = telling();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]"), job("b", &["p/1"], "[]")]), now());
    state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    state.set_jobs(wanted(vec![job("a", &["q/2"], "[]"), job("b", &["p/1"], "[]")]), now());
    let rules = "[{source_labels: [__address__], regex: other, action: drop}]";
    let effect = state.set_jobs(wanted(vec![job("a", &["p/1"], rules), job("b", &["p/1"], "[]")]), now());
    assert_eq!(words(&effect, "a"), ["p/1 s Rules: released h:1"]);
}

#[test]
fn a_target_that_one_source_holds_and_another_has_is_told_once() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    let jobs = || vec![job("a", &["p/1"], "[]"), job("b", &["q/2"], "[]")];
    kept.take(before.set_jobs(wanted(jobs()), now()));
    kept.take(before.update(update("p/1", vec![group("s", &["h:1"])], true), now()));
    let mut state = telling();
    state.set_jobs(Wanted { stored: kept.stored(), ..wanted(jobs()) }, now());
    state.update(update("q/2", vec![group("t", &["h:1"])], true), now());
    let both = [jobs(), vec![job("c", &["p/1", "q/2"], "[]")]].concat();
    assert_eq!(words(&state.set_jobs(wanted(both), now()), "c"), ["p/1 s Reload: +h:1"]);
}

#[test]
fn a_target_that_others_hold_alone_is_held_as_they_hold_it() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    kept.take(before.set_jobs(wanted(vec![job("a", &["p/1", "x/9"], "[]")]), now()));
    kept.take(before.update(update("p/1", vec![group("s", &["h:1"])], true), now()));
    kept.take(before.update(update("x/9", vec![group("x", &["h:2"])], true), now()));
    let mut state = telling();
    state.set_jobs(Wanted { stored: kept.stored(), ..wanted(vec![job("a", &["p/1", "q/2", "r/3"], "[]")]) }, now());
    let effect = state.update(update("q/2", vec![group("t", &["h:1"])], true), now());
    assert_eq!(words(&effect, "a"), ["q/2 t Source: released h:1"]);
    // Another is held at the same time, for another reason.
    let effect = state.update(update("q/2", vec![TargetGroup::gone("t")], false), now());
    assert_eq!(words(&effect, "a"), ["q/2 t Source: held restored h:1"]);
    assert_eq!(state.view().job("a").unwrap().counts.held.of(HoldReason::Replaced), 1);
}

#[test]
fn all_reasons_are_found_for_which_a_target_is_held_and_no_more_is_looked_for() {
    let (mut before, mut kept) = (State::default(), Kept::default());
    kept.take(before.set_jobs(wanted(vec![job("a", &["p/1", "x/9"], "[]")]), now()));
    kept.take(before.update(update("p/1", vec![group("s", &["h:1", "h:2"])], true), now()));
    kept.take(before.update(update("x/9", vec![group("x", &["h:1", "h:3"])], true), now()));
    let mut state = State::default();
    state.set_jobs(Wanted { stored: kept.stored(), ..wanted(vec![job("a", &["p/1", "q/2", "r/3"], "[]")]) }, now());
    state.update(update("q/2", vec![group("t", &["h:2"])], true), now());
    let (job, view) = (&state.jobs["a"], state.view());
    let labels = |instance: &str| {
        let mut targets = view.job("a").unwrap().targets().map(|slot| slot.labels.clone());
        targets.find(|labels| labels.get("instance") == Some(instance)).unwrap()
    };
    let of = |instance: &str| job.holds_of([labels(instance)].into())[&labels(instance)].iter().collect::<Vec<_>>();
    assert_eq!(of("h:1"), [HoldReason::Restored, HoldReason::Replaced]);
    assert_eq!((of("h:2"), of("h:3")), (vec![HoldReason::Restored], vec![HoldReason::Replaced]));
    let all = job.holds_of(["h:1", "h:2", "h:3"].map(labels).into());
    assert_eq!(all.values().map(|reasons| reasons.iter().count()).sum::<usize>(), 4);
    let unknown: rosterd_model::Labels = [("instance", "h:4")].into_iter().collect();
    assert_eq!(job.holds_of([unknown.clone()].into()), [(unknown, HoldReasons::default())].into());
}

/// How many entries are held, by the blocks of a job.
fn held_entries(job: &JobView) -> usize {
    let worked = job.blocks.iter().flat_map(|(_, blocks)| blocks.iter().map(|(_, worked)| worked));
    let held = worked.flat_map(|worked| {
        let groups = (0..worked.block.groups().len()).filter(|group| worked.held.of(*group).is_some());
        groups.flat_map(|group| &worked.entries[worked.block.entries_of(group)])
    });
    held.filter(|entry| matches!(entry, Entry::Active(_))).count()
}

#[test]
fn passing_the_target_limit_is_told_once_in_each_direction() {
    let mut state = telling();
    let mut spec = job("a", &["p/1"], "[]");
    spec.limits.targets = 1;
    state.set_jobs(wanted(vec![spec.clone()]), now());
    let mut report =
        |addresses: &[&str]| limits(&state.update(update("p/1", vec![group("s", addresses)], true), now()));
    assert_eq!(report(&["h:1"]), [None]);
    assert_eq!(report(&["h:1", "h:2"]), [Some(LimitStep::Exceeded { targets: 2, limit: 1 })]);
    assert_eq!(report(&["h:1", "h:2", "h:3"]), [None]);
    assert_eq!(report(&["h:1"]), [Some(LimitStep::Kept)]);
}

#[test]
fn while_nobody_follows_no_differences_are_worked_out() {
    let mut state = State::default();
    state.set_jobs(wanted(vec![job("a", &["p/1"], "[]")]), now());
    let effect = state.update(update("p/1", vec![group("s", &["h:1"])], true), now());
    assert!(effect.step.is_none() && effect.sources.is_empty());
    assert_eq!((effect.jobs.len(), state.view().step), (1, 2), "but it is a step");
}

/// What a reader of steps knows: whether each target is held.
type Picture = BTreeMap<String, bool>;

fn follow(picture: &mut BTreeMap<Arc<str>, Picture>, effect: &Effect) {
    for job in effect.step.iter().flat_map(|step| &step.jobs) {
        let targets = picture.entry(Arc::clone(&job.name)).or_default();
        for difference in job.sources.iter().flat_map(|source| &source.differences) {
            let (gone, come) = match difference {
                Difference::Added(to) => (None, Some((to, false))),
                Difference::Removed(from) => (Some(from), None),
                Difference::Changed { from, to } => (Some(from), Some((to, false))),
                Difference::Held(labels, _) => (Some(labels), Some((labels, true))),
                Difference::Released(labels) => (Some(labels), Some((labels, false))),
            };
            if let Some(gone) = gone {
                assert!(targets.remove(&gone.to_string()).is_some(), "{gone} was not there");
            }
            if let Some((labels, held)) = come {
                assert_eq!(targets.insert(labels.to_string(), held), None, "{labels} was there");
            }
        }
        if job.view.is_none() {
            assert!(targets.is_empty(), "all targets of a job that is gone are told");
            picture.remove(&job.name);
        }
    }
}

fn seen(state: &State) -> BTreeMap<Arc<str>, Picture> {
    let view = state.view();
    let jobs = view.jobs().map(|job| {
        let targets = job.targets().map(|slot| (slot.labels.to_string(), slot.is_held()));
        (Arc::clone(&job.spec().name), targets.collect())
    });
    jobs.collect()
}

#[derive(Debug, Clone)]
enum Event {
    Jobs(Vec<(u8, Vec<u8>, bool)>),
    /// Of [`SOURCES`], the last of which is a scope.
    Update {
        provider: u8,
        groups: Vec<(u8, Vec<u8>)>,
        whole: bool,
        unread: Vec<u8>,
    },
    Restart,
}

const SOURCES: [&str; 4] = ["s", "n/1", "n/2", "n"];

/// Sources that could not be read, and never were.
fn unread(sources: &[u8]) -> Arc<rosterd_discovery::UnreadSources> {
    let unread = |source: &u8| {
        let name = SOURCES[usize::from(*source)];
        let beneath = (name == "n").then(|| "n/".into());
        let since = std::time::UNIX_EPOCH;
        let hides = beneath.is_some();
        (name.into(), rosterd_discovery::Unread { since, known: false, hides, beneath, report: report() })
    };
    Arc::new(sources.iter().map(unread).collect())
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let jobs = prop::collection::vec((0u8..3, prop::collection::vec(0u8..4, 0..3), any::<bool>()), 0..3);
    let sources = 0..SOURCES.len() as u8;
    let groups = prop::collection::vec((sources.clone(), prop::collection::vec(0u8..5, 0..4)), 0..4);
    let update = (0u8..4, groups, any::<bool>(), prop::collection::vec(sources, 0..2));
    let update = update.prop_map(|(provider, groups, whole, unread)| Event::Update { provider, groups, whole, unread });
    prop::collection::vec(prop_oneof![2 => jobs.prop_map(Event::Jobs), 5 => update, 1 => Just(Event::Restart)], 1..20)
}

/// Jobs `a` to `c` with some of four providers, two of which have the same data.
fn specs(jobs: &[(u8, Vec<u8>, bool)]) -> Vec<JobSpec> {
    let by_name: BTreeMap<_, _> = jobs.iter().map(|(name, providers, drops)| (*name, (providers, *drops))).collect();
    let spec = |(name, (providers, drops)): (u8, (&Vec<u8>, bool))| {
        let names: BTreeSet<_> =
            providers.iter().map(|number| ["p/1", "p/1-2", "p/3", "q/4"][usize::from(*number)]).collect();
        let rules = if drops { "[{source_labels: [__address__], regex: 'h:1', action: drop}]" } else { "[]" };
        job(["a", "b", "c"][usize::from(name)], &names.into_iter().collect::<Vec<_>>(), rules)
    };
    by_name.into_iter().map(spec).collect()
}

proptest! {
    #[test]
    fn whoever_follows_the_steps_knows_what_the_view_shows(events in events()) {
        let (mut state, mut kept, mut picture, mut jobs) = (telling(), Kept::default(), BTreeMap::new(), Vec::new());
        for event in events {
            let effect = match event {
                Event::Jobs(new) => {
                    jobs = new;
                    // As the roster does: what is stored of a provider that is used again comes with it.
                    let specs = specs(&jobs);
                    let comes = |key: &ProviderKey| !state.has(key) && specs.iter().any(|job| job.providers.contains(key));
                    let stored = kept.stored().into_iter().filter(|stored| comes(&stored.key)).collect();
                    state.set_jobs(Wanted { stored, ..wanted(specs) }, now())
                }
                Event::Update { provider, groups, whole, unread: failing } => {
                    let provider = ["p/1", "p/1-2", "p/3", "q/4"][usize::from(provider)];
                    // As the manager sends them: each source once, and none that could not be read.
                    let groups: BTreeMap<_, _> = groups.into_iter().filter(|(source, _)| !failing.contains(source)).collect();
                    let groups = groups.into_iter().map(|(source, ports)| {
                        let addresses: Vec<_> = ports.iter().map(|port| format!("h:{port}")).collect();
                        group(SOURCES[usize::from(source)], &addresses.iter().map(String::as_str).collect::<Vec<_>>())
                    });
                    state.update(Update { unread: unread(&failing), ..update(provider, groups.collect(), whole) }, now())
                }
                Event::Restart => {
                    let before = seen(&state);
                    state = telling();
                    picture.clear();
                    let effect = state.set_jobs(Wanted { stored: kept.stored(), ..wanted(specs(&jobs)) }, now());
                    for (job, targets) in before {
                        let now = seen(&state).remove(&job).expect("the jobs are the same");
                        prop_assert!(targets.keys().all(|target| now.contains_key(target)), "a restart loses nothing of {}", job);
                    }
                    effect
                }
            };
            follow(&mut picture, &effect);
            kept.take(effect);
            prop_assert_eq!(&picture, &seen(&state));
            for job in state.view().jobs() {
                let counted: usize = HoldReason::ALL.into_iter().map(|reason| job.counts().held.of(reason)).sum();
                prop_assert_eq!(counted, held_entries(job), "held entries of {}", job.spec().name);
            }
            let providers = BTreeSet::from_iter(kept.in_use());
            let held: BTreeSet<_> = state.providers.iter().filter(|(_, it)| it.presence != ProviderPresence::Unsynced).map(|(key, _)| key.clone()).collect();
            prop_assert_eq!(providers, held, "the store has what is known, and nothing else but what is not used any more");
        }
    }
}
