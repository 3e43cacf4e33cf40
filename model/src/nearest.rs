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

/// How many letters of a name are others than in what was written, if these are few, and no more than `most`.
pub fn difference(written: &str, name: &str, most: usize) -> Option<usize> {
    let (written, name) = (folded(written), folded(name));
    if least_distance(&written, &name) > most {
        return None;
    }
    distance(&written, &name).filter(|distance| *distance <= most)
}

/// No fewer letters have to be put, taken away or replaced than there are more of in one than in the other.
fn least_distance(one: &str, other: &str) -> usize {
    let mut counts = [0i32; 128];
    let place = |byte: u8| usize::from(byte & 0x7f);
    one.bytes().for_each(|byte| counts[place(byte)] += 1);
    other.bytes().for_each(|byte| counts[place(byte)] -= 1);
    let sum = |wanted: fn(i32) -> i32| counts.iter().map(|count| wanted(*count).unsigned_abs() as usize).sum::<usize>();
    // A letter may be four bytes.
    sum(|count| count.max(0)).max(sum(|count| count.min(0))).div_ceil(if one.is_ascii() && other.is_ascii() {
        1
    } else {
        4
    })
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
    fn letters_that_are_others_are_counted_where_they_are_few() {
        for (written, name, most, expected) in [
            ("10.0.3.7:9100", "10.0.3.7:9100", 9, Some(0)),
            ("10.0.3.7:9100", "10.0.3.9:9100", 1, Some(1)),
            ("10.0.3.7:9100", "10.0.3.9:9101", 1, None),
            ("10.0.3.7:9100", "10.0.3.9:9101", 2, Some(2)),
            ("10.0.3.7:9100", "127.200.134.159:18999", 99, None),
            ("Web-1", "web_2", 5, Some(1)),
            ("größe", "grosse", 9, None),
            ("größe1", "größe2", 9, Some(1)),
            ("ab", "ba", 1, Some(1)),
        ] {
            assert_eq!(difference(written, name, most), expected, "{written} {name} {most}");
        }
    }

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
