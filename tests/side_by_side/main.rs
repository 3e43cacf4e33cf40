//! rosterd beside real programs: the same configuration in a real Prometheus, real consumers of what it publishes, and real
//! receivers of what it scrapes.
//!
//! Needs Debian's packages `prometheus`, `prometheus-node-exporter`, `victoria-metrics`, `nginx-light`, `openssl`, `bind9` and
//! `etcd-server`, `zookeeper`, and root for the tests of DNS: every program there sees a `/etc/resolv.conf` of its own.

mod authorities;
mod certificates;
mod changes;
mod consumers;
mod departures;
mod equality;
mod exporter;
mod kubernetes;
mod names;
mod odd;
mod programs;
mod receivers;
mod reloads;
mod scrapes;
mod series;
mod source;
mod targets;
mod zookeeper;
