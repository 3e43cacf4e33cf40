//! The promises, one function each.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rosterd_discovery::CheckContext;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::run::SOON;
use super::{Driver, Run};
use crate::{addresses, patience};

type Groups = [(&'static str, &'static [&'static str])];

const NOTHING: &Groups = &[];
const BOTH: &Groups = &[("one", &["10.0.0.1:9100", "10.0.0.2:9100"]), ("two", &["10.0.1.1:9100"])];
/// `BOTH` after `one` has changed.
const ONE_CHANGED: &Groups = &[("one", &["10.0.0.1:9100", "10.0.0.3:9100"]), ("two", &["10.0.1.1:9100"])];
const ONE: &Groups = &[("one", &["10.0.0.1:9100", "10.0.0.3:9100"])];

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was promised.
    pub promise: &'static str,
    /// What happened instead.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.detail)
    }
}

type Kept = Result<(), String>;

/// The promises that the discoverer breaks; [`check`](super::check) panics with them.
pub async fn violations(driver: &mut dyn Driver) -> Vec<Violation> {
    let mut all = Vec::new();
    let mut note = |promise, kept: Kept| {
        all.extend(kept.err().map(|detail| Violation { promise, detail }));
    };
    note("a configuration equals its copy and has no problems", configuration(driver).await);
    note("the first word is the whole picture", first_word(driver, BOTH).await);
    note("the first word comes even if the source is empty", first_word(driver, NOTHING).await);
    note("what is not there at first is gone after a while", whole_picture(driver).await);
    note("a change arrives, and what vanished is gone", change(driver).await);
    note("a failed read takes nothing away, and is told", failed_read(driver).await);
    note("a source that cannot be read at first is not an empty source", broken_start(driver).await);
    note("a source that fails hides no other, keeps what it had, and is named", failed_source(driver).await);
    note("a source that was read and fails is known to have been read", known_source(driver).await);
    note("a source that fails at first hides no other, and is named", broken_source(driver).await);
    note("what went between two runs is gone, though a source fails", away(driver).await);
    note("words do not contradict themselves, and no group is named twice", words(driver).await);
    note("the run ends soon after stop although nobody takes its words", blocked(driver).await);
    note("what the discoverer spawned has ended before it", outlived(driver).await);
    all
}

async fn configuration(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let config = driver.config();
    if !config.equals(&*config.boxed()) {
        return Err("the copy differs".to_owned());
    }
    let problems = config.check(&CheckContext { allow_exec: true });
    if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}")) }
}

async fn first_word(driver: &mut dyn Driver, groups: &Groups) -> Kept {
    driver.set(groups).await;
    let mut run = start(&*driver).await?;
    let picture = async {
        let mut said = run.next().await.is_some();
        while said && run.is_in_pieces() {
            said = run.next().await.is_some();
        }
        said
    };
    let kept = match timeout(patience(), picture).await {
        Ok(true) => same(driver, &addresses(run.picture()), groups, "the first picture"),
        Ok(false) => Err(silent(&run)),
        Err(_) => Err("it never ended the pieces of its first picture".to_owned()),
    };
    stop(run).await.and(kept)
}

/// A run may begin with what it found, so that what comes late is not missed; but not leave it at that.
async fn whole_picture(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let told = async { while !run.is_whole() && run.next().await.is_some() {} };
    timeout(patience(), told).await.ok();
    let kept = if run.is_whole() { Ok(()) } else { Err("it never said the whole picture".to_owned()) };
    stop(run).await.and(kept)
}

async fn change(driver: &mut dyn Driver) -> Kept {
    if !driver.follows_changes() {
        return Ok(());
    }
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let mut kept = shows(driver, &mut run, BOTH).await;
    for groups in [ONE, NOTHING, BOTH] {
        if kept.is_ok() {
            driver.set(groups).await;
            kept = shows(driver, &mut run, groups).await;
        }
    }
    stop(run).await.and(kept)
}

async fn failed_read(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let mut kept = shows(driver, &mut run, BOTH).await;
    if kept.is_ok() && driver.follows_changes() && driver.break_source().await {
        kept = fails_silently(driver, &mut run, BOTH).await;
        driver.heal().await;
        driver.set(ONE).await;
        if run.has_ended() {
            stop(run).await?;
            run = start(&*driver).await?;
        }
        kept = kept.and(shows(driver, &mut run, ONE).await.map_err(healed));
    }
    stop(run).await.and(kept)
}

async fn failed_source(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let mut kept = shows(driver, &mut run, BOTH).await;
    if kept.is_ok() && driver.follows_changes() && driver.break_one("two").await {
        driver.set(ONE_CHANGED).await;
        kept = shows(driver, &mut run, ONE_CHANGED).await;
        kept = kept.and(is_unread(&mut run, true).await);
        kept = kept.and(same(driver, &addresses(run.picture()), ONE_CHANGED, "the picture while a source fails"));
        driver.heal().await;
        kept = kept.and(is_unread(&mut run, false).await.map_err(healed));
        driver.set(ONE).await;
        kept = kept.and(shows(driver, &mut run, ONE).await.map_err(healed));
    }
    stop(run).await.and(kept)
}

/// What is named as unread must have been named before, or its targets count as those of nobody knows when.
async fn known_source(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let mut kept = shows(driver, &mut run, BOTH).await;
    if kept.is_ok() && driver.follows_changes() {
        let one = driver.break_one("two").await;
        if one || driver.break_source().await {
            kept = match one {
                true => is_unread(&mut run, true).await,
                false => fails_silently(driver, &mut run, BOTH).await,
            };
            let unknown: Vec<_> = run.never_read().collect();
            if !unknown.is_empty() {
                kept = Err(format!("{unknown:?} were read, and never named"));
            }
            driver.heal().await;
        }
    }
    stop(run).await.and(kept)
}

async fn broken_source(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    if !driver.break_one("two").await {
        return Ok(());
    }
    let mut run = start(&*driver).await?;
    let mut kept = shows(driver, &mut run, &BOTH[..1]).await;
    kept = kept.and(is_unread(&mut run, true).await);
    driver.heal().await;
    kept = kept.and(shows(driver, &mut run, BOTH).await.map_err(healed));
    kept = kept.and(is_unread(&mut run, false).await.map_err(healed));
    stop(run).await.and(kept)
}

/// What is stored of a source that cannot be read is held. That is no reason to hold what went of another one.
async fn away(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    let kept = shows(driver, &mut run, BOTH).await;
    let before: Vec<_> = run.picture().cloned().collect();
    stop(run).await.and(kept)?;
    let breaks = driver.break_one("two").await;
    driver.set(&BOTH[1..]).await;
    let mut run = Run::after_on(&driver.system(), &*driver.config(), before)
        .await
        .map_err(|error| format!("it cannot be built: {error}"))?;
    let mut kept = shows(driver, &mut run, &BOTH[1..]).await;
    if breaks {
        kept = kept.and(is_unread(&mut run, true).await);
        kept = kept.and(same(driver, &addresses(run.picture()), &BOTH[1..], "the picture while a source fails"));
        driver.set(NOTHING).await;
        driver.heal().await;
        kept = kept.and(shows(driver, &mut run, NOTHING).await.map_err(healed));
    }
    stop(run).await.and(kept)
}

/// Whatever a discoverer says while its source changes, fails and is healed, each word is one that it may say.
async fn words(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let mut run = start(&*driver).await?;
    // Whether it says the right things is for others to check.
    shows(driver, &mut run, BOTH).await.ok();
    if driver.follows_changes() {
        driver.set(ONE_CHANGED).await;
        shows(driver, &mut run, ONE_CHANGED).await.ok();
        if driver.break_one("two").await {
            is_unread(&mut run, true).await.ok();
            driver.heal().await;
            is_unread(&mut run, false).await.ok();
        }
    }
    let kept = run.fault().map_or(Ok(()), |fault| Err(fault.to_owned()));
    stop(run).await.and(kept)
}

async fn broken_start(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    if !driver.break_source().await {
        return Ok(());
    }
    // A source that cannot be read may already keep the discoverer from being built.
    let broken = start(&*driver).await.ok();
    let mut kept = Ok(());
    let mut still_runs = None;
    if let Some(mut run) = broken {
        kept = fails_silently(driver, &mut run, NOTHING).await;
        if run.has_ended() { stop(run).await? } else { still_runs = Some(run) }
    }
    driver.heal().await;
    let mut run = match still_runs {
        Some(run) => run,
        None => start(&*driver).await?,
    };
    kept = kept.and(shows(driver, &mut run, BOTH).await.map_err(healed));
    stop(run).await.and(kept)
}

async fn blocked(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let config = driver.config();
    let run = Run::blocked(&driver.system(), &*config)
        .await
        .map_err(|error| format!("the discoverer cannot be built: {error}"))?;
    // Nothing tells when it waits to be heard: after a moment, most likely. Wherever it is then, it has to end.
    sleep(Duration::from_millis(200)).await;
    stop(run).await
}

async fn outlived(driver: &mut dyn Driver) -> Kept {
    driver.set(BOTH).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut run = start(&*driver).await?;
    let kept = shows(driver, &mut run, BOTH).await;
    stop(run).await.and(kept)?;
    let end = Instant::now() + SOON;
    while tasks() > before {
        if Instant::now() >= end {
            return Err(format!("{} more task(s) run than before it", tasks() - before));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn start(driver: &dyn Driver) -> Result<Run, String> {
    Run::start_on(&driver.system(), &*driver.config())
        .await
        .map_err(|error| format!("the discoverer cannot be built: {error}"))
}

async fn stop(run: Run) -> Kept {
    run.stop().await.map(drop)
}

/// Waits until the picture holds these addresses and no others.
async fn shows(driver: &dyn Driver, run: &mut Run, groups: &Groups) -> Kept {
    let all = async {
        loop {
            if run.next().await.is_none() || same(driver, &addresses(run.picture()), groups, "").is_ok() {
                return;
            }
        }
    };
    // The verdict comes from the picture.
    timeout(patience(), all).await.ok();
    let shown = addresses(run.picture());
    same(driver, &shown, groups, "the picture").map_err(|detail| if run.has_ended() { silent(run) } else { detail })
}

/// Waits until a source is unread, or until none is.
async fn is_unread(run: &mut Run, wanted: bool) -> Kept {
    let is_so = |run: &Run| run.unread().next().is_some() == wanted;
    let said = async { while !is_so(run) && run.next().await.is_some() {} };
    timeout(patience(), said).await.ok();
    match (is_so(run), wanted) {
        (true, _) => Ok(()),
        (false, true) => Err("no source is named as unread".to_owned()),
        (false, false) => Err(format!("{:?} are still unread", run.unread().collect::<Vec<_>>())),
    }
}

fn healed(detail: String) -> String {
    format!("after the source was healed, {detail}")
}

/// Waits until a failure shows; the picture must not change by it.
async fn fails_silently(driver: &dyn Driver, run: &mut Run, before: &Groups) -> Kept {
    let (end, step) = (Instant::now() + patience(), patience() / 10_000);
    loop {
        let failed = run.has_failed();
        while let Some(word) = run.try_next() {
            if before.is_empty() && word.unread().is_empty() {
                return Err(format!("it said {word:?} although it could not read the source"));
            }
        }
        if failed {
            break;
        }
        if Instant::now() >= end {
            return Err("the failure was neither told nor returned".to_owned());
        }
        sleep(step).await;
    }
    same(driver, &addresses(run.picture()), before, "the picture after a failed read")
}

fn same(driver: &dyn Driver, shown: &BTreeSet<String>, groups: &Groups, what: &str) -> Kept {
    let wanted: BTreeSet<_> =
        groups.iter().flat_map(|(_, addresses)| addresses.iter().map(|a| driver.made_of(a))).collect();
    if *shown == wanted { Ok(()) } else { Err(format!("{what} has {shown:?} and not {wanted:?}")) }
}

/// Why there was no word.
fn silent(run: &Run) -> String {
    let error = run.status().worst().map(|failure| format!("; it reported: {}", failure.report)).unwrap_or_default();
    let how = if run.has_ended() { "the run ended" } else { "nothing was said" };
    format!("{how} although the source can be read{error}")
}
