//! Killed before and after each change of the ledger, so between any two steps and in the middle of each: whatever was done by
//! then, the next process brings the file and its program to one and the same.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};

use super::publishing::{Running, Stores, content, names, noted, shell, template};
use crate::publish::templates::Template;
use crate::reconcile::Phase;
use crate::store::ledger::{Ledger, Member, Picture, Transaction, Version, Watch};
use crate::store::{StoreError, open_folder};

/// Tells the child what to do. They are set for the child alone.
const FOLDER: &str = "ROSTERD_TEST_FOLDER";
const TARGET: &str = "ROSTERD_TEST_TARGET";
const POINT: &str = "ROSTERD_TEST_POINT";

/// The signal of an abort.
const ABORTED: i32 = 6;

/// Ends the process at once at a point: the even ones are before a change of the ledger, the odd ones after it.
#[derive(Debug)]
struct Aborting {
    backend: Arc<dyn Ledger>,
    point: AtomicUsize,
}

impl Aborting {
    fn pass(&self) {
        if self.point.fetch_sub(1, Ordering::SeqCst) == 0 {
            std::process::abort();
        }
    }
}

#[async_trait]
impl Ledger for Aborting {
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError> {
        self.pass();
        let version = self.backend.apply(transaction).await;
        self.pass();
        version
    }

    async fn read(&self, member: &Member) -> Result<Picture, StoreError> {
        self.backend.read(member).await
    }

    async fn watch(&self, member: &Member) -> Result<Watch, StoreError> {
        self.backend.watch(member).await
    }
}

/// Its program takes nothing with port 66, and does not work with port 77 the second time that it is asked: what it said the first
/// time was forgotten.
fn configured(folder: &Path) -> Template {
    let it = template(folder);
    let asked = folder.join("asked");
    let script = format!("grep -q :77 \"$1\" || exit 0; echo >>{0}; test $(wc -l <{0}) = 1", asked.display());
    let verify = shell(&script, &it.destination.display().to_string());
    Template { reload: noted(folder), verify, ..it }
}

/// Publishes a target from the folder's state until it is there, or refused. With port 77 it may come to either.
async fn publish(folder: &Path, stores: &Stores, target: &str) {
    let it = configured(folder);
    let agent = Running::start(stores, std::slice::from_ref(&it)).await;
    agent.has(target).await;
    let new = format!("list: {target}\n");
    let (may_be_taken, may_be_refused) = (!target.ends_with(":66"), target.ends_with(":66") || target.ends_with(":77"));
    eventually(patience(), "it is published or refused", || match agent.phase(&it) {
        Some(Phase::Done) => may_be_taken && content(&it.destination).as_ref() == Some(&new),
        Some(Phase::Cancelled) => may_be_refused,
        _ => false,
    })
    .await;
    agent.stop().await;
}

#[test]
#[ignore = "the process that the test below lets abort"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_aborts() {
    let (Ok(folder), Ok(target), Ok(point)) = (std::env::var(FOLDER), std::env::var(TARGET), std::env::var(POINT))
    else {
        return;
    };
    leak_checked_live(async || {
        let (_blocks, ledger) = open_folder(&Path::new(&folder).join("store")).await.unwrap();
        let point = AtomicUsize::new(point.parse().unwrap());
        let ledger = Arc::new(Aborting { backend: Arc::new(ledger), point });
        publish(Path::new(&folder), &Stores(ledger), &target).await;
    });
}

/// Lets a child publish a target and abort at a point. Whether it came to that.
fn aborted(folder: &Path, target: &str, point: usize) -> bool {
    let name = concat!(module_path!(), "::child_that_aborts");
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", name.split_once("::").unwrap().1, "--ignored", "--nocapture"]);
    let child = child.env(FOLDER, folder).env(TARGET, target).env(POINT, point.to_string());
    let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    match (status.signal(), status.code()) {
        (Some(ABORTED), _) => true,
        (_, Some(0)) => false,
        _ => panic!("the child failed at point {point}: {status}"),
    }
}

async fn stores(folder: &Path) -> Stores {
    let (_blocks, ledger) = open_folder(&folder.join("store")).await.unwrap();
    Stores(Arc::new(ledger))
}

/// Kills a process at each point on the way from one target to another, and lets the next process go on. `left` tells the target
/// that is there in the end.
fn killed_everywhere(target: &'static str, left: fn(&Folder) -> &'static str) {
    leak_checked_live(async move || {
        let mut points = 0;
        for point in 0.. {
            let folder = Folder::new();
            let it = configured(folder.root());
            publish(folder.root(), &stores(folder.root()).await, "x:1").await;
            let at = folder.root().to_owned();
            let was_killed = rosterd_tasks::blocking(move || aborted(&at, target, point)).await;
            let found = content(&it.destination);
            let one_of_both = ["list: x:1\n".to_owned(), format!("list: {target}\n")];
            assert!(found.as_ref().is_some_and(|found| one_of_both.contains(found)), "point {point}: {found:?}");
            publish(folder.root(), &stores(folder.root()).await, target).await;
            let expected = format!("list: {}\n", left(&folder));
            assert_eq!(content(&it.destination).as_ref(), Some(&expected), "point {point}");
            let reloads = folder.read("reloads");
            let last = reloads.lines().next_back().map(|line| format!("{line}\n"));
            assert_eq!(last, Some(expected), "point {point}: the program has the file that is in place: {reloads}");
            let mut beside = names(folder.root());
            beside.retain(|name| name != "asked");
            assert_eq!(beside, ["reloads", "store", "x.conf", "x.tmpl"], "point {point}: nothing is left");
            if !was_killed {
                points = point;
                break;
            }
        }
        assert!(points > 12, "all steps were passed: {points}");
    });
}

#[test]
fn a_process_killed_between_any_two_steps_leaves_work_that_the_next_one_finishes() {
    killed_everywhere("x:2", |_| "x:2");
}

#[test]
fn a_process_killed_while_it_undoes_what_was_not_taken_leaves_that_to_the_next_one() {
    killed_everywhere("x:66", |_| "x:1");
}

#[test]
fn a_process_killed_before_the_answer_of_a_verification_is_known_asks_again_and_can_still_go_back() {
    killed_everywhere("x:77", |folder| match folder.read("asked").lines().count() {
        1 => "x:77",
        _ => "x:1",
    });
}
