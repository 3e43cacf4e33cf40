//! What there is to be said of a cluster beside what goes wrong: each thing once in the log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};
use tracing::warn;

use crate::objects::Endpoints;
use crate::resource::WatchKey;

/// How many things are told of one cluster.
const MOST: usize = 256;
/// Where it stands that there are more addresses than an object of this kind may have.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<HashSet<String>>);

impl Notices {
    /// Tells what the API server warns of; `hide` takes secrets out of it.
    pub(super) fn of_answer(&self, key: &WatchKey, headers: &HeaderMap, hide: impl Fn(&str) -> String) {
        for value in headers.get_all(header::WARNING) {
            for warning in value.to_str().map(warnings).unwrap_or_default() {
                let warning = hide(&warning);
                if self.is_new(&warning) {
                    warn!(watch = %key, warning, "the API server warns");
                }
            }
        }
    }

    /// Tells of an object that had to leave addresses out.
    pub(super) fn of_endpoints(&self, endpoints: &Endpoints<'_>) {
        let meta = &endpoints.meta;
        let says = [&meta.annotations, &meta.labels].map(|map| map.get(OVER_CAPACITY) == Some("truncated"));
        let (namespace, name) = (&*meta.namespace, &*meta.name);
        if says.contains(&true) && self.is_new(&format!("{namespace}/{name}")) {
            warn!(
                namespace,
                name, "endpoints leave addresses out, for there are more than 1000: use the role endpointslice"
            );
        }
    }

    fn is_new(&self, text: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert(text.to_owned())
    }
}

/// The texts of a `Warning` header: `299 - "text", 299 - "another"`.
fn warnings(mut value: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((before, quoted)) = value.split_once('"') {
        let (mut text, mut end, mut escaped) = (String::new(), quoted.len(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                _ if escaped => (escaped, _) = (false, text.push(c)),
                '\\' => escaped = true,
                '"' => {
                    end = at + 1;
                    break;
                }
                _ => text.push(c),
            }
        }
        // A date may follow, which is quoted too.
        if before.trim_start_matches([',', ' ']).starts_with("299 ") {
            found.push(text);
        }
        value = quoted.get(end..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;

    #[test]
    fn the_texts_of_a_warning_are_found() {
        for (value, texts) in [
            (r#"299 - "v1 Endpoints is deprecated""#, &["v1 Endpoints is deprecated"][..]),
            (
                r#"299 - "a \"b\" \\", 299 kube "c" "Wed, 21 Oct 2015 07:28:00 GMT",299 - "d""#,
                &["a \"b\" \\", "c", "d"],
            ),
            (r#"199 - "of a proxy""#, &[]),
            (r#"299 - "cut"#, &["cut"]),
            ("299 - nothing", &[]),
        ] {
            assert_eq!(warnings(value), texts, "{value}");
        }
    }

    #[test]
    fn each_thing_is_told_once_and_not_without_bound() {
        let notices = Notices::default();
        assert_eq!([notices.is_new("a"), notices.is_new("a"), notices.is_new("b")], [true, false, true]);
        let told = (0..1000).filter(|text| notices.is_new(&text.to_string())).count();
        assert_eq!(told, MOST - 2);
    }

    #[test]
    fn endpoints_that_leave_addresses_out_are_told_of() {
        let told = |json: &str| {
            let notices = Notices::default();
            let json: <Endpoints<'_> as Object<'_>>::Json = serde_json::from_str(json).unwrap();
            notices.of_endpoints(&json.into());
            let told = notices.0.into_inner().unwrap();
            Vec::from_iter(told)
        };
        let marked = |place: &str, value: &str| {
            format!(r#"{{"metadata":{{"namespace":"a","name":"x","{place}":{{"{OVER_CAPACITY}":"{value}"}}}}}}"#)
        };
        for place in ["labels", "annotations"] {
            assert_eq!(told(&marked(place, "truncated")), ["a/x"]);
            assert_eq!(told(&marked(place, "warning")), Vec::<String>::new());
        }
    }
}
