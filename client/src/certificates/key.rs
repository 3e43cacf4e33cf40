//! Keys of certificates and what they signed. Only as much of a certificate is read as leads there, so that a certificate
//! that is otherwise odd still proves who has its key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{DigitallySignedStruct, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::SignatureVerificationAlgorithm;
use x509_parser::asn1_rs::Tag;

use super::der::{behind_version, bits, take};
use super::{Untrusted, short_rsa};

/// A public key, as a certificate says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// The contents of the identifier of its algorithm.
    algorithm: &'a [u8],
    bits: &'a [u8],
}

/// What an issuer signed, and its signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    message: &'a [u8],
    /// The contents of the identifier of its algorithm.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// The signatures that can be verified, for the verifiers of rustls.
#[derive(Debug, Clone, Copy)]
pub struct Signatures(WebPkiSupportedAlgorithms);

/// The version of TLS of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    /// A signature may be by a key on any curve.
    Tls12,
    /// The kind of a signature says on which curve the key is.
    Tls13,
}

impl<'a> PublicKey<'a> {
    /// That of a certificate.
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (whole, _) = take(certificate, Tag::Sequence)?;
        let (signed, _) = take(whole, Tag::Sequence)?;
        // Before it stands the version, which the first one does not say.
        let (_, mut rest) = take(behind_version(signed)?, Tag::Integer)?;
        // The algorithm of the signature, the issuer, the validity, the subject.
        for _ in 0..4 {
            (_, rest) = take(rest, Tag::Sequence)?;
        }
        Self::of_info(rest)
    }

    /// That of a `SubjectPublicKeyInfo`.
    pub(super) fn of_info(info: &'a [u8]) -> Option<Self> {
        let (info, _) = take(info, Tag::Sequence)?;
        let (algorithm, rest) = take(info, Tag::Sequence)?;
        Some(Self { algorithm, bits: bits(rest)? })
    }

    /// Whether it is the same key, however its algorithm is spelt.
    pub(super) fn is(&self, other: &PublicKey<'_>) -> bool {
        self.bits == other.bits
    }

    /// Verifies what was signed with this key.
    pub(super) fn verify(&self, signed: &Signed<'_>, signatures: &Signatures) -> Result<(), Untrusted> {
        let fitting = signatures.all().filter(|algorithm| algorithm.signature_alg_id().as_ref() == signed.algorithm);
        self.verify_by(fitting, signed.message, signed.signature).unwrap_or(Err(Untrusted::Algorithm))
    }

    /// `None` when none of the algorithms is for such a key.
    fn verify_by<'b>(
        &self,
        algorithms: impl Iterator<Item = &'b dyn SignatureVerificationAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> Option<Result<(), Untrusted>> {
        let mut result = None;
        for algorithm in algorithms.filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm) {
            let verified = algorithm.verify_signature(self.bits, message, signature);
            result = Some(verified.map_err(|_| Untrusted::Signature));
            if verified.is_ok() {
                break;
            }
        }
        result
    }
}

impl<'a> Signed<'a> {
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (whole, _) = take(certificate, Tag::Sequence)?;
        let (_, rest) = take(whole, Tag::Sequence)?;
        let message = &whole[..whole.len() - rest.len()];
        let (algorithm, rest) = take(rest, Tag::Sequence)?;
        Some(Self { message, algorithm, signature: bits(rest)? })
    }
}

impl Signatures {
    /// Those that the provider knows, and those by short RSA keys.
    pub fn of(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
        self.0.all.iter().chain(short_rsa::ALL).copied()
    }

    /// What the other side may choose from for its signature.
    pub fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }

    /// Verifies that the other side has the key of its certificate, in TLS 1.2.
    pub fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(Handshake::Tls12, message, certificate, signed)
    }

    /// The same in TLS 1.3.
    pub fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(Handshake::Tls13, message, certificate, signed)
    }

    fn verify(
        &self,
        handshake: Handshake,
        message: &[u8],
        certificate: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = PublicKey::of(certificate).ok_or(Untrusted::Unreadable)?;
        let known = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map_or(&[][..], |known| known.1);
        let known = match handshake {
            Handshake::Tls12 => known,
            // These are known because certificates are still signed like that.
            Handshake::Tls13 if is_old(signed.scheme) => &[],
            Handshake::Tls13 => known.get(..1).unwrap_or_default(),
        };
        if known.is_empty() {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let all = known.iter().copied().chain(short_rsa::of(signed.scheme));
        key.verify_by(all, message, signed.signature()).unwrap_or(Err(Untrusted::Key))?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

fn is_old(scheme: SignatureScheme) -> bool {
    use SignatureScheme::{RSA_PKCS1_SHA1, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512};
    [RSA_PKCS1_SHA1, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512].contains(&scheme)
}
