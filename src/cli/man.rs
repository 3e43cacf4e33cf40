//! `rosterd man`: manual pages.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Command;

use super::Error;
use super::exit::Failure;

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
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name)).map_err(|source| Error::Write { path, source })?;
    for subcommand in command.get_subcommands() {
        write(subcommand, &format!("{name}-{}", subcommand.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Vec<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.to_owned()))
        .render(&mut page)
        .expect("a manual page can be written to memory");
    page
}
