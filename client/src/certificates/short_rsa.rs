//! Signatures by RSA keys of 1024 to 2047 bits. Go takes them, the provider does not. They are only ever verified, which needs
//! no secret: the time that it takes tells nobody anything.

use aws_lc_rs::digest::{self, Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::SignatureScheme;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use x509_parser::asn1_rs::Tag;
use x509_parser::num_bigint::BigUint;

use super::der::take;

/// The lengths of keys that are verified here, in bits.
const LENGTHS: std::ops::Range<u64> = 1024..2048;
/// Longer exponents make a signature expensive to verify, and nobody has them.
const LONGEST_EXPONENT: u64 = 33;

/// All of them.
pub(super) const ALL: &[&dyn SignatureVerificationAlgorithm] =
    &[&PKCS1_SHA256, &PKCS1_SHA384, &PKCS1_SHA512, &PSS_SHA256, &PSS_SHA384, &PSS_SHA512];

const PKCS1_SHA256: ShortRsa = ShortRsa { padding: Padding::Pkcs1, hash: Hash::Sha256 };
const PKCS1_SHA384: ShortRsa = ShortRsa { padding: Padding::Pkcs1, hash: Hash::Sha384 };
const PKCS1_SHA512: ShortRsa = ShortRsa { padding: Padding::Pkcs1, hash: Hash::Sha512 };
const PSS_SHA256: ShortRsa = ShortRsa { padding: Padding::Pss, hash: Hash::Sha256 };
const PSS_SHA384: ShortRsa = ShortRsa { padding: Padding::Pss, hash: Hash::Sha384 };
const PSS_SHA512: ShortRsa = ShortRsa { padding: Padding::Pss, hash: Hash::Sha512 };

/// The one of a handshake's signature.
pub(super) fn of(scheme: SignatureScheme) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    Some(match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &PKCS1_SHA256,
        SignatureScheme::RSA_PKCS1_SHA384 => &PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA512 => &PKCS1_SHA512,
        SignatureScheme::RSA_PSS_SHA256 => &PSS_SHA256,
        SignatureScheme::RSA_PSS_SHA384 => &PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA512 => &PSS_SHA512,
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy)]
struct ShortRsa {
    padding: Padding,
    hash: Hash,
}

#[derive(Debug, Clone, Copy)]
enum Padding {
    Pkcs1,
    Pss,
}

#[derive(Debug, Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }

    /// What stands before the hash in a signature of PKCS #1 1.5: its algorithm, in DER (RFC 8017, 9.2).
    fn prefix(self) -> [u8; 19] {
        let (last, length) = match self {
            Self::Sha256 => (1, 32),
            Self::Sha384 => (2, 48),
            Self::Sha512 => (3, 64),
        };
        [0x30, 17 + length, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, last, 5, 0, 4, length]
    }
}

impl SignatureVerificationAlgorithm for ShortRsa {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = Key::read(public_key).ok_or(InvalidSignature)?;
        let encoded = key.open(signature).ok_or(InvalidSignature)?;
        let hashed = digest(self.hash.algorithm(), message);
        let good = match self.padding {
            Padding::Pkcs1 => pkcs1(self.hash, hashed.as_ref(), encoded.len()).is_some_and(|want| want == encoded),
            Padding::Pss => is_pss(self.hash, hashed.as_ref(), &encoded, key.bits - 1),
        };
        if good { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match (self.padding, self.hash) {
            (Padding::Pkcs1, Hash::Sha256) => alg_id::RSA_PKCS1_SHA256,
            (Padding::Pkcs1, Hash::Sha384) => alg_id::RSA_PKCS1_SHA384,
            (Padding::Pkcs1, Hash::Sha512) => alg_id::RSA_PKCS1_SHA512,
            (Padding::Pss, Hash::Sha256) => alg_id::RSA_PSS_SHA256,
            (Padding::Pss, Hash::Sha384) => alg_id::RSA_PSS_SHA384,
            (Padding::Pss, Hash::Sha512) => alg_id::RSA_PSS_SHA512,
        }
    }
}

struct Key {
    modulus: BigUint,
    exponent: BigUint,
    bits: u64,
}

impl Key {
    /// Reads an `RSAPublicKey`, if it is one of those that are verified here.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (both, []) = take(bytes, Tag::Sequence)? else { return None };
        let (modulus, rest) = take(both, Tag::Integer)?;
        let (exponent, []) = take(rest, Tag::Integer)? else { return None };
        let (modulus, exponent) = (positive(modulus)?, positive(exponent)?);
        let bits = modulus.bits();
        let sane = LENGTHS.contains(&bits) && modulus.bit(0) && exponent.bit(0) && exponent.bits() > 1;
        (sane && exponent.bits() <= LONGEST_EXPONENT).then_some(Self { modulus, exponent, bits })
    }

    /// What was signed, as long as the modulus.
    fn open(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let length = self.bits.div_ceil(8) as usize;
        let number = BigUint::from_bytes_be(signature);
        if signature.len() != length || number >= self.modulus {
            return None;
        }
        let opened = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        let mut encoded = vec![0; length - opened.len()];
        encoded.extend(opened);
        Some(encoded)
    }
}

/// An integer in DER that is not negative.
fn positive(bytes: &[u8]) -> Option<BigUint> {
    bytes.first().is_some_and(|first| first & 0x80 == 0).then(|| BigUint::from_bytes_be(bytes))
}

/// What a signature of PKCS #1 1.5 has to be (RFC 8017, 9.2).
fn pkcs1(hash: Hash, hashed: &[u8], length: usize) -> Option<Vec<u8>> {
    let prefix = hash.prefix();
    let padding = length.checked_sub(3 + prefix.len() + hashed.len()).filter(|padding| *padding >= 8)?;
    Some([&[0, 1][..], &vec![0xff; padding], &[0], &prefix, hashed].concat())
}

/// Whether this is a signature by PSS whose salt is as long as the hash (RFC 8017, 9.1.2), as TLS wants it.
fn is_pss(hash: Hash, hashed: &[u8], encoded: &[u8], bits: u64) -> bool {
    let length = bits.div_ceil(8) as usize;
    let size = hashed.len();
    // The modulus may be longer by one byte, which is zero.
    let (zeros, encoded) = encoded.split_at(encoded.len() - length);
    if zeros.iter().any(|byte| *byte != 0) || length < 2 * size + 2 || encoded.last() != Some(&0xbc) {
        return false;
    }
    let (masked, rest) = encoded.split_at(length - size - 1);
    let inner = &rest[..size];
    let unused = 8 * length as u64 - bits;
    let mask = 0xff_u8 >> unused;
    if masked[0] & !mask != 0 {
        return false;
    }
    let mut data: Vec<u8> =
        masked.iter().zip(generated(hash, inner, masked.len())).map(|(left, right)| left ^ right).collect();
    data[0] &= mask;
    let (padding, salt) = data.split_at(data.len() - size);
    let Some((1, zeros)) = padding.split_last() else { return false };
    if zeros.iter().any(|byte| *byte != 0) {
        return false;
    }
    let mut context = digest::Context::new(hash.algorithm());
    for part in [&[0; 8][..], hashed, salt] {
        context.update(part);
    }
    context.finish().as_ref() == inner
}

/// MGF1 (RFC 8017, B.2.1).
fn generated(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length + 64);
    let mut counter = 0_u32;
    while mask.len() < length {
        mask.extend(digest(hash.algorithm(), &[seed, &counter.to_be_bytes()].concat()).as_ref());
        counter += 1;
    }
    mask.truncate(length);
    mask
}
