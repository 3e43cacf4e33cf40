//! Names, jobs and hints that are more than can be waited for at the same time.

use super::*;

#[test]
fn thousands_of_names_take_turns_and_each_is_asked_about_within_the_interval() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..2_000).for_each(|number| registry.put(&format!("n{number:04}"), &format!("n{number}:1")));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        assert_eq!(shown(&run).len(), 2_000);
        pass(&mut run, PACE.interval * 4).await;
        let counts: BTreeSet<_> = (0..2_000).map(|number| registry.asked(&format!("n{number:04}")).len()).collect();
        assert!(counts.iter().all(|count| (4..=6).contains(count)), "{counts:?}");
        assert_eq!(registry.counts([WAITING]), [(100, 100)]);
        registry.put("n1234", "new:1");
        let before = Instant::now();
        while !shown(&run).contains(&"new:1".to_owned()) {
            run.next().await.expect("a word");
        }
        assert!(before.elapsed() <= PACE.interval + PACE.least, "{:?}", before.elapsed());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_question_about_a_name_that_went_takes_no_turn_from_others() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        (0..100).for_each(|number| registry.put(&format!("old{number}"), "old:1"));
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        // Each waits for news, and that takes all turns.
        pass(&mut run, PACE.least * 5).await;
        registry.change(|held| held.hanging.extend((0..100).map(|number| format!("old{number}"))));
        registry.change(|held| {
            held.index += 1;
            held.names =
                (0..100).map(|number| (format!("new{number}"), (held.index, format!("new{number}:1")))).collect();
        });
        let begun = Instant::now();
        while shown(&run).len() < 100 || shown(&run)[0] == "old:1" {
            run.next().await.expect("a word");
        }
        assert!(begun.elapsed() <= PACE.least * 5, "{:?}", begun.elapsed());
        // They wait for news in the places of those.
        pass(&mut run, PACE.least * 5).await;
        registry.put("new77", "changed:1");
        pass(&mut run, PACE.least * 2).await;
        assert!(shown(&run).contains(&"changed:1".to_owned()), "{:?}", shown(&run));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn who_comes_while_others_wait_for_news_has_its_picture_at_once() {
    leak_checked(|| async {
        let (server, registry) = (Server::new(), Arc::<Registry>::default());
        (0..100).for_each(|number| registry.put(&format!("n{number:04}"), &format!("n{number}:1")));
        let mut others = watch_at(&server, &registry);
        others.next().await.expect("a word");
        pass(&mut others, PACE.least * 5).await;
        assert_eq!(registry.counts([WAITING]), [(100, 100)]);
        let (late, begun) = (super::registry(&[("a", "a:1")]), Instant::now());
        let mut run = watch_at(&server, &late);
        run.next().await.expect("a word");
        assert_eq!((shown(&run), begun.elapsed()), (vec!["a:1".to_owned()], Duration::ZERO));
        run.stop().await.expect("it ends").ok();
        others.stop().await.expect("it ends").ok();
    });
}

/// So many names that they take turns, with a hint at changes of them.
fn many(count: usize) -> Arc<Registry> {
    let registry = Arc::<Registry>::default();
    (0..count).for_each(|number| registry.put(&format!("{number:04}"), &format!("{number:04}:1")));
    registry.change(|held| held.hints = true);
    registry
}

#[test]
fn what_changes_shows_long_before_its_turn_where_something_hints_at_it() {
    leak_checked(|| async {
        let registry = many(2000);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 2).await;
        for round in 2..5 {
            let (begun, changed) =
                (Instant::now(), [7, 512, 1023, 1500, 1999].map(|number| (number + round * 31) % 2000));
            changed.iter().for_each(|number| registry.put(&format!("{number:04}"), &format!("{number:04}:{round}")));
            while !changed.iter().all(|number| shown(&run).contains(&format!("{number:04}:{round}"))) {
                run.next().await.expect("a word");
            }
            assert!(begun.elapsed() <= Duration::from_secs(3), "{:?}", begun.elapsed());
            pass(&mut run, PACE.interval).await;
        }
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn hints_at_nothing_are_followed_less_and_less_often() {
    leak_checked(|| async {
        let registry = many(1000);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        pass(&mut run, PACE.interval * 2).await;
        let asked = async |run: &mut Run, bumps: bool| {
            let before = registry.asked_about_names();
            for _ in 0..120 {
                registry.change(|held| held.index += u64::from(bumps));
                pass(run, Duration::from_secs(1)).await;
            }
            registry.asked_about_names() - before
        };
        let (quiet, busy) = (asked(&mut run, false).await, asked(&mut run, true).await);
        // After 0, 2, 4, 8, 16, 30, 30 and 30 seconds.
        assert!((quiet + 6000..quiet + 9000).contains(&busy), "{quiet} {busy}");
        run.stop().await.expect("it ends").ok();
    });
}

/// Waits until each of them shows this.
async fn all_show(runs: &mut [Run], address: &str) -> Duration {
    let (begun, mut missing) = (Instant::now(), runs.len());
    while missing > 0 {
        assert!(begun.elapsed() < PACE.wait, "{missing} of {} do not show {address}", runs.len());
        sleep(Duration::from_millis(100)).await;
        missing = 0;
        for run in &mut *runs {
            while run.try_next().is_some() {}
            missing += usize::from(!shown(run).contains(&address.to_owned()));
        }
    }
    begun.elapsed()
}

#[test]
fn however_many_ask_a_server_no_more_than_so_many_questions_are_under_way() {
    leak_checked(|| async {
        let (server, registry) = (Server::new(), many(3));
        let mut runs: Vec<_> = (0..60).map(|_| watch_at(&server, &registry)).collect();
        all_show(&mut runs, "0002:1").await;
        for round in 2..9 {
            sleep(PACE.interval).await;
            registry.put("0001", &format!("0001:{round}"));
            let took = all_show(&mut runs, &format!("0001:{round}")).await;
            assert!(took <= Duration::from_secs(3), "round {round}: {took:?}");
        }
        let [waiting, names, hint, quick, all] =
            registry.counts([WAITING, NAMES, HINT, QUICK, ALL]).map(|(most, _)| most);
        assert_eq!((waiting, names, hint), (100, 40, 1), "one hints at changes for all");
        assert!(quick <= 180 && all <= 190, "{quick} that do not wait, {all} in all");
        // Who asks for the hint may go.
        for run in runs.drain(..25) {
            run.stop().await.expect("it ends").ok();
        }
        sleep(PACE.interval).await;
        registry.put("0000", "0000:2");
        let took = all_show(&mut runs, "0000:2").await;
        assert!(took <= Duration::from_secs(3), "{took:?}");
        // 30 want 90.
        for run in runs.drain(..5) {
            run.stop().await.expect("it ends").ok();
        }
        sleep(PACE.least).await;
        let before = registry.asked(HINT).len();
        assert_eq!(registry.counts([HINT]), [(1, 0)], "nobody has to take turns, nobody needs hints");
        sleep(PACE.wait * 2).await;
        assert_eq!(registry.asked(HINT).len(), before);
        for run in runs {
            run.stop().await.expect("it ends").ok();
        }
    });
}
