//! Labels under construction: and those of objects.

use std::ops::{Deref, DerefMut};

use super::labels::Kind;
use crate::objects::Meta;

const PRESENT: &str = "true";

/// Labels under construction, also those of objects.
#[derive(Debug, Default)]
pub(super) struct Sheet(rosterd_discovery::Sheet);

impl Sheet {
    /// Name, labels and annotations of an object of this kind.
    pub(super) fn object(&mut self, kind: &Kind, meta: &Meta<'_>) {
        self.set(kind.name, &meta.name);
        self.labels_and_annotations(kind, meta);
    }

    /// Labels and annotations of an object of this kind.
    pub(super) fn labels_and_annotations(&mut self, kind: &Kind, meta: &Meta<'_>) {
        for (key, value) in meta.labels.iter() {
            self.entry(kind.label, kind.label_present, key, value);
        }
        for (key, value) in meta.annotations.iter() {
            self.entry(kind.annotation, kind.annotation_present, key, value);
        }
    }

    /// What an entry of a map is told as: its value, and that it is there.
    pub(super) fn entry(&mut self, name: &str, present: &str, key: &str, value: &str) {
        self.set_sanitised(name, key, value);
        self.set_sanitised(present, key, PRESENT);
    }
}

impl Deref for Sheet {
    type Target = rosterd_discovery::Sheet;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Sheet {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
