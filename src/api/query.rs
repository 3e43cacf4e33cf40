//! The parameters of a request.

use std::time::Duration;

use http::Uri;
use rosterd_model::did_you_mean;

use super::Error;
use crate::explain::Search;

/// The query of a URL, decoded. Of a parameter that is given twice, the first counts, as in Go.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The fields of a form that was sent.
    pub(super) fn of_form(form: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(form).into_owned().collect())
    }

    /// A parameter, unless it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter, but for empty ones.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A parameter that has to be there.
    pub(super) fn need(&self, name: &'static str, expected: &'static str) -> Result<&str, Error> {
        self.get(name).ok_or(Error::MissingParameter { name, expected })
    }

    /// Whether something is wanted that is, unless it is said otherwise.
    pub(super) fn wants(&self, name: &'static str) -> Result<bool, Error> {
        let parse = |value: &str| match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Error::BadParameter { name, value: value.to_owned(), expected: "true or false" }),
        };
        self.get(name).map_or(Ok(true), parse)
    }

    /// A number above 0.
    pub(super) fn count(&self, name: &'static str) -> Result<Option<usize>, Error> {
        let parse = |value: &str| match value.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Error::BadParameter { name, value: value.to_owned(), expected: "a whole number above 0" }),
        };
        self.get(name).map(parse).transpose()
    }

    /// A number as Go reads it, where Prometheus asks for one; what it refuses is refused in its words.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<i64>, Error> {
        self.get(name).map(|value| value.parse().map_err(|_| Error::NotANumber { name })).transpose()
    }

    /// What a parameter asks for that is one of these words.
    pub(super) fn one_of<T: Copy>(
        &self,
        name: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Error> {
        self.get(name).map(|value| one_of(name, value, all, word)).transpose()
    }

    /// Words or a selector; without the parameter all is meant.
    pub(super) fn search(&self, name: &'static str) -> Result<Search, Error> {
        let text = self.get(name).unwrap_or_default();
        Search::parse(text).map_err(|source| Error::InvalidParameter { name, source })
    }

    /// A duration, `1m30s` or a number of seconds.
    pub(super) fn duration(&self, name: &'static str) -> Result<Option<Duration>, Error> {
        let parse = |value: &str| {
            let seconds = value.parse().ok().and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
            let duration = seconds.or_else(|| value.parse::<rosterd_model::Duration>().ok().map(Duration::from));
            let expected = "a duration such as 30s, or a number of seconds";
            duration.ok_or(Error::BadParameter { name, value: value.to_owned(), expected })
        };
        self.get(name).map(parse).transpose()
    }
}

/// That of all which goes by the word that a parameter has.
pub(super) fn one_of<T: Copy>(
    name: &'static str,
    value: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, Error> {
    let unknown = || {
        let words: Vec<_> = all.iter().map(|one| word(*one)).collect();
        let known = words.join(", ") + &did_you_mean(value, words);
        Error::UnknownWord { name, value: value.to_owned(), known }
    };
    all.iter().copied().find(|one| word(*one) == value).ok_or_else(unknown)
}
