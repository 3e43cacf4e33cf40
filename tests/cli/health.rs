//! `rosterd health`.

use rosterd_testkit::{Folder, Process, ScriptedServer, Step, free_address, leak_checked_live};

use super::{rosterd, run};

/// Asks a server that answers like this, and checks the exit status and what is printed.
fn asked(prefix: &str, arguments: &[&str], answer: Step, status: i32, printed: &str) {
    leak_checked_live(async || {
        let server = ScriptedServer::start([answer.clone()]).await;
        let url = server.url(prefix);
        let mut process = Process::start("rosterd health", rosterd(&["health", "--url", &url]).args(arguments));
        let ended = process.wait().await;
        assert_eq!((ended.code(), process.log().contains(printed)), (Some(status), true), "{}", process.log());
        server.finish().await;
    });
}

#[test]
fn a_healthy_server_is_healthy() {
    asked("", &[], Step::get("/-/healthy").body("all is well\n"), 0, "all is well");
}

#[test]
fn readiness_is_asked_below_the_prefix() {
    asked("/prefix/", &["--ready"], Step::get("/prefix/-/ready").body("yes"), 0, "yes");
}

#[test]
fn who_is_not_ready_says_why() {
    let answer = Step::get("/-/ready").status(503).body("file/1 has not reported");
    asked("", &["--ready"], answer.clone(), 1, "file/1 has not reported");
    leak_checked_live(async || {
        let server = ScriptedServer::start([answer.clone()]).await;
        let mut process =
            Process::start("rosterd health", &mut rosterd(&["health", "--ready", "--url", &server.url("")]));
        process.wait().await;
        assert!(!process.log().contains("error"), "nothing failed but to be ready: {}", process.log());
        server.finish().await;
    });
}

#[test]
fn credentials_come_from_a_file_of_client_settings() {
    let folder = Folder::new();
    let file = folder.write("client.yml", "basic_auth: {username: a, password_file: secret}");
    folder.write("secret", "b");
    let answer = Step::get("/-/healthy").with_header("authorization", "Basic YTpi").body("yes");
    asked("", &["--http.config.file", file.to_str().expect("folders have plain names")], answer, 0, "yes");
    let bad = folder.write("bad.yml", "basic_auth: {user: a}");
    let ended = run(&["health", "--http.config.file", bad.to_str().expect("folders have plain names")]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.errors.contains("cli_client_settings_invalid"), "{}", ended.errors);
}

#[test]
fn nobody_there_is_not_healthy() {
    let address = free_address();
    let url = format!("http://{address}");
    let ended = run(&["health", "--url", &url]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""));
    assert!(ended.errors.starts_with("error: ") && ended.errors.contains(&url), "{}", ended.errors);
}

#[test]
fn a_url_that_cannot_be_asked_is_a_mistake_on_the_command_line() {
    for url in ["127.0.0.1:9090", "ftp://x"] {
        let ended = run(&["health", "--url", url]);
        assert_eq!(ended.status, Some(2), "{}", ended.errors);
        assert!(ended.errors.contains("cli_invalid_url"), "{}", ended.errors);
    }
}
