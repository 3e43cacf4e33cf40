//! The real binary, from outside: what it prints, and how it ends.

mod asking;
mod brake;
mod check;
mod discover;
#[cfg(feature = "default")]
mod everything;
mod health;
mod journal;
mod pages;
mod parse;
mod relabel;
mod restarts;
mod rewritten;
mod run;
#[cfg(not(any(feature = "exec", feature = "kubernetes")))]
mod small_build;
mod sources;
mod targets;

use std::fs::File;
use std::process::{Command, Stdio};

use rosterd_testkit::{Folder, testdata};

/// The binary, started in `testdata/cli`, with nothing on standard input.
fn rosterd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    command.args(arguments).current_dir(testdata("cli")).stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    status: Option<i32>,
    output: String,
    errors: String,
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("rosterd writes UTF-8");
    Ended { status: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

fn run(arguments: &[&str]) -> Ended {
    ended(&mut rosterd(arguments))
}

fn run_with_input(arguments: &[&str], input: &str) -> Ended {
    let folder = Folder::new();
    let input = File::open(folder.write("input", input)).expect("the file was just written");
    ended(rosterd(arguments).stdin(input))
}
