//! What fails alone, what fails with all others, and how both come back.

use super::*;

#[test]
fn one_that_fails_or_panics_hides_no_other_and_comes_back() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        registry.change(|held| held.failing.extend(["a".to_owned()]));
        registry.change(|held| held.panicking.extend(["b".to_owned()]));
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        let told: Vec<_> = first.unread().iter().map(|it| (it.source.to_string(), it.error.code())).collect();
        assert_eq!(told, [("a".to_owned(), "sd_rest_malformed"), ("b".to_owned(), "sd_rest_panicked")]);
        assert_eq!(shown(&run), ["c:1"]);
        registry.change(|held| {
            held.failing.clear();
            held.panicking.clear();
        });
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert_eq!(shown(&run), ["a:1", "b:1", "c:1"]);
        // A failure later on keeps what it had, and it is read anew afterwards.
        registry.put("a", "a:2");
        registry.change(|held| held.failing.extend(["a".to_owned()]));
        while run.unread().next().is_none() {
            run.next().await.expect("a word");
        }
        assert!(
            shown(&run).contains(&"a:1".to_owned()) || shown(&run).contains(&"a:2".to_owned()),
            "{:?}",
            shown(&run)
        );
        registry.change(|held| held.failing.clear());
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert_eq!(shown(&run), ["a:2", "b:1", "c:1"]);
        assert_eq!(registry.asked("a").last(), Some(&0), "what failed is asked for without an index");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn names_that_cannot_be_asked_for_are_a_failure_that_keeps_everything_and_passes() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend([NAMES.to_owned(), "b".to_owned()]));
        while !(run.status().last_error.is_some() && run.unread().next().is_some()) {
            run.try_next();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(shown(&run), ["a:1", "b:1"]);
        registry.change(|held| {
            held.failing.remove(NAMES);
        });
        while run.status().last_error.is_some() {
            run.try_next();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(run.unread().collect::<Vec<_>>(), ["b"], "one that fails still does");
        assert_eq!((run.fault(), shown(&run)), (None, vec!["a:1".to_owned(), "b:1".to_owned()]));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn while_the_server_is_not_well_one_question_is_asked_for_all_and_then_all_at_once() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..300).for_each(|number| registry.put(&format!("n{number:03}"), &format!("n{number}:1")));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, Duration::from_secs(10)).await;
        let before = (registry.asked(NAMES).len(), registry.asked_about_names());
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(600)).await;
        let asked = (registry.asked(NAMES).len() - before.0, registry.asked_about_names() - before.1);
        assert!((15..=40).contains(&asked.0) && asked.1 <= 300, "{asked:?}");
        assert_eq!((run.unread().count(), shown(&run).len()), (300, 300));
        (0..300).for_each(|number| registry.put(&format!("n{number:03}"), &format!("n{number}:2")));
        registry.set_down(false);
        while run.status().last_error.is_some() {
            run.next().await.expect("a word");
        }
        let before = Instant::now();
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
        assert_eq!(shown(&run).iter().filter(|it| it.ends_with(":2")).count(), 300);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn where_the_names_are_known_one_after_the_other_is_asked_for_all() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..20).for_each(|number| registry.put(&format!("n{number:02}"), &format!("n{number}:1")));
        registry.change(|held| held.are_fixed = true);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        let before = registry.asked_about_names();
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(300)).await;
        let (count, asked) = (registry.asked_about_names() - before, registry.held().asked[before..].to_vec());
        let names: BTreeSet<_> = asked.into_iter().map(|(name, _)| name).collect();
        assert!((8..=40).contains(&count) && names.len() >= 5, "{count} times about {names:?}");
        registry.set_down(false);
        while run.unread().count() == 20 {
            run.next().await.expect("a word");
        }
        let before = Instant::now();
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
        assert_eq!(shown(&run).len(), 20);
        // One that fails alone lets nobody wait.
        registry.change(|held| held.down.extend(["n07".to_owned()]));
        registry.put("n08", "n8:2");
        pass(&mut run, Duration::from_secs(5)).await;
        assert_eq!(run.unread().collect::<Vec<_>>(), ["n07"]);
        assert!(shown(&run).contains(&"n8:2".to_owned()), "{:?}", shown(&run));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn names_that_cannot_be_asked_for_stay_a_failure_whatever_else_is_said() {
    leak_checked(|| async {
        for is_down in [false, true] {
            let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
            let mut run = watch(&registry);
            run.next().await.expect("a word");
            registry.change(|held| if is_down { &mut held.down } else { &mut held.failing }.extend([NAMES.to_owned()]));
            pass(&mut run, Duration::from_secs(5)).await;
            for address in ["a:2", "a:3", "a:4"] {
                registry.put("a", address);
                pass(&mut run, PACE.least * 2).await;
                assert_eq!(shown(&run), [address, "b:1"]);
                assert!(run.status().last_error.is_some(), "{address} says nothing of the names");
            }
            registry.change(|held| (held.down, held.failing) = Default::default());
            pass(&mut run, PACE.interval * 2).await;
            assert_eq!((run.status().last_error, run.fault()), (None, None));
            run.stop().await.expect("it ends").ok();
        }
    });
}

#[test]
fn one_that_can_be_read_again_is_while_the_names_cannot() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(120)).await;
        assert_eq!(run.unread().count(), 3);
        registry.change(|held| held.down = [NAMES.to_owned()].into());
        pass(&mut run, PACE.interval * 2).await;
        assert_eq!((run.unread().next(), run.status().last_error.is_some()), (None, true));
        registry.put("b", "b:2");
        pass(&mut run, PACE.least * 2).await;
        assert_eq!(shown(&run), ["a:1", "b:2", "c:1"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn the_only_one_that_answers_later_than_the_names_fail_can_be_read_again() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        registry.set_down(true);
        pass(&mut run, Duration::from_secs(120)).await;
        assert_eq!(run.unread().count(), 1);
        registry.change(|held| {
            held.down = [NAMES.to_owned()].into();
            held.slow = [("a".to_owned(), PACE.interval * 3)].into();
        });
        registry.put("a", "a:2");
        pass(&mut run, PACE.interval * 8).await;
        assert_eq!((shown(&run), run.status().last_error.is_some()), (vec!["a:2".to_owned()], true));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn what_fails_while_it_is_asked_about_anew_is_not_asked_about_twice() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.least * 2).await;
        for _ in 0..3 {
            registry.set_down(true);
            pass(&mut run, Duration::from_secs(120)).await;
            // The names are there again in the very moment in which the question fails that is asked for all.
            registry.change(|held| held.down = ["a".to_owned(), "b".to_owned()].into());
            pass(&mut run, Duration::from_secs(120)).await;
        }
        let before = registry.asked("a").len();
        pass(&mut run, PACE.interval * 20).await;
        let asked = registry.asked("a").len() - before;
        assert!((15..=30).contains(&asked), "{asked} times in twenty intervals");
        run.stop().await.expect("it ends").ok();
    });
}
