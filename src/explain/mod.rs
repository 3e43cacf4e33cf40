//! Why a target is there, or is not: searches all jobs for it, and tells all that is known of what it finds, as one value for
//! the API, the command line and the pages.

mod explanation; // the value
mod finder; // through all entries, in steps
mod hints; // why a selector finds nothing
mod known; // what others know of what was found
mod matches; // the best of what was found
mod past; // what the journal is asked for
mod search; // what is searched for
mod similar; // addresses like one that nobody has
#[cfg(test)]
mod tests;
mod time;
mod top; // what costs most
mod trace; // what each rule did

pub use explanation::{
    Explanation, Failing, Found, Held, LastFailure, Merged, Origin, Published, SameUrl, Scrape, Target, UNTOUCHED,
    Unsure,
};
pub use finder::Finder;
pub use known::Known;
pub use matches::Became;
pub use past::Gone;
pub use search::{Fit, Scratch, Search, SearchError, Words, within_bounds};
pub use similar::SimilarAddress;
pub use time::Time;
pub use top::{By, Cost, Ranking, Top, TopJob, TopTarget};
pub use trace::{Change, End, Trace, TracedStep, changes};
