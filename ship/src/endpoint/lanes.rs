//! From blocks to batches: series of one key go through one lane, in order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rosterd_tasks::{Guard, Panicked};
use tokio::time::Instant;
use tracing::error;

use super::custom_buckets::CustomBuckets;
use super::protocol::Protocol;
use crate::Block;
use crate::Counts;
use crate::config::EndpointConfig;
use crate::limiter::{Limiter, Sum};
use crate::log::Record;
use crate::metrics::{EndpointMetrics, Reason};
use crate::queue::{Queue, now_ms};
use crate::wire::{Assembler, BlockPlace, Dropped, Packer, Sends};

/// The lanes of an endpoint, and what they feed.
#[derive(Debug)]
pub(super) struct Lanes {
    current: RwLock<Generation>,
    /// One for all lanes: it also gives batches their place in the queue.
    packing: Mutex<Packing>,
    queue: Arc<Queue>,
    protocol: Arc<Protocol>,
    custom_buckets: Arc<CustomBuckets>,
    rules: rosterd_model::relabel::Rules,
    sends: Sends,
    most: u32,
    deadline: Duration,
    metrics: EndpointMetrics,
    name: String,
    damaged: Limiter,
    /// Catches panics of what is done with a lane.
    guard: Guard,
    /// Samples and histograms that went into batches.
    samples_in: AtomicU64,
}

#[derive(Debug)]
struct Generation {
    epoch: u32,
    lanes: Box<[Mutex<Lane>]>,
}

#[derive(Debug)]
struct Lane {
    assembler: Assembler,
    /// When the first series came in.
    since: Option<Instant>,
    /// What went from it to the queue since somebody began to do something with it.
    handed: Counts,
}

#[derive(Debug, Default)]
struct Packing {
    packer: Packer,
    raw: Vec<u8>,
}

/// The lane of a key. The high bits decide after mixing, because keys that one process is given may have low ones in common.
fn choose(key: u64, lanes: usize) -> usize {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((mixed * lanes as u64) >> 32) as usize
}

impl Lanes {
    pub(super) fn new(
        config: &EndpointConfig,
        queue: &Arc<Queue>,
        protocol: &Arc<Protocol>,
        custom_buckets: &Arc<CustomBuckets>,
        metrics: &EndpointMetrics,
        guard: Guard,
    ) -> Self {
        let lanes = Self {
            current: RwLock::new(Generation { epoch: 0, lanes: Box::default() }),
            packing: Mutex::default(),
            queue: Arc::clone(queue),
            protocol: Arc::clone(protocol),
            custom_buckets: Arc::clone(custom_buckets),
            rules: config.rules.clone(),
            sends: config.sends,
            most: config.queue.max_samples_per_send.max(1),
            deadline: config.queue.batch_send_deadline,
            metrics: metrics.clone(),
            name: config.name.clone(),
            damaged: Limiter::default(),
            guard,
            samples_in: AtomicU64::new(0),
        };
        lanes.resize(config.queue.min_shards.max(1));
        lanes
    }

    /// Adds the series of a block, and finishes what batches that fills.
    pub(super) fn push(&self, key: u64, block: &Block) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let index = choose(key, current.lanes.len());
        let mut lane = current.lanes[index].lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = Dropped::default();
        let filled = self.guarded(&mut lane, block.counts, |lane| {
            let mut place = BlockPlace::default();
            while !place.is_end(block) {
                match lane.assembler.push_part(block, &mut place, self.most) {
                    Ok(more) => dropped = dropped.plus(more),
                    Err(_) => self.refuse(block),
                }
                if lane.assembler.is_full(self.most) {
                    self.finish(lane, current.epoch, index);
                }
            }
        });
        if filled.is_err() {
            // All of the block is counted.
            dropped = Dropped::default();
        }
        if lane.since.is_none() && !lane.assembler.is_empty() {
            lane.since = Some(Instant::now());
        }
        drop(lane);
        drop(current);
        self.metrics.dropped(Reason::Relabelled, dropped.relabelled);
        self.custom_buckets.dropped(dropped.custom_buckets);
    }

    /// Does something with a lane to which that much comes. A panic costs what the lane holds: whatever is half done is made
    /// anew, and what is not in the queue by then is counted.
    fn guarded(&self, lane: &mut Lane, comes: Counts, work: impl FnOnce(&mut Lane)) -> Result<(), Panicked> {
        let holds = lane.assembler.counts().plus(comes);
        lane.handed = Counts::default();
        let done = self.guard.call(&self.name, || work(lane));
        if done.is_err() {
            self.metrics.dropped(Reason::Invalid, holds.minus(lane.handed));
            *lane = self.lane();
            *self.packing.lock().unwrap_or_else(PoisonError::into_inner) = Packing::default();
        }
        done
    }

    fn lane(&self) -> Lane {
        let message = self.protocol.now(now_ms()).0;
        let assembler = Assembler::new(message, self.rules.clone(), self.sends);
        Lane { assembler, since: None, handed: Counts::default() }
    }

    fn refuse(&self, block: &Block) {
        self.metrics.dropped(Reason::Invalid, block.counts);
        if let Some(sum) = self.damaged.admit("", block.counts.all_samples(), ()) {
            self.tell_damaged(sum);
        }
    }

    fn tell_damaged(&self, Sum { times, samples, .. }: Sum) {
        let (endpoint, code) = (&*self.name, "ship_damaged_block");
        error!(endpoint, code, times, samples, "the series of a scrape are no series, dropped");
    }

    /// Tells what the limits of the log have kept back: what is over, or everything.
    pub(super) fn tell_rest(&self, everything: bool) {
        if let Some(sum) = self.damaged.rest(everything) {
            self.tell_damaged(sum);
        }
    }

    fn finish(&self, lane: &mut Lane, epoch: u32, index: usize) {
        lane.since = None;
        if !lane.assembler.is_empty() {
            let mut packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
            let Packing { packer, raw } = &mut *packing;
            raw.clear();
            let head = lane.assembler.finish(raw);
            let (message, compression) = (lane.assembler.message(), self.protocol.now(now_ms()).1);
            self.samples_in.fetch_add(head.counts.all_samples(), Ordering::Relaxed);
            self.queue.append(Record {
                seq: 0,
                epoch,
                lane: index as u16,
                message,
                compression,
                head,
                raw_len: raw.len() as u32,
                body: packer.pack(compression, raw),
            });
            lane.handed = lane.handed.plus(head.counts);
        }
        lane.assembler.set_message(self.protocol.now(now_ms()).0);
    }

    /// Finishes batches whose oldest sample has waited long enough. Returns when the next one will have.
    pub(super) fn flush_due(&self) -> Instant {
        let now = Instant::now();
        let mut next = now + self.deadline.max(Duration::from_millis(1));
        self.each(|lanes, lane, epoch, index| {
            if let Some(due) = lane.since.map(|since| since + lanes.deadline) {
                if due <= now {
                    lanes.finish(lane, epoch, index);
                } else {
                    next = next.min(due);
                }
            }
        });
        next
    }

    /// Finishes all batches.
    pub(super) fn flush(&self) {
        self.each(Self::finish_of);
    }

    fn finish_of(&self, lane: &mut Lane, epoch: u32, index: usize) {
        self.finish(lane, epoch, index);
    }

    fn each(&self, mut see: impl FnMut(&Self, &mut Lane, u32, usize)) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        for (index, lane) in current.lanes.iter().enumerate() {
            let mut lane: MutexGuard<'_, Lane> = lane.lock().unwrap_or_else(PoisonError::into_inner);
            // What the lane held is lost, as was logged and counted.
            self.guarded(&mut lane, Counts::default(), |lane| see(self, lane, current.epoch, index)).ok();
        }
    }

    /// Begins a new generation: its batches are sent after all of this one.
    pub(super) fn resize(&self, lanes: u16) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = current.epoch;
        for (index, lane) in current.lanes.iter_mut().enumerate() {
            let lane = lane.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.guarded(lane, Counts::default(), |lane| self.finish(lane, epoch, index)).ok();
        }
        let lanes_of_now = (0..lanes).map(|_| Mutex::new(self.lane())).collect();
        *current = Generation { epoch: epoch + 1, lanes: lanes_of_now };
        drop(current);
        self.metrics.lanes.set(i64::from(lanes));
    }

    pub(super) fn count(&self) -> u16 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).lanes.len() as u16
    }

    /// Samples that went into batches since it was last asked.
    pub(super) fn take_samples_in(&self) -> u64 {
        self.samples_in.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use rosterd_tasks::Supervision;

    use super::*;
    use crate::Metrics;
    use crate::queue::Limits;
    use crate::tests::{block, endpoint};

    /// Lanes that finish nothing by themselves, the queue that they feed, and what counts their panics.
    fn lanes(count: u16) -> (Lanes, Arc<Queue>, EndpointMetrics, Registry) {
        let registry = Registry::new();
        let (supervision, metrics) =
            (Supervision::register(&registry).unwrap(), Metrics::register(&registry).unwrap().endpoint("e"));
        let mut config = endpoint("e", "http://127.0.0.1:1/");
        (config.queue.min_shards, config.queue.batch_send_deadline) = (count, Duration::from_secs(3600));
        let limits = Limits { front_bytes: 1 << 20, front_records: 100, bytes: 1 << 20, max_age_ms: 0 };
        let queue = Arc::new(Queue::new("e", limits, metrics.clone(), supervision.guard("disk")));
        queue.open_in_memory();
        let protocol = Arc::new(Protocol::new(config.message, config.compression, None));
        let buckets = Arc::new(CustomBuckets::new("e", &metrics));
        let lanes = Lanes::new(&config, &queue, &protocol, &buckets, &metrics, supervision.guard("lanes"));
        (lanes, queue, metrics, registry)
    }

    /// A key whose series go to this lane.
    fn key(lane: usize, of: usize) -> u64 {
        (0..).find(|key| choose(*key, of) == lane).unwrap()
    }

    #[test]
    fn a_panic_costs_what_its_lane_holds_and_is_counted_with_that() {
        let (lanes, queue, metrics, registry) = lanes(2);
        for lane in [0, 0, 1] {
            lanes.push(key(lane, 2), &block(&["a", "b"], 1.0, 1));
        }
        lanes.flush();
        assert_eq!((queue.held().pending.samples, metrics.samples_dropped(|_| true)), (6, 0));
        for lane in [0, 1] {
            lanes.push(key(lane, 2), &block(&["a"; 3], 1.0, 2));
        }
        lanes.each(|_, _, _, index| assert_ne!(index, 0, "this one panics"));
        assert_eq!(queue.held().pending.samples, 6, "what is in the queue stays there");
        lanes.push(key(0, 2), &block(&["a"; 5], 1.0, 3));
        lanes.flush();
        assert_eq!(queue.held().pending.samples, 6 + 3 + 5, "the other lane loses nothing, and this one goes on");
        assert_eq!(metrics.samples_dropped(|reason| reason == Reason::Invalid), 3);
        let families = registry.gather();
        let panics = families.iter().find(|family| family.name() == "rosterd_task_panics_total").unwrap();
        let of_lanes = panics.get_metric().iter().find(|metric| metric.get_label()[0].value() == "lanes").unwrap();
        assert_eq!(of_lanes.get_counter().get_value(), 1.0);
    }

    #[test]
    fn what_a_lane_handed_to_the_queue_before_it_panicked_is_not_lost() {
        let (lanes, queue, metrics, _) = lanes(1);
        lanes.push(0, &block(&["a", "b"], 1.0, 1));
        let current = lanes.current.read().unwrap();
        let mut lane = current.lanes[0].lock().unwrap();
        let comes = Counts { series: 4, samples: 4, ..Counts::default() };
        let done = lanes.guarded(&mut lane, comes, |lane| {
            lanes.finish(lane, 1, 0);
            panic!("after the batch before");
        });
        assert!(done.is_err());
        assert_eq!((queue.held().pending.samples, metrics.samples_dropped(|_| true)), (2, 4));
    }

    #[test]
    fn keys_are_spread_even_if_they_have_a_remainder_in_common() {
        let mut counts = [0; 8];
        (0..8000u64).for_each(|number| counts[choose(number * 16 + 3, 8)] += 1);
        assert!(counts.iter().all(|count| (500..1500).contains(count)), "{counts:?}");
        assert_eq!(choose(u64::MAX, 1), 0);
    }
}
