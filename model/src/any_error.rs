//! The error of any context, whatever its own type.

use std::fmt;
use std::ops::Deref;

use crate::{Coded, Report};

/// An error that tells what [`Coded`] asks. Made by `?` from every type that implements it, and read through it.
pub struct Error(Box<dyn Coded>);

impl Error {
    /// Everything that the error can tell, as data.
    pub fn report(&self) -> Report {
        Report::of(&*self.0)
    }
}

impl<E: Coded> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Deref for Error {
    type Target = dyn Coded;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The message and all its causes.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report(), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
