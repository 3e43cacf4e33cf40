//! The rosterd binary.
fn main() {}
