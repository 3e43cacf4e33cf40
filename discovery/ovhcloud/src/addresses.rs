//! The addresses of a server, of the list of those that lead to it. Pure.

use std::net::IpAddr;

use rosterd_rest::Fault;

/// What counts as a single address, of whatever version: Prometheus does the same.
const WHOLE: &str = "32";

/// The addresses of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ipv4: String,
    pub(super) ipv6: String,
}

impl Addresses {
    /// Those of this list: of each version the last one. Networks are none.
    pub(super) fn of(texts: &[String]) -> Result<Self, Fault> {
        let mut found = Self::default();
        for text in texts {
            let (address, bits) = text.split_once('/').unwrap_or((text, WHOLE));
            let is_size = |bits: &str, most: u8| bits.parse::<u8>().is_ok_and(|bits| bits <= most);
            let address = address.parse::<IpAddr>().ok();
            let address = address.filter(|address| is_size(bits, if address.is_ipv4() { 32 } else { 128 }));
            let address = address.ok_or_else(|| Fault::new(format!("{text:?} is no address and no network")))?;
            match address {
                _ if bits != WHOLE || address.is_unspecified() => {}
                IpAddr::V4(_) => found.ipv4 = address.to_string(),
                IpAddr::V6(_) => found.ipv6 = address.to_string(),
            }
        }
        Ok(found)
    }

    /// The one that the server is reached by.
    pub(super) fn main(&self) -> Option<&str> {
        [&*self.ipv4, &*self.ipv6].into_iter().find(|address| !address.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<(String, String), String> {
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        Addresses::of(&texts).map(|found| (found.ipv4, found.ipv6)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_last_single_address_of_a_version_is_it() {
        for (texts, ipv4, ipv6) in [
            (&["203.0.113.1", "203.0.113.2/32", "203.0.113.0/24"][..], "203.0.113.2", ""),
            (&["2001:DB8:0::1", "2001:db8::/64", "2001:db8::2/128", "0.0.0.0"], "", "2001:db8::1"),
            (&["2001:db8::3/32", "::", "203.0.113.4"], "203.0.113.4", "2001:db8::3"),
            (&[], "", ""),
        ] {
            assert_eq!(of(texts), Ok((ipv4.to_owned(), ipv6.to_owned())), "{texts:?}");
        }
        for wrong in ["", "203.0.113.1/33", "203.0.113.1/", "2001:db8::/129", "vps.example.com"] {
            assert_eq!(of(&[wrong]), Err(format!("{wrong:?} is no address and no network")));
        }
    }
}
