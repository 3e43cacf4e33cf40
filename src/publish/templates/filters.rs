//! What templates may do with values besides what the library has, and how values are printed. Labels come from whoever is
//! discovered: what is printed of them must not become a line of its own. Pure.

use std::sync::Arc;

use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};

use super::clock::Clock;

/// Adds filters and the printing of values, as long as there is time.
pub(super) fn add_to(environment: &mut Environment<'_>, clock: Arc<Clock>) {
    environment.add_filter("word", word);
    environment.add_filter("name", name);
    environment.set_formatter(move |out, state, value| {
        clock.check()?;
        print(out, state, value)
    });
}

/// The value if it is one word everywhere: letters, digits and `._:/@%+=,-[]`. Fails otherwise.
fn word(value: &str) -> Result<String, Error> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "._:/@%+=,-[]".contains(it);
    if !value.is_empty() && value.chars().all(fits) {
        return Ok(value.to_owned());
    }
    let why = "letters, digits and ._:/@%+=,-[] are, at least one of them";
    Err(Error::new(ErrorKind::InvalidOperation, format!("{value:?} is no word: {why}")))
}

/// The value as a name: what is neither a letter nor a digit becomes `_`.
fn name(value: &str) -> String {
    value.chars().map(|it| if it.is_ascii_alphanumeric() || it == '_' { it } else { '_' }).collect()
}

/// Prints a value, unless it holds what ends a line or is not seen. `safe` prints all.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = value.as_str().filter(|_| !value.is_safe()).unwrap_or_default();
    if text.chars().any(char::is_control) {
        let why =
            "a control character, such as the end of a line, would be printed: use `| word`, `| name` or `| tojson`";
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("{why}, or `| safe` if it is meant (in {text:?})"),
        ));
    }
    escape_formatter(out, state, value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::publish::templates::engine::Bounds;

    #[test]
    fn what_is_discovered_adds_no_words_and_no_lines_unless_that_is_meant() {
        let mut environment = Environment::new();
        let bounds = Bounds { time: Duration::MAX, stop: CancellationToken::new() };
        add_to(&mut environment, Clock::start(&bounds));
        let value = || Value::from_pairs([("plain", "a.b:1"), ("spaced", "a; b"), ("lines", "a\nb")]);
        for (template, printed) in [
            ("{{ plain | word }}", Some("a.b:1")),
            ("{{ spaced | word }}", None),
            ("{{ '' | word }}", None),
            ("{{ spaced | name }} {{ lines | name }}", Some("a__b a_b")),
            ("{{ spaced }}", Some("a; b")),
            ("{{ lines }}", None),
            ("{{ lines | safe }}", Some("a\nb")),
            ("{{ lines | tojson }}", Some(r#""a\nb""#)),
        ] {
            let found = environment.render_str(template, value());
            assert_eq!(found.as_deref().ok(), printed, "{template}: {found:?}");
        }
    }
}
