//! What survives what.

use std::time::Duration;

use rosterd_testkit::{RemoteWriteReceiver, WriteAnswer, free_address, leak_checked_live};

use super::*;
use crate::ShipError;

#[test]
fn a_receiver_that_comes_back_gets_everything_in_order() {
    leak_checked_live(|| async {
        for on_disk in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let folder = on_disk.then_some(folder.path());
            let address = free_address();
            let mut config = endpoint("a", &format!("http://{address}/api/v1/write"));
            config.queue.min_shards = 4;
            config.queue.max_samples_per_send = 3;
            let ship = Ship::of(folder, vec![config]).await;
            let names: Vec<_> = (0..20).map(|key| format!("m{key}")).collect();
            for number in 0..50 {
                for (key, name) in names.iter().enumerate() {
                    ship.shipper.push(key as u64, &block(&[name], number as f64, now(number)));
                }
            }
            let down =
                || ship.shipper.status()[0].last_error.as_ref().is_some_and(|error| error.code == "http_connect");
            eventually(patience(), "it is down", down).await;
            let receiver = RemoteWriteReceiver::start_at(address).await;
            receiver.wait_samples(1000).await;
            for name in &names {
                assert_eq!(values(&receiver, name), (0..50).map(f64::from).collect::<Vec<_>>(), "{name}");
            }
            ship.wait_empty().await;
            ship.end().await;
        }
    });
}

#[test]
fn an_endpoint_that_is_down_does_not_slow_another() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let down = endpoint("down", "http://127.0.0.1:1/write");
        let ship = Ship::of(None, vec![down, endpoint("up", &receiver.url())]).await;
        for number in 0..100 {
            ship.shipper.push(1, &block(&["up"], f64::from(number), now(number as usize)));
        }
        receiver.wait_samples(100).await;
        let status = ship.shipper.status();
        assert_eq!(status[0].pending.samples, 100);
        ship.shipper.shutdown(Instant::now() + Duration::from_millis(10)).await;
        assert_eq!(ship.metric("dropped_items_total", &["down", "samples", "shutdown"]), 100.0);
        assert!(ship.stopper.stop(Duration::ZERO).await.is_empty());
    });
}

#[test]
fn a_restart_resumes_where_it_stopped() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = endpoint("a", &format!("http://{address}/api/v1/write"));
        for process in 0..3 {
            let ship = Ship::of(Some(folder.path()), vec![config.clone()]).await;
            for number in 0..10 {
                ship.shipper.push(1, &block(&["m"], f64::from(process * 10 + number), now(0)));
            }
            ship.end().await;
        }
        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(folder.path()), vec![config]).await;
        receiver.wait_samples(30).await;
        assert_eq!(values(&receiver, "m"), (0..30).map(f64::from).collect::<Vec<_>>());
        ship.wait_empty().await;
        ship.end().await;
    });
}

#[test]
fn a_shutdown_sends_what_waits_for_its_batch() {
    leak_checked_live(|| async {
        let receiver = RemoteWriteReceiver::start().await;
        let mut config = endpoint("a", &receiver.url());
        config.queue.batch_send_deadline = Duration::from_secs(3600);
        let ship = Ship::of(None, vec![config]).await;
        ship.shipper.push(1, &block(&["m"], 1.0, now(0)));
        ship.end().await;
        assert_eq!(values(&receiver, "m"), [1.0]);
    });
}

#[test]
fn a_reload_keeps_what_is_equal_and_loses_nothing_of_the_rest() {
    leak_checked_live(|| async {
        for on_disk in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let folder = on_disk.then_some(folder.path());
            let receiver = RemoteWriteReceiver::start().await;
            receiver.rule(|_| WriteAnswer::status(500));
            let config = endpoint("a", &receiver.url());
            let ship = Ship::of(folder, vec![config.clone()]).await;
            ship.shipper.push(1, &block(&["m"], 0.0, now(0)));
            ship.shipper.configure(vec![config.clone()]).await.unwrap();
            receiver.wait_requests(2).await;
            let mut changed = config;
            for number in 1..5u16 {
                changed.queue.min_shards = number + 1;
                ship.shipper.configure(vec![changed.clone()]).await.unwrap();
                ship.shipper.push(1, &block(&["m"], f64::from(number), now(number.into())));
            }
            receiver.rule(|_| WriteAnswer::default());
            receiver.wait_samples(5).await;
            assert_eq!(values(&receiver, "m"), [0.0, 1.0, 2.0, 3.0, 4.0]);
            ship.end().await;
        }
    });
}

#[test]
fn a_second_process_is_told_and_works_in_memory() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let receiver = RemoteWriteReceiver::start().await;
        let config = endpoint("a", &receiver.url());
        let first = Ship::of(Some(folder.path()), vec![config.clone()]).await;
        let second = Ship::new(Some(folder.path()));
        let failed = second.shipper.configure(vec![config.clone()]).await;
        assert!(matches!(failed, Err(ShipError::QueueInUse { .. })), "{failed:?}");
        second.shipper.push(1, &block(&["m"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        first.end().await;
        let on_disk = || queues(folder.path()).iter().any(|queue| !crate::log::is_free(queue));
        eventually(patience(), "it takes the queue that is free", on_disk).await;
        second.end().await;
    });
}

#[test]
fn a_disk_that_comes_late_is_used_without_being_asked() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = endpoint("a", &format!("http://{address}/api/v1/write"));
        let queues = folder.path().join("queues");
        // What was left by the process before, on a volume that is not there yet.
        let ship = Ship::of(Some(&queues), vec![config.clone()]).await;
        ship.shipper.push(1, &block(&["m"], 0.0, now(0)));
        ship.end().await;
        let volume = folder.path().join("volume");
        std::fs::rename(&queues, &volume).unwrap();
        std::fs::write(&queues, "").unwrap();
        let ship = Ship::new(Some(&queues));
        let failed = ship.shipper.configure(vec![config]).await;
        assert!(matches!(failed, Err(ShipError::Queue { .. })), "{failed:?}");
        let grows = || ship.metric("queue_write_failures_total", &[]) > 2.0;
        eventually(patience(), "who watches is told as long as it is so", grows).await;
        ship.shipper.push(1, &block(&["m"], 1.0, now(1)));
        eventually(patience(), "it waits in memory", || ship.shipper.status()[0].pending.samples == 1).await;
        std::fs::remove_file(&queues).unwrap();
        std::fs::rename(&volume, &queues).unwrap();
        eventually(patience(), "all is on disk", || ship.shipper.status()[0].pending.samples == 2).await;
        ship.shipper.push(1, &block(&["m"], 2.0, now(2)));
        let receiver = RemoteWriteReceiver::start_at(address).await;
        receiver.wait_samples(3).await;
        assert_eq!(values(&receiver, "m"), [0.0, 1.0, 2.0]);
        assert_eq!(ship.metric("dropped_items_total", &[]), 0.0);
        ship.end().await;
    });
}

#[test]
fn a_queue_on_disk_keeps_its_limit() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mut config = endpoint("a", "http://127.0.0.1:1/write");
        config.disk.max_bytes = 1 << 20;
        config.queue.max_samples_per_send = 500;
        let ship = Ship::of(Some(folder.path()), vec![config]).await;
        assert_eq!(ship.metric("queue_disk_limit_bytes", &["a"]), f64::from(1 << 20));
        assert_eq!(ship.metric("queue_memory_limit_bytes", &["a"]), f64::from(32 << 20));
        let names: Vec<_> = (0..500).map(|number| format!("{:032x}", number * 0x9e37_79b9_7f4a_7c15u128)).collect();
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        for number in 0..300 {
            ship.shipper.push(1, &block(&names, 1.0, now(number)));
        }
        let dropped = || ship.metric("dropped_items_total", &["samples", "queue_full"]);
        let full = || dropped() > 0.0 && ship.metric("queue_disk_bytes", &[]) > 0.0;
        eventually(patience(), "the queue is full", full).await;
        let settled = || f64::from(ship.shipper.status()[0].pending.samples) + dropped() == 150_000.0;
        eventually(patience(), "what is not dropped is pending", settled).await;
        eventually(patience(), "all is written", || ship.shipper.status()[0].bytes_on_disk <= 1 << 20).await;
        ship.end().await;
    });
}

#[test]
fn a_disk_that_fails_costs_nothing_while_memory_lasts() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = endpoint("a", &format!("http://{address}/api/v1/write"));
        let ship = Ship::of(Some(folder.path()), vec![config]).await;
        let own = queues(folder.path()).remove(0);
        // As on a full disk: the first segment cannot be written.
        std::os::unix::fs::symlink("/dev/full", own.join(format!("{:020}.segment", 1))).unwrap();
        for number in 0..10 {
            ship.shipper.push(1, &block(&["m"], f64::from(number), now(0)));
            let batched = || ship.shipper.status()[0].pending.samples as i32 == number + 1;
            eventually(patience(), "a batch of its own", batched).await;
        }
        let failed = || ship.metric("queue_write_failures_total", &[]) > 0.0;
        eventually(patience(), "a write has failed", failed).await;
        // There is room again.
        eventually(patience(), "it is written after all", || ship.shipper.status()[0].bytes_on_disk > 0).await;
        eventually(patience(), "all is well", || ship.shipper.status()[0].disk_failure.is_none()).await;
        let receiver = RemoteWriteReceiver::start_at(address).await;
        receiver.wait_samples(10).await;
        assert_eq!(values(&receiver, "m"), (0..10).map(f64::from).collect::<Vec<_>>());
        ship.end().await;
    });
}

#[test]
fn a_reload_while_the_disk_takes_nothing_loses_nothing() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut config = endpoint("a", &format!("http://{address}/api/v1/write"));
        let ship = Ship::of(Some(folder.path()), vec![config.clone()]).await;
        // No segment can have its name: it leads to where nothing is.
        let first = queues(folder.path()).remove(0).join(format!("{:020}.segment", 1));
        std::os::unix::fs::symlink(folder.path().join("nowhere/a"), &first).unwrap();
        for number in 0..10 {
            ship.shipper.push(1, &block(&["m"], f64::from(number), now(0)));
            let batched = || ship.shipper.status()[0].pending.samples as i32 == number + 1;
            eventually(patience(), "a batch of its own", batched).await;
        }
        let failed = || ship.metric("queue_write_failures_total", &[]) > 0.0;
        eventually(patience(), "a write has failed", failed).await;
        assert!(ship.shipper.status()[0].disk_failure.is_some(), "who looks is told");
        for _ in 0..2 {
            config.timeout += Duration::from_secs(1);
            let opened = ship.shipper.configure(vec![config.clone()]).await;
            assert!(matches!(opened, Err(ShipError::Queue { .. })), "{opened:?}");
            let status = ship.shipper.status().remove(0);
            assert_eq!(status.pending.samples, 10);
            let failure = status.disk_failure.expect("as long as it is so");
            assert_eq!((&*failure.report.code, failure.report.causes.is_empty()), ("ship_queue_io", false));
        }
        std::fs::remove_file(&first).unwrap();
        eventually(patience(), "it is written after all", || ship.shipper.status()[0].bytes_on_disk > 0).await;
        eventually(patience(), "all is well", || ship.shipper.status()[0].disk_failure.is_none()).await;
        let receiver = RemoteWriteReceiver::start_at(address).await;
        receiver.wait_samples(10).await;
        assert_eq!(values(&receiver, "m"), (0..10).map(f64::from).collect::<Vec<_>>());
        assert_eq!(ship.metric("dropped_items_total", &[]), 0.0);
        ship.end().await;
    });
}

#[test]
fn a_queue_that_somebody_removes_is_begun_anew_with_what_is_in_memory() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (address, store) = (free_address(), folder.path().join("store"));
        let config = endpoint("a", &format!("http://{address}/api/v1/write"));
        let ship = Ship::of(Some(&store), vec![config.clone()]).await;
        for number in 0..10 {
            ship.shipper.push(1, &block(&["m"], f64::from(number), now(0)));
        }
        let on_disk = || ship.shipper.status()[0].bytes_on_disk > 0 && ship.shipper.status()[0].pending.samples == 10;
        eventually(patience(), "they are on disk, too", on_disk).await;
        // What is written meanwhile is in its way.
        eventually(patience(), "it is removed", || std::fs::remove_dir_all(&store).is_ok()).await;
        let told = || ship.metric("queue_corruptions_total", &[]) > 0.0;
        eventually(patience(), "it is noticed", told).await;
        let whole = || ship.shipper.status()[0].disk_failure.is_none() && on_disk();
        eventually(patience(), "it is there again", whole).await;
        assert_eq!(queues(&store).len(), 1, "and says whose it is");
        ship.end().await;

        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(&store), vec![config]).await;
        receiver.wait_samples(10).await;
        assert_eq!(values(&receiver, "m"), (0..10).map(f64::from).collect::<Vec<_>>());
        ship.wait_empty().await;
        ship.end().await;
    });
}

#[test]
fn the_queue_of_an_endpoint_that_is_gone_is_kept_for_its_return() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let gone = endpoint("gone", &format!("http://user:secret@{address}/api/v1/write"));
        let ship = Ship::of(Some(folder.path()), vec![gone.clone()]).await;
        ship.shipper.push(1, &block(&["m"], 7.0, now(0)));
        let down = || ship.shipper.status()[0].last_error.is_some();
        eventually(patience(), "it is down", down).await;
        ship.shipper.configure(Vec::new()).await.unwrap();
        assert!(ship.shipper.status().is_empty() && !ship.shipper.wants().samples);
        let families = ship.registry.gather();
        let labels = families.iter().flat_map(|family| family.get_metric()).flat_map(|metric| metric.get_label());
        assert!(labels.clone().all(|label| label.name() != "endpoint"), "{families:?}");

        let receiver = RemoteWriteReceiver::start_at(address).await;
        // Another password is the same queue.
        let back = endpoint("gone", &format!("http://user:other@{address}/api/v1/write"));
        ship.shipper.configure(vec![back]).await.unwrap();
        receiver.wait_samples(1).await;
        assert_eq!(header(&receiver.requests()[0], "authorization"), "Basic dXNlcjpvdGhlcg==");
        assert_eq!(ship.shipper.status()[0].url, format!("http://{address}/api/v1/write"));
        ship.end().await;
    });
}

#[test]
fn the_queue_of_an_endpoint_that_is_gone_for_long_is_deleted() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = endpoint("gone", "http://127.0.0.1:1/write");
        gone.disk.max_age = Duration::from_secs(3600);
        let ship = Ship::of(Some(folder.path()), vec![gone]).await;
        let own = queues(folder.path()).remove(0);
        ship.shipper.push(1, &block(&["m"], 7.0, now(0)));
        eventually(patience(), "it is down", || ship.shipper.status()[0].last_error.is_some()).await;
        ship.shipper.configure(Vec::new()).await.unwrap();
        assert!(own.exists());
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        for entry in std::fs::read_dir(&own).unwrap() {
            let file = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        ship.shipper.configure(Vec::new()).await.unwrap();
        assert!(!own.exists());
        ship.end().await;
    });
}

#[test]
fn a_long_queue_is_drained_through_memory() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut config = endpoint("a", &format!("http://{address}/api/v1/write"));
        // 64 batches in memory, of 1000.
        config.queue.capacity = 1;
        config.queue.max_samples_per_send = 5;
        config.queue.min_shards = 3;
        let ship = Ship::of(Some(folder.path()), vec![config.clone()]).await;
        let names: Vec<_> = (0..5).map(|key| format!("m{key}")).collect();
        for number in 0..1000 {
            let name = &*names[number % 5];
            ship.shipper.push(number as u64 % 5, &block(&[name; 5], number as f64, now(number)));
        }
        let on_disk = || ship.shipper.status()[0].bytes_on_disk > 100_000;
        eventually(patience(), "most of it is on disk only", on_disk).await;
        ship.end().await;
        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(folder.path()), vec![config]).await;
        receiver.wait_samples(5000).await;
        for (key, name) in names.iter().enumerate() {
            let expected = (0..1000).filter(|number| number % 5 == key).flat_map(|number| [number as f64; 5]);
            assert_eq!(values(&receiver, name), expected.collect::<Vec<_>>(), "{name}");
        }
        ship.wait_empty().await;
        assert_eq!(ship.metric("dropped_items_total", &[]), 0.0);
        ship.end().await;
    });
}
