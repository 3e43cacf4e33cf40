//! What the journal is told of targets and of operations. Pure.

use std::sync::Arc;

use rosterd_scrape::{Health, HealthTurn};

use crate::journal::{Kind, Note};
use crate::reconcile::{Action, EndedOperation};
use crate::roster::view::RosterView;

/// What the journal says of a target that went down or came back.
pub(super) fn turned(view: &RosterView, turn: &HealthTurn) -> Note {
    let slot = view.job(&turn.job).and_then(|job| job.pages().by_fingerprint(turn.fingerprint));
    Note {
        job: Some(Arc::clone(&turn.job)),
        labels: slot.map(|slot| slot.labels.clone()),
        detail: turn.error.as_ref().map(|error| format!("{error} ({})", error.code).into()),
        ..Note::of(if turn.health == Health::Up { Kind::Up } else { Kind::Down })
    }
}

/// What the journal says of an operation that has ended. That a publication began to be looked after is no news.
pub(super) fn operation(ended: &EndedOperation) -> Option<Note> {
    let EndedOperation { worker, status, error, .. } = ended;
    let why = error.as_ref().map(|error| format!(": {error} ({})", error.code)).unwrap_or_default();
    let is_news = status.action != Action::Start || error.is_some();
    is_news.then(|| Note {
        reason: Some(status.state.as_str().into()),
        detail: Some(format!("{} of {worker}{why}", status.action.name()).into()),
        ..Note::of(Kind::Operation)
    })
}
