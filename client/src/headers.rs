//! The headers that the configuration adds to each request.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use rosterd_model::Secret;

use crate::redirect::is_sensitive;
use crate::source::Source;
use crate::{ClientError, Header, System};

/// `http_headers`, ready to use.
#[derive(Debug)]
pub(crate) struct ExtraHeaders(Vec<ExtraHeader>);

#[derive(Debug)]
struct ExtraHeader {
    name: HeaderName,
    values: Vec<HeaderValue>,
    hidden: Vec<Source>,
}

impl ExtraHeaders {
    pub(crate) fn new(config: &BTreeMap<String, Header>, system: &System) -> Result<Self, ClientError> {
        let extra = |(name, header): (&String, &Header)| {
            let secrets = header.secrets.iter().filter_map(|secret| Source::of_secret(secret, Path::new(""), system));
            let files = header.files.iter().filter_map(|file| Source::of("", file, system));
            Ok(ExtraHeader {
                name: header_name(name)?,
                values: header.values.iter().map(|text| header_value(name, text)).collect::<Result<_, _>>()?,
                hidden: secrets.chain(files).collect(),
            })
        };
        config.iter().map(extra).collect::<Result<_, _>>().map(Self)
    }

    /// Adds the headers. What is secret, by its kind or by its header, does not go to another host than the one asked.
    pub(crate) async fn add_to(&self, headers: &mut HeaderMap, same_host: bool) -> Result<(), ClientError> {
        for extra in &self.0 {
            if !same_host && is_sensitive(&extra.name) {
                continue;
            }
            for value in &extra.values {
                headers.append(&extra.name, value.clone());
            }
            for source in extra.hidden.iter().filter(|_| same_host) {
                let what = source.describe(&format!("http_headers.{}", extra.name));
                headers.append(&extra.name, secret_value(&what, &source.read().await?)?);
            }
        }
        Ok(())
    }
}

/// The headers for the proxy.
pub(crate) fn secret_headers(config: &BTreeMap<String, Vec<Secret>>) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, values) in config {
        for value in values {
            headers.append(header_name(name)?, secret_value(name, value.expose())?);
        }
    }
    Ok(headers)
}

/// The value of a header that is not shown when headers are, and that no redirect takes to another host; `what` names it in the error,
/// which does not show it.
pub fn secret_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = header_value(what, text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text).map_err(|error| ClientError::settings_because(what, error))
}

fn header_name(name: &str) -> Result<HeaderName, ClientError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|error| ClientError::settings_because(format!("header name {name:?}"), error))
}
