//! Debian's PuppetDB on the loopback interface, over a PostgreSQL of its own, and the commands by which catalogs get into it.

use std::cmp::Reverse;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{Folder, Process, eventually_ok, free_address, get, need, patience, post};

/// So many times a server is started anew because somebody took its port in the meantime.
const ATTEMPTS: usize = 3;
/// It takes half a minute to begin on a machine that has nothing else to do.
const START: Duration = Duration::from_secs(300);
/// The user whom the package of PostgreSQL makes, because it does not run as root.
const DATABASE_USER: &str = "postgres";

/// A PuppetDB that knows no node. End it by [`stop`](Self::stop).
#[derive(Debug)]
pub struct PuppetdbServer {
    database: Process,
    server: Process,
    port: u16,
    /// How many commands it was given: the later one counts.
    commands: AtomicU32,
    _folder: Folder,
}

impl PuppetdbServer {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it, or PostgreSQL, is not installed, or does not start.
    pub async fn start() -> Self {
        let folder = Folder::new();
        let (database, database_port) = start_database(&folder).await;
        for _ in 0..ATTEMPTS {
            let port = free_address().port();
            let mut server = start_server(&folder, port, database_port);
            if is_ready(&mut server, port).await {
                return Self { database, server, port, commands: AtomicU32::new(0), _folder: folder };
            }
        }
        panic!("PuppetDB does not start");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives it the catalog of a node, which replaces the last one: resources with at least a `type` and a `title`.
    ///
    /// # Panics
    ///
    /// When it does not take it.
    pub async fn catalog(&self, node: &str, resources: &[Value]) {
        let (version, time) = self.next();
        let whole = |resource: &Value| {
            let mut whole = json!({"exported": false, "tags": [], "file": null, "line": null, "parameters": {}});
            let given = resource.as_object().expect("a resource is a map").clone();
            whole.as_object_mut().expect("a map").extend(given);
            whole
        };
        let resources: Vec<_> = resources.iter().map(whole).collect();
        let catalog = json!({
            "certname": node, "version": version, "environment": "production", "transaction_uuid": null,
            "catalog_uuid": null, "code_id": null, "job_id": null, "producer_timestamp": time, "producer": null,
            "resources": resources, "edges": [],
        });
        self.command("replace_catalog", 9, node, &time, catalog).await;
    }

    /// Takes a node out of what queries find.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn deactivate(&self, node: &str) {
        let (_, time) = self.next();
        let payload = json!({"certname": node, "producer_timestamp": time});
        self.command("deactivate_node", 3, node, &time, payload).await;
    }

    /// Lets it answer nobody, or answer again.
    pub fn freeze(&self, frozen: bool) {
        self.server.signal(if frozen { Signal::STOP } else { Signal::CONT });
    }

    /// Ends it, and its database in order.
    pub async fn stop(mut self) {
        self.server.signal(Signal::KILL);
        self.server.wait().await;
        // At once, but without leaving memory behind that outlives processes.
        self.database.signal(Signal::QUIT);
        self.database.wait().await;
    }

    /// The number of a command, and the time at which it is said to be given.
    fn next(&self) -> (String, String) {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        (number.to_string(), format!("2026-01-01T{:02}:{:02}:{:02}.000Z", number / 3600, number / 60 % 60, number % 60))
    }

    /// Gives it a command and waits until that is done.
    async fn command(&self, command: &str, version: u8, node: &str, time: &str, payload: Value) {
        let url = format!(
            "{}/pdb/cmd/v1?command={command}&version={version}&certname={node}&producer-timestamp={time}&secondsToWaitForCompletion=60",
            self.url()
        );
        let (status, body) = post(&url, payload.to_string()).await.expect("PuppetDB answers");
        let done =
            serde_json::from_str::<Value>(&body).is_ok_and(|done| done["processed"] == true && done["error"].is_null());
        assert!(status == 200 && done, "{command} of {node}: {status} {body}");
    }
}

/// A PostgreSQL that nobody but this machine can ask, and its port.
async fn start_database(folder: &Folder) -> (Process, u16) {
    let programs = newest_postgresql();
    let user = rustix::process::geteuid().is_root().then(|| ids_of(DATABASE_USER));
    let home = folder.path("database");
    std::fs::create_dir(&home).expect("a new folder takes folders");
    if let Some((user, group)) = user {
        for path in [folder.root(), &home] {
            std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root gives folders to others");
        }
    }
    let command = |program: &str| {
        let mut command = Command::new(programs.join(program));
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.current_dir(&home).arg("-D").arg(home.join("data"));
        command
    };
    let mut made = Process::start(
        "initdb",
        command("initdb").args(["-A", "trust", "-U", "puppetdb", "-E", "UTF8", "--locale=C", "--no-sync"]),
    );
    assert!(made.wait().await.success(), "initdb:\n{}", made.log());
    for _ in 0..ATTEMPTS {
        let port = free_address().port();
        let mut start = command("postgres");
        start.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        let mut database = Process::start(
            "PostgreSQL",
            start.args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "dynamic_shared_memory_type=mmap"]),
        );
        let look = async || match (database.exited(), database.log()) {
            (Some(_), _) => Ok(false),
            (None, log) if log.contains("ready to accept connections") => Ok(true),
            (None, log) => Err(log),
        };
        if eventually_ok(patience(), "PostgreSQL starts", look).await {
            return (database, port);
        }
    }
    panic!("PostgreSQL does not start");
}

fn newest_postgresql() -> PathBuf {
    let all = Path::new("/usr/lib/postgresql");
    let versions = std::fs::read_dir(all).into_iter().flatten().filter_map(Result::ok);
    let mut versions: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.retain(|programs| programs.join("postgres").is_file());
    versions.sort_by_key(|programs| Reverse(version_of(programs)));
    let newest = versions.into_iter().next();
    newest.unwrap_or_else(|| panic!("this test needs {}: apt-get install postgresql", all.display()))
}

/// The version in a path such as `/usr/lib/postgresql/15/bin`.
fn version_of(programs: &Path) -> Option<u32> {
    programs.parent()?.file_name()?.to_str()?.parse().ok()
}

/// The numbers of a user and his group.
fn ids_of(user: &str) -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").expect("every system has users");
    let line = users.lines().find_map(|line| line.strip_prefix(user)?.strip_prefix(':'));
    let mut fields =
        line.unwrap_or_else(|| panic!("this test needs the user {user}: apt-get install postgresql")).split(':');
    // The password stands before them.
    let mut number = |skipped| fields.nth(skipped).and_then(|number| number.parse().ok()).expect("users have numbers");
    (number(1), number(0))
}

fn start_server(folder: &Folder, port: u16, database_port: u16) -> Process {
    // The library names what it needs besides.
    let library = PathBuf::from("/usr/share/puppetdb/puppetdb.jar");
    assert!(library.is_file(), "this test needs {}: apt-get install puppetdb dbconfig-no-thanks", library.display());
    let logging = folder.write("logback.xml", LOGGING);
    let vardir = folder.path("puppetdb");
    std::fs::create_dir_all(&vardir).expect("the folder takes folders");
    folder.write(
        "conf.d/config.ini",
        format!(
            "[global]\nvardir = {}\nlogging-config = {}\n[jetty]\nhost = 127.0.0.1\nport = {port}\n\
             [database]\nsubname = //127.0.0.1:{database_port}/postgres\nusername = puppetdb\npassword = puppetdb\n\
             gc-interval = 0\nnode-ttl = 0s\n[puppetdb]\ndisable-update-checking = true\n",
            vardir.display(),
            logging.display(),
        ),
    );
    folder.write("conf.d/auth.conf", AUTHORIZATION);
    let mut command = Command::new(need("java", "puppetdb"));
    command.args([
        "-Xmx320m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.security.egd=/dev/urandom",
        "-cp",
    ]);
    command.arg(library).args(["clojure.main", "-m", "puppetlabs.puppetdb.core", "services", "--config"]);
    command.arg(folder.path("conf.d")).args(["--bootstrap-config", "/etc/puppetdb/bootstrap.cfg", "--restart-file"]);
    command.arg(folder.write("restarts", "0"));
    Process::start("PuppetDB", &mut command)
}

/// What it tells goes to where the test can show it.
const LOGGING: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%-5p [%c{2}] %m%n</pattern></encoder></appender>
  <root level="info"><appender-ref ref="OUT"/></root>
</configuration>
"#;

/// Everybody who reaches it may do everything.
const AUTHORIZATION: &str = r#"authorization: {version: 1, rules: [
  {match-request: {path: "/", type: path}, allow-unauthenticated: true, sort-order: 500, name: "all"}
]}
"#;

/// Waits until it does what it is for; false when it ends before.
async fn is_ready(server: &mut Process, port: u16) -> bool {
    let url = format!("http://127.0.0.1:{port}/status/v1/services/puppetdb-status");
    let look = async || {
        if server.exited().is_some() {
            return Ok(false);
        }
        let status = get(&url).await.ok().and_then(|(_, body)| serde_json::from_str::<Value>(&body).ok());
        if status.is_some_and(|status| status["state"] == "running") { Ok(true) } else { Err(server.log()) }
    };
    eventually_ok(START, "PuppetDB is ready", look).await
}
