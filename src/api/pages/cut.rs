//! How much of what others chose stands on a page: labels may be of any length, pages are not. All of it is in the API. Pure.

use rosterd_model::Report;

use super::super::words::{counted, grouped};
use super::story::Changed;
use crate::explain::Change;

/// How long a value is shown, and a list of labels or of changes, in bytes as they are written.
const LINE: usize = 1_200;
const LIST: usize = 8_000;
/// How long a text in the address of a page may be. Servers and browsers take some thousand bytes.
const LINK: usize = 500;
/// What stands on a page around each of them.
const AROUND: usize = 50;
/// What stands in a page as the number of a character, and how long that is.
const ESCAPED: &[u8] = b"<>&\"'";
const ESCAPE: usize = "&#34;".len();

/// A label, or how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) text: String,
    /// Whether only scraping needs it.
    pub(super) is_own: bool,
}

/// A line of a list, and the code of what it tells of, which is explained elsewhere; empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) code: String,
}

/// How long a text is on a page, where some characters are written as numbers.
pub(super) fn written(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| ESCAPED.contains(byte)).count() * (ESCAPE - 1)
}

/// A text, at most as long as a line of a list may be.
pub(super) fn line(text: &str) -> String {
    let shown = first_written(text, LINE);
    match text.len() - shown.len() {
        0 => text.to_owned(),
        more => format!("{shown}… (and {})", counted(more, "byte")),
    }
}

/// As much of a text as the address of a page may have.
pub(super) fn linked(text: &str) -> &str {
    beginning(text, LINK)
}

/// Whether the address of a page may have all of it.
pub(super) fn is_linked(text: &str) -> bool {
    text.len() <= LINK
}

/// Lines, cut, so many at most and as many as there is room for, and how many more there are.
pub(super) fn lines(all: impl IntoIterator<Item = String>, most: usize, room: usize) -> Vec<String> {
    coded_lines(all.into_iter().map(Line::from), most, room).into_iter().map(|line| line.text).collect()
}

/// The same of lines that have codes.
pub(super) fn coded_lines(all: impl IntoIterator<Item = Line>, most: usize, room: usize) -> Vec<Line> {
    // Those beyond the most take all the room that there is.
    let cut = |(number, line): (usize, Line)| (number, line.cut());
    let size = |(number, line): &(usize, Line)| if *number < most { line.size() } else { room + 1 };
    let more = |more| (0, Line::from(format!("and {} more", grouped(more as u64))));
    let shown = first(all.into_iter().enumerate().map(cut), room, size, more);
    shown.into_iter().map(|(_, line)| line).collect()
}

/// The beginning of a text that takes no more than that many bytes as it is written.
pub(super) fn first_written(text: &str, most: usize) -> &str {
    if text.len() <= most / ESCAPE {
        return text;
    }
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, character)| {
        let escaped = u8::try_from(*character).is_ok_and(|byte| ESCAPED.contains(&byte));
        bytes += if escaped { ESCAPE } else { character.len_utf8() };
        bytes > most
    });
    end.map_or(text, |(end, _)| &text[..end])
}

fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Labels with whether only scraping needs them.
pub(super) fn labels<'a>(all: impl Iterator<Item = (&'a str, &'a str, bool)>) -> Vec<Label> {
    let label = |(name, value, is_own)| Label { text: format!("{}=\"{}\"", line(name), line(value)), is_own };
    let more = |more| Label { text: format!("and {}", counted(more, "more label")), is_own: false };
    first(all.map(label), LIST, Label::size, more)
}

/// Labels of which a page needs to know no more.
pub(super) fn plain<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Label> {
    labels(all.map(|(name, value)| (name, value, false)))
}

/// Changes of labels, which take no more than that many bytes.
pub(super) fn changes(all: &[Change], most: usize) -> Vec<Changed> {
    first(all.iter().map(Changed::of), most.min(LIST), Changed::size, Changed::more)
}

/// How long labels are on a page.
pub(super) fn size(labels: &[Label]) -> usize {
    labels.iter().map(Label::size).sum()
}

/// As many rows as there is room for: one more is begun as long as those before it are shorter.
pub(super) fn as_fits<T>(rows: impl Iterator<Item = T>, room: usize, length: impl Fn(&T) -> usize) -> Vec<T> {
    let mut before = 0;
    let fits = |row: &T| {
        let fits = before < room;
        before += length(row);
        fits
    };
    rows.take_while(fits).collect()
}

/// The first that take no more than that many bytes, one at least, and how many are left.
fn first<T>(
    mut all: impl Iterator<Item = T>,
    most: usize,
    size: impl Fn(&T) -> usize,
    more: impl FnOnce(usize) -> T,
) -> Vec<T> {
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for next in all.by_ref() {
        bytes += size(&next);
        if bytes > most && !shown.is_empty() {
            shown.push(more(1 + all.count()));
            break;
        }
        shown.push(next);
    }
    shown
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self { text, code: String::new() }
    }
}

impl Line {
    /// What is said of an error.
    pub(super) fn of(text: String, report: &Report) -> Self {
        Self { text, code: report.code.clone() }
    }

    /// The same, at most as long as a line may be.
    pub(super) fn cut(self) -> Self {
        Self { text: line(&self.text), ..self }
    }

    /// About how long it is on the page.
    pub(super) fn size(&self) -> usize {
        // The code stands in a link, too.
        let coded = if self.code.is_empty() { 0 } else { 3 * AROUND + 2 * self.code.len() };
        written(&self.text) + AROUND + coded
    }
}

impl Label {
    fn size(&self) -> usize {
        written(&self.text) + AROUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_where_characters_end_and_says_how_much_is_left() {
        assert_eq!(line("short"), "short");
        assert_eq!(line(&"x".repeat(LINE)), "x".repeat(LINE));
        let cut = line(&format!("x{}", "é".repeat(LINE)));
        assert_eq!(cut.replace('\u{202f}', " "), format!("x{}… (and 1 202 bytes)", "é".repeat(LINE / 2 - 1)));
        assert_eq!(line(&"<".repeat(LINE)), format!("{}… (and 960 bytes)", "<".repeat(LINE / 5)));
        assert_eq!(
            (written("a<b"), written(&line(&"'\"&<>".repeat(LINE)))),
            (7, LINE + "… (and 5\u{202f}760 bytes)".len())
        );
        let short = |count: usize| (0..count).map(|number| number.to_string());
        assert_eq!(lines(short(4), 2, 400), ["0", "1", "and 2 more"]);
        assert_eq!(lines(short(2), 2, 400), ["0", "1"]);
        let few = lines((0..9).map(|number| format!("{number}{}", "x".repeat(50))), 100, 400);
        assert_eq!((few.len(), few[3].as_str()), (4, "and 6 more"));
        assert_eq!(linked(&"é".repeat(LINK)).len(), LINK);
        assert!(is_linked("a:1") && !is_linked(&"é".repeat(LINK)));
    }

    #[test]
    fn of_many_labels_the_first_are_shown_and_the_others_counted() {
        let value = "v".repeat(100);
        let names: Vec<_> = (0..1000).map(|number| format!("l{number:03}")).collect();
        let shown = plain(names.iter().map(|name| (name.as_str(), value.as_str())));
        let (last, first) = shown.split_last().unwrap();
        assert!(first.len() > 30 && size(first) <= LIST, "{}", first.len());
        assert_eq!(last.text, format!("and {} more labels", 1000 - first.len()));
        assert_eq!(plain([("a", "1"), ("b", "2")].into_iter()).len(), 2);
    }
}
