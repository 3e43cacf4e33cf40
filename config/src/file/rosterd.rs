//! rosterd's own settings: the key `rosterd` of the main file, or a file of its own. Prometheus refuses keys that it does
//! not know, so whoever gives one file to both puts these settings into the second file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rosterd_client::unset;
use rosterd_model::{Duration, Problem, Size};
use serde::{Deserialize, Deserializer, Serialize};

use super::brake::{BrakeSettings, JobBrake, brake, job_brake};
use super::cluster::Cluster;
use super::remote_write::RemoteWrite;
use super::scraping::{OrFlag, Scraping, scraping};
use super::templates::{NO_JOBS, Template};
use crate::error::code;
use rosterd_model::{bare_key, did_you_mean};
use rosterd_tasks::files::{clean, resolve};

/// rosterd's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rosterd {
    /// Whether and how targets are scraped.
    #[serde(skip_serializing_if = "unset", deserialize_with = "scraping")]
    pub scrape: Scraping,
    /// Whether all series are marked as stale when rosterd ends in order.
    pub stale_markers_on_shutdown: bool,
    /// Settings of jobs, by the name of the job.
    #[serde(skip_serializing_if = "unset")]
    pub jobs: BTreeMap<String, JobSettings>,
    /// When removals of targets are held until they are confirmed.
    #[serde(skip_serializing_if = "unset", deserialize_with = "brake")]
    pub brake: BrakeSettings,
    /// The queue on disk of each endpoint of `remote_write` that does not say otherwise.
    #[serde(skip_serializing_if = "unset")]
    pub queue: DiskQueue,
    /// Settings of endpoints, by the `name` of the entry of `remote_write`, or its URL.
    #[serde(skip_serializing_if = "unset")]
    pub remote_write: BTreeMap<String, EndpointSettings>,
    /// Where the roster goes, besides the HTTP API.
    #[serde(skip_serializing_if = "unset")]
    pub publish: Publish,
    /// Files that are rendered from the roster for other programs.
    #[serde(skip_serializing_if = "unset")]
    pub templates: Vec<Template>,
    /// What `/metrics` tells.
    #[serde(skip_serializing_if = "unset")]
    pub metrics: Metrics,
    /// The history of the roster.
    #[serde(skip_serializing_if = "unset", deserialize_with = "journal")]
    pub journal: Journal,
    /// The members that share the targets.
    #[serde(skip_serializing_if = "unset")]
    pub cluster: Cluster,
    /// How long `/-/ready` waits for providers that do not report.
    pub ready_grace_period: Duration,
}

impl Default for Rosterd {
    fn default() -> Self {
        Self {
            scrape: Scraping::default(),
            stale_markers_on_shutdown: false,
            jobs: BTreeMap::new(),
            brake: BrakeSettings::default(),
            queue: DiskQueue::default(),
            remote_write: BTreeMap::new(),
            publish: Publish::default(),
            templates: Vec::new(),
            metrics: Metrics::default(),
            journal: Journal::default(),
            cluster: Cluster::default(),
            ready_grace_period: Duration::from_secs(300),
        }
    }
}

/// Settings of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSettings {
    /// Whether rosterd scrapes the targets, or only publishes them.
    pub scrape: bool,
    /// What it says otherwise of removals that are held.
    #[serde(skip_serializing_if = "unset", deserialize_with = "job_brake")]
    pub brake: Option<JobBrake>,
    /// How long a target stays that is not there any more: for a moment, perhaps.
    pub target_removal_grace: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self { scrape: true, brake: None, target_removal_grace: Duration::ZERO }
    }
}

/// How much of what an endpoint does not take is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskQueue {
    /// The size; above it the oldest is dropped. 0 is no limit.
    pub max_size: Size,
    /// The age of samples; what is older is dropped. 0 keeps all.
    pub max_age: Duration,
    /// Statuses of the receiver after which samples are kept and sent again, although they would be dropped otherwise.
    #[serde(skip_serializing_if = "unset")]
    pub keep_on: Vec<u16>,
}

impl Default for DiskQueue {
    fn default() -> Self {
        Self { max_size: Size::from_bytes(8 << 30), max_age: Duration::ZERO, keep_on: Vec::new() }
    }
}

/// Refusals that are about the samples: what is refused so once is refused so again.
const ABOUT_SAMPLES: [u16; 4] = [400, 413, 415, 422];

impl DiskQueue {
    fn check(&self, path: &str) -> impl Iterator<Item = Problem> {
        self.keep_on.iter().enumerate().filter_map(move |(index, status)| {
            let reason = match status {
                400..=499 if !ABOUT_SAMPLES.contains(status) => return None,
                400..=499 => "is about the samples, which would be refused again and hold up all others",
                500..=599 => "is tried again anyway",
                _ => "is no refusal: give statuses such as 401, 403, 404 and 429",
            };
            let message = format!("status {status} {reason}");
            Some(Problem::new(format!("{path}.keep_on[{index}]"), code::INVALID_VALUE, message))
        })
    }
}

/// Settings of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSettings {
    /// How requests are compressed.
    pub compression: Compression,
    /// Its queue on disk, if not that of all.
    #[serde(skip_serializing_if = "unset")]
    pub queue: Option<DiskQueue>,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As every receiver takes it.
    #[default]
    Snappy,
    /// Smaller, for receivers that take it, such as VictoriaMetrics.
    Zstd,
}

/// What `/metrics` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Whether what the alerts and dashboards of Prometheus' mixin read is told too, under their names.
    pub prometheus_names: bool,
}

/// How the history of the roster is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// Whether there is one.
    pub enabled: bool,
    /// How far it goes back.
    pub retention: Duration,
    /// Its size at most; above it the oldest goes.
    pub max_size: Size,
}

impl Default for Journal {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 3600);
        Self { enabled: true, retention: week, max_size: Size::from_bytes(1 << 30) }
    }
}

/// Reads the settings, or the short form of them.
fn journal<'de, D: Deserializer<'de>>(from: D) -> Result<Journal, D::Error> {
    Journal::deserialize(OrFlag(from))
}

/// Below it a journal would be as good as none.
const SMALLEST_JOURNAL: Size = Size::from_bytes(1 << 20);

impl Journal {
    fn check(&self) -> impl Iterator<Item = Problem> {
        let retention =
            self.retention.is_zero().then_some(("retention", "cannot be 0: write enabled: false to keep none"));
        let size = (self.max_size < SMALLEST_JOURNAL)
            .then_some(("max_size", "has to be 1MiB at least: write enabled: false to keep none"));
        let problem = |(key, message): (&str, &str)| {
            Problem::new(format!("journal.{key}"), code::INVALID_VALUE, format!("{key} {message}"))
        };
        retention.into_iter().chain(size).map(problem)
    }
}

/// Where the roster goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Publish {
    /// Files that others read by `file_sd_configs`.
    #[serde(skip_serializing_if = "unset")]
    pub file_sd: Vec<FileSd>,
}

/// Files to write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileSd {
    /// The file, `.json`, `.yml` or `.yaml`. With `{job}` in it, one file for each job; without, one file for all.
    pub path: PathBuf,
    /// The jobs to write; all of them when left out.
    #[serde(skip_serializing_if = "unset")]
    pub jobs: Option<Vec<String>>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// By the extension `.json`.
    Json,
    /// By the extensions `.yml` and `.yaml`.
    Yaml,
}

impl OutputFormat {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "yml" | "yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// One file to write, of all that [`Publish`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutput {
    /// The file.
    pub path: PathBuf,
    /// How it is written.
    pub format: OutputFormat,
    /// The jobs that stand in it.
    pub jobs: Vec<String>,
}

impl Rosterd {
    /// The files to write, given the names of all jobs.
    pub fn file_outputs<'a>(&self, jobs: impl IntoIterator<Item = &'a str>) -> Vec<FileOutput> {
        let all: Vec<&str> = jobs.into_iter().collect();
        self.publish.file_sd.iter().flat_map(|file| file.outputs(&all)).collect()
    }

    /// The settings of an endpoint: its own, or those of all.
    pub fn endpoint(&self, endpoint: &RemoteWrite) -> (Compression, DiskQueue) {
        let found = self.remote_write.iter().find(|(key, _)| endpoint.is_called(key)).map(|(_, settings)| settings);
        let own = found.and_then(|settings| settings.queue.as_ref());
        (found.map(|settings| settings.compression).unwrap_or_default(), own.unwrap_or(&self.queue).clone())
    }

    /// Finds what is wrong; `jobs` are the names of all jobs, and `allow_commands` says whether templates may have some.
    pub(crate) fn check(&self, jobs: &[&str], remote_write: &[RemoteWrite], allow_commands: bool) -> Vec<Problem> {
        let unknown = |name: &str, path: String| {
            let hint = did_you_mean(name, jobs.iter().copied());
            Problem::new(path, code::UNKNOWN_JOB, format!("there is no job {name:?} in the scrape_configs{hint}"))
        };
        let is_unknown = |name: &&String| !jobs.contains(&name.as_str());
        let mut problems: Vec<_> =
            self.jobs.keys().filter(is_unknown).map(|name| unknown(name, format!("jobs.{name}"))).collect();
        for key in self.remote_write.keys().filter(|key| !remote_write.iter().any(|endpoint| endpoint.is_called(key))) {
            let known = remote_write.iter().map(|endpoint| endpoint.name.as_str()).filter(|name| !name.is_empty());
            let message = format!(
                "there is no remote_write with the name or the url {:?}{}",
                bare_key(key),
                did_you_mean(key, known)
            );
            problems.push(Problem::new(format!("remote_write.{key}"), code::UNKNOWN_ENDPOINT, message));
        }
        problems.extend(self.scrape.check());
        problems.extend(self.brake.check());
        for (name, settings) in &self.jobs {
            problems.extend(settings.brake.iter().flat_map(|brake| brake.check(&format!("jobs.{name}.brake"))));
        }
        problems.extend(self.queue.check("queue"));
        problems.extend(self.journal.check());
        problems.extend(self.cluster.check());
        for (key, settings) in &self.remote_write {
            let path = format!("remote_write.{key}.queue");
            problems.extend(settings.queue.iter().flat_map(|queue| queue.check(&path)));
        }
        let mut written: HashMap<PathBuf, String> = HashMap::new();
        for (index, file) in self.publish.file_sd.iter().enumerate() {
            let path = format!("publish.file_sd[{index}]");
            problems.extend(file.check(&path));
            for (at, name) in file.jobs.iter().flatten().enumerate().filter(|(_, name)| is_unknown(name)) {
                problems.push(unknown(name, format!("{path}.jobs[{at}]")));
            }
            for output in file.outputs(jobs) {
                if let Some(first) = written.insert(clean(&output.path), path.clone()) {
                    let message = format!(
                        "{first} writes {} too: give each output a file of its own, or use {{job}}",
                        output.path.display()
                    );
                    problems.push(Problem::new(format!("{path}.path"), code::OUTPUT_COLLISION, message));
                    break;
                }
            }
        }
        for (index, template) in self.templates.iter().enumerate() {
            let path = format!("templates[{index}]");
            problems.extend(template.check(&path, allow_commands));
            for (at, name) in template.jobs.iter().flatten().enumerate().filter(|(_, name)| is_unknown(name)) {
                problems.push(unknown(name, format!("{path}.jobs[{at}]")));
            }
            let destination = clean(&template.destination);
            if let Some(first) =
                written.insert(destination, path.clone()).filter(|_| !template.destination.as_os_str().is_empty())
            {
                let message = format!(
                    "{first} writes {} too: give each output a file of its own",
                    template.destination.display()
                );
                problems.push(Problem::new(format!("{path}.destination"), code::OUTPUT_COLLISION, message));
            }
        }
        problems
    }

    /// The checks of templates that cannot tell what was rendered from anything else.
    pub(crate) fn blind(&self) -> Vec<Problem> {
        let templates = self.templates.iter().enumerate();
        templates.filter_map(|(index, template)| template.blind(&format!("templates[{index}]"))).collect()
    }

    /// What the disk, as it is, leaves without effect: programs of templates that are not there.
    pub(crate) fn idle(&self) -> Vec<Problem> {
        let templates = self.templates.iter().enumerate();
        templates.flat_map(|(index, template)| template.idle(&format!("templates[{index}]"))).collect()
    }

    /// Makes relative paths absolute; `files` and `templates` know the folders of the entries of `publish.file_sd` and of
    /// `templates`.
    pub(crate) fn resolve_paths(&mut self, files: impl Fn(usize) -> PathBuf, templates: impl Fn(usize) -> PathBuf) {
        for (index, file) in self.publish.file_sd.iter_mut().enumerate() {
            resolve(&files(index), &mut file.path);
        }
        for (index, template) in self.templates.iter_mut().enumerate() {
            template.resolve_paths(&templates(index));
        }
    }
}

const JOB: &str = "{job}";

impl FileSd {
    fn check(&self, path: &str) -> Option<Problem> {
        if self.path.as_os_str().is_empty() {
            let message = "file_sd needs a path, such as targets/{job}.json";
            return Some(Problem::new(path, code::MISSING_KEY, message));
        }
        if let Some(unknown) = unknown_placeholder(&self.path.to_string_lossy()) {
            let message = format!(
                "{unknown} stands for nothing: the only placeholder is {JOB}, which stands for the name of the job"
            );
            return Some(Problem::new(format!("{path}.path"), code::INVALID_VALUE, message));
        }
        if self.jobs.as_ref().is_some_and(Vec::is_empty) {
            return Some(Problem::new(format!("{path}.jobs"), code::INVALID_VALUE, NO_JOBS));
        }
        OutputFormat::of(&self.path).is_none().then(|| {
            let message = "the path must end in .json, .yml or .yaml, which tells the format";
            Problem::new(format!("{path}.path"), code::INVALID_VALUE, message)
        })
    }

    pub(super) fn outputs(&self, all: &[&str]) -> Vec<FileOutput> {
        let Some(format) = OutputFormat::of(&self.path) else { return Vec::new() };
        let jobs: Vec<String> = match &self.jobs {
            Some(jobs) => jobs.clone(),
            None => all.iter().map(|job| (*job).to_owned()).collect(),
        };
        match self.path.to_str().filter(|path| path.contains(JOB)) {
            None => vec![FileOutput { path: self.path.clone(), format, jobs }],
            Some(path) => jobs
                .into_iter()
                .map(|job| FileOutput { path: path.replace(JOB, &file_name(&job)).into(), format, jobs: vec![job] })
                .collect(),
        }
    }
}

/// What stands in braces in a path and is not the placeholder. A brace alone is meant for one too.
fn unknown_placeholder(path: &str) -> Option<String> {
    let rest = path.replace(JOB, "");
    let start = rest.find(['{', '}'])?;
    let end = rest[start..].find('}').map_or(rest.len(), |end| start + end + 1);
    Some(rest[start..end].to_owned())
}

/// The name of a job as a part of a path: it leads to no other folder and hides no file.
fn file_name(job: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = job.chars().map(|character| if safe(character) { character } else { '_' }).collect();
    if let Some(rest) = name.strip_prefix('.') { format!("_{rest}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Rosterd {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_journal_is_there_unless_it_is_said_to_be_none() {
        let read = |text: &str| rosterd_yaml::load::<Rosterd>(Path::new("rosterd.yml"), text.as_bytes()).unwrap();
        for (text, enabled) in [
            ("{}", true),
            ("journal: true", true),
            ("journal: {retention: 1d}", true),
            ("journal: false", false),
            ("journal: {enabled: false}", false),
        ] {
            assert_eq!(read(text).journal.enabled, enabled, "{text}");
        }
    }

    #[test]
    fn outputs_follow_the_jobs() {
        let own = settings("publish: {file_sd: [{path: 'out/{job}.json'}, {path: all.yml, jobs: [b]}]}");
        let outputs = own.file_outputs(["a/x", "b", "..c"]);
        let shown: Vec<_> = outputs.iter().map(|o| format!("{} {}", o.path.display(), o.jobs.join(","))).collect();
        assert_eq!(shown, ["out/a_x.json a/x", "out/b.json b", "out/_.c.json ..c", "all.yml b"]);
        assert_eq!(own.check(&["a/x", "b", "..c"], &[], false), []);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        for (text, code, path) in [
            ("jobs: {nodes: {}}", code::UNKNOWN_JOB, "jobs.nodes"),
            ("publish: {file_sd: [{path: a.json, jobs: [x]}]}", code::UNKNOWN_JOB, "publish.file_sd[0].jobs[0]"),
            ("journal: {retention: 0s}", code::INVALID_VALUE, "journal.retention"),
            ("journal: {max_size: 1000B}", code::INVALID_VALUE, "journal.max_size"),
            ("publish: {file_sd: [{path: a.txt}]}", code::INVALID_VALUE, "publish.file_sd[0].path"),
            ("publish: {file_sd: [{path: 'x/{jobs}.json'}]}", code::INVALID_VALUE, "publish.file_sd[0].path"),
            ("publish: {file_sd: [{path: '{{job}}.json'}]}", code::INVALID_VALUE, "publish.file_sd[0].path"),
            ("publish: {file_sd: [{path: '{job.json'}]}", code::INVALID_VALUE, "publish.file_sd[0].path"),
            ("publish: {file_sd: [{path: a.json, jobs: []}]}", code::INVALID_VALUE, "publish.file_sd[0].jobs"),
            ("publish: {file_sd: [{jobs: []}]}", code::MISSING_KEY, "publish.file_sd[0]"),
            ("queue: {keep_on: [401, 499, 413]}", code::INVALID_VALUE, "queue.keep_on[2]"),
            ("queue: {keep_on: [503]}", code::INVALID_VALUE, "queue.keep_on[0]"),
            ("queue: {keep_on: [200]}", code::INVALID_VALUE, "queue.keep_on[0]"),
            (
                "publish: {file_sd: [{path: a.json}, {path: x/.././a.json}]}",
                code::OUTPUT_COLLISION,
                "publish.file_sd[1].path",
            ),
            (
                "{publish: {file_sd: [{path: a.json}]}, templates: [{source: x, destination: b/../a.json}]}",
                code::OUTPUT_COLLISION,
                "templates[0].destination",
            ),
            ("templates: [{source: x, destination: y, jobs: [x]}]", code::UNKNOWN_JOB, "templates[0].jobs[0]"),
        ] {
            let problems = settings(text).check(&["node"], &[], false);
            let found: Vec<_> = problems.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
            assert_eq!(found, [(code, path)], "{text}");
        }
        let hint = settings("jobs: {nodes: {}}").check(&["node"], &[], false)[0].message.clone();
        assert!(hint.ends_with("did you mean `node`?"), "{hint}");
        let braces = settings("publish: {file_sd: [{path: 'x/{jobs}/{job}.json'}]}").check(&["node"], &[], false);
        assert!(braces[0].message.starts_with("{jobs} stands for nothing"), "{braces:?}");
    }
}
