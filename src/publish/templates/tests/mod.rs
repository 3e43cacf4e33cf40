//! From updates of providers to files that programs take, and templates alone.

mod crash;
mod publishing;
mod rendering;
