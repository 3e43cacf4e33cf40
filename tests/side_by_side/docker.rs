//! A real Docker Engine, also as a swarm: the targets of Debian's Prometheus and vmagent as containers, services and the engine itself come and go,
//! and changes that are seen although the interval is an hour.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rosterd_testkit::{Folder, Server, eventually, eventually_ok, leak_checked_live, need, patience};
use rustix::process::Signal;

use super::daemon::{self, Daemon, Network};
use super::programs::{SHOWS_NEWS, Wrapper, prometheus, rosterd, vmagent};
use super::targets::{Found, Labels, Target, Targets, active, only_one};

/// An image of nothing but a program that sleeps.
fn image(daemon: &Daemon) {
    let root = Folder::new();
    let sleep = need("sleep", "coreutils");
    let listed = daemon::output(Command::new("ldd").arg(&sleep));
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.map(Path::new).chain([&*sleep]) {
        let inside = if file == sleep { Path::new("/sleep") } else { file };
        let to = root.path(inside.strip_prefix("/").expect("it is absolute").to_str().expect("it is text"));
        std::fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a new folder");
        std::fs::copy(file, &to).expect("it can be read");
    }
    let archive = Folder::new();
    let tar = archive.path("image.tar").display().to_string();
    daemon::output(Command::new(need("tar", "tar")).args(["-C", &root.root().display().to_string(), "-cf", &tar, "."]));
    daemon.docker(&["import", &tar, "sleeper:1"]);
}

fn run(daemon: &Daemon, name: &str, arguments: &[&str]) {
    let begin = ["run", "--detach", "--stop-timeout", "0", "--name", name];
    daemon.docker(&[&begin[..], arguments, &["sleeper:1", "/sleep", "1000000"]].concat());
}

fn service(daemon: &Daemon, name: &str, arguments: &[&str]) {
    let begin = ["service", "create", "--detach", "--no-resolve-image", "--name", name];
    daemon.docker(&[&begin[..], arguments, &["sleeper:1", "/sleep", "1000000"]].concat());
}

/// What 3.14 has and 2.42 has not.
const IMAGE: [&str; 2] = ["__meta_docker_container_image", "__meta_docker_container_image_id"];
const ID: &str = "__meta_docker_container_id";
const MODE: &str = "__meta_docker_container_network_mode";
const NETWORK: &str = "__meta_docker_network_name";

/// What 2.42 says of an engine as 3.14 would: of several networks of a container only the first by name counts.
fn first_networks(targets: BTreeSet<Target>) -> BTreeSet<Target> {
    let mut first = BTreeMap::<String, String>::new();
    let of = |labels: &Labels, name: &str| labels.get(name).cloned().unwrap_or_default();
    for target in &targets {
        let (id, network) = (of(&target.discovered, ID), of(&target.discovered, NETWORK));
        let known = first.entry(id).or_insert_with(|| network.clone());
        *known = network.min(std::mem::take(known));
    }
    let counts = |target: &Target| {
        first.get(&of(&target.discovered, ID)).is_none_or(|first| *first == of(&target.discovered, NETWORK))
    };
    targets.into_iter().filter(counts).collect()
}

/// What we say without what 2.42 has not: images, and containers on the networks of others.
fn as_in_2_42(targets: BTreeSet<Target>) -> BTreeSet<Target> {
    let shares = |target: &Target| target.discovered.get(MODE).is_some_and(|mode| mode.starts_with("container:"));
    let mut targets: Vec<_> = targets.into_iter().filter(|target| !shares(target)).collect();
    targets.iter_mut().for_each(|target| target.discovered.retain(|name, _| !IMAGE.contains(&&**name)));
    targets.into_iter().collect()
}

/// Waits until both have the same targets, so many of each job, and each of these is the value of a label of theirs: what is new.
async fn agree(what: &str, ours: &Server, theirs: &Server, expected: &[(&str, usize)], new: &[&str]) {
    let look = async || {
        let theirs = first_networks(Targets::of_2_42(theirs, theirs).await.active);
        let all = Targets::of(ours).await.active;
        let difference = only_one(&as_in_2_42(all), &theirs, ["rosterd", "Prometheus"]);
        let count = |job: &str| theirs.iter().filter(|target| target.pool == job).count();
        let counts: Vec<_> = expected.iter().map(|(job, _)| (*job, count(job))).collect();
        let has = |value: &&str| theirs.iter().any(|target| target.discovered.values().any(|it| it == value));
        match difference.is_empty() && counts == expected && new.iter().all(has) {
            true => Ok(()),
            false => Err(format!("{counts:?}, with {new:?}?\n{difference}\n{}", ours.log())),
        }
    };
    eventually_ok(patience(), what, look).await;
}

/// Waits until vmagent, which as 2.42 has all networks of a container, has the same targets, so many of each of these jobs. Those with
/// filters it has not: it asks for other things by the same filters, which the engine refuses.
async fn agree_with_vmagent(what: &str, ours: &Server, theirs: &Server, expected: &[(&str, usize)]) {
    let of_jobs = |mut targets: BTreeSet<Target>| {
        targets
            .retain(|target| expected.iter().any(|(job, _)| target.discovered.get("job").is_some_and(|it| it == job)));
        Found::of(targets, |_| true)
    };
    let look = async || {
        let theirs = of_jobs(first_networks(active(&theirs.data("/api/v1/targets?state=active").await)));
        let ours = of_jobs(as_in_2_42(Targets::of(ours).await.active));
        let found = ours.and(&theirs, ["rosterd", "vmagent"])?;
        let count = |job: &str| found.iter().filter(|labels| labels["job"] == job).count();
        let counts: Vec<_> = expected.iter().map(|(job, _)| (*job, count(job))).collect();
        if counts == expected { Ok(()) } else { Err(format!("they agree, but on {counts:?}")) }
    };
    eventually_ok(patience(), what, look).await;
}

/// The names of the containers of our targets, each target once.
async fn names(ours: &Server) -> Vec<String> {
    let targets = Targets::of(ours).await.active.into_iter();
    let mut names: Vec<_> =
        targets.filter_map(|mut target| target.discovered.remove("__meta_docker_container_name")).collect();
    names.sort();
    names
}

async fn until_names(what: &str, ours: &Server, wanted: &[&str]) {
    let look = async || match names(ours).await {
        found if found == wanted => Ok(()),
        found => Err(format!("{found:?}\n{}", ours.log())),
    };
    eventually_ok(patience(), what, look).await;
}

#[test]
fn containers_are_the_targets_that_prometheus_has_while_they_come_and_go() {
    if !daemon::is_possible() {
        return;
    }
    leak_checked_live(|| async {
        let mut daemon = Daemon::start(Network::Own).await;
        image(&daemon);
        let networks: [&[&str]; 2] = [
            &["--subnet", "172.30.81.0/24", "--label", "team.name=a", "front"],
            &["--internal", "--subnet", "172.30.82.0/24", "back"],
        ];
        networks.iter().for_each(|more| drop(daemon.docker(&[&["network", "create"][..], *more].concat())));
        run(&daemon, "alone", &["--network", "back", "--label", "com.example/role=a"]);
        run(&daemon, "web", &["--network", "front", "--expose", "9100", "--publish", "127.0.0.1:18080:81"]);
        daemon.docker(&["network", "connect", "back", "web"]);
        run(&daemon, "host", &["--network", "host"]);
        run(&daemon, "none", &["--network", "none"]);
        run(&daemon, "udp", &["--network", "back", "--expose", "53/udp"]);
        run(&daemon, "side", &["--network", "container:web"]);
        let folder = Folder::new();
        let host = daemon.host();
        let filters = "filters: [{name: label, values: [com.example/role=a]}, {name: status, values: [running]}]";
        let all = format!("job_name: all, docker_sd_configs: [{{host: '{host}', refresh_interval: 1s}}]");
        let config = folder.write(
            "prometheus.yml",
            format!(
                "scrape_configs:
- {{{all}}}
- {{job_name: some, docker_sd_configs: [{{host: '{host}', port: 9100, host_networking_host: h, refresh_interval: 1s, {filters}}}]}}
"
            ),
        );
        let of_vmagent = folder.write("vmagent.yml", format!("scrape_configs: [{{{all}, {SHOWS_NEWS}}}]"));
        let (ours, theirs) = (
            rosterd(&config, Wrapper::default(), &[]).await,
            prometheus("Prometheus", &config, Wrapper::default()).await,
        );
        let vmagent = vmagent("vmagent", &of_vmagent).await;
        // `web` has two ports, of which none is that of `side`: targets with the same labels are one.
        agree("they agree at first", &ours, &theirs, &[("all", 6), ("some", 1)], &[]).await;
        agree_with_vmagent("vmagent agrees at first", &ours, &vmagent, &[("all", 6)]).await;
        let all = names(&ours).await;
        assert_eq!(
            all,
            ["/alone", "/alone", "/host", "/none", "/side", "/udp", "/web", "/web"],
            "one more than Prometheus 2.42"
        );

        run(&daemon, "late", &["--network", "front", "--expose", "80"]);
        daemon.docker(&["rm", "--force", "web", "udp"]);
        daemon.docker(&["network", "connect", "front", "alone"]);
        daemon.docker(&["rename", "late", "renamed"]);
        until_names("the changes", &ours, &["/alone", "/alone", "/host", "/none", "/renamed"]).await;
        agree("they agree after changes", &ours, &theirs, &[("all", 4), ("some", 1)], &["/renamed"]).await;
        agree_with_vmagent("vmagent agrees after changes", &ours, &vmagent, &[("all", 4)]).await;

        let before = Targets::of(&ours).await.active;
        daemon.signal(Signal::STOP);
        let fails = async || match ours.metric("rosterd_discovery_refresh_failures_total", "").await > 0.0 {
            true => Ok(()),
            false => Err(ours.log()),
        };
        eventually_ok(patience(), "the engine is missed", fails).await;
        assert_eq!(Targets::of(&ours).await.active, before, "an engine that does not answer takes nothing away");
        agree_with_vmagent("nor does it from vmagent", &ours, &vmagent, &[("all", 4)]).await;
        daemon.signal(Signal::CONT);
        // Its containers end with it.
        daemon.halt().await;
        daemon.resume().await;
        daemon.docker(&["start", "alone"]);
        run(&daemon, "new", &["--network", "back"]);
        agree("they agree after a restart of the engine", &ours, &theirs, &[("all", 2), ("some", 1)], &["/new"]).await;
        agree_with_vmagent("vmagent agrees after a restart of the engine", &ours, &vmagent, &[("all", 2)]).await;
        daemon.halt().await;
    });
}

#[test]
fn changes_are_seen_long_before_the_interval_is_over() {
    if !daemon::is_possible() {
        return;
    }
    leak_checked_live(|| async {
        let mut daemon = Daemon::start(Network::Own).await;
        image(&daemon);
        daemon.docker(&["network", "create", "--subnet", "172.30.83.0/24", "one"]);
        daemon.docker(&["network", "create", "--subnet", "172.30.84.0/24", "a-second"]);
        run(&daemon, "first", &["--network", "one"]);
        let folder = Folder::new();
        let config = folder.write(
            "prometheus.yml",
            format!(
                "scrape_configs: [{{job_name: a, docker_sd_configs: [{{host: '{}', refresh_interval: 1h}}]}}]",
                daemon.host()
            ),
        );
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        until_names("what is there at first", &ours, &["/first"]).await;
        run(&daemon, "second", &["--network", "one"]);
        until_names("a start", &ours, &["/first", "/second"]).await;
        daemon.docker(&["stop", "second"]);
        until_names("a stop", &ours, &["/first"]).await;
        daemon.docker(&["rename", "first", "renamed"]);
        until_names("another name", &ours, &["/renamed"]).await;
        daemon.docker(&["network", "connect", "a-second", "renamed"]);
        let moved = async || {
            let targets = Targets::of(&ours).await.active;
            let networks: Vec<_> = targets.iter().filter_map(|target| target.discovered.get(NETWORK)).collect();
            if networks == ["a-second"] { Ok(()) } else { Err(format!("{networks:?}\n{}", ours.log())) }
        };
        eventually_ok(patience(), "another network", moved).await;
        // The stream of events ends with the engine, and is opened again.
        daemon.halt().await;
        daemon.resume().await;
        until_names("the engine was restarted without containers", &ours, &[]).await;
        daemon.docker(&["start", "renamed"]);
        until_names("a start after the restart", &ours, &["/renamed"]).await;
        daemon.halt().await;
    });
}

#[test]
fn a_swarm_has_the_targets_that_prometheus_has_while_services_come_and_go() {
    if !daemon::is_possible() {
        return;
    }
    leak_checked_live(|| async {
        let mut daemon = Daemon::start(Network::Own).await;
        image(&daemon);
        daemon.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"]);
        daemon.docker(&["network", "create", "--driver", "overlay", "--label", "tier=mesh", "mesh"]);
        let node = daemon.docker(&["node", "ls", "--quiet"]);
        daemon.docker(&["node", "update", "--label-add", "zone-id=a1", node.trim()]);
        let published = ["--network", "mesh", "--publish", "18081:80", "--label", "team=x"];
        service(&daemon, "web", &[&published[..], &["--container-label", "com.example/kind=web"]].concat());
        service(&daemon, "plain", &["--network", "mesh", "--hostname", "h"]);
        service(&daemon, "everywhere", &["--mode", "global", "--publish", "mode=host,published=18082,target=80"]);
        let folder = Folder::new();
        let configuration = |interval: &str| {
            let job = |role: &str| {
                let host = daemon.host();
                let running =
                    if role == "tasks" { ", filters: [{name: desired-state, values: [running]}]" } else { "" };
                format!(
                    "- {{job_name: {role}, dockerswarm_sd_configs: [{{host: '{host}', role: {role}, refresh_interval: {interval}{running}}}]}}\n"
                )
            };
            format!("scrape_configs:\n{}", ["services", "tasks", "nodes"].map(job).concat())
        };
        let config = folder.write("prometheus.yml", configuration("1s"));
        let slow = folder.write("slow.yml", configuration("1h"));
        // It would filter services as tasks, which the engine refuses.
        let of_vmagent = ["services", "nodes"].map(|role| {
            let host = daemon.host();
            format!(
                "- {{job_name: {role}, dockerswarm_sd_configs: [{{host: '{host}', role: {role}}}], {SHOWS_NEWS}}}\n"
            )
        });
        let of_vmagent = folder.write("vmagent.yml", format!("scrape_configs:\n{}", of_vmagent.concat()));
        let (ours, theirs) = (
            rosterd(&config, Wrapper::default(), &[]).await,
            prometheus("Prometheus", &config, Wrapper::default()).await,
        );
        let hinted = rosterd(&slow, Wrapper::default(), &[]).await;
        let vmagent = vmagent("vmagent", &of_vmagent).await;
        // `web` has an address on two networks, and so have its tasks.
        agree("they agree at first", &ours, &theirs, &[("services", 3), ("tasks", 3), ("nodes", 1)], &[]).await;
        agree_with_vmagent("vmagent agrees at first", &ours, &vmagent, &[("services", 3), ("nodes", 1)]).await;

        daemon.docker(&["service", "scale", "--detach", "web=2"]);
        daemon.docker(&["service", "rm", "plain"]);
        daemon.docker(&["node", "update", "--label-add", "rack=r1", node.trim()]);
        let expected = [("services", 2), ("tasks", 4), ("nodes", 1)];
        agree("they agree after changes", &ours, &theirs, &expected, &["r1"]).await;
        agree_with_vmagent("vmagent agrees after changes", &ours, &vmagent, &[("services", 2), ("nodes", 1)]).await;
        let same = async || {
            let (fast, slow) = (Targets::of(&ours).await.active, Targets::of(&hinted).await.active);
            let without = |targets: BTreeSet<Target>| -> BTreeSet<_> {
                targets.into_iter().map(|target| (target.pool, target.discovered)).collect()
            };
            let difference = only_one(&without(fast), &without(slow), ["each second", "each hour"]);
            if difference.is_empty() { Ok(()) } else { Err(difference) }
        };
        eventually_ok(patience(), "events tell as much as an interval of a second", same).await;

        // Prometheus fails on it as a whole.
        service(&daemon, "on-host", &["--network", "host"]);
        service(&daemon, "last", &["--network", "mesh", "--publish", "18083:80"]);
        let last = async || {
            let targets = Targets::of(&ours).await.active;
            let is_last = |target: &&Target| {
                let name = target.discovered.get("__meta_dockerswarm_service_name");
                target.pool == "services" && name.is_some_and(|name| name == "last")
            };
            let count = targets.iter().filter(is_last).count();
            if count == 2 { Ok(()) } else { Err(format!("{count}\n{}", ours.log())) }
        };
        eventually_ok(patience(), "a service on the network of its hosts hides no other", last).await;
        // The engine gives itself a time for this, which may not be enough with much else to do.
        eventually(patience(), "the engine leaves its swarm", || {
            daemon.succeeds(&["swarm", "leave", "--force"]) || !daemon.succeeds(&["node", "ls"])
        })
        .await;
        daemon.halt().await;
    });
}

#[test]
fn an_engine_that_a_test_lets_go_leaves_nothing_behind() {
    if !daemon::is_possible() {
        return;
    }
    leak_checked_live(|| async {
        let daemon = Daemon::start(Network::Own).await;
        image(&daemon);
        run(&daemon, "left", &["--network", "none"]);
        let socket = daemon.host().replace("unix://", "");
        let folder = Path::new(&socket).parent().expect("the socket is in the folder of the engine").to_owned();
        let name = folder.to_str().expect("it is text");
        let shims = || {
            let processes = std::fs::read_dir("/proc").expect("processes").flatten();
            let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
            let texts = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
            texts.filter(|line| line.contains(name)).collect::<Vec<_>>()
        };
        assert!(shims().iter().any(|line| line.contains("shim")), "{:?}", shims());
        assert!(!daemon::control_groups(&folder).is_empty());
        drop(daemon);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        assert_eq!((shims(), mounts.contains(name), folder.exists()), (Vec::new(), false, false));
        assert!(daemon::control_groups(&folder).is_empty());
    });
}
