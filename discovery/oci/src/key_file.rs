//! The key of a user, in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rosterd_client::{Secret, unset};
use rosterd_credentials::Issued;
use rosterd_model::in_words;
use rosterd_sign::Rsa;
use rosterd_tasks::{blocking, files};

use super::OciConfig;
use super::error::OciError;
use super::signature::Signing;

/// How long a key is used before its file is read again: it may be another one by then.
const AGAIN: Duration = Duration::from_secs(300);

pub(super) struct KeyFile {
    id: String,
    tenancy: String,
    file: PathBuf,
    passphrase: Secret,
    passphrase_file: PathBuf,
}

impl KeyFile {
    pub(super) fn new(config: &OciConfig) -> Self {
        Self {
            id: format!("{}/{}/{}", config.tenancy, config.user, config.fingerprint),
            tenancy: config.tenancy.clone(),
            file: config.key_file.clone(),
            passphrase: config.key_passphrase.clone(),
            passphrase_file: config.key_passphrase_file.clone(),
        }
    }

    pub(super) async fn read(&self) -> Result<Issued<Signing>, OciError> {
        let (file, passphrase, passphrase_file) =
            (self.file.clone(), self.passphrase.clone(), self.passphrase_file.clone());
        let key = blocking(move || {
            let passphrase = match unset(&passphrase_file) {
                true => passphrase,
                false => Secret::new(read(&passphrase_file)?.trim_end_matches(['\r', '\n'])),
            };
            let pem = read(&file)?;
            let key = |source| OciError::Key { what: file.display().to_string(), source };
            Rsa::from_locked_pem(&pem, &passphrase).map_err(key)
        });
        let token = Signing { id: self.id.clone(), key: key.await?, tenancy: self.tenancy.clone() };
        Ok(Issued { token, lasts: Some(AGAIN) })
    }
}

fn read(path: &Path) -> Result<String, OciError> {
    files::read_text(path).map_err(|error| OciError::KeyUnreadable { path: path.to_owned(), reason: in_words(error) })
}
