//! The known name that somebody meant who wrote an unknown one: for hints in errors.

/// The name most like `written`, if any is like it at all; or the only one that has what is written for its beginning or its end.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = folded(written);
    let known: Vec<_> = known.into_iter().collect();
    let most_like = known.iter().filter_map(|name| Some((distance(&folded, &self::folded(name))?, *name))).min();
    if let Some((_, name)) = most_like {
        return Some(name);
    }
    let mut longer = known.iter().filter(|name| is_part(&folded, &self::folded(name)));
    longer.next().filter(|_| longer.next().is_none()).copied()
}

/// Fewer letters than these before words that two names share do not tell the names apart.
const TELLING: usize = 4;

/// How many letters are another, if they are few among those that tell the names apart: words that follow in both do not.
fn distance(written: &str, name: &str) -> Option<usize> {
    let shared = written.rmatch_indices('_').map(|(at, _)| &written[at..]).take_while(|end| name.ends_with(end)).last();
    let stem = |text: &str| text.len() - shared.map_or(0, str::len);
    let (written, name) = match (stem(written), stem(name)) {
        (..TELLING, _) | (_, ..TELLING) => (written, name),
        (one, other) => (&written[..one], &name[..other]),
    };
    let distance = strsim::damerau_levenshtein(written, name);
    (distance <= 1 + name.chars().count().min(written.chars().count()) / 4).then_some(distance)
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Whether a name of several words begins or ends with this word, or these.
fn is_part(part: &str, name: &str) -> bool {
    let rest = name.strip_prefix(part).and_then(|rest| rest.strip_prefix('_'));
    let rest = rest.or_else(|| name.strip_suffix(part).and_then(|rest| rest.strip_suffix('_')));
    !part.is_empty() && rest.is_some()
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
        let known = [
            "scrape_interval",
            "scrape_timeout",
            "job_name",
            "url",
            "azure_sd_configs",
            "kubernetes_sd_configs",
            "cfg_dns_no_names",
        ];
        for (written, meant) in [
            ("scrape_interal", Some("scrape_interval")),
            ("scrape-timeout", Some("scrape_timeout")),
            ("jobName", Some("job_name")),
            ("URL", Some("url")),
            ("ur", Some("url")),
            ("port", None),
            ("job", Some("job_name")),
            ("timeout", Some("scrape_timeout")),
            ("scrape", None),
            ("vmware_sd_configs", None),
            ("sd_dns_no_names", Some("cfg_dns_no_names")),
            ("asure_sd_configs", Some("azure_sd_configs")),
            ("kubernets_sd_config", Some("kubernetes_sd_configs")),
            ("", None),
            ("relabel_configs", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}
