//! Files of targets, each with ten labels, on the loopback interface.

use std::fmt::Write as _;

use rosterd_testkit::Folder;

/// Where a target is.
pub(super) fn address(number: usize) -> String {
    format!("127.{}.{}.{}:9", 1 + (number >> 16), number >> 8 & 255, number & 255)
}

/// A group of one target.
fn target(number: usize, json: &mut String) {
    let (zone, rack, team, service) = (number % 7, number % 91, number % 23, number % 400);
    let address = address(number);
    write!(
        json,
        r#",{{"targets":["{address}"],"labels":{{"env":"prod","zone":"eu-west-{zone}","rack":"r{rack}","team":"Team-{team}","service":"svc-{service}","version":"1.0.0","tag_owner":"owner-{team}","tag_cost":"cc-{rack}","region":"europe","host_id":"i-{number:012x}"}}}}"#
    )
    .expect("a string takes any text");
}

/// A file with these targets, each in a group of its own, in place of the one that was there.
pub(super) fn write(folder: &Folder, name: &str, targets: impl IntoIterator<Item = usize>) {
    let mut json = String::new();
    targets.into_iter().for_each(|number| target(number, &mut json));
    folder.replace(&format!("sd/{name}.json"), format!("[{}]", json.trim_start_matches(',')));
}

/// A configuration with these jobs, each with the files that a pattern means and what else there is to say of it.
pub(super) fn configure(folder: &Folder, name: &str, own: &str, jobs: &[(String, String, &str)]) {
    let mut config = format!("{own}global: {{scrape_interval: 1d}}\nscrape_configs:\n");
    for (job, files, more) in jobs {
        let files = folder.path(&format!("sd/{files}.json"));
        writeln!(
            config,
            "- job_name: {job}\n  file_sd_configs: [{{files: ['{}'], refresh_interval: 1d}}]{more}",
            files.display()
        )
        .expect("a string takes any text");
    }
    folder.write(name, config);
}
