//! Indexes that go back, are behind or missing, and answers that come too often.

use super::*;

#[test]
fn an_index_that_goes_back_is_asked_without_one() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        // The server was restored from a copy.
        registry.change(|held| {
            held.index = 1;
            held.names = BTreeMap::from([("b".to_owned(), (1, "b:old".to_owned()))]);
        });
        while shown(&run) != ["b:old"] {
            run.next().await.expect("a word");
        }
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!(registry.asked(NAMES), [0, 2, 0, 1]);
        assert_eq!(registry.asked("b"), [0, 2, 0, 1]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_server_that_is_behind_is_not_believed() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        let index = registry.held().index;
        let names = registry.held().names.clone();
        // One that has just begun answers in its place, until it has caught up.
        registry.change(|held| (held.index, held.names) = (1, BTreeMap::new()));
        pass(&mut run, PACE.least / 2).await;
        assert_eq!((shown(&run).len(), registry.asked(NAMES)), (2, vec![0, 2]));
        registry.change(|held| (held.index, held.names) = (index, names));
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!((shown(&run), registry.asked(NAMES)), (vec!["a:1".to_owned(), "b:1".to_owned()], vec![0, 2, 0, 2]));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn who_answers_without_an_index_is_asked_at_each_interval() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        registry.change(|held| drop(held.names.insert("a".to_owned(), (0, "a:1".to_owned()))));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 10 + PACE.least).await;
        assert_eq!((registry.asked(NAMES).len(), registry.asked("a").len()), (11, 11));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn who_is_answered_because_of_others_is_asked_less_and_less_often() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        registry.change(|held| held.is_table = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        for round in 0..240 {
            registry.put("b", &format!("b:{round}"));
            pass(&mut run, Duration::from_millis(500)).await;
        }
        let asked = registry.asked("a").len();
        assert!((4..=12).contains(&asked), "{asked} times in two minutes");
        // Its own news is seen within the interval, and what follows soon after it.
        registry.put("a", "a:2");
        pass(&mut run, PACE.interval).await;
        assert!(shown(&run).contains(&"a:2".to_owned()), "{:?}", shown(&run));
        let before = registry.asked("a").len();
        for round in 0..40 {
            registry.put("a", &format!("a:new{round}"));
            pass(&mut run, Duration::from_millis(500)).await;
        }
        let asked = registry.asked("a").len() - before;
        assert!(asked >= 15, "{asked} times in twenty seconds");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_server_that_does_not_wait_is_asked_at_each_interval_and_that_is_told() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        registry.change(|held| held.is_unheld = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        assert_eq!(run.status().warning, None);
        pass(&mut run, PACE.interval * 10).await;
        let asked = [NAMES, "a", "b"].map(|what| registry.asked(what).len());
        assert!(asked.iter().all(|asked| (10..=13).contains(asked)), "{asked:?}");
        let told = |run: &Run| run.status().warning.map(|warning| warning.report.code);
        assert_eq!((told(&run).as_deref(), run.status().worst()), (Some("sd_rest_unheld"), None));
        registry.change(|held| held.is_unheld = false);
        pass(&mut run, PACE.wait + PACE.interval * 2).await;
        assert_eq!(told(&run), None);
        run.stop().await.expect("it ends").ok();
    });
}
