//! Which part of a long list is wanted.

use serde::{Deserialize, Serialize};

/// A part of a list. The default is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// How many items come before the part.
    pub offset: usize,
    /// The most items in the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Page {
    /// The items of the part.
    pub fn of<I: IntoIterator>(self, items: I) -> impl Iterator<Item = I::Item> {
        items.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX))
    }

    /// The page after this one of a list of so many items, if there is one.
    pub fn next(self, total: usize) -> Option<Self> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        let offset = self.offset.checked_add(limit)?;
        (offset < total).then_some(Self { offset, limit: self.limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_list_without_overlap() {
        let mut page = Some(Page { offset: 0, limit: Some(3) });
        let mut seen = Vec::new();
        while let Some(current) = page {
            seen.extend(current.of(0..8));
            page = current.next(8);
        }
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn the_default_is_everything_and_nothing_comes_after_it() {
        let page: Page = serde_json::from_str("{}").unwrap();
        assert_eq!((page.of(0..5).count(), page.next(5)), (5, None));
        assert_eq!(Page { offset: 9, limit: Some(1) }.of(0..5).count(), 0);
        assert_eq!(Page { offset: 0, limit: Some(0) }.next(5), None);
        assert_eq!(Page { offset: 1, limit: Some(usize::MAX) }.next(5), None);
    }
}
