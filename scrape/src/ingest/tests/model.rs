//! Any sequence of scrapes, beside a model without any of the shortcuts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A line of an exposition.
#[derive(Debug, Clone, Copy)]
struct Line {
    series: u8,
    value: u8,
    time: Option<i64>,
}

/// A body, and before which line it has a fault.
type Body = (Vec<Line>, Option<usize>);

/// What Prometheus does, series by their final labels.
#[derive(Default)]
struct Model {
    limit: usize,
    last: BTreeSet<String>,
    known: BTreeSet<String>,
    times: BTreeMap<String, i64>,
}

/// Samples by series and time, how many samples there were, and how many series were new.
type Scrape = (BTreeMap<(String, i64), String>, usize, usize);

impl Model {
    fn scrape(&mut self, body: Option<&Body>, at_ms: i64) -> Scrape {
        let (mut out, mut now, mut seen, mut news) =
            (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut scraped, mut appended, mut times) = (0, 0, self.times.clone());
        let (lines, fault) = body.cloned().unwrap_or_default();
        let end = fault.map_or(lines.len(), |fault| fault.min(lines.len()));
        for line in &lines[..end] {
            let labels = labels_of(line.series);
            scraped += 1;
            if !seen.insert(labels.clone()) && line.time.is_none() {
                continue;
            }
            appended += 1;
            if self.limit > 0 && appended > self.limit {
                continue;
            }
            let newest = line.time.and_then(|time| times.insert(labels.clone(), time).map(|newest| (newest, time)));
            if let Some((newest, time)) = newest.filter(|(newest, time)| newest >= time) {
                times.insert(labels, newest.max(time));
                continue;
            }
            out.entry((labels.clone(), line.time.unwrap_or(at_ms))).or_insert_with(|| line.value.to_string());
            if line.time.is_none() {
                now.insert(labels.clone());
            }
            news.insert(labels);
        }
        let failed = fault.is_some() || self.limit > 0 && appended > self.limit;
        if failed {
            out.clear();
        }
        for gone in self.last.difference(&now) {
            out.insert((gone.clone(), at_ms), "stale".to_owned());
        }
        let added = news.difference(&self.known).count();
        let there: BTreeSet<String> = lines[..end].iter().map(|line| labels_of(line.series)).collect();
        if failed && !there.is_empty() {
            self.known.extend(news);
            self.times.clear();
        } else if !there.is_empty() {
            self.known = there.clone();
            self.times = times.into_iter().filter(|(series, _)| there.contains(series)).collect();
        }
        self.last = now;
        (out, scraped, added)
    }
}

fn labels_of(series: u8) -> String {
    let (name, label) = (series % 8, series / 8);
    match label {
        0 => format!("__name__=m{name},instance=h:1,job=j"),
        label => format!("__name__=m{name},a={label},instance=h:1,job=j"),
    }
}

fn text_of((lines, fault): &Body) -> String {
    let line = |line: &Line| {
        let labels = if line.series / 8 == 0 { String::new() } else { format!("{{a=\"{}\"}}", line.series / 8) };
        let time = line.time.map_or(String::new(), |time| format!(" {time}"));
        format!("m{}{labels} {}{time}\n", line.series % 8, line.value)
    };
    let mut lines: Vec<String> = lines.iter().map(line).collect();
    if let Some(fault) = *fault {
        lines.insert(fault.min(lines.len()), "?\n".to_owned());
    }
    lines.concat()
}

/// Every third series carries timestamps: what becomes of a mix is another matter.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (0..24u8, 0..9u8, 1..6i64).prop_map(|(series, value, time)| Line {
        series,
        value,
        time: Some(time).filter(|_| series.is_multiple_of(3)),
    });
    prop::collection::vec(line, 0..12)
}

/// Bodies that mostly have the series of the one before.
fn bodies() -> impl Strategy<Value = Vec<Option<Body>>> {
    let body = (lines(), prop::option::weighted(0.15, 0..12usize), prop::bool::weighted(0.5));
    prop::collection::vec(prop::option::weighted(0.85, body), 1..8).prop_map(|scrapes| {
        let mut last: Vec<Line> = Vec::new();
        let body = |scrape: Option<(Vec<Line>, Option<usize>, bool)>| {
            let (mut lines, fault, again) = scrape?;
            if again {
                let newer = |line: &Line| Line { time: line.time.map(|time| time + 1), ..*line };
                let extra = lines.len() / 8;
                lines.truncate(extra);
                lines.splice(0..0, last.iter().map(newer));
            }
            last = lines.clone();
            Some((lines, fault))
        };
        scrapes.into_iter().map(body).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_sequence_of_scrapes_gives_what_the_model_gives(scrapes in bodies(), limit in prop::option::weighted(0.3, 1..12usize)) {
        let limit = limit.unwrap_or(0);
        let mut scraped = Scraped::with(Rules { sample_limit: limit, ..Rules::default() });
        let mut model = Model { limit, ..Model::default() };
        for (round, body) in scrapes.into_iter().enumerate() {
            let at_ms = 1000 + round as i64;
            let (expected, samples, added) = model.scrape(body.as_ref(), at_ms);
            let ingested = match &body {
                Some(body) => scraped.ingest(&text_of(body), at_ms).unwrap_or_else(|(_, ingested)| ingested),
                None => {
                    scraped.fail(at_ms);
                    Ingested::default()
                }
            };
            let block = scraped.block();
            let found: BTreeMap<_, _> = block.iter().map(|line| {
                let mut parts = line.rsplitn(3, ' ');
                let at: i64 = parts.next().and_then(|at| at.parse().ok()).expect("it ends with a timestamp");
                let value = parts.next().expect("it has a value").to_owned();
                ((parts.next().expect("it has labels").to_owned(), at), value)
            }).collect();
            prop_assert_eq!(block.len(), found.len(), "nothing comes twice");
            prop_assert_eq!(found, expected);
            prop_assert_eq!((ingested.scraped, ingested.kept, ingested.added), (samples, samples, added));
        }
    }
}
