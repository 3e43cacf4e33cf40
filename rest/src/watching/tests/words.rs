//! What is said, and when.

use super::*;

#[test]
fn the_first_word_is_the_whole_picture_and_then_changes_come_at_once() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        assert!(
            matches!(&first, Word::EverythingBut(groups, unread) if groups.len() == 2 && unread.is_empty()),
            "{first:?}"
        );
        pass(&mut run, Duration::from_secs(20)).await;
        let before = Instant::now();
        registry.put("a", "a:2");
        let second = run.next().await.expect("a word");
        assert!(matches!(&second, Word::Changed(groups) if *groups[0].source == *"a"), "{second:?}");
        registry.put("c", "c:1");
        run.next().await.expect("a word");
        assert_eq!(shown(&run), ["a:2", "b:1", "c:1"]);
        assert!(before.elapsed() <= PACE.least, "{:?}", before.elapsed());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn what_is_there_before_any_name_is_nothing() {
    leak_checked(|| async {
        let registry = Arc::<Registry>::default();
        let mut run = watch(&registry);
        let first = run.next().await.expect("a word");
        assert!(matches!(&first, Word::EverythingBut(groups, _) if groups.is_empty()), "{first:?}");
        registry.put("a", "a:1");
        run.next().await.expect("a word");
        assert_eq!(shown(&run), ["a:1"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_name_that_vanishes_is_gone_and_not_asked_about_any_more() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| {
            held.index += 1;
            held.names.remove("a");
        });
        // The question about it may be answered before it is known to be gone.
        while shown(&run).len() > 1 {
            run.next().await.expect("a word");
        }
        pass(&mut run, Duration::from_secs(5)).await;
        let asked = registry.asked("a").len();
        pass(&mut run, Duration::from_secs(600)).await;
        assert_eq!((shown(&run), registry.asked("a").len()), (vec!["b:1".to_owned()], asked));
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn a_name_that_goes_before_the_first_word_is_not_waited_for_and_not_told() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        registry.change(|held| held.hanging.extend(["b".to_owned(), "c".to_owned()]));
        let mut run = watch(&registry);
        pass(&mut run, Duration::from_secs(10)).await;
        assert_eq!(registry.asked("b"), [0], "it was asked about");
        registry.change(|held| {
            held.index += 1;
            held.names.retain(|name, _| name == "c");
        });
        pass(&mut run, Duration::from_secs(10)).await;
        assert!(!run.is_whole());
        registry.change(|held| held.hanging.clear());
        let first = run.next().await.expect("a word");
        let sources: Vec<_> = first.groups().iter().map(|group| group.source.to_string()).collect();
        assert_eq!(sources, ["c"]);
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn that_nothing_changes_is_said_now_and_then() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        let before = Instant::now();
        let next = run.next().await.expect("a word");
        assert!(matches!(next, Word::Unchanged), "{next:?}");
        assert!(before.elapsed() <= PACE.wait + PACE.interval, "{:?}", before.elapsed());
        assert_eq!(run.fault(), None);
        run.stop().await.expect("it ends").ok();
    });
}

/// The words of so much time.
async fn words(run: &mut Run, time: Duration) -> Vec<Word> {
    let (end, mut words) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        sleep(Duration::from_millis(500)).await;
        words.extend(std::iter::from_fn(|| run.try_next()));
    }
    words
}

#[test]
fn nothing_is_confirmed_while_the_names_cannot_be_asked_for() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend([NAMES.to_owned()]));
        pass(&mut run, PACE.interval).await;
        let words = words(&mut run, PACE.wait * 4).await;
        assert!(words.is_empty(), "{words:?}");
        assert!(run.status().last_error.is_some());
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn that_nothing_changes_takes_no_failure_away_and_is_said_again_afterwards() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1"), ("b", "b:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        registry.change(|held| held.failing.extend(["b".to_owned()]));
        while run.unread().next().is_none() {
            run.next().await.expect("a word");
        }
        let end = Instant::now() + PACE.wait * 6;
        while Instant::now() < end {
            let word = run.next().await.expect("a word");
            assert_eq!(run.unread().collect::<Vec<_>>(), ["b"], "{word:?}");
        }
        registry.change(|held| held.failing.clear());
        while run.unread().next().is_some() {
            run.next().await.expect("a word");
        }
        let words = words(&mut run, PACE.wait * 3).await;
        assert!(!words.is_empty() && words.iter().all(|word| matches!(word, Word::Unchanged)), "{words:?}");
        run.stop().await.expect("it ends").ok();
    });
}

#[test]
fn many_names_without_news_are_no_more_words_than_intervals() {
    leak_checked(|| async {
        let registry = registry(&[("a", "a:1")]);
        let mut run = watch(&registry);
        run.next().await.expect("a word");
        for number in 0..30 {
            registry.put(&format!("n{number}"), "n:1");
            pass(&mut run, Duration::from_secs(3)).await;
        }
        let words = words(&mut run, PACE.interval * 20).await.len();
        assert!((4..=21).contains(&words), "{words} words");
        run.stop().await.expect("it ends").ok();
    });
}
