//! One step at a time, by a table whose steps do as they are told.

use rosterd_testkit::leak_checked;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::store::ledger::Action;

/// What is told of what happened.
#[derive(Default)]
struct Scripted {
    done: bool,
    fails: Option<Tries>,
    calls: Vec<&'static str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told(Option<String>);

impl Left for Told {
    fn failed(&mut self, why: Report) {
        self.0 = Some(why.code);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it failed")]
struct Scripts(Tries);

impl Coded for Scripts {
    fn code(&self) -> &'static str {
        "test_failed"
    }

    fn priority(&self) -> Priority {
        Priority::Retry
    }
}

impl Tried for Scripts {
    fn tries(&self) -> Tries {
        self.0
    }
}

struct Does;

impl Does {
    fn run(worker: &mut Scripted, left: Told) -> Result<Then<Told>, Failed> {
        worker.calls.push("run");
        worker.fails.map_or(Ok(Then::Next(left)), |tries| Err(Scripts(tries).into()))
    }
}

#[async_trait]
impl Repeatable<Scripted, Told> for Does {
    async fn run(&self, worker: &mut Scripted, left: Told, _: &CancellationToken) -> Result<Then<Told>, Failed> {
        Self::run(worker, left)
    }
}

#[async_trait]
impl Once<Scripted, Told> for Does {
    async fn is_done(&self, worker: &mut Scripted, _: &Told) -> Result<bool, Failed> {
        worker.calls.push("is done");
        Ok(worker.done)
    }

    async fn run(&self, worker: &mut Scripted, left: Told, _: &CancellationToken) -> Result<Then<Told>, Failed> {
        Self::run(worker, left)
    }
}

struct Undoes;

#[async_trait]
impl Repeatable<Scripted, Told> for Undoes {
    async fn run(&self, _: &mut Scripted, left: Told, _: &CancellationToken) -> Result<Then<Told>, Failed> {
        let report = Report::of(&Scripts(Tries::Unlimited));
        Ok(Then::Undone(Report { message: format!("undone: {}", left.0.unwrap_or_default()), ..report }))
    }
}

static STEPS: [Step<Scripted, Told>; 4] = [
    Step::repeatable("again", &Does).undone_from(3),
    Step::once("once", &Does),
    Step::once("last", &Does),
    Step::repeatable("undo", &Undoes),
];

fn work(step: u32, attempt: u32, repeated: bool, left: Value) -> Work<()> {
    Work { action: Action::Update, spec: (), revision: None, step, attempt, repeated, left }
}

async fn outcome(worker: &mut Scripted, work: Work<()>) -> Outcome {
    carry_out(&STEPS, worker, &work, &CancellationToken::new()).await
}

fn failing(tries: Tries) -> Scripted {
    Scripted { fails: Some(tries), ..Scripted::default() }
}

#[test]
fn a_step_that_must_not_be_done_twice_is_asked_for_when_it_may_have_been_begun() {
    leak_checked(|| async {
        let (repeatable, once) = (0, 1);
        for (step, repeated, done, calls) in [
            (repeatable, false, false, vec!["run"]),
            (repeatable, true, true, vec!["run"]),
            (once, false, true, vec!["run"]),
            (once, true, false, vec!["is done", "run"]),
            (once, true, true, vec!["is done"]),
        ] {
            let mut worker = Scripted { done, ..Scripted::default() };
            let came = outcome(&mut worker, work(step, 0, repeated, json!("left"))).await;
            assert_eq!(came, Outcome::Next(json!("left")), "it goes on all the same");
            assert_eq!(worker.calls, calls, "step {step}, repeated: {repeated}, done: {done}");
        }
    });
}

#[test]
fn the_error_decides_how_often_a_step_is_tried_before_it_is_undone() {
    leak_checked(|| async {
        let undone = Outcome::To(3, json!("test_failed"));
        for (tries, attempt, gives_up) in [
            (Tries::AtMost(1), 0, true),
            (Tries::AtMost(3), 0, false),
            (Tries::AtMost(3), 1, false),
            (Tries::AtMost(3), 2, true),
            (Tries::Unlimited, u32::MAX, false),
        ] {
            let came = outcome(&mut failing(tries), work(0, attempt, true, Value::Null)).await;
            let expected = if gives_up { undone.clone() } else { Outcome::Retry(Report::of(&Scripts(tries))) };
            assert_eq!(came, expected, "{tries:?} at attempt {attempt}");
        }
        let Outcome::Cancel(report) = outcome(&mut failing(Tries::AtMost(1)), work(1, 0, false, Value::Null)).await
        else {
            panic!("nothing undoes it")
        };
        assert_eq!(report.code, "test_failed");
        let Outcome::Cancel(report) = outcome(&mut Scripted::default(), work(3, 0, false, json!("why"))).await else {
            panic!("what is undone has failed")
        };
        assert_eq!(report.message, "undone: why");
    });
}

#[test]
fn what_another_version_left_is_refused() {
    leak_checked(|| async {
        for work in [work(9, 0, true, Value::Null), work(0, 0, true, json!({ "unknown": 1 }))] {
            let Outcome::Cancel(report) = outcome(&mut Scripted::default(), work).await else { panic!("it goes on") };
            assert_eq!(report.code, "reconcile_step_unknown");
        }
    });
}
