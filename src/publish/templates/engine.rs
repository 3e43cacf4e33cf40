//! A template and the roster to text, by minijinja. Blocking: it reads files, and takes as long as the roster is large.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use rosterd_model::Report;
use rosterd_tasks::files::{self, Stamp};
use xxhash_rust::xxh3::xxh3_128;

use super::TemplateError;
use super::data::context;
use super::filters;
use crate::roster::view::JobView;

/// What a template may render at most.
const LARGEST: usize = 256 << 20;
/// How much work a template may be whatever the roster has, in instructions of the engine. Loops within loops come to an end too.
const FUEL: u64 = 1 << 24;
/// How much more work it may be for each target. What goes over all of them some times, with filters, fits.
const FUEL_OF_TARGET: u64 = 1 << 12;

/// What came of a template.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The text.
    pub content: Bytes,
    /// Its hash.
    pub hash: u128,
    /// The files that it was made of, as they were just before: the template and those that it includes.
    pub files: Vec<(PathBuf, Option<Stamp>)>,
}

/// Renders the template with the targets of these jobs. Templates in the same folder, and below it, may be included.
///
/// Fails, with file and line, when it is no template, and when it asks for what is not there.
pub fn render(source: &Path, jobs: &[Arc<JobView>]) -> Result<Rendered, TemplateError> {
    let read = Arc::new(Mutex::new(Vec::new()));
    let text = read_template(source, &read)?;
    let mut environment = environment(source, &read);
    let targets: usize = jobs.iter().map(|job| job.counts().targets).sum();
    let fuel = FUEL.saturating_add(FUEL_OF_TARGET.saturating_mul(u64::try_from(targets).unwrap_or(u64::MAX)));
    environment.set_fuel(Some(fuel));
    let name = source.display().to_string();
    let failed = |error: Error| match error.kind() {
        ErrorKind::OutOfFuel => {
            let why = format!(
                "it does not come to an end, or is more work than {targets} targets may be: no loops within loops"
            );
            because(of_render(source, &error), why)
        }
        _ => of_render(source, &error),
    };
    environment.add_template_owned(name.clone(), text).map_err(failed)?;
    let template = environment.get_template(&name).map_err(failed)?;
    let mut content = Bounded(Vec::new());
    let rendered = template.render_captured_to(context(jobs), &mut content);
    rendered.map(drop).map_err(|error| match error.kind() {
        ErrorKind::WriteFailure => {
            let why = format!("more than {} MiB would be rendered", LARGEST >> 20);
            because(of_render(source, &error), why)
        }
        _ => failed(error),
    })?;
    let content = content.0;
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(TemplateError::Empty { path: source.to_owned() });
    }
    let files = std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Rendered { hash: xxh3_128(&content), content: content.into(), files })
}

/// Whether it is a template at all. What it asks for, and what it includes, is not known before it is rendered.
pub fn examine(source: &Path) -> Result<(), TemplateError> {
    let read = ReadFiles::default();
    let text = read_template(source, &read)?;
    let name = source.display().to_string();
    environment(source, &read).add_template_owned(name, text).map_err(|error| of_render(source, &error))
}

/// The files that were read.
type ReadFiles = Arc<Mutex<Vec<(PathBuf, Option<Stamp>)>>>;

fn read_template(path: &Path, read: &ReadFiles) -> Result<String, TemplateError> {
    let stamp = Stamp::at(path).ok();
    read.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), stamp));
    files::read_text(path).map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })
}

fn environment(source: &Path, read: &ReadFiles) -> Environment<'static> {
    let mut environment = Environment::new();
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
    filters::add_to(&mut environment);
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

/// The innermost error that has a place: an error in an included template comes as the cause of the one that includes it.
fn of_render(source: &Path, error: &Error) -> TemplateError {
    let mut found = error;
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = next {
        if let Some(inner) = inner.downcast_ref::<Error>().filter(|inner| inner.line().is_some()) {
            found = inner;
        }
        next = inner.source();
    }
    let file = found.name().map_or_else(|| source.display().to_string(), str::to_owned);
    // Those that are included go by their names.
    let path = source.parent().unwrap_or(Path::new("")).join(file);
    let why = match found.detail() {
        Some(detail) => format!("{}: {detail}", found.kind()),
        None => found.kind().to_string(),
    };
    TemplateError::Render { path, line: found.line().unwrap_or_default(), why }
}

/// The same with another reason, where that of the engine names no bound.
fn because(error: TemplateError, why: String) -> TemplateError {
    match error {
        TemplateError::Render { path, line, .. } => TemplateError::Render { path, line, why },
        other => other,
    }
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
