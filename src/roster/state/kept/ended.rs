//! What is not held any more for what it was held for, for people: how much, why, and what of it stays. Pure.

use std::collections::BTreeMap;

use super::{Kept, KeptHold, KeptPlace};
use crate::roster::clock::Now;
use crate::roster::hold::HoldReason;
use crate::roster::job::Keeping;
use crate::roster::step::{LetGo, Stay};

/// What is kept on under another configuration.
#[derive(Debug, Default)]
pub(in crate::roster::state) struct KeptOn {
    /// What was braked and goes on in its time of grace.
    pub(super) graced: Vec<KeptPlace>,
    /// What goes on in it as before.
    pub(super) grace: Vec<KeptPlace>,
}

impl Kept {
    /// What it comes to that nothing holds these any more for what they are held for, by why they are.
    pub(in crate::roster::state) fn let_go(
        &self,
        places: &[KeptPlace],
        keeping: &Keeping,
        now: Now,
    ) -> BTreeMap<HoldReason, LetGo> {
        let mut reasons = BTreeMap::<_, LetGo>::new();
        for place in places {
            if let Some(held) = self.of.get(&place.provider).and_then(|groups| groups.holds.get(&place.id)) {
                let ended = reasons.entry(held.hold.reason).or_default();
                ended.targets += 1;
                ended.stay = held.graced(keeping, now).map_or(ended.stay, |graced| longer(ended.stay, &graced));
            }
        }
        reasons
    }

    /// How many are kept for each reason.
    pub(in crate::roster::state) fn reasons(&self) -> BTreeMap<HoldReason, usize> {
        let reasons = [(HoldReason::Braked, self.braked_len()), (HoldReason::Grace, self.len() - self.braked_len())];
        reasons.into_iter().filter(|(_, targets)| *targets > 0).collect()
    }

    /// What a configuration has let go of, where so many were kept before for each reason, and these were kept on at first: other
    /// rules may have dropped some of them.
    pub(in crate::roster::state) fn ended_since(
        &self,
        before: &BTreeMap<HoldReason, usize>,
        kept_on: &KeptOn,
    ) -> BTreeMap<HoldReason, LetGo> {
        let of = |reason| before.get(&reason).copied().unwrap_or_default();
        let hold = |place: &KeptPlace| self.of.get(&place.provider)?.holds.get(&place.id);
        let stay = kept_on.graced.iter().filter_map(hold).fold(None, longer);
        let braked = of(HoldReason::Braked).saturating_sub(self.braked_len());
        let grace = of(HoldReason::Grace).saturating_sub(kept_on.grace.iter().filter_map(hold).count());
        let ended = [
            (HoldReason::Braked, LetGo { targets: braked, stay }),
            (HoldReason::Grace, LetGo { targets: grace, stay: None }),
        ];
        ended.into_iter().filter(|(_, ended)| ended.targets > 0).collect()
    }
}

/// With one more that stays.
fn longer(stay: Option<Stay>, hold: &KeptHold) -> Option<Stay> {
    let until = hold.hold.until.unwrap_or(hold.hold.since);
    Some(
        stay.map_or(Stay { targets: 1, until }, |stay| Stay {
            targets: stay.targets + 1,
            until: stay.until.max(until),
        }),
    )
}
