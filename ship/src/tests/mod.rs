//! Endpoints against a receiver.
