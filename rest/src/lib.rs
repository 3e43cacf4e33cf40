//! What mechanisms that ask an API over HTTP have in common: a server that is asked, tokens to ask with, replies that are
//! read, in pages too, and catalogs that hold an answer back until they have news. A mechanism adds what it asks for, and what becomes of it.

mod api; // a server, and questions to it
mod caller; // how questions are sent
mod calls; // how they are counted
mod catalog; // the contract of what answers late
mod error;
mod groups; // what a list becomes; pure
mod hints; // that something of many has changed
mod key; // secrets that may stand in a file
mod last; // a body that was read, so that the same costs a hash
mod nulls; // what `null` stands for; pure
mod pace; // when it is asked again; pure
mod pages; // lists in pieces, to their end
mod paging; // questions for lists in pieces
mod refused; // what a server says that does not answer
mod reply; // what came, and how it is read
mod shared; // a server that jobs ask together
mod socket; // servers behind unix sockets; pure
mod sources; // several of them, in a limited time
mod throttle; // who wants to be asked less
mod turns; // how many questions there are at the same time
mod unproven; // who has nothing to ask with; pure
mod watching; // the discoverer that asks a catalog

pub use api::{Api, Question};
pub use calls::{Calls, Counter};
pub use catalog::{Answer, Catalog, Known};
pub use error::{Fault, RestError};
pub use groups::{distinct, each_a_target};
pub use key::{Key, KeyHeader};
pub use last::Last;
pub use pace::Pace;
pub use pages::{Before, Page, Turn, read_pages};
pub use paging::PagePlace;
pub use refused::{refused_with, words};
#[cfg(feature = "xml")]
pub use reply::xml;
pub use reply::{json, or_default, present};
pub use rosterd_credentials::{Authorize, Issued, Issuer, NoToken, Tokens};
pub use socket::{SocketError, socket};
pub use sources::{Round, Sources};
pub use throttle::{Reset, Throttle, Throttles};
pub use turns::{Server, Servers};
pub use unproven::examine_proof;
pub use watching::Watching;

#[cfg(test)]
extern crate self as rosterd_rest;
