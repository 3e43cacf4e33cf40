//! Labels under construction: and names that are none yet.

use rosterd_model::labels::{ADDRESS, Builder, INSTANCE};
use rosterd_model::{Labels, Names};

use super::labels::Kind;
use crate::objects::Meta;

const PRESENT: &str = "true";

/// Labels under construction.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    builder: Builder,
    name: String,
}

impl Sheet {
    /// The address.
    pub(super) fn address(&mut self, address: &str) {
        self.builder.set(ADDRESS, address);
    }

    /// The instance.
    pub(super) fn instance(&mut self, instance: &str) {
        self.builder.set(INSTANCE, instance);
    }

    /// A label.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.builder.set(name, value);
    }

    /// A label of which the last part of the name is a text that may have any characters.
    pub(super) fn set_sanitised(&mut self, name: &str, rest: &str, value: &str) {
        let valid = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
        self.name.clear();
        self.name.push_str(name);
        self.name.extend(rest.chars().map(valid));
        self.builder.set(&self.name, value);
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, number: u32) {
        self.set(name, &number.to_string());
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.set(name, if flag { "true" } else { "false" });
    }

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

    /// The labels; the next ones begin anew.
    pub(super) fn build(&mut self, names: &mut Names) -> Labels {
        let labels = self.builder.build(names);
        self.builder.clear();
        labels
    }
}
