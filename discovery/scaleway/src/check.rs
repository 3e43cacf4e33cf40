//! What keys, ids and zones of Scaleway look like. Pure.

use rosterd_model::Problem;

const INVALID: &str = "cfg_invalid_value";

/// What is wrong with an access key, unless it is `SCW` and seventeen capitals and digits.
pub(super) fn access_key(key: &str) -> Option<Problem> {
    let rest = key.strip_prefix("SCW");
    let is_rest =
        |rest: &str| rest.len() == 17 && rest.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
    let message = "access_key begins with SCW, and 17 capital letters and digits follow";
    (!rest.is_some_and(is_rest)).then(|| Problem::new("access_key", INVALID, message))
}

/// What is wrong with what has to be a UUID.
pub(super) fn uuid(name: &str, value: &str) -> Option<Problem> {
    let parts: Vec<_> = value.split('-').collect();
    let is_uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|it| it.is_ascii_hexdigit()));
    let message = format!("{name} is a UUID, as 11111111-2222-3333-4444-555555555555");
    (!is_uuid).then(|| Problem::new(name, INVALID, message))
}

/// What is wrong with a zone.
pub(super) fn zone(zone: &str) -> Option<Problem> {
    let message = "zone is that of a datacenter, as fr-par-1 or nl-ams-2";
    region(zone).is_none().then(|| Problem::new("zone", INVALID, message))
}

/// A zone under its name of today: two had shorter ones once.
pub(super) fn renamed(zone: &str) -> &str {
    match zone {
        "par1" => "fr-par-1",
        "ams1" => "nl-ams-1",
        zone => zone,
    }
}

/// The region of a zone: `fr-par` of `fr-par-1`.
pub(super) fn region(zone: &str) -> Option<&str> {
    let (region, number) = zone.rsplit_once('-')?;
    let (country, city) = region.split_once('-')?;
    let is_low = |text: &str| text.bytes().all(|it| it.is_ascii_lowercase());
    let is_zone = country.len() == 2
        && (3..=7).contains(&city.len())
        && is_low(country)
        && is_low(city)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|it| it.is_ascii_digit());
    is_zone.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ids_and_zones_are_known_by_their_form() {
        assert_eq!(access_key("SCW0123456789ABCDEFG"), None);
        for wrong in ["SCW0123456789ABCDEF", "SCW0123456789ABCDEFg", "scw0123456789ABCDEFG", ""] {
            assert!(access_key(wrong).is_some(), "{wrong}");
        }
        assert_eq!(uuid("project_id", "11111111-2222-3333-4444-5555AAAAbbbb"), None);
        for wrong in ["11111111-2222-3333-4444-5555aaaabbb", "11111111222233334444555555555555", "x", ""] {
            assert!(uuid("project_id", wrong).is_some(), "{wrong}");
        }
        assert_eq!((region("fr-par-1"), region("nl-ams-12")), (Some("fr-par"), Some("nl-ams")));
        for wrong in ["", "par1", "fr-par", "fr-par-", "fr-par-123", "FR-PAR-1", "fr-pa-1", "fr-par-x"] {
            assert_eq!(region(wrong), None, "{wrong}");
            assert!(zone(wrong).is_some(), "{wrong}");
        }
    }
}
