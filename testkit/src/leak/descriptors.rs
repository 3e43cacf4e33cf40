//! The open descriptors of this process.

use std::collections::BTreeMap;

const FOLDER: &str = "/proc/self/fd";

/// Every open descriptor and what it refers to, as the kernel names it.
pub(super) fn open() -> BTreeMap<i32, String> {
    let entries = std::fs::read_dir(FOLDER).expect("Linux shows a process its descriptors");
    // The descriptor through which the folder is read is closed again before anyone can look at it.
    let reading = format!("/proc/{}/fd", std::process::id());
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            let number = entry.file_name().to_str()?.parse().ok()?;
            (target != reading).then_some((number, target))
        })
        .collect()
}

/// The targets of descriptors that are open now and were not before.
pub(super) fn new_since(before: &BTreeMap<i32, String>) -> Vec<String> {
    open().into_iter().filter(|(number, target)| before.get(number) != Some(target)).map(|(_, target)| target).collect()
}
