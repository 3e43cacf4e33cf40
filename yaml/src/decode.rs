//! A tree into types, by serde. An error does not end it: the value at fault is noted, left out, and decoding starts over
//! until it succeeds, so that all problems come out at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Elements, Fields};
use super::fault::Fault;
use super::problem::code;
use super::problem::{Problem, Problems};
use super::scalar::Meaning;
use super::tree::{Content, Id, Tree, join_path};
use rosterd_model::{bare_key, did_you_mean};

/// Nobody reads more; each costs another run over the value.
const MOST_PROBLEMS: usize = 100;

/// What came of decoding a value.
#[derive(Debug)]
pub struct Decoded<T> {
    /// Nothing when the value as a whole could not be read.
    pub value: Option<T>,
    /// The keys that it may have: those of the first map with named keys that its type begins with.
    pub keys: &'static [&'static str],
    /// Values that were left out because they are wrong.
    pub left_out: HashSet<Id>,
    /// What is wrong with it, in the order in which it was found.
    pub problems: Vec<Problem>,
}

impl Tree {
    /// Decodes a value, whose path is empty.
    pub fn decode<T: DeserializeOwned>(&self, at: Id) -> Decoded<T> {
        decode(self, at, "", &[], |value| T::deserialize(value))
    }
}

/// Reads the content of a file that is a value of this type.
pub fn load<T: DeserializeOwned>(file: &Path, content: &[u8]) -> Result<T, Problems> {
    let mut tree = Tree::default();
    let root = tree.read(file, content).sound().map_err(Problems)?;
    let decoded = tree.decode(root);
    decoded.value.filter(|_| decoded.problems.is_empty()).ok_or(Problems(decoded.problems))
}

/// Decodes the value at `at`, whose path is `path`.
///
/// `elsewhere` are the keys of this very map that somebody else reads; they are also names that may have been meant.
pub fn decode<T>(
    tree: &Tree,
    at: Id,
    path: &str,
    elsewhere: &[String],
    read: impl Fn(Cursor<'_>) -> Result<T, Fault>,
) -> Decoded<T> {
    let run = Run { tree, at, path, elsewhere, state: RefCell::default() };
    let value = loop {
        let result = read(Cursor { run: &run, id: at });
        let mut state = run.state.borrow_mut();
        let failure = state.failure.take();
        match result {
            Ok(value) => break Some(value),
            Err(error) => {
                let (id, fault) = failure.unwrap_or((at, error));
                // A key without a value that its type cannot do without is as good as one left out.
                if state.empty.contains(&id) && state.absent.insert(id) {
                    continue;
                }
                let consequence = fault.code == code::MISSING_KEY
                    && tree.entries(id).any(|(_, _, value)| state.left_out.contains(&value));
                if !consequence {
                    let problem = run.problem(id, fault);
                    state.problems.push(problem);
                }
                if !state.left_out.insert(id) || id == at || state.problems.len() >= MOST_PROBLEMS {
                    break None;
                }
            }
        }
    };
    let state = run.state.into_inner();
    Decoded { value, keys: state.keys, left_out: state.left_out, problems: state.problems }
}

/// One value being decoded, perhaps several times.
pub(super) struct Run<'a> {
    pub(super) tree: &'a Tree,
    at: Id,
    path: &'a str,
    elsewhere: &'a [String],
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    keys: &'static [&'static str],
    left_out: HashSet<Id>,
    /// Values of keys that a type names where nothing was written,
    empty: HashSet<Id>,
    /// and those of them that are taken for left out, which is no fault.
    absent: HashSet<Id>,
    unknown: HashSet<Id>,
    problems: Vec<Problem>,
    /// Kept here because an error that passes through a mechanism forgets where it came from.
    failure: Option<(Id, Fault)>,
}

impl Run<'_> {
    fn problem(&self, id: Id, fault: Fault) -> Problem {
        let below = self.tree.path_below(self.at, id).unwrap_or_default();
        self.tree.problem(id, join_path(self.path, &below), fault.code, fault.message)
    }

    /// Notes the keys of a map, if it is the first.
    fn may_have(&self, fields: &'static [&'static str]) {
        let mut state = self.state.borrow_mut();
        if state.keys.is_empty() {
            state.keys = fields;
        }
    }

    pub(super) fn leaves_out(&self, id: Id) -> bool {
        let state = self.state.borrow();
        state.left_out.contains(&id) || state.absent.contains(&id)
    }

    /// Notes the value of a key that a type names.
    pub(super) fn named(&self, value: Id) {
        if self.tree.is_null(value) {
            self.state.borrow_mut().empty.insert(value);
        }
    }

    pub(super) fn is_read_elsewhere(&self, map: Id, key: &str) -> bool {
        map == self.at && self.elsewhere.iter().any(|name| name == key)
    }

    /// Notes a key that nobody knows, once.
    pub(super) fn unknown_key(&self, map: Id, key: Id, fields: &'static [&'static str]) {
        let mut state = self.state.borrow_mut();
        if !state.unknown.insert(key) {
            return;
        }
        let elsewhere: &[String] = if map == self.at { self.elsewhere } else { &[] };
        let text = self.tree.text(key).unwrap_or_default();
        let below = self.tree.path_below(self.at, map).unwrap_or_default();
        let section = join_path(self.path, &below);
        let place = if section.is_empty() { String::new() } else { format!(" in {section}") };
        let own = fields.split(|key| *key == FIRST_OF_CLIENT).next().unwrap_or_default();
        let mut hint = called_here(text, fields);
        if hint.is_empty() {
            hint = did_you_mean(text, fields.iter().copied().chain(elsewhere.iter().map(String::as_str)));
        }
        // Where there are few, they are what is looked for.
        let all = match own {
            [] => String::new(),
            few if hint.is_empty() && few.len() <= FEW_KEYS && elsewhere.is_empty() => {
                let more = if own.len() < fields.len() { ", and those of the HTTP client" } else { "" };
                format!("; there are {}{more}", few.join(", "))
            }
            _ => String::new(),
        };
        let message = format!("unknown key `{}`{place}{hint}{all}", bare_key(text));
        state.problems.push(self.tree.problem(key, join_path(&section, text), code::UNKNOWN_KEY, message));
    }
}

/// So many keys are told to whoever wrote one that is none of them.
const FEW_KEYS: usize = 16;

/// The key with which those of the HTTP client begin. They stand behind a section's own keys, and are the same everywhere.
const FIRST_OF_CLIENT: &str = "basic_auth";

/// What has one name in one section or tool and another one in the next.
const CALLED_OTHERWISE: [&[&str]; 9] = [
    &["server", "servers", "host", "address", "addr", "url", "endpoint", "api_server", "socket", "api_url", "base_url"],
    &["datacenter", "dc"],
    &["access_key", "access_key_id", "aws_access_key", "aws_access_key_id", "key"],
    &["secret_key", "secret_access_key", "aws_secret_key", "aws_secret_access_key", "secret"],
    &["kubeconfig_file", "kubeconfig", "kube_config", "config_file"],
    &["selectors", "selector", "label_selector", "field_selector", "label_selectors"],
    &["filters", "filter", "tags", "tag_filters"],
    &["refresh_interval", "interval", "scrape_interval", "poll_interval", "sync_interval"],
    &["token", "api_token", "api_key", "auth_token", "access_token"],
];

/// `; it is called ... here`, or nothing.
fn called_here(written: &str, fields: &[&str]) -> String {
    let groups = CALLED_OTHERWISE.iter().filter(|names| names.contains(&written));
    let here: Vec<_> = groups.flat_map(|names| names.iter().filter(|name| fields.contains(name))).collect();
    match here.as_slice() {
        [] => String::new(),
        [name] => format!("; it is called `{name}` here"),
        [name, other, ..] => format!("; here there are `{name}` and `{other}`"),
    }
}

/// 2^64, the first number that is above every `u64`.
const TOO_LARGE: f64 = 18_446_744_073_709_551_616.0;

/// A value about to be decoded. What reads configurations is handed this one deserializer, behind no pointer to one of any
/// type: that would be 50 functions for each type that is read, a tenth of the program.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) id: Id,
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What stands there may be a secret.
        f.debug_tuple("Cursor").field(&self.id).finish()
    }
}

impl<'a> Cursor<'a> {
    fn meaning(&self) -> Result<Meaning<'a>, Unexpected<'static>> {
        match &self.run.tree.node(self.id).content {
            Content::Scalar(scalar) => Ok(scalar.meaning()),
            Content::List(_) => Err(Unexpected::Seq),
            Content::Map(_) => Err(Unexpected::Map),
        }
    }

    /// Keeps the innermost failure and its place.
    fn noted<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.inspect_err(|fault| {
            self.run.state.borrow_mut().failure.get_or_insert_with(|| (self.id, fault.clone()));
        })
    }

    fn elements(&self) -> Elements<'a> {
        Elements::new(self.run, self.run.tree.items(self.id))
    }

    fn unexpected(&self) -> Unexpected<'a> {
        match self.meaning() {
            Ok(Meaning::Null) => Unexpected::Unit,
            Ok(Meaning::Bool(value)) => Unexpected::Bool(value),
            Ok(Meaning::Unsigned(value)) => Unexpected::Unsigned(value),
            Ok(Meaning::Signed(value)) => Unexpected::Signed(value),
            Ok(Meaning::Float(value)) => Unexpected::Float(value),
            Ok(Meaning::Text(text)) => Unexpected::Str(text),
            Err(unexpected) => unexpected,
        }
    }

    /// A number; nothing is 0.
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(match self.meaning() {
            Ok(Meaning::Null) => visitor.visit_u64(0),
            Ok(Meaning::Unsigned(number)) => visitor.visit_u64(number),
            Ok(Meaning::Signed(number)) => visitor.visit_i64(number),
            // go-yaml cuts off what stands behind the point; the bound is what a conversion holds without a change.
            Ok(Meaning::Float(number)) if (0.0..TOO_LARGE).contains(&number.trunc()) => {
                visitor.visit_u64(number as u64)
            }
            Ok(Meaning::Float(number)) if (-TOO_LARGE / 2.0..0.0).contains(&number) => visitor.visit_i64(number as i64),
            _ => Err(Fault::invalid_type(self.unexpected(), &visitor)),
        })
    }

    /// Text; a number or a boolean is the text that it was written as, and nothing is empty.
    fn string<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(match &self.run.tree.node(self.id).content {
            Content::Scalar(scalar) if scalar.is_null() => visitor.visit_str(""),
            Content::Scalar(scalar) => visitor.visit_str(&scalar.text),
            _ => Err(Fault::invalid_type(self.unexpected(), &visitor)),
        })
    }

    /// A map; nothing is an empty one. With `fields`, these are the keys that it may have.
    fn map<'de, V: Visitor<'de>>(self, fields: Option<&'static [&'static str]>, visitor: V) -> Result<V::Value, Fault> {
        self.noted(if self.run.tree.is_map(self.id) {
            visitor.visit_map(Fields::new(self.run, self.id, fields))
        } else {
            Err(Fault::invalid_type(self.unexpected(), &visitor))
        })
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number(visitor)
        })*
    };
}

macro_rules! strings {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.string(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Cursor<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.meaning() {
            Ok(meaning) => self.noted(match meaning {
                Meaning::Null => visitor.visit_unit(),
                Meaning::Bool(value) => visitor.visit_bool(value),
                Meaning::Unsigned(value) => visitor.visit_u64(value),
                Meaning::Signed(value) => visitor.visit_i64(value),
                Meaning::Float(value) => visitor.visit_f64(value),
                Meaning::Text(text) => visitor.visit_str(text),
            }),
            Err(Unexpected::Seq) => self.noted(visitor.visit_seq(self.elements())),
            Err(_) => self.map(None, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(match self.meaning() {
            Ok(Meaning::Null) => visitor.visit_bool(false),
            Ok(Meaning::Bool(value)) => visitor.visit_bool(value),
            _ => Err(Fault::invalid_type(self.unexpected(), &visitor)),
        })
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    strings! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.meaning() {
            Ok(Meaning::Float(number)) => self.noted(visitor.visit_f64(number)),
            _ => self.number(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(if self.run.tree.is_null(self.id) {
            // The type is asked what it makes of nothing: what it refuses then is refused.
            self.run.state.borrow_mut().empty.remove(&self.id);
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.noted(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(if self.run.tree.is_list(self.id) {
            visitor.visit_seq(self.elements())
        } else {
            Err(Fault::invalid_type(self.unexpected(), &visitor))
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.map(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.meaning() {
            // Some maps have a short form.
            Ok(Meaning::Bool(value)) => self.noted(visitor.visit_bool(value)),
            _ => {
                self.run.may_have(fields);
                self.map(Some(fields), visitor)
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.noted(match self.run.tree.text(self.id) {
            Some(text) => visitor.visit_enum(serde::de::value::StrDeserializer::new(text)),
            None => Err(Fault::invalid_type(self.unexpected(), &visitor)),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.noted(visitor.visit_unit())
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple_struct i128 u128 }
}

/// Decodes a value for a map or a list. What a type makes of a value that was read well may fail too.
pub(super) fn element<'de, S: DeserializeSeed<'de>>(run: &Run<'_>, id: Id, seed: S) -> Result<S::Value, Fault> {
    let cursor = Cursor { run, id };
    cursor.noted(seed.deserialize(cursor))
}
