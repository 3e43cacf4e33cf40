//! Addresses of pages with what is asked for. Pure.

use url::form_urlencoded::Serializer;

/// A path with a query of these parameters, without those that are empty.
pub(super) fn link<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let given = parameters.into_iter().filter(|(_, value)| !value.is_empty());
    let mut link = Serializer::for_suffix(format!("{path}?"), path.len() + 1);
    let link = link.extend_pairs(given).finish();
    link.strip_suffix('?').map(str::to_owned).unwrap_or(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_asked_for() {
        assert_eq!(link("/a", [("b", "c&d"), ("e", ""), ("f", "g")]), "/a?b=c%26d&f=g");
        assert_eq!((link("/a", [("b", "")]), link("", [("b", "c")])), ("/a".to_owned(), "?b=c".to_owned()));
    }
}
