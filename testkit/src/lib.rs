//! rosterd-testkit
