//! `tls_server_config`: from what the user writes to what rustls takes. What rustls cannot do is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosterd_client::certificates::{self, Pool};
use rosterd_model::{Problem, in_words};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SingleCertAndKey;
use rustls::{CipherSuite, NamedGroup, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::clients::{self, Policy};
use super::doors::Door;
use super::section::{Section, Value, invalid};

const PATH: &str = "tls_server_config";

/// The cipher suites that Go knows, and whether rustls has them.
const SUITES: [(&str, Option<CipherSuite>); 13] = [
    ("TLS_AES_128_GCM_SHA256", Some(CipherSuite::TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_256_GCM_SHA384", Some(CipherSuite::TLS13_AES_256_GCM_SHA384)),
    ("TLS_CHACHA20_POLY1305_SHA256", Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
];

/// A PEM text: in the file itself, or in one of its own.
#[derive(Debug)]
enum Pem {
    Inline(String),
    File(PathBuf),
}

/// What `tls_server_config` says.
#[derive(Debug)]
pub(super) struct Tls {
    enabled: bool,
    certificate: Option<Pem>,
    key: Option<Pem>,
    client_ca: Option<Pem>,
    client_auth: Door,
    policy: Policy,
    allowed_sans: Option<Vec<String>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    provider: CryptoProvider,
    prefer_server_order: bool,
}

impl Tls {
    /// Reads the section and notes all problems that show without opening another file.
    pub(super) fn read(value: Option<Value<'_>>, base: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut section = Section::new(PATH, value, problems);
        let certificate = pem(&mut section, ("cert", "cert_file"), base, problems);
        let key = pem(&mut section, ("key", "key_file"), base, problems);
        let client_ca = pem(&mut section, ("client_ca", "client_ca_file"), base, problems);
        let client_auth = section.string("client_auth_type", problems);
        let allowed_sans = section.strings("client_allowed_sans", problems);
        let versions = versions(&mut section, problems);
        let provider = CryptoProvider {
            cipher_suites: suites(&mut section, problems),
            kx_groups: curves(&mut section, problems),
            ..certificates::provider()
        };
        let prefer_server_order = section.boolean("prefer_server_cipher_suites", true, problems);
        section.end(problems);

        let written = client_auth.is_some();
        let enabled = certificate.is_some() || key.is_some() || client_ca.is_some() || client_auth.is_some();
        let policy = client_auth.map_or(Ok(Policy::None), |name| name.parse()).unwrap_or_else(|unknown| {
            problems.push(invalid(&at("client_auth_type"), unknown));
            Policy::RequireAndVerify
        });
        if enabled && certificate.is_none() {
            problems.push(invalid(&at("cert_file"), "TLS needs a certificate: set cert_file or cert"));
        }
        if enabled && key.is_none() {
            problems.push(invalid(&at("key_file"), "TLS needs a private key: set key_file or key"));
        }
        if client_ca.is_some() && policy == Policy::None {
            let message = "with a client_ca, say what clients have to show, RequireAndVerifyClientCert for example";
            problems.push(invalid(&at("client_auth_type"), message));
        }
        if client_ca.is_none() && policy.verifies() {
            let message = "clients are to be verified: name the authority that signs their certificates";
            problems.push(invalid(&at("client_ca_file"), message));
        }
        let client_auth = Door::of(written, policy != Policy::None);
        Self {
            enabled,
            certificate,
            key,
            client_ca,
            client_auth,
            policy,
            allowed_sans,
            versions,
            provider,
            prefer_server_order,
        }
    }

    /// Whether clients need a certificate, and one with certain names.
    pub(super) fn doors(&self) -> (Door, Door) {
        let named = self.allowed_sans.is_some();
        (self.client_auth, Door::of(named, named))
    }

    /// The files that were named.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let pems = [&self.certificate, &self.key, &self.client_ca];
        pems.into_iter()
            .flatten()
            .filter_map(|pem| match pem {
                Pem::File(path) => Some(path.clone()),
                Pem::Inline(_) => None,
            })
            .collect()
    }

    /// Reads certificates and key. `None` when TLS is off or cannot be used, which is then among the problems.
    pub(super) fn server_config(self, http2: bool, problems: &mut Vec<Problem>) -> Option<ServerConfig> {
        if !self.enabled {
            return None;
        }
        let chain = self.certificate.as_ref().and_then(|pem| certificates(pem, "cert", problems));
        let key = self.key.as_ref().and_then(|pem| private_key(pem, problems));
        let authorities = self.client_ca.as_ref().and_then(|pem| certificates(pem, "client_ca", problems));
        let (chain, key) = (chain?, key?);
        if !problems.is_empty() {
            return None;
        }
        let pool: Pool = authorities.unwrap_or_default().into_iter().collect();
        if pool.is_empty() && self.policy.verifies() {
            problems.push(invalid(&at("client_ca_file"), "none of the certificates can be read"));
            return None;
        }
        let identity = match certificates::identity(chain, key, &self.provider) {
            Ok(identity) => SingleCertAndKey::from(identity),
            Err(error) => {
                problems.push(invalid(PATH, error.to_string()));
                return None;
            }
        };
        let verifier = clients::verifier(self.policy, pool, self.allowed_sans, &self.provider);
        let built = ServerConfig::builder_with_provider(Arc::new(self.provider)).with_protocol_versions(&self.versions);
        match built {
            Ok(builder) => {
                let builder = builder.with_client_cert_verifier(verifier);
                let mut config = builder.with_cert_resolver(Arc::new(identity));
                config.ignore_client_order = self.prefer_server_order;
                let protocols: &[&str] = if http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
                config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
                Some(config)
            }
            Err(_) => {
                let message =
                    "none of the cipher_suites is for min_version to max_version: name one, or leave them out";
                problems.push(invalid(PATH, message));
                None
            }
        }
    }
}

fn at(key: &str) -> String {
    format!("{PATH}.{key}")
}

fn pem(
    section: &mut Section<'_>,
    (inline, file): (&'static str, &'static str),
    base: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Pem> {
    let text = section.string(inline, problems);
    let path = section.string(file, problems);
    if text.is_some() && path.is_some() {
        problems.push(invalid(&section.at(inline), format!("set {inline} or {file}, not both")));
    }
    path.map(|path| Pem::File(base.join(path))).or(text.map(Pem::Inline))
}

fn read(pem: &Pem, key: &str, problems: &mut Vec<Problem>) -> Option<(String, Vec<u8>)> {
    match pem {
        Pem::Inline(text) => Some((at(key), text.clone().into_bytes())),
        Pem::File(path) => match rosterd_tasks::files::read(path) {
            Ok(bytes) => Some((at(&format!("{key}_file")), bytes)),
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), in_words(error));
                problems.push(invalid(&at(&format!("{key}_file")), message));
                None
            }
        },
    }
}

fn certificates(pem: &Pem, key: &str, problems: &mut Vec<Problem>) -> Option<Vec<CertificateDer<'static>>> {
    let (path, bytes) = read(pem, key, problems)?;
    let chain = certificates::all_of_pem(&bytes);
    if chain.is_empty() {
        problems.push(invalid(&path, "there is no PEM certificate in it"));
    }
    (!chain.is_empty()).then_some(chain)
}

fn private_key(pem: &Pem, problems: &mut Vec<Problem>) -> Option<PrivateKeyDer<'static>> {
    let (path, bytes) = read(pem, "key", problems)?;
    certificates::private_key(&bytes).map_err(|error| problems.push(invalid(&path, error.to_string()))).ok()
}

fn versions(section: &mut Section<'_>, problems: &mut Vec<Problem>) -> Vec<&'static SupportedProtocolVersion> {
    let all = [("TLS12", &rustls::version::TLS12), ("TLS13", &rustls::version::TLS13)];
    let mut bound = |key: &'static str, default: usize| {
        let Some(name) = section.string(key, problems) else { return default };
        all.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            let message = match name.as_str() {
                "TLS10" | "TLS11" => format!("{name} is broken and not supported: TLS12 or TLS13"),
                _ => format!("{name:?} is not a version of TLS: TLS12 or TLS13"),
            };
            problems.push(invalid(&section.at(key), message));
            default
        })
    };
    let (low, high) = (bound("min_version", 0), bound("max_version", 1));
    if low > high {
        problems.push(invalid(&at("max_version"), "max_version is below min_version"));
        return Vec::new();
    }
    all[low..=high].iter().map(|(_, version)| *version).collect()
}

/// The suites of TLS 1.2 are the user's to choose and to order; those of TLS 1.3 are always there, as in Go.
fn suites(section: &mut Section<'_>, problems: &mut Vec<Problem>) -> Vec<SupportedCipherSuite> {
    let Some(names) = section.strings("cipher_suites", problems).filter(|names| !names.is_empty()) else {
        return certificates::provider().cipher_suites;
    };
    let (mut chosen, tls12): (Vec<_>, Vec<_>) =
        certificates::provider().cipher_suites.into_iter().partition(|suite| suite.tls13().is_some());
    for (index, name) in names.iter().enumerate() {
        let path = format!("{}[{index}]", at("cipher_suites"));
        match SUITES.iter().find(|(known, _)| known == name) {
            Some((_, Some(suite))) => chosen.extend(tls12.iter().find(|known| known.suite() == *suite)),
            Some((_, None)) => problems.push(invalid(&path, format!("{name} is weak and not supported"))),
            None => problems.push(invalid(&path, format!("{name:?} is not a cipher suite"))),
        }
    }
    chosen
}

fn curves(section: &mut Section<'_>, problems: &mut Vec<Problem>) -> Vec<&'static dyn SupportedKxGroup> {
    let Some(names) = section.strings("curve_preferences", problems).filter(|names| !names.is_empty()) else {
        return certificates::provider().kx_groups;
    };
    let (mut chosen, known) = (Vec::new(), certificates::provider().kx_groups);
    for (index, name) in names.iter().enumerate() {
        let group = match name.as_str() {
            "CurveP256" => Some(NamedGroup::secp256r1),
            "CurveP384" => Some(NamedGroup::secp384r1),
            "CurveP521" => Some(NamedGroup::secp521r1),
            "X25519" => Some(NamedGroup::X25519),
            "X25519MLKEM768" => Some(NamedGroup::X25519MLKEM768),
            _ => None,
        };
        let found = known.iter().find(|known| Some(known.name()) == group);
        match found {
            Some(group) => chosen.push(*group),
            None => {
                let message =
                    format!("{name:?} is no curve: X25519MLKEM768, X25519, CurveP256, CurveP384 or CurveP521");
                problems.push(invalid(&format!("{}[{index}]", at("curve_preferences")), message));
            }
        }
    }
    chosen
}
