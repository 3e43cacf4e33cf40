//! The pages in a real browser: what a person sees, does and hears read, on a desk and on a phone, by day and by night.

mod driver;
mod pages;

use std::path::Path;
use std::process::Command;

use rosterd_testkit::{Folder, Server};

/// A running rosterd.
async fn rosterd(config: &Path) -> Server {
    let (config, data) = (config.to_owned(), Folder::new());
    let storage = data.path(Server::DATA);
    Server::start("rosterd", "/-/ready", data, move |port| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command
            .arg("run")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    })
    .await
}
