//! Why the targets of a job are held, as a roster shows it. Pure.

use std::sync::Arc;

use rosterd_model::Labels;

use crate::roster::hold::HoldReasons;
use crate::roster::holding::Holding;
use crate::roster::view::JobView;

/// Why targets of a job are held, if there is such a job.
pub(super) struct Whys<'a>(Option<(&'a JobView, Holding<'a>)>);

impl<'a> Whys<'a> {
    pub(super) fn of(view: Option<&'a Arc<JobView>>) -> Self {
        Self(view.map(|view| (&**view, Holding::of(view))))
    }

    /// Why one is; for no reason if it is not, or not there.
    pub(super) fn of_target(&self, labels: &Labels) -> HoldReasons {
        let known = self.0.as_ref().and_then(|(view, holding)| Some(holding.why(view.slot(labels)?)));
        known.unwrap_or_default()
    }

    /// The targets that are held in both, but not for a reason any more for which they were: with the reasons of before, and
    /// those of now.
    pub(super) fn otherwise<'b>(
        &self,
        now: &'b Whys<'_>,
    ) -> impl Iterator<Item = (&'b Labels, HoldReasons, HoldReasons)> {
        let alike = |whys: &Whys<'_>| whys.0.as_ref().and_then(|(_, holding)| holding.alike());
        let both = self.0.as_ref().zip(now.0.as_ref());
        let both =
            both.filter(|((was, _), _)| was.pages().held() > 0 && (alike(self).is_none() || alike(self) != alike(now)));
        let targets = both.into_iter().flat_map(|(_, (view, holding))| view.targets().map(move |slot| (slot, holding)));
        targets.filter_map(|(slot, holding)| {
            let (was, is) = (self.of_target(&slot.labels), holding.why(slot));
            (is != HoldReasons::default() && !was.are_among(is)).then_some((&slot.labels, was, is))
        })
    }
}
