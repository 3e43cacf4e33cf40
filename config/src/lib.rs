//! rosterd-config
