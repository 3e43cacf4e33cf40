//! Several members with one configuration: each target is scraped by exactly one, also when members come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rosterd_testkit::{Folder, RemoteWriteReceiver, Server, eventually, eventually_ok, leak_checked_live, patience};
use rustix::process::Signal;

use super::arrivals::is_stale;
use super::counter::Counter;
use super::rosterd;

const TARGETS: usize = 24;

/// A member, and what it sends.
struct Member {
    name: &'static str,
    folder: Folder,
    receiver: RemoteWriteReceiver,
    rosterd: Server,
}

impl Member {
    async fn start(name: &'static str, members: &str, targets: &Counter) -> Self {
        let (folder, receiver) = (Folder::new(), RemoteWriteReceiver::start().await);
        let file = folder.write("prometheus.yml", config(&receiver, members, targets));
        let rosterd = rosterd(&file, &[&format!("--cluster.member={name}")]).await;
        Self { name, folder, receiver, rosterd }
    }

    fn reload(&self, members: &str, targets: &Counter) {
        self.folder.replace("prometheus.yml", config(&self.receiver, members, targets));
        self.rosterd.signal(Signal::HUP);
    }

    /// The targets that it was told to be up since it had sent so many samples.
    fn up(&self, since: usize) -> BTreeSet<String> {
        let samples = self.receiver.samples().into_iter().skip(since);
        let ups = samples.filter(|it| it.label("__name__") == Some("up") && it.value == Some(1.0));
        ups.filter_map(|it| it.label("instance").map(str::to_owned)).collect()
    }

    /// Of each target, which member scrapes it as this one tells.
    async fn told(&self) -> BTreeMap<String, String> {
        let all = self.rosterd.data("/api/v1/targets").await;
        let of = |target: &serde_json::Value| {
            let member = target["member"].as_str().unwrap_or(self.name).to_owned();
            (target["labels"]["instance"].as_str().unwrap_or_default().to_owned(), member)
        };
        all["activeTargets"].as_array().into_iter().flatten().map(of).collect()
    }
}

fn config(receiver: &RemoteWriteReceiver, members: &str, targets: &Counter) -> String {
    let groups: String = (0..TARGETS)
        .map(|n| {
            format!("  - {{targets: ['{}'], labels: {{__metrics_path__: /{n}, instance: '{n}'}}}}\n", targets.address())
        })
        .collect();
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         rosterd: {{cluster: {{static: {{members: [{members}]}}}}}}\n\
         remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
         scrape_configs:\n- job_name: j\n  static_configs:\n{groups}",
        receiver.url()
    )
}

/// Waits until the members scrape all targets, each of them its own and nothing else.
async fn shared(members: &[&Member]) {
    let told = async || {
        let told = members[0].told().await;
        for member in members {
            if member.told().await != told {
                return Err(format!("{} tells otherwise", member.name));
            }
        }
        // Otherwise none of them may have the new list yet.
        let owners: BTreeSet<_> = told.values().map(String::as_str).collect();
        if owners.into_iter().eq(members.iter().map(|member| member.name)) {
            Ok(told)
        } else {
            Err(format!("{told:?}"))
        }
    };
    let told = eventually_ok(patience(), "all members tell the same", told).await;
    assert_eq!(told.len(), TARGETS, "{told:?}");
    // Whatever was under way when the list changed has come by now.
    let own = |member: &Member| -> BTreeSet<_> {
        told.iter().filter(|(_, owner)| **owner == member.name).map(|(instance, _)| instance.clone()).collect()
    };
    for member in members {
        let settled = async || {
            let since = member.receiver.samples().len();
            let more = || member.up(since).len() >= own(member).len();
            eventually(patience(), "it goes on", more).await;
            if member.up(since) == own(member) { Ok(()) } else { Err(format!("{:?}", member.up(since))) }
        };
        eventually_ok(patience(), &format!("{} scrapes its own", member.name), settled).await;
    }
}

#[test]
fn each_target_is_scraped_by_one_member_and_moves_without_an_end() {
    leak_checked_live(|| async {
        let targets = Counter::start().await;
        let [a, b] = [Member::start("a", "a, b", &targets).await, Member::start("b", "a, b", &targets).await];
        shared(&[&a, &b]).await;
        let before = a.told().await;

        // One comes: those that were there let go first.
        a.reload("a, b, c", &targets);
        b.reload("a, b, c", &targets);
        let c = Member::start("c", "a, b, c", &targets).await;
        shared(&[&a, &b, &c]).await;
        let after = a.told().await;
        let moved: Vec<_> = after.iter().filter(|(instance, owner)| before[*instance] != **owner).collect();
        assert!(!moved.is_empty() && moved.iter().all(|(_, owner)| *owner == "c"), "{moved:?}");

        // And goes: it lets go last.
        a.reload("a, b", &targets);
        b.reload("a, b", &targets);
        shared(&[&a, &b]).await;
        assert_eq!(a.told().await, before);

        for member in [&a, &b, &c] {
            let stale: Vec<_> = member.receiver.samples().into_iter().filter(is_stale).collect();
            assert!(stale.is_empty(), "no series has ended: {stale:?}");
        }

        // Whoever is not named is told so, and goes on as before.
        a.reload("b, c", &targets);
        let refused = || a.rosterd.log().contains("agent_not_a_member");
        eventually(patience(), "the list without this one is refused", refused).await;
        assert_eq!(a.told().await, before);

        let slots = eventually_ok(patience(), "all slots are owned", async || {
            let mut sum = 0.0;
            for member in [&a, &b] {
                sum += member.rosterd.metric("rosterd_cluster_slots", r#"cluster="""#).await;
            }
            if sum == 4096.0 { Ok(sum) } else { Err(sum.to_string()) }
        });
        assert_eq!(slots.await, 4096.0);
        let mut ask = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        let printed = ask.args(["cluster", "--url", &a.rosterd.url("")]).output().expect("it runs");
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let own = before.values().filter(|owner| *owner == "a").count();
        let line = printed.lines().find(|line| line.starts_with("* a ")).unwrap_or_else(|| panic!("{printed}"));
        assert_eq!(line.split_whitespace().last(), Some(own.to_string().as_str()), "{printed}");
    });
}
