//! The configuration of a program, and the file of its targets.

use std::fmt::Write as _;

use rosterd_testkit::Folder;

use super::backend::Backend;
use super::options::{Options, Shape};
use super::shared::program::Kind;
use super::simulator::address;

/// Writes both; `targets` may be fewer than the shape has.
pub(super) fn write(folder: &Folder, kind: Kind, backend: &Backend, shape: Shape, targets: usize, options: &Options) {
    let mut json = String::with_capacity(targets * 100);
    for number in 0..targets {
        let (address, port, zone) = (address(number), backend.targets, number % 3);
        write!(json, r#",{{"targets":["{address}:{port}"],"labels":{{"env":"production","zone":"eu-west-1{zone}"}}}}"#)
            .expect("a string takes any text");
    }
    folder.write("sd/targets.json", format!("[{}]", json.trim_start_matches(',')));
    folder.write("prometheus.yml", config(folder, kind, backend, shape, options));
}

fn config(folder: &Folder, kind: Kind, backend: &Backend, shape: Shape, options: &Options) -> String {
    let (interval, sd) = (shape.interval.as_secs(), folder.path("sd"));
    let mut config = format!(
        "global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\n\
         scrape_configs:\n\
         - job_name: bench\n  file_sd_configs: [{{files: ['{}/*.json']}}]\n",
        sd.display()
    );
    // vmagent takes it from the command line, and nothing it does not know.
    if kind != Kind::Vmagent {
        writeln!(config, "remote_write:\n- url: {}", backend.receiver()).expect("a string takes any text");
    }
    if kind == Kind::Rosterd {
        let message = if options.message == 2 { "io.prometheus.write.v2.Request" } else { "prometheus.WriteRequest" };
        let compression = &options.compression;
        write!(
            config,
            "  name: sink\n  protobuf_message: {message}\n\
             rosterd: {{remote_write: {{sink: {{compression: {compression}}}}}}}\n"
        )
        .expect("a string takes any text");
    }
    config
}
