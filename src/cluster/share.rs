//! Which targets a member scrapes: all of them where it is alone.

use std::sync::Arc;

use rosterd_config::Cluster;
use rosterd_model::Labels;

use super::error::NotAMember;
use super::slot::Slot;
use super::table::Table;

/// The targets of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share(Option<Arc<Part>>);

/// What one of several members has.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    table: Table,
    own: u16,
}

impl Share {
    /// Its share by a configuration. `names` are what it may be called, the first one at best. Fails when it is in no place of a list that
    /// there is.
    pub fn by(config: &Cluster, names: &[&str]) -> Result<Self, NotAMember> {
        let members = config.fixed.iter().flat_map(|fixed| &fixed.members);
        let Some(table) = Table::new(members.map(String::as_str)) else { return Ok(Self::default()) };
        let own = names.iter().find_map(|name| table.place_of(name));
        let name = names.first().copied().unwrap_or_default();
        own.map(|own| Self(Some(Arc::new(Part { table, own })))).ok_or_else(|| NotAMember { name: name.to_owned() })
    }

    /// Whether a target of a job with these final labels belongs to it.
    pub fn has(&self, job: &str, labels: &Labels) -> bool {
        self.0.as_ref().is_none_or(|part| part.table.owner_place(Slot::of(job, labels)) == part.own)
    }

    /// The member that has a target, if that is another one.
    pub fn other(&self, job: &str, labels: &Labels) -> Option<&Arc<str>> {
        let part = self.0.as_ref()?;
        let slot = Slot::of(job, labels);
        (part.table.owner_place(slot) != part.own).then(|| part.table.owner(slot))
    }

    /// How many slots it owns; `None` where it is alone.
    pub fn slots(&self) -> Option<u16> {
        self.0.as_ref().map(|part| part.table.slots()[usize::from(part.own)])
    }

    /// Who owns which slot, and what this member is called there; `None` where it is alone.
    pub fn table(&self) -> Option<(&Table, &Arc<str>)> {
        self.0.as_ref().map(|part| (&part.table, &part.table.members()[usize::from(part.own)]))
    }
}

#[cfg(test)]
mod tests {
    use rosterd_config::StaticMembers;

    use super::*;

    fn cluster(members: &[&str]) -> Cluster {
        let members = members.iter().map(|name| (*name).to_owned()).collect();
        Cluster { fixed: Some(StaticMembers { members }), ..Cluster::default() }
    }

    #[test]
    fn each_target_belongs_to_exactly_one_and_all_know_to_whom() {
        let cluster = cluster(&["a", "b", "c"]);
        let shares = ["a", "b", "c"].map(|name| (name, Share::by(&cluster, &[name]).unwrap()));
        for n in 0..1000 {
            let labels: Labels = [("__address__", format!("10.0.0.{n}:80").as_str())].into_iter().collect();
            let owners: Vec<_> = shares.iter().filter(|(_, share)| share.has("j", &labels)).collect();
            assert_eq!(owners.len(), 1, "{labels:?}");
            for (name, share) in &shares {
                let other = share.other("j", &labels).map(|name| &**name);
                assert_eq!(other, (*name != owners[0].0).then_some(owners[0].0));
            }
        }
    }

    #[test]
    fn who_is_alone_has_all_and_who_is_not_named_is_told() {
        let alone = Share::by(&Cluster::default(), &["x"]).unwrap();
        assert!(alone.has("j", &Labels::default()) && alone.table().is_none());
        let cluster = cluster(&["a", "b"]);
        assert_eq!(Share::by(&cluster, &["x.example.com", "x"]).unwrap_err().name, "x.example.com");
        let share = Share::by(&cluster, &["b.example.com", "b"]).unwrap();
        assert_eq!(share.table().map(|(_, own)| &**own), Some("b"));
    }
}
