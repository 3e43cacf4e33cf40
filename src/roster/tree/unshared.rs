//! What two trees do not have in common, found without looking at what they share.

use std::sync::Arc;

use super::{Node, Tree};

/// The entries of two trees that they do not share.
#[derive(Debug)]
pub(in crate::roster) struct Unshared<'a, K, V> {
    /// Those of the first tree.
    pub(in crate::roster) here: Vec<&'a (K, V)>,
    /// Those of the second tree.
    pub(in crate::roster) there: Vec<&'a (K, V)>,
}

/// What is left to be compared of a tree.
#[derive(Debug)]
enum Part<'a, K, V> {
    Node(&'a Arc<Node<K, V>>),
    Entry(&'a (K, V)),
}

impl<K, V> Clone for Part<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Part<'_, K, V> {}

impl<K: Ord, V> Part<'_, K, V> {
    /// Whether all of it comes after a key.
    fn is_after(&self, key: &K) -> bool {
        match self {
            Self::Node(node) => node.first().is_none_or(|first| first > key),
            Self::Entry((first, _)) => first > key,
        }
    }
}

impl<K: Ord, V> Tree<K, V> {
    /// The entries that this tree and the other one do not share, of each. Nodes that both share are not looked at, so it
    /// costs as much as changed between them; `same` tells equal values of entries whose node was copied.
    pub(in crate::roster) fn unshared<'a>(
        &'a self,
        other: &'a Self,
        same: impl Fn(&V, &V) -> bool,
    ) -> Unshared<'a, K, V> {
        let mut unshared = Unshared { here: Vec::new(), there: Vec::new() };
        let (mut here, mut there) = (vec![Part::Node(&self.root)], vec![Part::Node(&other.root)]);
        loop {
            match (here.last().copied(), there.last().copied()) {
                (Some(Part::Node(one)), Some(Part::Node(two))) => {
                    let (one_up, two_up) = (one.height(), two.height());
                    if one_up >= two_up {
                        here.pop();
                    }
                    if two_up >= one_up {
                        there.pop();
                    }
                    if !Arc::ptr_eq(one, two) {
                        if one_up >= two_up {
                            one.open(&mut here);
                        }
                        if two_up >= one_up {
                            two.open(&mut there);
                        }
                    }
                }
                (Some(Part::Entry(one)), Some(Part::Entry(two))) => {
                    let order = one.0.cmp(&two.0);
                    if order.is_le() {
                        here.pop();
                    }
                    if order.is_ge() {
                        there.pop();
                    }
                    if order.is_eq() && same(&one.1, &two.1) {
                        continue;
                    }
                    if order.is_le() {
                        unshared.here.push(one);
                    }
                    if order.is_ge() {
                        unshared.there.push(two);
                    }
                }
                (Some(Part::Entry(entry)), other) if other.is_none_or(|part| part.is_after(&entry.0)) => {
                    here.pop();
                    unshared.here.push(entry);
                }
                (other, Some(Part::Entry(entry))) if other.is_none_or(|part| part.is_after(&entry.0)) => {
                    there.pop();
                    unshared.there.push(entry);
                }
                (Some(Part::Node(node)), _) => {
                    here.pop();
                    node.open(&mut here);
                }
                (_, Some(Part::Node(node))) => {
                    there.pop();
                    node.open(&mut there);
                }
                (None, None) => return unshared,
                (Some(Part::Entry(_)), None) | (None, Some(Part::Entry(_))) => {
                    unreachable!("an entry without anything on the other side was taken above")
                }
            }
        }
    }
}

impl<K, V> Node<K, V> {
    /// Puts its parts onto a stack, the first on top.
    fn open<'a>(&'a self, parts: &mut Vec<Part<'a, K, V>>) {
        match self {
            Self::Leaf(entries) => parts.extend(entries.iter().rev().map(Part::Entry)),
            Self::Branch(children) => parts.extend(children.iter().rev().map(|child| Part::Node(&child.node))),
        }
    }
}
