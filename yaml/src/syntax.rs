//! What the parser complains of, in the words of somebody who writes a configuration.

use libyaml_safer::{Error, Mark};

/// Where a text stops being YAML, and why.
#[derive(Debug)]
pub(super) struct Broken {
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
    pub(super) message: String,
    /// The line behind which it may be YAML again.
    pub(super) resume: usize,
}

impl Broken {
    pub(super) fn of(error: &Error, text: &str) -> Self {
        let Some(mark) = error.problem_mark() else { return Self::character(text) };
        let (mut line, mut column) = place(mark, text);
        let start = error.context_mark().map(|mark| place(mark, text));
        let began = start.map_or(line, |(line, _)| line);
        let at = text.lines().nth(line - 1).and_then(|text| text.chars().nth(column - 1));
        // Quotes that are never closed swallow the rest of the text.
        let resume = if error.problem() == "found unexpected end of stream" { began } else { line };
        // What is missing is looked for where it began: the parser noticed at something else, or at the end of the text.
        let is_noticed_later = error.problem() == "could not find expected ':'"
            || text.lines().skip(line - 1).all(|line| line.trim().is_empty());
        if let Some(start) = start.filter(|_| is_noticed_later) {
            (line, column) = start;
        }
        // No place is behind all that is written.
        let written = text.trim_end();
        let lines = written.lines().count().max(1);
        if line > lines {
            (line, column) = (lines, written.lines().last().unwrap_or_default().chars().count() + 1);
        }
        Self { line, column, message: message(error, at, began), resume }
    }

    /// The first character that YAML does not have; the parser knows no place of it.
    fn character(text: &str) -> Self {
        let allowed = |character: char| match character {
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
            other => other >= '\u{a0}' && !matches!(other, '\u{fffe}' | '\u{ffff}'),
        };
        let good = &text[..text.find(|character| !allowed(character)).unwrap_or(text.len())];
        let (line, row) = (good.matches('\n').count() + 1, good.rsplit('\n').next().unwrap_or_default());
        Self {
            line,
            column: row.chars().count() + 1,
            resume: line,
            message: "a control character stands here: remove it, or write it as an escape in double quotes".to_owned(),
        }
    }
}

/// A place behind the text is that of its end.
fn place(mark: Mark, text: &str) -> (usize, usize) {
    if mark.index > text.len() as u64 {
        let last = text.rsplit('\n').next().unwrap_or_default();
        return (text.matches('\n').count() + 1, last.chars().count() + 1);
    }
    let counted = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_add(1);
    (counted(mark.line), counted(mark.column))
}

/// `at` is the character that stands at the place, `began` the line in which what was being read began.
fn message(error: &Error, at: Option<char>, began: usize) -> String {
    let is_alias = error.context() == Some("while scanning an alias");
    match error.problem() {
        _ if is_alias => "`*` begins an alias: put a text that begins with it in quotes, as in '*.yml'".to_owned(),
        "did not find expected alphabetic or numeric character" => {
            "`&` begins an anchor: put a text that begins with it in quotes".to_owned()
        }
        "found character that cannot start any token" => match at {
            Some('\t') => "a tab cannot indent: use spaces".to_owned(),
            Some(at) => format!("a text cannot begin with `{at}`: put it in quotes"),
            None => "a value cannot begin here".to_owned(),
        },
        "found a tab character that violates indentation"
        | "found a tab character where an indentation space is expected" => {
            "a tab cannot indent: use spaces".to_owned()
        }
        "mapping values are not allowed in this context" => {
            "a `:` stands where no key ends: put a text with `: ` in it in quotes, and indent keys of one map alike"
                .to_owned()
        }
        "block sequence entries are not allowed in this context" => {
            "a `-` stands where no list goes on: put the list in lines of its own, its dashes below each other"
                .to_owned()
        }
        "mapping keys are not allowed in this context" => {
            "a `?` stands where no key can be: put it in quotes".to_owned()
        }
        "did not find expected key" => format!(
            "this does not continue the map of line {began}: indent its keys alike, and close quotes and brackets before it"
        ),
        "did not find expected '-' indicator" => {
            format!("this does not continue the list of line {began}: its entries begin with `- ` below each other")
        }
        "did not find expected ',' or ']'" => {
            format!(
                "the list that begins with `[` in line {began} lacks a `,` or a `]`, or a text with brackets in it lacks quotes"
            )
        }
        "did not find expected ',' or '}'" => {
            format!(
                "the map that begins with `{{` in line {began} lacks a `,` or a `}}`, or a text with braces in it lacks quotes"
            )
        }
        "did not find expected node content" => "a value is missing here".to_owned(),
        "could not find expected ':'" => format!("the key in line {began} has no `:` behind it"),
        "found unexpected end of stream" | "found unexpected document indicator" => {
            format!("the quotes that open in line {began} are never closed")
        }
        "found unknown escape character" => {
            "double quotes know no such escape: write \\\\ for a backslash, or use single quotes".to_owned()
        }
        "did not find expected hexdecimal number" => "hexadecimal digits are missing in this escape".to_owned(),
        "found invalid Unicode character escape code" => {
            "there is no such character: this escape names none".to_owned()
        }
        "did not find expected comment or line break" => {
            format!("nothing but a comment may follow in the line of a `|`, a `>` or a `%` (line {began})")
        }
        "found an indentation indicator equal to 0" => "the number behind `|` or `>` is 1 to 9".to_owned(),
        "did not find expected <document start>" => {
            "something follows the end of the document: indent it as the rest, or remove it".to_owned()
        }
        "found undefined tag handle" => "this tag is not known: leave it out".to_owned(),
        "found incompatible YAML document" => {
            "this version of YAML is not known: leave the line `%YAML` out".to_owned()
        }
        "found unexpected ':'" => "a `:` stands within a text here: put the text in quotes".to_owned(),
        "did not find expected whitespace or line break" if error.context() == Some("while scanning a tag") => {
            "`!` begins a tag: put a text that begins with it in quotes".to_owned()
        }
        _ => "this is no YAML: look at the indentation, quotes and brackets here and before".to_owned(),
    }
}
