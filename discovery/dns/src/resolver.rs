//! One name: its full names in turn, for each the servers in turn, until one gives a usable answer.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use tracing::debug;

use super::error::{LookupError, ServerError};
use super::query::Query;
use super::resolv_conf::Settings;

/// What DNS says of a name.
#[derive(Debug)]
pub(super) enum Answered {
    /// Its records, perhaps none of this type.
    Records(Vec<Record>),
    /// It exists under none of its full names.
    NoSuchName,
}

impl Answered {
    /// The records, none where there is no such name.
    pub(super) fn records(&self) -> &[Record] {
        match self {
            Self::Records(records) => records,
            Self::NoSuchName => &[],
        }
    }
}

/// What DNS says of a name; if one of its full names could not be asked for, and no other exists, it is unknown whether there are
/// any records, and that is an error.
pub(super) async fn lookup(settings: &Settings, name: &str, kind: RecordType) -> Result<Answered, LookupError> {
    let mut failed = None;
    for full_name in settings.full_names(name) {
        match ask_any(settings, full_name, kind).await {
            Ok(answer) if answer.metadata.response_code == ResponseCode::NoError => {
                return Ok(Answered::Records(answer.answers));
            }
            Ok(_does_not_exist) => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(Answered::NoSuchName), Err)
}

/// The first usable answer: there are records, there are none of this type, or the name does not exist.
async fn ask_any(settings: &Settings, full_name: String, kind: RecordType) -> Result<Message, LookupError> {
    let query = match Query::new(&full_name, kind) {
        Ok(query) => query,
        Err(_) => return Err(LookupError::BadName { full_name }),
    };
    let mut failed = None;
    for &server in &settings.servers {
        let error = match query.ask(server).await {
            Ok(answer) => match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
                code => ServerError::Code { server, code },
            },
            Err(error) => error,
        };
        debug!(%error, name = full_name, "no usable answer from a nameserver");
        failed = failed.or(Some(error));
    }
    let source = failed.expect("settings name at least one server");
    Err(LookupError::NoAnswer { full_name, servers: settings.servers.len(), source })
}
