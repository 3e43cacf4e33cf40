//! `rosterd check`.

use std::io::Write;
use std::process::Stdio;

use rosterd_testkit::assert_golden;

use super::{Ended, rosterd, run};

const GOOD: &str = "check/warned.yml: good, 1 job; nothing is scraped, because there is no remote_write\n";

#[test]
fn all_problems_of_a_configuration_are_told_with_their_places() {
    let ended = run(&["check", "config", "check/bad.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""));
    assert_golden("cli/check/bad.golden.txt", &ended.errors);
}

#[test]
fn a_bad_file_does_not_hide_a_good_one() {
    let ended = run(&["check", "config", "check/no-such-file.yml", "check/warned.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), GOOD));
    assert!(ended.errors.contains("check/no-such-file.yml: cannot read the file: "), "{}", ended.errors);
}

#[test]
fn warnings_are_fatal_only_when_that_is_asked_for() {
    let ended = run(&["check", "config", "check/warned.yml"]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.errors.starts_with("warning: check/warned.yml:1:1: rule_files "), "{}", ended.errors);
    let ended = run(&["check", "config", "--fatal-warnings", "check/warned.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""));
}

#[test]
fn files_that_are_named_are_looked_into_and_all_of_it_is_a_list_for_programs() {
    let folder = rosterd_testkit::Folder::new();
    let list = folder.write("list.yml", "- targets: [a:1]\n  labls: {a: b}\n");
    let text = "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [list.yml, none.json]}]\n";
    let file = folder.write("prometheus.yml", text);
    let name = file.to_str().expect("folders have plain names");
    let ended = run(&["check", "config", name]);
    let list = list.display();
    let wanted = format!(
        "{list}:2:3: [0].labls: unknown key `labls` in a target group; did you mean `labels`? (cfg_unknown_key)\n 2 |   labls: {{a: b}}\n   |   ^\n"
    );
    assert!(ended.status == Some(1) && ended.errors.starts_with(&wanted), "{}", ended.errors);
    let ended = run(&["check", "config", "--output=json", name]);
    let told: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["key"]), (&2.into(), &"[0].labls".into()), "{told}");
    let ended = run(&["check", "config", "--syntax-only", name]);
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
}

#[test]
fn a_configuration_may_come_out_of_a_pipe_but_not_out_of_a_device() {
    for subcommand in ["config", "web-config"] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut command = rosterd(&["check", subcommand, "/dev/stdin"]);
        let checking = command.stdin(reader).stdout(Stdio::piped()).spawn().expect("the binary starts");
        drop(command);
        writer.write_all(b"{}\n").expect("it reads");
        drop(writer);
        let output = checking.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stdout.starts_with(b"/dev/stdin: good"), "{output:?}");
        let refused = run(&["check", subcommand, "/dev/zero"]);
        assert!(refused.errors.contains("it is a device, not a file"), "{}", refused.errors);
    }
}

#[test]
fn web_configurations_are_checked() {
    let ended = run(&["check", "web-config", "check/web-bad.yml", "check/web-good.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), "check/web-good.yml: good, without TLS\n"));
    assert_golden("cli/check/web-bad.golden.txt", &ended.errors);
    let output = "check/web-good.yml: good, without TLS\n".to_owned();
    let good = Ended { status: Some(0), output, errors: String::new() };
    assert_eq!(run(&["check", "web-config", "check/web-good.yml"]), good);
}

#[test]
fn a_command_line_that_cannot_be_meant_has_a_status_of_its_own() {
    for (arguments, hint) in [
        (&["--agent", "--config.file=x"][..], "rosterd is always an agent: leave --agent out"),
        (&["run", "--storage.agent.path=x"], "is set by --storage.path"),
        (&["--config.file=x"], "put `run` in front of it"),
        (&["run", "--storage.tsdb.retention.time=1d"], "rosterd stores no series"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}");
        assert!(ended.errors.contains(hint), "{}", ended.errors);
    }
    for arguments in [&["check", "config"][..], &["check", "config", "--no-such-flag", "x"], &["chekc"], &[]] {
        let ended = run(arguments);
        assert_eq!((ended.status, ended.output.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.errors.contains("Usage: rosterd"), "{}", ended.errors);
    }
}
