//! Reads selectors. `not` binds tighter than `and`, and `and` tighter than `or`.

use std::str::CharIndices;

use super::{Matcher, Op, Selector, SelectorError};
use crate::labels::METRIC_NAME;

/// How deep parentheses and negations may nest.
const MAX_DEPTH: usize = 100;

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let selector = reader.disjunction()?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.unexpected("`and`, `or` or the end")) } else { Ok(selector) }
}

/// A series selector of PromQL (`vector_selector` in `promql/parser/generated_parser.y`).
pub(super) fn series(text: &str) -> Result<Selector, SelectorError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_space();
    let metric = reader.metric_name();
    let mut all = Vec::new();
    if !metric.is_empty() {
        all.push(Selector::Matcher(Matcher::new(METRIC_NAME, Op::Eq, metric)?));
    }
    if reader.eat("{") {
        all.push(reader.matchers(true)?);
    } else if all.is_empty() {
        return Err(reader.unexpected("the name of a metric or `{`"));
    }
    reader.skip_space();
    if reader.at < text.len() { Err(reader.unexpected("the end")) } else { Ok(Selector::and(all)) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn disjunction(&mut self) -> Result<Selector, SelectorError> {
        let mut any = vec![self.conjunction()?];
        while self.eat_word("or") {
            any.push(self.conjunction()?);
        }
        Ok(Selector::or(any))
    }

    fn conjunction(&mut self) -> Result<Selector, SelectorError> {
        let mut all = vec![self.operand()?];
        while self.eat_word("and") {
            all.push(self.operand()?);
        }
        Ok(Selector::and(all))
    }

    fn operand(&mut self) -> Result<Selector, SelectorError> {
        self.skip_space();
        if self.depth == MAX_DEPTH {
            return Err(SelectorError::TooDeep { at: self.at });
        }
        self.depth += 1;
        let operand = if self.eat_word("not") {
            self.operand()?.negate()
        } else if self.eat("(") {
            let inner = self.disjunction()?;
            self.expect(")", "`)`")?;
            inner
        } else {
            self.expect("{", "`{`, `(` or `not`")?;
            self.matchers(false)?
        };
        self.depth -= 1;
        Ok(operand)
    }

    /// What follows an opening brace. A comma may stand after the last matcher. In a series selector, a string alone is
    /// the name of a metric.
    fn matchers(&mut self, series: bool) -> Result<Selector, SelectorError> {
        let mut all = Vec::new();
        while !self.eat("}") {
            if !all.is_empty() {
                self.expect(",", "`,` or `}`")?;
                if self.eat("}") {
                    break;
                }
            }
            all.push(Selector::Matcher(self.matcher(series)?));
        }
        Ok(Selector::and(all))
    }

    fn matcher(&mut self, series: bool) -> Result<Matcher, SelectorError> {
        self.skip_space();
        let quoted = self.rest().starts_with(['"', '\'', '`']);
        let name = if quoted { self.string()? } else { self.word().to_owned() };
        if name.is_empty() {
            return Err(self.unexpected("a label name"));
        }
        self.skip_space();
        if series && quoted && self.rest().starts_with([',', '}']) {
            return Matcher::new(METRIC_NAME, Op::Eq, &name);
        }
        let ops = [("=~", Op::Re), ("!~", Op::Nre), ("!=", Op::Ne), ("=", Op::Eq)];
        let (_, op) =
            ops.into_iter().find(|(op, _)| self.eat(op)).ok_or_else(|| self.unexpected("`=`, `!=`, `=~` or `!~`"))?;
        self.skip_space();
        let at = self.at;
        let value = self.string()?;
        Matcher::new(&name, op, &value).map_err(|error| match error {
            SelectorError::Regex { regex, source, .. } => SelectorError::Regex { regex, at, source },
            other => other,
        })
    }

    /// An identifier; empty, if there is none.
    fn word(&mut self) -> &'a str {
        self.name_of(|char| char == '_')
    }

    /// The name of a metric; empty, if there is none.
    fn metric_name(&mut self) -> &'a str {
        self.name_of(|char| char == '_' || char == ':')
    }

    /// A name of ASCII letters, digits and these characters, which does not begin with a digit.
    fn name_of(&mut self, extra: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|char: char| !extra(char) && !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = if rest.starts_with(|char: char| char.is_ascii_digit()) { "" } else { &rest[..length] };
        self.at += name.len();
        name
    }

    /// A string as in PromQL: in double or single quotes with escapes, or in backquotes without.
    fn string(&mut self) -> Result<String, SelectorError> {
        let start = self.at;
        let malformed = || SelectorError::MalformedString { at: start };
        let quote = self.rest().chars().next().filter(|char| ['"', '\'', '`'].contains(char));
        let quote = quote.ok_or_else(|| self.unexpected("a quoted string"))?;
        let mut chars = self.rest()[1..].char_indices();
        let mut content = Vec::new();
        let mut utf8 = [0; 4];
        while let Some((offset, char)) = chars.next() {
            match char {
                _ if char == quote => {
                    self.at = start + 1 + offset + 1;
                    return String::from_utf8(content).map_err(|_| malformed());
                }
                '\\' if quote != '`' => escape(&mut chars, quote, &mut content).ok_or_else(malformed)?,
                '\n' if quote != '`' => return Err(malformed()),
                _ => content.extend_from_slice(char.encode_utf8(&mut utf8).as_bytes()),
            }
        }
        Err(malformed())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn eat_word(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let start = self.at;
        let found = self.word() == keyword;
        if !found {
            self.at = start;
        }
        found
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), SelectorError> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &'static str) -> SelectorError {
        SelectorError::Unexpected { expected, at: self.at }
    }
}

/// What follows a backslash, as in Go: numbers of two or three digits are bytes, the others characters.
fn escape(chars: &mut CharIndices<'_>, quote: char, content: &mut Vec<u8>) -> Option<()> {
    let byte = match chars.next()?.1 {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        'x' => u8::try_from(number(chars, 0, 2, 16)?).ok()?,
        first @ '0'..='7' => u8::try_from(number(chars, first.to_digit(8)?, 2, 8)?).ok()?,
        kind @ ('u' | 'U') => {
            let char = char::from_u32(number(chars, 0, if kind == 'u' { 4 } else { 8 }, 16)?)?;
            content.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        char if char == quote => u8::try_from(char).ok()?,
        _ => return None,
    };
    content.push(byte);
    Some(())
}

/// The number that begins with a digit and goes on with that many more.
fn number(chars: &mut CharIndices<'_>, first: u32, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(first, |number, _| number.checked_mul(radix)?.checked_add(chars.next()?.1.to_digit(radix)?))
}
