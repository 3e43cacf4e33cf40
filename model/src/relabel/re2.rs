//! Translates regular expressions from RE2's syntax, as Go has it, to that of the regex crates.
//!
//! The two agree on most of it. Where they do not, the translation spells out what RE2 means: Perl classes and word
//! boundaries are ASCII, set operations within a class are literals, `{,n}` is a literal, and so on. Groups lose their
//! names, which the translation hands out apart, because RE2 takes names that the regex crates refuse.

mod class; // `[...]`, `\pN`, `\d`
mod escape; // `\n`, `\x{2603}`, `\012`

#[cfg(test)]
mod tests;

/// What is wrong with a regular expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub struct SyntaxError {
    /// What is wrong.
    pub problem: &'static str,
    /// The offset in bytes of the part that is wrong.
    pub at: usize,
}

/// The most that repetitions of repetitions may multiply to.
const MAX_REPEAT: u32 = 1000;
/// How deep groups may nest.
const MAX_DEPTH: usize = 1000;

/// An expression in the syntax of the regex crates, to be read with their default flags.
#[derive(Debug)]
pub(super) struct Translated {
    /// The expression. `.` matches line feeds, too.
    pub(super) text: String,
    /// The names of the capture groups, the first of which has the index 1.
    pub(super) names: Vec<Option<Box<str>>>,
}

/// Translates an expression that will be anchored at both ends.
pub(super) fn translate(regex: &str) -> Result<Translated, SyntaxError> {
    let mut translator = Translator {
        regex,
        at: 0,
        out: String::with_capacity(regex.len() + 8),
        names: Vec::new(),
        open: Vec::new(),
        group: Group::default(),
    };
    translator.out.push_str("(?s:");
    translator.run()?;
    translator.out.push(')');
    Ok(Translated { text: translator.out, names: translator.names })
}

struct Translator<'a> {
    regex: &'a str,
    at: usize,
    out: String,
    names: Vec<Option<Box<str>>>,
    /// The groups around the one being read.
    open: Vec<Group>,
    group: Group,
}

/// A group being read.
#[derive(Default)]
struct Group {
    /// Where it opens.
    at: usize,
    /// The largest product of nested repetitions within.
    weight: u32,
    last: Last,
}

/// What a repetition operator would apply to.
#[derive(Default, Clone, Copy)]
enum Last {
    /// Nothing: the beginning of a group or an alternative.
    #[default]
    Nothing,
    /// Something, with the product of the repetitions within.
    Atom(u32),
    /// A repetition, which cannot be repeated again.
    Repeated,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), SyntaxError> {
        while let Some(char) = self.peek() {
            let start = self.at;
            match char {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.copy(char);
                    self.group.last = Last::Nothing;
                }
                '^' | '$' | '.' => {
                    self.copy(char);
                    self.atom(1);
                }
                '[' => {
                    class::bracketed(self)?;
                    self.atom(1);
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.repeat(start, None)?;
                }
                '{' => match self.counts() {
                    Some((length, min, max)) => {
                        self.at += length;
                        self.repeat(start, Some((min, max)))?;
                    }
                    None => self.literal(char),
                },
                '\\' => escape::escape(self)?,
                _ => self.literal(char),
            }
        }
        if self.open.is_empty() { Ok(()) } else { Err(error("missing closing )", self.group.at)) }
    }

    fn rest(&self) -> &str {
        &self.regex[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn copy(&mut self, char: char) {
        self.out.push(char);
        self.at += char.len_utf8();
    }

    /// Reads one character as itself.
    fn literal(&mut self, char: char) {
        self.at += char.len_utf8();
        self.push_literal(char);
    }

    fn push_literal(&mut self, char: char) {
        if regex_syntax::is_meta_character(char) {
            self.out.push('\\');
        }
        self.out.push(char);
        self.atom(1);
    }

    fn atom(&mut self, weight: u32) {
        self.group.last = Last::Atom(weight);
        self.group.weight = self.group.weight.max(weight);
    }

    fn open_group(&mut self) -> Result<(), SyntaxError> {
        let at = self.at;
        self.at += 1;
        if !self.rest().starts_with('?') {
            self.names.push(None);
            self.out.push('(');
        } else if self.eat("?P<") || self.eat("?<") {
            let name = self.name(at)?;
            self.names.push(Some(name));
            self.out.push('(');
        } else if !self.flags(at)? {
            return Ok(());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(error("groups nest too deeply", at));
        }
        let outer = std::mem::replace(&mut self.group, Group { at, ..Group::default() });
        self.open.push(outer);
        Ok(())
    }

    fn name(&mut self, at: usize) -> Result<Box<str>, SyntaxError> {
        let invalid = error("invalid name of a group", at);
        let length = self.rest().find('>').ok_or(invalid.clone())?;
        let name = &self.rest()[..length];
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return Err(invalid);
        }
        let name = name.into();
        self.at += length + 1;
        Ok(name)
    }

    /// Reads `?flags:` or `?flags)` and tells whether it opens a group.
    fn flags(&mut self, at: usize) -> Result<bool, SyntaxError> {
        let invalid = || error("a group that RE2 does not have, such as look-around, or an unknown flag", at);
        self.at += 1;
        let (mut on, mut off, mut negative, mut empty) = (String::new(), String::new(), false, true);
        loop {
            let char = self.peek().ok_or_else(invalid)?;
            self.at += char.len_utf8();
            match char {
                'i' | 'm' | 's' | 'U' => {
                    empty = false;
                    on.retain(|flag| flag != char);
                    off.retain(|flag| flag != char);
                    if negative { &mut off } else { &mut on }.push(char);
                }
                '-' if !negative => (negative, empty) = (true, true),
                ':' | ')' if !(negative && empty) => {
                    let minus = if off.is_empty() { "" } else { "-" };
                    if char == ':' || !(on.is_empty() && off.is_empty()) {
                        self.out.extend(["(?", &on, minus, &off]);
                        self.out.push(char);
                    }
                    if char == ')' {
                        self.group.last = Last::Nothing;
                    }
                    return Ok(char == ':');
                }
                _ => return Err(invalid()),
            }
        }
    }

    fn close_group(&mut self) -> Result<(), SyntaxError> {
        let outer = self.open.pop().ok_or(error("unexpected )", self.at))?;
        let inner = std::mem::replace(&mut self.group, outer);
        self.copy(')');
        self.atom(inner.weight.max(1));
        Ok(())
    }

    /// Reads `{min}`, `{min,}` or `{min,max}`, if it is one of these, without going ahead.
    fn counts(&self) -> Option<(usize, u32, Option<u32>)> {
        let inside = self.rest()[1..].split_once('}')?.0;
        let (min, max) = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        Some((inside.len() + 2, min, max))
    }

    /// Repeats what came last by the operator that was just read.
    fn repeat(&mut self, start: usize, counts: Option<(u32, Option<u32>)>) -> Result<(), SyntaxError> {
        let operator = start..self.at;
        let lazy = self.eat("?");
        let weight = match self.group.last {
            Last::Atom(weight) => weight,
            Last::Nothing => return Err(error("nothing to repeat", start)),
            Last::Repeated => return Err(error("a repetition cannot be repeated", start)),
        };
        if let Some((min, max)) = counts {
            let most = max.unwrap_or(min);
            let weight = if max == Some(0) { 1 } else { weight.saturating_mul(most.max(1)) };
            if most.max(min) > MAX_REPEAT || max.is_some_and(|max| min > max) || (most > 1 && weight > MAX_REPEAT) {
                return Err(error("invalid repeat count: at most 1000, and not less than the minimum", start));
            }
            self.group.weight = self.group.weight.max(weight);
        }
        self.out.push_str(&self.regex[operator]);
        if lazy {
            self.out.push('?');
        }
        self.group.last = Last::Repeated;
        Ok(())
    }
}

/// A decimal number without leading zeros; a large one is as good as any other.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u32::MAX))
}

const fn error(problem: &'static str, at: usize) -> SyntaxError {
    SyntaxError { problem, at }
}
