//! Patterns that need no regex engine: literals, sets of them, and literals with wildcards between them.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The most texts that a pattern may stand for to be compared with each.
const MAX_TEXTS: usize = 1024;
/// The most paths that are tried one by one.
const MAX_PATHS: usize = 16;
/// Up to here, comparing one by one is faster than searching a sorted list.
const FEW: usize = 8;

/// A pattern that is matched by comparing strings.
#[derive(Debug)]
pub(crate) enum Shape {
    /// One of these, sorted by length and content.
    Texts(Box<[Box<[u8]>]>),
    /// One of several paths.
    Paths(Box<[Path]>),
}

/// `prefix.*needle.*suffix`, with any number of needles.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    prefix: Box<[u8]>,
    suffix: Box<[u8]>,
    /// Each with the fewest bytes between it and what stands before it.
    needles: Box<[(usize, Finder<'static>)]>,
    /// The fewest bytes before the suffix.
    gap: usize,
}

/// An end of a group: so many bytes from the start or from the end of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Start(usize),
    End(usize),
}

/// Where each group begins and ends, the whole match first.
pub(super) type Groups = Box<[(Edge, Edge)]>;

impl Edge {
    pub(super) fn at(self, length: usize) -> usize {
        match self {
            Self::Start(offset) => offset,
            Self::End(offset) => length - offset,
        }
    }
}

impl Shape {
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Texts(texts) if texts.len() <= FEW => texts.iter().any(|known| **known == *text),
            Self::Texts(texts) => {
                let key = |text: &[u8]| text.len();
                texts.binary_search_by(|known| key(known).cmp(&key(text)).then_with(|| (**known).cmp(text))).is_ok()
            }
            Self::Paths(paths) => paths.iter().any(|path| path.is_match(text)),
        }
    }

    fn texts(mut texts: Vec<Vec<u8>>) -> Self {
        texts.sort_unstable_by(|left, right| left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
        texts.dedup();
        Self::Texts(texts.into_iter().map(Into::into).collect())
    }
}

impl Path {
    fn is_match(&self, text: &[u8]) -> bool {
        let Some(mut rest) = text.strip_prefix(&*self.prefix).and_then(|rest| rest.strip_suffix(&*self.suffix)) else {
            return false;
        };
        // The first place of each needle leaves the most to the others. A gap of one byte is one of a whole character,
        // because a needle is only found where a character begins.
        for (gap, needle) in &self.needles {
            let Some(at) = rest.get(*gap..).and_then(|rest| needle.find(rest)) else {
                return false;
            };
            rest = &rest[gap + at + needle.needle().len()..];
        }
        rest.len() >= self.gap
    }
}

/// A part of a pattern.
#[derive(Debug)]
enum Segment {
    /// One of these.
    Texts(Vec<Vec<u8>>),
    /// Anything, of at least so many characters: none or one.
    Any(usize),
}

/// The shape of an expression and where its groups are, unless it needs the regex engine.
pub(super) fn of(hir: &Hir, captures: bool) -> Option<(Shape, Groups)> {
    let mut reader = Reader { captures, ..Reader::default() };
    if reader.read(hir).is_some() {
        let groups = reader.groups()?;
        return Some((shape(&reader.segments)?, groups));
    }
    // Alternatives with wildcards, maybe within groups that enclose all of them.
    let (mut hir, mut groups) = (hir, vec![(Edge::Start(0), Edge::End(0))]);
    while let HirKind::Capture(capture) = hir.kind() {
        hir = &capture.sub;
        groups.push(groups[0]);
    }
    let HirKind::Alternation(branches) = hir.kind() else {
        return None;
    };
    if captures && branches.iter().any(|branch| branch.properties().explicit_captures_len() > 0) {
        return None;
    }
    let mut paths = Vec::new();
    for branch in branches {
        let mut reader = Reader::default();
        reader.read(branch)?;
        paths.append(&mut self::paths(&reader.segments)?);
    }
    (paths.len() <= MAX_PATHS).then(|| (Shape::Paths(paths.into()), groups.into()))
}

/// Takes an expression apart into segments, as long as it consists of such.
#[derive(Default)]
struct Reader {
    captures: bool,
    segments: Vec<Segment>,
    /// For each group, how many segments stand before its beginning and before its end.
    groups: Vec<(usize, usize)>,
    ended: bool,
}

impl Reader {
    fn read(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => Some(()),
            // The anchors that people write although there are some already.
            HirKind::Look(Look::Start) => self.segments.is_empty().then_some(()),
            HirKind::Look(Look::End) => {
                self.ended = true;
                Some(())
            }
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.read(part)),
            HirKind::Capture(capture) => {
                let index = self.groups.len();
                self.groups.push((self.segments.len(), 0));
                self.read(&capture.sub)?;
                self.groups[index].1 = self.segments.len();
                Some(())
            }
            HirKind::Repetition(repetition)
                if repetition.min <= 1 && repetition.max.is_none() && is_any(&repetition.sub) =>
            {
                self.push(Segment::Any(repetition.min as usize))
            }
            _ if self.captures && hir.properties().explicit_captures_len() > 0 => None,
            _ => texts(hir).and_then(|texts| self.push(Segment::Texts(texts))),
        }
    }

    fn push(&mut self, segment: Segment) -> Option<()> {
        // Between two wildcards, nobody knows where one ends.
        let wild = matches!(segment, Segment::Any(_)) && matches!(self.segments.last(), Some(Segment::Any(_)));
        if self.ended || wild {
            return None;
        }
        self.segments.push(segment);
        Some(())
    }

    fn groups(&self) -> Option<Groups> {
        let whole = Some((Edge::Start(0), Edge::End(0)));
        let inner = self.groups.iter().map(|(start, end)| Some((self.edge(*start)?, self.edge(*end)?)));
        if !self.captures {
            return whole.map(|whole| [whole].into());
        }
        std::iter::once(whole).chain(inner).collect()
    }

    /// Where the segment with this index begins, if that is at a fixed distance from the start or the end.
    fn edge(&self, index: usize) -> Option<Edge> {
        let (before, after) = self.segments.split_at(index);
        fixed_length(before).map(Edge::Start).or_else(|| fixed_length(after).map(Edge::End))
    }
}

fn fixed_length(segments: &[Segment]) -> Option<usize> {
    segments.iter().try_fold(0, |sum, segment| match segment {
        Segment::Texts(texts) => {
            let length = texts.first()?.len();
            texts.iter().all(|text| text.len() == length).then_some(sum + length)
        }
        Segment::Any(_) => None,
    })
}

fn is_any(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(Class::Unicode(class))
        if matches!(class.ranges(), [range] if (range.start(), range.end()) == ('\0', char::MAX)))
}

/// All texts that an expression matches, if these are few.
fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(|range| range.len()).sum();
            let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            (count <= MAX_TEXTS).then(|| chars.map(|char| char.to_string().into_bytes()).collect())
        }
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            class.is_ascii().then(|| bytes.map(|byte| vec![byte]).collect())
        }
        HirKind::Repetition(repetition) => {
            let inner = texts(&repetition.sub)?;
            let max = repetition.max.filter(|max| *max <= 16)?;
            let mut all = Vec::new();
            for count in repetition.min..=max {
                let mut texts = vec![Vec::new()];
                for _ in 0..count {
                    texts = product(&texts, &inner)?;
                }
                all.append(&mut texts);
            }
            (all.len() <= MAX_TEXTS).then_some(all)
        }
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |all, part| product(&all, &texts(part)?)),
        HirKind::Alternation(branches) => branches.iter().try_fold(Vec::new(), |mut all, branch| {
            all.append(&mut texts(branch)?);
            (all.len() <= MAX_TEXTS).then_some(all)
        }),
        HirKind::Look(_) => None,
    }
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let pairs = left.iter().flat_map(|left| right.iter().map(|right| [left.as_slice(), right].concat()));
    (left.len() * right.len() <= MAX_TEXTS).then(|| pairs.collect())
}

fn shape(segments: &[Segment]) -> Option<Shape> {
    if segments.iter().any(|segment| matches!(segment, Segment::Any(_))) {
        return paths(segments).map(|paths| Shape::Paths(paths.into()));
    }
    all_texts(segments).map(Shape::texts)
}

fn all_texts(segments: &[Segment]) -> Option<Vec<Vec<u8>>> {
    segments.iter().try_fold(vec![Vec::new()], |all, segment| match segment {
        Segment::Texts(texts) => product(&all, texts),
        Segment::Any(_) => None,
    })
}

/// One path for each way to choose from the texts. A pattern without wildcards is not a path: its prefix and suffix would
/// be one text.
fn paths(segments: &[Segment]) -> Option<Vec<Path>> {
    let mut parts = segments.split(|segment| matches!(segment, Segment::Any(_)));
    let gaps: Vec<usize> = segments
        .iter()
        .filter_map(|segment| match segment {
            Segment::Any(gap) => Some(*gap),
            Segment::Texts(_) => None,
        })
        .collect();
    let (last_gap, gaps) = gaps.split_last()?;
    let prefixes = all_texts(parts.next()?)?;
    let suffixes = all_texts(parts.next_back()?)?;
    let mut paths = Vec::new();
    if prefixes.len() * suffixes.len() > MAX_PATHS {
        return None;
    }
    for prefix in &prefixes {
        for suffix in &suffixes {
            let (prefix, suffix) = (prefix.as_slice().into(), suffix.as_slice().into());
            paths.push(Path { prefix, suffix, needles: Box::new([]), gap: *last_gap });
        }
    }
    for (gap, part) in gaps.iter().zip(parts) {
        let needles = all_texts(part)?;
        if paths.len() * needles.len() > MAX_PATHS {
            return None;
        }
        paths = paths.iter().flat_map(|path| needles.iter().map(|needle| path.through(*gap, needle))).collect();
    }
    Some(paths)
}

impl Path {
    /// The same path with one more needle at its end.
    fn through(&self, gap: usize, needle: &[u8]) -> Self {
        let next = (gap, Finder::new(needle).into_owned());
        Self { needles: self.needles.iter().cloned().chain([next]).collect(), ..self.clone() }
    }
}
