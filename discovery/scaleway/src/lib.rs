//! Scaleway: instances, or Elastic Metal servers, polled from its APIs.

mod baremetal; // bytes -> groups of Elastic Metal servers; pure
mod check; // what ids and keys look like; pure
mod config; // what the user writes, its defaults and checks
mod discoverer; // the I/O
mod instance; // bytes -> groups of instances; pure
#[cfg(test)]
mod tests;

pub use config::{Role, ScalewayConfig};

use rosterd_rest::Page;

/// What comes after a page of these, when so many were on those before it. Nobody says so: it is counted.
fn page<T>(items: Vec<T>, before: rosterd_rest::Before, total: usize, id: fn(&T) -> &str) -> Page<T> {
    let is_last = items.is_empty() || before.items + items.len() >= total;
    let first = items.first().map(|item| id(item).to_owned());
    Page::new(items, (!is_last).then(|| (before.pages + 2).to_string())).beginning_with(first.as_deref())
}
