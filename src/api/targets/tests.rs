//! Pages of targets while the roster changes.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::ProviderKey;
use rosterd_model::{GroupId, TargetGroup};
use rosterd_testkit::{BusyThreads, changed, leak_checked_live, patience};

use crate::api::tests::{Face, group, job};

/// Groups of one target, a few hundred to a block.
fn groups(numbers: impl Iterator<Item = usize>) -> Vec<TargetGroup> {
    let labels = [("__meta_text", "x".repeat(200))];
    let group = |number: usize| TargetGroup {
        labels: labels.clone().into_iter().collect(),
        ..group(&format!("s{number}"), &[&format!("h{number}:1")])
    };
    numbers.map(group).collect()
}

#[test]
fn a_target_that_stays_is_on_one_page_while_blocks_are_merged_and_split() {
    const GROUPS: usize = 2_000;
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", groups(0..GROUPS)).await;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let (mut cursor, mut pages) = (String::new(), 0);
        loop {
            let page = face.json(&format!("/api/v1/targets?state=active&limit=100{cursor}")).await;
            for target in page["data"]["activeTargets"].as_array().unwrap() {
                *seen.entry(target["labels"]["instance"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            let Some(next) = page["data"]["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // Nine of ten go in the end, everywhere between those that stay.
            let gone = (0..GROUPS).filter(|number| number % 10 > 0 && number % 9 == pages % 9);
            let gone = gone.map(|number| GroupId::of(&format!("s{number}"), "")).collect();
            let new = groups((0..50).map(|number| GROUPS + 50 * pages + number));
            let mut views = face.handle.watch();
            views.borrow_and_update();
            face.updates.send(changed(ProviderKey::new("static/1"), new, gone)).await.unwrap();
            tokio::time::timeout(patience(), views.changed()).await.unwrap().unwrap();
            pages += 1;
            assert!(pages < GROUPS / 50, "there is no end to the pages");
        }
        assert!(pages > 3, "there were {pages} pages");
        let staying = (0..GROUPS).filter(|number| number % 10 == 0).map(|number| format!("h{number}:1"));
        for target in staying {
            assert_eq!(seen.get(&target), Some(&1), "{target} is on one page");
        }
        assert!(seen.values().all(|times| *times == 1));
        face.stop().await;
    });
}

#[test]
fn a_target_that_an_earlier_page_has_shown_is_not_shown_again_however_far_that_is() {
    const TARGETS: usize = 1_500;
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let rules = "[{source_labels: [__address__], regex: '(.*)-copy', target_label: __address__}]";
        face.handle.set_jobs(vec![job("one", "static/1", rules)], Duration::from_secs(300)).await;
        let names = (0..TARGETS).map(|n| format!("h{n}:1")).chain((0..TARGETS).map(|n| format!("h{n}:1-copy")));
        let names: Vec<_> = names.collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        face.report("static/1", vec![group("s", &names)]).await;
        let (mut sizes, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = face.json(&format!("/api/v1/targets?state=active&limit=1100{cursor}")).await;
            sizes.push(page["data"]["activeTargets"].as_array().unwrap().len());
            let Some(next) = page["data"]["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(sizes, [1_100, 400]);
        face.stop().await;
    });
}

#[test]
fn a_large_block_is_unpacked_aside() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        let names: Vec<_> = (0..20_000).map(|number| format!("h{number}.example.org:9100")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        face.report("static/1", vec![group("s", &names)]).await;
        let busy = BusyThreads::all();
        let mut asked = Box::pin(face.json("/api/v1/targets?limit=10"));
        for _ in 0..50 {
            assert!(futures_util::poll!(&mut asked).is_pending(), "there is no thread for it");
            face.get("/-/healthy").await;
        }
        busy.release().await;
        assert_eq!(asked.await["data"]["activeTargets"].as_array().unwrap().len(), 10);
        face.stop().await;
    });
}
