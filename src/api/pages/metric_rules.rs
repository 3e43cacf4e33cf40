//! `/relabel/metrics`: what `metric_relabel_configs` make of an exposition, series by series. Nothing of it is kept.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_exposition::{Dialect, Entry, Parse, Sample, TextParser};
use rosterd_model::relabel::{Rules, Scratch};
use rosterd_model::{Builder, Labels, Names};

use super::super::State;
use super::super::query::Query;
use super::super::words::counted;
use super::shell::{Shell, page};
use super::workbench::{compile, too_large};

/// How many series are shown; all are counted.
const SHOWN: usize = 200;
/// The name of a series among its labels.
const NAME: &str = "__name__";

#[derive(Template)]
#[template(path = "metric_rules.html")]
struct Page {
    shell: Shell,
    rules: String,
    exposition: String,
    wrong: Vec<String>,
    tried: Option<Tried>,
}

/// What became of the series of an exposition.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tried {
    kept: usize,
    dropped: usize,
    series: Vec<Series>,
    /// Those that are not shown.
    more: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Series {
    before: String,
    /// As it is afterwards; empty where it was dropped, or is as before.
    after: String,
    word: String,
    class: &'static str,
}

/// The page.
pub(in crate::api) async fn metric_rules(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    let query = Query::of(&uri);
    let given = |name| query.get(name).unwrap_or_default().replace("\r\n", "\n");
    let (rules, exposition) = (given("rules"), given("exposition"));
    let mut wrong = Vec::new();
    let compiled = compile(&rules).map_err(|problems| wrong.extend(problems)).ok();
    let tried = compiled.filter(|_| !exposition.trim().is_empty()).map(|rules| attempt(&rules, &exposition));
    let tried = tried.and_then(|tried| tried.map_err(|error| wrong.push(error)).ok());
    page(&Page { shell: Shell::of(&state, "/relabel", "Metric rules"), rules, exposition, wrong, tried })
}

/// Applies rules to each series. Fails where the exposition cannot be read.
fn attempt(rules: &Rules, exposition: &str) -> Result<Tried, String> {
    let open_metrics = exposition.trim_end().ends_with("# EOF");
    let dialect = if open_metrics { Dialect::OpenMetrics } else { Dialect::Prometheus };
    let text = format!("{}\n", exposition.trim_end());
    let wrong = |error: rosterd_exposition::ParseError| format!("the exposition cannot be read: {error}");
    let mut parser = TextParser::new(text.as_bytes(), dialect).map_err(wrong)?;
    let (mut tried, mut scratch) = (Tried::default(), Scratch::default());
    while let Some(entry) = parser.next().map_err(wrong)? {
        let (Entry::Sample(sample) | Entry::Histogram(sample, _)) = entry else { continue };
        let labels = labels_of(sample);
        if let Some(why) = too_large(rules, &labels) {
            return Err(why);
        }
        let series = Series::of(&labels, rules, &mut scratch);
        if series.class == "down" {
            tried.dropped += 1
        } else {
            tried.kept += 1
        }
        if tried.series.len() < SHOWN { tried.series.push(series) } else { tried.more += 1 }
    }
    Ok(tried)
}

/// The labels of a series as rules see them.
fn labels_of(sample: Sample<'_>) -> Labels {
    std::iter::once((NAME, sample.name)).chain(sample.labels.iter()).collect()
}

impl Series {
    fn of(labels: &Labels, rules: &Rules, scratch: &mut Scratch) -> Self {
        let mut builder = Builder::new();
        builder.reset(labels);
        let dropped = rules.dropped_by(&mut builder, scratch);
        let after = builder.build(&mut Names::new());
        let (word, class, after) = match dropped {
            Some(rule) => (format!("dropped by rule {}", rule + 1), "down", String::new()),
            None if after == *labels => ("kept".to_owned(), "up", String::new()),
            None => ("changed".to_owned(), "warn", written(&after)),
        };
        Self { before: written(labels), after, word, class }
    }
}

/// A series as an exposition writes it.
fn written(labels: &Labels) -> String {
    let rest: Vec<_> =
        labels.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| format!("{name}={value:?}")).collect();
    let name = labels.get(NAME).unwrap_or_default();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(", ")) }
}

impl Tried {
    /// How many there were, in words.
    fn words(&self) -> String {
        format!("{}: {} kept, {} dropped", counted(self.kept + self.dropped, "sample"), self.kept, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "- {source_labels: [__name__], regex: go_.*, action: drop}\n- {regex: id, action: labeldrop}";

    #[test]
    fn each_series_is_kept_changed_or_dropped() {
        let text = "# HELP up x\nup 1\ngo_info{version=\"1\"} 1\nreads{id=\"7\", disk=\"a\"} 5 123";
        let tried = attempt(&compile(RULES).unwrap(), text).unwrap();
        let told = |series: &Series| format!("{} {} {}", series.before, series.word, series.after);
        let expected = [
            "up kept ",
            "go_info{version=\"1\"} dropped by rule 1 ",
            "reads{disk=\"a\", id=\"7\"} changed reads{disk=\"a\"}",
        ];
        assert_eq!(tried.series.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(tried.words(), "3 samples: 2 kept, 1 dropped");
        let open = attempt(&compile(RULES).unwrap(), "# TYPE a counter\na_total 1 # {t=\"1\"} 1\n# EOF").unwrap();
        assert_eq!((open.kept, open.dropped), (1, 0));
        let error = attempt(&Rules::default(), "a{").unwrap_err();
        assert!(error.starts_with("the exposition cannot be read: "), "{error}");
    }

    #[test]
    fn all_are_counted_and_some_are_shown() {
        let text = (0..500).map(|number| format!("a{{n=\"{number}\"}} 1\n")).collect::<String>();
        let tried = attempt(&Rules::default(), &text).unwrap();
        assert_eq!((tried.kept, tried.series.len(), tried.more), (500, SHOWN, 300));
    }
}
