//! From the certificate of the other side to one that is trusted.

use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};

use super::read::Certificate;
use super::{Pool, Signatures, Untrusted, name};

/// How many signatures are verified for one certificate at most, as in Go: the other side decides how many there are.
const MOST_SIGNATURES: u32 = 100;

/// What a certificate is shown for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To be the server of this name.
    Server(&'a ServerName<'a>),
    /// To be a client.
    Client,
}

impl Purpose<'_> {
    fn text(self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Client => "client",
        }
    }

    fn is_permitted_by(self, certificate: &Certificate<'_>) -> bool {
        certificate.permits(|usage| match self {
            Self::Server(_) => usage.server_auth,
            Self::Client => usage.client_auth,
        })
    }
}

/// Verifies a certificate: that it is in the pool, or that a chain of signatures leads from one that is to it, by way of the
/// other certificates that were shown.
pub fn verify(
    pool: &Pool,
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    purpose: Purpose<'_>,
    now: UnixTime,
    signatures: &Signatures,
) -> Result<(), Untrusted> {
    let read = Certificate::read(certificate)?;
    read.is_usable(now)?;
    if let Purpose::Server(wanted) = purpose {
        name::is_for(&read, wanted)?;
    }
    let others = others.iter().filter_map(|other| Certificate::read(other).ok()).collect();
    let mut search = Search { pool, others, purpose, now, signatures, left: MOST_SIGNATURES };
    if pool.of_subject(read.subject()).iter().any(|trusted| trusted.as_ref() == read.der) {
        return search.suits(&[&read]);
    }
    search.climb(&[&read])
}

struct Search<'a> {
    pool: &'a Pool,
    others: Vec<Certificate<'a>>,
    purpose: Purpose<'a>,
    now: UnixTime,
    signatures: &'a Signatures,
    left: u32,
}

impl<'a> Search<'a> {
    /// Looks for the issuers of the last certificate, first among those that are trusted. What goes wrong with one of them
    /// is the answer only if no other will do.
    fn climb(&mut self, chain: &[&Certificate<'_>]) -> Result<(), Untrusted> {
        let Some(last) = chain.last() else { return Err(Untrusted::Unreadable) };
        let mut first = None;
        let mut note = |reason: Untrusted| {
            first.get_or_insert(reason);
        };
        for trusted in self.pool.of_subject(last.issuer()) {
            let Ok(issuer) = Certificate::read(trusted) else { continue };
            let vouches = self.vouches(&issuer, chain, true).and_then(|()| self.suits(&with(chain, &issuer)));
            match vouches {
                Ok(()) => return Ok(()),
                Err(Untrusted::TooMany) => return Err(Untrusted::TooMany),
                Err(reason) => note(reason),
            }
        }
        for index in 0..self.others.len() {
            if self.others[index].subject() != last.issuer() {
                continue;
            }
            // Read again, because the search goes on with it.
            let Ok(issuer) = Certificate::read(self.others[index].der) else { continue };
            let vouches = self.vouches(&issuer, chain, false).and_then(|()| self.climb(&with(chain, &issuer)));
            match vouches {
                Ok(()) => return Ok(()),
                Err(Untrusted::TooMany) => return Err(Untrusted::TooMany),
                Err(reason) => note(reason),
            }
        }
        Err(match first {
            None => Untrusted::Unknown(last.issuer_text()),
            // What lies above has been told in full.
            Some(reason @ (Untrusted::Unknown(_) | Untrusted::Issuer { .. } | Untrusted::Purpose(_))) => reason,
            Some(reason) => Untrusted::Issuer { issuer: last.issuer_text(), reason: Box::new(reason) },
        })
    }

    /// Whether the issuer may sign the last certificate of the chain, and has.
    fn vouches(
        &mut self,
        issuer: &Certificate<'_>,
        chain: &[&Certificate<'_>],
        trusted: bool,
    ) -> Result<(), Untrusted> {
        let Some(last) = chain.last() else { return Err(Untrusted::Unreadable) };
        self.left = self.left.checked_sub(1).ok_or(Untrusted::TooMany)?;
        let seen = |other: &&Certificate<'_>| other.subject() == issuer.subject() && other.key.is(&issuer.key);
        if chain.iter().any(seen) {
            return Err(Untrusted::Unknown(last.issuer_text()));
        }
        if !issuer.is_authority()? || (!trusted && !issuer.says_authority()) {
            return Err(Untrusted::NoAuthority);
        }
        issuer.key.verify(last.signed(), self.signatures)?;
        issuer.is_usable(self.now)?;
        let between = chain.len() - 1;
        if issuer.longest_path().is_some_and(|most| between > most as usize) {
            return Err(Untrusted::TooLong);
        }
        Ok(())
    }

    /// Whether a chain that ends at a trusted certificate is for the purpose and for the names.
    fn suits(&self, chain: &[&Certificate<'_>]) -> Result<(), Untrusted> {
        if !chain.iter().all(|certificate| self.purpose.is_permitted_by(certificate)) {
            return Err(Untrusted::Purpose(self.purpose.text()));
        }
        let [leaf, between @ .., top] = chain else { return Ok(()) };
        if !chain[1..].iter().any(|certificate| certificate.constrains_names()) {
            return Ok(());
        }
        // Seldom seen, and best known there.
        let refused = |error: webpki::Error| Untrusted::Constraints(error.to_string());
        let (leaf, top) = (CertificateDer::from(leaf.der), CertificateDer::from(top.der));
        let between: Vec<_> = between.iter().map(|certificate| CertificateDer::from(certificate.der)).collect();
        let all: Vec<&dyn SignatureVerificationAlgorithm> = self.signatures.all().map(|known| known as _).collect();
        let usage = match self.purpose {
            Purpose::Server(_) => webpki::KeyUsage::server_auth(),
            Purpose::Client => webpki::KeyUsage::client_auth(),
        };
        let anchors = [webpki::anchor_from_trusted_cert(&top).map_err(refused)?];
        let leaf = webpki::EndEntityCert::try_from(&leaf).map_err(refused)?;
        leaf.verify_for_usage(&all, &anchors, &between, self.now, usage, None, None).map(drop).map_err(refused)
    }
}

fn with<'a>(chain: &[&'a Certificate<'a>], next: &'a Certificate<'a>) -> Vec<&'a Certificate<'a>> {
    chain.iter().copied().chain([next]).collect()
}
