//! Lists on standard output, as JSON or as a table; and what a terminal makes no more of than text.

use std::borrow::Cow;
use std::io::{BufWriter, Write, stdout};

use serde::Serialize;
use serde_json::Value;

use super::exit::Failure;

/// A list with an element a line.
pub(super) fn json(elements: impl Iterator<Item = impl Serialize>) -> Result<(), Failure> {
    let mut out = BufWriter::new(stdout().lock());
    let write = || {
        out.write_all(b"[")?;
        for (index, element) in elements.enumerate() {
            out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut out, &element)?;
        }
        out.write_all(b"\n]\n")?;
        out.flush()
    };
    write().map_err(Failure::of_output)
}

/// The text as a part of one line: what would move or colour something on a terminal, end the line, or turn the order of what is
/// read, is written out.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    written_out(text, is_acting)
}

/// The same of several lines.
pub(super) fn plain_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |c| c != '\n' && is_acting(c))
}

/// A time without what it has beside whole seconds: nobody reads nine digits of a second.
pub(super) fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, rest)) if rest.ends_with('Z') => format!("{whole}Z"),
        _ => time.to_owned(),
    }
}

fn written_out(text: &str, is_meant: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return text.into();
    }
    let mut plain = String::new();
    for c in text.chars() {
        if is_meant(c) { plain.extend(c.escape_debug()) } else { plain.push(c) }
    }
    plain.into()
}

fn is_acting(c: char) -> bool {
    let is_mark = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    c.is_control() || is_mark
}

/// All texts of an answer as parts of lines, but for the values of labels: these are quoted where they are shown.
pub(super) fn plain_value(value: Value) -> Value {
    match value {
        Value::String(text) => plain(&text).into(),
        Value::Array(all) => all.into_iter().map(plain_value).collect(),
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| {
                let value = match (&*name, value) {
                    ("labels" | "discovered", Value::Object(labels)) => {
                        labels.into_iter().map(|(name, value)| (plain(&name).into_owned(), value)).collect()
                    }
                    ("from" | "to", quoted) => quoted,
                    (_, value) => plain_value(value),
                };
                (name, value)
            };
            members.into_iter().map(member).collect()
        }
        other => other,
    }
}

/// Columns as wide as they have to be, the last one excepted.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(head[column].chars().count())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = BufWriter::new(stdout().lock());
    let mut line = |cells: [&str; N]| {
        for (cell, width) in cells[..N - 1].iter().zip(widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", cells[N - 1])
    };
    let mut write = || {
        line(head)?;
        rows.iter().try_for_each(|row| line(row.each_ref().map(|cell| &**cell)))
    };
    let written = write();
    written.and_then(|()| out.flush()).map_err(Failure::of_output)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_do_something_on_a_terminal_is_written_out() {
        for (text, one, lines) in [
            ("a b\\ \"c\" \u{e9}", "a b\\ \"c\" \u{e9}", "a b\\ \"c\" \u{e9}"),
            ("a\n\x1b[31mb\r\x07", "a\\n\\u{1b}[31mb\\r\\u{7}", "a\n\\u{1b}[31mb\\r\\u{7}"),
            ("a\u{9b}2J\t", "a\\u{9b}2J\\t", "a\\u{9b}2J\\t"),
            ("\u{202e}txt\u{2066}", "\\u{202e}txt\\u{2066}", "\\u{202e}txt\\u{2066}"),
        ] {
            assert_eq!((plain(text), plain_lines(text)), (one.into(), lines.into()), "{text:?}");
            assert_eq!(plain(&plain(text)), plain(text));
        }
    }

    #[test]
    fn of_an_answer_all_is_plain_but_what_is_quoted_where_it_is_shown() {
        let value = json!({"job": "a\n", "list": ["\x1b", 1], "labels": {"n\n": "v\n"}, "changes": [{"name": "x\n", "from": "v\n"}]});
        let wanted = json!({"job": "a\\n", "list": ["\\u{1b}", 1], "labels": {"n\\n": "v\n"}, "changes": [{"name": "x\\n", "from": "v\n"}]});
        assert_eq!(plain_value(value), wanted);
    }
}
