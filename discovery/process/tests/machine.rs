//! The processes of the machine that the test runs on.

use std::process::Command;
use std::time::Duration;

use rosterd_discovery_process::ProcessConfig;
use rosterd_model::TargetGroup;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{Process, eventually_ok, leak_checked_live, need, patience};

/// Listens on a port that it prints.
const LISTENS: &str = "import socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
print(s.getsockname()[1], flush=True)
time.sleep(1000)";

fn config(ports: bool) -> ProcessConfig {
    ProcessConfig { refresh_interval: Duration::from_millis(100).into(), ports, ..ProcessConfig::default() }
}

async fn find(run: &mut Run, what: &str, wanted: impl Fn(&TargetGroup) -> bool) -> TargetGroup {
    let look = async || {
        while run.try_next().is_some() {}
        match run.picture().find(|group| wanted(group)) {
            Some(group) => Ok(group.clone()),
            None => Err(format!("{} groups", run.picture().count())),
        }
    };
    eventually_ok(patience(), what, look).await
}

#[test]
fn a_child_that_listens_is_found_with_its_port_until_it_ends() {
    leak_checked_live(async || {
        let mut run = Run::start(&config(true)).await.unwrap();
        let python = need("python3", "python3");
        let mut child = Process::start("child", Command::new(&python).args(["-c", LISTENS]));
        child.wait_log("\n").await;
        let (port, source) = (child.log().trim().to_owned(), format!("pid/{}", child.id()));
        let group = find(&mut run, "the child is there", |group| *group.source == *source).await;
        assert_eq!(group.labels.get("__meta_process_pid"), Some(&*child.id().to_string()));
        assert!(group.labels.get("__meta_process_exe").unwrap().contains("python3"));
        assert!(group.labels.get("__meta_process_commandline").unwrap().contains("import socket"));
        let addresses: Vec<_> = group.targets.iter().map(|target| target.get("__address__").unwrap()).collect();
        assert_eq!(addresses, [format!("127.0.0.1:{port}")]);
        assert_eq!(group.targets[0].get("__meta_process_port"), Some(&*port));
        child.stop().await;
        let look = async || {
            while run.try_next().is_some() {}
            if run.picture().any(|group| *group.source == *source) { Err(String::new()) } else { Ok(()) }
        };
        eventually_ok(patience(), "the child is gone", look).await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn this_process_is_one_of_them() {
    leak_checked_live(async || {
        let mut run = Run::start(&config(false)).await.unwrap();
        let source = format!("pid/{}", std::process::id());
        let group = find(&mut run, "this process is there", |group| *group.source == *source).await;
        let exe = std::env::current_exe().unwrap();
        assert_eq!(group.labels.get("__meta_process_exe"), exe.to_str());
        assert_eq!(group.labels.get("__meta_process_cwd"), std::env::current_dir().unwrap().to_str());
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()).to_string();
        assert_eq!(group.labels.get("__meta_process_uid"), Some(&*uid));
        run.stop().await.unwrap().unwrap();
    });
}
