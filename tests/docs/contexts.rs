//! The contexts of the agent know only those that stand below them, so that each can be read and tested by itself.

use std::path::Path;

use crate::sources::{root, sources};

/// Each context, and those that it may know. `agent` and `cli` put everything together.
const KNOWN: [(&str, &[&str]); 8] = [
    ("problem", &[]),
    ("store", &[]),
    ("web", &["problem"]),
    ("roster", &["store"]),
    ("reconcile", &["store"]),
    ("scrape", &["roster"]),
    ("publish", &["reconcile", "roster", "store"]),
    ("api", &["problem", "publish", "reconcile", "roster", "scrape"]),
];
const ABOVE: [&str; 2] = ["agent", "cli"];

/// The context that a file below `src/` belongs to; none for those that lie beside the contexts.
fn context(path: &Path) -> Option<&str> {
    let mut parts = path.strip_prefix(root().join("src")).ok()?.iter().filter_map(|part| part.to_str());
    let first = parts.next()?;
    parts.next().map(|_| first)
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
        for part in text.split("crate::").skip(1) {
            let end = part.find(|character: char| !character.is_alphanumeric() && character != '_');
            let other = &part[..end.unwrap_or(part.len())];
            let is_context =
                other.len() < part.len() && (ABOVE.contains(&other) || KNOWN.iter().any(|(name, _)| *name == other));
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
