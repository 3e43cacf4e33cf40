//! `/publications`: what is published besides the lists, how that goes, and what keeps it from going on.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;

use super::super::State;
use super::super::missing::Causes;
use super::super::operations;
use super::super::publications::Published;
use super::super::words::{Moment, few};
use super::cut::{self, as_fits, line, written};
use super::operations::{Doing, told};
use super::shell::{Shell, page};
use super::situation::Situation;
use super::troubles::troubles;
use crate::explain::UNTOUCHED;
use crate::reconcile::Phase;

/// How many stand on the page; those that do not go well come first.
const SHOWN: usize = 100;
/// How many operations do: those that are pending, and then those that ended last.
const OPERATIONS: usize = 20;
/// How much of what each lacks is told.
const LACKING: usize = 10;
const LACK: usize = 2_000;
/// How many bytes publications may have on the page, operations, and lists, and what stands around the name of each of these.
const ROOM: usize = 100_000;
const ROOM_OF_OPERATIONS: usize = 30_000;
const ROOM_OF_LISTS: usize = 25_000;
const LIST: usize = 100;

#[derive(Template)]
#[template(path = "publications.html")]
struct Page {
    shell: Shell,
    publications: Vec<Row>,
    more: usize,
    operations: Vec<Doing>,
    /// The jobs with a list, and whether it may be handed out.
    lists: Vec<(Arc<str>, bool)>,
    more_lists: usize,
}

struct Row {
    id: String,
    path: String,
    format: String,
    jobs: String,
    word: &'static str,
    class: &'static str,
    /// What is being done.
    operation: String,
    written: Option<Moment>,
    /// What is said where nothing was written since the start.
    untouched: &'static str,
    next: Option<Moment>,
    error: String,
    code: String,
    lacking: Vec<String>,
}

/// The page.
pub(in crate::api) async fn publications(Extract(state): Extract<Arc<State>>) -> Response {
    let situation = Situation::of(&state);
    let shell = Shell::new(&state, "/publications", "Publications", &troubles(&situation));
    let causes = Causes::of(&state);
    let mut rows: Vec<_> = situation
        .publications
        .iter()
        .map(|it| {
            Row::of(
                Published::of(it.clone(), &situation.view, &causes),
                it.last_written,
                it.worker.next_try,
                &situation,
            )
        })
        .collect();
    rows.sort_by_key(|row| match row.class {
        "down" => 0,
        "warn" | "idle" => 1,
        _ => 2,
    });
    let (many, many_lists) = (rows.len(), situation.jobs.len());
    let rows = as_fits(rows.into_iter().take(SHOWN), ROOM, Row::size);
    let lists = situation.jobs.iter().map(|(job, _)| (Arc::clone(&job.spec().name), job.servable().is_ok()));
    let lists = as_fits(lists.take(SHOWN), ROOM_OF_LISTS, |(name, _)| LIST + 4 * written(name));
    let operations = operations::all(&state).take(OPERATIONS).map(Doing::of);
    page(&Page {
        shell: shell.with_json("/api/v1/publications"),
        more: many - rows.len(),
        publications: rows,
        operations: as_fits(operations, ROOM_OF_OPERATIONS, Doing::size),
        more_lists: many_lists - lists.len(),
        lists,
    })
}

impl Row {
    fn of(
        published: Published,
        written: Option<std::time::SystemTime>,
        next: Option<std::time::SystemTime>,
        situation: &Situation,
    ) -> Self {
        let (word, class) = match published.state {
            Phase::Done => ("done", "up"),
            Phase::Pending => ("pending", "idle"),
            Phase::Snoozing => ("waiting", "warn"),
            Phase::Retrying => ("retrying", "down"),
            Phase::Cancelled => ("cannot work", "down"),
        };
        let blocked = published.blocked.iter().map(|blocked| match &blocked.error {
            Some(error) => error.to_string(),
            None => format!("job {:?} is not known", blocked.job),
        });
        let moment = |time: Option<std::time::SystemTime>| time.map(|time| Moment::of(time, situation.now));
        Self {
            id: line(&published.id),
            path: published.path.map(|path| line(&path.display().to_string())).unwrap_or_default(),
            format: match (published.format, published.template) {
                (Some(format), _) => format!("{format:?}").to_lowercase(),
                (None, Some(template)) => line(&format!("rendered from {}", template.display())),
                (None, None) => String::new(),
            },
            jobs: line(&few(&published.jobs)),
            word,
            class,
            operation: published.operation.as_ref().map(told).unwrap_or_default(),
            untouched: if published.state == Phase::Done { UNTOUCHED } else { "" },
            written: moment(written),
            next: next.map(|time| Moment::due(time, situation.now)),
            error: published.last_error.as_ref().map(|error| line(&error.to_string())).unwrap_or_default(),
            code: published.last_error.map(|error| error.code).unwrap_or_default(),
            lacking: cut::lines(blocked, LACKING, LACK),
        }
    }

    /// About how long it is on the page.
    fn size(&self) -> usize {
        let texts = [&self.id, &self.path, &self.format, &self.jobs, &self.operation, &self.error];
        let lacking = self.lacking.iter().map(|line| 10 + written(line)).sum::<usize>();
        800 + texts.iter().map(|text| written(text)).sum::<usize>() + lacking
    }
}
