//! A line of the input: a label set as JSON, read into a builder without a detour over maps and strings.

use std::borrow::Cow;
use std::fmt;

use rosterd_discovery::decode::JsonFault;
use rosterd_model::Builder;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cli::Error;

/// Reads the label set of a line. What stood in the builder before is gone.
pub(super) fn read(number: u64, line: &[u8], labels: &mut Builder) -> Result<(), Error> {
    labels.clear();
    // A line that ends in the middle ends before its line break.
    let line = line.trim_ascii_end();
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let read = Into(labels).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(|error| malformed(number, error))
}

fn malformed(number: u64, error: serde_json::Error) -> Error {
    let is_cut = error.is_eof();
    // The line that the decoder counts is always the first.
    let JsonFault { column, message: mut reason, .. } = error.into();
    if is_cut {
        reason += "; a label set has to stand in one line, as `jq -c` writes it";
    }
    Error::MalformedLine { line: number, column: column.max(1), reason }
}

struct Into<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a label set such as {"__address__": "a:9100"}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            if name.0.is_empty() {
                return Err(A::Error::custom("a label cannot be without a name"));
            }
            self.0.set(&name.0, &value.0);
        }
        Ok(())
    }
}

/// Text that stands in the line as it is, unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
