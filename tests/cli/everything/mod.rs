//! All mechanisms at once: one file with each of them, loaded, changed, reloaded, killed and restarted, while what they ask is there and
//! while it is not.

mod agent; // the agent, and what consumers see
mod aws;
mod clouds;
mod entries; // what is written for each mechanism, and what it finds
mod scripted;
mod world; // all that they ask

use rosterd_testkit::leak_checked_live;
use rustix::process::Signal;

use self::agent::Agent;
use self::entries::{MECHANISMS, found};
use self::world::World;

/// What is read again and again is read so often, and after a reload.
const OFTEN: &str = "3s";
const LESS: &str = "4s";

#[test]
fn every_mechanism_has_an_entry() {
    // With the mechanisms that it has linked in.
    use rosterd as _;
    let linked = rosterd_discovery::Registry::linked().expect("a registry");
    assert_eq!(linked.iter().map(|mechanism| mechanism.name).collect::<Vec<_>>(), MECHANISMS);
}

#[test]
fn nothing_is_lost_of_any_by_changes_reloads_outages_a_kill_and_a_restart() {
    leak_checked_live(async || {
        let mut world = World::start().await;
        let mut agent = Agent::start(&world.alone()).await;
        let alone = agent.costs().await;

        // Loaded.
        world.show(&[1, 2, 3]).await;
        agent.takes(&world.all(OFTEN)).await;
        agent.finds(&found(&[1, 2, 3])).await;
        agent.is_well().await;
        let all = agent.costs().await;
        eprintln!("without mechanisms {alone:?}, with {} of them at rest {all:?}", MECHANISMS.len());
        all.are_bounded(&alone);

        // Changed, and reloaded with other intervals, so that each provider is another one of the same data.
        world.show(&[2, 3, 4]).await;
        agent.takes(&world.all(OFTEN)).await;
        agent.finds(&found(&[2, 3, 4])).await;
        agent.takes(&world.all(LESS)).await;
        agent.keeps(&found(&[2, 3, 4])).await;
        agent.is_well().await;

        // All is away, through a reload, a kill and a restart.
        world.goes_down().await;
        let away = found(&[2, 3, 4]);
        agent.fails(&away).await;
        agent.takes(&world.all(OFTEN)).await;
        agent.fails(&away).await;
        for signal in [Signal::KILL, Signal::TERM] {
            agent.end(signal).await;
            agent.again().await;
            agent.keeps(&away).await;
            agent.fails(&away).await;
        }

        // It comes back, and is not what it was.
        world.show(&[4, 5]).await;
        agent.takes(&world.all(OFTEN)).await;
        agent.finds(&found(&[4, 5])).await;
        agent.is_well().await;
        agent.costs().await.are_bounded(&alone);

        // Killed while there is news, it begins with something of each: what it knew before, lately or at last.
        world.show(&[1, 2]).await;
        agent.takes(&world.all(OFTEN)).await;
        agent.end(Signal::KILL).await;
        agent.again().await;
        agent.has_some_of(&[1, 2, 3, 4, 5]).await;
        agent.finds(&found(&[1, 2])).await;
        agent.is_well().await;

        // Nothing is left of mechanisms that nobody wants any more, but for connections of those who are kept for a while: they end
        // with the other side.
        agent.takes(&world.alone()).await;
        world.finish().await;
        agent.comes_down_to(&alone).await;
        agent.end(Signal::TERM).await;
    });
}
