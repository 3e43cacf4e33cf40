//! `rosterd man`: manual pages.

pub(super) mod chapters;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::roff::{Roff, bold, roman};

use self::chapters::Chapters;
use super::Error;
use super::exit::{FAILED, Failure, OK, USAGE};

/// Print the manual page, or write one for each subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write rosterd.1 and a page for each subcommand into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut command = super::command();
    // Sets the full name of each subcommand.
    command.build();
    match &args.out {
        None => std::io::stdout().write_all(&page(&command, "rosterd")).map_err(Failure::of_output),
        Some(folder) => {
            let failed = |source| Error::Write { path: folder.clone(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
            Ok(write(&command, "rosterd", folder)?)
        }
    }
}

fn write(command: &Command, name: &str, folder: &Path) -> Result<(), Error> {
    let path = folder.join(format!("{}.1", name.replace(' ', "-")));
    std::fs::write(&path, page(command, name)).map_err(|source| Error::Write { path, source })?;
    for subcommand in command.get_subcommands() {
        write(subcommand, &format!("{name} {}", subcommand.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Vec<u8> {
    let mut page = Vec::new();
    // Examples have a section of their own.
    let command = command.clone().name(name.replace(' ', "-")).after_long_help(None::<&str>);
    clap_mangen::Man::new(command).render(&mut page).expect("a manual page can be written to memory");
    if let Some(chapters) = chapters::of(name) {
        page.extend_from_slice(sections(chapters).as_bytes());
    }
    page
}

fn sections(Chapters { examples, files, ends: (well, failed) }: &Chapters) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (what, line) in *examples {
        roff.control("PP", []).text([roman(*what)]);
        roff.control("RS", ["4"]).control("nf", []).text([roman(*line)]).control("fi", []).control("RE", []);
    }
    let mut list = |heading, items: &[(&str, &str)]| {
        roff.control("SH", [heading]);
        for (name, meaning) in items {
            roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
        }
    };
    list("FILES", files);
    let [ok, one, usage] = [OK, FAILED, USAGE].map(|status| status.to_string());
    list(
        "EXIT STATUS",
        &[
            (&ok, well),
            (&one, failed),
            (&usage, "The command line cannot be meant: an unknown flag, or a value that the flag does not take."),
            ("128 + n", "Signal n ended the process before it could end in order."),
        ],
    );
    roff.to_roff()
}
