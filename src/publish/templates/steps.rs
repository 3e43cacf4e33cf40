//! The steps of an operation: from the roster to a program that works with what was rendered, and back if it does not.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_model::Report;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::TemplateError;
use super::command::{self, Ran};
use super::place::Files;
use super::worker::TemplateWorker;
use crate::reconcile::steps::{self, Failed, Once, Repeatable, Step, Then};

/// What the steps leave behind. Numbers of steps mean what they do together with these fields: when a step gets another number, a
/// field is named anew. An operation that has others is given up then, and what it left beside the file is found by the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Left {
    /// The hash of what was rendered.
    content: Option<Hash>,
    /// What was in place before, as far as that is known.
    before: Option<Before>,
    /// Why it is undone.
    why: Option<Report>,
}

impl Left {
    /// The hash of what was rendered.
    fn rendered(&self) -> Option<u128> {
        self.content.map(|hash| hash.0)
    }
}

impl steps::Left for Left {
    fn failed(&mut self, why: Report) {
        self.why = Some(why);
    }
}

/// What was in place before. That there was nothing is said: only then may the file be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before {
    Nothing,
    Content(Hash),
}

impl Before {
    /// The hash of what was in place; `None` when there was nothing.
    const fn hash(self) -> Option<u128> {
        match self {
            Self::Nothing => None,
            Self::Content(hash) => Some(hash.0),
        }
    }
}

/// A hash of a content. JSON has no numbers of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Hash(u128);

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        format!("{:032x}", hash.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// How soon a program is bothered again with what it did not take.
const DISTURBED: Duration = Duration::from_secs(60);

const RESTORE: u32 = 7;
const DISCARD: u32 = 9;

/// Up to the swap nothing has happened that anybody else could see. Commands are run again after a crash: what checks, reloads
/// or verifies may do so any number of times.
pub(super) static STEPS: [Step<TemplateWorker, Left>; 10] = [
    Step::repeatable("render", &Render).undone_from(DISCARD),
    Step::repeatable("check", &Check).undone_from(DISCARD),
    Step::repeatable("back_up", &BackUp).undone_from(DISCARD),
    Step::once("swap", &Swap).undone_from(DISCARD),
    Step::repeatable("reload", &Reload).undone_from(RESTORE),
    Step::repeatable("verify", &Verify).undone_from(RESTORE),
    Step::repeatable("clear", &Clear),
    Step::once("restore", &Restore),
    Step::repeatable("reload_restored", &ReloadRestored),
    Step::repeatable("discard", &Discard),
];

/// The names, in the order of their numbers.
pub(super) static NAMES: [&str; 10] = {
    let (mut names, mut index) = ([""; 10], 0);
    while index < names.len() {
        names[index] = STEPS[index].name();
        index += 1;
    }
    names
};

type Came = Result<Then<Left>, Failed>;

/// What was cut off is done again when rosterd starts.
const CUT_OFF: Then<Left> = Then::Later(Duration::ZERO);

fn next(left: Left, ran: Ran) -> Then<Left> {
    if ran == Ran::Well { Then::Next(left) } else { CUT_OFF }
}

/// Renders, and writes that beside its place. Nothing more is to be done if it is there already, or while a job is unknown.
struct Render;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Render {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let rendering = match worker.take_rendering() {
            Some(rendering) => rendering,
            None => {
                let Some(jobs) = worker.jobs() else { return Ok(Then::Done) };
                worker.begin_rendering(jobs)
            }
        };
        let Some(rendered) = worker.rendered(rendering, stop).await? else { return Ok(CUT_OFF) };
        let (hash, content) = (rendered.hash, rendered.content);
        let was_refused = worker.refusals.has(hash);
        let staged = worker.on_disk(stop, move |files, disk| {
            // What was refused and could not be undone is in place, but its program does not work with it; nor does one that was
            // never told.
            let differs = was_refused || !files.has(hash) || files.is_under_way()?;
            if differs { files.stage(disk, content).map(|()| true) } else { Ok(false) }
        });
        let Some(staged) = staged.await? else { return Ok(CUT_OFF) };
        Ok(if staged { Then::Next(Left { content: Some(Hash(hash)), ..left }) } else { Then::Done })
    }
}

/// Asks whether it is good.
struct Check;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Check {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let Some(staged) = worker.on_disk(stop, |files, _| Ok(files.staged())).await? else { return Ok(CUT_OFF) };
        let template = worker.allowed("check", |template| !template.check.is_empty())?;
        let ran = command::run("check", &template.check, template, &staged, stop).await?;
        if ran == Ran::CutOff || template.check.is_empty() {
            return Ok(next(left, ran));
        }
        // Otherwise the file in place would never be what is rendered, and be put there again and again.
        let content = left.content;
        let same =
            worker.on_disk(stop, move |files, _| Ok(content.is_some_and(|hash| files.has_staged(hash.0)))).await?;
        match same {
            None => Ok(CUT_OFF),
            Some(false) => Err(TemplateError::Changed { path: worker.template().destination.clone() }.into()),
            Some(true) => Ok(Then::Next(left)),
        }
    }
}

/// Keeps what is in place.
struct BackUp;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for BackUp {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let rendered = left.rendered();
        let kept = worker.on_disk(stop, move |files, disk| files.keep_former(disk, rendered)).await?;
        let before = |former: Option<u128>| former.map_or(Before::Nothing, |hash| Before::Content(Hash(hash)));
        Ok(kept.map_or(CUT_OFF, |former| Then::Next(Left { before: Some(before(former)), ..left })))
    }
}

/// Puts what was rendered in its place.
struct Swap;

#[async_trait]
impl Once<TemplateWorker, Left> for Swap {
    async fn is_done(&self, worker: &mut TemplateWorker, left: &Left) -> Result<bool, Failed> {
        let (content, never) = (left.content, CancellationToken::new());
        let swapped = move |files: &Files| content.is_some_and(|hash| files.is_swapped(hash.0));
        Ok(worker.on_disk(&never, move |files, _| Ok(swapped(files))).await?.unwrap_or_default())
    }

    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let swapped = worker.on_disk(stop, |files, disk| match files.is_staged() {
            true => files.swap(disk).map(|()| true),
            false => Ok(false),
        });
        match swapped.await? {
            None => Ok(CUT_OFF),
            Some(false) => Err(TemplateError::Lost { path: worker.template().destination.clone() }.into()),
            Some(true) => {
                worker.swapped();
                Ok(Then::Next(left))
            }
        }
    }
}

/// Tells the program.
struct Reload;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Reload {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let template = worker.allowed("reload", |template| template.reload != super::Reload::None)?;
        Ok(next(left, command::reload(template, stop).await?))
    }
}

/// Asks whether the program works with it. What was there before is needed until the ledger knows the answer: it may be asked
/// again, and say no.
struct Verify;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Verify {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let template = worker.allowed("verify", |template| !template.verify.is_empty())?;
        let file = template.destination.clone();
        if command::run("verify", &template.verify, template, &file, stop).await? == Ran::CutOff {
            return Ok(CUT_OFF);
        }
        worker.refusals.clear();
        Ok(Then::Next(left))
    }
}

/// Removes what was there before, which nobody needs any more.
struct Clear;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Clear {
    async fn run(&self, worker: &mut TemplateWorker, _: Left, stop: &CancellationToken) -> Came {
        // As long as it is there, the program counts as not told.
        let cleared = worker.on_disk(stop, |files, _| files.clear()).await.map_err(until_it_works)?;
        Ok(cleared.map_or(CUT_OFF, |()| Then::Done))
    }
}

/// Puts what was there before back in its place. Where somebody removed that meanwhile, there is nothing to be done.
struct Restore;

#[async_trait]
impl Once<TemplateWorker, Left> for Restore {
    async fn is_done(&self, worker: &mut TemplateWorker, left: &Left) -> Result<bool, Failed> {
        let (Some(before), never) = (left.before, CancellationToken::new()) else { return Ok(false) };
        let done = worker.on_disk(&never, move |files, _| files.is_restored(before.hash())).await;
        Ok(done.map_err(until_it_works)?.unwrap_or_default())
    }

    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let Some(before) = left.before else {
            let file = worker.template().destination.display();
            let outcome = format!("{file} cannot be restored, as nobody knows what was there before");
            return Ok(worker.undone(left.rendered(), left.why, &outcome, DISTURBED));
        };
        let restored = worker.on_disk(stop, move |files, disk| files.restore(disk, before.hash())).await;
        match restored.map_err(until_it_works)? {
            None => Ok(CUT_OFF),
            Some(true) => Ok(Then::Next(left)),
            Some(false) => {
                let file = worker.template().destination.display();
                let outcome =
                    format!("{file} cannot be restored, as somebody removed the old one, which was kept beside it");
                Ok(worker.undone(left.rendered(), left.why, &outcome, DISTURBED))
            }
        }
    }
}

/// Nothing undoes the undoing: it is tried for as long as it takes.
fn until_it_works(error: TemplateError) -> Failed {
    Failed { tries: steps::Tries::Unlimited, ..error.into() }
}

/// Tells the program that its file is the one before again.
struct ReloadRestored;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for ReloadRestored {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let allowed = worker.allowed("reload", |template| template.reload != super::Reload::None);
        let reloaded = match allowed {
            Ok(template) => command::reload(template, stop).await,
            Err(error) => Err(error),
        };
        let file = worker.template().destination.display();
        let restored = match left.before {
            Some(Before::Nothing) => format!("{file} is removed again, as there was none before"),
            Some(Before::Content(_)) | None => format!("{file} is as it was before"),
        };
        let outcome = match reloaded {
            Ok(Ran::CutOff) => return Ok(CUT_OFF),
            Ok(Ran::Well) => restored,
            Err(error) => format!("{restored}, and the program did not take that either ({})", Report::of(&error)),
        };
        // It knows what is in place now, as far as it can be told.
        let cleared = worker.on_disk(stop, |files, _| files.clear()).await.map_err(until_it_works)?;
        if cleared.is_none() {
            return Ok(CUT_OFF);
        }
        Ok(worker.undone(left.rendered(), left.why, &outcome, DISTURBED))
    }
}

/// Removes what was rendered. What is in place was not touched. What is kept beside it may be that of an operation that the ledger
/// has forgotten, and stays.
struct Discard;

#[async_trait]
impl Repeatable<TemplateWorker, Left> for Discard {
    async fn run(&self, worker: &mut TemplateWorker, left: Left, stop: &CancellationToken) -> Came {
        let discarded = worker.on_disk(stop, |files, _| files.discard().and_then(|()| files.is_in_place())).await;
        if matches!(discarded, Ok(None)) {
            return Ok(CUT_OFF);
        }
        let file = worker.template().destination.display();
        let outcome = match discarded {
            Ok(Some(false)) => format!("there was no {file} before, and there is none now"),
            _ => format!("{file} stays as it was"),
        };
        Ok(worker.undone(left.rendered(), left.why, &outcome, Duration::ZERO))
    }
}
