//! What changed between two snapshots of a job's targets. Pure: in proportion to the pages that changed.

use std::collections::HashSet;
use std::sync::Arc;

use rosterd_model::Labels;

use crate::roster::pages::Page;

/// Targets that came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: Vec<Labels>,
    pub(super) removed: Vec<Labels>,
}

/// Compares two snapshots. Pages that both share are not looked at.
pub(super) fn difference(before: &[Arc<Page>], now: &[Arc<Page>]) -> Difference {
    let mut difference = Difference::default();
    if before.len() != now.len() {
        // Pages were split: a target may be in another one.
        compare(labels(before), labels(now), &mut difference);
        return difference;
    }
    for (before, now) in before.iter().zip(now).filter(|(before, now)| !Arc::ptr_eq(before, now)) {
        compare(labels(std::slice::from_ref(before)), labels(std::slice::from_ref(now)), &mut difference);
    }
    difference
}

fn labels(pages: &[Arc<Page>]) -> HashSet<&Labels> {
    pages.iter().flat_map(|page| page.slots()).map(|slot| &slot.labels).collect()
}

fn compare(before: HashSet<&Labels>, now: HashSet<&Labels>, difference: &mut Difference) {
    difference.added.extend(now.difference(&before).copied().cloned());
    difference.removed.extend(before.difference(&now).copied().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::pages::Pages;

    fn labels(number: usize) -> Labels {
        [("__address__", format!("h:{number}"))].into_iter().collect()
    }

    #[test]
    fn what_came_and_went_is_told_also_when_pages_are_split() {
        let mut pages = Pages::default();
        let empty = pages.clone();
        (0..200).for_each(|number| drop(pages.add(labels(number), false)));
        let some = pages.clone();
        assert_eq!(difference(empty.pages(), some.pages()).added.len(), 200);
        (200..5000).for_each(|number| drop(pages.add(labels(number), false)));
        pages.remove(&labels(3), false);
        let grown = difference(some.pages(), pages.pages());
        assert_eq!((grown.added.len(), grown.removed), (4800, vec![labels(3)]));
        let many = pages.clone();
        pages.remove(&labels(7), false);
        pages.add(labels(9999), false);
        let found = difference(many.pages(), pages.pages());
        assert_eq!((found.added, found.removed), (vec![labels(9999)], vec![labels(7)]));
        assert_eq!(difference(pages.pages(), pages.pages()), Difference::default());
    }
}
