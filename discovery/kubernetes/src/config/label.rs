//! Label selectors: `app=web,tier in (a, b),!canary`. The grammar is that of apimachinery's `labels`.

use std::iter::Peekable;
use std::str::CharIndices;

/// Which objects are meant by their labels: those that meet all requirements. What the API server is sent is the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LabelSelector(pub(crate) Vec<Requirement>);

/// What is required of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) key: String,
    pub(crate) needs: Needs,
}

/// What the value of a label has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anything: the label is there.
    Present,
    /// The label is not there.
    Absent,
    /// One of these.
    In(Vec<String>),
    /// None of these; the label need not be there.
    NotIn(Vec<String>),
    /// A whole number that is larger.
    Above(i64),
    /// A whole number that is smaller.
    Below(i64),
}

impl LabelSelector {
    /// Reads a selector; fails with what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { tokens: tokens(text)?.into_iter().peekable() };
        let mut requirements = Vec::new();
        if reader.tokens.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(reader.requirement()?);
            match reader.tokens.next() {
                None => return Ok(Self(requirements)),
                Some(Token::Comma) => {}
                Some(other) => return Err(format!("a comma is missing before {}", other.shown())),
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Above,
    Below,
}

impl Token {
    fn shown(&self) -> String {
        let text = match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Above => ">",
            Self::Below => "<",
        };
        format!("{text:?}")
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut characters = text.char_indices().peekable();
    let mut found = Vec::new();
    while let Some((at, character)) = characters.next() {
        found.push(match character {
            ' ' | '\t' | '\r' | '\n' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Above,
            '<' => Token::Below,
            '=' => {
                follows(&mut characters, '=');
                Token::Equal
            }
            '!' if follows(&mut characters, '=') => Token::NotEqual,
            '!' => Token::Not,
            _ => {
                let is_word = |(_, c): &(usize, char)| !"=!(),<> \t\r\n".contains(*c);
                let mut end = at + character.len_utf8();
                while let Some((at, c)) = characters.next_if(is_word) {
                    end = at + c.len_utf8();
                }
                Token::Word(text[at..end].to_owned())
            }
        });
    }
    Ok(found)
}

fn follows(characters: &mut Peekable<CharIndices<'_>>, wanted: char) -> bool {
    characters.next_if(|(_, character)| *character == wanted).is_some()
}

struct Reader {
    tokens: Peekable<std::vec::IntoIter<Token>>,
}

impl Reader {
    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.tokens.next_if_eq(&Token::Not).is_some();
        let key = match self.tokens.next() {
            Some(Token::Word(word)) => word,
            Some(other) => return Err(format!("the name of a label is missing before {}", other.shown())),
            None => return Err("the name of a label is missing at the end".to_owned()),
        };
        check_key(&key)?;
        if absent {
            return Ok(Requirement { key, needs: Needs::Absent });
        }
        let needs = match self.tokens.peek() {
            None | Some(Token::Comma) => Needs::Present,
            Some(operator) => {
                let operator = operator.clone();
                self.tokens.next();
                self.needs(&key, &operator)?
            }
        };
        Ok(Requirement { key, needs })
    }

    fn needs(&mut self, key: &str, operator: &Token) -> Result<Needs, String> {
        let number = |text: String| {
            text.parse().map_err(|_| format!("{text:?}, with which {key} is compared, is no whole number"))
        };
        Ok(match operator {
            Token::Equal => Needs::In(vec![self.value()?]),
            Token::NotEqual => Needs::NotIn(vec![self.value()?]),
            Token::Above => Needs::Above(number(self.value()?)?),
            Token::Below => Needs::Below(number(self.value()?)?),
            Token::Word(word) if word == "in" => Needs::In(self.values(key)?),
            Token::Word(word) if word == "notin" => Needs::NotIn(self.values(key)?),
            other => return Err(format!("{} follows {key}: use in, notin, =, ==, !=, < or >", other.shown())),
        })
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        let value = match self.tokens.peek() {
            Some(Token::Word(word)) => word.clone(),
            None | Some(Token::Comma) => return Ok(String::new()),
            Some(other) => return Err(format!("a value is missing before {}", other.shown())),
        };
        self.tokens.next();
        check_value(&value)?;
        Ok(value)
    }

    /// Values in parentheses, at least one.
    fn values(&mut self, key: &str) -> Result<Vec<String>, String> {
        if self.tokens.next() != Some(Token::Open) {
            return Err(format!("the values of {key} stand in parentheses: (a, b)"));
        }
        if self.tokens.next_if_eq(&Token::Close).is_some() {
            return Err(format!("the parentheses after {key} are empty"));
        }
        let mut values = Vec::new();
        loop {
            let value = match self.tokens.peek() {
                Some(Token::Close) => String::new(),
                _ => self.value()?,
            };
            values.push(value);
            match self.tokens.next() {
                Some(Token::Close) => return Ok(values),
                Some(Token::Comma) => {}
                Some(other) => return Err(format!("a comma is missing before {}", other.shown())),
                None => return Err(format!("the parenthesis after {key} is not closed")),
            }
        }
    }
}

/// `name` or `domain/name`.
fn check_key(key: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{key:?} is not the name of a label: {why}"));
    let name = match key.split_once('/') {
        None => key,
        Some((domain, name)) => {
            let label = |label: &str| {
                is_bounded(label, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), |byte| byte == b'-')
            };
            if domain.len() > 253 || !domain.split('.').all(label) {
                return wrong("what stands before / is no domain");
            }
            name
        }
    };
    if name.len() > 63 {
        return wrong("it has more than 63 bytes");
    }
    if !is_bounded(name, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte)) {
        return wrong("it has letters, digits, -, _ and . and begins and ends with a letter or digit");
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), String> {
    let good = value.is_empty()
        || value.len() <= 63 && is_bounded(value, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte));
    if good { Ok(()) } else { Err(format!("{value:?} is not the value of a label")) }
}

/// Whether a text is not empty, has these characters at both ends, and these or those in between.
fn is_bounded(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    outer(*first) && outer(*last) && bytes.iter().all(|byte| outer(*byte) || inner(*byte))
}
