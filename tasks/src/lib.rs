//! What every part of rosterd that runs needs: tasks that have an owner, schedules with backoff, commands that
//! leave nothing behind, and files that are noticed when they change. Below all others that run; knows nothing of discovery, scrapes or HTTP.

mod blocking;
pub mod files;
mod interfaces;
pub mod process;
#[cfg(feature = "provoke")]
mod provoke;
mod schedule;
pub mod stopper;
mod supervision;
mod telling;
mod threads;
mod together;
pub mod watch;

pub use blocking::{Turns, blocking, by_size};
pub use interfaces::{interface_number, zoned};
pub use schedule::{Machine, Schedule};
pub use stopper::{Stopper, Task, TaskName, portion};
pub use supervision::{Fatal, Guard, Panicked, Supervision, panic_text};
pub use telling::Telling;
pub use threads::Threads;
pub use together::{Looked, Together};
