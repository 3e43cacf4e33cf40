//! Names that have no targets because DNS knows nothing of them, which people should hear of. Pure.

use hickory_proto::rr::RecordType;

use super::error::DnsError;
use super::resolver::Answered;

/// The names for which there was no record: the first of each kind, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Nothing {
    unknown: Option<(Box<str>, usize)>,
    empty: Option<(Box<str>, usize)>,
}

impl Nothing {
    /// Takes note of what was answered for a name.
    pub(super) fn count(&mut self, name: &str, answered: &Answered) {
        let those = match answered {
            Answered::NoSuchName => &mut self.unknown,
            Answered::Records(records) if records.is_empty() => &mut self.empty,
            Answered::Records(_) => return,
        };
        those.get_or_insert_with(|| (name.into(), 0)).1 += 1;
    }

    /// What a person should know of it: an unknown name before one that only has other records.
    pub(super) fn warning(&self, kind: RecordType) -> Option<DnsError> {
        if let Some((name, count)) = &self.unknown {
            return Some(DnsError::NoSuchName { name: name.clone(), more: count - 1 });
        }
        let (name, count) = self.empty.as_ref()?;
        Some(DnsError::NoRecords { name: name.clone(), kind, more: count - 1 })
    }
}
