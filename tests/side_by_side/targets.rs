//! What `/api/v1/targets` says, in a form that can be compared, and what Prometheus 3 would say instead of 2.42.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rosterd_testkit::Server;
use serde_json::Value;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// An active target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Its job.
    pub(crate) pool: String,
    /// The labels of its series.
    pub(crate) labels: Labels,
    /// Where it is scraped.
    pub(crate) url: String,
    /// How often.
    pub(crate) interval: String,
    /// How long a scrape may take.
    pub(crate) timeout: String,
    /// The labels before relabelling.
    pub(crate) discovered: Labels,
}

/// The discovered labels that begin so of each target by its address, but for empty ones, which are none: what vmagent tells, too.
pub(crate) async fn labels_of(program: &Server, prefix: &str) -> BTreeMap<String, Labels> {
    let answer = program.data("/api/v1/targets").await;
    let mut found = BTreeMap::new();
    for target in list(&answer["activeTargets"]) {
        let mut told = labels(&target["discoveredLabels"]);
        let address = told.remove("__address__").expect("an address");
        told.retain(|name, value| name.starts_with(prefix) && !value.is_empty());
        found.insert(address, told);
    }
    found
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Targets {
    /// The names of the jobs.
    pub(crate) pools: Vec<String>,
    /// Active targets.
    pub(crate) active: BTreeSet<Target>,
    /// Dropped targets: their job, and the labels before relabelling.
    pub(crate) dropped: BTreeSet<(String, Labels)>,
    /// How many targets of each job were dropped.
    pub(crate) dropped_counts: BTreeMap<String, u64>,
}

impl Targets {
    /// Asks a program that speaks Prometheus 3's API.
    pub(crate) async fn of(server: &Server) -> Self {
        let answer = server.data("/api/v1/targets").await;
        let pools = server.data("/api/v1/scrape_pools").await;
        let counts = answer["droppedTargetCounts"].as_object().into_iter().flatten();
        Self {
            pools: list(&pools["scrapePools"]).iter().map(text).collect(),
            active: active(&answer),
            dropped: list(&answer["droppedTargets"]).iter().map(dropped).collect(),
            dropped_counts: counts.map(|(pool, count)| (pool.clone(), count.as_u64().unwrap_or_default())).collect(),
        }
    }

    /// Asks a Prometheus 2.42 and translates what it says into what Prometheus 3 would say. `bare` runs the same
    /// configuration without relabelling.
    pub(crate) async fn of_2_42(server: &Server, bare: &Server) -> Self {
        let (mut targets, bare) = (Self::of(server).await, Self::of(bare).await);
        for (_why, translate) in DIFFERENCES {
            translate(&mut targets, &bare);
        }
        targets
    }

    /// What stands in only one of two answers, in words; empty when they are equal.
    pub(crate) fn difference(&self, other: &Self, names: [&str; 2]) -> String {
        let mut text = String::new();
        if self.pools != other.pools {
            writeln!(text, "pools: {:?}, {:?}", self.pools, other.pools).expect("a string takes any text");
        }
        if self.dropped_counts != other.dropped_counts {
            writeln!(text, "dropped: {:?}, {:?}", self.dropped_counts, other.dropped_counts)
                .expect("a string takes any text");
        }
        text += &only_one(&self.active, &other.active, names);
        text += &only_one(&self.dropped, &other.dropped, names);
        text
    }
}

/// The elements that stand in only one of two sets, a line each.
pub(crate) fn only_one<T: Ord + std::fmt::Debug>(one: &BTreeSet<T>, other: &BTreeSet<T>, names: [&str; 2]) -> String {
    let mut lines: Vec<_> =
        one.difference(other).map(|element| format!("{element:?}\n  only in {}\n", names[0])).collect();
    lines.extend(other.difference(one).map(|element| format!("{element:?}\n  only in {}\n", names[1])));
    // What differs in a detail stands together.
    lines.sort();
    lines.concat()
}

/// What a program tells of active targets before they are relabelled: their jobs, their addresses, and what discovery says of them.
#[derive(Debug)]
pub(crate) struct Found(BTreeSet<Labels>);

impl Found {
    /// Asks a program. Labels of discovery that are not known are left out.
    pub(crate) async fn by(server: &Server, is_known: impl Fn(&str) -> bool) -> Self {
        Self::of(active(&server.data("/api/v1/targets?state=active").await), is_known)
    }

    /// Of targets that a program has told. Labels without a value are left out: they are none.
    pub(crate) fn of(targets: BTreeSet<Target>, is_known: impl Fn(&str) -> bool) -> Self {
        let counts =
            |name: &str| matches!(name, "job" | "__address__") || name.starts_with("__meta_") && is_known(name);
        let of = |mut target: Target| {
            target.discovered.retain(|name, value| counts(name) && !value.is_empty());
            target.discovered
        };
        Self(targets.into_iter().map(of).collect())
    }

    /// The labels of the targets, if they are the same as those of another; else what differs.
    pub(crate) fn and(&self, other: &Self, names: [&str; 2]) -> Result<&BTreeSet<Labels>, String> {
        let difference = only_one(&self.0, &other.0, names);
        if difference.is_empty() { Ok(&self.0) } else { Err(difference) }
    }
}

/// The active targets of an answer.
pub(crate) fn active(answer: &Value) -> BTreeSet<Target> {
    list(&answer["activeTargets"])
        .iter()
        .map(|target| Target {
            pool: text(&target["scrapePool"]),
            labels: labels(&target["labels"]),
            url: text(&target["scrapeUrl"]),
            interval: text(&target["scrapeInterval"]),
            timeout: text(&target["scrapeTimeout"]),
            discovered: labels(&target["discoveredLabels"]),
        })
        .collect()
}

fn dropped(target: &Value) -> (String, Labels) {
    (text(&target["scrapePool"]), labels(&target["discoveredLabels"]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn labels(value: &Value) -> Labels {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Changes what 2.42 says; the second argument is what it says without relabelling.
type Translate = fn(&mut Targets, &Targets);

/// In what Prometheus 3.14 differs from 2.42. Where they differ, 3 is right.
const DIFFERENCES: &[(&str, Translate)] = &[
    (
        "3.0 leaves addresses alone. 2.42 adds the port of the scheme; with the feature no-default-scrape-port, which is \
              the default in 3.0 by the migration guide, it adds none but removes one that is there",
        |targets, _| {
            targets.each_active(|target| {
                let (Some(address), Some(instance)) =
                    (target.discovered.get("__address__"), target.labels.get("instance"))
                else {
                    return;
                };
                for (scheme, port) in [("http://", ":80"), ("https://", ":443")] {
                    let Some(host) = address.strip_suffix(port).filter(|_| instance == address) else { continue };
                    let Some(path) = target.url.strip_prefix(scheme).and_then(|url| url.strip_prefix(host)) else {
                        continue;
                    };
                    if path.starts_with('/') {
                        target.url = format!("{scheme}{address}{path}");
                        return;
                    }
                }
            });
        },
    ),
    ("2.42 does not name the job of a dropped target; it stands in the label `job`", |targets, _| {
        let dropped = std::mem::take(&mut targets.dropped);
        let job = |labels: &Labels| labels.get("job").cloned().unwrap_or_default();
        targets.dropped = dropped.into_iter().map(|(_, labels)| (job(&labels), labels)).collect();
    }),
    (
        "2.42 relabels some targets in place and shows a mixture as their discovered labels. Address and meta labels stay \
         as they were; and all do without relabelling",
        |targets, bare| {
            let mut known = BTreeMap::<_, BTreeSet<_>>::new();
            for target in &bare.active {
                let key = (target.pool.clone(), lasting(&target.discovered));
                known.entry(key).or_default().insert(target.discovered.clone());
            }
            let restore = |pool: &String, labels: &mut Labels| {
                let known = known.get(&(pool.clone(), lasting(labels))).filter(|known| known.len() == 1);
                if let Some(known) = known.and_then(BTreeSet::first) {
                    labels.clone_from(known);
                }
            };
            targets.each_active(|target| restore(&target.pool, &mut target.discovered));
            let dropped = std::mem::take(&mut targets.dropped).into_iter().map(|(pool, mut labels)| {
                restore(&pool, &mut labels);
                (pool, labels)
            });
            targets.dropped = dropped.collect();
        },
    ),
    ("2.42 does not count dropped targets", |targets, _| {
        targets.dropped_counts = targets.pools.iter().map(|pool| (pool.clone(), 0)).collect();
        for (pool, _) in &targets.dropped {
            *targets.dropped_counts.entry(pool.clone()).or_default() += 1;
        }
    }),
    ("since 3.0 the dot of a regular expression matches a line break (migration guide)", |targets, _| {
        targets.each_active(|target| {
            if target.labels.get("lines").is_some_and(|lines| lines.contains('\n')) {
                target.labels.insert("dot_all".to_owned(), "yes".to_owned());
            }
        });
    }),
    (
        "since 3.13 the switches for histograms are discovered labels (scrape/target.go, PopulateDiscoveredLabels)",
        |targets, _| {
            targets.each_discovered(|labels| {
                for name in [
                    "convert_classic_histograms_to_nhcb",
                    "always_scrape_classic_histograms",
                    "scrape_native_histograms",
                ] {
                    labels.insert(format!("__{name}__"), "false".to_owned());
                }
            });
        },
    ),
];

/// The discovered labels that 2.42 leaves alone.
fn lasting(labels: &Labels) -> Labels {
    let kept = labels.iter().filter(|(name, _)| *name == "__address__" || name.starts_with("__meta_"));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Targets {
    fn each_active(&mut self, mut change: impl FnMut(&mut Target)) {
        let active = std::mem::take(&mut self.active).into_iter().map(|mut target| {
            change(&mut target);
            target
        });
        self.active = active.collect();
    }

    fn each_discovered(&mut self, mut change: impl FnMut(&mut Labels)) {
        let dropped = std::mem::take(&mut self.dropped).into_iter().map(|(pool, mut labels)| {
            change(&mut labels);
            (pool, labels)
        });
        self.dropped = dropped.collect();
        self.each_active(|target| change(&mut target.discovered));
    }
}
