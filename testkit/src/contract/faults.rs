//! What goes wrong between a discoverer and a cloud takes nothing away, and is told for what it is.

use super::Run;
use crate::{FakeCloud, Step, eventually, patience};

/// Checks that, with this call of the discoverer answered in one wrong way after the other, all targets stay and each fault is told by
/// its code. The interval should be a second.
///
/// # Panics
///
/// When it is not so.
pub async fn check_faults(cloud: &FakeCloud, run: &mut Run, call: impl Fn() -> Step) {
    let found = run.picture().cloned().collect::<Vec<_>>();
    assert!(!found.is_empty(), "there is nothing to take away");
    for (step, code) in [
        (call().status(403).json(r#"{"message": "not you"}"#), "http_unauthorized"),
        (call().status(500), "http_status"),
        (call().json("[1, 2, 3]").truncate(4), "http_broken"),
        (call().json("\"text\""), "sd_rest_malformed"),
        (call().stall(), "http_timeout"),
        // It is not asked for a second, and whoever asks then waits.
        (call().status(429).reply_header("retry-after", "1"), "http_throttled"),
    ] {
        cloud.instead(step);
        eventually(patience(), &format!("{code} is told"), || {
            while run.try_next().is_some() {}
            run.status().last_error.is_some_and(|last| last.report.code == code)
        })
        .await;
        assert!(run.picture().eq(&found) && run.unread().next().is_none(), "{code}: {:?}", run.status());
        cloud.heal();
    }
    // It goes on by itself.
    let goes_on = || {
        while run.try_next().is_some() {}
        run.status().last_error.is_none()
    };
    eventually(patience(), "it works again", goes_on).await;
    assert!(run.picture().eq(&found), "{:?}", run.status());
}
