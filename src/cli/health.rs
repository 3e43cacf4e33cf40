//! `rosterd health`: asks a running rosterd how it is, as a HEALTHCHECK does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rosterd_client::{Client, HttpClientConfig, Options, Request, Url};
use rosterd_model::bare_url;

use super::Error;
use super::exit::{Failure, tell};
use super::flags::{duration, system};
use crate::web::DEFAULT_PORT;

/// What is read of an answer at most, to be shown.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Ask a running rosterd whether it is healthy.
///
/// Exits with 0 when it answers that it is, and with 1 when it answers otherwise, or not in time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where it listens, with its route prefix
    #[arg(long, value_name = "URL", default_value_t = format!("http://127.0.0.1:{DEFAULT_PORT}"))]
    url: String,
    /// Ask whether it is ready: whether all providers have reported, or have had the time to
    #[arg(long)]
    ready: bool,
    /// How long an answer may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    timeout: Duration,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// A file of HTTP client settings, such as basic_auth and tls_config
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let url = url(args)?;
    let mut settings = match &args.http_config_file {
        Some(path) => settings(path)?,
        None => HttpClientConfig::default(),
    };
    settings.tls_config.insecure_skip_verify |= args.insecure;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let answer = runtime.block_on(ask(url, &settings, args.timeout))?;
    writeln!(std::io::stdout(), "{}", answer.trim_end()).map_err(Failure::of_output)
}

fn url(args: &Args) -> Result<Url, Error> {
    let wrong = |reason: String| Error::InvalidUrl { url: bare_url(&args.url).into_owned(), reason };
    let mut url = Url::parse(&args.url).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the scheme has to be http or https".to_owned()));
    }
    let path = format!("{}/-/{}", url.path().trim_end_matches('/'), if args.ready { "ready" } else { "healthy" });
    url.set_path(&path);
    Ok(url)
}

fn settings(path: &Path) -> Result<HttpClientConfig, Error> {
    let wrong = |reason: String| Error::ClientSettings { path: path.to_owned(), reason };
    let content = rosterd_tasks::files::read_document(path).map_err(|error| wrong(error.to_string()))?;
    let mut settings: HttpClientConfig =
        rosterd_yaml::load(path, &content).map_err(|problems| wrong(problems.to_string()))?;
    if let [problem, ..] = &settings.check()[..] {
        return Err(wrong(format!("{}: {}", problem.path, problem.message)));
    }
    settings.resolve_paths(path.parent().unwrap_or(Path::new("")));
    Ok(settings)
}

async fn ask(url: Url, settings: &HttpClientConfig, timeout: Duration) -> Result<String, Failure> {
    let client =
        Client::new(settings, Options { timeout, name: "health".to_owned(), system: system(), ..Options::default() })?;
    let mut response = client.send(Request::get(url)).await?;
    let mut body = Vec::new();
    response.read_into(&mut body, Some(LONGEST_ANSWER)).await?;
    let text = String::from_utf8_lossy(&body).into_owned();
    if !response.status().is_success() {
        // The answer tells more than the status: which providers are missing, say.
        tell(text.trim_end());
        return Err(response.status_error().into());
    }
    Ok(text)
}
