//! What was said of nodes so far, over all sessions.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::read::NodesRead;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// Nodes that were said to be targets, and not to be gone since.
    targets: BTreeSet<Arc<str>>,
}

impl Picture {
    /// This is said as all there is, but for what may still be a target, as nobody knows.
    pub(crate) fn begin(&mut self, found: &NodesRead, may_be_target: impl Fn(&str) -> bool) {
        self.targets.retain(|path| may_be_target(path));
        self.take(found);
    }

    /// This is said besides. Adds what was said before and is gone: of the targets at and below what is revealed, those that
    /// cannot be targets any more.
    pub(crate) fn change(&mut self, found: &mut NodesRead, may_be_target: impl Fn(&str) -> bool) {
        for path in std::mem::take(&mut found.revealed) {
            let said = self.targets.get(&path).into_iter().chain(self.below(&path));
            said.filter(|said| !may_be_target(said)).for_each(|gone| found.is_gone(gone));
        }
        self.take(found);
    }

    fn take(&mut self, found: &NodesRead) {
        for (path, group) in &found.groups {
            if group.targets.is_empty() {
                self.targets.remove(path);
            } else {
                // The name that the present session uses too.
                self.targets.replace(Arc::clone(path));
            }
        }
    }

    fn below(&self, path: &str) -> impl Iterator<Item = &Arc<str>> {
        let above = format!("{}/", path.trim_end_matches('/'));
        let from = self.targets.range::<str, _>((Bound::Excluded(above.as_str()), Bound::Unbounded));
        from.take_while(move |target| target.starts_with(&above))
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::TargetGroup;

    use super::*;

    fn found(targets: &[&str], revealed: &[&str]) -> NodesRead {
        let mut found = NodesRead::default();
        found.revealed.extend(revealed.iter().map(|path| Arc::from(*path)));
        for path in targets {
            let group = TargetGroup { targets: vec![Default::default()], ..TargetGroup::gone(*path) };
            found.groups.insert((*path).into(), group);
        }
        found
    }

    #[test]
    fn what_is_revealed_not_to_be_there_is_gone_and_nothing_beside_it() {
        for (revealed, gone) in [
            ("/", vec!["/a", "/a-b", "/a/b", "/a/b/c", "/ab"]),
            ("/a", vec!["/a", "/a/b", "/a/b/c"]),
            ("/a/b", vec!["/a/b", "/a/b/c"]),
            ("/b", vec![]),
        ] {
            let mut picture = Picture::default();
            picture.begin(&found(&["/of/before", "/a/kept"], &[]), |_| true);
            picture.begin(&found(&["/a", "/a/b", "/a/b/c", "/ab", "/a-b"], &[]), |path| path.ends_with("kept"));
            let mut change = found(&["/a/new"], &[revealed]);
            picture.change(&mut change, |path| path.ends_with("kept"));
            let said: Vec<_> = change.groups.into_iter().filter(|(_, group)| group.targets.is_empty()).collect();
            assert_eq!(said.iter().map(|(path, _)| &**path).collect::<Vec<_>>(), gone, "{revealed}");
            let mut again = found(&[], &["/"]);
            picture.change(&mut again, |_| false);
            assert_eq!(again.groups.len(), 7 - gone.len(), "what is gone is not said twice, {revealed}");
        }
    }
}
