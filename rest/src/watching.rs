//! The discoverer that watches a catalog: one question about the names, and one about each of them, again and again. All wait in one
//! task, so that what ends with it has ended.

mod questions; // what is asked, and has not been answered
mod sweeps; // when all are asked about out of turn
mod view; // what is known, and what has to be said

use std::sync::Arc;

use async_trait::async_trait;
use rosterd_discovery::{Context, Discoverer, Error, Updates};
use rosterd_tasks::Guard;

use crate::{Catalog, Pace, Server};
use view::View;

/// A [`Discoverer`] made of a [`Catalog`].
#[derive(Debug)]
pub struct Watching<C> {
    catalog: Arc<C>,
    server: Arc<Server>,
    pace: Pace,
    guard: Guard,
}

impl<C: Catalog> Watching<C> {
    /// Watches a catalog, whose server it may share with others. A panic over one name costs that name.
    pub fn boxed(catalog: C, server: Arc<Server>, pace: Pace, guard: &Guard) -> Box<dyn Discoverer> {
        Box::new(Self { catalog: Arc::new(catalog), server, pace, guard: guard.clone() })
    }
}

#[async_trait]
impl<C: Catalog> Discoverer for Watching<C> {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let stop = cx.stop.clone();
        let mut view = View::new(*self, cx);
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            Err(stopped) = view.follow(&up) => Err(stopped.into()),
        }
    }
}

#[cfg(test)]
mod tests;
