//! The files that the tools of AWS share, `~/.aws/config` and `~/.aws/credentials`: profiles, and settings of services. Pure.

use std::collections::BTreeMap;

type Section = BTreeMap<String, String>;

/// What both files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profiles {
    /// By name. Of a key that both files have for a profile, that of the credentials counts.
    profiles: BTreeMap<String, Section>,
    /// The sections `[services NAME]`, by name; keys of a service are written `ec2.endpoint_url`.
    services: BTreeMap<String, Section>,
    /// Whether there is anything in each of the two.
    written: [bool; 2],
}

/// One profile, and what it refers to. One that is in neither file has nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile<'a> {
    keys: Option<&'a Section>,
    services: Option<&'a Section>,
}

impl Profiles {
    /// Reads the texts of both files.
    pub(super) fn parse(config: &str, credentials: &str) -> Self {
        let written = [config, credentials].map(|text| !text.trim().is_empty());
        let mut found = Self { written, ..Self::default() };
        for (header, section) in sections(config) {
            let (kind, name) = header.split_once(char::is_whitespace).unwrap_or(("", &header));
            let name = name.trim().trim_matches(['"', '\'']).to_owned();
            match kind {
                "services" => found.services.entry(name).or_default().extend(section),
                // Of other profiles the word is a part of the name; this one is written both ways.
                "profile" => found.profiles.entry(name).or_default().extend(section),
                "" if name == "default" => found.profiles.entry(name).or_default().extend(section),
                _ => {}
            }
        }
        for (name, section) in sections(credentials) {
            found.profiles.entry(name).or_default().extend(section);
        }
        found
    }

    /// Whether one of them says nothing where it did before: it is being written, or its disk is not there.
    pub(super) fn lacks_a_file_of(&self, before: &Self) -> bool {
        before.written.iter().zip(self.written).any(|(before, now)| *before && !now)
    }

    /// Whether there is a profile of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.profiles.contains_key(name)
    }

    /// The profile of this name.
    pub(super) fn get(&self, name: &str) -> Profile<'_> {
        let keys = self.profiles.get(name);
        let services = keys.and_then(|keys| self.services.get(keys.get("services")?));
        Profile { keys, services }
    }
}

impl<'a> Profile<'a> {
    /// What it says of a key; nothing if that is empty.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.keys?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether one of its keys begins so.
    pub(super) fn has_any(&self, beginning: &str) -> bool {
        self.keys.is_some_and(|keys| keys.keys().any(|key| key.starts_with(beginning)))
    }

    /// Where a service is: what is said of it alone counts more.
    pub(super) fn endpoint_url(&self, service: &str) -> Option<&'a str> {
        let own = self.services.and_then(|services| services.get(&format!("{service}.endpoint_url")));
        own.map(String::as_str).filter(|url| !url.is_empty()).or_else(|| self.get("endpoint_url"))
    }
}

/// The sections of a file, in their order. Lines that are nothing of this are passed over, as the tools of AWS do.
fn sections(text: &str) -> Vec<(String, Section)> {
    let mut found: Vec<(String, Section)> = Vec::new();
    // The key above, whose value is a block of keys of their own that are indented.
    let mut above = None;
    for line in text.lines() {
        let (trimmed, indented) = (line.trim(), line.starts_with([' ', '\t']));
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[').filter(|_| !indented) {
            let header = header.split(']').next().unwrap_or_default().trim();
            found.push((header.to_owned(), Section::new()));
            above = None;
        } else if let (Some((_, section)), Some((key, value))) = (found.last_mut(), trimmed.split_once('=')) {
            let (key, value) = (key.trim().to_lowercase(), without_comment(value.trim()));
            let name = match &above {
                Some(above) if indented => format!("{above}.{key}"),
                _ => {
                    above = value.is_empty().then(|| key.clone());
                    key
                }
            };
            section.insert(name, value.to_owned());
        }
    }
    found
}

/// A value without the comment behind it, which begins with white space and `#` or `;`.
fn without_comment(value: &str) -> &str {
    let mut before = ' ';
    for (at, character) in value.char_indices() {
        if matches!(character, '#' | ';') && before.is_whitespace() {
            return value[..at].trim_end();
        }
        before = character;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_come_from_both_files_and_the_credentials_count_more() {
        let config = "
# [profile not-this]
[default]
region = eu-west-1 # near
[profile  prod ]
Region=us-east-2
role_arn = arn:aws:iam::1:role/a;b ; who
aws_access_key_id = of-config
services = local
s3 =
  max_concurrent_requests = 7
  region = nested
output = json
  region = not-nested
[profile \"with space\"]
region = x
[prod]
region = of-nobody
[services local]
ec2 =
    endpoint_url = http://127.0.0.1:5000
[sso-session me]
sso_region = eu-west-1
";
        let credentials = "[prod]\naws_access_key_id = id\naws_secret_access_key=a#b;c\n[other]\nnonsense\n";
        let profiles = Profiles::parse(config, credentials);
        let prod = profiles.get("prod");
        let values = ["aws_access_key_id", "aws_secret_access_key", "role_arn", "output", "s3.region", "s3"];
        assert_eq!(
            values.map(|key| prod.get(key)),
            [Some("id"), Some("a#b;c"), Some("arn:aws:iam::1:role/a;b"), Some("json"), Some("nested"), None]
        );
        assert_eq!(prod.get("region"), Some("not-nested"));
        assert_eq!(profiles.get("default").get("region"), Some("eu-west-1"));
        assert_eq!(profiles.get("with space").get("region"), Some("x"));
        assert_eq!(["other", "me", "not-this", "none"].map(|name| profiles.has(name)), [true, false, false, false]);
        assert_eq!(prod.endpoint_url("ec2"), Some("http://127.0.0.1:5000"));
        assert_eq!((prod.endpoint_url("rds"), profiles.get("none").get("region")), (None, None));
        assert!(prod.has_any("aws_") && !prod.has_any("sso_"));
    }

    #[test]
    fn the_endpoint_of_a_service_counts_more_than_that_of_all() {
        let text =
            "[default]\nendpoint_url = http://all\nservices = s\n[services s]\nsts =\n endpoint_url = http://sts\n";
        let profiles = Profiles::parse(text, "");
        let default = profiles.get("default");
        assert_eq!(
            (default.endpoint_url("sts"), default.endpoint_url("ec2")),
            (Some("http://sts"), Some("http://all"))
        );
    }
}
