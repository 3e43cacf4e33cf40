//! What the search field of the targets page takes: words, or a selector. Pure.

use rosterd_model::selector::SelectorError;
use rosterd_model::target::Target;
use rosterd_model::{Labels, Selector};

/// Which targets are searched for, by the labels that their series get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search {
    /// Those whose labels hold each of these words, whatever their case; `name=value` is a word too.
    Words(Vec<String>),
    /// Those that this means.
    Selector(Selector),
}

impl Search {
    /// Reads a text. What begins like a selector has to be one.
    pub(super) fn parse(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        match text.starts_with(['{', '(']) {
            true => text.parse().map(Self::Selector),
            false => Ok(Self::Words(text.split_whitespace().map(str::to_ascii_lowercase).collect())),
        }
    }

    /// Whether a target is among them. The buffer is scratch space.
    pub(super) fn finds(&self, labels: &Labels, buffer: &mut String) -> bool {
        let target = Target(labels);
        match self {
            Self::Words(words) if words.is_empty() => true,
            Self::Words(words) => {
                buffer.clear();
                for (name, value) in target.public() {
                    buffer.extend([name, "=", value, "\n"]);
                }
                buffer.make_ascii_lowercase();
                words.iter().all(|word| buffer.contains(word.as_str()))
            }
            Self::Selector(selector) => selector.matches_by(&|name| target.public_label(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_selectors_find_targets_by_their_public_labels() {
        let labels: Labels =
            [("__scheme__", "https"), ("env", "Prod"), ("instance", "web-1:9100")].into_iter().collect();
        for (text, found) in [
            ("", true),
            ("WEB prod", true),
            ("env=prod", true),
            ("web test", false),
            ("https", false),
            ("9100env", false),
            (" {env=\"Prod\"}", true),
            ("{env=\"prod\"}", false),
            ("({env=\"x\"} or {instance=~\"web-.*\"})", true),
            ("{__scheme__=\"https\"}", false),
        ] {
            assert_eq!(Search::parse(text).unwrap().finds(&labels, &mut String::new()), found, "{text}");
        }
        assert!(Search::parse("{env").is_err());
    }
}
