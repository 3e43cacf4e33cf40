//! The versions of remote write, and what a receiver says it has written.

use http::HeaderMap;

use crate::Counts;

/// A version of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// `prometheus.WriteRequest` of version 1.0.
    V1,
    /// `io.prometheus.write.v2.Request` of version 2.0.
    V2,
}

impl Message {
    /// The `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The value of `X-Prometheus-Remote-Write-Version`.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

/// What a receiver of version 2.0 says it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl Written {
    /// Reads the headers of a reply; `None` when there is not one of them, which is how a receiver answers that knows
    /// version 1.0 alone.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let read = |what: &str| {
            let header = headers.get(format!("x-prometheus-remote-write-{what}-written"))?;
            header.to_str().ok()?.trim().parse().ok()
        };
        let (samples, histograms, exemplars): (Option<u64>, Option<u64>, Option<u64>) =
            (read("samples"), read("histograms"), read("exemplars"));
        if samples.is_none() && histograms.is_none() && exemplars.is_none() {
            return None;
        }
        let or_none = Option::unwrap_or_default;
        Some(Self { samples: or_none(samples), histograms: or_none(histograms), exemplars: or_none(exemplars) })
    }

    /// What was sent and not written: samples, histograms, exemplars.
    pub fn missing(self, sent: Counts) -> [u64; 3] {
        [
            u64::from(sent.samples).saturating_sub(self.samples),
            u64::from(sent.histograms).saturating_sub(self.histograms),
            u64::from(sent.exemplars).saturating_sub(self.exemplars),
        ]
    }
}
