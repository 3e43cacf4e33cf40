//! The kinds of workers that publish: what the reconciler is told of all of them together.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::file_sd::{self, Output, Publisher};
use super::templates::{self, Template, Templates};
use crate::reconcile::{Desired, DesiredSet, MakeWorker, Outcome, Spec, Work, Worker, WorkerId};

/// What one worker publishes. In the ledger each is as it is: their members tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kind {
    /// A file for file_sd.
    File(Output),
    /// A file that is rendered.
    Template(Template),
}

impl Spec for Kind {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(output) => output.kind(),
            Self::Template(template) => template.kind(),
        }
    }

    fn needs_record(&self) -> bool {
        match self {
            Self::File(output) => output.needs_record(),
            Self::Template(template) => template.needs_record(),
        }
    }

    fn steps(&self) -> &'static [&'static str] {
        match self {
            Self::File(output) => output.steps(),
            Self::Template(template) => template.steps(),
        }
    }

    fn begins_again(&self) -> bool {
        match self {
            Self::File(output) => output.begins_again(),
            Self::Template(template) => template.begins_again(),
        }
    }
}

impl Kind {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(output) => &output.path,
            Self::Template(template) => &template.destination,
        }
    }

    /// The jobs whose targets it has.
    pub fn jobs(&self) -> &[Arc<str>] {
        match self {
            Self::File(output) => &output.jobs,
            Self::Template(template) => &template.jobs,
        }
    }

    fn file(&self) -> Option<&Output> {
        if let Self::File(output) = self { Some(output) } else { None }
    }

    fn template(&self) -> Option<&Template> {
        if let Self::Template(template) = self { Some(template) } else { None }
    }
}

/// What is to be published, for those who do it, and for the reconciler. Nothing is known before the first configuration.
#[derive(Debug, Default)]
pub struct Wanted {
    files: watch::Sender<Option<Arc<DesiredSet<Output>>>>,
    templates: watch::Sender<Option<Arc<DesiredSet<Template>>>>,
    all: watch::Sender<Option<Arc<DesiredSet<Kind>>>>,
}

impl Wanted {
    /// Replaces all of it. To be called before the roster has the jobs of a configuration.
    pub fn set(&self, outputs: &[Output], templates: &[Template]) {
        let (files, templates) = (file_sd::desired(outputs), templates::desired(templates));
        let all = of_kind(&files, Kind::File).chain(of_kind(&templates, Kind::Template)).collect();
        self.files.send_replace(Some(Arc::new(files)));
        self.templates.send_replace(Some(Arc::new(templates)));
        self.all.send_replace(Some(Arc::new(all)));
    }

    /// The files for file_sd.
    pub fn files(&self) -> watch::Receiver<Option<Arc<DesiredSet<Output>>>> {
        self.files.subscribe()
    }

    /// The templates.
    pub fn templates(&self) -> watch::Receiver<Option<Arc<DesiredSet<Template>>>> {
        self.templates.subscribe()
    }

    /// Everything.
    pub fn all(&self) -> watch::Receiver<Option<Arc<DesiredSet<Kind>>>> {
        self.all.subscribe()
    }
}

fn of_kind<S: Clone>(set: &DesiredSet<S>, kind: fn(S) -> Kind) -> impl Iterator<Item = (WorkerId, Desired<Kind>)> {
    set.iter().map(move |(id, it)| (id.clone(), Desired { revision: it.revision, spec: kind(it.spec.clone()) }))
}

/// Makes the workers of all kinds.
#[derive(Debug)]
pub struct Workers {
    /// Those of files for file_sd.
    pub files: Publisher,
    /// Those of templates.
    pub templates: Templates,
}

impl MakeWorker<Kind> for Workers {
    fn make(&self, id: &WorkerId, kind: &Kind) -> Box<dyn Worker<Kind>> {
        match kind {
            Kind::File(output) => Box::new(OfKind { worker: self.files.make(id, output), spec: Kind::file }),
            Kind::Template(template) => {
                Box::new(OfKind { worker: self.templates.make(id, template), spec: Kind::template })
            }
        }
    }
}

/// A worker of one kind. Its id names the kind: it is never told to be of another.
struct OfKind<S> {
    worker: Box<dyn Worker<S>>,
    spec: fn(&Kind) -> Option<&S>,
}

#[async_trait]
impl<S: Spec> Worker<Kind> for OfKind<S> {
    async fn run(&mut self, work: &Work<Kind>, stop: &CancellationToken) -> Outcome {
        let Some(spec) = (self.spec)(&work.spec).cloned() else { return Outcome::Done };
        self.worker.run(&work.with(spec), stop).await
    }

    async fn keep(&mut self, kind: &Kind, stop: &CancellationToken) -> Outcome {
        match (self.spec)(kind) {
            Some(spec) => self.worker.keep(spec, stop).await,
            None => Outcome::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::publish::file_sd::Format;
    use crate::publish::templates::Reload;

    #[test]
    fn kinds_are_told_apart_in_the_ledger_and_files_are_there_as_before() {
        let output = Output { path: "/a.json".into(), format: Format::Json, jobs: vec!["a".into()] };
        let template = Template {
            source: "/a.tmpl".into(),
            destination: "/a.conf".into(),
            jobs: vec!["a".into()],
            check: vec!["true".to_owned()],
            reload: Reload::None,
            verify: Vec::new(),
            min_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        };
        assert_eq!(serde_json::to_value(Kind::File(output.clone())).unwrap(), serde_json::to_value(&output).unwrap());
        for kind in [Kind::File(output), Kind::Template(template)] {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&text).unwrap(), kind, "{text}");
        }
    }
}
