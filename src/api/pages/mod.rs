//! The pages for people: one look, what is wrong now at the head of each, and nothing that needs a script to be read. What they
//! show is fetched once for each request, at the top.

mod assets; // the style, the script and the icon
mod brake; // the button that lets go
mod chart; // numbers over time
mod cluster; // the members
mod count; // numbers that lead to what they count
mod cut; // how much of what others chose is shown
mod discovery; // what is read and how that goes, and what became of what was discovered
mod entries; // what was discovered for a job
mod explain; // why a target is there, or is not
mod exposed; // an exposition that was given, or that a target has
mod failures; // errors of targets, told together
mod journal; // what happened
mod link; // addresses of pages
mod metric_rules; // rules tried on an exposition
mod operations; // what is done for publications
mod overview; // how things are, at a glance
mod patience; // how long a page looks for what was asked for
mod publications; // files and lists
mod refused; // errors, for people
mod remote_write; // where samples go
mod shell; // what stands around each page
mod situation; // what all pages look at, at one moment
mod standing; // how jobs and providers are, in words
mod status; // the process, its configuration and its flags
mod story; // what rules did to labels
mod targets; // the targets, by job
mod tiles; // numbers at a glance
mod troubles; // what is wrong now, in sentences
mod workbench; // rules tried on labels

pub(super) use assets::asset;
pub(super) use brake::release_brake;
pub(super) use cluster::cluster;
pub(super) use discovery::discovery;
pub(super) use explain::explain;
pub(super) use journal::journal;
pub(super) use metric_rules::{metric_rules, try_metric_rules};
pub(super) use operations::operations;
pub(super) use overview::overview;
pub(super) use publications::publications;
pub(super) use refused::refused;
pub(super) use remote_write::remote_write;
pub(super) use status::{config, flags, status};
pub(super) use targets::targets;
pub(super) use workbench::workbench;
