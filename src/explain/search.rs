//! What somebody searches for: words, or a selector. The same on pages, in the API and on the command line. Pure.

use std::collections::HashSet;
use std::fmt;

use memchr::memmem::Finder;
use rosterd_model::labels::{
    ADDRESS, INSTANCE, METRICS_PATH, RESERVED_PREFIX, SCHEME, SCRAPE_INTERVAL, SCRAPE_TIMEOUT,
};
use rosterd_model::selector::SelectorError;
use rosterd_model::target::Target;
use rosterd_model::{Coded, Labels, Priority, Retry, Selector};

/// How many different words a search may have, and how many comparisons its selector: each is made with all entries.
const MOST_WORDS: usize = 50;
const MOST_COMPARISONS: usize = 200;
/// A search with more takes long in a large roster.
const FEW: usize = 5;

/// Which label sets are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Those in which each of these words is a part of the value of a label, whatever its case. A URL stands for its host and
    /// port, and `name=value` is a word, too: it means values of the label with that name.
    Words(Words),
    /// Those that this means.
    Selector(Selector),
}

/// Why a text is not searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// It begins like a selector, and is none.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// It asks for more than anybody needs.
    #[error(
        "a search has at most {most} {what}, and this one has {found}: search for less, or for one after the other"
    )]
    TooLong {
        /// What it has too many of.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many it may have.
        most: usize,
    },
}

impl Coded for SearchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Selector(error) => error.code(),
            Self::TooLong { .. } => "search_too_long",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// Words in small letters, each of them once, ready to be looked for.
#[derive(Debug, Clone, Default)]
pub struct Words(Vec<Word>);

#[derive(Debug, Clone)]
struct Word {
    text: String,
    /// Itself or, of a URL, host and port.
    sought: Finder<'static>,
    /// Of `name=value`, the name and what has to be in a value of it.
    named: Option<(String, Finder<'static>)>,
}

/// Scratch space of one search.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<u8>,
}

/// How well labels are what is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Not at all.
    No,
    /// They hold the words as parts of longer ones.
    Part,
    /// They are what the selector means; or each word is the whole value of a label, or the host of an address.
    Whole,
}

impl Search {
    /// Reads a text. What begins like a selector has to be one.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let text = text.trim();
        if text.starts_with(['{', '(']) {
            return within_bounds(text.parse()?).map(Self::Selector);
        }
        let (mut seen, mut words) = (HashSet::new(), Vec::new());
        words.extend(text.split_whitespace().map(str::to_ascii_lowercase).filter(|word| seen.insert(word.clone())));
        if words.len() > MOST_WORDS {
            return Err(SearchError::TooLong { what: "different words", found: words.len(), most: MOST_WORDS });
        }
        Ok(Self::Words(Words(words.into_iter().map(Word::of).collect())))
    }

    /// Whether it is so much that it takes long to look at an entry.
    pub(super) fn is_long(&self) -> bool {
        match self {
            Self::Words(Words(words)) => words.len() > FEW,
            Self::Selector(selector) => comparisons(selector) > FEW,
        }
    }

    /// Whether it means everything.
    pub fn is_all(&self) -> bool {
        match self {
            Self::Words(Words(words)) => words.is_empty(),
            Self::Selector(selector) => *selector == Selector::All,
        }
    }

    /// Whether a target is meant, by the labels that its series get.
    pub fn finds(&self, labels: &Labels, scratch: &mut Scratch) -> bool {
        let target = Target(labels);
        match self {
            Self::Words(words) => {
                let public = labels.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
                self.is_all() || words.may_be_in(labels, scratch) && words.are_in(public, &mut scratch.text)
            }
            Self::Selector(selector) => selector.matches_by(&|name| target.public_label(name)),
        }
    }

    /// How well these labels fit, all of them.
    pub fn fit_of(&self, labels: &Labels, scratch: &mut Scratch) -> Fit {
        match self {
            Self::Words(words) if !words.may_be_in(labels, scratch) => Fit::No,
            Self::Words(_) => self.fit(labels.iter(), scratch),
            Self::Selector(selector) if selector.matches(labels) => Fit::Whole,
            Self::Selector(_) => Fit::No,
        }
    }

    /// How well these labels fit, all of them. Where a name is there twice, a selector looks at the first one.
    pub fn fit<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, scratch: &mut Scratch) -> Fit {
        match self {
            Self::Words(words) if !words.are_in(labels.clone(), &mut scratch.text) => Fit::No,
            Self::Words(Words(words)) => {
                let whole = |word: &Word| labels.clone().any(|(name, value)| is_whole(&word.text, name, value));
                if words.iter().all(whole) { Fit::Whole } else { Fit::Part }
            }
            Self::Selector(selector) => {
                let value = |name: &str| labels.clone().find(|(known, _)| *known == name).map(|(_, value)| value);
                if selector.matches_by(&value) { Fit::Whole } else { Fit::No }
            }
        }
    }

    /// Whether labels whose values stand in this text, among whatever else, may make others fit that do not fit without them, or better.
    pub fn is_touched_by(&self, text: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            Self::Words(Words(words)) => {
                scratch.take(text);
                words.iter().any(|word| word.may_be_in(&scratch.text))
            }
            Self::Selector(selector) => selector.values().is_none_or(|values| {
                values.into_iter().any(|value| memchr::memmem::find(text, value.as_bytes()).is_some())
            }),
        }
    }

    /// The address that is searched for, if it is no more than that.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Words(Words(words)) => match &words[..] {
                [word] if !word.text.contains('=') => Some(authority(&word.text)),
                _ => None,
            },
            Self::Selector(Selector::Matcher(matcher)) if matches!(matcher.name(), ADDRESS | INSTANCE) => {
                Some(matcher.value())
            }
            Self::Selector(_) => None,
        }
    }
}

/// The text that is read as the same search.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(Words(words)) => {
                let words: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
                f.write_str(&words.join(" "))
            }
            Self::Selector(selector) => selector.fmt(f),
        }
    }
}

/// The selector, unless it asks for more than anybody needs.
pub fn within_bounds(selector: Selector) -> Result<Selector, SearchError> {
    match comparisons(&selector) {
        found if found > MOST_COMPARISONS => {
            Err(SearchError::TooLong { what: "comparisons", found, most: MOST_COMPARISONS })
        }
        _ => Ok(selector),
    }
}

/// How many labels a selector compares with a value.
fn comparisons(selector: &Selector) -> usize {
    match selector {
        Selector::All => 0,
        Selector::Matcher(_) => 1,
        Selector::And(all) | Selector::Or(all) => all.iter().map(comparisons).sum(),
        Selector::Not(inner) => comparisons(inner),
    }
}

/// Host and port of a URL; any other word is what it is.
fn authority(word: &str) -> &str {
    let rest = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"));
    rest.map_or(word, |rest| rest.split('/').next().unwrap_or(rest))
}

impl Word {
    /// A word in small letters.
    fn of(text: String) -> Self {
        let finder = |part: &str| Finder::new(part).into_owned();
        let named = text.split_once('=').map(|(name, part)| (name.to_owned(), finder(part)));
        Self { sought: finder(authority(&text)), named, text }
    }

    /// Whether it may be in one of the values that stand in this text, in small letters.
    fn may_be_in(&self, text: &[u8]) -> bool {
        let is_in = |sought: &Finder<'_>| sought.find(text).is_some();
        self.named.as_ref().is_some_and(|(_, part)| is_in(part)) || is_in(&self.sought)
    }

    /// Whether a label that it names has its value, or a longer one.
    fn is_named_by<'a>(&self, mut labels: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        self.named.as_ref().is_some_and(|(wanted, part)| {
            let has = |value: &str| part.find(value.to_ascii_lowercase().as_bytes()).is_some();
            labels.any(|(name, value)| name.eq_ignore_ascii_case(wanted) && has(value))
        })
    }
}

/// Equal when the words are.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|word| &word.text).eq(other.0.iter().map(|word| &word.text))
    }
}

impl Eq for Words {}

impl Words {
    /// Whether labels hold all of them. What a word says of a URL besides host and port need not be there.
    fn are_in<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, text: &mut Vec<u8>) -> bool {
        text.clear();
        for (_, value) in labels.clone().filter(|(name, _)| is_telling(name)) {
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        text.make_ascii_lowercase();
        self.0.iter().all(|word| word.sought.find(text).is_some() || word.is_named_by(labels.clone()))
    }

    /// Whether these labels may hold all of them: a quick look that puts aside most that do not.
    fn may_be_in(&self, labels: &Labels, scratch: &mut Scratch) -> bool {
        scratch.take(labels.packed_values());
        self.0.iter().all(|word| word.may_be_in(&scratch.text))
    }
}

impl Scratch {
    /// Takes a text, in small letters.
    fn take(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.text.make_ascii_lowercase();
    }
}

/// Whether words are looked for in a label that they do not name: how to scrape is much the same everywhere, and no part of what a
/// target is called.
fn is_telling(name: &str) -> bool {
    !matches!(name, SCHEME | METRICS_PATH | SCRAPE_INTERVAL | SCRAPE_TIMEOUT)
}

/// Whether the word is all that a label says.
fn is_whole(word: &str, name: &str, value: &str) -> bool {
    let is = |text: &str| text.eq_ignore_ascii_case(word) || text.eq_ignore_ascii_case(authority(word));
    let pair = || {
        word.split_once('=')
            .is_some_and(|(one, other)| name.eq_ignore_ascii_case(one) && value.eq_ignore_ascii_case(other))
    };
    let host = || matches!(name, ADDRESS | INSTANCE) && value.rsplit_once(':').is_some_and(|(host, _)| is(host));
    (is_telling(name) && is(value)) || pair() || host()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let labels =
            [("__address__", "10.0.3.7:9100"), ("__scheme__", "https"), ("env", "Prod"), ("instance", "web-1:9100")];
        labels.into_iter().collect()
    }

    #[test]
    fn words_and_selectors_find_targets_by_their_public_labels() {
        for (text, found) in [
            ("", true),
            ("WEB prod", true),
            ("env=prod", true),
            ("web test", false),
            ("https", false),
            ("9100env", false),
            ("env", false),
            ("instance", false),
            ("ENV=pro", true),
            ("env=web", false),
            ("en=prod", false),
            ("instance=9100 prod", true),
            ("http://web-1:9100/metrics?x=y", true),
            (" {env=\"Prod\"}", true),
            ("{env=\"prod\"}", false),
            ("({env=\"x\"} or {instance=~\"web-.*\"})", true),
            ("{__scheme__=\"https\"}", false),
        ] {
            let search = Search::parse(text).unwrap();
            assert_eq!(
                (search.finds(&labels(), &mut Scratch::default()), search.is_all()),
                (found, text.is_empty()),
                "{text}"
            );
        }
        assert!(Search::parse("{env").is_err());
    }

    #[test]
    fn whole_values_fit_better_than_parts_of_them() {
        for (text, fit) in [
            ("10.0.3.7:9100", Fit::Whole),
            ("10.0.3.7", Fit::Whole),
            ("WEB-1", Fit::Whole),
            ("https://10.0.3.7:9100/metrics", Fit::Whole),
            ("prod __scheme__=https", Fit::Whole),
            ("env=prod", Fit::Whole),
            ("0.0.3.7", Fit::Part),
            ("9100", Fit::Part),
            ("env=pro", Fit::Part),
            ("e", Fit::Part),
            ("address", Fit::No),
            ("__scheme__", Fit::No),
            ("https", Fit::No),
            ("prod web", Fit::Part),
            ("scheme", Fit::No),
            ("__SCHEME__=http web", Fit::Part),
            ("SCHEME__=http web", Fit::No),
            ("instance=", Fit::Part),
            ("=web", Fit::No),
            ("10.0.3.70", Fit::No),
            ("prodinstance", Fit::No),
            ("env=web", Fit::No),
            ("{__scheme__=\"https\"}", Fit::Whole),
            ("{__scheme__=\"http\"}", Fit::No),
        ] {
            let search = Search::parse(text).unwrap();
            assert_eq!(search.fit(labels().iter(), &mut Scratch::default()), fit, "{text}");
            assert_eq!(search.fit_of(&labels(), &mut Scratch::default()), fit, "{text}");
            assert_eq!(Search::parse(&search.to_string()).as_ref(), Ok(&search));
        }
    }

    #[test]
    fn of_labels_under_one_name_a_selector_sees_the_first() {
        let search = Search::parse("{env!=\"prod\"}").unwrap();
        let fit = |labels: [(&'static str, &'static str); 2]| search.fit(labels.into_iter(), &mut Scratch::default());
        assert_eq!(fit([("env", "prod"), ("env", "test")]), Fit::No);
        assert_eq!(fit([("env", "test"), ("env", "prod")]), Fit::Whole);
    }

    #[test]
    fn equal_words_count_once_and_too_many_are_refused() {
        let many = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        let of_words = |text: &str| Search::parse(text).map(|search| search.to_string());
        assert_eq!(of_words(&"a B A ".repeat(2000)).as_deref(), Ok("a b"));
        assert_eq!(of_words(&many(MOST_WORDS)), Ok(many(MOST_WORDS)));
        let told = of_words(&many(2000)).unwrap_err().to_string();
        assert!(told.starts_with("a search has at most 50 different words, and this one has 2000"), "{told}");
        let selector = |count: usize| vec!["{a=\"b\"}"; count].join(" or ");
        assert!(Search::parse(&selector(MOST_COMPARISONS)).unwrap().is_long());
        let told = Search::parse(&selector(MOST_COMPARISONS + 1)).unwrap_err();
        assert_eq!(told.code(), "search_too_long");
        assert!(!Search::parse("a b c").unwrap().is_long());
    }

    #[test]
    fn an_address_is_told_from_other_searches() {
        for (text, address) in [
            ("10.0.3.7:9100", Some("10.0.3.7:9100")),
            ("http://A:1/x", Some("a:1")),
            ("{instance=\"a:1\"}", Some("a:1")),
            ("{job=\"a\"}", None),
            ("a b", None),
            ("env=x", None),
        ] {
            assert_eq!(Search::parse(text).unwrap().address(), address, "{text}");
        }
    }

    #[test]
    fn what_holds_nothing_of_a_search_does_not_touch_it() {
        let text = b"\x08__meta_x\x04Prod\x03env\x01-";
        for (search, touched) in [
            ("prod", true),
            ("env=prod", true),
            ("prod test", true),
            ("env=", true),
            ("test", false),
            ("env=test", false),
            ("{env=\"Prod\"}", true),
            ("{env=\"prod\"}", false),
            ("{env=\"test\"} or {__meta_x=\"Prod\"}", true),
            ("{env!=\"test\"}", true),
        ] {
            let touches = Search::parse(search).unwrap().is_touched_by(text, &mut Scratch::default());
            assert_eq!(touches, touched, "{search}");
        }
    }
}
