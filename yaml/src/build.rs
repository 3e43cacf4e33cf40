//! Parser events into a tree: anchors, aliases, merge keys, duplicate keys, and limits on depth and size.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use libyaml_safer::{EventData, MappingStyle, Mark, SequenceStyle};
use rosterd_model::bare_key;

use super::parse::{self, Events};
use super::problem::{Problem, code};
use super::scalar::{Scalar, Tag};
use super::syntax::Broken;
use super::tree::{Content, Entry, Id, Node, NodePlace, Tree};

/// No configuration is deeper; what reads it recurses.
const MAX_DEPTH: u32 = 64;

/// What aliases may make of a file: this many values, and some more for each byte that it has.
const ALIAS_ALLOWANCE: u64 = 100_000;
const ALIAS_RATIO: u64 = 10;

/// What came of reading a file.
#[derive(Debug)]
pub struct Reading {
    /// The document; null for a file without one. Of a file that breaks off, what stands before.
    pub root: Id,
    /// What is wrong with the file as YAML.
    pub problems: Vec<Problem>,
    /// Whether the file was read to its end: otherwise what is missing in the document may stand behind.
    pub whole: bool,
}

impl Reading {
    /// The document, if nothing is wrong with it.
    pub fn sound(self) -> Result<Id, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.root) } else { Err(self.problems) }
    }
}

impl Tree {
    /// Reads a file that people write: one document, in clean UTF-8.
    pub fn read(&mut self, file: &Path, bytes: &[u8]) -> Reading {
        match parse::text(bytes) {
            Ok(text) => self.build(file, &text, false),
            Err(good) => {
                let text = String::from_utf8_lossy(bytes.get(..good).unwrap_or_default()).into_owned();
                let mut reading = self.build(file, "", false);
                reading.whole = false;
                reading.problems = vec![not_utf8(file, &text)];
                reading
            }
        }
    }

    /// Reads a list that programs write: its first document counts, and what is no UTF-8 becomes U+FFFD where it stands.
    pub fn read_list(&mut self, file: &Path, bytes: &[u8]) -> Reading {
        let text = parse::text(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes));
        self.build(file, &text, true)
    }

    fn build(&mut self, file: &Path, text: &str, first_only: bool) -> Reading {
        let index = u32::try_from(self.files.len()).expect("nobody has that many files");
        self.files.push(file.to_owned());
        let limit = ALIAS_ALLOWANCE + ALIAS_RATIO * text.len() as u64;
        let mut builder = Builder {
            tree: self,
            file: index,
            limit,
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            problems: Vec::new(),
            skipped: 0,
            resume: None,
            mends: first_only,
        };
        let broken = builder.read(Events::of(text), first_only).err();
        let whole = broken.is_none();
        // What is too large is not looked at further.
        if broken.as_ref().is_some_and(|problem| problem.code == code::TOO_LARGE) {
            builder.open.clear();
        }
        builder.problems.extend(broken);
        let mut root = builder.close();
        if let Some((skipped, rest)) = builder.resume.take().filter(|_| !first_only).and_then(|line| behind(text, line))
        {
            builder.skipped = skipped;
            // Whether it is broken too shows once the first place is mended.
            builder.read(Events::of(rest), false).ok();
            let more = builder.close();
            root = if builder.tree.is_null(root) { more } else { builder.tree.merge(root, more, "").0 };
        }
        Reading { root, problems: builder.problems, whole }
    }
}

/// The next key at the left margin behind a line, and how many lines there are before it.
fn behind(text: &str, line: usize) -> Option<(u32, &str)> {
    let mut start = 0;
    for (index, row) in text.split_inclusive('\n').enumerate() {
        if index >= line && row.starts_with(|first: char| first.is_ascii_alphabetic()) && row.contains(':') {
            return Some((u32::try_from(index).ok()?, &text[start..]));
        }
        start += row.len();
    }
    None
}

fn not_utf8(file: &Path, good: &str) -> Problem {
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let line = good.matches('\n').count() + 1;
    let message = "this is not UTF-8: save the file with that encoding";
    Problem { line, column, ..Problem::of_file(file, code::SYNTAX, message) }
}

struct Builder<'t> {
    tree: &'t mut Tree,
    file: u32,
    limit: u64,
    /// A value that is still being read has no id yet.
    anchors: HashMap<String, Option<Id>>,
    open: Vec<Open>,
    root: Option<Id>,
    problems: Vec<Problem>,
    /// Lines of the file before what is being read.
    skipped: u32,
    /// The line behind which the text may be YAML again, once it broke off.
    resume: Option<usize>,
    /// Whether what is no UTF-8 becomes U+FFFD.
    mends: bool,
}

/// A list or a map that is being read.
struct Open {
    place: NodePlace,
    /// In brackets.
    flow: bool,
    anchor: Option<String>,
    weight: u64,
    depth: u32,
    content: Content,
    key: Option<Id>,
}

impl Builder<'_> {
    fn read(&mut self, mut events: Events<'_>, first_only: bool) -> Result<(), Problem> {
        let (mut documents, mut began) = (0, Mark::default());
        while let Some(event) = events.next().map_err(|broken| self.broken(broken))? {
            match event.data {
                EventData::DocumentStart { .. } => (documents, began) = (documents + 1, event.start_mark),
                EventData::DocumentEnd { .. } if first_only => break,
                // What follows a line `---` at the end is a document of nothing.
                EventData::Scalar { ref value, ref tag, ref anchor, plain_implicit: true, .. }
                    if documents > 1 && value.is_empty() && tag.is_none() && anchor.is_none() => {}
                EventData::StreamStart { .. } | EventData::StreamEnd | EventData::DocumentEnd { .. } => {}
                _ if documents > 1 => {
                    let message = "the file has more than one document: remove the line `---`, or split the file";
                    return Err(self.problem(began, code::MULTIPLE_DOCUMENTS, message));
                }
                data => self.event(data, event.start_mark)?,
            }
        }
        Ok(())
    }

    /// The root, with everything closed that is open still. Lists and maps in brackets are left out: where they end is not
    /// known.
    fn close(&mut self) -> Id {
        while let Some(open) = self.open.pop() {
            // What is wrong with what was cut off was told already.
            if !open.flow {
                self.complete(open, Mark::default()).ok();
            }
        }
        self.root.take().unwrap_or_else(|| {
            let place = NodePlace { file: self.file, line: 1, column: 1 };
            self.tree.push(Node { content: Content::Scalar(Scalar::nothing()), place, weight: 1, depth: 1 })
        })
    }

    fn event(&mut self, event: EventData, at: Mark) -> Result<(), Problem> {
        match event {
            EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                let scalar = self.scalar(value, tag.as_deref(), plain_implicit, at)?;
                let place = self.place(at);
                let id = self.tree.push(Node { content: Content::Scalar(scalar), place, weight: 1, depth: 1 });
                self.finish(id, anchor, at)
            }
            EventData::SequenceStart { anchor, style, .. } => {
                self.start(anchor, Content::List(Vec::new()), style == SequenceStyle::Flow, at)
            }
            EventData::MappingStart { anchor, style, .. } => {
                self.start(anchor, Content::Map(Vec::new()), style == MappingStyle::Flow, at)
            }
            EventData::SequenceEnd | EventData::MappingEnd => match self.open.pop() {
                Some(open) => self.complete(open, at),
                None => Ok(()),
            },
            EventData::Alias { anchor } => match self.anchors.get(&anchor) {
                Some(Some(id)) => self.finish(*id, None, at),
                Some(None) => Err(self.problem(at, code::SYNTAX, "an alias stands within the value that it names")),
                None => Err(self.problem(
                    at,
                    code::SYNTAX,
                    format!("there is no anchor `&{anchor}` before this alias: put a text that begins with `*` in quotes, as in '*.yml'"),
                )),
            },
            _ => Ok(()),
        }
    }

    /// Tags of lists and maps, and those that nobody knows, say nothing to Go's reader either.
    fn scalar(&self, text: String, tag: Option<&str>, plain: bool, at: Mark) -> Result<Scalar, Problem> {
        let tag = tag.map(Tag::of);
        let text = match tag {
            Some(Tag::Binary) => {
                let bytes = decoded(&text);
                let bytes =
                    bytes.ok_or_else(|| self.problem(at, code::SYNTAX, "what follows `!!binary` is not base64"))?;
                match String::from_utf8(bytes) {
                    Ok(text) => text,
                    Err(broken) if self.mends => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
                    Err(_) => {
                        let message =
                            "what follows `!!binary` is not UTF-8 once it is decoded, as all text here has to be";
                        return Err(self.problem(at, code::SYNTAX, message));
                    }
                }
            }
            _ => text,
        };
        let scalar = Scalar { text: text.into(), plain, tag };
        match scalar.misfit() {
            None => Ok(scalar),
            Some(kind) => {
                Err(self.problem(at, code::SYNTAX, format!("the tag before this wants {kind}: leave it out")))
            }
        }
    }

    fn start(&mut self, anchor: Option<String>, empty: Content, flow: bool, at: Mark) -> Result<(), Problem> {
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        if self.open.len() as u32 >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        let place = self.place(at);
        self.open.push(Open { place, flow, anchor, weight: 1, depth: 1, content: empty, key: None });
        Ok(())
    }

    /// A list or a map has ended.
    fn complete(&mut self, open: Open, at: Mark) -> Result<(), Problem> {
        let Open { place, anchor, weight, depth, content, .. } = open;
        let content = match content {
            Content::Map(entries) => Content::Map(self.merged(entries)?),
            content => content,
        };
        let id = self.tree.push(Node { content, place, weight, depth });
        self.finish(id, anchor, at)
    }

    /// A value is complete: it goes where it belongs.
    fn finish(&mut self, id: Id, anchor: Option<String>, at: Mark) -> Result<(), Problem> {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Some(id));
        }
        let Node { weight, depth, .. } = *self.tree.node(id);
        let is_scalar = self.tree.text(id).is_some();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(id);
            return Ok(());
        };
        open.weight += weight;
        open.depth = open.depth.max(depth + 1);
        match (&mut open.content, open.key.take()) {
            (Content::List(items), _) => items.push(id),
            (Content::Map(_), None) if is_scalar => open.key = Some(id),
            (Content::Map(_), None) => {
                return Err(self.problem(at, code::SYNTAX, "a key must be a plain text, not a list or a map"));
            }
            (Content::Map(entries), Some(key)) => entries.push(Entry { key, value: id }),
            (Content::Scalar(_), _) => {}
        }
        let (weight, depth) = (open.weight, open.depth);
        if weight > self.limit {
            return Err(self.problem(
                at,
                code::TOO_LARGE,
                "aliases make too much of this file: write less of it with them",
            ));
        }
        if depth > MAX_DEPTH { Err(self.too_deep(at)) } else { Ok(()) }
    }

    /// Entries without those of a key that was there before, and with those that `<<` brings. What a map says itself
    /// wins over what it merges; of several merged maps the first wins.
    fn merged(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, Problem> {
        let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| self.is_merge(entry.key));
        let mut seen: HashMap<Box<str>, Id> = HashMap::with_capacity(own.len());
        let mut all = Vec::with_capacity(own.len());
        for entry in own {
            let text: Box<str> = self.tree.text(entry.key).unwrap_or_default().into();
            if let Some(first) = seen.get(&text) {
                let line = self.tree.node(*first).place.line;
                let message =
                    format!("the key `{}` is there already, in line {line}: remove one of the two", bare_key(&text));
                self.problems.push(self.tree.problem(entry.key, text.into(), code::DUPLICATE_KEY, message));
            } else {
                seen.insert(text, entry.key);
                all.push(entry);
            }
        }
        for merge in merges {
            let sources = match &self.tree.node(merge.value).content {
                Content::List(items) => items.clone(),
                _ => vec![merge.value],
            };
            for source in sources {
                let Content::Map(entries) = &self.tree.node(source).content else {
                    let message = "`<<` takes an alias of a map, or a list of these";
                    return Err(self.tree.problem(merge.value, "<<".to_owned(), code::SYNTAX, message));
                };
                for entry in entries {
                    let text: Box<str> = self.tree.text(entry.key).unwrap_or_default().into();
                    if let std::collections::hash_map::Entry::Vacant(vacant) = seen.entry(text) {
                        vacant.insert(entry.key);
                        all.push(*entry);
                    }
                }
            }
        }
        Ok(all)
    }

    fn is_merge(&self, key: Id) -> bool {
        matches!(&self.tree.node(key).content, Content::Scalar(key) if key.is_merge())
    }

    fn place(&self, at: Mark) -> NodePlace {
        let counted = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
        NodePlace { file: self.file, line: counted(at.line).saturating_add(self.skipped), column: counted(at.column) }
    }

    fn problem(&self, at: Mark, code: &'static str, message: impl Into<String>) -> Problem {
        let NodePlace { line, column, .. } = self.place(at);
        let file = &self.tree.files[self.file as usize];
        Problem { line: line as usize, column: column as usize, ..Problem::of_file(file, code, message) }
    }

    fn broken(&mut self, broken: Broken) -> Problem {
        let Broken { line, column, message, resume } = broken;
        // Brackets that are not closed swallow lines that may be good.
        let bracket = self.open.iter().find(|open| open.flow).map(|open| open.place.line as usize);
        self.resume = Some(bracket.unwrap_or(resume));
        let file = &self.tree.files[self.file as usize];
        Problem { line, column, ..Problem::of_file(file, code::SYNTAX, message) }
    }

    fn too_deep(&self, at: Mark) -> Problem {
        self.problem(at, code::TOO_LARGE, format!("this is deeper than {MAX_DEPTH} levels"))
    }
}

/// What stands behind `!!binary`. Line breaks within do not count.
fn decoded(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text: Cow<'_, str> = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    base64::engine::general_purpose::STANDARD.decode(text.as_bytes()).ok()
}
