//! A picture that is too large for one word.

use rosterd_discovery::Word;
use rosterd_testkit::{FakeApiServer, leak_checked_live, patience};
use tokio::time::Instant;

use super::history::Told;
use super::{Agent, config, objects, pod};

fn numbered(number: usize) -> serde_json::Value {
    pod("a", &format!("p{number:05}"), &format!("10.0.{}.{}", number / 256, number % 256))
}

fn shown(word: &Word) -> String {
    match word {
        Word::Piece { first, .. } => format!("piece {first} {}", objects(word).len()),
        Word::Pieced { unread, found } => format!("pieced {found} {}", unread.len()),
        word => format!("{word:?}"),
    }
}

#[test]
fn a_large_picture_is_said_in_pieces_while_its_objects_change() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        (0..2300).for_each(|number| server.put(numbered(number)));
        let agent = Agent::new();
        let wanted = config(&server, "role: pod");
        let mut running = agent.run(&wanted);
        let mut told = Told::default();
        let mut words = Vec::new();
        let first = running.next().await;
        told.hear(&first);
        words.push(shown(&first));
        // It waits with a piece until that is taken: whatever changes now, some of the picture is said already and some is not.
        for number in [0, 999, 1500, 2299] {
            server.delete("pods", "a", &format!("p{number:05}"));
        }
        for number in [1, 2298] {
            server.put(pod("a", &format!("p{number:05}"), "10.1.0.1"));
        }
        server.put(numbered(2300));
        while !words.last().is_some_and(|word| word.starts_with("pieced")) {
            let word = running.next().await;
            told.hear(&word);
            words.push(shown(&word));
        }
        assert_eq!((&*words[0], words.last().map(|word| &**word)), ("piece true 1000", Some("pieced false 0")));
        assert!(words[1..words.len() - 1].iter().all(|word| word.starts_with("piece false")), "{words:?}");

        // In an agent of its own, so that nothing is shared.
        let other = Agent::new();
        let mut fresh = other.run(&wanted);
        let mut wanted = Told::default();
        let mut last = String::new();
        while !last.starts_with("pieced") {
            let word = fresh.next().await;
            wanted.hear(&word);
            last = shown(&word);
        }
        assert_eq!(wanted.len(), 2297);
        let ends = Instant::now() + patience();
        while told != wanted {
            match tokio::time::timeout_at(ends, running.words.recv()).await {
                Ok(Some(word)) => told.hear(&word),
                _ => panic!("{} groups and not {}", told.len(), wanted.len()),
            }
        }
        agent.end(vec![running]).await;
        other.end(vec![fresh]).await;
        server.finish().await;
    });
}
