//! Which nodes are known, and which watches are set on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tells one watch from another on the same node.
pub(crate) type WatchId = u64;

/// What of a node is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    /// Its data, and whether it is there.
    Data,
    /// The names of its children.
    Children,
}

/// A node that is there.
#[derive(Debug, Default)]
struct Node {
    data: Option<WatchId>,
    listing: Option<WatchId>,
    children: BTreeSet<Box<str>>,
    is_target: bool,
}

/// What a list of children changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Those that are not known yet.
    pub(crate) new: Vec<Arc<str>>,
    /// Those that are no more.
    pub(crate) gone: Vec<Arc<str>>,
}

/// All nodes that are known to be there.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<Arc<str>, Node>,
    /// Where nothing is, and somebody waits for it.
    awaited: BTreeMap<Arc<str>, WatchId>,
}

impl Tree {
    /// The data of a node was read.
    pub(crate) fn read(&mut self, path: &Arc<str>, watch: WatchId, is_target: bool) {
        self.awaited.remove(path);
        if let Some((parent, name)) = parent_and_name(path)
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.insert(name.into());
        }
        let node = self.nodes.entry(Arc::clone(path)).or_default();
        node.data = Some(watch);
        node.is_target = is_target;
    }

    /// The children of a node were read. `None` when the node itself is no more.
    pub(crate) fn listed(&mut self, path: &str, watch: WatchId, names: Vec<String>) -> Option<Listed> {
        let node = self.nodes.get_mut(path)?;
        node.listing = Some(watch);
        let now: BTreeSet<Box<str>> = names.into_iter().map(String::into_boxed_str).collect();
        let before = std::mem::replace(&mut node.children, now);
        let gone = before.difference(&node.children).map(|name| child_of(path, name)).collect();
        let children: Vec<_> = node.children.iter().map(|name| child_of(path, name)).collect();
        let new = children.into_iter().filter(|child| !self.nodes.contains_key(child)).collect();
        Some(Listed { new, gone })
    }

    /// Whether the children of a node are watched.
    pub(crate) fn is_listed(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| node.listing.is_some())
    }

    /// The children of a node could not be read: they are read again with its data.
    pub(crate) fn unlisted(&mut self, path: &str) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.listing = None;
        }
    }

    /// Nothing is there, and this watch tells when something is.
    pub(crate) fn awaits(&mut self, path: &Arc<str>, watch: WatchId) {
        self.awaited.insert(Arc::clone(path), watch);
    }

    /// A node is no more, nor is anything below it. Returns those of them that were targets.
    pub(crate) fn remove(&mut self, path: &Arc<str>) -> Vec<Arc<str>> {
        if let Some((parent, name)) = parent_and_name(path)
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.remove(name);
        }
        let (mut left, mut targets) = (vec![Arc::clone(path)], Vec::new());
        while let Some(path) = left.pop() {
            let Some(node) = self.nodes.remove(&path) else { continue };
            left.extend(node.children.iter().map(|name| child_of(&path, name)));
            if node.is_target {
                targets.push(path);
            }
        }
        targets
    }

    /// Whether a watch is the last that was set on this side of a node; of older ones nothing is to be done.
    pub(crate) fn is_current(&self, path: &str, side: Side, watch: WatchId) -> bool {
        if self.awaited.get(path) == Some(&watch) {
            return true;
        }
        let Some(node) = self.nodes.get(path) else { return false };
        Some(watch) == if side == Side::Data { node.data } else { node.listing }
    }

    /// Whether this node is known, and is a target.
    pub(crate) fn is_target(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| node.is_target)
    }
}

fn child_of(path: &str, name: &str) -> Arc<str> {
    format!("{}/{name}", path.trim_end_matches('/')).into()
}

pub(crate) fn parent_and_name(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    (!name.is_empty()).then_some((if parent.is_empty() { "/" } else { parent }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Arc<str> {
        text.into()
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_listing_tells_what_is_new_and_what_is_gone_and_no_more() {
        for (root, child) in [("/", "/a"), ("/r", "/r/a")] {
            let mut tree = Tree::default();
            tree.read(&path(root), 1, false);
            assert_eq!(tree.listed(root, 2, names(&["a"])), Some(Listed { new: vec![path(child)], gone: vec![] }));
            tree.read(&path(child), 3, true);
            assert_eq!(tree.listed(root, 4, names(&["a"])), Some(Listed { new: vec![], gone: vec![] }));
            assert_eq!(tree.listed(root, 5, vec![]), Some(Listed { new: vec![], gone: vec![path(child)] }));
            assert!(!tree.is_current(root, Side::Children, 4) && tree.is_current(root, Side::Children, 5));
            assert_eq!(tree.remove(&path(child)), [path(child)]);
        }
        assert_eq!(Tree::default().listed("/x", 1, vec![]), None);
    }

    #[test]
    fn a_node_goes_with_all_below_it() {
        let mut tree = Tree::default();
        for (node, is_target) in [("/a", false), ("/a/b", true), ("/a/b/c", true), ("/ab", true)] {
            tree.read(&path(node), 1, is_target);
        }
        tree.listed("/a/b", 1, names(&["c"]));
        let mut gone = tree.remove(&path("/a"));
        gone.sort();
        assert_eq!(gone, [path("/a/b"), path("/a/b/c")]);
        assert!(tree.is_target("/ab"));
        assert!(tree.remove(&path("/a")).is_empty());
    }

    #[test]
    fn a_node_that_came_back_before_its_parent_was_listed_again_is_no_news() {
        let mut tree = Tree::default();
        tree.read(&path("/a"), 1, false);
        tree.listed("/a", 2, names(&["b"]));
        tree.read(&path("/a/b"), 3, true);
        tree.remove(&path("/a/b"));
        tree.read(&path("/a/b"), 4, true);
        assert_eq!(tree.listed("/a", 5, names(&["b"])), Some(Listed { new: vec![], gone: vec![] }));
        assert!(!tree.is_current("/a/b", Side::Data, 3), "the watch of the former node");
    }
}
