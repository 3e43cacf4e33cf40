//! The contexts of the agent know only those that stand below them, so that each can be read and tested by itself.

use std::path::Path;

use crate::sources::{read, root, sources};

/// Each context, and those that it may know. `agent` and `cli` put everything together.
const KNOWN: [(&str, &[&str]); 11] = [
    ("problem", &[]),
    ("store", &[]),
    ("cluster", &[]),
    ("web", &["problem"]),
    ("roster", &["store"]),
    ("reconcile", &["store"]),
    ("scrape", &["cluster", "roster"]),
    ("journal", &["roster", "store"]),
    ("publish", &["reconcile", "roster", "store"]),
    ("explain", &["cluster", "journal", "publish", "roster", "scrape"]),
    ("api", &["cluster", "explain", "journal", "problem", "publish", "reconcile", "roster", "scrape"]),
];
const ABOVE: [&str; 2] = ["agent", "cli"];

/// The context that a file below `src/` belongs to; none for those that lie beside the contexts.
fn context(path: &Path) -> Option<&str> {
    let mut parts = path.strip_prefix(root().join("src")).ok()?.iter().filter_map(|part| part.to_str());
    let first = parts.next()?;
    parts.next().map(|_| first)
}

/// What a text names of its crate, also several in braces: `crate::a::b` and `crate::{a, b::{c, d}}`.
fn named(text: &str) -> Vec<&str> {
    let word = |text: &'_ str| text.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len());
    let mut names = Vec::new();
    for part in text.split("crate::").skip(1) {
        let Some(braces) = part.strip_prefix('{') else {
            names.push(&part[..word(part)]);
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, character) in braces.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ if begins && !character.is_whitespace() => {
                    names.push(&braces[at..at + word(&braces[at..])]);
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

#[test]
fn names_are_found_in_paths_and_in_braces() {
    let text = "use crate::a::b;\nuse crate::{\n    c, d::{e, f}, g::h,\n};\ncrate::i::j(crate::k)";
    assert_eq!(named(text), ["a", "c", "d", "g", "i", "k"]);
}

#[test]
fn scrapes_and_remote_write_do_not_depend_on_discovery() {
    for name in ["model", "tasks", "client", "exposition", "ship", "scrape"] {
        let manifest = read(format!("{name}/Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        assert!(!dependencies.contains("rosterd-discovery"), "{name} stands below discovery, or beside it");
    }
}

#[test]
fn a_context_knows_only_those_below_it() {
    let mut broken = Vec::new();
    let mut seen = Vec::new();
    for (path, text) in sources() {
        let Some(context) = context(&path) else { continue };
        if ABOVE.contains(&context) {
            continue;
        }
        let (_, allowed) = KNOWN
            .iter()
            .find(|(name, _)| *name == context)
            .unwrap_or_else(|| panic!("src/{context} is new: say in this test which contexts it may know"));
        seen.push(context.to_owned());
        for other in named(&text) {
            let is_context = ABOVE.contains(&other) || KNOWN.iter().any(|(name, _)| *name == other);
            if is_context && other != context && !allowed.contains(&other) {
                broken.push(format!("{}: {context} must not know {other}", path.display()));
            }
        }
    }
    for (name, _) in KNOWN {
        assert!(
            seen.iter().any(|context| context == name),
            "there is no src/{name} any more: take it out of this test"
        );
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
