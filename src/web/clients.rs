//! What a client's certificate has to be like: the five policies of Go's TLS, and a list of names of which one must be
//! in the certificate.

use std::str::FromStr;
use std::sync::Arc;

use rosterd_client::certificates::{self, Pool, Purpose, Signatures};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoClientAuth;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Nothing.
    None,
    /// A certificate, whoever signed it; none will do.
    Request,
    /// A certificate, whoever signed it.
    RequireAny,
    /// A certificate of the authority, or none.
    VerifyIfGiven,
    /// A certificate of the authority.
    RequireAndVerify,
}

impl Policy {
    /// Whether certificates are compared with an authority.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "NoClientCert" => Ok(Self::None),
            "RequestClientCert" => Ok(Self::Request),
            // The second is an old name of the first.
            "RequireAnyClientCert" | "RequireClientCert" => Ok(Self::RequireAny),
            "VerifyClientCertIfGiven" => Ok(Self::VerifyIfGiven),
            "RequireAndVerifyClientCert" => Ok(Self::RequireAndVerify),
            _ => Err(format!(
                "{name:?} is none of NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, \
                 RequireAndVerifyClientCert"
            )),
        }
    }
}

/// The verifier of a policy. `sans` are the subject alternative names of which a certificate must have one.
pub(super) fn verifier(
    policy: Policy,
    pool: Pool,
    sans: Option<Vec<String>>,
    provider: &CryptoProvider,
) -> Arc<dyn ClientCertVerifier> {
    let mandatory = match policy {
        Policy::None => return Arc::new(NoClientAuth),
        Policy::Request | Policy::VerifyIfGiven => false,
        Policy::RequireAny | Policy::RequireAndVerify => true,
    };
    // Clients that have several certificates choose by these.
    let subjects = pool.subjects().map(|subject| DistinguishedName::from(subject.to_vec())).collect();
    let pool = policy.verifies().then_some(pool);
    Arc::new(Clients { mandatory, pool, subjects, sans, signatures: Signatures::of(provider) })
}

/// Takes the certificates of clients as a policy says, if the client has the key.
#[derive(Debug)]
struct Clients {
    mandatory: bool,
    /// Who has to have signed them, if that counts.
    pool: Option<Pool>,
    subjects: Vec<DistinguishedName>,
    /// The names of which a certificate must have one.
    sans: Option<Vec<String>>,
    signatures: Signatures,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(pool) = &self.pool {
            certificates::verify(pool, end_entity, intermediates, Purpose::Client, now, &self.signatures)?;
        }
        if let Some(sans) = &self.sans {
            let names = names(end_entity).ok_or(CertificateError::BadEncoding)?;
            if !names.iter().any(|name| sans.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

/// The DNS names, mail addresses, IP addresses and URIs of a certificate; `None` when it cannot be read.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let extension = certificate.subject_alternative_name().ok()?;
    let names = extension.map(|extension| &extension.value.general_names);
    Some(names.into_iter().flatten().filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => certificates::address(bytes).map(|ip| ip.to_canonical().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_names_are_read_from_a_certificate() {
        use rcgen::SanType;
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = vec![
            SanType::DnsName("client.example".try_into().unwrap()),
            SanType::Rfc822Name("me@client.example".try_into().unwrap()),
            SanType::URI("spiffe://client.example/me".try_into().unwrap()),
            SanType::IpAddress("10.1.2.3".parse().unwrap()),
            SanType::IpAddress("fd00::1".parse().unwrap()),
        ];
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let expected = ["client.example", "me@client.example", "spiffe://client.example/me", "10.1.2.3", "fd00::1"];
        assert_eq!(names(certificate.der()).unwrap(), expected);
        assert!(names(&CertificateDer::from(vec![1, 2, 3])).is_none());
    }
}
