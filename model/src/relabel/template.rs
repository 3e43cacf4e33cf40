//! Templates with `$1`, `${1}`, `$name`, `${name}` and `$$`, by the rules of Go's `Expand`.

use regex_syntax::hir::{Class, HirKind};

use super::pattern::{Captures, Pattern};
use crate::Builder;
use crate::labels::Span;

/// A template whose references are resolved to the groups of one pattern.
#[derive(Debug)]
pub(super) enum Template {
    /// The same text whatever was matched.
    Text(Box<str>),
    /// One group, from which the text is taken without copying it.
    Group(Group),
    /// Text and groups in turn.
    Pieces(Box<[Piece]>),
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Group(Group),
}

/// The indices of the groups with one name, of which the first that took part in the match counts.
type Group = smallvec::SmallVec<[usize; 2]>;

impl Template {
    /// Reads a template. `names` are those of the groups, the first of which has the index 1.
    ///
    /// A reference to a group that is not there is empty. A `$` that begins no reference is itself.
    pub(super) fn parse(template: &str, names: &[Option<Box<str>>]) -> Self {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(after) {
                let group = resolve(name, names);
                if !group.is_empty() {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                    }
                    pieces.push(Piece::Group(group));
                }
                rest = after;
            } else {
                text.push('$');
                rest = after;
            }
        }
        text.push_str(rest);
        if pieces.is_empty() {
            return Self::Text(text.into());
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        match &mut pieces[..] {
            [Piece::Group(group)] => Self::Group(std::mem::take(group)),
            _ => Self::Pieces(pieces.into()),
        }
    }

    /// Whether the template needs to know more of a match than that there was one.
    pub(super) fn needs_captures(&self) -> bool {
        let inner = |group: &Group| group.iter().any(|index| *index > 0);
        match self {
            Self::Text(_) => false,
            Self::Group(group) => inner(group),
            Self::Pieces(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Group(group) if inner(group))),
        }
    }

    /// How many bytes it expands to at most, for a match of so many.
    pub(super) fn longest(&self, matched: usize) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Group(_) => matched,
            Self::Pieces(pieces) => pieces.iter().fold(0, |length, piece| match piece {
                Piece::Text(text) => length.saturating_add(text.len()),
                Piece::Group(_) => length.saturating_add(matched),
            }),
        }
    }

    /// Expands the template for a match of `value`, into the builder.
    pub(super) fn expand(&self, pattern: &Pattern, found: &Captures, value: Span, labels: &mut Builder) -> Span {
        match self {
            Self::Text(text) => {
                let start = labels.end();
                labels.write(text);
                labels.since(start)
            }
            Self::Group(group) => part(pattern, found, value, group),
            Self::Pieces(pieces) => {
                let start = labels.end();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => labels.write(text),
                        Piece::Group(group) => labels.write_span(part(pattern, found, value, group)),
                    }
                }
                labels.since(start)
            }
        }
    }
}

fn part(pattern: &Pattern, found: &Captures, value: Span, group: &Group) -> Span {
    let range = group.iter().find_map(|index| pattern.group(*index, value.len(), found));
    range.map_or_else(Span::default, |range| value.part(range.start, range.end))
}

/// The name at the beginning of what follows a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{');
    let name = inside.unwrap_or(text);
    let (name, rest) = name.split_at(name.find(|char| !is_word(char)).unwrap_or(name.len()));
    let rest = if inside.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// Whether a character can be part of a name: letters and decimal digits, which is less than Rust's alphanumeric ones.
fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char == '_' || char.is_ascii_alphanumeric();
    }
    let class = regex_syntax::parse(r"[\p{L}\p{Nd}]").expect("the class is well-formed");
    matches!(class.kind(), HirKind::Class(Class::Unicode(class))
        if class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char)))
}

/// The groups that a name means: a number without leading zeros is an index, all else a name.
fn resolve(name: &str, names: &[Option<Box<str>>]) -> Group {
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if numeric {
        return name.parse().ok().filter(|index| *index <= names.len()).into_iter().collect();
    }
    (1..).zip(names).filter(|(_, known)| known.as_deref() == Some(name)).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relabel::re2;

    fn expand(template: &str) -> String {
        let translated = re2::translate("(a)(?P<1x>b)?(?P<n>c|(?P<n>d))").unwrap();
        let pattern = Pattern::new(&translated, true).unwrap();
        let template = Template::parse(template, &translated.names);
        let mut labels = Builder::new();
        let start = labels.end();
        labels.write("ad");
        let value = labels.since(start);
        let mut found = Captures::default();
        assert!(pattern.captures("ad", &mut found));
        let span = template.expand(&pattern, &found, value, &mut labels);
        labels.str(span).to_owned()
    }

    #[test]
    fn references_follow_the_rules_of_go() {
        for (template, expanded) in [
            ("", ""),
            ("x", "x"),
            ("$0", "ad"),
            ("$1", "a"),
            ("${1}", "a"),
            ("<${1}x>", "<ax>"),
            // The longest name wins, and no group has this one.
            ("$1y", ""),
            // The group took no part in the match.
            ("[$2]", "[]"),
            ("[$1x]", "[]"),
            // Of two groups with one name the first that matched counts.
            ("$n", "d"),
            ("${n}$4", "dd"),
            ("$9", ""),
            ("$01", ""),
            ("$99999999999999999999", ""),
            ("$$1", "$1"),
            ("$$$1", "$a"),
            ("$", "$"),
            ("a$", "a$"),
            ("$-1", "$-1"),
            ("${}", "${}"),
            ("${1", "${1"),
            ("${1 }", "${1 }"),
            ("$1-$1", "a-a"),
            ("$é", ""),
            ("$½", "$½"),
            ("$٣", ""),
        ] {
            assert_eq!(expand(template), expanded, "{template}");
        }
    }
}
