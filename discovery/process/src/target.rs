//! What is known of a process, as labels.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use rosterd_discovery::Sheet;
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Labels, Names, TargetGroup};

use crate::config::DiscoverConfig;
use crate::files::Known;

const PID: &str = "__meta_process_pid";
const EXE: &str = "__meta_process_exe";
const CWD: &str = "__meta_process_cwd";
const COMMANDLINE: &str = "__meta_process_commandline";
const USERNAME: &str = "__meta_process_username";
const UID: &str = "__meta_process_uid";
const CGROUP_PATH: &str = "__meta_process_cgroup_path";
const CONTAINER_ID: &str = "__meta_process_container_id";
const PORT: &str = "__meta_process_port";

/// The labels of a process.
pub(crate) fn labels(
    pid: u32,
    known: &Known,
    wanted: &DiscoverConfig,
    users: &HashMap<u32, Box<str>>,
    names: &mut Names,
) -> Labels {
    let mut sheet = Sheet::default();
    sheet.set(PID, &pid.to_string());
    sheet.set(EXE, &known.exe);
    sheet.set(CWD, &known.cwd);
    sheet.set(COMMANDLINE, &known.command_line);
    sheet.set(CGROUP_PATH, &known.control_groups);
    sheet.set(CONTAINER_ID, &known.container);
    if let Some(user) = known.user {
        if wanted.uid {
            sheet.set(UID, &user.to_string());
        }
        if wanted.username {
            sheet.set(USERNAME, users.get(&user).map_or("", |name| name));
        }
    }
    sheet.build(names)
}

/// The source that a process is.
pub(crate) fn source(pid: u32) -> String {
    format!("pid/{pid}")
}

/// A process as one target, which has no address before a rule gives it one.
pub(crate) fn process(pid: u32, labels: &Labels) -> TargetGroup {
    group(pid, labels, vec![Labels::default()])
}

/// A process as a target for each address that it listens on.
pub(crate) fn ports(pid: u32, labels: &Labels, listens_on: &BTreeSet<SocketAddr>, names: &mut Names) -> TargetGroup {
    let mut sheet = Sheet::default();
    let target = |address: &SocketAddr| {
        sheet.set(ADDRESS, &address.to_string());
        sheet.set(PORT, &address.port().to_string());
        sheet.build(names)
    };
    group(pid, labels, listens_on.iter().map(target).collect())
}

fn group(pid: u32, labels: &Labels, targets: Vec<Labels>) -> TargetGroup {
    TargetGroup { source: source(pid).into(), key: "".into(), labels: labels.clone(), targets }
}
