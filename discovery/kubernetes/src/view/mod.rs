//! The discoverer: what one configuration sees of the watches that it uses with others.

mod discoverer;
mod part;
mod words; // what is said of parts; pure

#[cfg(test)]
pub(crate) use discoverer::REST;
pub(crate) use discoverer::View;
