//! Each path of an ingress is a target.

use rosterd_model::TargetGroup;

use super::{Making, labels};
use crate::objects::{Ingress, Rule};

/// The path that is meant where none is written.
const ROOT: &str = "/";

impl Making<'_, '_> {
    pub(super) fn ingress(&mut self, ingress: &Ingress<'_>) -> TargetGroup {
        let mut targets = Vec::new();
        for Rule { host, paths } in &ingress.rules {
            let secure = ingress.secure_hosts.iter().any(|pattern| is_of(pattern, host));
            let written = paths.iter().flatten().map(|path| if path.is_empty() { ROOT } else { path });
            for path in written.chain(paths.is_none().then_some(ROOT)) {
                self.sheet.address(host);
                self.sheet.set(labels::INGRESS_SCHEME, if secure { "https" } else { "http" });
                self.sheet.set(labels::INGRESS_HOST, host);
                self.sheet.set(labels::INGRESS_PATH, path);
                targets.push(self.labels());
            }
        }
        self.sheet.set(labels::INGRESS_CLASS_NAME, &ingress.class);
        self.sheet.object(&labels::OF_INGRESS, &ingress.meta);
        self.namespace(&ingress.meta.namespace);
        TargetGroup { labels: self.labels(), targets, ..TargetGroup::default() }
    }
}

/// Whether a host is this one, or has another first label where this one has a star.
fn is_of(pattern: &str, host: &str) -> bool {
    match (pattern.split_once('.'), host.split_once('.')) {
        _ if pattern == host => true,
        (Some(("*", domain)), Some((_, of))) => domain == of,
        (None, None) => pattern == "*",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_star_stands_for_one_label() {
        for (pattern, host, same) in [
            ("a.example", "a.example", true),
            ("*.example", "a.example", true),
            ("*.example", "*.example", true),
            ("*.example", "a.b.example", false),
            ("*.b.example", "a.b.example", true),
            ("*.example", "example", false),
            ("a*.example", "ab.example", false),
            ("b.*", "b.example", false),
            ("*", "a", true),
            ("*", "a.example", false),
            ("*.example", ".example", true),
            ("", "", true),
        ] {
            assert_eq!(is_of(pattern, host), same, "{pattern} {host}");
        }
    }
}
