//! RSA keys, as PEM texts have them, and signatures with them.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
#[cfg(feature = "passphrase")]
use base64::{Engine, engine::general_purpose::STANDARD};
#[cfg(feature = "passphrase")]
use pkcs8::EncryptedPrivateKeyInfoRef;
#[cfg(feature = "passphrase")]
use rosterd_model::Secret;
use rosterd_model::{Coded, Priority, Retry};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// How it is signed, by the names of RFC 7518.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 over SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 over SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 over SHA-512.
    Rs512,
    /// RSASSA-PSS over SHA-256.
    Ps256,
}

impl Algorithm {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Rs384 => &RSA_PKCS1_SHA384,
            Self::Rs512 => &RSA_PKCS1_SHA512,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// Why there is no signature. What is wrong with a key is told without a word of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no key in the text.
    #[error("there is no private key in it that can be read: a block of PEM, \"RSA PRIVATE KEY\" or \"PRIVATE KEY\"")]
    None,
    /// The key is for something else.
    #[error("the private key is not one of RSA, from 2048 to 8192 bits")]
    Kind,
    /// There is a pass phrase to the key, and none was given.
    #[error("the private key has a pass phrase, which is not given")]
    NoPassphrase,
    /// The key does not open.
    #[error(
        "the private key cannot be decrypted: the pass phrase is another one, or it is encrypted in a way that is not known"
    )]
    Locked,
    /// The key is encrypted as OpenSSL did it before 2010.
    #[error(
        "the private key is encrypted in the old way of OpenSSL (Proc-Type: 4,ENCRYPTED): `openssl pkcs8 -topk8` writes it anew"
    )]
    OldCipher,
    /// The library failed.
    #[error("signing failed")]
    Failed,
}

impl Coded for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::None => "sign_no_key",
            Self::Kind => "sign_key_kind",
            Self::NoPassphrase => "sign_no_passphrase",
            Self::Locked => "sign_locked_key",
            Self::OldCipher => "sign_old_cipher",
            Self::Failed => "sign_failed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}

/// A private key.
pub struct Rsa(KeyPair);

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an RSA key of {} bits", self.0.public_modulus_len() * 8)
    }
}

impl Rsa {
    /// The first key of a PEM text, as PKCS#1 or PKCS#8. What stands around it does not count.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // The error of the parser may quote the text, which is a secret.
        Self::from_der(&PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::None)?)
    }

    /// The same of a key that may have a pass phrase. It takes some CPU time to open one.
    #[cfg(feature = "passphrase")]
    pub fn from_locked_pem(pem: &str, passphrase: &Secret) -> Result<Self, KeyError> {
        if pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::OldCipher);
        }
        let Some(block) = locked_block(pem) else { return Self::from_pem(pem.as_bytes()) };
        if passphrase.is_empty() {
            return Err(KeyError::NoPassphrase);
        }
        let der = STANDARD.decode(block).map_err(|_| KeyError::None)?;
        let locked = EncryptedPrivateKeyInfoRef::try_from(&*der).map_err(|_| KeyError::None)?;
        let key = locked.decrypt(passphrase.expose()).map_err(|_| KeyError::Locked)?;
        KeyPair::from_pkcs8(key.as_bytes()).map(Self).map_err(|_| KeyError::Kind)
    }

    fn from_der(key: &PrivateKeyDer<'_>) -> Result<Self, KeyError> {
        let pair = match key {
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(KeyError::Kind),
        };
        pair.map(Self).map_err(|_| KeyError::Kind)
    }

    /// A new key of 2048 bits.
    pub fn generate() -> Result<Self, KeyError> {
        KeyPair::generate(KeySize::Rsa2048).map(Self).map_err(|_| KeyError::Failed)
    }

    /// The signature of a message.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(algorithm.encoding(), &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| KeyError::Failed)
    }

    /// The public key as the `SubjectPublicKeyInfo` of a certificate, in DER.
    pub fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| KeyError::Failed)?;
        Ok(der.as_ref().to_vec())
    }
}

/// The base64 of the first key that has a pass phrase, without white space.
#[cfg(feature = "passphrase")]
fn locked_block(pem: &str) -> Option<String> {
    let (_, rest) = pem.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (block, _) = rest.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    Some(block.split_ascii_whitespace().collect())
}
