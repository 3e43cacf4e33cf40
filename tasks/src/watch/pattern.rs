//! Patterns for the names of files, as Go's `filepath.Match` has them: `*` and `?` stand for parts of one path segment,
//! `[a-z]` and `[^a-z]` for one character, and a backslash takes what follows it as it is.

use std::path::{Component, Path};

/// What makes a segment a pattern.
const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];

/// A pattern for one segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `*`: any number of any characters.
    Any,
    /// `?`: any character.
    One,
    Character(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A segment that means to be a pattern and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// A class without its end.
    #[error("a `[` lacks its `]`: write \\[ for the character itself")]
    Unclosed,
    /// A class without a character, or half a range.
    #[error(
        "`[` and `]` hold no characters, or half a range such as `a-`: write \\- and \\] for the characters themselves"
    )]
    Class,
    /// A backslash at the end.
    #[error("a backslash ends the pattern: write two of them for the character itself")]
    Backslash,
}

/// Checks that each segment of a path is a name or a pattern.
pub fn check_pattern(path: &Path) -> Result<(), BadPattern> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    names.filter(|name| Pattern::is_in(name)).try_for_each(|name| Pattern::parse(name).map(drop))
}

/// Whether a path is one that a pattern stands for, however things are on disk. A name that is no pattern stands for itself.
pub fn stands_for(pattern: &Path, path: &Path) -> bool {
    let of_segment = |(pattern, name): (Component<'_>, Component<'_>)| {
        let text = pattern.as_os_str().to_str().filter(|text| Pattern::is_in(text));
        match text.map(Pattern::parse) {
            Some(Ok(pattern)) => name.as_os_str().to_str().is_some_and(|name| pattern.matches(name)),
            _ => pattern == name,
        }
    };
    pattern.components().count() == path.components().count()
        && pattern.components().zip(path.components()).all(of_segment)
}

impl Pattern {
    /// Whether a segment is a pattern rather than a name.
    pub(super) fn is_in(segment: &str) -> bool {
        segment.contains(SPECIAL)
    }

    pub(super) fn parse(segment: &str) -> Result<Self, BadPattern> {
        let mut parts = Vec::new();
        let mut rest = segment.chars();
        while let Some(next) = rest.next() {
            let part = match next {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => class(&mut rest)?,
                '\\' => Part::Character(rest.next().ok_or(BadPattern::Backslash)?),
                other => Part::Character(other),
            };
            // Several stars are one, which also bounds how often a match starts over.
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
        }
        Ok(Self(parts))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // The last star, and how far the name had been matched when it began to stand for one character more.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(other) if other.is(name[at]) => (part, at) = (part + 1, at + 1),
                _ => {
                    let Some((back, from)) = star else { return false };
                    star = Some((back, from + 1));
                    (part, at) = (back + 1, from + 1);
                }
            }
        }
        self.0[part..].iter().all(|part| *part == Part::Any)
    }
}

impl Part {
    fn is(&self, character: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Character(own) => *own == character,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

/// A class, from behind its `[` to behind its `]`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Part, BadPattern> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        match rest.as_str().chars().next() {
            None => return Err(BadPattern::Unclosed),
            Some(']') if !ranges.is_empty() => break,
            Some(_) => {}
        }
        let low = member(rest)?;
        let mut high = low;
        if rest.as_str().starts_with('-') {
            rest.next();
            high = member(rest)?;
        }
        ranges.push((low, high));
    }
    rest.next();
    Ok(Part::Class { negated, ranges })
}

fn member(rest: &mut std::str::Chars<'_>) -> Result<char, BadPattern> {
    match rest.next() {
        None => Err(BadPattern::Unclosed),
        Some('-' | ']') => Err(BadPattern::Class),
        Some('\\') => rest.next().ok_or(BadPattern::Backslash),
        Some(other) => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matched(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(name)
    }

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        for (pattern, good, bad) in [
            ("*.json", "a.json", "a.yml"),
            ("*.json", ".json", "json"),
            ("**1.json", "x1.json", "x2.json"),
            ("a?c", "aéc", "ac"),
            ("[!a]", "!", "b"),
            ("[!a]", "a", "c"),
            ("[^a-c]x", "dx", "bx"),
            ("[a-cx]", "x", "d"),
            (r"[\]\-]", "-", "\\"),
            (r"x\[1\].json", "x[1].json", "x1.json"),
            (r"\*", "*", "a"),
            ("a*b*c", "a1b2b3c", "a1c2b"),
            ("[*]", "*", "a"),
            ("a]", "a]", "a"),
            ("*", "", "\u{0}no/such"),
        ] {
            assert!(matched(pattern, good), "{pattern} stands for {good}");
            assert!(pattern == "*" || !matched(pattern, bad), "{pattern} does not stand for {bad}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, error) in [
            ("[", BadPattern::Unclosed),
            ("[a", BadPattern::Unclosed),
            ("[^", BadPattern::Unclosed),
            ("[]a]", BadPattern::Class),
            ("[a-]", BadPattern::Class),
            ("[-a]", BadPattern::Class),
            ("a\\", BadPattern::Backslash),
            ("[a\\", BadPattern::Backslash),
        ] {
            assert_eq!(check_pattern(&Path::new("/x").join(pattern)), Err(error), "{pattern}");
        }
        assert_eq!(check_pattern(Path::new("/x/[ab]/*.yml")), Ok(()));
        assert_eq!(check_pattern(Path::new("[a/b]")), Err(BadPattern::Unclosed), "a class ends in its segment");
    }

    #[test]
    fn a_pattern_stands_for_paths_of_as_many_segments() {
        for (pattern, good, bad) in [
            ("/x/*.yml", "/x/a.yml", "/x/y/a.yml"),
            ("/x/a.yml", "/x/a.yml", "/x/b.yml"),
            (r"/x/a\[1\].yml", "/x/a[1].yml", "/x/a1.yml"),
            ("x/*.yml", "x/a.yml", "/x/a.yml"),
        ] {
            assert!(stands_for(Path::new(pattern), Path::new(good)), "{pattern} stands for {good}");
            assert!(!stands_for(Path::new(pattern), Path::new(bad)), "{pattern} does not stand for {bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_with_backslashes_stands_for_itself(name in r"[a*?\[\]^\\-]{1,8}") {
            let escaped: String = name.chars().flat_map(|character| ['\\', character]).collect();
            prop_assert!(matched(&escaped, &name));
        }

        #[test]
        fn stars_stand_for_anything(parts in prop::collection::vec("[ab]{0,2}", 1..5), between in "[abc]{0,3}") {
            prop_assert!(matched(&parts.join("*"), &parts.join(&between)));
        }
    }
}
