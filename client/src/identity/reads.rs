//! What a configuration reads, in words that people know it by.

use std::fmt;

use serde::{Serialize, Serializer};

/// How many values of a name are shown to people.
const SHOWN: usize = 3;

/// Names with their values, such as `url` with one and `files` with several, in the order in which they were said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads(Vec<(String, Vec<String>)>);

impl Reads {
    /// Each name with all its values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (&**name, &**values))
    }

    /// The last values of a name count; where none is left, nothing is said of it.
    pub(super) fn note(&mut self, name: &str, values: Vec<String>) {
        let values: Vec<_> = values.into_iter().filter(|value| !value.is_empty()).collect();
        match self.0.iter().position(|(known, _)| known == name) {
            Some(at) if values.is_empty() => drop(self.0.remove(at)),
            Some(at) => self.0[at].1 = values,
            None if values.is_empty() => {}
            None => self.0.push((name.to_owned(), values)),
        }
    }
}

/// `url http://h/x; files /a.yml, /b.yml, /c.yml and 2 more`.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, values)) in self.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{name} {}", values[..values.len().min(SHOWN)].join(", "))?;
            if let Some(more) = values.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                write!(f, " and {more} more")?;
            }
        }
        Ok(())
    }
}

/// A map of lists.
impl Serialize for Reads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_values_the_first_are_shown_and_all_are_told() {
        let mut reads = Reads::default();
        reads.note("url", vec!["http://h/x".to_owned()]);
        reads.note("files", ["a", "", "b", "c", "d", "e"].map(str::to_owned).to_vec());
        reads.note("role", vec!["pod".to_owned()]);
        reads.note("role", vec![String::new()]);
        assert_eq!(reads.to_string(), "url http://h/x; files a, b, c and 2 more");
        let told = r#"{"url":["http://h/x"],"files":["a","b","c","d","e"]}"#;
        assert_eq!(serde_json::to_string(&reads).unwrap(), told);
    }
}
