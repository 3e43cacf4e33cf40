//! rosterd beside real programs: the same configuration in a real Prometheus, and real consumers of what it publishes.
//!
//! Needs Debian's packages `prometheus`, `victoria-metrics` and `bind9`, and root for the tests of DNS: every program there
//! sees a `/etc/resolv.conf` of its own.

mod changes;
mod consumers;
mod equality;
mod names;
mod programs;
mod source;
mod targets;
