//! Parser events into a tree: anchors, aliases, merge keys, duplicate keys, and limits on depth and size.

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::scalar::{Forced, Scalar};
use super::tree::{Content, Entry, Id, Node, Place, Tree};
use crate::Problem;
use crate::error::code;

/// No configuration is deeper; what reads it recurses.
const MAX_DEPTH: u32 = 64;

/// What aliases may make of a file: this many values, and some more for each byte that it has.
const ALIAS_ALLOWANCE: u64 = 100_000;
const ALIAS_RATIO: u64 = 10;

impl Tree {
    /// Reads a file. An error has at least one problem.
    pub(crate) fn read(&mut self, file: &Path, bytes: &[u8]) -> Result<Id, Vec<Problem>> {
        let index = u32::try_from(self.files.len()).expect("nobody has that many files");
        self.files.push(file.to_owned());
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => return Err(vec![not_utf8(file, &bytes[..error.valid_up_to()])]),
        };
        let limit = ALIAS_ALLOWANCE + ALIAS_RATIO * text.len() as u64;
        let mut builder = Builder {
            tree: self,
            file: index,
            limit,
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            problems: Vec::new(),
        };
        if let Err(problem) = builder.read(text) {
            builder.problems.push(problem);
        }
        match (builder.root, builder.problems) {
            (Some(root), problems) if problems.is_empty() => Ok(root),
            (_, problems) => Err(problems),
        }
    }
}

fn not_utf8(file: &Path, valid: &[u8]) -> Problem {
    let line = valid.split(|byte| *byte == b'\n');
    let column = line.clone().next_back().map_or(0, |line| String::from_utf8_lossy(line).chars().count());
    Problem {
        code: code::SYNTAX,
        file: file.to_owned(),
        line: line.count(),
        column: column + 1,
        path: String::new(),
        message: "this is not UTF-8: save the file with that encoding".to_owned(),
    }
}

struct Builder<'t> {
    tree: &'t mut Tree,
    file: u32,
    limit: u64,
    /// A value that is still being read has no id yet.
    anchors: HashMap<usize, Option<Id>>,
    open: Vec<Open>,
    root: Option<Id>,
    problems: Vec<Problem>,
}

/// A list or a map that is being read.
struct Open {
    place: Place,
    anchor: usize,
    weight: u64,
    depth: u32,
    content: Content,
    key: Option<Id>,
}

impl Builder<'_> {
    fn read(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.problem(*error.marker(), code::SYNTAX, error.info()))?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "the file has more than one document: remove the line `---`, or split the file";
                        return Err(self.problem(span.start, code::MULTIPLE_DOCUMENTS, message));
                    }
                }
                event => self.event(event, span)?,
            }
        }
        if self.root.is_none() {
            let scalar = Scalar { text: "".into(), plain: true, forced: None };
            let place = Place { file: self.file, line: 1, column: 1 };
            self.root = Some(self.tree.push(Node { content: Content::Scalar(scalar), place, weight: 1, depth: 1 }));
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = match tag.as_deref() {
                    None => None,
                    // `!` alone: the text is text.
                    Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Some(Forced::Str),
                    Some(tag) => Some(self.forced(tag, span.start)?),
                };
                let scalar = Scalar { text: text.into(), plain: style == ScalarStyle::Plain, forced };
                let id = self.tree.push(Node { content: Content::Scalar(scalar), place, weight: 1, depth: 1 });
                self.finish(id, anchor, span.start)
            }
            Event::SequenceStart(anchor, tag) => self.start(anchor, tag.as_deref(), "seq", Content::List(vec![]), span),
            Event::MappingStart(anchor, tag) => self.start(anchor, tag.as_deref(), "map", Content::Map(vec![]), span),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.open.pop() else { return Ok(()) };
                if let Content::Map(entries) = open.content {
                    open.content = Content::Map(self.merged(entries)?);
                }
                let Open { place, anchor, weight, depth, content, .. } = open;
                let id = self.tree.push(Node { content, place, weight, depth });
                self.finish(id, anchor, span.start)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(id)) => self.finish(*id, 0, span.start),
                _ => Err(self.problem(span.start, code::SYNTAX, "an alias stands within the value that it names")),
            },
            _ => Ok(()),
        }
    }

    fn forced(&self, tag: &Tag, at: Marker) -> Result<Forced, Problem> {
        let forced = tag.is_yaml_core_schema().then(|| Forced::of(&tag.suffix)).flatten();
        forced.ok_or_else(|| self.problem(at, code::SYNTAX, format!("the tag {tag} is not supported: leave it out")))
    }

    fn start(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        want: &str,
        empty: Content,
        span: Span,
    ) -> Result<(), Problem> {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == want)
        {
            return Err(self.problem(
                span.start,
                code::SYNTAX,
                format!("the tag {tag} is not supported: leave it out"),
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        if self.open.len() as u32 >= MAX_DEPTH {
            return Err(self.too_deep(span.start));
        }
        let place = self.place(span.start);
        self.open.push(Open { place, anchor, weight: 1, depth: 1, content: empty, key: None });
        Ok(())
    }

    /// A value is complete: it goes where it belongs.
    fn finish(&mut self, id: Id, anchor: usize, at: Marker) -> Result<(), Problem> {
        if anchor > 0 {
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
                let message = format!("the key `{text}` is there already, in line {line}: remove one of the two");
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
        matches!(&self.tree.node(key).content, Content::Scalar(key) if key.plain && key.forced.is_none() && &*key.text == "<<")
    }

    fn place(&self, at: Marker) -> Place {
        let clip = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place { file: self.file, line: clip(at.line()), column: clip(at.col() + 1) }
    }

    fn problem(&self, at: Marker, code: &'static str, message: impl Into<String>) -> Problem {
        let Place { line, column, .. } = self.place(at);
        Problem {
            code,
            file: self.tree.files[self.file as usize].clone(),
            line: line as usize,
            column: column as usize,
            path: String::new(),
            message: message.into(),
        }
    }

    fn too_deep(&self, at: Marker) -> Problem {
        self.problem(at, code::TOO_LARGE, format!("this is deeper than {MAX_DEPTH} levels"))
    }
}
