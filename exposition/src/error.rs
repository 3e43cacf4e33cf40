//! What is wrong with an exposition, and where.

/// A fault of an exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ParseError {
    /// Where: `line 3, column 7` of a text, `byte 120` of a protobuf body.
    pub place: String,
    /// What is wrong.
    pub message: String,
}
