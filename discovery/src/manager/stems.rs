//! What the names of sources begin with, up to the last slash: kept once, however many begin so. It tells which of them are
//! beneath a scope, where their names are not kept. Pure.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::sync::Arc;

/// What a name begins with: its number, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stem(NonZeroU32);

impl Stem {
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// All stems in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Stems {
    /// In order, so that those beneath a scope stand beside each other.
    numbers: BTreeMap<Arc<str>, Stem>,
    /// By number, each with how often it is used.
    used: Vec<(Arc<str>, usize)>,
    /// Numbers that are not in use.
    free: Vec<Stem>,
}

/// Which stems are beneath some scopes, by number.
#[derive(Debug)]
pub(super) struct Beneath(Vec<bool>);

impl Stems {
    /// The stem of a name, used once more.
    pub(super) fn enter(&mut self, name: &str) -> Stem {
        let stem = name.rfind('/').map_or("", |slash| &name[..=slash]);
        if let Some(known) = self.numbers.get(stem) {
            self.used[known.index()].1 += 1;
            return *known;
        }
        let stem: Arc<str> = stem.into();
        let number = match self.free.pop() {
            Some(free) => {
                self.used[free.index()] = (Arc::clone(&stem), 1);
                free
            }
            None => {
                self.used.push((Arc::clone(&stem), 1));
                let number = u32::try_from(self.used.len()).ok().and_then(NonZeroU32::new);
                Stem(number.expect("four thousand million names do not fit into memory"))
            }
        };
        self.numbers.insert(stem, number);
        number
    }

    /// It is used once less.
    pub(super) fn leave(&mut self, stem: Stem) {
        let (name, users) = &mut self.used[stem.index()];
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(name);
            *name = Arc::default();
            self.free.push(stem);
        }
    }

    /// Which stems are beneath any of these scopes, each of which ends with a slash.
    pub(super) fn beneath(&self, scopes: &[Arc<str>]) -> Beneath {
        let mut beneath = if scopes.is_empty() { Vec::new() } else { vec![false; self.used.len()] };
        for stem in scopes.iter().flat_map(|scope| self.of(scope)) {
            beneath[stem.index()] = true;
        }
        Beneath(beneath)
    }

    /// Whether any stem in use is beneath this scope.
    pub(super) fn any_beneath(&self, scope: &str) -> bool {
        self.of(scope).next().is_some()
    }

    /// The stems beneath a scope.
    fn of(&self, scope: &str) -> impl Iterator<Item = Stem> {
        let from = self.numbers.range::<str, _>((Bound::Included(scope), Bound::Unbounded));
        from.take_while(move |(stem, _)| stem.starts_with(scope)).map(|(_, number)| *number)
    }
}

impl Beneath {
    /// Whether this one is.
    pub(super) fn has(&self, stem: Stem) -> bool {
        self.0.get(stem.index()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_goes_with_its_last_name_and_its_number_is_used_again() {
        let mut stems = Stems::default();
        let (x, y, z) = (stems.enter("a/x"), stems.enter("a/y"), stems.enter("b/z"));
        assert!(x == y && x != z);
        stems.leave(x);
        assert!(stems.any_beneath("a/"));
        stems.leave(y);
        assert!(!stems.any_beneath("a/") && stems.any_beneath("b/"));
        let again = stems.enter("c/d/x");
        assert_eq!((again, stems.used.len()), (x, 2));
        assert!(stems.any_beneath("c/") && stems.any_beneath("c/d/") && !stems.any_beneath("d/"));
    }

    #[test]
    fn only_whole_parts_of_a_path_are_beneath() {
        let mut stems = Stems::default();
        let names = ["/a/x", "/a/b/x", "/ab/x", "/a", "x"].map(|name| (name, stems.enter(name)));
        for (scopes, wanted) in [
            (&["/a/"][..], vec!["/a/x", "/a/b/x"]),
            (&["/a/b/", "/ab/"], vec!["/a/b/x", "/ab/x"]),
            (&["/"], vec!["/a/x", "/a/b/x", "/ab/x", "/a"]),
            (&[], vec![]),
        ] {
            let beneath = stems.beneath(&scopes.iter().map(|scope| Arc::from(*scope)).collect::<Vec<_>>());
            let found = names.iter().filter(|(_, stem)| beneath.has(*stem)).map(|(name, _)| *name);
            assert_eq!(found.collect::<Vec<_>>(), wanted, "{scopes:?}");
        }
    }

    #[test]
    fn however_many_there_are_each_is_told_from_the_others() {
        let mut stems = Stems::default();
        let all: Vec<_> = (0..70_000).map(|number| stems.enter(&format!("{number}/x"))).collect();
        let one = stems.beneath(&["69999/".into()]);
        assert_eq!(all.iter().filter(|stem| one.has(**stem)).count(), 1);
        assert!(one.has(all[69_999]) && !stems.beneath(&[]).has(all[69_999]));
        all.into_iter().for_each(|stem| stems.leave(stem));
        assert!(stems.numbers.is_empty() && stems.free.len() == 70_000);
    }
}
