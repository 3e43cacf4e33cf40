//! What of a certificate counts.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::Untrusted;
use super::key::{PublicKey, Signed};

/// A certificate that was read.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    pub(super) key: PublicKey<'a>,
    signed: Signed<'a>,
    parsed: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Untrusted> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Untrusted::Unreadable)?;
        let (key, signed) = (PublicKey::of(der), Signed::of(der));
        match (rest, parsed.extensions_map(), key, signed) {
            ([], Ok(_), Some(key), Some(signed)) => Ok(Self { der, key, signed, parsed }),
            _ => Err(Untrusted::Unreadable),
        }
    }

    pub(super) fn subject(&self) -> &[u8] {
        self.parsed.subject().as_raw()
    }

    pub(super) fn issuer(&self) -> &[u8] {
        self.parsed.issuer().as_raw()
    }

    /// The issuer, for people.
    pub(super) fn issuer_text(&self) -> String {
        self.parsed.issuer().to_string()
    }

    pub(super) fn signed(&self) -> &Signed<'a> {
        &self.signed
    }

    /// Before version 3 there are no extensions.
    pub(super) fn has_extensions(&self) -> bool {
        self.parsed.version() == X509Version::V3
    }

    /// Whether all that must be understood is, and the time is right.
    pub(super) fn is_usable(&self, now: UnixTime) -> Result<(), Untrusted> {
        let unknown = |extension: &&x509_parser::extensions::X509Extension<'_>| {
            extension.critical && !is_understood(extension.parsed_extension())
        };
        if let Some(extension) = self.parsed.extensions().iter().find(unknown) {
            return Err(Untrusted::Critical(extension.oid.to_id_string()));
        }
        let validity = self.parsed.validity();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < validity.not_before.timestamp() {
            return Err(Untrusted::Early(validity.not_before.to_string()));
        }
        if now > validity.not_after.timestamp() {
            return Err(Untrusted::Expired(validity.not_after.to_string()));
        }
        Ok(())
    }

    /// Whether it may sign others at all: before version 3 nothing was said about that.
    pub(super) fn is_authority(&self) -> Result<bool, Untrusted> {
        let constraints = self.parsed.basic_constraints().map_err(|_| Untrusted::Unreadable)?;
        let usage = self.parsed.key_usage().map_err(|_| Untrusted::Unreadable)?;
        let may_sign = usage.is_none_or(|usage| usage.value.flags == 0 || usage.value.key_cert_sign());
        let authority = constraints.map_or(!self.has_extensions(), |constraints| constraints.value.ca);
        Ok(authority && may_sign)
    }

    /// Whether it says of itself that it is an authority.
    pub(super) fn says_authority(&self) -> bool {
        self.parsed.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca)
    }

    /// How many authorities may lie between this one and what is verified.
    pub(super) fn longest_path(&self) -> Option<u32> {
        self.parsed.basic_constraints().ok().flatten().and_then(|constraints| constraints.value.path_len_constraint)
    }

    /// Whether the extended key usage permits this, or permits everything.
    pub(super) fn permits(&self, wanted: impl Fn(&x509_parser::extensions::ExtendedKeyUsage<'_>) -> bool) -> bool {
        match self.parsed.extended_key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.any || wanted(usage.value)),
            Err(_) => false,
        }
    }

    /// Whether it says for which names it may sign.
    pub(super) fn constrains_names(&self) -> bool {
        !matches!(self.parsed.name_constraints(), Ok(None))
    }

    /// The alternative names.
    pub(super) fn names(&self) -> Result<&[GeneralName<'a>], Untrusted> {
        let extension = self.parsed.subject_alternative_name().map_err(|_| Untrusted::Unreadable)?;
        Ok(extension.map_or(&[], |extension| extension.value.general_names.as_slice()))
    }
}

/// The extensions that Go understands, besides those about policies, which nobody looks at here.
fn is_understood(extension: &ParsedExtension<'_>) -> bool {
    let ParsedExtension::SubjectAlternativeName(names) = extension else {
        return matches!(
            extension,
            ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::NameConstraints(_)
                | ParsedExtension::CRLDistributionPoints(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::AuthorityInfoAccess(_)
        );
    };
    let known = |name: &GeneralName<'_>| {
        use GeneralName::{DNSName, IPAddress, RFC822Name, URI};
        matches!(name, DNSName(_) | RFC822Name(_) | URI(_) | IPAddress(_))
    };
    names.general_names.iter().any(known)
}

/// All certificates of a PEM text; what is something else, or broken, is passed over.
pub fn all_of_pem(text: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect()
}
