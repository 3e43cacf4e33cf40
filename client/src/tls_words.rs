//! What went wrong with a secure connection, in words that say whose matter it is.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::certificates::Untrusted;

/// Why there is no secure connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSecure(String);

impl From<&Error> for NotSecure {
    fn from(error: &Error) -> Self {
        Self(words(error))
    }
}

/// What rosterd can do at all.
const ABLE: &str = "rosterd has TLS 1.2 and 1.3, without cipher suites that use CBC, RC4 or RSA key exchange";

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => format!("the server's certificate is not accepted: {}", reason_of(reason)),
        Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity => format!(
                "the server ended the handshake ({alert:?}), mostly because there is no version of TLS or no cipher suite that \
                 both have; {ABLE}"
            ),
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                "the server wants a certificate of the client: set cert_file and key_file".to_owned()
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => {
                format!("the server does not accept the client's certificate, or that there is none ({alert:?})")
            }
            AlertDescription::UnrecognisedName => {
                "the server does not know the name that it is asked by (UnrecognisedName): see server_name".to_owned()
            }
            _ => format!("the server ended the connection with the alert {alert:?}"),
        },
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => format!("the server's version of TLS is not one that tls_config allows; {ABLE}"),
        Error::PeerIncompatible(reason) => format!("the server does not go together with rosterd ({reason:?}); {ABLE}"),
        Error::InvalidMessage(_) => "what came is not TLS: perhaps the server speaks plain HTTP".to_owned(),
        other => other.to_string(),
    }
}

fn reason_of(reason: &CertificateError) -> String {
    match reason {
        CertificateError::BadEncoding => Untrusted::Unreadable.to_string(),
        CertificateError::BadSignature => Untrusted::Signature.to_string(),
        CertificateError::Other(other) => other.to_string(),
        reason => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_whose_matter_it_is() {
        let say = |error: Error| NotSecure::from(&error).to_string();
        let untrusted: Error = Untrusted::Unknown("CN=root".to_owned()).into();
        let want = "the server's certificate is not accepted: signed by \"CN=root\", whose certificate is not among those \
                    that are trusted";
        assert_eq!(say(untrusted), want);
        assert_eq!(say(Untrusted::Unreadable.into()), "the server's certificate is not accepted: it cannot be read");
        let alert = say(Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert!(alert.contains("without cipher suites that use CBC"), "{alert}");
        let alert = say(Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(alert.contains("cert_file"), "{alert}");
    }
}
