//! What somebody searches for: words, or a selector. The same on pages, in the API and on the command line. Pure.

use std::fmt;

use rosterd_model::labels::{
    ADDRESS, INSTANCE, METRICS_PATH, RESERVED_PREFIX, SCHEME, SCRAPE_INTERVAL, SCRAPE_TIMEOUT,
};
use rosterd_model::selector::SelectorError;
use rosterd_model::target::Target;
use rosterd_model::{Labels, Selector};

/// Which label sets are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Those in which each of these words is a part of the value of a label, whatever its case. A URL stands for its host and
    /// port, and `name=value` is a word, too: it means values of the label with that name.
    Words(Vec<String>),
    /// Those that this means.
    Selector(Selector),
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
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        match text.starts_with(['{', '(']) {
            true => text.parse().map(Self::Selector),
            false => Ok(Self::Words(text.split_whitespace().map(str::to_ascii_lowercase).collect())),
        }
    }

    /// Whether it means everything.
    pub fn is_all(&self) -> bool {
        match self {
            Self::Words(words) => words.is_empty(),
            Self::Selector(selector) => *selector == Selector::All,
        }
    }

    /// Whether a target is meant, by the labels that its series get. The buffer is scratch space.
    pub fn finds(&self, labels: &Labels, buffer: &mut String) -> bool {
        let target = Target(labels);
        match self {
            Self::Words(words) => {
                let public = labels.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
                words.is_empty() || holds(words, public, buffer)
            }
            Self::Selector(selector) => selector.matches_by(&|name| target.public_label(name)),
        }
    }

    /// How well these labels fit, all of them. Where a name is there twice, a selector looks at the first one. The buffer is
    /// scratch space.
    pub fn fit<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, buffer: &mut String) -> Fit {
        match self {
            Self::Words(words) if !holds(words, labels.clone(), buffer) => Fit::No,
            Self::Words(words) => {
                let whole = |word: &String| labels.clone().any(|(name, value)| is_whole(word, name, value));
                if words.iter().all(whole) { Fit::Whole } else { Fit::Part }
            }
            Self::Selector(selector) => {
                let value = |name: &str| labels.clone().find(|(known, _)| *known == name).map(|(_, value)| value);
                if selector.matches_by(&value) { Fit::Whole } else { Fit::No }
            }
        }
    }

    /// The address that is searched for, if it is no more than that.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Words(words) => match &words[..] {
                [word] if !word.contains('=') => Some(authority(word)),
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
            Self::Words(words) => f.write_str(&words.join(" ")),
            Self::Selector(selector) => selector.fmt(f),
        }
    }
}

/// Host and port of a URL; any other word is what it is.
fn authority(word: &str) -> &str {
    let rest = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"));
    rest.map_or(word, |rest| rest.split('/').next().unwrap_or(rest))
}

/// Whether words are looked for in a label that they do not name: how to scrape is much the same everywhere, and no part of what a
/// target is called.
fn is_telling(name: &str) -> bool {
    !matches!(name, SCHEME | METRICS_PATH | SCRAPE_INTERVAL | SCRAPE_TIMEOUT)
}

/// Whether labels hold all words.
fn holds<'a>(words: &[String], labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, buffer: &mut String) -> bool {
    buffer.clear();
    for (_, value) in labels.clone().filter(|(name, _)| is_telling(name)) {
        buffer.extend([value, "\n"]);
    }
    buffer.make_ascii_lowercase();
    let is_value = |word: &str| buffer.contains(word) || buffer.contains(authority(word));
    let is_named = |word: &str| {
        word.split_once('=').is_some_and(|(wanted, part)| {
            let mut named = labels.clone().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            named.any(|(_, value)| value.to_ascii_lowercase().contains(part))
        })
    };
    words.iter().all(|word| is_value(word) || is_named(word))
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
                (search.finds(&labels(), &mut String::new()), search.is_all()),
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
            ("10.0.3.70", Fit::No),
            ("{__scheme__=\"https\"}", Fit::Whole),
            ("{__scheme__=\"http\"}", Fit::No),
        ] {
            let search = Search::parse(text).unwrap();
            assert_eq!(search.fit(labels().iter(), &mut String::new()), fit, "{text}");
            assert_eq!(Search::parse(&search.to_string()).as_ref(), Ok(&search));
        }
    }

    #[test]
    fn of_labels_under_one_name_a_selector_sees_the_first() {
        let search = Search::parse("{env!=\"prod\"}").unwrap();
        let fit = |labels: [(&'static str, &'static str); 2]| search.fit(labels.into_iter(), &mut String::new());
        assert_eq!(fit([("env", "prod"), ("env", "test")]), Fit::No);
        assert_eq!(fit([("env", "test"), ("env", "prod")]), Fit::Whole);
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
}
