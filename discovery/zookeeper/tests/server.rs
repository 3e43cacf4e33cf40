//! Discovery at a real ZooKeeper, through all that can happen to nodes, servers and sessions.

use std::collections::BTreeSet;
use std::time::Duration;

use rosterd_discovery::{AnyConfig, Equipment, MechanismConfig, Registry, System};
use rosterd_discovery_zookeeper::{Members, NerveConfig, ServersetConfig};
use rosterd_tasks::Supervision;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{Leaks, ZookeeperServer, addresses, eventually_ok, patience};
use tokio::time::{Instant, timeout};

/// The client's reactor, which stays for the life of the process.
const REACTOR: &str = "anon_inode:";

fn live(test: impl AsyncFnOnce()) {
    Leaks::none().allow_descriptors(REACTOR).check_live(test);
}

fn nerve(server: &ZookeeperServer, paths: &[&str], timeout: Duration) -> NerveConfig {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    NerveConfig(Members { servers: vec![server.address()], paths, timeout: timeout.into() })
}

const LONG: Duration = Duration::from_secs(60);

fn member(port: u16) -> String {
    format!(r#"{{"host": "127.0.0.1", "port": {port}, "name": "web"}}"#)
}

fn set(ports: &[u16]) -> BTreeSet<String> {
    ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
}

/// Takes words until the picture has exactly these. Returns the codes of what could not be read meanwhile.
async fn shows(run: &mut Run, ports: &[u16]) -> Vec<&'static str> {
    let (wanted, mut codes) = (set(ports), Vec::new());
    let words = async {
        while addresses(run.picture()) != wanted {
            let Some(word) = run.next().await else {
                panic!("no more words; it has {:?}; {:?}", addresses(run.picture()), run.status());
            };
            codes.extend(word.unread().iter().map(|unread| unread.error.code()));
        }
    };
    timeout(patience(), words).await.unwrap_or_else(|_| panic!("it has {:?}", addresses(run.picture())));
    assert_eq!(run.fault(), None);
    codes
}

/// Waits until what is shown of the run is as wanted, and takes words meanwhile.
async fn until(run: &mut Run, what: &str, wanted: impl Fn(&Run) -> bool) {
    let look = async || {
        while run.try_next().is_some() {}
        if wanted(run) { Ok(()) } else { Err(format!("{:?}", run.status())) }
    };
    eventually_ok(patience(), what, look).await;
}

fn code(run: &Run) -> Option<String> {
    run.status().worst().map(|failure| failure.report.code)
}

#[test]
fn members_come_change_and_go_at_any_depth() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/deep/er/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        zk.set("/b", &member(3)).await;
        zk.set("/c/other", &member(4)).await;
        let mut run = Run::start(&nerve(&server, &["/a/", "/b"], LONG)).await.unwrap();
        shows(&mut run, &[1, 2, 3]).await;

        zk.set("/a/two", &member(5)).await;
        shows(&mut run, &[1, 3, 5]).await;
        zk.set("/a/two", "no member any more").await;
        shows(&mut run, &[1, 3]).await;
        zk.set("/a/two", &member(5)).await;
        zk.set("/a/two/below/it", &member(6)).await;
        zk.hold("/a/held", &member(7)).await;
        shows(&mut run, &[1, 3, 5, 6, 7]).await;
        zk.delete("/a/deep/er/one").await;
        zk.delete("/a/deep/er").await;
        zk.delete("/a/deep").await;
        shows(&mut run, &[3, 5, 6, 7]).await;
        // What comes back in the same moment.
        zk.delete("/a/two/below/it").await;
        zk.set("/a/two/below/it", &member(8)).await;
        zk.close().await;
        shows(&mut run, &[3, 5, 8]).await;
        assert_eq!(code(&run), None);
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_server_that_is_killed_keeps_its_targets_and_its_session_goes_on() {
    live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        let mut run = Run::start(&nerve(&server, &["/a"], LONG)).await.unwrap();
        shows(&mut run, &[1, 2]).await;
        server.kill().await;
        until(&mut run, "the loss is told", |run| code(run).as_deref() == Some("sd_zookeeper_connection_lost")).await;
        assert_eq!(addresses(run.picture()), set(&[1, 2]));
        server.again().await;
        until(&mut run, "the loss is over", |run| code(run).is_none()).await;
        let mut zk = server.session().await;
        zk.set("/a/two", &member(3)).await;
        zk.delete("/a/one").await;
        zk.close().await;
        shows(&mut run, &[3]).await;
        assert_eq!(run.failures(), 1, "one loss, and nothing since");
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn what_changed_while_the_session_expired_is_read_and_nothing_is_lost_before() {
    live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        let mut run = Run::start(&nerve(&server, &["/a"], Duration::from_millis(800))).await.unwrap();
        shows(&mut run, &[1, 2]).await;
        server.kill().await;
        let gone = |run: &Run| {
            matches!(code(run).as_deref(), Some("sd_zookeeper_session_expired" | "sd_zookeeper_unreachable"))
        };
        until(&mut run, "the session is over", gone).await;
        assert_eq!(addresses(run.picture()), set(&[1, 2]));
        server.again().await;
        let mut zk = server.session().await;
        zk.set("/a/two", &member(3)).await;
        zk.delete("/a/one").await;
        zk.close().await;
        shows(&mut run, &[3]).await;
        until(&mut run, "all is well", |run| code(run).is_none()).await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_server_that_does_not_know_the_session_is_read_anew() {
    live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        let mut run = Run::start(&nerve(&server, &["/a"], Duration::from_secs(4))).await.unwrap();
        shows(&mut run, &[1]).await;
        server.kill().await;
        server.forget();
        server.again().await;
        let mut zk = server.session().await;
        zk.set("/a/two", &member(2)).await;
        zk.close().await;
        shows(&mut run, &[2]).await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_path_that_is_not_there_empties_no_other_and_is_found_when_it_comes() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        let mut run = Run::start(&nerve(&server, &["/a", "/late/path"], LONG)).await.unwrap();
        assert!(shows(&mut run, &[1]).await.is_empty(), "it was read: nothing is there");
        assert!(run.is_whole() && run.unread().next().is_none());
        assert_eq!((code(&run), run.failures()), (None, 0));
        zk.set("/late/path/two", &member(2)).await;
        assert!(shows(&mut run, &[1, 2]).await.is_empty());
        zk.delete("/late/path/two").await;
        zk.delete("/late/path").await;
        assert!(shows(&mut run, &[1]).await.is_empty());
        zk.set("/late/path", &member(3)).await;
        assert!(shows(&mut run, &[1, 3]).await.is_empty());
        zk.close().await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_path_that_is_a_member_itself_goes_with_its_node() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/one", &member(1)).await;
        zk.set("/two", &member(2)).await;
        zk.set("/secret", "").await;
        zk.readable("/secret", false).await;
        let mut whole = Run::start(&nerve(&server, &["/one", "/two"], LONG)).await.unwrap();
        let mut part = Run::start(&nerve(&server, &["/one", "/two", "/secret", "/never"], LONG)).await.unwrap();
        shows(&mut whole, &[1, 2]).await;
        assert_eq!(shows(&mut part, &[1, 2]).await, ["sd_zookeeper_denied"]);
        zk.delete("/one").await;
        shows(&mut whole, &[2]).await;
        shows(&mut part, &[2]).await;
        assert!(whole.unread().next().is_none());
        assert_eq!(part.unread().collect::<Vec<_>>(), ["/secret"]);
        zk.close().await;
        whole.stop().await.unwrap().unwrap();
        part.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_path_that_is_not_there_is_waited_for_over_a_lost_connection() {
    live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        zk.set("/gone", &member(2)).await;
        let mut run = Run::start(&nerve(&server, &["/a", "/gone", "/late"], LONG)).await.unwrap();
        shows(&mut run, &[1, 2]).await;
        server.kill().await;
        until(&mut run, "the loss is told", |run| code(run).is_some()).await;
        assert_eq!(addresses(run.picture()), set(&[1, 2]), "nobody said that it is not there");
        server.again().await;
        let mut zk = server.session().await;
        zk.delete("/gone").await;
        zk.set("/late", &member(3)).await;
        shows(&mut run, &[1, 3]).await;
        until(&mut run, "the loss is over", |run| code(run).is_none()).await;
        assert!(run.unread().next().is_none());
        zk.close().await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn what_went_while_the_session_expired_is_gone_though_another_node_may_not_be_read() {
    live(async || {
        let mut server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        for (path, port) in [("/a/one", 1), ("/a/two", 2), ("/a/secret/three", 3), ("/a/hidden/four", 4)] {
            zk.set(path, &member(port)).await;
        }
        let mut run = Run::start(&nerve(&server, &["/a"], Duration::from_millis(800))).await.unwrap();
        shows(&mut run, &[1, 2, 3, 4]).await;
        zk.readable("/a/secret", false).await;
        zk.readable("/a/hidden", false).await;
        server.kill().await;
        let over = |run: &Run| {
            matches!(code(run).as_deref(), Some("sd_zookeeper_session_expired" | "sd_zookeeper_unreachable"))
        };
        until(&mut run, "the session is over", over).await;
        server.again().await;
        let mut zk = server.session().await;
        zk.delete("/a/one").await;
        shows(&mut run, &[2, 3, 4]).await;
        until(&mut run, "what may not be read is named", |run| run.unread().count() == 2).await;
        // Of what is below them this session has never heard.
        zk.delete("/a/secret/three").await;
        zk.delete("/a/secret").await;
        shows(&mut run, &[2, 4]).await;
        assert_eq!(run.unread().collect::<Vec<_>>(), ["/a/hidden"]);
        zk.close().await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn what_may_not_be_read_hides_nothing_and_is_read_when_it_may() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/secret/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        zk.readable("/a/secret", false).await;
        let mut run = Run::start(&nerve(&server, &["/a"], LONG)).await.unwrap();
        assert_eq!(shows(&mut run, &[2]).await, ["sd_zookeeper_denied"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["/a/secret"]);
        zk.set("/a/two", &member(3)).await;
        shows(&mut run, &[3]).await;
        zk.readable("/a/secret", true).await;
        shows(&mut run, &[1, 3]).await;
        until(&mut run, "the whole is known", |run| run.unread().next().is_none()).await;
        zk.close().await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn what_went_between_two_runs_is_gone_but_what_is_below_a_node_that_may_not_be_read() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        for (path, port) in
            [("/a/one", 1), ("/a/two", 2), ("/a/secret/three", 3), ("/a/secret/deep/four", 4), ("/a/secret", 5)]
        {
            zk.set(path, &member(port)).await;
        }
        let config = nerve(&server, &["/a"], LONG);
        let mut run = Run::start(&config).await.unwrap();
        shows(&mut run, &[1, 2, 3, 4, 5]).await;
        let before = run.picture().cloned().collect();
        run.stop().await.unwrap().unwrap();
        zk.readable("/a/secret", false).await;
        zk.delete("/a/one").await;
        zk.delete("/a/secret/three").await;
        let mut run = Run::after(&config, before).await.unwrap();
        shows(&mut run, &[2, 3, 4, 5]).await;
        // One below it may still not be read when it may be.
        zk.readable("/a/secret/deep", false).await;
        zk.readable("/a/secret", true).await;
        shows(&mut run, &[2, 4, 5]).await;
        assert_eq!(run.unread().collect::<Vec<_>>(), ["/a/secret/deep"]);
        zk.delete("/a/secret/deep/four").await;
        zk.readable("/a/secret/deep", true).await;
        shows(&mut run, &[2, 5]).await;
        until(&mut run, "the whole is known", |run| run.unread().next().is_none()).await;
        zk.close().await;
        run.stop().await.unwrap().unwrap();
    });
}

#[test]
fn a_change_costs_what_changed_and_ephemeral_nodes_are_asked_for_no_children() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a", "").await;
        let ports: Vec<u16> = (1..=200).collect();
        for port in &ports {
            zk.hold(&format!("/a/{port}"), &member(*port)).await;
        }
        let config = nerve(&server, &["/a"], LONG);
        let mechanisms = Registry::new([config.registration()], []).unwrap();
        let metrics = prometheus::Registry::new();
        let equipment = Equipment::new(&mechanisms, &metrics, System::default(), &Supervision::default()).unwrap();
        let watches = || {
            let all = metrics.gather();
            let one = all.iter().find(|family| family.name() == "rosterd_discovery_nerve_watches").unwrap();
            one.get_metric()[0].get_gauge().get_value()
        };
        let mut run = Run::of(equipment.of("nerve").build(&config, "test").unwrap());
        shows(&mut run, &ports).await;
        assert_eq!(watches(), 202.0, "the data of each, and the children of one");
        let received = async || -> u64 {
            let told = server.tells("srvr").await;
            told.lines().find_map(|line| line.strip_prefix("Received: ")).expect("it counts").parse().expect("numbers")
        };
        let before = received().await;
        zk.set("/a/7", &member(777)).await;
        let wanted: Vec<u16> = ports.iter().map(|port| if *port == 7 { 777 } else { *port }).collect();
        shows(&mut run, &wanted).await;
        let asked = received().await - before;
        assert!(asked < 20, "{asked} requests for one change");
        assert_eq!(watches(), 202.0, "no watch is set twice");
        zk.close().await;
        shows(&mut run, &[]).await;
        run.stop().await.unwrap().unwrap();
        assert_eq!(watches(), 0.0);
        assert!(equipment.end(Instant::now() + patience()).await.is_empty());
    });
}

#[test]
fn what_stands_behind_a_server_goes_before_all_paths() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/root/a/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        zk.close().await;
        let mut config = nerve(&server, &["/a"], LONG);
        config.0.servers[0] += "/root";
        assert!(MechanismConfig::check(&config, &Default::default()).is_empty());
        let mut run = Run::start(&config).await.unwrap();
        shows(&mut run, &[1]).await;
        let path = run.picture().next().unwrap().targets[0].get("__meta_nerve_path").map(str::to_owned);
        assert_eq!(path.as_deref(), Some("/root/a/one"));
        run.stop().await.unwrap().unwrap();
    });
}

/// How many sessions the server has, one that asks aside.
async fn sessions(server: &ZookeeperServer) -> usize {
    // Whoever asks for them has none.
    server.tells("cons").await.lines().filter(|line| line.contains("sid=0x")).count()
}

#[test]
fn discoverers_of_one_ensemble_share_a_session_which_ends_with_the_last() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        zk.set("/b/two", &member(2)).await;
        zk.close().await;
        let configs = ["/a", "/b"].map(|path| nerve(&server, &[path], LONG));
        let mechanisms = Registry::new([configs[0].registration()], []).unwrap();
        let metrics = prometheus::Registry::new();
        let equipment = Equipment::new(&mechanisms, &metrics, System::default(), &Supervision::default()).unwrap();
        let start = |config: &NerveConfig| Run::of(equipment.of("nerve").build(config, "test").unwrap());
        let (mut one, mut two) = (start(&configs[0]), start(&configs[1]));
        shows(&mut one, &[1]).await;
        shows(&mut two, &[2]).await;
        assert_eq!(sessions(&server).await, 1);
        one.stop().await.unwrap().unwrap();
        assert_eq!(sessions(&server).await, 1);
        let mut zk = server.session().await;
        zk.set("/b/two", &member(3)).await;
        zk.close().await;
        shows(&mut two, &[3]).await;
        two.stop().await.unwrap().unwrap();
        let look = async || match sessions(&server).await {
            0 => Ok(()),
            open => Err(format!("{open} sessions")),
        };
        eventually_ok(patience(), "the session has ended", look).await;
        assert!(equipment.end(Instant::now() + patience()).await.is_empty());
    });
}

#[test]
fn a_session_that_panics_costs_itself_and_another_goes_on_with_what_changed_meanwhile() {
    live(async || {
        let server = ZookeeperServer::start().await;
        let mut zk = server.session().await;
        zk.set("/a/one", &member(1)).await;
        zk.set("/a/two", &member(2)).await;
        let (config, metrics) = (nerve(&server, &["/a"], LONG), prometheus::Registry::new());
        let mechanisms = Registry::new([config.registration()], []).unwrap();
        let supervision = Supervision::register(&metrics).unwrap();
        let equipment = Equipment::new(&mechanisms, &metrics, System::default(), &supervision).unwrap();
        let mut run = Run::of(equipment.of("nerve").build(&config, "test").unwrap());
        shows(&mut run, &[1, 2]).await;
        timeout(patience(), supervision.provoke("zookeeper session")).await.expect("there is a session");
        zk.delete("/a/one").await;
        zk.set("/a/three", &member(3)).await;
        zk.close().await;
        shows(&mut run, &[2, 3]).await;
        until(&mut run, "it is well again", |run| code(run).is_none()).await;
        assert!(!run.has_ended(), "the discoverer opened another");
        let families = metrics.gather();
        let panics = families.iter().find(|family| family.name() == "rosterd_task_panics_total").unwrap();
        let of_session = |it: &&prometheus::proto::Metric| it.get_label()[0].value() == "zookeeper session";
        let counted = panics.get_metric().iter().find(of_session).unwrap().get_counter().get_value();
        assert_eq!(counted, 1.0);
        run.stop().await.unwrap().unwrap();
        assert!(equipment.end(Instant::now() + patience()).await.is_empty());
    });
}

#[test]
fn a_server_that_does_not_answer_is_told() {
    live(async || {
        let address = rosterd_testkit::free_address().to_string();
        let config = ServersetConfig(Members {
            servers: vec![address.clone()],
            paths: vec!["/".to_owned()],
            ..Members::default()
        });
        let mut run = Run::start(&config).await.unwrap();
        until(&mut run, "it is told", |run| code(run).is_some()).await;
        let report = run.status().worst().unwrap().report;
        assert_eq!(report.to_string(), format!("none of {address} answers as a ZooKeeper that takes sessions"));
        run.stop().await.unwrap().unwrap();
    });
}
