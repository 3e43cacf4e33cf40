//! What is measured of a program.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::{Instant, sleep};

use super::options::Options;
use super::registry::Kind;
use super::server::Server;
use super::shared::program::{self, Place, Program};
use super::shared::table::{Row, mebibytes, row, seconds};

/// Nobody listens there, and nothing is sent.
const NOWHERE: &str = "http://127.0.0.1:9/";
/// Whatever is left to do when all targets are there is no idling.
const SETTLING: Duration = Duration::from_secs(10);

/// Runs one program.
pub(super) async fn run(kind: Kind, program: program::Kind, options: &Options) -> Vec<Row> {
    let server = Server::start(kind, kind.size(options)).await;
    let folder = Folder::new();
    folder.write("prometheus.yml", kind.config(&server.place));
    let place = Place::in_folder(&folder, NOWHERE);
    let mut program = Program::start(program, &place);
    program.wait_started().await;
    let mut targets = kind.targets(options);
    let took = program.wait_targets(targets, program.started()).await;
    let (cpu, loaded) = (program.cpu().total(), server.figures().await);
    let of_server = server.cpu();
    sleep(SETTLING).await;
    let (resident, peak) = program.resident();
    let mut rows = vec![
        row("time until all are there", seconds(took)),
        row("CPU until then", format!("{cpu:.2} s")),
        row("requests, connections until then", format!("{}, {}", loaded.requests, loaded.connections)),
        row("CPU of what is asked until then", format!("{of_server:.2} s")),
        row("memory", mebibytes(resident)),
        row("memory at the peak", mebibytes(peak)),
    ];
    let window = options.window.as_secs();
    for (change, name) in [(false, "without a change"), (true, "with one change")] {
        let (cpu, asked) = (program.cpu().total(), server.figures().await);
        if change {
            server.add().await;
            targets += 1;
        }
        sleep(options.window).await;
        let (cpu, requests) = (program.cpu().total() - cpu, server.figures().await.requests - asked.requests);
        rows.push(row(format!("CPU in {window} s {name}"), format!("{cpu:.2} s")));
        rows.push(row(format!("requests in {window} s {name}"), requests.to_string()));
    }
    // However short the window was.
    program.wait_targets(targets, Instant::now()).await;
    let mut late = Vec::with_capacity(options.changes);
    for _ in 0..options.changes {
        targets += 1;
        let since = Instant::now();
        server.add().await;
        late.push(program.wait_targets(targets, since).await);
    }
    late.sort();
    if let (Some(median), Some(worst)) = (late.get(late.len() / 2), late.last()) {
        rows.push(row("change to target, median", seconds(*median)));
        rows.push(row(format!("change to target, worst of {}", late.len()), seconds(*worst)));
    }
    rows
}
