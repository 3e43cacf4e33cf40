//! Reads selectors. `not` binds tighter than `and`, and `and` tighter than `or`.

use std::str::CharIndices;

use super::{Matcher, Op, Selector, SelectorError};

/// How deep parentheses and negations may nest.
const MAX_DEPTH: usize = 100;

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let selector = reader.disjunction()?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.unexpected("`and`, `or` or the end")) } else { Ok(selector) }
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
            self.matchers()?
        };
        self.depth -= 1;
        Ok(operand)
    }

    /// What follows an opening brace. A comma may stand after the last matcher.
    fn matchers(&mut self) -> Result<Selector, SelectorError> {
        let mut all = Vec::new();
        while !self.eat("}") {
            if !all.is_empty() {
                self.expect(",", "`,` or `}`")?;
                if self.eat("}") {
                    break;
                }
            }
            all.push(Selector::Matcher(self.matcher()?));
        }
        Ok(Selector::and(all))
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        self.skip_space();
        let name = if self.rest().starts_with(['"', '\'', '`']) { self.string()? } else { self.word().to_owned() };
        if name.is_empty() {
            return Err(self.unexpected("a label name"));
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
        let rest = self.rest();
        let in_word = |char: char| char == '_' || char.is_ascii_alphanumeric();
        let length = rest.find(|char| !in_word(char)).unwrap_or(rest.len());
        let word = if rest.starts_with(|char: char| char.is_ascii_digit()) { "" } else { &rest[..length] };
        self.at += word.len();
        word
    }

    /// A string as in PromQL: in double or single quotes with escapes, or in backquotes without.
    fn string(&mut self) -> Result<String, SelectorError> {
        let start = self.at;
        let malformed = || SelectorError::MalformedString { at: start };
        let quote = self.rest().chars().next().filter(|char| ['"', '\'', '`'].contains(char));
        let quote = quote.ok_or_else(|| self.unexpected("a quoted string"))?;
        let mut chars = self.rest()[1..].char_indices();
        let mut content = String::new();
        while let Some((offset, char)) = chars.next() {
            match char {
                _ if char == quote => {
                    self.at = start + 1 + offset + 1;
                    return Ok(content);
                }
                '\\' if quote != '`' => content.push(escape(&mut chars, quote).ok_or_else(malformed)?),
                '\n' if quote != '`' => return Err(malformed()),
                _ => content.push(char),
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

/// What follows a backslash. A byte above the ASCII range is no character of its own.
fn escape(chars: &mut CharIndices<'_>, quote: char) -> Option<char> {
    Some(match chars.next()?.1 {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        'x' => code(chars, 2).filter(char::is_ascii)?,
        'u' => code(chars, 4)?,
        'U' => code(chars, 8)?,
        char if char == quote => char,
        _ => return None,
    })
}

fn code(chars: &mut CharIndices<'_>, digits: usize) -> Option<char> {
    let text: String = chars.by_ref().take(digits).map(|(_, char)| char).collect();
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(&text, 16).ok().filter(|_| plain).and_then(char::from_u32)
}
