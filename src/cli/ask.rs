//! How subcommands ask a running rosterd: the flags that say where it is and as whom it is asked, and one question with its
//! answer. What is asked, and what is made of an answer, is their business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, Response, Url, shown};
use rosterd_model::{Report, bare_url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::Error;
use super::exit::{Failure, tell};
use super::flags::{duration, system};
use super::print::{plain, plain_lines};
use crate::web::DEFAULT_PORT;

/// What is read of an error at most, to be shown.
const LONGEST_ERROR: u64 = 64 << 10;
/// How long a text is that is shown as a whole, and how much is shown of what somebody else answers: it may be a page of a proxy.
const LONGEST_TEXT: usize = 8 << 10;
const SHOWN: usize = 200;
/// What is read of an answer at most: all targets of a large roster are fewer.
const LONGEST_ANSWER: u64 = 1 << 30;

/// The time for an answer that goes on for as long as somebody reads it.
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 3600);

/// A running rosterd, and how it is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Running {
    /// Where it listens, with its route prefix
    #[arg(long, value_name = "URL", default_value_t = format!("http://127.0.0.1:{DEFAULT_PORT}"))]
    url: String,
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

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'q> {
    method: Method,
    path: &'q str,
    parameters: Vec<(&'q str, String)>,
}

impl<'q> Question<'q> {
    /// What there is at a path below the route prefix, which begins with a slash.
    pub(super) fn get(path: &'q str) -> Self {
        Self { method: Method::GET, path, parameters: Vec::new() }
    }

    /// That something be done.
    pub(super) fn post(path: &'q str) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// The same with a parameter, unless it has no value.
    pub(super) fn with(mut self, name: &'q str, value: Option<impl ToString>) -> Self {
        self.parameters.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// The form of answers of the API.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    /// What a person should know besides.
    #[serde(default)]
    infos: Vec<String>,
}

impl Running {
    /// The answer as text. An error that it answers is the failure of this.
    pub(super) fn text(&self, question: &Question<'_>) -> Result<String, Failure> {
        let url = self.url_of(question)?;
        let client = self.client()?;
        let body = runtime()?.block_on(async {
            let response = send(&client, url, question, None).await?;
            Ok::<_, Failure>(response.body(Some(LONGEST_ANSWER)).await?)
        })?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Hands out the lines of an answer as they come, however long it goes on, until one fails or there are no more. An answer that
    /// says nothing for `silence` is over, too: who is gone may not have said so.
    pub(super) fn lines(
        &self,
        question: &Question<'_>,
        silence: Duration,
        mut see: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let url = self.url_of(question)?;
        let client = self.client()?;
        runtime()?.block_on(async {
            let asked = shown(&url);
            let late = |after: Duration| ClientError::Timeout { url: asked.clone(), after };
            let answer = timeout(self.timeout, send(&client, url, question, Some(UNLIMITED))).await;
            let mut response = answer.map_err(|_| late(self.timeout))??;
            let mut rest = Vec::new();
            while let Some(chunk) = timeout(silence, response.chunk()).await.map_err(|_| late(silence))?? {
                rest.extend_from_slice(&chunk);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    see(String::from_utf8_lossy(&line).trim_end())?;
                }
            }
            Ok(())
        })
    }

    /// Waits before it is asked again.
    pub(super) fn pause(&self, pause: Duration) -> Result<(), Failure> {
        runtime()?.block_on(async { tokio::time::sleep(pause).await });
        Ok(())
    }

    /// The `data` of an answer of the API.
    pub(super) fn data<T: DeserializeOwned>(&self, question: &Question<'_>) -> Result<T, Failure> {
        self.data_with_infos(question).map(|(data, _)| data)
    }

    /// The same, and what the answer says that a person should know besides.
    pub(super) fn data_with_infos<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
    ) -> Result<(T, Vec<String>), Failure> {
        let answer: Result<Envelope<T>, _> = serde_json::from_str(&self.text(question)?);
        match answer {
            Ok(Envelope { data, infos }) => Ok((data, infos)),
            Err(source) => Err(self.unexpected(question, source)),
        }
    }

    /// What was answered is not what rosterd answers.
    pub(super) fn unexpected(&self, question: &Question<'_>, source: serde_json::Error) -> Failure {
        match self.url_of(question) {
            Ok(url) => Error::UnexpectedAnswer { url: shown(&url), source }.into(),
            Err(error) => error.into(),
        }
    }

    fn url_of(&self, question: &Question<'_>) -> Result<Url, Error> {
        let wrong = |reason: String| Error::InvalidUrl { url: bare_url(&self.url).into_owned(), reason };
        let mut url = Url::parse(&self.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the scheme has to be http or https".to_owned()));
        }
        url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), question.path));
        if !question.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&question.parameters);
        }
        Ok(url)
    }

    fn client(&self) -> Result<Client, Failure> {
        let mut settings = match &self.http_config_file {
            Some(path) => settings(path)?,
            None => HttpClientConfig::default(),
        };
        settings.tls_config.insecure_skip_verify |= self.insecure;
        let options = Options { timeout: self.timeout, name: "ask".to_owned(), system: system(), ..Options::default() };
        Ok(Client::new(&settings, options)?)
    }
}

fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(|source| Error::Runtime { source })
}

/// The file of `--http.config.file`.
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

/// Asks, and returns an answer that is a success.
async fn send(
    client: &Client,
    url: Url,
    question: &Question<'_>,
    timeout: Option<Duration>,
) -> Result<Response, Failure> {
    let request = Request { method: question.method.clone(), timeout, ..Request::get(url) };
    let response = client.send(request).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let error = response.status_error();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_text = kind.is_some_and(|kind| kind.starts_with("text/plain"));
    let body = response.body(Some(LONGEST_ERROR)).await?;
    if let Ok(report) = serde_json::from_slice::<Report>(&body) {
        // It answers with an error of its own, whose code says more than the status.
        return Err(Failure::Untold(report));
    }
    // The answer tells more than the status: which providers are missing, say. Who asks again and again is told by the status alone.
    if timeout.is_none()
        && let Some(told) = told(is_text, &String::from_utf8_lossy(&body))
    {
        tell(told);
    }
    Err(error.into())
}

/// What is shown of an answer that is no error of ours: all of a text; of anything else, as the page of a proxy, its first line.
fn told(is_text: bool, body: &str) -> Option<String> {
    let body = body.trim();
    if is_text && body.len() <= LONGEST_TEXT {
        return Some(plain_lines(body).into_owned()).filter(|told| !told.is_empty());
    }
    let first = body.lines().next()?.trim_end();
    let shown = &first[..first.floor_char_boundary(SHOWN)];
    let more = if shown.len() < body.len() { "…" } else { "" };
    Some(format!("{}{more}", plain(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(url: &str) -> Running {
        Running { url: url.to_owned(), timeout: Duration::from_secs(1), insecure: false, http_config_file: None }
    }

    #[test]
    fn of_a_page_of_a_proxy_the_beginning_is_shown_and_of_our_words_all() {
        assert_eq!(told(true, "not ready:\n- a\n").as_deref(), Some("not ready:\n- a"));
        assert_eq!(told(true, &"x\n".repeat(9000)).as_deref(), Some("x…"));
        let page = format!("\n<html>\x1b[2J{}\n<body>", "é".repeat(500));
        let shown = told(false, &page).unwrap();
        assert!(shown.starts_with("<html>\\u{1b}[2Jé") && shown.ends_with("é…") && shown.len() < 220, "{shown}");
        assert_eq!(told(false, "Bad Gateway").as_deref(), Some("Bad Gateway"));
        assert_eq!((told(true, " \n"), told(false, "")), (None, None));
    }

    #[test]
    fn a_question_is_asked_below_the_route_prefix_with_the_parameters_that_have_values() {
        let question = Question::get("/api/v1/x").with("q", Some("{a=\"b c\"}")).with("limit", None::<u32>);
        for (url, asked) in [
            ("http://h:1", "http://h:1/api/v1/x?q=%7Ba%3D%22b+c%22%7D"),
            ("https://h/below/", "https://h/below/api/v1/x?q=%7Ba%3D%22b+c%22%7D"),
        ] {
            assert_eq!(running(url).url_of(&question).unwrap().to_string(), asked);
        }
        let none = Question::get("/-/healthy").with("limit", None::<u32>);
        assert_eq!(running("http://h:1/").url_of(&none).unwrap().to_string(), "http://h:1/-/healthy");
    }
}
