//! Why a relabelling rule is refused.

use super::{Action, SyntaxError};
use crate::{Coded, Priority, Retry};

/// Why a relabelling rule is refused. The conditions are those of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// The key `action` is there and has no value.
    #[error("the action is empty: leave the key out for replace")]
    EmptyAction,
    /// An action that does not exist.
    #[error("unknown relabel action {0:?}: the actions are {actions}", actions = Action::ALL.map(Action::name).join(", "))]
    UnknownAction(String),
    /// A source label that no label can be.
    #[error("{0:?} is not a valid label name: write names of labels in source_labels")]
    SourceLabel(String),
    /// `hashmod` without a modulus.
    #[error("hashmod needs a modulus above 0: write `modulus: 4` for four parts")]
    ZeroModulus,
    /// An action that needs a target label and has none.
    #[error("{0} needs a target_label: write the label that is to get the result")]
    NoTargetLabel(Action),
    /// A target label that is no valid label name.
    #[error("{label:?} can be no target_label of {action}: write the name of a label")]
    TargetLabel {
        /// What was written.
        label: String,
        /// The action of the rule.
        action: Action,
    },
    /// A replacement for an action that replaces nothing.
    #[error("{0} replaces nothing: leave replacement out")]
    UnusedReplacement(Action),
    /// A replacement that makes no valid label name.
    #[error("{replacement:?} can be no replacement of {action}: it has to make the name of a label")]
    Replacement {
        /// What was written.
        replacement: String,
        /// The action of the rule.
        action: Action,
    },
    /// More than source and target labels, for an action that compares just these.
    #[error("{0} compares source_labels with target_label, and looks at nothing else: leave the other keys out")]
    OnlyLabels(Action),
    /// More than a regex, for an action that goes by the names of labels.
    #[error("{0} looks at the names of labels by regex, and at nothing else: leave the other keys out")]
    OnlyRegex(Action),
    /// A regex that is wrong, or more than can be had.
    #[error("invalid regex {regex:?}")]
    Regex {
        /// What was written.
        regex: String,
        /// What is wrong with it, and where.
        source: SyntaxError,
    },
}

impl Coded for RelabelError {
    fn code(&self) -> &'static str {
        match self {
            Self::EmptyAction => "relabel_empty_action",
            Self::UnknownAction(_) => "relabel_unknown_action",
            Self::SourceLabel(_) => "relabel_invalid_source_label",
            Self::ZeroModulus => "relabel_zero_modulus",
            Self::NoTargetLabel(_) => "relabel_no_target_label",
            Self::TargetLabel { .. } => "relabel_invalid_target_label",
            Self::UnusedReplacement(_) => "relabel_unused_replacement",
            Self::Replacement { .. } => "relabel_invalid_replacement",
            Self::OnlyLabels(_) => "relabel_only_labels",
            Self::OnlyRegex(_) => "relabel_only_regex",
            Self::Regex { .. } => "relabel_invalid_regex",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}
