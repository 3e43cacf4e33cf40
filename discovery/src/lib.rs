//! rosterd-discovery
