//! What the user writes in `static_configs`.

use std::collections::BTreeMap;

use rosterd_model::labels::ADDRESS;
use rosterd_model::{Builder, Labels, Names, TargetGroup, bare_url};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::discoverer::Static;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig};
use rosterd_model::Problem;

/// The whole list of `static_configs`: unlike other mechanisms, all entries of a job are one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config {
    /// The groups, each known by its index.
    #[serde(deserialize_with = "no_null")]
    pub groups: Vec<Group>,
}

/// One entry: targets and the labels they share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Addresses, `host:port`.
    #[serde(deserialize_with = "null_is_empty")]
    pub targets: Vec<String>,
    /// Labels of all these targets.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A list in which an entry is something: Prometheus refuses empty ones too.
fn no_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Group>, D::Error> {
    let entries = Vec::<Option<Group>>::deserialize(deserializer)?;
    let groups: Option<_> = entries.into_iter().collect();
    groups.ok_or_else(|| D::Error::custom("empty or null entry, expected targets and labels"))
}

/// `labels:` with nothing behind it.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "static";
    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.parts("groups", &self.groups, |id, group| {
            id.list("targets", &group.targets);
            id.part("labels", |id| group.labels.iter().for_each(|(name, value)| id.text(name, value)));
        });
    }

    fn check(&self, _cx: &CheckContext) -> Vec<Problem> {
        self.groups.iter().enumerate().flat_map(|(index, group)| group.problems(index)).collect()
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        vec![Finding::Groups { file: None, groups: self.target_groups() }]
    }

    fn build(&self, _cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Box::new(Static::new(self.target_groups())))
    }
}

rosterd_discovery::register!(Config);

impl Config {
    /// The target groups, with their indexes as sources.
    pub(super) fn target_groups(&self) -> Vec<TargetGroup> {
        let (mut names, mut builder) = (Names::new(), Builder::new());
        let group = |(index, group): (usize, &Group)| TargetGroup {
            source: index.to_string().into(),
            key: "".into(),
            labels: labels(&mut builder, &mut names, group.labels.iter().map(|(name, value)| (&**name, &**value))),
            targets: group.targets.iter().map(|at| labels(&mut builder, &mut names, [(ADDRESS, &**at)])).collect(),
        };
        self.groups.iter().enumerate().map(group).collect()
    }
}

fn labels<'a>(
    builder: &mut Builder,
    names: &mut Names,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Labels {
    builder.clear();
    builder.extend(labels);
    builder.build(names)
}

impl Group {
    fn problems(&self, index: usize) -> Vec<Problem> {
        let paths = self.targets.iter().enumerate().filter(|(_, target)| target.contains('/'));
        let paths = paths.map(|(target_index, target)| {
            let message = format!(
                "{:?} is not a host and port: leave out the scheme, and move the path to metrics_path or to the \
                 label __metrics_path__",
                bare_url(target)
            );
            Problem::new(format!("[{index}].targets[{target_index}]"), "cfg_invalid_value", message)
        });
        let unnamed = self.labels.contains_key("").then(|| {
            Problem::new(format!("[{index}].labels"), "cfg_invalid_value", "a label needs a name that is not empty")
        });
        paths.chain(unnamed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        serde_yaml::from_str(text).expect("a list of groups")
    }

    #[test]
    fn groups_are_known_by_their_index() {
        let config = parse("- targets: ['a:1', b]\n  labels: {x: y}\n- targets:\n  labels:\n");
        let groups = config.target_groups();
        let shown: Vec<_> = groups.iter().map(|g| format!("{} {} {:?}", g.source, g.labels, g.targets)).collect();
        assert_eq!(shown, [r#"0 {x="y"} [{__address__="a:1"}, {__address__="b"}]"#, "1 {} []"]);
        assert_eq!(config.check(&CheckContext::default()), []);
    }

    #[test]
    fn paths_and_nameless_labels_are_refused() {
        let config = parse("- targets: [a]\n- targets: [a, 'http://b', 'c/metrics']\n  labels: {'': x}\n");
        let problems = config.check(&CheckContext::default());
        let places: Vec<_> = problems.iter().map(|problem| (&*problem.path, problem.code)).collect();
        let code = "cfg_invalid_value";
        assert_eq!(places, [("[1].targets[1]", code), ("[1].targets[2]", code), ("[1].labels", code)]);
    }

    #[test]
    fn unknown_keys_and_empty_entries_are_refused() {
        for text in ["- target: [a]", "- targets: a", "- labels: [a]", "-\n", "targets: [a]"] {
            assert!(serde_yaml::from_str::<Config>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        let config = parse("- targets: [a]\n- targets: [b]\n  labels: {x: y}\n");
        let text = serde_yaml::to_string(&config).expect("serialises");
        assert_eq!(parse(&text), config);
        assert!(!text.contains("labels: {}"), "{text}");
    }
}
