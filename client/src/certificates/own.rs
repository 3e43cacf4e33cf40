//! Certificate and key of this side. What cannot be used is told as ours, not as the other side's.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::key::PublicKey;

/// What is wrong with a certificate or key of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no key in the text.
    #[error("there is no private key in it that can be read (PEM, without a pass phrase)")]
    NoKey,
    /// The key is of a kind that cannot sign here.
    #[error(
        "the private key cannot be used: RSA from 2048 to 8192 bits, ECDSA with P-256, P-384 or P-521, and Ed25519 can"
    )]
    Key,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// One is not of the other.
    #[error("the private key is not that of the certificate")]
    Mismatch,
}

/// The private key of a PEM text.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unusable> {
    // The error of the parser may quote the text, which is a secret.
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| Unusable::NoKey)
}

/// A certificate, those that signed it, and its key, to be shown to the other side. The certificate may be of any version, and
/// may say what only the other side understands.
pub fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Unusable> {
    let signing = provider.key_provider.load_private_key(key).map_err(|_| Unusable::Key)?;
    let first = chain.first().and_then(|certificate| PublicKey::of(certificate)).ok_or(Unusable::Certificate)?;
    if let Some(info) = signing.public_key()
        && PublicKey::of_info(&info).is_none_or(|own| !own.is(&first))
    {
        return Err(Unusable::Mismatch);
    }
    Ok(Arc::new(CertifiedKey::new(chain, signing)))
}
