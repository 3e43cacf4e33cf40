//! Addresses like one that nobody has. Pure.

use std::cmp::Reverse;

use rosterd_model::difference;
use serde::{Deserialize, Serialize};

use super::matches::Became;

/// So many are told.
const TOLD: usize = 5;
/// So many are looked at: of a million the search itself has to be the larger part.
const LOOKED_AT: usize = 100_000;

/// An address that is there, and is like the one that was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimilarAddress {
    /// The address.
    pub address: String,
    /// The job of the entry that has it.
    pub job: String,
    /// What became of that entry.
    pub became: Became,
}

/// The addresses that are most like one.
#[derive(Debug)]
pub(super) struct Similar {
    wanted: String,
    /// The most like first, each with how much it differs.
    best: Vec<(Difference, SimilarAddress)>,
    looked_at: usize,
}

/// Another port of the same host is nearest; then fewer letters that are others; then more of the same before these, so that a neighbour
/// in a network comes before what is in another one.
type Difference = (bool, usize, Reverse<usize>);

impl Similar {
    pub(super) fn to(wanted: &str) -> Self {
        Self { wanted: wanted.to_owned(), best: Vec::new(), looked_at: 0 }
    }

    /// Looks at an address.
    pub(super) fn consider(&mut self, address: &str, job: &str, became: Became) {
        self.looked_at += 1;
        if self.looked_at > LOOKED_AT {
            return;
        }
        let Some(difference) = self.difference(address) else { return };
        let at = self.best.partition_point(|(known, _)| *known <= difference);
        if at < TOLD && !self.best.iter().any(|(_, known)| known.address == address) {
            self.best.truncate(TOLD - 1);
            let similar = SimilarAddress { address: address.to_owned(), job: job.to_owned(), became };
            self.best.insert(at, (difference, similar));
        }
    }

    /// The most like first.
    pub(super) fn into_best(self) -> Vec<SimilarAddress> {
        self.best.into_iter().map(|(_, similar)| similar).collect()
    }

    /// How much an address differs, if it is like the wanted one and may be told.
    fn difference(&self, address: &str) -> Option<Difference> {
        if self.has_same_host(address) {
            return Some((false, 0, Reverse(0)));
        }
        let shared = self.shared(address);
        let most = match self.best.get(TOLD - 1) {
            Some(((false, ..), _)) => return None,
            Some(((true, worst, Reverse(its)), _)) if shared > *its => *worst,
            Some(((true, worst, _), _)) => worst.checked_sub(1)?,
            None => usize::MAX,
        };
        let least = forms(address).filter_map(|form| difference(&self.wanted, form, most)).min()?;
        Some((true, least, Reverse(shared)))
    }

    /// How long what both begin with is.
    fn shared(&self, address: &str) -> usize {
        self.wanted.bytes().zip(address.bytes()).take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
    }

    fn has_same_host(&self, address: &str) -> bool {
        let wanted = host(&self.wanted).unwrap_or(&self.wanted);
        host(address).is_some_and(|host| host.eq_ignore_ascii_case(wanted))
    }
}

/// An address, and its host alone.
fn forms(address: &str) -> impl Iterator<Item = &str> {
    [Some(address), host(address)].into_iter().flatten()
}

fn host(address: &str) -> Option<&str> {
    address.rsplit_once(':').map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(wanted: &str, addresses: &[&str]) -> Vec<String> {
        let mut similar = Similar::to(wanted);
        addresses.iter().for_each(|address| similar.consider(address, "j", Became::Target));
        similar.into_best().into_iter().map(|similar| similar.address).collect()
    }

    #[test]
    fn another_port_of_the_host_is_nearest_and_then_what_differs_least() {
        let addresses = ["10.0.30.7:9100", "10.0.3.9:9100", "10.0.3.7:9101", "example.org:80", "10.0.3.7:9101"];
        assert_eq!(best("10.0.3.7:9100", &addresses), ["10.0.3.7:9101", "10.0.3.9:9100", "10.0.30.7:9100"]);
        assert_eq!(best("web-01", &["web-1:9100", "db-7:9100"]), ["web-1:9100"]);
    }

    #[test]
    fn a_few_are_told_and_those_are_the_nearest() {
        let many: Vec<_> = (110..160).map(|number| format!("10.0.3.{number}:9100")).collect();
        let mut many: Vec<_> = many.iter().map(String::as_str).collect();
        let others = ["10.1.3.7:9100", "10.0.13.7:9100", "10.0.30.7:9100", "10.0.31.7:9100", "10.0.33.7:9100"];
        many.extend(others.into_iter().chain(["10.0.3.8:9100", "10.0.3.7:80"]));
        let best = best("10.0.3.7:9100", &many);
        assert_eq!((best.len(), &best[..2]), (TOLD, &["10.0.3.7:80".to_owned(), "10.0.3.8:9100".to_owned()][..]));
    }
}
