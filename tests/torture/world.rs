//! Everything that a run has: jobs with their sources, rosterd, its disk, its calendar, and who asks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::Instant;

use crate::agent::{Agent, Costs, List, Shown, entries, write};
use crate::belief::{APART, Belief, Configured, Known, Place, Rules, Targets, UNWRITTEN};
use crate::calendar::Calendar;
use crate::consumers::Consumers;
use crate::damage::Damage;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::receiver::Receiver;
use crate::source::{Kind, Source, address};

/// A job: its name, what it reads, how many targets there are, what confirms that they are gone, and its time of grace.
struct Spec(&'static str, Kind, usize, Confirm, u64);

/// What confirms that so many targets are gone.
#[derive(Debug, Clone, Copy)]
enum Confirm {
    Reading,
    After(u64),
    Never,
}

const JOBS: [Spec; 9] = [
    Spec("web", Kind::Http, 30, Confirm::Reading, 0),
    Spec("graced", Kind::Http, 14, Confirm::Reading, 12),
    Spec("few", Kind::Http, 5, Confirm::Reading, 0),
    Spec("never", Kind::Http, 40, Confirm::Never, 0),
    Spec("file", Kind::File, 24, Confirm::After(8), 0),
    Spec("consul", Kind::Consul, 16, Confirm::Reading, 0),
    Spec("pods", Kind::Kubernetes, 20, Confirm::Reading, 0),
    Spec("fixed", Kind::Static, 12, Confirm::Reading, 0),
    Spec("late", Kind::Http, 12, Confirm::Reading, 0),
];
/// The job that has a time of grace.
pub(crate) const GRACED: usize = 1;
/// The job of which nothing but a person lets go of what is braked.
pub(crate) const NEVER: usize = 3;
/// Jobs whose sources answer requests, and that have none.
pub(crate) const PLAIN: [usize; 3] = [0, 2, 3];
/// The job that is not there at the start, and whose source fails then.
pub(crate) const LATE: usize = 8;
/// How often sources are read.
const PACES: [&str; 2] = ["1s", "2s"];
/// Numbers of targets that show how late an answer is.
const MARKS: usize = 1000;

/// A job and its source.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    number: usize,
    size: usize,
    settings: String,
    pub(crate) belief: Belief,
    pub(crate) source: Source,
    /// What the source has, whether it can be read or not.
    pub(crate) has: Targets,
    pub(crate) fails: bool,
    pace: usize,
    mark: Option<String>,
    /// Whether its file was there, and has to stay.
    pub(crate) is_published: bool,
}

/// What was shown at a time of calm.
pub(crate) struct Memory {
    pub(crate) at: String,
    pub(crate) taken: Instant,
    pub(crate) roster: BTreeMap<String, Targets>,
}

/// The files of jobs as they were looked at last, by their names, and what they had.
type FilesRead = BTreeMap<&'static str, (File, String)>;

pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) jobs: Vec<Job>,
    pub(crate) agent: Agent,
    pub(crate) disk: Option<Disk>,
    /// Since when the disk takes nothing.
    pub(crate) disk_fails: Option<Instant>,
    pub(crate) storage: PathBuf,
    /// What was done to a file before the process began.
    pub(crate) damage: Option<Damage>,
    pub(crate) calendar: Calendar,
    /// Whether it jumped since the process began.
    pub(crate) has_jumped: bool,
    pub(crate) consumers: Consumers,
    pub(crate) receiver: Receiver,
    pub(crate) costs: Option<Costs>,
    pub(crate) memories: Vec<Memory>,
    read: Mutex<FilesRead>,
    marks: usize,
    versions: u32,
}

impl Job {
    async fn start(number: usize, Spec(name, kind, size, confirm, grace): &Spec) -> Self {
        let (confirmed, confirm) = match confirm {
            Confirm::Reading => (Some(APART), "reading".to_owned()),
            Confirm::After(seconds) => (Some(Duration::from_secs(*seconds)), format!("{seconds}s")),
            Confirm::Never => (None, "never".to_owned()),
        };
        Self {
            name,
            number,
            size: *size,
            settings: format!("{{brake: {{confirm: {confirm}}}, target_removal_grace: {grace}s}}"),
            belief: Belief::new(confirmed, Duration::from_secs(*grace)),
            source: Source::start(*kind).await,
            has: (0..*size).map(|target| address(number, target)).collect(),
            fails: false,
            pace: 0,
            mark: None,
            is_published: false,
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.source, Source::Static(_))
    }

    /// Some targets come and go: never so many that it is another size altogether.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        let going = dice.below(self.has.len() / 4 + 1);
        for _ in 0..going {
            self.loses_one(dice);
        }
        let room = (3 * self.size / 2).saturating_sub(self.has.len());
        for _ in 0..dice.below(room.min(self.size / 3) + 1) {
            self.has.insert(address(self.number, dice.below(3 * self.size)));
        }
    }

    /// Most targets go, and others may come in their place.
    pub(crate) fn turn(&mut self, dice: &mut Dice) {
        self.has = self.part(dice);
        if dice.one_in(2) {
            self.has.extend((0..self.size).map(|_| address(self.number, dice.below(3 * self.size))));
        }
    }

    pub(crate) fn loses_one(&mut self, dice: &mut Dice) -> Option<String> {
        let address = self.has.iter().nth(dice.below(self.has.len().max(1))).cloned()?;
        self.has.take(&address)
    }

    /// Whether what its source says is read.
    pub(crate) fn is_read(&self) -> bool {
        let Belief { configured, known, .. } = &self.belief;
        !self.fails && *configured == Configured::Yes && matches!(known, Known::Since(_))
    }

    /// Less than half of what there is.
    pub(crate) fn part(&self, dice: &mut Dice) -> Targets {
        let mut part: Vec<_> = self.has.iter().cloned().collect();
        let left = dice.below(part.len().div_ceil(2).max(1));
        while part.len() > left {
            part.swap_remove(dice.below(part.len()));
        }
        part.into_iter().collect()
    }

    /// The source can be read and tells what it has.
    pub(crate) async fn tells(&mut self, slowly: bool) {
        self.fails = false;
        self.belief.says(self.has.clone(), Instant::now());
        match slowly {
            true => self.source.tell_slowly(&self.has).await,
            false => self.source.tell(&self.has).await,
        }
    }

    /// The source has a target that it never had, and tells so.
    async fn marks(&mut self, mark: usize, slowly: bool) {
        let mark = address(self.number, MARKS + mark);
        if let Some(before) = self.mark.replace(mark.clone()) {
            self.has.remove(&before);
        }
        self.has.insert(mark);
        self.tells(slowly).await;
    }

    pub(crate) fn changes_pace(&mut self) {
        self.pace = 1 - self.pace;
    }

    fn section(&self) -> String {
        let Rules { version, drops } = self.belief.rules();
        let mut rules = format!("{{target_label: version, replacement: '{version}'}}");
        if let Some(digit) = drops {
            rules += &format!(", {{source_labels: [__address__], regex: '.*{digit}:1', action: drop}}");
        }
        let source = self.source.section(PACES[self.pace]);
        format!("- job_name: {}\n  {source}\n  relabel_configs: [{rules}]\n", self.name)
    }

    /// What is wrong with what is shown of it somewhere.
    fn complains(&self, what: &str, place: Place, shown: &Shown) -> Result<(), String> {
        let now = Instant::now();
        let (must, may) = (self.belief.must(place, now), self.belief.may(place));
        let missing: Vec<_> = must.iter().filter(|address| !shown.contains_key(*address)).collect();
        let wrong: Vec<_> = shown.keys().filter(|address| !may.contains(*address)).collect();
        let versions: Vec<_> =
            shown.values().filter(|version| !self.belief.may_have_version(version)).take(3).collect();
        if missing.is_empty() && wrong.is_empty() && versions.is_empty() {
            return Ok(());
        }
        let name = self.name;
        Err(format!(
            "{what} of {name} has {} targets, not {missing:?}, but {wrong:?}, and labels of versions {versions:?}; {:#?}",
            shown.len(),
            self.belief
        ))
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let (folder, calendar, receiver) = (Folder::new(), Calendar::new(), Receiver::start().await);
        let mut jobs = Vec::new();
        for (number, spec) in JOBS.iter().enumerate() {
            jobs.push(Job::start(number, spec).await);
        }
        for job in jobs.iter_mut().filter(|job| job.number != LATE) {
            job.belief.configured = Configured::Yes;
            job.tells(false).await;
        }
        jobs[LATE].fails = true;
        let disk = Disk::mount();
        let storage = disk.as_ref().map_or_else(|| folder.path("data"), |disk| disk.path().join("data"));
        let text = configuration(&jobs, &receiver);
        folder.write("prometheus.yml", &text);
        let agent = Agent::start(folder.root(), storage.clone(), &calendar).await;
        Self {
            folder,
            jobs,
            agent,
            disk,
            disk_fails: None,
            storage,
            damage: None,
            calendar,
            has_jumped: false,
            consumers: Consumers::default(),
            receiver,
            costs: None,
            memories: Vec::new(),
            read: Mutex::default(),
            marks: 0,
            versions: 0,
        }
    }

    pub(crate) fn job_count() -> usize {
        JOBS.len()
    }

    /// The configuration as it should be.
    pub(crate) fn configuration(&self) -> String {
        configuration(&self.jobs, &self.receiver)
    }

    /// A job gets other rules.
    pub(crate) fn changes_rules(&mut self, job: usize, dice: &mut Dice) {
        self.versions += 1;
        let drops = dice.one_in(2).then(|| u8::try_from(dice.below(10)).expect("a digit"));
        self.jobs[job].belief.uses(Rules { version: self.versions, drops });
    }

    /// All is well from now on: each source tells what it has, and a mark that shows that it was read since. One that never told
    /// anything does so only once somebody asks.
    pub(crate) async fn heals(&mut self) {
        self.marks += 1;
        for job in &mut self.jobs {
            let is_awaited = job.belief.configured != Configured::No || job.belief.known != Known::Never;
            if !job.is_fixed() && is_awaited {
                job.marks(self.marks, self.marks.is_multiple_of(2)).await;
            }
        }
        if let Some(disk) = &mut self.disk {
            disk.works();
        }
        self.consumers.leave();
        self.receiver.calms().await;
    }

    /// The calendar jumps.
    pub(crate) fn jumps(&mut self, seconds: i64) {
        if seconds == 0 {
            return;
        }
        self.receiver.jumped();
        self.has_jumped |= self.calendar.jump(seconds);
        // Of times that come again the journal tells what is the last to happen at them.
        if seconds < 0 {
            self.memories.clear();
        }
    }

    /// What was not stored is lost.
    pub(crate) fn is_killed(&mut self) {
        let written = self.disk_fails.unwrap_or_else(Instant::now) - UNWRITTEN;
        for job in &mut self.jobs {
            job.belief.is_killed(written);
        }
    }

    /// The process is about to begin again.
    pub(crate) fn begins_again(&mut self) {
        let now = Instant::now();
        for job in &mut self.jobs {
            if self.has_jumped {
                job.belief.leaps(now);
            }
            // What is stored where nothing can be written cannot be read either.
            if self.disk_fails.is_some() && matches!(job.belief.known, Known::Since(_)) {
                job.belief.known = Known::Maybe;
            }
        }
        self.has_jumped = false;
        if self.disk_fails.is_some() {
            self.receiver.mixes();
        }
    }

    /// What is wrong with what consumers see now.
    pub(crate) async fn look(&mut self) -> Result<(), String> {
        // Times on a calendar that jumped say nothing until the process begins again.
        let now = (!self.has_jumped).then(|| self.calendar.now());
        let shown = if self.agent.is_up { Some(self.agent.targets_at(now).await?) } else { None };
        for (name, shown) in shown.iter().flatten() {
            let seen = shown.keys().cloned().collect();
            let job = self.jobs.iter_mut().find(|job| job.name == name && job.belief.configured == Configured::Yes);
            job.into_iter().for_each(|job| job.belief.sees(&seen, Instant::now()));
        }
        let nothing = Shown::new();
        for job in &self.jobs {
            self.look_at_list(job).await?;
            self.look_at_file(job)?;
            let Some(shown) = shown.as_ref().map(|shown| shown.get(job.name).unwrap_or(&nothing)) else { continue };
            match (job.belief.configured, job.belief.known) {
                (Configured::Yes, Known::Since(_)) => job.complains("/api/v1/targets", Place::Answer, shown)?,
                (Configured::No, _) | (_, Known::Never) if !shown.is_empty() => {
                    return Err(format!("/api/v1/targets has targets of {}: {shown:?}", job.name));
                }
                _ if !shown.is_empty() => job.complains("/api/v1/targets", Place::Answer, shown)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What is wrong with what is told or done a moment later: by the journal, and by those that scrape.
    pub(crate) async fn look_later(&self) -> Result<(), String> {
        if !self.agent.is_up {
            return Ok(());
        }
        // What of it is damaged is told when it was read.
        let told = if self.damage.is_none() { Some(self.agent.roster(None).await?.0) } else { None };
        let shown = self.agent.targets().await?;
        let is_known =
            |job: &&Job| job.belief.configured == Configured::Yes && matches!(job.belief.known, Known::Since(_));
        for job in self.jobs.iter().filter(is_known) {
            if let Some(told) = &told {
                let (now, nothing) = (Instant::now(), Targets::new());
                let (told, belief) = (told.get(job.name).unwrap_or(&nothing), &job.belief);
                let (must, may) = (belief.must(Place::File, now), belief.may(Place::File));
                let (missing, wrong): (Vec<_>, Vec<_>) =
                    (must.difference(told).collect(), told.difference(&may).collect());
                if !(missing.is_empty() && wrong.is_empty()) {
                    let name = job.name;
                    return Err(format!("the journal tells of {name} not {missing:?}, but {wrong:?}; {belief:#?}"));
                }
            }
            let (scraped, shown) = (self.agent.scraped(job.name).await, shown.get(job.name).map_or(0, Shown::len));
            if scraped != shown as f64 {
                return Err(format!("{scraped} targets of {} are scraped, and {shown} are shown", job.name));
            }
        }
        Ok(())
    }

    async fn look_at_list(&self, job: &Job) -> Result<(), String> {
        let list = self.agent.list(job.name).await;
        match (&list, job.belief.configured, job.belief.known) {
            (List::Shown(shown), Configured::Yes | Configured::Maybe, Known::Since(_) | Known::Maybe) => {
                return job.complains("the list", Place::Answer, shown);
            }
            (List::NoJob, Configured::No | Configured::Maybe, _)
            | (List::Unknown, Configured::Yes | Configured::Maybe, Known::Never | Known::Maybe) => return Ok(()),
            (List::Other(answer), ..) if self.agent.is_up => return Err(format!("the list of {}: {answer}", job.name)),
            (List::Shown(_), ..) => {}
            _ if !self.agent.is_up => return Ok(()),
            _ => {}
        }
        Err(format!("{} is answered with {list:?}, and it is {:#?}", job.name, job.belief))
    }

    fn look_at_file(&self, job: &Job) -> Result<(), String> {
        self.look_at_former(job)?;
        match self.read_file(job) {
            Ok(_) if job.belief.known == Known::Never => {
                Err(format!("{} has a file, and it is {:#?}", job.name, job.belief))
            }
            Ok(text) => {
                let shown = entries(&text)?;
                // What was published of a job that is not there any more, or is back, may be older.
                match job.is_published && job.belief.configured == Configured::Yes {
                    true => job.complains("the file", Place::File, &shown),
                    false => Ok(()),
                }
            }
            Err(error) if job.is_published => Err(format!("the file of {}: {error}", job.name)),
            Err(_) => Ok(()),
        }
    }

    /// A file that was read before is as it was, be there another one in its place: who has it open sees no half of a list.
    fn look_at_former(&self, job: &Job) -> Result<(), String> {
        let Some((mut file, before)) = self.read().remove(job.name) else { return Ok(()) };
        let mut now = String::new();
        let is_read = file.rewind().and_then(|()| file.read_to_string(&mut now));
        match is_read.is_ok() && now == before {
            true => Ok(()),
            false => Err(format!("the file of {} was written in place: {now:?} is where {before:?} was", job.name)),
        }
    }

    /// Somebody else removes the file of a job, or puts another one there. Returns what was done.
    pub(crate) fn meddles(&mut self, job: usize, dice: &mut Dice) -> &'static str {
        let file = self.file(&self.jobs[job]);
        if !std::mem::take(&mut self.jobs[job].is_published) {
            return "not now";
        }
        if dice.one_in(2) {
            std::fs::remove_file(file).expect("a file that was published can be removed");
            return "removed";
        }
        write(&file, "[{\"targets\": [\"another:1\"]}]");
        "another"
    }

    /// The file of a job as it is now, which is looked at again later.
    fn read_file(&self, job: &Job) -> std::io::Result<String> {
        let (mut file, mut text) = (File::open(self.file(job))?, String::new());
        file.read_to_string(&mut text)?;
        self.read().insert(job.name, (file, text.clone()));
        Ok(text)
    }

    fn read(&self) -> MutexGuard<'_, FilesRead> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn file(&self, job: &Job) -> PathBuf {
        self.folder.path(&format!("out/{}.json", job.name))
    }

    /// In what the roster is not what the sources have; or the jobs that show more than that though they were read, and all that is
    /// shown of any job.
    pub(crate) async fn differs(&self) -> Result<(Vec<&'static str>, Targets), String> {
        let shown = self.agent.targets().await?;
        let (mut more, mut late, mut all) = (Vec::new(), Vec::new(), Targets::new());
        for job in self.jobs.iter().filter(|job| job.belief.configured == Configured::Yes) {
            let (has, graced) = job.belief.truth(Instant::now());
            let version = job.belief.rules().version.to_string();
            let fits = |shown: &Shown| {
                has.iter().all(|address| shown.get(address) == Some(&version))
                    && shown.keys().all(|address| has.contains(address) || graced.contains(address))
            };
            let nothing = Shown::new();
            let targets = shown.get(job.name).unwrap_or(&nothing);
            all.extend(targets.keys().cloned());
            let is_read = has.iter().all(|address| targets.contains_key(address));
            if is_read && !fits(targets) {
                more.push(job.name);
                continue;
            }
            let listed = match self.agent.list(job.name).await {
                List::Shown(shown) => {
                    all.extend(shown.keys().cloned());
                    fits(&shown)
                }
                _ => false,
            };
            let published = std::fs::read_to_string(self.file(job)).ok().and_then(|text| entries(&text).ok());
            all.extend(published.iter().flat_map(Shown::keys).cloned());
            let published = published.is_some_and(|shown| fits(&shown));
            if !(is_read && listed && published) {
                late.push(format!(
                    "{}: read {is_read}, listed {listed}, published {published}; wanted {has:?} and perhaps {graced:?} in version {version}, shown {targets:?}",
                    job.name
                ));
            }
        }
        match (more.is_empty(), late.is_empty()) {
            (_, false) => Err(late.join("\n")),
            _ => Ok((more, all)),
        }
    }

    /// Whether what its source says confirms what is braked of a job.
    pub(crate) fn confirms(&self, name: &str) -> bool {
        self.jobs.iter().any(|job| job.name == name && job.belief.is_confirmed())
    }

    /// What is held of a job is let go of as somebody asks for it, were it in its time of grace.
    pub(crate) fn is_released(&mut self, name: &str) {
        let now = Instant::now();
        self.jobs.iter_mut().filter(|job| job.name == name).for_each(|job| job.belief.forgets_holds(now));
    }

    /// The roster was seen to be what the sources have.
    pub(crate) fn is_settled(&mut self, shown: &Targets) {
        let now = Instant::now();
        for job in self.jobs.iter_mut().filter(|job| job.belief.configured == Configured::Yes) {
            job.belief.is_settled(shown, now);
            job.is_published = true;
        }
        self.disk_fails = None;
    }
}

fn configuration(jobs: &[Job], receiver: &Receiver) -> String {
    let configured = || jobs.iter().filter(|job| job.belief.configured != Configured::No);
    let sections: String = configured().map(Job::section).collect();
    let settings: Vec<_> = configured().map(|job| format!("{}: {}", job.name, job.settings)).collect();
    format!(
        "global: {{scrape_interval: 1h}}\n{}\nscrape_configs:\n{sections}{}\nrosterd:\n  ready_grace_period: 1h\n  jobs: {{{}}}\n  publish: {{file_sd: [{{path: 'out/{{job}}.json'}}]}}\n",
        receiver.remote_write(),
        receiver.jobs(),
        settings.join(", ")
    )
}
