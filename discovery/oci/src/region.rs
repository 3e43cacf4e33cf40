//! Where the APIs of a region are. Pure.

use rosterd_client::SafeUrl;

/// The domain of the commercial realm, in which are all regions that are not known here.
const COMMERCIAL: &str = "oraclecloud.com";

/// Domains of the other realms, with their regions.
const REALMS: [(&str, &[&str]); 18] = [
    ("oraclegovcloud.com", &["us-langley-1", "us-luke-1", "us-gov-ashburn-1", "us-gov-chicago-1", "us-gov-phoenix-1"]),
    ("oraclegovcloud.uk", &["uk-gov-london-1", "uk-gov-cardiff-1"]),
    ("oraclecloud8.com", &["ap-chiyoda-1", "ap-ibaraki-1"]),
    ("oraclecloud9.com", &["me-dcc-muscat-1", "me-ibri-1"]),
    ("oraclecloud10.com", &["ap-dcc-canberra-1"]),
    (
        "oraclecloud14.com",
        &[
            "eu-dcc-milan-1",
            "eu-dcc-milan-2",
            "eu-dcc-dublin-1",
            "eu-dcc-dublin-2",
            "eu-dcc-rating-1",
            "eu-dcc-rating-2",
        ],
    ),
    ("oraclecloud15.com", &["ap-dcc-gazipur-1"]),
    ("oraclecloud.eu", &["eu-madrid-2", "eu-frankfurt-2"]),
    ("oraclecloud20.com", &["eu-jovanovac-1"]),
    ("oraclecloud21.com", &["me-dcc-doha-1", "me-alrayyan-1"]),
    ("oraclecloud23.com", &["us-somerset-1", "us-thames-1"]),
    ("oraclecloud24.com", &["eu-dcc-zurich-1", "eu-crissier-1"]),
    ("oraclecloud26.com", &["me-abudhabi-3", "me-alain-1"]),
    ("oraclecloud29.com", &["me-abudhabi-2", "me-abudhabi-4"]),
    ("oraclecloud35.com", &["ap-seoul-2", "ap-suwon-1", "ap-chuncheon-2"]),
    ("oraclecloud42.com", &["us-ashburn-2", "us-newark-1"]),
    ("oraclecloud51.com", &["eu-budapest-1"]),
    ("oraclecloud52.com", &["sa-riodejaneiro-1"]),
];

/// Regions by the short names that the first of them have.
const SHORT: [(&str, &str); 38] = [
    ("phx", "us-phoenix-1"),
    ("iad", "us-ashburn-1"),
    ("fra", "eu-frankfurt-1"),
    ("lhr", "uk-london-1"),
    ("yyz", "ca-toronto-1"),
    ("nrt", "ap-tokyo-1"),
    ("icn", "ap-seoul-1"),
    ("bom", "ap-mumbai-1"),
    ("gru", "sa-saopaulo-1"),
    ("syd", "ap-sydney-1"),
    ("zrh", "eu-zurich-1"),
    ("jed", "me-jeddah-1"),
    ("ams", "eu-amsterdam-1"),
    ("kix", "ap-osaka-1"),
    ("mel", "ap-melbourne-1"),
    ("yul", "ca-montreal-1"),
    ("hyd", "ap-hyderabad-1"),
    ("yny", "ap-chuncheon-1"),
    ("sjc", "us-sanjose-1"),
    ("dxb", "me-dubai-1"),
    ("cwl", "uk-cardiff-1"),
    ("scl", "sa-santiago-1"),
    ("vcp", "sa-vinhedo-1"),
    ("auh", "me-abudhabi-1"),
    ("mtz", "il-jerusalem-1"),
    ("mrs", "eu-marseille-1"),
    ("sin", "ap-singapore-1"),
    ("lin", "eu-milan-1"),
    ("jnb", "af-johannesburg-1"),
    ("arn", "eu-stockholm-1"),
    ("cdg", "eu-paris-1"),
    ("qro", "mx-queretaro-1"),
    ("mad", "eu-madrid-1"),
    ("ord", "us-chicago-1"),
    ("lfi", "us-langley-1"),
    ("luf", "us-luke-1"),
    ("ltn", "uk-gov-london-1"),
    ("brs", "uk-gov-cardiff-1"),
];

/// A region, or the domain below which its APIs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region(String);

impl Region {
    /// Of its name, in any case, or its short name.
    pub(super) fn new(name: &str) -> Self {
        let name = name.to_lowercase();
        let full = SHORT.iter().find(|(short, _)| *short == name).map(|(_, full)| (*full).to_owned());
        Self(full.unwrap_or(name))
    }

    /// Where one of its APIs is: `iaas`, `identity` or `auth`.
    pub(super) fn server(&self, api: &str) -> SafeUrl {
        let Self(name) = self;
        if name.contains('.') {
            return SafeUrl::new(format!("https://{api}.{name}"));
        }
        let domain = REALMS.iter().find(|(_, regions)| regions.contains(&name.as_str()));
        let domain = domain.map_or(COMMERCIAL, |(domain, _)| domain);
        let infix = if api == "identity" { "oci." } else { "" };
        SafeUrl::new(format!("https://{api}.{name}.{infix}{domain}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_realm_has_a_domain_of_its_own() {
        for (name, api, want) in [
            ("eu-frankfurt-1", "iaas", "https://iaas.eu-frankfurt-1.oraclecloud.com"),
            ("eu-frankfurt-1", "identity", "https://identity.eu-frankfurt-1.oci.oraclecloud.com"),
            ("eu-frankfurt-1", "auth", "https://auth.eu-frankfurt-1.oraclecloud.com"),
            ("FRA", "iaas", "https://iaas.eu-frankfurt-1.oraclecloud.com"),
            ("mars-north-1", "iaas", "https://iaas.mars-north-1.oraclecloud.com"),
            ("eu-frankfurt-2", "identity", "https://identity.eu-frankfurt-2.oci.oraclecloud.eu"),
            ("us-gov-ashburn-1", "iaas", "https://iaas.us-gov-ashburn-1.oraclegovcloud.com"),
            ("ltn", "auth", "https://auth.uk-gov-london-1.oraclegovcloud.uk"),
            ("me-abudhabi-4", "iaas", "https://iaas.me-abudhabi-4.oraclecloud29.com"),
            ("oci.test:8443", "identity", "https://identity.oci.test:8443"),
        ] {
            assert_eq!(Region::new(name).server(api), SafeUrl::new(want), "{name}");
        }
    }
}
