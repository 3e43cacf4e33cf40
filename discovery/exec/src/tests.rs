//! Real commands: shell scripts that print, fail, hang and leave processes behind.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use rosterd_model::{Duration, HIDDEN, Secret, Size};
use rosterd_testkit::{eventually, eventually_ok, leak_checked_live, patience};
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;
use tokio::time::timeout;

use super::config::ExecConfig;
use super::discoverer::Exec;
use rosterd_discovery::{Context, Error, Polling, Reading, Refresh, Updates};

const DEADLINE: StdDuration = StdDuration::from_secs(30);
/// Ignores SIGTERM for good, as does its child; both tell their numbers.
const STUBBORN: &str =
    "trap '' TERM; (echo $$ > parent; exec sh -c 'echo $$ > child; while :; do sleep 1000; done'); wait";

fn script(script: &str) -> ExecConfig {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    ExecConfig { command, ..ExecConfig::default() }
}

async fn run(config: ExecConfig) -> Result<Vec<String>, Error> {
    let Reading::Everything(groups) = Exec::new(config).refresh().await? else { panic!("a first read is always news") };
    Ok(groups.iter().map(|group| format!("{} {} {:?}", group.source, group.labels, group.targets)).collect())
}

async fn failure(config: ExecConfig) -> (&'static str, String) {
    let error = run(config).await.unwrap_err();
    (error.code(), error.to_string())
}

/// The number that a script wrote, once it has.
async fn number(file: PathBuf) -> Pid {
    let read = async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let number = text.strip_suffix('\n').and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
        number.ok_or(text)
    };
    eventually_ok(patience(), "the script writes its number", read).await
}

/// Waits until a process is gone, or only waits for a parent to notice.
async fn gone(id: Pid) {
    let is_gone = || test_kill_process(id).is_err() || is_zombie(id);
    eventually(patience(), &format!("process {id:?} is gone"), is_gone).await;
}

fn is_zombie(id: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", id.as_raw_nonzero())).unwrap_or_default();
    status.contains("State:\tZ")
}

fn in_folder(folder: &TempDir, config: ExecConfig) -> ExecConfig {
    ExecConfig { working_directory: Some(folder.path().to_owned()), ..config }
}

#[test]
fn what_a_command_prints_becomes_groups() {
    leak_checked_live(async || {
        let printed = r#"echo '[{"targets": ["a:1"], "labels": {"x": "y"}}, {"targets": ["b:2", "c:3"]}]'"#;
        assert_eq!(
            run(script(printed)).await.unwrap(),
            [
                r#"/bin/sh {__meta_exec_command="/bin/sh", x="y"} [{__address__="a:1"}]"#,
                r#"/bin/sh {__meta_exec_command="/bin/sh"} [{__address__="b:2"}, {__address__="c:3"}]"#,
            ]
        );
        assert_eq!(run(script("echo '[]'; echo careful >&2")).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn the_same_output_again_is_no_news() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let mut exec = Exec::new(in_folder(&folder, script("cat groups")));
        std::fs::write(folder.path().join("groups"), r#"[{"targets": ["a:1"]}]"#).unwrap();
        assert!(matches!(exec.refresh().await, Ok(Reading::Everything(groups)) if groups.len() == 1));
        assert!(matches!(exec.refresh().await, Ok(Reading::Unchanged)));
        std::fs::write(folder.path().join("groups"), "[").unwrap();
        assert_eq!(exec.refresh().await.unwrap_err().code(), "sd_exec_malformed");
        std::fs::write(folder.path().join("groups"), "[]").unwrap();
        assert!(matches!(exec.refresh().await, Ok(Reading::Everything(groups)) if groups.is_empty()));
    });
}

#[test]
fn null_is_no_list() {
    leak_checked_live(async || {
        for printed in ["null", " null\n\n"] {
            let (code, text) = failure(script(&format!("printf '{}'", printed.replace('\n', "\\n")))).await;
            assert_eq!((code, text.as_str()), ("sd_exec_malformed", "/bin/sh printed null: for no targets, print []"));
        }
    });
}

#[test]
fn a_failure_carries_status_and_the_end_of_stderr() {
    leak_checked_live(async || {
        let (code, text) = failure(script("echo '[]'; echo no such region >&2; exit 3")).await;
        assert_eq!(code, "sd_exec_failed");
        assert_eq!(text, "/bin/sh failed with exit status: 3; it said: no such region");
        let (code, text) = failure(script("kill -9 $$")).await;
        assert_eq!(code, "sd_exec_failed");
        assert!(text.contains("SIGKILL"), "{text}");
        let (_, text) = failure(script("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1")).await;
        assert!(text.ends_with("the end") && text.len() < 4096, "{} bytes", text.len());
    });
}

#[test]
fn what_a_command_was_given_as_a_secret_is_not_repeated() {
    leak_checked_live(async || {
        let env = || [("TOKEN".to_owned(), Secret::new("hunter2"))].into();
        let config = ExecConfig { env: env(), ..script("set -x; : $TOKEN; exit 1") };
        let (_, text) = failure(config).await;
        assert!(!text.contains("hunter2") && text.contains(HIDDEN), "{text}");
        let config = ExecConfig { env: env(), ..script("echo \"[{\\\"targets\\\": \\\"$TOKEN\\\"}]\"") };
        let (code, text) = failure(config).await;
        assert_eq!(code, "sd_exec_malformed");
        assert!(!text.contains("hunter2"), "{text}");
    });
}

#[test]
fn a_command_that_is_not_there_cannot_start() {
    leak_checked_live(async || {
        let config = ExecConfig { command: vec!["/nonexistent/list".to_owned()], ..ExecConfig::default() };
        let (code, text) = failure(config).await;
        assert_eq!(code, "sd_exec_start");
        assert!(text.starts_with("cannot start /nonexistent/list: No such file"), "{text}");
    });
}

#[test]
fn more_output_than_allowed_ends_the_run() {
    leak_checked_live(async || {
        let endless = ExecConfig { max_output_size: Size::from_bytes(100_000), ..script("exec cat /dev/zero") };
        assert_eq!(failure(endless).await.0, "sd_exec_too_much_output");
        let exactly = ExecConfig { max_output_size: Size::from_bytes(3), ..script("echo '[]'") };
        assert_eq!(run(exactly).await.unwrap(), Vec::<String>::new());
        let above = ExecConfig { max_output_size: Size::from_bytes(2), ..script("echo '[]'") };
        assert_eq!(failure(above).await.0, "sd_exec_too_much_output");
        let any = ExecConfig { max_output_size: Size::ZERO, ..script("echo '[]'") };
        assert_eq!(run(any).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_timeout_kills_the_group_with_those_that_ignore_sigterm() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let config = in_folder(&folder, script(&format!("echo stuck >&2; {STUBBORN}")));
        let (code, text) = failure(ExecConfig { timeout: Some(half_a_second()), ..config }).await;
        assert_eq!(code, "sd_exec_timeout");
        assert!(text.ends_with("did not end within 500ms and was killed; it said: stuck"), "{text}");
        for file in ["parent", "child"] {
            gone(number(folder.path().join(file)).await).await;
        }
    });
}

#[test]
fn what_a_command_leaves_behind_is_killed() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let left =
            "sh -c 'echo $$ > child; exec sleep 1000' >/dev/null 2>&1 & while [ ! -s child ]; do sleep 0.01; done";
        run(in_folder(&folder, script(&format!("{left}; echo '[]'")))).await.unwrap();
        gone(number(folder.path().join("child")).await).await;
    });
}

#[test]
fn a_stop_ends_a_run_with_its_group_before_the_discoverer_ends() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let cx = Context::detached("exec/test");
        let (up, _words) = Updates::channel(&cx);
        let stop = cx.stop.clone();
        let discoverer = Polling::boxed(Exec::new(in_folder(&folder, script(STUBBORN))), DEADLINE);
        let parent = async {
            let parent = number(folder.path().join("parent")).await;
            let child = number(folder.path().join("child")).await;
            stop.cancel();
            (parent, child)
        };
        let (ended, (parent, child)) =
            timeout(DEADLINE, async { tokio::join!(discoverer.run(cx, up), parent) }).await.unwrap();
        ended.unwrap();
        assert!(test_kill_process(parent).is_err(), "the command was reaped before the discoverer ended");
        gone(child).await;
    });
}

#[test]
fn a_dropped_run_is_killed() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let mut exec = Exec::new(in_folder(&folder, script(STUBBORN)));
        let child = tokio::select! {
            _ = exec.refresh() => panic!("the script never ends"),
            child = number(folder.path().join("child")) => child,
        };
        drop(exec);
        gone(child).await;
    });
}

#[test]
fn a_command_has_only_the_environment_and_descriptors_it_is_given() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().unwrap();
        let _open = std::fs::File::create(folder.path().join("secret")).unwrap();
        let look = "env > env; ls -l /proc/$$/fd > fds; readlink /proc/$$/fd/0 > stdin; echo '[]'";
        let mut config = in_folder(&folder, script(look));
        config.env.insert("REGION".to_owned(), "eu".into());
        run(config).await.unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        // The shell itself adds PWD and the like.
        let own = |line: &&str| !["PWD=", "OLDPWD=", "_=", "SHLVL="].iter().any(|name| line.starts_with(name));
        let env = read("env");
        let mut env: Vec<_> = env.lines().filter(own).collect();
        env.sort_unstable();
        assert_eq!(env, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "REGION=eu"]);
        let fds = read("fds");
        assert!(fds.contains("pipe:") && !fds.contains("/secret"), "{fds}");
        assert_eq!(read("stdin"), "/dev/null\n");
    });
}

fn half_a_second() -> Duration {
    StdDuration::from_millis(500).into()
}
