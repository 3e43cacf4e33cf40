//! Why a selector finds nothing: which of its labels are not there, or never with that value, and what may be meant. Pure.

use std::collections::BTreeSet;

use rosterd_model::selector::Op;
use rosterd_model::{Selector, did_you_mean};

use super::search::Search;

/// So many names and values are remembered of those that are there.
const REMEMBERED: usize = 1_000;

/// What is known of each label that has to be equal to something.
#[derive(Debug, Default)]
pub(super) struct Hints(Vec<Wanted>);

#[derive(Debug)]
struct Wanted {
    name: String,
    value: String,
    is_there: bool,
    /// Other values of the label; as long as it is nowhere, the names of others.
    others: BTreeSet<String>,
    has_name: bool,
}

impl Hints {
    /// For the equal signs of a selector that all have to be true.
    pub(super) fn of(search: &Search) -> Self {
        let Search::Selector(selector) = search else { return Self::default() };
        let matchers = match selector {
            Selector::And(all) => &all[..],
            other => std::slice::from_ref(other),
        };
        let wanted = matchers.iter().filter_map(|matcher| match matcher {
            Selector::Matcher(matcher) if matcher.op() == Op::Eq && !matcher.value().is_empty() => Some(Wanted {
                name: matcher.name().to_owned(),
                value: matcher.value().to_owned(),
                is_there: false,
                others: BTreeSet::new(),
                has_name: false,
            }),
            _ => None,
        });
        Self(wanted.collect())
    }

    /// Whether what stands in other labels tells anything.
    pub(super) fn is_asking(&self) -> bool {
        self.0.iter().any(|wanted| !wanted.is_there)
    }

    /// Looks at the labels of an entry.
    pub(super) fn consider<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        for wanted in self.0.iter_mut().filter(|wanted| !wanted.is_there) {
            match labels.clone().find(|(name, _)| *name == wanted.name) {
                Some((_, value)) => wanted.has_value(value),
                None if !wanted.has_name => labels.clone().for_each(|(name, _)| wanted.remember(name)),
                None => {}
            }
        }
    }

    /// A sentence for each label that is not there, or not so; and one if all are, but not together.
    pub(super) fn into_sentences(self) -> Vec<String> {
        if self.0.len() > 1 && self.0.iter().all(|wanted| wanted.is_there) {
            return vec!["each of these labels is there, but no entry has them all".to_owned()];
        }
        // Where there is no entry at all, no label is missing.
        let is_missing = |wanted: &&Wanted| !wanted.is_there && (wanted.has_name || !wanted.others.is_empty());
        self.0.iter().filter(is_missing).map(Wanted::sentence).collect()
    }
}

impl Wanted {
    fn has_value(&mut self, value: &str) {
        if !self.has_name {
            self.has_name = true;
            self.others.clear();
        }
        self.is_there = value == self.value;
        self.remember(value);
    }

    fn remember(&mut self, other: &str) {
        if self.others.len() < REMEMBERED && !self.others.contains(other) {
            self.others.insert(other.to_owned());
        }
    }

    fn sentence(&self) -> String {
        let Self { name, value, others, has_name, .. } = self;
        let others = || others.iter().map(String::as_str);
        match has_name {
            true => format!("no label {name} is {value:?}{}", did_you_mean(value, others())),
            false => format!("there is no label {name}{}", did_you_mean(name, others())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(selector: &str) -> Vec<String> {
        let mut hints = Hints::of(&Search::parse(selector).unwrap());
        for labels in [[("env", "prod"), ("job", "nodes")], [("env", "test"), ("job", "other")]] {
            hints.consider(labels.into_iter());
        }
        hints.into_sentences()
    }

    #[test]
    fn labels_that_are_not_there_are_told_from_values_that_are_not() {
        for (selector, wanted) in [
            (r#"{job="nods"}"#, &["no label job is \"nods\"; did you mean `nodes`?"][..]),
            (r#"{envv="prod"}"#, &["there is no label envv; did you mean `env`?"]),
            (r#"{job="x",zone="y"}"#, &["no label job is \"x\"", "there is no label zone"]),
            (r#"{job="other",env="prod"}"#, &["each of these labels is there, but no entry has them all"]),
            (r#"{job="other",env="prad"}"#, &["no label env is \"prad\"; did you mean `prod`?"]),
            (r#"{job=~"x"}"#, &[]),
            (r#"{job="x"} or {env="y"}"#, &[]),
            ("words", &[]),
        ] {
            assert_eq!(hints(selector), wanted, "{selector}");
        }
    }

    #[test]
    fn where_there_is_nothing_no_label_is_missing() {
        let hints = Hints::of(&Search::parse(r#"{job="solo"}"#).unwrap());
        assert_eq!(hints.into_sentences(), [""; 0]);
    }
}
