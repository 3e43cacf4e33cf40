//! What services answer, and what becomes of it: a group for each server, hypervisor or load balancer, of which it is the source. Pure.

mod balancers;
mod floating;
mod hypervisors;
mod servers;

use rosterd_rest::Page;

pub(super) use balancers::{groups as groups_of_load_balancers, listeners, load_balancers};
pub(super) use floating::{FloatingIps, floating_ips, ports};
pub(super) use hypervisors::hypervisors;
pub(super) use servers::servers;

rosterd_rest::reply! {
    /// From a page to another one.
    struct Link {
        rel: String = "rel",
        href: String = "href",
    }
}

/// What became of a page of so many things. After one without any there is none, whatever it says.
fn page<T>(items: Vec<T>, things: usize, links: Vec<Link>) -> Page<T> {
    let next = links.into_iter().find(|link| link.rel == "next").map(|link| link.href);
    Page::new(items, next.filter(|_| things > 0))
}
