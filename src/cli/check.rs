//! `rosterd check`: tells all that is wrong with configuration files, and with the files that they name, without using them.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rosterd_config::{Config, LoadOptions, Loaded, Problem, code};
use rosterd_discovery::{Permission, Registry};
use rosterd_model::{Coded, Report, counted};
use serde_json::json;

use super::exit::{Failure, tell};
use super::flags::system;
use super::problems::{Severity, Shown};
use super::rbac::{Account, roles};
use crate::agent::jobs;
use crate::publish::templates::{self, TemplateError};
use crate::web;

/// Check configuration files.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Check {
    Config(ConfigArgs),
    WebConfig(WebConfigArgs),
}

/// Check configurations, such as prometheus.yml, with all files that they include.
///
/// Tells all problems at once, each with file, line, column and code, those of lists for file_sd_configs and of missing
/// credentials and certificates too. Exits with 1 when there is one.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    /// The configuration files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file with rosterd's own settings, to be checked along with each of them
    #[arg(long = "rosterd.config.file", value_name = "FILE")]
    rosterd_config_file: Option<PathBuf>,
    /// Take warnings for problems
    #[arg(long)]
    fatal_warnings: bool,
    /// Allow commands, as `rosterd run` does with this flag
    #[arg(long)]
    enable_exec_sd: bool,
    /// Allow templates to have commands, as `rosterd run` does with this flag
    #[arg(long = "templates.allow-commands")]
    allow_template_commands: bool,
    /// Look at the configuration alone, not at lists, credentials and certificates in other files
    #[arg(long)]
    syntax_only: bool,
    /// Print the Roles of Kubernetes that the configurations need, as YAML for kubectl apply, and nothing else
    #[arg(long, conflicts_with = "output")]
    rbac: bool,
    /// The service account that rosterd runs as, to which --rbac binds the Roles
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "monitoring/rosterd")]
    rbac_service_account: Account,
    /// How to tell what was found
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people, on standard error
    Text,
    /// An object a configuration with its problems and warnings, on standard output
    Json,
}

/// Check files for --web.config.file, with the certificates that they name.
#[derive(Debug, clap::Args)]
pub(super) struct WebConfigArgs {
    /// The web configuration files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(what: Check) -> Result<(), Failure> {
    let all_good = match what {
        Check::Config(args) => {
            let registry = Registry::linked()?;
            let mut permissions = Vec::new();
            let all_good = all(&args.files, |file| config(file, &args, &registry, &mut permissions))?;
            if all_good && args.rbac {
                let roles = roles(&permissions, &args.rbac_service_account);
                let roles = roles.map_err(|error| Failure::of_output(std::io::Error::other(error)))?;
                write!(std::io::stdout(), "{roles}").map_err(Failure::of_output)?;
            }
            all_good
        }
        Check::WebConfig(args) => all(&args.files, web_config)?,
    };
    if all_good { Ok(()) } else { Err(Failure::Told) }
}

/// Checks all files, whatever the first one is like.
fn all(files: &[PathBuf], mut check: impl FnMut(&Path) -> Result<bool, Failure>) -> Result<bool, Failure> {
    files.iter().try_fold(true, |good, file| Ok(check(file)? && good))
}

fn config(
    file: &Path,
    args: &ConfigArgs,
    registry: &Registry,
    permissions: &mut Vec<Permission>,
) -> Result<bool, Failure> {
    let system = system();
    let env = |name: &str| system.environment().get(name).map(str::to_owned);
    let options = LoadOptions {
        allow_exec: args.enable_exec_sd,
        allow_template_commands: args.allow_template_commands,
        examine: !args.syntax_only,
        impossible: Some(&jobs::impossible),
        template: (!args.syntax_only).then_some(&template),
        env: &env,
    };
    let loaded = Config::load(file, args.rosterd_config_file.as_deref(), registry, &options);
    let (problems, warnings, content) = match loaded {
        Ok(loaded) => {
            let content = content(&loaded);
            let providers = loaded.config.scrape_configs.iter().flat_map(|job| &job.discovery);
            permissions.extend(providers.flat_map(|one| one.permissions(&args.rbac_service_account.namespace)));
            (Vec::new(), loaded.warnings, content)
        }
        Err(refused) => (refused.problems, refused.warnings, String::new()),
    };
    let wrong = problems.len() + if args.fatal_warnings { warnings.len() } else { 0 };
    if args.output == Output::Json {
        let found = json!({"file": file.display().to_string(), "problems": problems, "warnings": warnings});
        return say(&found.to_string()).map(|_| wrong == 0);
    }
    let mut shown = Shown::on_stderr(&system);
    warnings.iter().for_each(|warning| tell(shown.show(Severity::Warning, warning)));
    problems.iter().for_each(|problem| tell(shown.show(Severity::Problem, problem)));
    if args.rbac && wrong == 0 { Ok(true) } else { conclude(file, wrong, &content) }
}

/// What is wrong with the file of a template.
fn template(source: &Path) -> Option<Problem> {
    Some(match templates::examine(source).err()? {
        TemplateError::Render { path, line, why } => {
            let column = usize::from(line > 0);
            Problem { line, column, ..Problem::of_file(&path, code::INVALID_TEMPLATE, why) }
        }
        TemplateError::Unreadable { path, source } => Problem::unreadable(&path, &source),
        error => Problem::of_file(source, error.code(), Report::of(&error).to_string()),
    })
}

/// What a good configuration amounts to.
fn content(loaded: &Loaded) -> String {
    let jobs = counted(loaded.config.scrape_configs.len(), "job");
    let is_told = loaded.warnings.iter().any(|warning| warning.code == code::NOT_SCRAPED);
    match loaded.config.why_idle().filter(|_| !is_told) {
        Some(why) => format!("{jobs}; nothing is scraped, because {why}"),
        None => jobs,
    }
}

/// Whether the file is good.
fn conclude(file: &Path, problems: usize, content: &str) -> Result<bool, Failure> {
    let file = file.display();
    match problems {
        0 => return say(&format!("{file}: good, {content}")),
        count => tell(format_args!("{file}: {}", counted(count, "problem"))),
    }
    Ok(false)
}

fn say(line: &str) -> Result<bool, Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::of_output)?;
    Ok(true)
}

fn web_config(file: &Path) -> Result<bool, Failure> {
    match web::load_once(file) {
        Ok(loaded) => {
            return say(&format!(
                "{}: good, {} TLS",
                file.display(),
                if loaded.has_tls() { "with" } else { "without" }
            ));
        }
        Err(web::Error::Malformed { source, .. } | web::Error::Invalid { source, .. }) => {
            let mut shown = Shown::on_stderr(&system());
            source.0.iter().for_each(|problem| tell(shown.show(Severity::Problem, problem)));
        }
        Err(error) => {
            let report = Report::of(&error);
            tell(format_args!("{report} ({})", report.code));
        }
    }
    Ok(false)
}
