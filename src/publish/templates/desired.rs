//! From templates to the workers that should run, and what the reconciler asks of them. What is in a file is no part of it.
//! Pure.

use xxhash_rust::xxh3::xxh3_128;

use super::Template;
use super::steps::NAMES;
use crate::reconcile::{Desired, DesiredSet, Spec, WorkerId};
use crate::store::ledger::Revision;

/// A worker for each template.
pub fn desired(templates: &[Template]) -> DesiredSet<Template> {
    let desired = |template: &Template| Desired { revision: revision(template), spec: template.clone() };
    templates.iter().map(|template| (id(template), desired(template))).collect()
}

pub(super) fn id(template: &Template) -> WorkerId {
    format!("template:{}", template.destination.display()).into()
}

/// Another one when anything is configured otherwise.
pub fn revision(template: &Template) -> Revision {
    let text = serde_json::to_vec(template).unwrap_or_else(|_| format!("{template:?}").into_bytes());
    Revision(xxh3_128(&text))
}

impl Spec for Template {
    fn kind(&self) -> &'static str {
        "template"
    }

    /// A crash may leave a file in place that its program does not know of.
    fn needs_record(&self) -> bool {
        true
    }

    fn steps(&self) -> &'static [&'static str] {
        &NAMES
    }

    fn begins_again(&self) -> bool {
        true
    }
}
