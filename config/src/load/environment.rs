//! `${VARIABLES}` of the environment, by the rules of Go's `os.Expand`.

use rosterd_yaml::Id;

use super::Loader;
use crate::error::code;

impl Loader<'_> {
    /// A text with the values of variables in their place; those that are empty are warned of where it stands.
    pub(super) fn expanded(&mut self, text: &str, at: Id, key: &str) -> String {
        let env = self.options.env;
        expand(text, |variable| {
            let value = env(variable).unwrap_or_default();
            if value.is_empty() {
                let message = format!("the environment variable {variable} is not set or empty");
                self.warn(at, key.to_owned(), code::UNDEFINED_VARIABLE, message);
            }
            value
        })
    }
}

/// Replaces `$name` and `${name}`; `$$` is a dollar. `lookup` gives the value of a variable.
fn expand(text: &str, mut lookup: impl FnMut(&str) -> String) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let (name, length) = variable(after);
        match name {
            // A lone dollar stays.
            "" if length == 0 => expanded.push('$'),
            // `${}` and an unclosed `${` are swallowed.
            "" => {}
            "$" => expanded.push('$'),
            name => expanded.push_str(&lookup(name)),
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// The name of the variable behind a dollar, and how long it is with its braces.
fn variable(text: &str) -> (&str, usize) {
    let special = |byte: u8| b"*#$@!?-".contains(&byte) || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    match bytes.first() {
        None => ("", 0),
        Some(b'{') => match text.find('}') {
            _ if bytes.len() > 2 && special(bytes[1]) && bytes[2] == b'}' => (&text[1..2], 3),
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        },
        Some(first) if special(*first) => (&text[..1], 1),
        Some(_) => {
            let end = bytes.iter().position(|byte| *byte != b'_' && !byte.is_ascii_alphanumeric());
            let end = end.unwrap_or(bytes.len());
            (&text[..end], end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("$A", "<A>"),
            ("${A}-${B_1}x", "<A>-<B_1>x"),
            ("$A.b$", "<A>.b$"),
            ("$$A", "$A"),
            ("${$}", "$"),
            ("$1x", "<1>x"),
            ("${}a", "a"),
            ("${A", "A"),
            ("$ä", "$ä"),
            ("100 % $", "100 % $"),
        ] {
            assert_eq!(expand(text, |name| format!("<{name}>")), expanded, "{text}");
        }
    }
}
