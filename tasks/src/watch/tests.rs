//! The watcher on real directories.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use rosterd_testkit::leak_checked_live;
use tokio::time::Instant;

use super::watched::Watched;
use super::{Changes, Inotify, Watcher};

const DEADLINE: Duration = Duration::from_secs(30);

struct Place {
    _keep: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path().canonicalize().unwrap();
        Self { _keep: keep, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    async fn watch(&self, patterns: &[&str]) -> Watcher {
        self.share(&Inotify::default(), patterns).await
    }

    async fn share(&self, inotify: &Inotify, patterns: &[&str]) -> Watcher {
        Watcher::new(inotify, &patterns.iter().map(|pattern| self.path(pattern)).collect::<Vec<_>>()).await
    }

    /// Reads the file when the watcher says so, until it reads this.
    async fn reads(&self, watcher: &mut Watcher, name: &str, wanted: Option<&str>) {
        let path = self.path(name);
        let seen = async {
            loop {
                let changes = watcher.changed().await;
                if concerns(&changes, &path) && fs::read_to_string(&path).ok().as_deref() == wanted {
                    return;
                }
            }
        };
        tokio::time::timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("{name} never read {wanted:?}"));
    }
}

fn concerns(changes: &Changes, path: &Path) -> bool {
    changes.everything || changes.paths.contains(path)
}

async fn next(watcher: &mut Watcher) -> Changes {
    tokio::time::timeout(DEADLINE, watcher.changed()).await.expect("a change within the deadline")
}

#[test]
fn a_written_file_is_told_and_no_other() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.json", "1");
        place.write("b.json", "1");
        let mut watcher = place.watch(&["*.json"]).await;
        place.write("other.txt", "1");
        place.write("a.json", "2");
        let changes = next(&mut watcher).await;
        assert_eq!(changes, Changes { paths: BTreeSet::from([place.path("a.json")]), everything: false });
    });
}

#[test]
fn a_file_is_told_that_was_written_by_another_of_its_names() {
    leak_checked_live(|| async {
        let (place, other) = (Place::new(), Place::new());
        for (name, pattern) in [("a.yml", "a.yml"), ("b.json", "*.json")] {
            place.write(name, "1");
            fs::hard_link(place.path(name), other.path(name)).unwrap();
            let mut watcher = place.watch(&[pattern]).await;
            other.write(name, "2");
            place.reads(&mut watcher, name, Some("2")).await;
            // Once it is another file, the names have nothing to do with each other.
            fs::remove_file(place.path(name)).unwrap();
            place.write(name, "3");
            place.reads(&mut watcher, name, Some("3")).await;
            fs::remove_file(place.path(name)).unwrap();
            fs::hard_link(other.path(name), place.path(name)).unwrap();
            place.reads(&mut watcher, name, Some("2")).await;
            other.write(name, "4");
            place.reads(&mut watcher, name, Some("4")).await;
        }
    });
}

#[test]
fn an_atomic_rename_is_told() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.yml", "1");
        let mut watcher = place.watch(&["a.yml"]).await;
        place.write(".a.yml.tmp", "2");
        fs::rename(place.path(".a.yml.tmp"), place.path("a.yml")).unwrap();
        place.reads(&mut watcher, "a.yml", Some("2")).await;
        place.write(".a.yml.tmp", "3");
        fs::rename(place.path(".a.yml.tmp"), place.path("a.yml")).unwrap();
        place.reads(&mut watcher, "a.yml", Some("3")).await;
    });
}

#[test]
fn a_file_is_told_once_its_writer_has_closed_it() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.json", "old");
        let mut watcher = place.watch(&["a.json"]).await;
        let mut file = OpenOptions::new().write(true).truncate(true).open(place.path("a.json")).unwrap();
        file.write_all(b"[half").unwrap();
        file.write_all(b"]").unwrap();
        drop(file);
        place.reads(&mut watcher, "a.json", Some("[half]")).await;
    });
}

#[test]
fn a_file_that_is_being_written_does_not_hold_up_others() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watched = Watched::new(&Inotify::default(), &[place.path("*.json")]);
        watched.arm();
        let (slow, quick) = (place.path("slow.json"), place.path("quick.json"));
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let due = |watched: &mut Watched, now| {
            watched.fall_due(now);
            watched.take().map(|changes| changes.paths)
        };
        watched.pend(&slow, true, start);
        watched.pend(&quick, false, at(10));
        assert_eq!(due(&mut watched, at(14)), None);
        assert_eq!(due(&mut watched, at(15)), Some(BTreeSet::from([quick])));
        watched.pend(&slow, true, at(490));
        assert_eq!(due(&mut watched, at(499)), None);
        assert_eq!(due(&mut watched, at(500)), Some(BTreeSet::from([slow])));
    });
}

#[test]
fn a_file_that_stays_open_is_told_in_the_end() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["a.json"]).await;
        let mut file = fs::File::create(place.path("a.json")).unwrap();
        file.write_all(b"1").unwrap();
        place.reads(&mut watcher, "a.json", Some("1")).await;
        file.write_all(b"2").unwrap();
        place.reads(&mut watcher, "a.json", Some("12")).await;
    });
}

#[test]
fn a_storm_cannot_put_a_change_off_for_ever() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["*.json"]).await;
        let told = async {
            loop {
                place.write("a.json", "x");
                tokio::select! {
                    biased;
                    changes = watcher.changed() => return changes,
                    () = tokio::task::yield_now() => {}
                }
            }
        };
        let changes = tokio::time::timeout(DEADLINE, told).await.expect("told in the middle of the storm");
        assert!(concerns(&changes, &place.path("a.json")));
    });
}

#[test]
fn a_config_map_is_followed_through_its_swaps() {
    leak_checked_live(|| async {
        let place = Place::new();
        let swap = |version: &str| {
            fs::create_dir(place.path(version)).unwrap();
            place.write(&format!("{version}/x.yml"), version);
            symlink(version, place.path("..data_tmp")).unwrap();
            fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
        };
        swap("..1");
        symlink("..data/x.yml", place.path("x.yml")).unwrap();
        for patterns in [["x.yml"], ["*.yml"]] {
            let mut watcher = place.watch(&patterns).await;
            for round in 0..3 {
                let old = fs::read_link(place.path("..data")).unwrap();
                let version = format!("..{}-{round}", patterns[0].replace('*', "all"));
                swap(&version);
                fs::remove_dir_all(place.path(old.to_str().unwrap())).unwrap();
                place.reads(&mut watcher, "x.yml", Some(&version)).await;
            }
        }
    });
}

#[test]
fn a_file_is_followed_through_removal_and_return() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.json", "1");
        let mut watcher = place.watch(&["a.json"]).await;
        fs::remove_file(place.path("a.json")).unwrap();
        place.reads(&mut watcher, "a.json", None).await;
        place.write("a.json", "2");
        place.reads(&mut watcher, "a.json", Some("2")).await;
    });
}

#[test]
fn a_directory_is_followed_through_replacement() {
    leak_checked_live(|| async {
        let place = Place::new();
        fs::create_dir(place.path("d")).unwrap();
        place.write("d/a.json", "1");
        let mut watcher = place.watch(&["d/*.json"]).await;
        fs::create_dir(place.path("new")).unwrap();
        place.write("new/a.json", "2");
        fs::rename(place.path("d"), place.path("old")).unwrap();
        fs::rename(place.path("new"), place.path("d")).unwrap();
        place.reads(&mut watcher, "d/a.json", Some("2")).await;
        place.write("d/a.json", "3");
        place.reads(&mut watcher, "d/a.json", Some("3")).await;

        fs::remove_dir_all(place.path("d")).unwrap();
        place.reads(&mut watcher, "d/a.json", None).await;
        fs::create_dir(place.path("d")).unwrap();
        place.write("d/a.json", "4");
        place.reads(&mut watcher, "d/a.json", Some("4")).await;
    });
}

#[test]
fn directories_that_do_not_exist_yet_are_awaited() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["a/b/c/*.json"]).await;
        fs::create_dir_all(place.path("a/b/c")).unwrap();
        place.write("a/b/c/x.json", "1");
        place.reads(&mut watcher, "a/b/c/x.json", Some("1")).await;
        place.write("a/b/c/x.json", "2");
        place.reads(&mut watcher, "a/b/c/x.json", Some("2")).await;
    });
}

#[test]
fn a_changed_mode_is_no_change() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.json", "1");
        place.write("b.json", "1");
        let mut watcher = place.watch(&["*.json"]).await;
        fs::set_permissions(place.path("a.json"), fs::Permissions::from_mode(0o600)).unwrap();
        place.write("b.json", "2");
        let changes = next(&mut watcher).await;
        assert_eq!(changes.paths, BTreeSet::from([place.path("b.json")]));
    });
}

#[test]
fn other_paths_can_be_watched_later() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["a.json"]).await;
        watcher.set(&[place.path("b.json")]).await;
        place.write("a.json", "1");
        place.write("b.json", "1");
        assert_eq!(next(&mut watcher).await.paths, BTreeSet::from([place.path("b.json")]));
    });
}

#[test]
fn without_events_it_waits_and_recovers() {
    leak_checked_live(|| async {
        let place = Place::new();
        let refuse = Inotify::with_backend(|_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        let mut watcher = place.share(&refuse, &["a.json"]).await;
        assert!(watcher.is_degraded().await);
        assert_eq!(watcher.faults().await, 1);
        place.write("a.json", "1");
        assert_eq!(watcher.changed().now_or_never(), None);
        watcher.use_inotify(&Inotify::default()).await;
        watcher.rearm().await;
        assert!(!watcher.is_degraded().await);
        place.write("a.json", "2");
        place.reads(&mut watcher, "a.json", Some("2")).await;
    });
}

#[test]
fn many_watchers_share_one_instance_and_each_is_told_its_own_changes() {
    leak_checked_live(|| async {
        let place = Place::new();
        let inotify = Inotify::with_backend(|handler| {
            static OPENED: AtomicUsize = AtomicUsize::new(0);
            assert_eq!(OPENED.fetch_add(1, Ordering::Relaxed), 0, "one instance is enough");
            notify::recommended_watcher(handler)
        });
        let mut watchers = Vec::new();
        for index in 0..20 {
            watchers.push(place.share(&inotify, &[&format!("{index}.json"), "all.json"]).await);
        }
        let one = inotify.directories();
        place.write("7.json", "1");
        place.reads(&mut watchers[7], "7.json", Some("1")).await;
        place.write("all.json", "1");
        for watcher in &mut watchers {
            let changes = next(watcher).await;
            assert_eq!(changes.paths, BTreeSet::from([place.path("all.json")]), "not what others watch");
        }
        let mut last = watchers.pop().unwrap();
        drop(watchers);
        assert_eq!(inotify.directories(), one, "as long as one reads a directory, it is watched");
        place.write("all.json", "2");
        place.reads(&mut last, "all.json", Some("2")).await;
        drop(last);
        assert_eq!(inotify.directories(), 0);
    });
}

#[test]
fn a_directory_that_was_replaced_is_watched_again_for_all_who_share_it() {
    leak_checked_live(|| async {
        let place = Place::new();
        let inotify = Inotify::default();
        fs::create_dir(place.path("d")).unwrap();
        let (mut one, mut other) =
            (place.share(&inotify, &["d/a.json"]).await, place.share(&inotify, &["d/b.json"]).await);
        fs::rename(place.path("d"), place.path("old")).unwrap();
        fs::create_dir(place.path("d")).unwrap();
        for round in ["1", "2"] {
            place.write("d/a.json", round);
            place.write("d/b.json", round);
            place.reads(&mut one, "d/a.json", Some(round)).await;
            place.reads(&mut other, "d/b.json", Some(round)).await;
        }
    });
}

#[test]
fn a_watcher_that_was_dropped_half_way_goes_on() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["a.json"]).await;
        // It waits for a thread, which may be quicker.
        let _quicker: Option<()> = watcher.rearm().now_or_never();
        assert_eq!(watcher.changed().now_or_never(), None);
        place.write("a.json", "1");
        place.reads(&mut watcher, "a.json", Some("1")).await;
    });
}
