//! What manual pages and help say besides flags: examples, files and exit statuses of each subcommand.

/// What there is to say of a subcommand.
#[derive(Debug)]
pub(in crate::cli) struct Chapters {
    /// What a line of a shell does, and the line.
    pub(in crate::cli) examples: &'static [(&'static str, &'static str)],
    /// Files, and what they are to it.
    pub(in crate::cli) files: &'static [(&'static str, &'static str)],
    /// What a success and a failure are.
    pub(in crate::cli) ends: (&'static str, &'static str),
}

const CONFIGURATION: (&str, &str) = (
    "prometheus.yml",
    "The configuration, in the format of Prometheus, with the files that it names. --config.file names another one.",
);
const CLIENT_FILE: (&str, &str) =
    ("FILE", "With --http.config.file: HTTP client settings as in a scrape_config, such as basic_auth.");
const WENT_WELL: &str = "All went well; also when whoever reads the output stops reading.";

/// Of a subcommand by its full name.
pub(in crate::cli) fn of(name: &str) -> Option<&'static Chapters> {
    Some(match name {
        "rosterd" => &Chapters {
            examples: &[
                ("See whether a configuration is good:", "rosterd check config prometheus.yml"),
                ("See what it discovers:", "rosterd discover --config.file=prometheus.yml"),
                ("Run it:", "rosterd run --config.file=prometheus.yml --storage.path=/var/lib/rosterd"),
                ("Read what an error means:", "rosterd errors cfg_unknown_key"),
            ],
            files: &[CONFIGURATION],
            ends: (WENT_WELL, "Something failed, or a check found problems."),
        },
        "rosterd run" => &Chapters {
            examples: &[
                (
                    "Scrape, send and serve by the configuration of a Prometheus agent:",
                    "rosterd run --config.file=/etc/prometheus/prometheus.yml --storage.path=/var/lib/rosterd",
                ),
                (
                    "Serve targets, and keep rosterd's own settings out of a file that Prometheus reads too:",
                    "rosterd run --config.file=/etc/prometheus/prometheus.yml --rosterd.config.file=/etc/rosterd/rosterd.yml",
                ),
                ("Follow changes of the configuration by itself:", "rosterd run --config.auto-reload"),
            ],
            files: &[
                CONFIGURATION,
                (
                    "data/",
                    "What outlives the process: discovered targets and waiting samples. --storage.path names another folder.",
                ),
            ],
            ends: (
                "It was stopped and ended in order.",
                "It could not start, or could not go on, or did not end in time. The log says why.",
            ),
        },
        "rosterd check" => &Chapters {
            examples: &[
                ("Check a configuration:", "rosterd check config prometheus.yml"),
                ("Check a web configuration:", "rosterd check web-config web.yml"),
            ],
            files: &[("FILE", "The files to check, and those that they name.")],
            ends: ("All files are good.", "A file has problems."),
        },
        "rosterd check config" => &Chapters {
            examples: &[
                ("Tell all that is wrong, with places:", "rosterd check config prometheus.yml"),
                (
                    "Gate a change, with a list of the problems for another program:",
                    "rosterd check config --fatal-warnings --output=json prometheus.yml",
                ),
                (
                    "Check a configuration whose lists and credentials are on another machine:",
                    "rosterd check config --syntax-only prometheus.yml",
                ),
            ],
            files: &[(
                "FILE",
                "The configurations to check, in the format of Prometheus, and the files that they name.",
            )],
            ends: ("All files are good.", "A file has problems or, with --fatal-warnings, warnings."),
        },
        "rosterd check web-config" => &Chapters {
            examples: &[("Check a file for --web.config.file:", "rosterd check web-config web.yml")],
            files: &[("FILE", "The web configurations to check, and the certificates that they name.")],
            ends: ("All files are good.", "A file has problems."),
        },
        "rosterd discover" => &Chapters {
            examples: &[
                ("See the targets of one job:", "rosterd discover --config.file=prometheus.yml --job=nodes"),
                ("Count them:", "rosterd discover --output=json | jq length"),
                ("See what relabelling has to work with:", "rosterd discover --groups --output=json | jq -c '.[]'"),
            ],
            files: &[CONFIGURATION],
            ends: (
                "All providers have reported, and all sources were read.",
                "A provider has not reported in time, a source could not be read, or a job has more targets than it may.",
            ),
        },
        "rosterd relabel" => &Chapters {
            examples: &[
                (
                    "Try rules on a label set:",
                    "echo '{\"__address__\": \"a:9100\"}' | rosterd relabel --config rules.yml",
                ),
                (
                    "See why a job drops what is discovered:",
                    "rosterd discover --groups --output=json | jq -c '.[] | .labels as $l | .targets[] | $l + .' | rosterd relabel --config prometheus.yml --job nodes --explain",
                ),
            ],
            files: &[("FILE", "A list of relabelling rules or, with --job, a configuration.")],
            ends: (
                "Every line of the input was answered, whatever became of its labels.",
                "The rules have problems, or a line of the input is no label set.",
            ),
        },
        "rosterd parse" => &Chapters {
            examples: &[
                ("See what a scrape reads:", "curl -s http://localhost:9100/metrics | rosterd parse"),
                (
                    "The same in the format of OpenMetrics:",
                    "curl -s -H 'Accept: application/openmetrics-text' http://localhost:9100/metrics | rosterd parse --format=openmetrics",
                ),
            ],
            files: &[("standard input", "The exposition. No file is read.")],
            ends: (WENT_WELL, "The exposition has a fault, which is named with its place."),
        },
        "rosterd health" => &Chapters {
            examples: &[
                ("Ask the rosterd on this machine:", "rosterd health"),
                (
                    "Ask one with TLS whether it knows its targets:",
                    "rosterd health --ready --url=https://rosterd.example:8395 --http.config.file=client.yml",
                ),
            ],
            files: &[CLIENT_FILE],
            ends: ("It is healthy or, with --ready, ready.", "It is not, or does not answer in time."),
        },
        "rosterd targets" => &Chapters {
            examples: &[
                ("List all targets of the rosterd on this machine:", "rosterd targets"),
                ("List those of one job that are down, and why:", "rosterd targets --job=nodes --health=down"),
                ("Count those with a label:", "rosterd targets '{env=\"prod\"}' -o json | jq length"),
            ],
            files: &[CLIENT_FILE],
            ends: ("The targets were listed, also if there are none.", "rosterd does not answer, or not as it should."),
        },
        "rosterd top" => &Chapters {
            examples: &[
                ("See which targets have the most samples:", "rosterd top"),
                ("See which of a job take longest:", "rosterd top --by=duration --job=nodes --limit=5"),
            ],
            files: &[CLIENT_FILE],
            ends: ("What costs most was told.", "rosterd does not answer, or not as it should."),
        },
        "rosterd explain" => &Chapters {
            examples: &[
                ("See why a target is there, or is not:", "rosterd explain 10.0.3.7:9100"),
                ("Ask by labels, in one job:", "rosterd explain --job=nodes '{__meta_kubernetes_pod_name=\"web-0\"}'"),
                (
                    "See which rules dropped it:",
                    "rosterd explain 10.0.3.7 -o json | jq '.found[].trace.steps[] | select(.kept | not)'",
                ),
            ],
            files: &[CLIENT_FILE],
            ends: ("Something that fits was found.", "Nothing fits, or rosterd does not answer."),
        },
        "rosterd journal" => &Chapters {
            examples: &[
                ("See what happened to a target:", "rosterd journal 10.0.3.7:9100"),
                (
                    "See what came and went in a job lately:",
                    "rosterd journal --job=node --kind=added,removed --from=2h",
                ),
                ("Follow what happens:", "rosterd journal --follow '{env=\"prod\"}'"),
            ],
            files: &[CLIENT_FILE],
            ends: (WENT_WELL, "rosterd does not answer in time, or has no journal."),
        },
        "rosterd roster" => &Chapters {
            examples: &[
                ("See the targets of a job as they were:", "rosterd roster --job=node --at=2026-11-24T03:12:00Z"),
                ("See what changed since:", "rosterd roster --job=node --at=2026-11-24T03:12:00Z --diff=now"),
            ],
            files: &[CLIENT_FILE],
            ends: (WENT_WELL, "rosterd does not answer in time, or its journal does not go back so far."),
        },
        "rosterd operations" => &Chapters {
            examples: &[
                ("See what is under way, and what became of the rest:", "rosterd operations"),
                (
                    "See why a file is not rendered:",
                    "rosterd operations --state=failed template:/etc/haproxy/haproxy.cfg",
                ),
            ],
            files: &[CLIENT_FILE],
            ends: (WENT_WELL, "rosterd does not answer, or not as it should."),
        },
        "rosterd cluster" => &Chapters {
            examples: &[
                ("See how many targets each member has:", "rosterd cluster"),
                ("The same for a program:", "rosterd cluster --output=json"),
            ],
            files: &[CLIENT_FILE],
            ends: ("They are listed; also when this one is alone.", "rosterd does not answer, or not as it should."),
        },
        "rosterd brake" => &Chapters {
            examples: &[
                ("See of which jobs a removal is held:", "rosterd brake list"),
                ("Let go of the targets of one:", "rosterd brake release web"),
            ],
            files: &[CLIENT_FILE],
            ends: (WENT_WELL, "rosterd does not answer, or not with a success."),
        },
        "rosterd brake list" => &Chapters {
            examples: &[
                ("See of which jobs a removal is held:", "rosterd brake list"),
                ("The same for a program:", "rosterd brake list --output=json"),
            ],
            files: &[CLIENT_FILE],
            ends: ("They are listed; also when there are none.", "rosterd does not answer, or not with a success."),
        },
        "rosterd brake release" => &Chapters {
            examples: &[("Let go of the targets of a job that are gone indeed:", "rosterd brake release web")],
            files: &[CLIENT_FILE],
            ends: (
                "What was held of the jobs is gone, if anything was.",
                "There is no such job, or rosterd does not answer.",
            ),
        },
        "rosterd errors" => &Chapters {
            examples: &[
                ("Read what an error means and what to do:", "rosterd errors sd_exec_timeout"),
                ("List all codes:", "rosterd errors"),
            ],
            files: &[("docs/errors.md", "The same as a page, in the repository. No file is read.")],
            ends: (WENT_WELL, "The output cannot be written."),
        },
        "rosterd completions" => &Chapters {
            examples: &[
                ("For all users of bash:", "rosterd completions bash > /usr/share/bash-completion/completions/rosterd"),
                ("For this shell:", "source <(rosterd completions bash)"),
            ],
            files: &[("/usr/share/bash-completion/completions/rosterd", "Where bash looks for the script.")],
            ends: (WENT_WELL, "The output cannot be written."),
        },
        "rosterd man" => &Chapters {
            examples: &[
                ("Read the page:", "rosterd man | man -l -"),
                ("Install all pages:", "rosterd man --out=/usr/local/share/man/man1"),
            ],
            files: &[(
                "/usr/local/share/man/man1/",
                "Where man looks for pages; --out writes rosterd.1 and one for each subcommand.",
            )],
            ends: (WENT_WELL, "A page cannot be written."),
        },
        _ => return None,
    })
}
