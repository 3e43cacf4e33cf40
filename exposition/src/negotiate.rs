//! Which format a target is asked for, and which it answered in.

use std::borrow::Cow;

/// A format that a job may ask for: `scrape_protocols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Length-delimited protocol buffers.
    PrometheusProto,
    /// The classic text format.
    PrometheusText0_0_4,
    /// The text format with UTF-8 names.
    PrometheusText1_0_0,
    /// OpenMetrics before its first release.
    OpenMetricsText0_0_1,
    /// OpenMetrics 1.
    OpenMetricsText1_0_0,
}

impl Protocol {
    const COUNT: usize = 5;

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
        }
    }

    /// The parser of this format.
    pub const fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::PrometheusText0_0_4 | Self::PrometheusText1_0_0 => Format::PrometheusText,
            Self::OpenMetricsText0_0_1 | Self::OpenMetricsText1_0_0 => Format::OpenMetricsText,
        }
    }

    const fn media_range(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
        }
    }
}

/// What a target is asked to do with names that are not legacy names. It is the target that escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Nothing: they stay.
    AllowUtf8,
    /// Each odd character becomes an underscore.
    Underscores,
    /// Dots become `_dot_`, other odd characters two underscores.
    Dots,
    /// Each odd character becomes its code point, and the name is marked.
    Values,
}

impl Escaping {
    /// The value of the `escaping` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// The `Accept` header that asks for these formats, the most wanted first, and for anything else last.
pub fn accept(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut header = String::new();
    let mut weight = Protocol::COUNT + 1;
    for protocol in protocols {
        header.push_str(protocol.media_range());
        // Older versions have no such parameter.
        if matches!(protocol, Protocol::PrometheusText1_0_0 | Protocol::OpenMetricsText1_0_0) {
            header.push_str(";escaping=");
            header.push_str(escaping.as_str());
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1);
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

/// A format that there is a parser for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text, of any version.
    PrometheusText,
    /// OpenMetrics text, of any version.
    OpenMetricsText,
    /// Length-delimited protocol buffers.
    Protobuf,
}

/// Which parser to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The format of the body.
    pub format: Format,
    /// Why the format is that of `fallback_scrape_protocol`, if it is.
    pub fallback: Option<ContentTypeError>,
}

/// What is wrong with the `Content-Type` of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    /// There is none.
    #[error("the target sent no Content-Type{}", fallback_words(*fallback))]
    Blank {
        /// What is used instead.
        fallback: Option<Protocol>,
    },
    /// It is not a media type.
    #[error("cannot read Content-Type {content_type:?}{}", fallback_words(*fallback))]
    Malformed {
        /// The header.
        content_type: String,
        /// What is used instead.
        fallback: Option<Protocol>,
    },
    /// It is not a format of metrics.
    #[error("unsupported Content-Type {content_type:?}{}", fallback_words(*fallback))]
    Unsupported {
        /// The header.
        content_type: String,
        /// What is used instead.
        fallback: Option<Protocol>,
    },
}

fn fallback_words(fallback: Option<Protocol>) -> String {
    match fallback {
        Some(protocol) => format!(", using fallback_scrape_protocol {}", protocol.as_str()),
        None => " and the job has no fallback_scrape_protocol".to_owned(),
    }
}

/// Which parser reads an answer with this `Content-Type`, which is empty if the answer has none. Fails if that is not
/// clear and the job has no `fallback_scrape_protocol`.
pub fn negotiate(content_type: &str, fallback: Option<Protocol>) -> Result<Negotiated, ContentTypeError> {
    let fault = if content_type.is_empty() {
        ContentTypeError::Blank { fallback }
    } else {
        match media_type(content_type).as_deref() {
            Some("text/plain") => return Ok(Format::PrometheusText.into()),
            Some("application/openmetrics-text") => return Ok(Format::OpenMetricsText.into()),
            Some("application/vnd.google.protobuf") => return Ok(Format::Protobuf.into()),
            Some(_) => ContentTypeError::Unsupported { content_type: content_type.to_owned(), fallback },
            None => ContentTypeError::Malformed { content_type: content_type.to_owned(), fallback },
        }
    };
    match fallback {
        Some(protocol) => Ok(Negotiated { format: protocol.format(), fallback: Some(fault) }),
        None => Err(fault),
    }
}

impl From<Format> for Negotiated {
    fn from(format: Format) -> Self {
        Self { format, fallback: None }
    }
}

/// The media type of a header whose parameters are well-formed too.
fn media_type(header: &str) -> Option<String> {
    let (essence, _) = header.split_once(';').unwrap_or((header, ""));
    let parameters = &header[essence.len()..];
    let essence = essence.trim().to_ascii_lowercase();
    let well_formed = match essence.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(&essence),
    };
    (well_formed && are_parameters(parameters)).then_some(essence)
}

/// A parameter may come twice if it says the same, as behind proxies that add `charset` to everything.
fn are_parameters(text: &str) -> bool {
    let mut known: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.trim() == ";" {
            return true;
        }
        let Some((name, value, after)) = parameter(rest) else { return false };
        if known.iter().any(|(other, said)| other.eq_ignore_ascii_case(name) && *said != value) {
            return false;
        }
        known.push((name, value));
        rest = after.trim_start();
    }
    true
}

/// The name and the value of the first parameter, and what follows.
fn parameter(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (name, rest) = split_token(text.strip_prefix(';')?.trim_start())?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, after) = split_token(rest)?;
        return Some((name, value.into(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        // A backslash before what may stand in a token is no escape.
        let escaped = |(_, next): &(usize, char)| character == '\\' && SPECIAL.contains(*next);
        match (character, characters.next_if(escaped)) {
            (_, Some((_, escaped))) => value.push(escaped),
            ('"', None) => return Some((name, value.into(), &quoted[at + 1..])),
            ('\r' | '\n', None) => return None,
            (plain, None) => value.push(plain),
        }
    }
    None
}

fn split_token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !SPECIAL.contains(char::from(byte))
}

/// What has a meaning of its own in a header.
const SPECIAL: &str = "()<>@,;:\\\"/[]?=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_format_has_the_greatest_weight() {
        let protocols = [Protocol::PrometheusProto, Protocol::OpenMetricsText1_0_0, Protocol::PrometheusText0_0_4];
        assert_eq!(
            accept(&protocols, Escaping::AllowUtf8),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
        );
    }

    #[test]
    fn only_new_text_formats_are_asked_to_escape() {
        let protocols = [Protocol::PrometheusText1_0_0, Protocol::OpenMetricsText0_0_1];
        assert_eq!(
            accept(&protocols, Escaping::Underscores),
            "text/plain;version=1.0.0;escaping=underscores;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
             */*;q=0.4"
        );
    }

    #[test]
    fn media_types_choose_the_parser() {
        for (content_type, format) in [
            ("text/plain", Format::PrometheusText),
            ("Text/Plain; version=0.0.4; charset=utf-8", Format::PrometheusText),
            ("text/plain;", Format::PrometheusText),
            ("text/plain; charset=utf-8; Charset=\"utf-8\";charset=utf-8", Format::PrometheusText),
            ("text/plain; a=\"\\\"\\x\"; a=\"\\\"\\x\"; b=c", Format::PrometheusText),
            ("application/openmetrics-text; version=\"1.0.0\"", Format::OpenMetricsText),
            ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", Format::Protobuf),
        ] {
            let chosen = negotiate(content_type, Some(Protocol::PrometheusText0_0_4));
            assert_eq!(chosen, Ok(format.into()), "{content_type}");
        }
    }

    #[test]
    fn an_unclear_content_type_fails_without_fallback() {
        for (content_type, words) in [
            ("", "the target sent no Content-Type and the job has no fallback_scrape_protocol"),
            ("application/json", "unsupported Content-Type \"application/json\" and the job"),
            ("text/plain; a=1; A=2", "cannot read Content-Type"),
            ("text/plain; charset=utf-8; charset=UTF-8", "cannot read Content-Type"),
            ("text/plain; a=\"x\"; a=\"\\x\"", "cannot read Content-Type"),
            ("text/plain; a=\"\\\"; b=c", "cannot read Content-Type"),
            ("text/plain; version", "cannot read Content-Type"),
            ("text/plain; version=\"1", "cannot read Content-Type"),
            ("text plain", "cannot read Content-Type"),
        ] {
            let error = negotiate(content_type, None).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn the_fallback_is_used_and_the_reason_told() {
        for content_type in ["", "text/html", "text/plain; version"] {
            let chosen = negotiate(content_type, Some(Protocol::OpenMetricsText0_0_1)).unwrap();
            assert_eq!(chosen.format, Format::OpenMetricsText);
            assert!(
                chosen.fallback.unwrap().to_string().ends_with("using fallback_scrape_protocol OpenMetricsText0.0.1")
            );
        }
    }
}
