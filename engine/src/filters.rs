//! Filters: what an engine is asked for. What they are called, and whether they fit, the engine says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An entry of `filters`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// What is looked at, as the engine calls it.
    pub name: String,
    /// One of these has to fit.
    pub values: Vec<String>,
}

/// Filters as an engine reads them: those of one name are one, and those without values none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Filters(BTreeMap<String, BTreeMap<String, bool>>);

impl Filters {
    /// Those that are configured.
    pub fn of(filters: &[Filter]) -> Self {
        let pairs = filters.iter().flat_map(|filter| filter.values.iter().map(|value| (&*filter.name, &**value)));
        pairs.collect()
    }

    /// Whether something is asked of what has this name.
    pub fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// In JSON; empty without any.
    pub fn json(&self) -> String {
        let written = || serde_json::to_string(self).expect("a map of texts can be written");
        if self.0.is_empty() { String::new() } else { written() }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Filters {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut filters = Self::default();
        for (name, value) in pairs {
            filters.0.entry(name.to_owned()).or_default().insert(value.to_owned(), true);
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_name_are_one_and_those_without_values_none() {
        let filter = |name: &str, values: &[&str]| Filter {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let filters = [filter("name", &["b"]), filter("label", &[]), filter("name", &["a", "b"])];
        assert_eq!(Filters::of(&filters).json(), r#"{"name":{"a":true,"b":true}}"#);
        assert_eq!(Filters::of(&filters[1..2]).json(), "");
        assert!(Filters::of(&filters).names("name") && !Filters::of(&filters).names("label"));
    }
}
