//! What is trusted.

use std::collections::HashMap;

use rustls_pki_types::CertificateDer;

use super::read::{Certificate, all_of_pem};

/// The certificates that are trusted, to be found by whom they are of.
#[derive(Debug, Default)]
pub struct Pool(HashMap<Box<[u8]>, Vec<CertificateDer<'static>>>);

impl Pool {
    /// Adds a certificate. Returns whether it could be read: one that cannot be is of no use, and no reason to do without the
    /// others.
    pub fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let Ok(subject) = Certificate::read(&certificate).map(|read| Box::from(read.subject())) else { return false };
        let same: &mut Vec<_> = self.0.entry(subject).or_default();
        if !same.contains(&certificate) {
            same.push(certificate);
        }
        true
    }

    /// The certificates of a PEM text.
    pub fn of_pem(text: &[u8]) -> Self {
        all_of_pem(text).into_iter().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom the certificates are of, as DER.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(|subject| &**subject)
    }

    /// The certificates of a subject.
    pub(super) fn of_subject(&self, subject: &[u8]) -> &[CertificateDer<'static>] {
        self.0.get(subject).map_or(&[], Vec::as_slice)
    }
}

impl FromIterator<CertificateDer<'static>> for Pool {
    fn from_iter<I: IntoIterator<Item = CertificateDer<'static>>>(certificates: I) -> Self {
        let mut pool = Self::default();
        for certificate in certificates {
            pool.add(certificate);
        }
        pool
    }
}
