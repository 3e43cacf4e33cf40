//! Why a certificate is not trusted.

use std::sync::Arc;

use rustls::{CertificateError, OtherError};

/// Why a certificate is not trusted. The other side is told that its certificate is not, and no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is no certificate that can be read.
    #[error("it cannot be read")]
    Unreadable,
    /// It says that nobody may use it who does not understand all of it.
    #[error("it has a critical extension that is not understood here: {0}")]
    Critical(String),
    /// Its time has not come.
    #[error("it is not valid before {0}")]
    Early(String),
    /// Its time is over.
    #[error("it is not valid after {0}")]
    Expired(String),
    /// It is for somebody else.
    #[error("it is for {names}, not for {wanted}")]
    Name {
        /// For whom it should be.
        wanted: String,
        /// For whom it is.
        names: String,
    },
    /// It is for an address, and says so as if that were a name.
    #[error(
        "it has the address {wanted} as a DNS name, which does not count: it has to be an IP address there, as by \
         subjectAltName=IP:{wanted}"
    )]
    AddressAsName {
        /// The address.
        wanted: String,
    },
    /// It says for whom it is where nobody looks any more.
    #[error("it has no subject alternative name, as it has to for {wanted} (a common name does not count)")]
    Nameless {
        /// For whom it should be.
        wanted: String,
    },
    /// It or one of those that signed it is for other purposes.
    #[error("its extended key usage is not that of a {0}")]
    Purpose(&'static str),
    /// Nobody who is trusted has signed it.
    #[error("signed by {0:?}, whose certificate is not among those that are trusted")]
    Unknown(String),
    /// Somebody could have signed it, but has not, or must not.
    #[error("signed by {issuer:?}, whose certificate cannot vouch for it: {reason}")]
    Issuer {
        /// Who seems to have signed it.
        issuer: String,
        /// Why this does not count.
        reason: Box<Untrusted>,
    },
    /// The issuer is no authority.
    #[error("it is not that of an authority")]
    NoAuthority,
    /// The signature is not that of the issuer.
    #[error("the signature is not by its key")]
    Signature,
    /// The algorithm is unknown, or too weak.
    #[error("the signature is of a kind that is not supported")]
    Algorithm,
    /// More authorities lie between than the issuer permits.
    #[error("it does not permit so many authorities below it")]
    TooLong,
    /// The issuer may sign for other names only.
    #[error("it does not permit these names: {0}")]
    Constraints(String),
    /// The other side's certificates lead to too many others.
    #[error("there are too many ways to an authority")]
    TooMany,
    /// The key is of a kind that no handshake uses.
    #[error("its key is of a kind that is not supported (RSA, ECDSA with P-256, P-384 or P-521, and Ed25519 are)")]
    Key,
}

impl From<Untrusted> for rustls::Error {
    fn from(reason: Untrusted) -> Self {
        let known = match &reason {
            Untrusted::Unreadable => CertificateError::BadEncoding,
            Untrusted::Signature => CertificateError::BadSignature,
            _ => CertificateError::Other(OtherError(Arc::new(reason))),
        };
        Self::InvalidCertificate(known)
    }
}
