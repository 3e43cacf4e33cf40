//! A real nginx and a real HAProxy whose servers rosterd renders, by the templates that are shipped: while the roster changes, no
//! request fails, and what they refuse changes nothing.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rosterd_testkit::{
    Folder, Process, ScriptedServer, Server, Step, eventually_ok, free_address, leak_checked_live, need, patience,
};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::programs::{Wrapper, rosterd};

/// How often the roster changes.
const CHANGES: usize = 12;
/// How many requests are under way at a time.
const CLIENTS: usize = 4;

/// Servers that answer with their names.
async fn backends() -> Vec<ScriptedServer> {
    let mut backends = Vec::new();
    for name in ["one", "two", "three"] {
        backends.push(ScriptedServer::start([Step::get("/").any_times().body(name)]).await);
    }
    backends
}

fn list(backends: &[&ScriptedServer]) -> String {
    let addresses: Vec<_> = backends.iter().map(|it| format!("\"{}\"", it.address())).collect();
    format!("[{{\"targets\": [{}]}}]", addresses.join(","))
}

/// One request on a connection of its own. Anything but a success is an error.
async fn ask(proxy: SocketAddr) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(proxy).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer = exchange.await.map_err(|error| error.to_string())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(answer),
    }
}

/// Asks again and again while something else happens, and returns how many were answered. None may fail.
async fn under_traffic(proxy: SocketAddr, story: impl Future<Output = ()>) -> usize {
    let (over, answered) = (Cell::new(false), Cell::new(0));
    let client = async || {
        while !over.get() {
            let answer = ask(proxy).await;
            assert!(answer.is_ok(), "request {} failed: {answer:?}", answered.get());
            answered.set(answered.get() + 1);
        }
    };
    let clients = futures_util::future::join_all((0..CLIENTS).map(|_| client()));
    let story = async {
        story.await;
        over.set(true);
    };
    tokio::join!(clients, story);
    answered.get()
}

/// rosterd, a proxy, and what is behind it.
struct Stage {
    folder: Folder,
    backends: Vec<ScriptedServer>,
    rosterd: Server,
    proxy: SocketAddr,
}

impl Stage {
    /// `template` is what is shipped, and `edit` makes it fit the folder and the address; `own` is the rest of its entry.
    async fn start(
        template: &str,
        destination: &str,
        own: &str,
        edit: impl Fn(String, &Folder, SocketAddr) -> String,
    ) -> Self {
        let (folder, backends, proxy) = (Folder::new(), backends().await, free_address());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/templates").join(template);
        let text = std::fs::read_to_string(shipped).expect("it is shipped");
        folder.write(template, edit(text, &folder, proxy));
        folder.write("targets.json", list(&[&backends[0]]));
        let config = folder.write(
            "prometheus.yml",
            "scrape_configs: [{job_name: web, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]\n",
        );
        let own = format!(
            "templates: [{{source: {template}, destination: {destination}, jobs: [web], min_interval: 1s, {own}}}]
brake: {{min_targets: 1, confirm: never}}\n"
        );
        let own = own.replace("{folder}", &folder.root().display().to_string());
        let own = folder.write("rosterd.yml", own);
        let own = format!("--rosterd.config.file={}", own.display());
        let rosterd = rosterd(&config, Wrapper::default(), &[&own, "--templates.allow-commands"]).await;
        let stage = Self { folder, backends, rosterd, proxy };
        let file = stage.folder.path(destination);
        stage.until("the file is rendered", async || file.exists().then_some(()).ok_or_else(String::new)).await;
        stage
    }

    async fn until(&self, what: &str, look: impl AsyncFnMut() -> Result<(), String>) {
        eventually_ok(patience(), what, look).await;
    }

    /// Waits until somebody answers with this name.
    async fn answers(&self, name: &str) {
        let look = async || match ask(self.proxy).await {
            Ok(body) if body == name => Ok(()),
            other => Err(format!("{other:?}\n{}", self.rosterd.log())),
        };
        self.until(&format!("{name} answers"), look).await;
    }

    /// The state of the last operation that has ended.
    async fn last(&self) -> serde_json::Value {
        let operations = self.rosterd.data("/api/v1/operations").await["operations"].clone();
        let ended = operations.as_array().into_iter().flatten().find(|it| !it["ended"].is_null());
        ended.cloned().unwrap_or_default()
    }

    /// The roster changes again and again; then what is rendered is broken, and mended.
    async fn story(&mut self, template: &str, destination: &str, breaks: &str) {
        for change in 1..=CHANGES {
            let [one, next] = [change % 3, (change + 1) % 3].map(|index| &self.backends[index]);
            let name = ["one", "two", "three"][change % 3];
            // Sometimes one, sometimes two: who is asked next is always there.
            let text = if change % 2 == 0 { list(&[one, next]) } else { list(&[one]) };
            self.folder.replace("targets.json", text);
            self.answers(name).await;
        }
        let good = self.folder.read(template);
        self.folder.replace(template, good.clone() + breaks);
        let refused = async || match self.last().await {
            last if last["state"] == "failed" => Ok(()),
            last => Err(format!("{last:#}\n{}", self.rosterd.log())),
        };
        self.until("what is broken is refused", refused).await;
        self.folder.replace(template, good);
        self.folder.replace("targets.json", list(&[&self.backends[2]]));
        self.answers("three").await;
        self.is_alike(template, destination).await;
        self.is_held(template, destination).await;
    }

    /// Targets that differ in what no proxy sees.
    async fn is_alike(&self, template: &str, destination: &str) {
        let address = self.backends[0].address();
        let group =
            |address: &str, path: &str| serde_json::json!({"targets": [address], "labels": {"__metrics_path__": path}});
        let twice = [group(&address.to_string(), "/a"), group(&address.to_string(), "/b")];
        self.folder.replace("targets.json", serde_json::json!(twice).to_string());
        // What was before may answer as well: what counts is the file, once that is of these targets alone.
        let once = async || {
            let text = self.folder.read(destination);
            let [ours, others] = [&self.backends[..1], &self.backends[1..]]
                .map(|backends| backends.iter().map(|it| text.matches(&format!(" {}", it.address())).count()).sum());
            if (ours, others) == (1usize, 0usize) { Ok(()) } else { Err(format!("{text}\n{}", self.rosterd.log())) }
        };
        self.until(&format!("{template} has each address once"), once).await;
        self.answers("one").await;
        if template.starts_with("haproxy") {
            let alike = [group(&address.to_string(), "/a"), group("a-b:1", "/a"), group("a_b:1", "/a")];
            self.folder.replace("targets.json", serde_json::json!(alike).to_string());
            self.renders(destination, " a_b:1 ").await;
        }
    }

    /// All targets are held: while the brake holds what is gone, and when rosterd has started anew.
    async fn is_held(&mut self, template: &str, destination: &str) {
        self.folder.replace("targets.json", "[]");
        let held = async || {
            let (_, list) = self.rosterd.page("/sd/web?held=false").await.ok_or("rosterd is gone")?;
            if list.trim() == "[]" { Ok(()) } else { Err(list) }
        };
        self.until("all targets are held", held).await;
        self.changes(template, destination, "# While all are held.\n").await;
        self.rosterd.end(Signal::TERM).await;
        self.rosterd.again().await;
        self.changes(template, destination, "# After a restart.\n").await;
        self.folder.replace("targets.json", list(&[&self.backends[1]]));
        self.answers("two").await;
    }

    /// Adds a line to the template, and waits until it is in use.
    async fn changes(&self, template: &str, destination: &str, line: &str) {
        self.folder.replace(template, self.folder.read(template) + line);
        self.renders(destination, line).await;
    }

    async fn renders(&self, destination: &str, text: &str) {
        let look = async || match self.last().await {
            last if last["state"] == "done" && self.folder.read(destination).contains(text) => Ok(()),
            last => Err(format!("{last:#}\n{}", self.rosterd.log())),
        };
        self.until(&format!("{text:?} is rendered"), look).await;
    }

    async fn stop(mut self) {
        self.rosterd.end(Signal::TERM).await;
        for backend in self.backends {
            backend.finish().await;
        }
    }
}

#[test]
fn nginx_follows_the_roster_without_a_failed_request() {
    leak_checked_live(async || {
        let nginx = need("nginx", "nginx-light");
        let told = format!("{} -e stderr -p {{folder}} -c {{folder}}/nginx.conf", nginx.display());
        let reload = format!("reload: [sh, -c, '{told} -t && (test ! -s {{folder}}/pid || {told} -s reload)']");
        let template = "upstreams.conf.tmpl";
        // `-t` leaves an empty file of its number where nginx does not run yet. What is checked is the whole configuration, which names
        // the rendered file.
        let edit = |text: String, folder: &Folder, proxy: SocketAddr| {
            let root = folder.root().display();
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let temporary = temporary.map(|kind| format!("{kind}_temp_path {root}/{kind};")).join(" ");
            folder.write(
                "nginx.conf",
                format!(
                    "daemon off; worker_processes 2; pid {root}/pid; error_log stderr; events {{ worker_connections 512; }}
                     http {{ access_log off; {temporary} include {root}/upstreams.conf;
                         server {{ listen {proxy}; location / {{ proxy_pass http://web; }} }} }}"
                ),
            );
            text
        };
        let mut stage = Stage::start(template, "upstreams.conf", &reload, edit).await;
        let root = stage.folder.root().display().to_string();
        let mut command = Command::new(nginx);
        command.args(["-e", "stderr", "-p", &root, "-c"]).arg(stage.folder.path("nginx.conf"));
        let mut process = Process::start("nginx", &mut command);
        stage.answers("one").await;
        let proxy = stage.proxy;
        let story = stage.story(template, "upstreams.conf", "upstream { nonsense");
        let answered = under_traffic(proxy, story).await;
        assert!(answered > 100, "{answered} requests, {}", process.log());
        process.signal(Signal::TERM);
        process.wait().await;
        stage.stop().await;
    });
}

#[test]
fn haproxy_follows_the_roster_without_a_failed_request() {
    leak_checked_live(async || {
        let haproxy = need("haproxy", "haproxy");
        let own = format!("check: ['{}', -c, -f, '{{file}}'], signal: USR2, pid_file: haproxy.pid", haproxy.display());
        let template = "haproxy.cfg.tmpl";
        let edit = |text: String, folder: &Folder, proxy: SocketAddr| {
            let socket = folder.path("sock").display().to_string();
            // Servers without an address are none yet, and no error.
            let text = text.replace("check inter 2s", "check inter 2s init-addr none");
            text.replace("/run/haproxy.sock", &socket).replace(":8080", &proxy.to_string())
        };
        let mut stage = Stage::start(template, "haproxy.cfg", &own, edit).await;
        let mut command = Command::new(haproxy);
        command
            .args(["-W", "-f"])
            .arg(stage.folder.path("haproxy.cfg"))
            .arg("-p")
            .arg(stage.folder.path("haproxy.pid"));
        let mut process = Process::start("haproxy", &mut command);
        stage.answers("one").await;
        let proxy = stage.proxy;
        let answered = under_traffic(proxy, stage.story(template, "haproxy.cfg", "nonsense here\n")).await;
        assert!(answered > 100, "{answered} requests, {}", process.log());
        process.signal(Signal::TERM);
        process.wait().await;
        stage.stop().await;
    });
}
