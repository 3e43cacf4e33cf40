//! The log: one line an event on standard error, as logfmt or JSON with the keys that Prometheus uses.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use clap::ValueEnum;
use jiff::Timestamp;
use rosterd_model::in_words;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries whose debug output nobody asked for by `--log.level=debug`.
const TALKATIVE: [&str; 9] = ["async_io", "h2", "hyper", "hyper_util", "mio", "notify", "polling", "rustls", "tower"];
/// Libraries that tell of failures which whoever uses them tells, too, in our words and with what it means for targets.
const REPEATING: [&str; 1] = ["zookeeper_client"];

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// `key=value` pairs
    Logfmt,
    /// An object a line
    Json,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Everything
    Debug,
    /// What happens
    Info,
    /// What may need attention
    Warn,
    /// What needs attention
    Error,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// How a subcommand that runs on logs.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// What to log
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = Level::Info)]
    level: Level,
    /// How to write the log
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value_t = Format::Logfmt)]
    format: Format,
}

impl LogArgs {
    pub(super) fn start(&self) {
        start(self.level, self.format);
    }
}

/// Writes the log of this process to standard error from now on.
pub(super) fn start(level: Level, format: Format) {
    let filter = filter(level.into());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Lines(format));
    // Whoever embeds the command line may have a log of his own already.
    tracing_subscriber::registry().with(filter).with(lines).try_init().ok();
}

/// What of all that is told is written.
fn filter(level: LevelFilter) -> Targets {
    let least = |libraries: &'static [&'static str], most: LevelFilter| {
        libraries.iter().map(move |library| (*library, level.min(most)))
    };
    let quiet = least(&TALKATIVE, LevelFilter::WARN).chain(least(&REPEATING, LevelFilter::ERROR));
    Targets::new().with_default(level).with_targets(quiet)
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, source) = (event.metadata().level().as_str(), event.metadata().target());
        writer.write_str(&line(self.0, Timestamp::now(), level, source, &fields))
    }
}

fn line(format: Format, time: Timestamp, level: &str, source: &str, fields: &Fields) -> String {
    let time = format!("{time:.3}");
    let texts = [("time", &*time), ("level", level), ("source", source), ("msg", &fields.message)];
    let known = texts.iter().map(|(key, text)| (*key, Value::Text((*text).to_owned())));
    let all: Vec<_> = known.chain(fields.others.iter().cloned()).collect();
    let pair = |(key, value): &(&str, Value)| match format {
        Format::Logfmt => format!("{key}={}", value.logfmt()),
        Format::Json => format!("{}:{}", json(key), value.json()),
    };
    let pairs: Vec<_> = all.iter().map(pair).collect();
    match format {
        Format::Logfmt => format!("{}\n", pairs.join(" ")),
        Format::Json => format!("{{{}}}\n", pairs.join(",")),
    }
}

#[derive(Debug, Clone)]
enum Value {
    /// What JSON knows without quotes.
    Plain(String),
    Text(String),
}

impl Value {
    fn logfmt(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text(text) if text.is_empty() || text.contains(needs_quotes) => format!("{text:?}"),
            Self::Text(text) => text.clone(),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text(text) => json(text),
        }
    }
}

fn needs_quotes(character: char) -> bool {
    character.is_whitespace() || character.is_control() || matches!(character, '"' | '=' | '\\')
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string can be written as JSON")
}

/// The fields of an event.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn plain(&mut self, field: &Field, value: impl ToString) {
        self.others.push((field.name(), Value::Plain(value.to_string())));
    }

    /// Whoever logs an error of the system need not think of its number, which says nothing to people.
    fn text(&mut self, field: &Field, value: impl fmt::Display) {
        let value = in_words(value);
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, Value::Text(value))),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").expect("a string takes what is written");
        self.text(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        if value.is_finite() { self.plain(field, value) } else { self.text(field, value) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// A log in memory.
    #[derive(Debug, Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Memory {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn errors_of_the_system_are_told_without_their_numbers_however_they_are_logged() {
        let memory = Memory::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(memory.clone()).event_format(Lines(Format::Logfmt));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let error = std::io::Error::from_raw_os_error(28);
            tracing::warn!(%error, "shown");
            tracing::warn!(error = &error as &dyn Error, "as it is");
            tracing::warn!(error = error.to_string(), "text");
            tracing::warn!("message: {error}");
        });
        let log = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(log.matches("No space left on device").count() == 4 && !log.contains("os error"), "{log}");
    }

    fn fields() -> Fields {
        let text = |text: &str| Value::Text(text.to_owned());
        let others = vec![
            ("job", text("a b")),
            ("provider", text("file/1")),
            ("empty", text("")),
            ("error", text("no \"x\"\n")),
            ("count", Value::Plain("7".to_owned())),
        ];
        Fields { message: "targets changed".to_owned(), others }
    }

    #[test]
    fn libraries_tell_what_nobody_else_does() {
        for level in [LevelFilter::DEBUG, LevelFilter::INFO] {
            let filter = filter(level);
            assert!(filter.would_enable("rosterd::agent", &tracing::Level::INFO));
            let most = |library| {
                let levels = [tracing::Level::ERROR, tracing::Level::WARN, tracing::Level::INFO, tracing::Level::DEBUG];
                levels.into_iter().filter(|level| filter.would_enable(library, level)).max()
            };
            assert_eq!(most("hyper::proto"), Some(tracing::Level::WARN));
            assert_eq!(most("zookeeper_client::session"), Some(tracing::Level::ERROR));
        }
        assert!(!filter(LevelFilter::ERROR).would_enable("hyper", &tracing::Level::WARN));
    }

    #[test]
    fn logfmt_quotes_what_it_must() {
        assert_eq!(
            line(Format::Logfmt, Timestamp::UNIX_EPOCH, "INFO", "rosterd::roster", &fields()),
            "time=1970-01-01T00:00:00.000Z level=INFO source=rosterd::roster msg=\"targets changed\" job=\"a b\" \
             provider=file/1 empty=\"\" error=\"no \\\"x\\\"\\n\" count=7\n"
        );
    }

    #[test]
    fn json_keeps_numbers_and_the_order_of_the_keys() {
        assert_eq!(
            line(Format::Json, Timestamp::UNIX_EPOCH, "WARN", "x", &fields()),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"WARN\",\"source\":\"x\",\"msg\":\"targets changed\",\
             \"job\":\"a b\",\"provider\":\"file/1\",\"empty\":\"\",\"error\":\"no \\\"x\\\"\\n\",\"count\":7}\n"
        );
    }
}
