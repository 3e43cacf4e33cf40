//! What the names of sources begin with, up to the last slash: kept once, however many begin so. It tells which of them are
//! beneath a scope, where their names are not kept. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// What a name begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stem(u16);

/// One of those for which there was no number left.
const OTHER: Stem = Stem(u16::MAX);

/// All stems in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Stems {
    numbers: HashMap<Arc<str>, Stem>,
    /// By number, each with how often it is used.
    used: Vec<(Arc<str>, usize)>,
    /// Numbers that are not in use.
    free: Vec<Stem>,
}

/// Which stems are beneath some scopes.
#[derive(Debug)]
pub(super) struct Beneath {
    /// By number.
    stems: Vec<bool>,
    /// What is said of those that have none.
    others: bool,
}

impl Stems {
    /// The stem of a name, used once more.
    pub(super) fn enter(&mut self, name: &str) -> Stem {
        let stem = name.rfind('/').map_or("", |slash| &name[..=slash]);
        if let Some(known) = self.numbers.get(stem) {
            self.used[usize::from(known.0)].1 += 1;
            return *known;
        }
        let stem: Arc<str> = stem.into();
        let number = match self.free.pop() {
            Some(free) => {
                self.used[usize::from(free.0)] = (Arc::clone(&stem), 1);
                free
            }
            None => match u16::try_from(self.used.len()).map(Stem) {
                Ok(next) if next != OTHER => {
                    self.used.push((Arc::clone(&stem), 1));
                    next
                }
                _ => return OTHER,
            },
        };
        self.numbers.insert(stem, number);
        number
    }

    /// It is used once less.
    pub(super) fn leave(&mut self, stem: Stem) {
        let Some((name, users)) = self.used.get_mut(usize::from(stem.0)) else { return };
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(name);
            *name = Arc::default();
            self.free.push(stem);
        }
    }

    /// Which stems are beneath any of these scopes, each of which ends with a slash.
    pub(super) fn beneath(&self, scopes: &[Arc<str>]) -> Beneath {
        let is_beneath = |(stem, _): &(Arc<str>, usize)| scopes.iter().any(|scope| stem.starts_with(&**scope));
        let stems = if scopes.is_empty() { Vec::new() } else { self.used.iter().map(is_beneath).collect() };
        // Nobody knows: it is better to keep something for too long.
        Beneath { stems, others: !scopes.is_empty() }
    }

    /// Whether any stem in use is beneath this scope.
    pub(super) fn any_beneath(&self, scope: &str) -> bool {
        self.numbers.keys().any(|stem| stem.starts_with(scope))
    }
}

impl Beneath {
    /// Whether this one is, or may be.
    pub(super) fn has(&self, stem: Stem) -> bool {
        if stem == OTHER { self.others } else { self.stems.get(usize::from(stem.0)).copied().unwrap_or_default() }
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
    fn what_has_no_number_may_be_beneath_any_scope() {
        let mut stems = Stems::default();
        let all: Vec<_> = (0..70_000).map(|number| stems.enter(&format!("{number}/x"))).collect();
        assert_eq!((all[65_534], all[65_535], all[69_999]), (Stem(65_534), OTHER, OTHER));
        let one = stems.beneath(&["7/".into()]);
        assert!(one.has(all[7]) && !one.has(all[8]) && one.has(all[69_999]));
        assert!(!stems.beneath(&[]).has(OTHER));
        all.into_iter().for_each(|stem| stems.leave(stem));
        assert!(stems.numbers.is_empty() && stems.free.len() == 65_535);
    }
}
