//! Field selectors: `status.phase=Running,spec.nodeName!=a`. The grammar is that of apimachinery's `fields`.

/// Which objects are meant by their fields. What the API server is sent is the text; this only finds out whether it is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldSelector(pub(crate) Vec<FieldTerm>);

/// A field that has to have a value, or has not to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldTerm {
    pub(crate) field: String,
    pub(crate) equal: bool,
    pub(crate) value: String,
}

impl FieldSelector {
    /// Reads a selector; fails with what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let terms = split(text).into_iter().filter(|term| !term.is_empty());
        terms.map(FieldTerm::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FieldTerm {
    fn parse(term: &str) -> Result<Self, String> {
        let Some((field, value)) = term.split_once('=') else {
            return Err(format!("{term:?} has no operator: write {term}=value or {term}!=value"));
        };
        let (field, equal, value) = match field.strip_suffix('!') {
            Some(field) => (field, false, value),
            None => (field, true, value.strip_prefix('=').unwrap_or(value)),
        };
        Ok(Self { field: field.to_owned(), equal, value: unescape(value)? })
    }
}

/// At commas that no backslash stands before.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                _ => return Err(format!("in {value:?}, a backslash stands before something else than \\ , or =")),
            },
            '=' => return Err(format!("in {value:?}, = needs a backslash before it")),
            other => plain.push(other),
        }
    }
    Ok(plain)
}
