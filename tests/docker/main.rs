//! The container image: its last stage is built by a real Docker daemon, of this very binary, and run as the page of operations
//! says: read-only, and as nobody.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

#[allow(dead_code, reason = "the rest is for the targets of engines")]
mod daemon;

use std::path::Path;

use daemon::{Daemon, Network};
use rosterd_testkit::{Folder, eventually, free_address, get, leak_checked_live, patience};
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What `docker build` needs: the Dockerfile, the folder of the storage, and the binary with the libraries that it loads.
/// The image of the Dockerfile's own builder has a static binary; this one is linked as tests are.
fn context() -> Folder {
    let context = Folder::new();
    for file in ["Dockerfile", "deploy/docker/storage/README"] {
        place(&context, Path::new(ROOT).join(file).as_path(), file);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_rosterd"));
    place(&context, binary, "dist/rosterd");
    let listed = daemon::output(std::process::Command::new("ldd").arg(binary));
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        place(&context, Path::new(library), &format!("dist{library}"));
    }
    context
}

fn place(context: &Folder, from: &Path, to: &str) {
    let to = context.path(to);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

#[test]
fn the_image_runs_read_only_as_nobody_and_is_healthy() {
    if !daemon::is_possible() {
        return;
    }
    leak_checked_live(|| async {
        let mut daemon = Daemon::start(Network::Machine).await;
        let context = context();
        let path = context.root().display().to_string();
        daemon.docker(&["build", "--quiet", "--target", "prebuilt", "--tag", "rosterd", &path]);

        let image: Value = serde_json::from_str(&daemon.docker(&["image", "inspect", "rosterd"])).unwrap();
        let config = &image[0]["Config"];
        assert_eq!(config["User"], "65532:65532");
        assert_eq!(config["Volumes"], json!({"/var/lib/rosterd": {}}));
        assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/rosterd", "health", "--timeout=4s"]));

        let configuration =
            context.write("prometheus.yml", "scrape_configs: [{job_name: a, static_configs: [{targets: ['b:1']}]}]");
        let mount = format!("{}:/etc/rosterd/prometheus.yml:ro", configuration.display());
        let port = free_address().port();
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        daemon.docker(&[
            "run",
            "--detach",
            "--name",
            "one",
            "--network",
            "host",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--volume",
            &mount,
            "--volume",
            "storage:/var/lib/rosterd",
            "rosterd",
            "run",
            "--config.file=/etc/rosterd/prometheus.yml",
            "--storage.path=/var/lib/rosterd",
            &listen,
        ]);
        let url = format!("http://127.0.0.1:{port}");
        let ask = format!("--url={url}");
        eventually(patience(), "the container is healthy", || {
            daemon.succeeds(&["exec", "one", "/rosterd", "health", &ask])
        })
        .await;
        let (status, body) = get(&format!("{url}/sd/a")).await.unwrap();
        assert_eq!((status, body.contains("b:1")), (200, true), "{body}\n{}", daemon.docker(&["logs", "one"]));

        daemon.docker(&["stop", "--time", "20", "one"]);
        let ended = daemon.docker(&["inspect", "--format", "{{.State.ExitCode}}", "one"]);
        assert_eq!(ended.trim(), "0", "{}", daemon.docker(&["logs", "one"]));
        daemon.docker(&["rm", "--volumes", "one"]);
        daemon.halt().await;
    });
}
