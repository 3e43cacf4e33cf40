//! `rosterd journal`: what happened to targets, when and why, asked of a running rosterd.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use rosterd_model::labels::{ADDRESS, INSTANCE, SCHEME};
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Labels, Report, Retry};
use rosterd_tasks::Schedule;

use super::Error;
use super::ask::{Question, Running};
use super::exit::{Failure, tell};
use super::print::plain;
use crate::explain::{Change, changes};
use crate::journal::{A_TIME, Event, Page, Time, time_of};

/// How many events are asked for at once.
const AT_ONCE: usize = 10_000;

/// A stream without a sign of life for so long has ended: rosterd gives one each 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// The longest pause before rosterd is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// See what happened to targets, when and why.
///
/// Asks a running rosterd for its journal, and prints the last events in the order in which they happened.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    running: Running,
    /// Events of targets that this means, such as {env="prod"}, or of an address
    #[arg(value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only events of this job; may be repeated
    #[arg(long = "job", value_name = "NAME")]
    jobs: Vec<String>,
    /// Only events of these kinds, separated by commas
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only events since this time, or since so long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Time>,
    /// Only events until this time, or until so long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Time>,
    /// How many of the last events
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Go on with what happens, also when rosterd has started anew
    #[arg(long, conflicts_with = "to")]
    follow: bool,
    /// How to print
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

/// How events and targets are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// A line for each
    Text,
    /// An object a line, with all there is to say
    Json,
}

/// A time, or a duration before now.
pub(super) fn time(text: &str) -> Result<Time, String> {
    time_of(text, SystemTime::now().into()).ok_or_else(|| format!("write {A_TIME}"))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (events, cursor) = last(args)?;
    let mut out = BufWriter::new(stdout().lock());
    events.iter().try_for_each(|event| print(&mut out, event, args.output)).map_err(Failure::of_output)?;
    out.flush().map_err(Failure::of_output)?;
    if events.is_empty() && !args.follow {
        let is_word = args.selector.as_ref().is_some_and(|selector| !selector.contains([':', '{', '.']));
        let job = if is_word { "; a job is named by --job" } else { "" };
        tell(format!("nothing like that happened, as far as the journal goes back{job}"));
    }
    if args.follow { follow(args, cursor, &mut out) } else { Ok(()) }
}

fn question<'q>(args: &'q Args, path: &'q str) -> Question<'q> {
    let mut question = Question::get(path).with("selector", args.selector.as_deref());
    for (name, values) in [("job", &args.jobs), ("kind", &args.kinds)] {
        question = values.iter().fold(question, |question, value| question.with(name, Some(value)));
    }
    question.with("from", args.from).with("to", args.to)
}

/// The last events, in the order in which they happened, and where to go on.
fn last(args: &Args) -> Result<(Vec<Event>, Option<u64>), Failure> {
    let (mut events, mut cursor, mut newest, mut gap): (Vec<Event>, Option<u64>, _, _) =
        (Vec::new(), None, None, false);
    // Whatever comes while these are asked for is followed, also where there is none of them.
    let known = if args.follow && args.limit > 0 { newest_of_all(args)? } else { None };
    // None at all are wanted by who follows alone; otherwise rosterd says that it cannot be.
    let is_wanted = |left: usize| left > 0 || args.limit == 0 && !args.follow;
    while let Some(left) = args.limit.checked_sub(events.len()).filter(|left| is_wanted(*left)) {
        let asked = question(args, "/api/v1/journal").with("limit", Some(left.min(AT_ONCE))).with("cursor", cursor);
        let page: Page = args.running.data(&asked)?;
        newest = newest.or(page.events.first().map(|event| event.number));
        gap |= page.gap;
        events.extend(page.events);
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    if gap {
        tell("warning: a part of the journal is damaged or missing, and there may have been other events");
    }
    events.reverse();
    Ok((events, newest.max(known)))
}

/// The number of the newest event, whatever it is.
fn newest_of_all(args: &Args) -> Result<Option<u64>, Failure> {
    let page: Page = args.running.data(&Question::get("/api/v1/journal").with("limit", Some(1)))?;
    Ok(page.events.first().map(|event| event.number))
}

/// Prints what happens, until nobody reads it. Where the connection ends, or rosterd does, it asks again until there is an answer
/// and goes on behind what it has: nothing is lost that the journal has.
fn follow(args: &Args, cursor: Option<u64>, out: &mut impl Write) -> Result<(), Failure> {
    let (mut pauses, mut is_told) = (Schedule::new(LONGEST_PAUSE, "journal"), false);
    let mut stream = Stream { cursor, is_alive: false, event: String::new(), failure: None };
    loop {
        let asked = question(args, "/api/v1/watch").with("cursor", stream.cursor);
        let ended =
            args.running.lines(&asked, SILENCE, |line| stream.line(line, |event| show(out, event, args.output)));
        let failure = match ended {
            Ok(()) => stream.failure.take(),
            // What is wrong on this side does not pass.
            Err(Failure::Untold(report)) if report.retry != Retry::Never => Some(report),
            Err(other) => return Err(other),
        };
        if std::mem::take(&mut stream.is_alive) {
            is_told = false;
            pauses.succeeded();
        }
        if !std::mem::replace(&mut is_told, true) {
            match &failure {
                Some(report) => {
                    tell(plain(&format!("warning: {report} ({}): asking again", report.code)));
                }
                None => tell("warning: rosterd has ended the stream: asking again"),
            }
        }
        args.running.pause(pauses.failed(failure.map_or(Retry::Backoff, |report| report.retry)).min(LONGEST_PAUSE))?;
    }
}

/// A stream of events, line by line.
struct Stream {
    /// Behind what it goes on.
    cursor: Option<u64>,
    /// Whether anything has come since it was asked for, besides its beginning.
    is_alive: bool,
    /// What the next data are.
    event: String,
    /// Why it ends, if it says so.
    failure: Option<Report>,
}

impl Stream {
    fn line(&mut self, line: &str, mut show: impl FnMut(&Event) -> Result<(), Failure>) -> Result<(), Failure> {
        let wrong = |source| Error::UnexpectedAnswer { url: "/api/v1/watch".to_owned(), source };
        match line.split_once(": ") {
            Some(("id", id)) => self.cursor = id.parse().ok().or(self.cursor),
            // After it comes where it goes on, which is no news.
            Some(("retry", _)) => {}
            Some(("event", event)) => event.clone_into(&mut self.event),
            Some(("data", data)) => match &*std::mem::take(&mut self.event) {
                "gap" => tell("warning: events are gone from the journal that were not printed yet"),
                "error" => self.failure = Some(serde_json::from_str(data).map_err(wrong)?),
                _ => {
                    self.is_alive = true;
                    show(&serde_json::from_str(data).map_err(wrong)?)?;
                }
            },
            // That it is alive.
            Some(("", _)) => self.is_alive = true,
            _ => {}
        }
        Ok(())
    }
}

/// Prints an event that is waited for.
fn show(out: &mut impl Write, event: &Event, output: Output) -> Result<(), Failure> {
    print(out, event, output).and_then(|()| out.flush()).map_err(Failure::of_output)
}

fn print(out: &mut impl Write, event: &Event, output: Output) -> std::io::Result<()> {
    match output {
        Output::Json => {
            serde_json::to_writer(&mut *out, event)?;
            writeln!(out)
        }
        Output::Text => writeln!(out, "{}", line(event)),
    }
}

/// An event for people.
pub(super) fn line(event: &Event) -> String {
    let note = &event.note;
    // As wide as with all digits, so that columns stand below each other.
    let mut parts = vec![format!("{:<24}", event.time.to_string()), format!("{:<9}", note.kind.as_str())];
    parts.extend(note.job.as_ref().map(|job| format!("job={job}")));
    parts.extend(note.labels.as_ref().map(name));
    if let Some((from, to)) = note.from.as_ref().zip(note.labels.as_ref()) {
        parts.push(told(&changes(from, to)));
    }
    for (name, value) in [("reason", &note.reason), ("source", &note.source), ("provider", &note.provider)] {
        parts.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    parts.extend(note.detail.as_ref().map(|detail| detail.to_string()));
    plain(&parts.join("  ")).into_owned()
}

/// What a target goes by: its instance, and its URL where that says more.
fn name(labels: &Labels) -> String {
    let name = labels.get(INSTANCE).or(labels.get(ADDRESS)).unwrap_or_default();
    telling_url(labels).map_or_else(|| name.to_owned(), |url| format!("{name} ({url})"))
}

/// The URL of a target, where its instance does not say it: then several may have the same instance.
pub(super) fn telling_url(labels: &Labels) -> Option<String> {
    let (address, mut url) = (labels.get(ADDRESS).filter(|_| labels.get(SCHEME).is_some())?, String::new());
    scrape_url(Target(labels), &BTreeMap::new(), &mut url);
    let instance = labels.get(INSTANCE).unwrap_or(address);
    (url != format!("http://{instance}/metrics")).then_some(url)
}

/// The labels that are not as they were.
fn told(changes: &[Change]) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let told = |Change { name, from, to }: &Change| format!("{name}: {:?} -> {:?}", value(from), value(to));
    changes.iter().map(told).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, Note};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn an_event_is_a_line_that_names_target_change_and_cause() {
        let note = Note {
            job: Some("node".into()),
            provider: Some("file/1".into()),
            source: Some("/etc/a.json".into()),
            reason: Some("source".into()),
            labels: Some(labels(&[("instance", "h:1"), ("env", "prod")])),
            from: Some(labels(&[("instance", "h:1"), ("rack", "7")])),
            ..Note::of(Kind::Changed)
        };
        let line = line(&Event { number: 3, time: Time(0), note });
        let expected = "1970-01-01T00:00:00Z      changed    job=node  h:1  env: \"\" -> \"prod\", rack: \"7\" -> \"\"  \
            reason=source  source=/etc/a.json  provider=file/1";
        assert_eq!(line, expected);
    }

    #[test]
    fn targets_of_one_name_are_told_apart_by_their_urls() {
        let name = |instance: &str, [scheme, address, path]: [&str; 3]| {
            let own = [("__scheme__", scheme), ("__address__", address), ("__metrics_path__", path)];
            name(&[("instance", instance)].into_iter().chain(own).collect())
        };
        assert_eq!(name("h:1", ["http", "h:1", "/metrics"]), "h:1");
        assert_eq!(name("h", ["http", "h:9", "/metrics"]), "h (http://h:9/metrics)");
        assert_eq!(name("h:1", ["https", "h:1", "/m"]), "h:1 (https://h:1/m)");
    }

    #[test]
    fn what_a_source_says_forges_no_line_and_moves_nothing() {
        let note = Note {
            job: Some("a\nb".into()),
            labels: Some(labels(&[("instance", "h\n1970 added\x1b[2J")])),
            detail: Some("x\ry".into()),
            ..Note::of(Kind::Added)
        };
        let line = line(&Event { number: 3, time: Time(0), note });
        assert_eq!(line, "1970-01-01T00:00:00Z      added      job=a\\nb  h\\n1970 added\\u{1b}[2J  x\\ry");
    }

    #[test]
    fn a_stream_says_what_happens_where_it_goes_on_and_why_it_ends() {
        let mut stream = Stream { cursor: None, is_alive: false, event: String::new(), failure: None };
        let mut shown = Vec::new();
        let mut lines = |stream: &mut Stream, text: &str| {
            let mut show = |event: &Event| {
                shown.push(event.number);
                Ok(())
            };
            text.lines().for_each(|line| stream.line(line, &mut show).unwrap());
        };
        lines(&mut stream, "retry: 2000\nid: 3\n");
        assert_eq!((stream.cursor, stream.is_alive), (Some(3), false));
        lines(&mut stream, ": alive\nid: 5\n");
        assert_eq!((stream.cursor, stream.is_alive), (Some(5), true));
        let event = Event { number: 7, time: Time(0), note: Note::of(Kind::Reloaded) };
        lines(&mut stream, &format!("id: 7\nevent: reloaded\ndata: {}\n", serde_json::to_string(&event).unwrap()));
        lines(&mut stream, "id: 9\nevent: gap\ndata: {\"cursor\": 9}\n");
        let report = Report::of(&crate::journal::JournalError::Empty { off: false });
        lines(&mut stream, &format!("event: error\ndata: {}\n", serde_json::to_string(&report).unwrap()));
        assert_eq!((stream.cursor, stream.failure), (Some(9), Some(report)));
        assert_eq!(shown, [7]);
    }

    #[test]
    fn a_time_is_one_of_the_calendar_or_so_long_ago() {
        assert_eq!(time("1970-01-01"), Ok(Time(0)));
        let now = Time::from(SystemTime::now());
        assert!(time("now").unwrap() >= now);
        let ago = now.0 - time("2h").unwrap().0;
        assert!((7_190_000..=7_200_000).contains(&ago), "{ago}");
        assert!(time("tomorrow").unwrap_err().contains("such as 2h"));
    }
}
