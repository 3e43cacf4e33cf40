//! The watcher on real directories.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use rosterd_testkit::leak_checked_live;
use tokio::time::Instant;

use super::{Changes, Watcher};

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

    fn watch(&self, patterns: &[&str]) -> Watcher {
        Watcher::new(&patterns.iter().map(|pattern| self.path(pattern)).collect::<Vec<_>>())
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
        let mut watcher = place.watch(&["*.json"]);
        place.write("other.txt", "1");
        place.write("a.json", "2");
        let changes = next(&mut watcher).await;
        assert_eq!(changes, Changes { paths: BTreeSet::from([place.path("a.json")]), everything: false });
    });
}

#[test]
fn an_atomic_rename_is_told() {
    leak_checked_live(|| async {
        let place = Place::new();
        place.write("a.yml", "1");
        let mut watcher = place.watch(&["a.yml"]);
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
        let mut watcher = place.watch(&["a.json"]);
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
        let mut watcher = place.watch(&["*.json"]);
        let (slow, quick) = (place.path("slow.json"), place.path("quick.json"));
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        watcher.pend(&slow, true, start);
        watcher.pend(&quick, false, at(10));
        assert_eq!(watcher.take_due(at(14)), None);
        assert_eq!(watcher.take_due(at(15)).expect("the quick one").paths, BTreeSet::from([quick]));
        watcher.pend(&slow, true, at(490));
        assert_eq!(watcher.take_due(at(499)), None);
        assert_eq!(watcher.take_due(at(500)).expect("the slow one").paths, BTreeSet::from([slow]));
    });
}

#[test]
fn a_file_that_stays_open_is_told_in_the_end() {
    leak_checked_live(|| async {
        let place = Place::new();
        let mut watcher = place.watch(&["a.json"]);
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
        let mut watcher = place.watch(&["*.json"]);
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
            let mut watcher = place.watch(&patterns);
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
        let mut watcher = place.watch(&["a.json"]);
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
        let mut watcher = place.watch(&["d/*.json"]);
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
        let mut watcher = place.watch(&["a/b/c/*.json"]);
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
        let mut watcher = place.watch(&["*.json"]);
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
        let mut watcher = place.watch(&["a.json"]);
        watcher.set(&[place.path("b.json")]);
        place.write("a.json", "1");
        place.write("b.json", "1");
        assert_eq!(next(&mut watcher).await.paths, BTreeSet::from([place.path("b.json")]));
    });
}

#[test]
fn without_events_it_waits_and_recovers() {
    leak_checked_live(|| async {
        let place = Place::new();
        let patterns = [place.path("a.json")];
        let mut watcher =
            Watcher::with_backend(&patterns, |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert!(watcher.is_degraded());
        assert_eq!(watcher.faults(), 1);
        place.write("a.json", "1");
        assert_eq!(watcher.changed().now_or_never(), None);
        watcher.use_backend(|inbox| notify::recommended_watcher(inbox.handler()));
        watcher.rearm();
        assert!(!watcher.is_degraded());
        place.write("a.json", "2");
        place.reads(&mut watcher, "a.json", Some("2")).await;
    });
}
