//! A template and the roster to text, by minijinja. Blocking: it reads files, and takes as long as the roster is large.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use rosterd_model::Report;
use rosterd_tasks::files::{self, Stamp};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use super::TemplateError;
use super::clock::Clock;
use super::data::{Asked, context};
use super::filters;
use crate::roster::view::JobView;

/// What a template may render at most.
const LARGEST: usize = 256 << 20;
/// How much work a template may be whatever the roster has, in instructions of the engine. Loops within loops come to an end too.
const FUEL: u64 = 1 << 24;
/// How much more work it may be for each target. What goes over all of them some times, with filters, fits.
const FUEL_OF_TARGET: u64 = 1 << 12;
/// How much work it may be for each millisecond of its time. The engine does several times as much: what prints nothing, and asks
/// nothing of targets, sees no clock, and ends by this.
const FUEL_OF_MILLISECOND: u64 = 1 << 12;

/// What came of a template.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The text.
    pub content: Bytes,
    /// Its hash.
    pub hash: u128,
}

/// What ends a rendering that does not end by itself.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long it may take.
    pub time: Duration,
    /// Fires when nobody waits for it any more.
    pub stop: CancellationToken,
}

/// Files that were read, as they were just before.
pub type ReadFiles = Vec<(PathBuf, Option<Stamp>)>;

/// Renders the template with the targets of these jobs. Templates in the same folder, and below it, may be included. Tells also
/// which files were read: the template and those that it includes.
///
/// Fails, with file and line, when it is no template, when it asks for what is not there, and when it does not come to an end.
pub fn render(source: &Path, jobs: &[Arc<JobView>], bounds: &Bounds) -> (Result<Rendered, TemplateError>, ReadFiles) {
    let read = SharedFiles::default();
    let came = rendered(source, jobs, bounds, &read);
    let files = std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner));
    (came, files)
}

fn rendered(
    source: &Path,
    jobs: &[Arc<JobView>],
    bounds: &Bounds,
    read: &SharedFiles,
) -> Result<Rendered, TemplateError> {
    let text = read_template(source, read)?;
    let asked = Arc::new(Asked::new(Clock::start(bounds)));
    let mut environment = environment(source, read, asked.clock().clone());
    let targets: usize = jobs.iter().map(|job| job.counts().targets).sum();
    environment.set_fuel(Some(fuel(targets, bounds.time)));
    let name = source.display().to_string();
    let failed = |error: Error| {
        let TemplateError::Render { path, line, why } = of_render(source, &error) else {
            return of_render(source, &error);
        };
        let is = |kind| chain(&error).any(|error| error.kind() == kind);
        if asked.clock().is_over() {
            let why = format!("it did not come to an end within {:?}", bounds.time);
            TemplateError::Endless { path, line, why }
        } else if is(ErrorKind::OutOfFuel) {
            let why = format!(
                "it does not come to an end, or is more work than {targets} targets may be in {:?}: no loops within loops",
                bounds.time
            );
            TemplateError::Endless { path, line, why }
        } else if is(ErrorKind::WriteFailure) {
            let why = format!("more than {} MiB would be rendered", LARGEST >> 20);
            TemplateError::Render { path, line, why }
        } else {
            let target = asked.missed(&why).map(|target| format!(": {target}")).unwrap_or_default();
            TemplateError::Render { path, line, why: why + &target }
        }
    };
    environment.add_template_owned(name.clone(), text).map_err(failed)?;
    let template = environment.get_template(&name).map_err(failed)?;
    let mut content = Bounded(Vec::new());
    template.render_captured_to(context(jobs, &asked), &mut content).map_err(failed)?;
    let content = content.0;
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(TemplateError::Empty { path: source.to_owned() });
    }
    Ok(Rendered { hash: xxh3_128(&content), content: content.into() })
}

/// How much work a template may be, by the roster and by its time.
fn fuel(targets: usize, time: Duration) -> u64 {
    let of_targets = FUEL_OF_TARGET.saturating_mul(u64::try_from(targets).unwrap_or(u64::MAX));
    let of_time = FUEL_OF_MILLISECOND.saturating_mul(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    FUEL.saturating_add(of_targets).min(of_time)
}

/// Whether it is a template at all. What it asks for, and what it includes, is not known before it is rendered.
pub fn examine(source: &Path) -> Result<(), TemplateError> {
    let read = SharedFiles::default();
    let text = read_template(source, &read)?;
    let name = source.display().to_string();
    // Nothing is rendered that could take long.
    let clock = Clock::start(&Bounds { time: Duration::MAX, stop: CancellationToken::new() });
    environment(source, &read, clock).add_template_owned(name, text).map_err(|error| of_render(source, &error))
}

/// The files that were read so far.
type SharedFiles = Arc<Mutex<ReadFiles>>;

fn read_template(path: &Path, read: &SharedFiles) -> Result<String, TemplateError> {
    let stamp = Stamp::at(path).ok();
    read.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), stamp));
    files::read_text(path).map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })
}

fn environment(source: &Path, read: &SharedFiles, clock: Arc<Clock>) -> Environment<'static> {
    let mut environment = Environment::new();
    // Errors name what is undefined.
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .expect("the usual signs differ from each other"),
    );
    // Nothing of what is rendered is HTML.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    filters::add_to(&mut environment, clock);
    let (folder, read) = (source.parent().unwrap_or(Path::new("/")).to_owned(), Arc::clone(read));
    environment.set_loader(move |name| {
        let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || name.is_empty() {
            let why = format!("{name:?} is not included: only what is in the folder of the template, or below it");
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
        match read_template(&folder.join(name), &read) {
            Ok(text) => Ok(Some(text)),
            Err(TemplateError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::new(ErrorKind::InvalidOperation, Report::of(&error).to_string())),
        }
    });
    environment
}

/// The error and its causes, as far as they are the engine's.
fn chain(error: &Error) -> impl Iterator<Item = &Error> {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    std::iter::once(error).chain(causes.filter_map(|error| error.downcast_ref()))
}

/// The innermost error that has a place: an error in an included template comes as the cause of the one that includes it.
fn of_render(source: &Path, error: &Error) -> TemplateError {
    let found = chain(error).filter(|error| error.line().is_some()).last().unwrap_or(error);
    let file = found.name().map_or_else(|| source.display().to_string(), str::to_owned);
    // Those that are included go by their names.
    let path = source.parent().unwrap_or(Path::new("")).join(file);
    let why = match found.detail() {
        Some(detail) => format!("{}: {detail}", found.kind()),
        None => found.kind().to_string(),
    };
    TemplateError::Render { path, line: found.line().unwrap_or_default(), why }
}

/// Takes what is rendered, up to a bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.0.len() + text.len() > LARGEST {
            return Err(io::Error::other(format!("more than {} MiB are rendered", LARGEST >> 20)));
        }
        self.0.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_bounded_by_targets_and_by_time() {
        let second = Duration::from_secs(1);
        assert_eq!(fuel(0, 30 * second), FUEL);
        assert_eq!(fuel(1000, 30 * second), FUEL + 1000 * FUEL_OF_TARGET);
        assert_eq!(fuel(1_000_000, 30 * second), 30_000 * FUEL_OF_MILLISECOND, "as much as there is time for");
        assert_eq!(fuel(usize::MAX, Duration::MAX), u64::MAX);
    }
}
