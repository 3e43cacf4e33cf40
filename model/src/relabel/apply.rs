//! Compiled rules at work.

use std::sync::Arc;

use md5::{Digest, Md5};

use super::explain::Look;
use super::pattern::{Captures, Pattern};
use super::template::Template;
use super::{Action, NameScheme, RelabelError, RuleConfig, case, check, re2};
use crate::Builder;
use crate::labels::{Span, is_valid_name};

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    config: RuleConfig,
    scheme: NameScheme,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Keep(Pattern),
    Drop(Pattern),
    KeepEqual,
    DropEqual,
    Replace { pattern: Pattern, captures: bool, target: Template, replacement: Template },
    HashMod,
    LabelMap { pattern: Pattern, captures: bool, name: Template },
    LabelDrop(Pattern),
    LabelKeep(Pattern),
    Lowercase,
    Uppercase,
}

/// Memory that applying rules uses again and again. Each thread keeps its own.
#[derive(Debug, Default)]
pub struct Scratch {
    captures: Captures,
    labels: Vec<(Span, Span)>,
    text: String,
}

impl RuleConfig {
    /// Checks the rule and makes it ready to be applied. Fails where Prometheus refuses the rule, with all that is wrong.
    pub fn compile(&self, scheme: NameScheme) -> Result<Rule, Vec<RelabelError>> {
        let mut wrong = check::check(self, scheme);
        match self.step() {
            Ok(step) if wrong.is_empty() => return Ok(Rule { config: self.clone(), scheme, step }),
            Ok(_) => {}
            Err(source) => wrong.push(RelabelError::Regex { regex: self.regex.clone(), source }),
        }
        Err(wrong)
    }

    fn step(&self) -> Result<Step, re2::SyntaxError> {
        let translated = re2::translate(&self.regex)?;
        let pattern = |captures| Pattern::new(&translated, captures);
        let template = |template| Template::parse(template, &translated.names);
        Ok(match self.action {
            Action::Keep => Step::Keep(pattern(false)?),
            Action::Drop => Step::Drop(pattern(false)?),
            Action::KeepEqual => Step::KeepEqual,
            Action::DropEqual => Step::DropEqual,
            Action::Replace => {
                let (target, replacement) = (template(&self.target_label), template(&self.replacement));
                let captures = target.needs_captures() || replacement.needs_captures();
                Step::Replace { pattern: pattern(captures)?, captures, target, replacement }
            }
            Action::HashMod => Step::HashMod,
            Action::LabelMap => {
                let name = template(&self.replacement);
                let captures = name.needs_captures();
                Step::LabelMap { pattern: pattern(captures)?, captures, name }
            }
            Action::LabelDrop => Step::LabelDrop(pattern(false)?),
            Action::LabelKeep => Step::LabelKeep(pattern(false)?),
            Action::Lowercase => Step::Lowercase,
            Action::Uppercase => Step::Uppercase,
        })
    }
}

impl Rule {
    /// What the user wrote.
    pub fn config(&self) -> &RuleConfig {
        &self.config
    }

    /// Applies the rule. `false` means that the labels are dropped; what they are then is of no use.
    pub fn apply(&self, labels: &mut Builder, scratch: &mut Scratch) -> bool {
        match &self.step {
            Step::Keep(pattern) => {
                let value = self.source(labels);
                return pattern.is_match(labels.str(value));
            }
            Step::Drop(pattern) => {
                let value = self.source(labels);
                return !pattern.is_match(labels.str(value));
            }
            Step::KeepEqual => {
                let value = self.source(labels);
                return labels.get(&self.config.target_label) == labels.str(value);
            }
            Step::DropEqual => {
                let value = self.source(labels);
                return labels.get(&self.config.target_label) != labels.str(value);
            }
            Step::Replace { pattern, captures, target, replacement } => {
                let value = self.source(labels);
                if find(pattern, *captures, labels.str(value), scratch) {
                    self.replace(pattern, target, replacement, value, labels, scratch);
                }
            }
            Step::HashMod => self.hashmod(labels, scratch),
            Step::LabelMap { pattern, captures, name } => labelmap(pattern, *captures, name, labels, scratch),
            Step::LabelDrop(pattern) => labels.retain(|name, _| !pattern.is_match(name)),
            Step::LabelKeep(pattern) => labels.retain(|name, _| pattern.is_match(name)),
            Step::Lowercase => self.recase(labels, scratch, case::lower),
            Step::Uppercase => self.recase(labels, scratch, case::upper),
        }
        true
    }

    /// Whether the rule changes no labels, and only says of which ones it drops.
    fn only_looks(&self) -> bool {
        matches!(self.step, Step::Keep(_) | Step::Drop(_) | Step::KeepEqual | Step::DropEqual)
    }

    /// Whether what a rule that only looks says may depend on the label of this name.
    fn looks_at(&self, name: &[u8]) -> bool {
        let sources = self.config.source_labels.iter();
        sources.chain([&self.config.target_label]).any(|source| source.as_bytes() == name)
    }

    /// How many bytes the rule writes for these labels at most: at least as many as it does write, and found out without doing it.
    pub(super) fn writes(&self, labels: &Builder) -> usize {
        let separators = self.config.separator.len().saturating_mul(self.config.source_labels.len());
        let sources = self.config.source_labels.iter().map(|name| labels.get(name).len());
        let source = sources.fold(separators, usize::saturating_add);
        source.saturating_add(match &self.step {
            Step::Replace { target, replacement, .. } => {
                target.longest(source).saturating_add(replacement.longest(source))
            }
            Step::LabelMap { name, .. } => {
                let each = labels.iter().map(|(old, value)| name.longest(old.len()).saturating_add(value.len()));
                each.fold(0, usize::saturating_add)
            }
            // The longest that a letter becomes, in another case, is three letters.
            Step::Lowercase | Step::Uppercase => source.saturating_mul(3),
            Step::HashMod => 20,
            Step::Keep(_) | Step::Drop(_) | Step::KeepEqual | Step::DropEqual => 0,
            Step::LabelDrop(_) | Step::LabelKeep(_) => 0,
        })
    }

    /// What the rule looks at in these labels, and whether it finds what it looks for.
    pub(super) fn look(&self, labels: &mut Builder) -> Look {
        let value = self.source(labels);
        let text = labels.str(value);
        let matches = match &self.step {
            Step::Keep(pattern) | Step::Drop(pattern) | Step::Replace { pattern, .. } => Some(pattern.is_match(text)),
            Step::KeepEqual | Step::DropEqual => Some(labels.get(&self.config.target_label) == text),
            Step::HashMod | Step::Lowercase | Step::Uppercase => None,
            Step::LabelMap { .. } | Step::LabelDrop(_) | Step::LabelKeep(_) => None,
        };
        Look { text: text.to_owned(), matches }
    }

    /// The values of the source labels, joined. One value alone is not copied.
    fn source(&self, labels: &mut Builder) -> Span {
        match &self.config.source_labels[..] {
            [] => Span::default(),
            [name] => labels.span(name),
            [first, others @ ..] => {
                let start = labels.end();
                let value = labels.span(first);
                labels.write_span(value);
                for name in others {
                    labels.write(&self.config.separator);
                    let value = labels.span(name);
                    labels.write_span(value);
                }
                labels.since(start)
            }
        }
    }

    fn replace(
        &self,
        pattern: &Pattern,
        target: &Template,
        replacement: &Template,
        value: Span,
        labels: &mut Builder,
        scratch: &mut Scratch,
    ) {
        let found = &scratch.captures;
        let name = match target {
            Template::Text(name) => &**name,
            template => {
                let name = template.expand(pattern, found, value, labels);
                scratch.text.clear();
                scratch.text.push_str(labels.str(name));
                &scratch.text
            }
        };
        if is_valid_name(name, self.scheme) {
            let value = replacement.expand(pattern, found, value, labels);
            labels.set_span(name, value);
        }
    }

    fn hashmod(&self, labels: &mut Builder, scratch: &mut Scratch) {
        let value = self.source(labels);
        let hash: [u8; 16] = Md5::digest(labels.str(value)).into();
        let last = hash.last_chunk().expect("an MD5 hash has more than eight bytes");
        scratch.text.clear();
        let number = u64::from_be_bytes(*last) % self.config.modulus;
        std::fmt::Write::write_fmt(&mut scratch.text, format_args!("{number}"))
            .expect("a string takes what is written");
        labels.set(&self.config.target_label, &scratch.text);
    }

    fn recase(&self, labels: &mut Builder, scratch: &mut Scratch, recase: impl Fn(&str, &mut String)) {
        let value = self.source(labels);
        scratch.text.clear();
        recase(labels.str(value), &mut scratch.text);
        labels.set(&self.config.target_label, &scratch.text);
    }
}

fn find(pattern: &Pattern, captures: bool, text: &str, scratch: &mut Scratch) -> bool {
    if captures { pattern.captures(text, &mut scratch.captures) } else { pattern.is_match(text) }
}

/// Copies labels to other names. Names and values are those from before the rule; of two labels that get the same name, the
/// later one wins.
fn labelmap(pattern: &Pattern, captures: bool, name: &Template, labels: &mut Builder, scratch: &mut Scratch) {
    let mut before = std::mem::take(&mut scratch.labels);
    before.clear();
    before.extend(labels.spans());
    for (old, value) in &before {
        if find(pattern, captures, labels.str(*old), scratch) {
            let new = name.expand(pattern, &scratch.captures, *old, labels);
            // No label can be without a name.
            if new.len() > 0 {
                labels.set_spans(new, *value);
            }
        }
    }
    scratch.labels = before;
}

/// A compiled list of rules. Cloning copies a pointer; equal configurations are equal.
#[derive(Debug, Clone, Default)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// Compiles all rules, or says of each that is refused which it is and all that is wrong with it.
    pub fn compile(configs: &[RuleConfig], scheme: NameScheme) -> Result<Self, Vec<(usize, RelabelError)>> {
        let mut rules = Vec::with_capacity(configs.len());
        let mut errors = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            match config.compile(scheme) {
                Ok(rule) => rules.push(rule),
                Err(wrong) => errors.extend(wrong.into_iter().map(|error| (index, error))),
            }
        }
        if errors.is_empty() { Ok(Self(rules.into())) } else { Err(errors) }
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The rules in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.0.iter()
    }

    /// Applies the rules one after the other. `false` means that one of them dropped the labels; what they are then is of
    /// no use.
    pub fn apply(&self, labels: &mut Builder, scratch: &mut Scratch) -> bool {
        self.dropped_by(labels, scratch).is_none()
    }

    /// The rules at the beginning that change no labels.
    pub fn leading(&self) -> Leading<'_> {
        let count = self.0.iter().take_while(|rule| rule.only_looks()).count();
        Leading(&self.0[..count])
    }

    /// Applies the rules, and tells which of them dropped the labels, counted from 0.
    pub fn dropped_by(&self, labels: &mut Builder, scratch: &mut Scratch) -> Option<usize> {
        self.0.iter().position(|rule| !rule.apply(labels, scratch))
    }
}

/// Rules at the beginning of a list that change no labels: what they drop is known from a few labels.
#[derive(Debug, Clone, Copy)]
pub struct Leading<'r>(&'r [Rule]);

impl Leading<'_> {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether they look at the label of this name.
    pub fn look_at(self, name: &[u8]) -> bool {
        self.0.iter().any(|rule| rule.looks_at(name))
    }

    /// Whether one of them drops the labels, of which only those that they [look at](Self::look_at) have to be there.
    pub fn drop(self, labels: &mut Builder, scratch: &mut Scratch) -> bool {
        !self.0.iter().all(|rule| rule.apply(labels, scratch))
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.config == other.config
    }
}

impl Eq for Rule {}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Rules {}
