//! An ordered map whose copies cost a pointer and share all that did not change since: a B+ tree with shared nodes. A
//! change copies the nodes above one entry and nothing else. Pure.

mod unshared; // what two of them do not have in common

use std::borrow::Borrow;
use std::sync::Arc;

/// A node is split when it has more entries or children than this: small, as a change copies a few of them.
const WIDTH: usize = 16;

/// An ordered map.
#[derive(Debug)]
pub(super) struct Tree<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

#[derive(Debug, Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// Children of equal height, none of them empty.
    Branch(Vec<Child<K, V>>),
}

#[derive(Debug)]
struct Child<K, V> {
    /// The first key in it.
    first: K,
    /// How many entries are in it.
    len: usize,
    node: Arc<Node<K, V>>,
}

impl<K, V> Clone for Tree<K, V> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), len: self.len }
    }
}

impl<K: Clone, V> Clone for Child<K, V> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), len: self.len, node: Arc::clone(&self.node) }
    }
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Tree<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut tree = Self::default();
        for (key, value) in entries {
            tree.insert(key, value);
        }
        tree
    }
}

impl<K, V> Tree<K, V> {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All entries, in order.
    pub(super) fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter { branches: Vec::new(), leaf: [].iter(), left: self.len };
        iter.enter(&self.root);
        iter
    }

    /// All values, in the order of the keys.
    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The entry with this many others before it.
    pub(super) fn nth(&self, index: usize) -> Option<(&K, &V)> {
        let (mut node, mut index) = (&*self.root, index);
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(index).map(|(key, value)| (key, value)),
                Node::Branch(children) => {
                    let mut children = children.iter();
                    node = loop {
                        let child = children.next()?;
                        if index < child.len {
                            break &child.node;
                        }
                        index -= child.len;
                    };
                }
            }
        }
    }
}

impl<K: Ord, V> Tree<K, V> {
    /// The value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.floor(key).filter(|(found, _)| (*found).borrow() == key).map(|(_, value)| value)
    }

    /// The last entry whose key is not above this one.
    pub(super) fn floor<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let after = entries.partition_point(|(first, _)| first.borrow() <= key);
                    return entries.get(after.checked_sub(1)?).map(|(key, value)| (key, value));
                }
                Node::Branch(children) => {
                    let after = children.partition_point(|child| child.first.borrow() <= key);
                    node = &children[after.checked_sub(1)?].node;
                }
            }
        }
    }

    /// How many keys are below this one.
    pub(super) fn rank<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let (mut node, mut before) = (&*self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => return before + entries.partition_point(|(first, _)| first.borrow() < key),
                Node::Branch(children) => {
                    let after = children.partition_point(|child| child.first.borrow() < key);
                    let Some(at) = after.checked_sub(1) else { return before };
                    before += children[..at].iter().map(|child| child.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }
}

impl<K: Ord + Clone, V: Clone> Tree<K, V> {
    /// Sets the value of a key; returns the one it had.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (replaced, sibling) = Arc::make_mut(&mut self.root).insert(key, value);
        if let Some(sibling) = sibling {
            let below = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            self.root = Arc::new(Node::Branch(vec![Child::of(below), sibling]));
        }
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Takes a key away; returns its value.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // What is not there must not cost a copy.
        self.get(key)?;
        let removed = Arc::make_mut(&mut self.root).remove(key);
        self.len -= 1;
        while let Node::Branch(children) = &*self.root {
            let [only] = &children[..] else { break };
            self.root = Arc::clone(&only.node);
        }
        removed
    }

    /// The value of the last entry whose key is not above this one, to be changed.
    pub(super) fn floor_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(&K, &mut V)>
    where
        K: Borrow<Q>,
    {
        let mut node = Arc::make_mut(&mut self.root);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let after = entries.partition_point(|(first, _)| first.borrow() <= key);
                    return entries.get_mut(after.checked_sub(1)?).map(|(key, value)| (&*key, value));
                }
                Node::Branch(children) => {
                    let after = children.partition_point(|child| child.first.borrow() <= key);
                    node = Arc::make_mut(&mut children[after.checked_sub(1)?].node);
                }
            }
        }
    }
}

impl<K, V> Node<K, V> {
    fn height(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Branch(children) => 1 + children.first().map_or(0, |child| child.node.height()),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.iter().map(|child| child.len).sum(),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.len(),
        }
    }

    fn first(&self) -> Option<&K> {
        match self {
            Self::Leaf(entries) => entries.first().map(|(key, _)| key),
            Self::Branch(children) => children.first().map(|child| &child.first),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    /// Returns what the key had, and the right half of this node, if it became too wide.
    fn insert(&mut self, key: K, value: V) -> (Option<V>, Option<Child<K, V>>) {
        match self {
            Self::Leaf(entries) => match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(at) => return (Some(std::mem::replace(&mut entries[at].1, value)), None),
                Err(at) => entries.insert(at, (key, value)),
            },
            Self::Branch(children) => {
                let at = children.partition_point(|child| child.first <= key).saturating_sub(1);
                let child = &mut children[at];
                if key < child.first {
                    child.first = key.clone();
                }
                let (replaced, sibling) = Arc::make_mut(&mut child.node).insert(key, value);
                child.len += usize::from(replaced.is_none());
                if let Some(sibling) = sibling {
                    child.len -= sibling.len;
                    children.insert(at + 1, sibling);
                }
                if replaced.is_some() {
                    return (replaced, None);
                }
            }
        }
        (None, (self.width() > WIDTH).then(|| Child::of(Arc::new(self.split()))))
    }

    /// Takes its right half away.
    fn split(&mut self) -> Self {
        match self {
            Self::Leaf(entries) => Self::Leaf(entries.split_off(entries.len() / 2)),
            Self::Branch(children) => Self::Branch(children.split_off(children.len() / 2)),
        }
    }

    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Leaf(entries) => {
                let at = entries.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
                Some(entries.remove(at).1)
            }
            Self::Branch(children) => {
                let at = children.partition_point(|child| child.first.borrow() <= key).checked_sub(1)?;
                let child = &mut children[at];
                let removed = Arc::make_mut(&mut child.node).remove(key);
                child.len -= usize::from(removed.is_some());
                match child.node.first() {
                    None => drop(children.remove(at)),
                    Some(first) => {
                        if *first != child.first {
                            child.first = first.clone();
                        }
                        join(children, at);
                    }
                }
                removed
            }
        }
    }
}

/// Puts a child that became narrow together with one beside it, if both fit into one with room to spare.
fn join<K: Clone, V: Clone>(children: &mut Vec<Child<K, V>>, at: usize) {
    let width = |at: usize| children.get(at).map(|child: &Child<K, V>| child.node.width());
    if width(at).is_none_or(|width| width > WIDTH / 4) {
        return;
    }
    let fits = |left: usize| Some(width(left)? + width(left + 1)? <= WIDTH * 3 / 4);
    let Some(left) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|left| fits(*left) == Some(true)) else {
        return;
    };
    let right = children.remove(left + 1);
    let child = &mut children[left];
    child.len += right.len;
    match (Arc::make_mut(&mut child.node), &*right.node) {
        (Node::Leaf(entries), Node::Leaf(more)) => entries.extend(more.iter().cloned()),
        (Node::Branch(below), Node::Branch(more)) => below.extend(more.iter().cloned()),
        _ => unreachable!("children of a node have equal heights"),
    }
}

impl<K: Clone, V> Child<K, V> {
    fn of(node: Arc<Node<K, V>>) -> Self {
        let first = node.first().expect("a node below another one is not empty").clone();
        Self { first, len: node.entries(), node }
    }
}

/// The entries of a tree, in order.
#[derive(Debug)]
pub(super) struct Iter<'a, K, V> {
    branches: Vec<std::slice::Iter<'a, Child<K, V>>>,
    leaf: std::slice::Iter<'a, (K, V)>,
    left: usize,
}

impl<'a, K, V> Iter<'a, K, V> {
    /// Goes down to the first leaf of a node.
    fn enter(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
                Node::Branch(children) => {
                    let mut children = children.iter();
                    let Some(first) = children.next() else { return };
                    self.branches.push(children);
                    node = &first.node;
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                self.left -= 1;
                return Some((key, value));
            }
            match self.branches.last_mut()?.next() {
                Some(child) => self.enter(&child.node),
                None => drop(self.branches.pop()),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn numbers(count: u32) -> Tree<u32, u32> {
        (0..count).map(|number| (number, number)).collect()
    }

    #[test]
    fn a_copy_does_not_move_and_shares_what_did_not_change() {
        let mut tree = numbers(10_000);
        let copy = tree.clone();
        tree.insert(5_000, 0);
        tree.remove(&7_000);
        assert_eq!((copy.get(&5_000), copy.get(&7_000), copy.len()), (Some(&5_000), Some(&7_000), 10_000));
        let looked = std::cell::Cell::new(0);
        let unshared = tree.unshared(&copy, |one, two| {
            looked.set(looked.get() + 1);
            one == two
        });
        assert_eq!((unshared.here, unshared.there), (vec![&(5_000, 0)], vec![&(5_000, 5_000), &(7_000, 7_000)]));
        assert!(looked.get() <= 4 * WIDTH, "{} entries were compared", looked.get());
        let mut other = copy.clone();
        assert_eq!(other.remove(&20_000), None);
        assert!(Arc::ptr_eq(&other.root, &copy.root), "what is not there costs no copy");
    }

    proptest! {
        #[test]
        fn a_tree_holds_what_a_map_would(
            steps in prop::collection::vec((0u16..300, any::<Option<u8>>()), 0..1500),
            cut in 0usize..1500,
        ) {
            let (mut tree, mut map) = (Tree::default(), BTreeMap::new());
            let mut earlier = (tree.clone(), map.clone());
            for (number, (key, value)) in steps.into_iter().enumerate() {
                match value {
                    Some(value) => prop_assert_eq!(tree.insert(key, value), map.insert(key, value)),
                    None => prop_assert_eq!(tree.remove(&key), map.remove(&key)),
                }
                prop_assert_eq!(tree.len(), map.len());
                if number == cut {
                    earlier = (tree.clone(), map.clone());
                }
            }
            prop_assert!(tree.iter().eq(map.iter()));
            prop_assert_eq!(tree.iter().len(), map.len());
            for key in 0..300 {
                prop_assert_eq!(tree.get(&key), map.get(&key));
                prop_assert_eq!(tree.floor(&key), map.range(..=key).next_back());
                prop_assert_eq!(tree.floor_mut(&key).map(|(key, value)| (*key, *value)), map.range(..=key).next_back().map(|(key, value)| (*key, *value)));
                prop_assert_eq!(tree.rank(&key), map.range(..key).count());
                prop_assert_eq!(tree.nth(usize::from(key)), map.iter().nth(usize::from(key)));
            }
            prop_assert!(earlier.0.iter().eq(earlier.1.iter()));
            let unshared = tree.unshared(&earlier.0, |one, two| one == two);
            let missing = |from: &BTreeMap<u16, u8>, other: &BTreeMap<u16, u8>| -> Vec<(u16, u8)> {
                from.iter().filter(|(key, value)| other.get(key) != Some(value)).map(|(key, value)| (*key, *value)).collect()
            };
            prop_assert_eq!(unshared.here.into_iter().copied().collect::<Vec<_>>(), missing(&map, &earlier.1));
            prop_assert_eq!(unshared.there.into_iter().copied().collect::<Vec<_>>(), missing(&earlier.1, &map));
        }
    }
}
