//! The known name that somebody meant who wrote an unknown one: for hints in errors.

/// The name most like `written`, if any is like it at all.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = written.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().min(written.chars().count()) / 4)
        .min()
        .map(|(_, name)| name)
}

/// `; did you mean ...?`, or nothing.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_near() {
        let known = ["scrape_interval", "scrape_timeout", "job_name", "url"];
        for (written, meant) in [
            ("scrape_interal", Some("scrape_interval")),
            ("scrape-timeout", Some("scrape_timeout")),
            ("jobName", Some("job_name")),
            ("URL", Some("url")),
            ("ur", Some("url")),
            ("port", None),
            ("relabel_configs", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}
