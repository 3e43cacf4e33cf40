//! The ids of resources, which say where they are: taken apart. Pure.

/// Where a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResourcePlace<'a> {
    /// The resource group, as it is written.
    pub(super) group: &'a str,
    /// The name of the resource itself: the last part of the id.
    pub(super) name: &'a str,
}

impl<'a> ResourcePlace<'a> {
    /// Takes an id apart, `/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n`. Whether letters are
    /// capitals does not count in it, and is not always the same.
    pub(super) fn of(id: &'a str) -> Option<Self> {
        let segments: Vec<_> = id.split('/').filter(|segment| !segment.is_empty()).collect();
        let at = segments.iter().step_by(2).position(|segment| segment.eq_ignore_ascii_case("resourceGroups"))? * 2;
        let (group, name) = (segments.get(at + 1)?, segments.last()?);
        (segments.len() > at + 2 && segments.len() % 2 == 0).then_some(Self { group, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_group_and_name() {
        let place = |id| ResourcePlace::of(id).map(|place| (place.group, place.name));
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm";
        assert_eq!(place(id), Some(("g", "vm")));
        assert_eq!(place("/SUBSCRIPTIONS/resourcegroups/RESOURCEGROUPS/G/providers/a/b/c"), Some(("G", "c")));
        let nested = format!("{id}/networkInterfaces/nic");
        assert_eq!(place(&nested), Some(("g", "nic")));
        for id in [
            "",
            "vm",
            "/subscriptions/s",
            "/subscriptions/s/resourceGroups/g",
            "/subscriptions/s/resourceGroups/g/providers",
        ] {
            assert_eq!(place(id), None, "{id}");
        }
    }
}
