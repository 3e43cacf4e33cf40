//! Pods as a kubelet lists them: what another mechanism makes of a list of pods, as the role `pod` makes it of its watch.

use rosterd_model::TargetGroup;
use serde::Deserialize;

use crate::groups::Maker;
use crate::objects::{List, Pod, PodJson};

/// The kind that a list of pods says it is.
const KIND: &str = "PodList";

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodListJson<'a> {
    kind: &'a str,
    #[serde(borrow)]
    items: List<PodJson<'a>>,
}

/// Why a text is no list of pods.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// It cannot be read.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It does not say that it is one.
    #[error("it does not say that it is a list of pods")]
    Kind,
}

/// The groups of the pods of a list of which the namespace is wanted: one for each pod, also without targets.
pub fn groups_of_pods(list: &[u8], is_wanted: impl Fn(&str) -> bool) -> Result<Vec<TargetGroup>, PodsError> {
    let list: PodListJson<'_> = serde_json::from_slice(list)?;
    if list.kind != KIND {
        return Err(PodsError::Kind);
    }
    let mut maker = Maker::of_pods();
    let pods = list.items.0.into_iter().map(Pod::from);
    Ok(pods.filter(|pod| is_wanted(&pod.meta.namespace)).map(|pod| maker.pod(&pod)).collect())
}
