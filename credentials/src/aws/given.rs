//! Keys as they are given: by the machine, by a container's agent, or by a command, all in nearly the same JSON. Pure.

use std::time::Duration;

use jiff::Timestamp;
use rosterd_client::Secrets;
use rosterd_model::Secret;
use serde::Deserialize;

use super::AwsError;
use crate::sigv4::Keys;

/// Keys, and when they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) keys: Keys,
    pub(super) ends: Option<Timestamp>,
}

impl Given {
    /// How long they are good from now on, if they end.
    pub(super) fn lasts(&self, now: Timestamp) -> Option<Duration> {
        self.ends.map(|ends| Duration::try_from(ends.duration_since(now)).unwrap_or_default())
    }
}

impl From<Keys> for Given {
    fn from(keys: Keys) -> Self {
        Self { keys, ends: None }
    }
}

/// What is written of keys. The names of some differ with who writes.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Written {
    version: Option<u64>,
    #[serde(alias = "code")]
    code: Option<String>,
    #[serde(alias = "message")]
    message: Option<String>,
    access_key_id: Option<Secret>,
    secret_access_key: Option<Secret>,
    #[serde(alias = "SessionToken")]
    token: Option<Secret>,
    expiration: Option<String>,
}

impl Written {
    pub(super) fn parse(whose: &'static str, text: &[u8]) -> Result<Self, AwsError> {
        // Where it goes wrong may be a secret.
        serde_json::from_slice(text).map_err(|error| {
            let reason = format!("line {}, column {}: it is not the JSON of keys", error.line(), error.column());
            AwsError::Malformed { whose, reason }
        })
    }

    /// Whether it is of the version of commands that this is.
    pub(super) fn is_of_command(&self) -> bool {
        self.version == Some(1)
    }

    /// What a refusal says, if it is one, without the secrets of the question.
    pub(super) fn refusal(&self, whose: &'static str, secrets: &Secrets) -> Option<AwsError> {
        let code = secrets.brief(self.code.as_deref().filter(|code| *code != "Success")?);
        let message = secrets.brief(self.message.as_deref().unwrap_or_default());
        Some(AwsError::Refused { whose, code, message, passes: true })
    }

    /// The keys, unless it is a refusal.
    pub(super) fn given(self, whose: &'static str, secrets: &Secrets) -> Result<Given, AwsError> {
        if let Some(refusal) = self.refusal(whose, secrets) {
            return Err(refusal);
        }
        let Self { access_key_id, secret_access_key, token, expiration, .. } = self;
        let (Some(id), Some(secret)) = (access_key_id, secret_access_key) else {
            return Err(AwsError::Malformed {
                whose,
                reason: "it has no AccessKeyId or no SecretAccessKey".to_owned(),
            });
        };
        let ends = expiration.filter(|ends| !ends.is_empty()).map(|ends| ends.parse()).transpose();
        let ends =
            ends.map_err(|_| AwsError::Malformed { whose, reason: "Expiration is no point in time".to_owned() })?;
        Ok(Given { keys: Keys { id: id.expose().to_owned(), secret, token: token.unwrap_or_default() }, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<Given, String> {
        Written::parse("somebody", text.as_bytes())
            .and_then(|written| written.given("somebody", &Secrets::default()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_read_as_all_write_them() {
        let keys = Keys { id: "i".to_owned(), secret: "s".into(), token: "t".into() };
        let ends = Some("2030-01-02T03:04:05Z".parse().expect("a time"));
        let machine = r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "i", "SecretAccessKey": "s", "Token": "t",
                          "Expiration": "2030-01-02T03:04:05Z", "LastUpdated": "2029-01-01T00:00:00Z"}"#;
        assert_eq!(given(machine), Ok(Given { keys: keys.clone(), ends }));
        let command = r#"{"Version": 1, "AccessKeyId": "i", "SecretAccessKey": "s", "SessionToken": "t"}"#;
        assert_eq!(given(command), Ok(keys.into()));
        assert!(Written::parse("a command", command.as_bytes()).is_ok_and(|written| written.is_of_command()));
    }

    #[test]
    fn what_has_no_keys_is_told_without_secrets() {
        for (text, want) in [
            (r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "no"}"#, "AssumeRoleUnauthorizedAccess: no"),
            (r#"{"code": "InvalidToken", "message": "bad"}"#, "InvalidToken: bad"),
            (r#"{"AccessKeyId": "i"}"#, "it has no AccessKeyId or no SecretAccessKey"),
            (
                r#"{"AccessKeyId": "i", "SecretAccessKey": "hunter2", "Expiration": "soon"}"#,
                "Expiration is no point in time",
            ),
            (r#"{"SecretAccessKey": "hunter2", "#, "line 1, column 31: it is not the JSON of keys"),
            ("<html>", "line 1, column 1: it is not the JSON of keys"),
        ] {
            let told = given(text).expect_err(text);
            assert!(told.contains(want) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_has_ended_lasts_no_more() {
        let ends = "2030-01-02T03:04:05Z".parse().expect("a time");
        let given = Given { keys: Keys::default(), ends: Some(ends) };
        let lasts = |now: &str| given.lasts(now.parse().expect("a time"));
        assert_eq!(lasts("2030-01-02T03:00:05Z"), Some(Duration::from_secs(240)));
        assert_eq!(lasts("2031-01-02T03:00:05Z"), Some(Duration::ZERO));
    }
}
