//! Metadata: equal lists are kept once, however many targets have them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rosterd_exposition::{Entry, Metadata, MetricKind};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The metadata of all targets, each distinct list once. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Families(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    lists: HashMap<u64, Weak<[Metadata]>>,
    /// How many there were when those were last dropped that no target has any more.
    kept: usize,
}

impl Families {
    /// The list with this hash, made by `make` if no target has it.
    pub(super) fn intern(&self, hash: u64, make: impl FnOnce() -> Vec<Metadata>) -> Arc<[Metadata]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.lists.get(&hash).and_then(Weak::upgrade) {
            return found;
        }
        let made: Arc<[Metadata]> = make().into();
        // Not each time: targets may all say different things.
        if known.lists.len() >= 2 * known.kept {
            known.lists.retain(|_, list| list.strong_count() > 0);
            known.kept = known.lists.len();
        }
        known.lists.insert(hash, Arc::downgrade(&made));
        made
    }
}

/// What is said about families in the course of one scrape: a running hash, from which it is told whether anything is new.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) hash: u64,
    /// The family that was spoken of last.
    current: String,
    /// Its type.
    kind: MetricKind,
    /// How many families there were, the current one included.
    count: u32,
    /// Changes with the last type, if bounds are read in another way: the same text may be another series.
    pub(super) bounds: u64,
}

impl Said {
    pub(super) fn clear(&mut self) {
        self.hash = 0;
        self.current.clear();
        self.kind = MetricKind::Unknown;
        self.count = 0;
        self.bounds = 0;
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes note of a metadata entry.
    pub(super) fn note(&mut self, entry: &Entry<'_>) {
        let (family, salt, text) = match *entry {
            Entry::Type { family, kind } => (family, 1, kind.as_str()),
            Entry::Help { family, help } => (family, 2, help),
            Entry::Unit { family, unit } => (family, 3, unit),
            Entry::Sample(_) | Entry::Histogram(..) => return,
        };
        if family != self.current || self.count == 0 {
            self.current.clear();
            self.current.push_str(family);
            self.count += 1;
            self.kind = MetricKind::Unknown;
            self.hash = xxh3_64_with_seed(family.as_bytes(), self.hash);
        }
        if let Entry::Type { kind, .. } = *entry {
            self.kind = kind;
            self.bounds = match kind {
                MetricKind::Histogram => 1,
                MetricKind::Summary => 2,
                _ => 0,
            };
        }
        self.hash = xxh3_64_with_seed(text.as_bytes(), self.hash.wrapping_add(salt));
    }

    /// The index of the family that a series belongs to: the current one, if the name fits its type.
    pub(super) fn of(&self, metric: &str) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let suffixes: &[&str] = match self.kind {
            MetricKind::Counter => &["_total"],
            MetricKind::Histogram => &["_bucket", "_sum", "_count"],
            MetricKind::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
            MetricKind::Summary => &["_sum", "_count"],
            MetricKind::Info => &["_info"],
            MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => &[],
        };
        let suffix = metric.strip_prefix(self.current.as_str())?;
        (suffix.is_empty() || suffixes.contains(&suffix)).then(|| self.count - 1)
    }
}

/// What a target says about its families is remembered up to so many bytes.
const MOST_BYTES: usize = 1 << 20;

/// What a target says about its families, in the order of the exposition. Of what is too much nothing is remembered.
#[derive(Debug, Default)]
pub(super) struct List {
    families: Vec<Metadata>,
    bytes: usize,
}

impl List {
    /// Adds a metadata entry, unless there is too much already.
    pub(super) fn collect(&mut self, entry: &Entry<'_>) {
        let (family, text) = match *entry {
            Entry::Type { family, .. } => (family, ""),
            Entry::Help { family, help } => (family, help),
            Entry::Unit { family, unit } => (family, unit),
            Entry::Sample(_) | Entry::Histogram(..) => return,
        };
        self.bytes += text.len();
        if self.families.last().is_none_or(|last| &*last.family != family) {
            self.bytes += size_of::<Metadata>() + family.len();
        }
        if self.bytes <= MOST_BYTES {
            collect(entry, &mut self.families);
        }
    }

    pub(super) fn finish(self) -> Vec<Metadata> {
        self.families
    }
}

/// Adds a metadata entry to the list.
fn collect(entry: &Entry<'_>, list: &mut Vec<Metadata>) {
    let family = match *entry {
        Entry::Type { family, .. } | Entry::Help { family, .. } | Entry::Unit { family, .. } => family,
        Entry::Sample(_) | Entry::Histogram(..) => return,
    };
    if list.last().is_none_or(|last| &*last.family != family) {
        list.push(Metadata { family: family.into(), kind: MetricKind::Unknown, ..Metadata::default() });
    }
    let last = list.last_mut().expect("one was pushed");
    match *entry {
        Entry::Type { kind, .. } => last.kind = kind,
        Entry::Help { help, .. } => last.help = help.into(),
        Entry::Unit { unit, .. } => last.unit = unit.into(),
        Entry::Sample(_) | Entry::Histogram(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_target_fills_the_memory_with_help() {
        let (mut list, mut said) = (List::default(), Said::default());
        let help = "h".repeat(MOST_BYTES / 4);
        for number in 0..10 {
            let family = format!("family_{number}");
            for entry in
                [Entry::Type { family: &family, kind: MetricKind::Gauge }, Entry::Help { family: &family, help: &help }]
            {
                list.collect(&entry);
                said.note(&entry);
            }
        }
        let families = list.finish();
        assert!(families.iter().map(|metadata| metadata.help.len()).sum::<usize>() < MOST_BYTES);
        assert_eq!((families[2].help.len(), families.len()), (help.len(), 4), "what came first is whole");
        assert_eq!(said.of("family_9"), Some(9), "those that are not remembered have their place all the same");
    }
}
