//! How rosterd proves to clouds who asks: tokens that are asked for, held and renewed, and signatures of single requests. Used for
//! discovery and for remote write alike. Each cloud's way to tokens is a module and a feature of its own.

mod authorize; // the contract: what is added to each request
#[cfg(feature = "aws")]
pub mod aws; // credentials of AWS
#[cfg(feature = "azure")]
pub mod azure; // tokens of Microsoft Entra ID
mod bearer; // tokens that are sent as they are
mod error;
#[cfg(feature = "exchange")]
mod exchange; // one request for a token
#[cfg(feature = "google")]
pub mod google; // tokens of Google
mod kept; // what jobs share, and a reload keeps
pub mod sigv4; // signatures of AWS
mod tokens; // what one has to ask for before one may ask

pub use authorize::Authorize;
pub use bearer::Bearer;
pub use error::{NoToken, Told};
pub use kept::Kept;
pub use rosterd_sign as sign;
pub use tokens::{Issued, Issuer, Tokens};
