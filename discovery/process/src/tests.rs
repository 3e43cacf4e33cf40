//! Looks at a made-up `/proc`, and the texts of a real one.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use rosterd_model::Coded as _;
use rosterd_tasks::Supervision;
use rosterd_testkit::{FakeProc, FakeProcess, Folder, assert_golden};

use crate::config::{DiscoverConfig, ProcessConfig};
use crate::error::ProcessError;
use crate::files::Unread;
use crate::parse;
use crate::scan::{Memory, Places, ProcessesRead, look};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A `/proc`, the list of users, and what is remembered of both.
struct Machine {
    proc: FakeProc,
    users: Folder,
    config: ProcessConfig,
    memory: Memory,
}

impl Machine {
    fn new(config: ProcessConfig) -> Self {
        let users = Folder::new();
        users.write("passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\nweb:x:33:33::/:\nodd\n");
        Self { proc: FakeProc::new(), users, config, memory: Memory::default() }
    }

    fn look(&mut self) -> ProcessesRead {
        self.try_look().unwrap()
    }

    fn try_look(&mut self) -> Result<ProcessesRead, ProcessError> {
        let places = Places { procfs: self.proc.path(), passwd: self.users.path("passwd") };
        let guard = Supervision::default().guard("process");
        look(&self.config, &places, &mut self.memory, &guard, &AtomicBool::new(false))
    }

    /// Whose targets are known, and who could not be read.
    fn sources(&mut self) -> (Vec<String>, Vec<String>) {
        let found = self.look();
        let known = found.groups.iter().map(|group| group.source.to_string()).collect();
        (known, found.unread.iter().map(|unread| unread.source.to_string()).collect())
    }

    /// A line for each target.
    fn targets(&mut self) -> String {
        let mut text = String::new();
        for group in self.look().groups {
            for target in &group.targets {
                writeln!(text, "{} {} {target}", group.source, group.labels).unwrap();
            }
        }
        text
    }
}

fn unread(pids: &[u32]) -> Vec<String> {
    pids.iter().map(|pid| format!("pid/{pid}")).collect()
}

fn ports() -> ProcessConfig {
    ProcessConfig { ports: true, ..ProcessConfig::default() }
}

fn several(proc: &FakeProc) {
    let docker = format!("12:cpu:/docker/{ID}\n0::/docker/{ID}\n");
    let nested = format!("0::/kubepods.slice/pod1.slice/cri-containerd-{ID}.scope");
    for process in [
        FakeProcess {
            pid: 1,
            exe: "/lib/systemd/systemd",
            cmdline: "/sbin/init\0\0splash\0",
            ..FakeProcess::default()
        },
        FakeProcess { pid: 2, exe: "", cwd: "/", cmdline: "", ..FakeProcess::default() },
        FakeProcess {
            pid: 30,
            exe: "/usr/sbin/nginx (deleted)",
            cwd: "/srv/ü",
            cmdline: "nginx: worker process",
            uid: 33,
            cgroup: &docker,
            sockets: &[700, 701, 702, 799],
            ..FakeProcess::default()
        },
        FakeProcess { pid: 31, uid: 4000, cgroup: &nested, network: 2, sockets: &[700, 710], ..FakeProcess::default() },
    ] {
        proc.show(&process);
    }
    for pid in [1, 30] {
        // 0.0.0.0:80, 127.0.0.1:9100, a connection, one of a process that nobody shows, and the same number elsewhere.
        proc.sockets(
            pid,
            "net/tcp",
            &[
                ("00000000:0050", "0A", 700),
                ("0100007F:238C", "0A", 701),
                ("0100007F:238C", "01", 702),
                ("0100007F:0016", "0A", 998),
                ("nonsense", "0A", 799),
            ],
        );
    }
    // [::]:8080, [::1]:8081, and 10.1.2.3:8082 in the form of IPv6.
    proc.sockets(
        31,
        "net/tcp6",
        &[
            ("00000000000000000000000000000000:1F90", "0A", 710),
            ("00000000000000000000000001000000:1F91", "0A", 711),
            ("0000000000000000FFFF00000302010A:1F92", "0A", 700),
        ],
    );
}

#[test]
fn processes_become_targets_and_so_do_their_ports() {
    let everything = DiscoverConfig { cgroup_path: true, ..DiscoverConfig::default() };
    let nothing = DiscoverConfig {
        exe: false,
        cwd: false,
        commandline: false,
        username: false,
        uid: false,
        cgroup_path: false,
        container_id: false,
    };
    let config = |discover_config, ports| ProcessConfig { discover_config, ports, ..ProcessConfig::default() };
    for (name, config) in [
        ("defaults", ProcessConfig::default()),
        ("everything", config(everything, false)),
        ("nothing", config(nothing, false)),
        ("ports", ports()),
    ] {
        let mut machine = Machine::new(config);
        several(&machine.proc);
        assert_golden(&format!("discovery/process/{name}.golden"), &machine.targets());
    }
}

#[test]
fn what_is_known_is_not_read_again_unless_the_program_is_another() {
    let mut machine = Machine::new(ProcessConfig::default());
    for pid in 1..=20 {
        machine.proc.show(&FakeProcess { pid, ..FakeProcess::default() });
    }
    let mut reads = || machine.look().read;
    assert_eq!([reads(), reads()], [20, 20], "they settle in");
    let later: Vec<u64> = (0..10).map(|_| reads()).collect();
    assert_eq!(later.iter().sum::<u64>(), 20, "each is read again once in ten looks: {later:?}");
    assert!(later.iter().all(|read| *read == 2), "not all in one: {later:?}");

    machine.proc.show(&FakeProcess { pid: 7, started: 999, exe: "/bin/other", ..FakeProcess::default() });
    let targets = machine.targets();
    assert!(targets.lines().any(|line| line.starts_with("pid/7 ") && line.contains("/bin/other")), "{targets}");
    machine.proc.remove(7);
    assert!(!machine.targets().contains("pid/7 "));
}

#[test]
fn what_a_process_changes_about_itself_is_seen_after_some_looks() {
    let mut machine = Machine::new(ProcessConfig::default());
    machine.proc.show(&FakeProcess::default());
    (0..5).for_each(|_| drop(machine.look()));
    machine.proc.show(&FakeProcess { cwd: "/elsewhere", ..FakeProcess::default() });
    let seen = (0..10).position(|_| machine.targets().contains("/elsewhere"));
    assert!(seen.is_some());
}

#[test]
fn a_user_who_gets_a_name_is_called_by_it() {
    let mut machine = Machine::new(ProcessConfig::default());
    machine.proc.show(&FakeProcess { uid: 4000, ..FakeProcess::default() });
    (0..5).for_each(|_| assert!(!machine.targets().contains("username")));
    machine.users.replace("passwd", "somebody:x:4000:\n");
    assert!(machine.targets().contains(r#"__meta_process_username="somebody""#));
}

#[test]
fn a_process_that_cannot_be_read_costs_itself() {
    let mut machine = Machine::new(ports());
    several(&machine.proc);
    machine.proc.show(&FakeProcess { pid: 40, ..FakeProcess::default() });
    machine.proc.spoil(40, "exe");
    machine.proc.show(&FakeProcess { pid: 41, ..FakeProcess::default() });
    machine.proc.spoil(41, "ns/net");
    assert_eq!(machine.sources(), (vec!["pid/30".to_owned(), "pid/31".to_owned()], unread(&[40, 41])));
}

#[test]
fn a_known_process_that_cannot_be_read_now_is_unread_and_not_gone() {
    for name in ["stat", "exe", "cwd", "cmdline", "status", "cgroup", "ns/net", "net/tcp", "fd"] {
        let mut machine = Machine::new(ports());
        for pid in [1, 2] {
            machine.proc.show(&FakeProcess { pid, network: pid, sockets: &[700], ..FakeProcess::default() });
            machine.proc.sockets(pid, "net/tcp", &[("0100007F:0050", "0A", 700)]);
        }
        let both = (vec!["pid/1".to_owned(), "pid/2".to_owned()], Vec::new());
        assert_eq!(machine.sources(), both);
        machine.proc.spoil(2, name);
        assert_eq!(machine.sources(), (vec!["pid/1".to_owned()], unread(&[2])), "{name}");
        machine.proc.show(&FakeProcess { pid: 2, network: 2, sockets: &[700], ..FakeProcess::default() });
        machine.proc.sockets(2, "net/tcp", &[("0100007F:0050", "0A", 700)]);
        assert_eq!(machine.sources(), both, "{name}");
    }
}

#[test]
fn only_what_the_kernel_forbids_may_not_be_read() {
    let unread = |number| Unread::from(std::io::Error::from_raw_os_error(number));
    let [perm, noent, srch, intr, io, nomem, acces, nfile, mfile] = [1, 2, 3, 4, 5, 12, 13, 23, 24];
    for number in [perm, acces] {
        assert!(matches!(unread(number), Unread::Refused), "{number}");
    }
    for number in [noent, srch] {
        assert!(matches!(unread(number), Unread::Gone), "{number}");
    }
    for number in [intr, io, nomem, nfile, mfile] {
        assert!(matches!(unread(number), Unread::Failed(_)), "{number}");
    }
}

#[test]
fn users_keep_their_names_while_the_list_of_users_cannot_be_read() {
    let mut machine = Machine::new(ProcessConfig::default());
    machine.proc.show(&FakeProcess { uid: 33, ..FakeProcess::default() });
    let is_web = |machine: &mut Machine| machine.targets().contains(r#"__meta_process_username="web""#);
    assert!(is_web(&mut machine));
    let passwd = machine.users.path("passwd");
    std::fs::remove_file(&passwd).unwrap();
    assert!(is_web(&mut machine), "it is not there");
    std::fs::create_dir(&passwd).unwrap();
    assert!(is_web(&mut machine), "it is a folder");
    std::fs::remove_dir(&passwd).unwrap();
    machine.users.write("passwd", "www:x:33:\n");
    assert!(machine.targets().contains(r#"__meta_process_username="www""#));
}

#[test]
fn a_proc_that_shows_nobody_is_not_mounted() {
    let mut machine = Machine::new(ProcessConfig::default());
    machine.proc.show(&FakeProcess::default());
    assert_eq!(machine.look().groups.len(), 1);
    machine.proc.mounted(false);
    machine.proc.mounted(true);
    let error = machine.try_look().unwrap_err();
    assert_eq!(error.code(), "sd_process_unreadable");
    let message = error.to_string();
    assert!(message.starts_with("no process is shown in /") && message.ends_with("/proc: is it mounted?"), "{message}");
}

#[test]
fn ports_that_come_and_go_are_seen_at_once() {
    let mut machine = Machine::new(ports());
    let process = FakeProcess { sockets: &[700, 701], ..FakeProcess::default() };
    machine.proc.show(&process);
    (0..5).for_each(|_| assert_eq!(machine.targets(), ""));
    machine.proc.sockets(1, "net/tcp", &[("0100007F:0050", "0A", 700)]);
    assert!(machine.targets().contains(r#"__address__="127.0.0.1:80", __meta_process_port="80""#));
    machine.proc.sockets(1, "net/tcp", &[("0100007F:0050", "0A", 700), ("0100007F:0051", "0A", 701)]);
    assert_eq!(machine.targets().lines().count(), 2);
    machine.proc.sockets(1, "net/tcp", &[("0100007F:0051", "0A", 701)]);
    assert!(machine.targets().contains("127.0.0.1:81"));
    machine.proc.sockets(1, "net/tcp", &[]);
    assert_eq!(machine.targets(), "");
}

#[test]
fn a_proc_that_is_not_there_is_an_error_and_no_empty_list() {
    let mut memory = Memory::default();
    let places = Places::of("/nowhere".as_ref());
    let guard = Supervision::default().guard("process");
    let found = look(&ProcessConfig::default(), &places, &mut memory, &guard, &AtomicBool::new(false));
    assert_eq!(found.unwrap_err().to_string(), "cannot list the processes in /nowhere");
}

#[test]
fn containers_are_known_by_their_control_groups() {
    for (line, is_one) in [
        (format!("0::/docker/{ID}"), true),
        (format!("0::/docker/{ID}  "), true),
        (format!("0::/system.slice/docker-{ID}.scope"), true),
        (format!("0::/a/crio-conmon-{ID}.scope"), true),
        (format!("0::/machine.slice/libpod-{ID}.scope/container"), true),
        (format!("0::/kubepods/burstable/pod-1/{ID}"), true),
        (format!("0::/docker/{ID}/init.scope"), false),
        (format!("0::/docker/a{ID}"), false),
        (format!("0::/docker/{ID}0"), false),
        (format!("0::/docker/{}", ID.to_uppercase()), false),
        (format!("docker-{ID}"), false),
        ("0::/".to_owned(), false),
    ] {
        assert_eq!(parse::container(&format!("1:name=x:/\n{line}")), is_one.then_some(ID), "{line}");
    }
}

#[test]
fn the_program_is_found_behind_any_name() {
    let stat = |name: &str| format!("12 ({name}) S 1 {} 4242 0 0 7 0 9", "0 ".repeat(17).trim());
    for name in ["sh", "a b", ") S 1 (", "", "((("] {
        let program = parse::program(&stat(name)).unwrap();
        assert_ne!(program, parse::program(&stat("other")).unwrap());
        assert_eq!(program, parse::program(&stat(name)).unwrap());
        assert_ne!(program, parse::program(&stat(name).replace("4242", "4243")).unwrap());
    }
    for odd in ["", "12", "12 (sh", "12 (sh)", "12 (sh) S 1 2 3"] {
        assert_eq!(parse::program(odd), None, "{odd:?}");
    }
}
