//! Which objects a request means: its resource, its namespace and its selectors.

use super::history::Object;

/// Which objects are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    pub(super) resource: String,
    /// Empty for all.
    pub(super) namespace: String,
    labels: Vec<Term>,
    fields: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    key: String,
    values: Vec<String>,
    /// Whether the value has to be one of these, or none of them; without values, whether there has to be one.
    is: bool,
}

impl Selector {
    /// Reads selectors as clients send them. Fails on what is none.
    pub(super) fn read(resource: &str, namespace: &str, labels: &str, fields: &str) -> Result<Self, String> {
        Ok(Self {
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            labels: terms(labels)?,
            fields: terms(fields)?,
        })
    }

    /// Whether an object is one of them.
    pub(super) fn means(&self, object: &Object) -> bool {
        self.resource == object.resource
            && (self.namespace.is_empty() || self.namespace == object.namespace)
            && self.labels.iter().all(|term| term.is_met(object.labels.get(&term.key).map(String::as_str)))
            && self.fields.iter().all(|term| term.is_met(object.fields.get(term.key.as_str()).map(String::as_str)))
    }
}

impl Term {
    fn is_met(&self, value: Option<&str>) -> bool {
        match value {
            Some(value) if !self.values.is_empty() => self.values.iter().any(|wanted| wanted == value) == self.is,
            value => {
                (value.is_some()) == self.is && (self.values.is_empty() || !self.is) || !self.is && value.is_none()
            }
        }
    }
}

fn terms(text: &str) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // A comma inside parentheses is between values.
        let mut depth = 0;
        let end = rest.find(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            character == ',' && depth == 0
        });
        let (term, after) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
        terms.push(term_of(term.trim())?);
        rest = after.trim();
    }
    Ok(terms)
}

fn term_of(text: &str) -> Result<Term, String> {
    let made = |key: &str, values: Vec<String>, is| Ok(Term { key: key.trim().to_owned(), values, is });
    for (word, is) in [(" notin ", false), (" in ", true)] {
        if let Some((key, values)) = text.split_once(word) {
            let values = values.trim().strip_prefix('(').and_then(|values| values.strip_suffix(')'));
            let values = values.ok_or_else(|| format!("{text:?} has no values in parentheses"))?;
            return made(key, values.split(',').map(|value| value.trim().to_owned()).collect(), is);
        }
    }
    for (operator, is) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(operator) {
            return made(key, vec![value.trim().to_owned()], is);
        }
    }
    match text.strip_prefix('!') {
        Some(key) => made(key, Vec::new(), false),
        None if text.is_empty() => Err("an empty term".to_owned()),
        None => made(text, Vec::new(), true),
    }
}
