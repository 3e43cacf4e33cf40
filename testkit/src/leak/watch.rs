//! Learns from traces which tasks of stoppers run, and which stoppers were dropped before they were stopped.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Where a stopper lives, also when it is compiled into a test of its own crate.
const STOPPER: &str = "rosterd_tasks::stopper";

/// The traces of one test. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: AtomicU64,
    spans: Mutex<HashMap<u64, Span>>,
    aborted: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Span {
    handles: usize,
    name: String,
}

impl Watch {
    /// The names of the tasks that have not ended.
    pub(super) fn running(&self) -> Vec<String> {
        let mut names: Vec<_> = self.spans().values().map(|span| span.name.clone()).collect();
        names.sort();
        names
    }

    /// The names of tasks whose stopper was dropped while they ran.
    pub(super) fn aborted(&self) -> Vec<String> {
        self.0.aborted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spans(&self) -> MutexGuard<'_, HashMap<u64, Span>> {
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == STOPPER
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut name = Value { field: "name", text: String::new() };
        attributes.record(&mut name);
        self.spans().insert(id, Span { handles: 1, name: name.text });
        Id::from_u64(id)
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.spans();
        let Some(span) = spans.get_mut(&id.into_u64()) else { return false };
        span.handles -= 1;
        let closed = span.handles == 0;
        if closed {
            spans.remove(&id.into_u64());
        }
        closed
    }

    fn event(&self, event: &Event<'_>) {
        let mut task = Value { field: "aborted", text: String::new() };
        event.record(&mut task);
        if !task.text.is_empty() {
            self.0.aborted.lock().unwrap_or_else(PoisonError::into_inner).push(task.text);
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Reads one field.
struct Value {
    field: &'static str,
    text: String,
}

impl Visit for Value {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.field {
            self.text = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            value.clone_into(&mut self.text);
        }
    }
}
