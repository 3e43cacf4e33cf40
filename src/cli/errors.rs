//! `rosterd errors`: what the documentation says of an error. The page of the documentation is the only source.

use std::io::{BufWriter, Write, stdout};

use rosterd_model::nearest;

use super::Error;
use super::exit::Failure;

/// The page, as it was when rosterd was built.
const PAGE: &str = include_str!("../../docs/errors.md");

/// How many codes are suggested for one that does not exist.
const SUGGESTED: usize = 5;

/// Tell what an error means and what to do about it.
///
/// Every error of rosterd has a code, which stands behind its message, in logs (code=...) and in answers over HTTP. Without
/// a code, all are listed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The codes, such as cfg_unknown_key
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
}

/// A row of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The heading above it.
    part: &'static str,
    code: &'static str,
    meaning: String,
    remedy: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let entries = entries();
    let text = if args.codes.is_empty() {
        list(&entries)
    } else {
        let told: Result<Vec<_>, Error> = args.codes.iter().map(|code| Ok(explain(find(&entries, code)?))).collect();
        told?.join("\n")
    };
    let mut out = BufWriter::new(stdout().lock());
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::of_output)
}

/// All rows, in the order of the page.
fn entries() -> Vec<Entry> {
    let (mut entries, mut part) = (Vec::new(), "");
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            part = heading;
        }
        let cells = line.strip_prefix("| `").and_then(|row| row.strip_suffix(" |")?.split_once("` | "));
        if let Some((code, (meaning, remedy))) = cells.and_then(|(code, rest)| Some((code, rest.split_once(" | ")?))) {
            entries.push(Entry { part, code, meaning: plain(meaning), remedy: plain(remedy) });
        }
    }
    entries
}

/// Text without the links of Markdown: what a link leads to stands behind its words.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, (words, (target, after)))) = rest.split_once('[').and_then(|(before, link)| {
        let (words, link) = link.split_once("](")?;
        Some((before, (words, link.split_once(')')?)))
    }) {
        let target = if target.starts_with('#') { format!("errors.md{target}") } else { target.to_owned() };
        text += &format!("{before}{words} (docs/{target})");
        rest = after;
    }
    text + rest
}

fn find<'e>(entries: &'e [Entry], written: &str) -> Result<&'e Entry, Error> {
    // As it stands in a message, or in the log.
    let code = written.trim_matches(['(', ')', '"', '`']).trim_start_matches("code=").to_lowercase();
    let found = entries.iter().find(|entry| entry.code == code);
    found.ok_or_else(|| Error::UnknownCode { code: written.to_owned(), near: near(entries, &code) })
}

/// Codes that may have been meant: the nearest one, those that have the text in them, and those of the same beginning.
fn near(entries: &[Entry], code: &str) -> Vec<&'static str> {
    let codes = || entries.iter().map(|entry| entry.code);
    let beginning: String = code.split_inclusive('_').take(2).collect();
    let same = |known: &&str| beginning.matches('_').count() == 2 && known.starts_with(&beginning);
    let mut near: Vec<&'static str> = nearest(code, codes()).into_iter().collect();
    for known in codes().filter(|known| !code.is_empty() && known.contains(code)).chain(codes().filter(same)) {
        if !near.contains(&known) {
            near.push(known);
        }
    }
    near.truncate(SUGGESTED);
    near
}

fn list(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.code.len()).max().unwrap_or_default();
    entries.iter().map(|Entry { code, meaning, .. }| format!("{code:width$}  {meaning}\n")).collect()
}

fn explain(Entry { part, code, meaning, remedy }: &Entry) -> String {
    format!("{code} ({part})\n\n{meaning}\n\nWhat to do: {remedy}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_page_is_read() {
        let entries = entries();
        // Other tests see that the page has a row for each code.
        assert_eq!(entries.len(), PAGE.lines().filter(|line| line.starts_with("| `")).count());
        for entry in &entries {
            let Entry { part, code, meaning, remedy } = entry;
            assert!(![part, code, meaning.as_str(), remedy.as_str()].contains(&""), "{entry:?}");
            assert!(!explain(entry).contains("]("), "{entry:?}");
        }
    }

    #[test]
    fn links_say_where_they_lead() {
        let text = "See [rules](configuration.md#relabel_configs) and [x](#http-client).";
        assert_eq!(
            plain(text),
            "See rules (docs/configuration.md#relabel_configs) and x (docs/errors.md#http-client)."
        );
        assert_eq!(plain("a list, `[a]`, and (b)"), "a list, `[a]`, and (b)");
    }

    #[test]
    fn a_code_is_found_as_it_is_copied_and_others_suggest_near_ones() {
        let entries = entries();
        for written in ["sd_malformed", "(sd_malformed)", "code=sd_malformed", "SD_MALFORMED"] {
            assert_eq!(find(&entries, written).unwrap().code, "sd_malformed");
        }
        for (written, first) in
            [("cfg_unknow_key", "cfg_unknown_key"), ("oauth2", "http_oauth2"), ("sd_watch_broken", "sd_watch_lost")]
        {
            assert_eq!(near(&entries, written).first(), Some(&first), "{written}");
        }
        assert_eq!(near(&entries, "404"), Vec::<&str>::new());
        assert_eq!(near(&entries, ""), Vec::<&str>::new());
    }
}
