//! rosterd beside real programs: the same configuration in a real Prometheus, real consumers of what it publishes, and real
//! receivers of what it scrapes.
//!
//! Needs Debian's packages `prometheus`, `prometheus-node-exporter`, `victoria-metrics`, `nginx-light`, `haproxy`, `openssl`, `bind9`,
//! `etcd-server`, `zookeeper`, `puppetdb` with `postgresql`, `python3-keystone`, and `docker.io`, what `ci/kubernetes/build` builds with Go, and
//! root for the tests of DNS, where every program sees a `/etc/resolv.conf` of its own, and of Docker. Some tests do nothing where moto, which
//! `ci/install` takes from PyPI, is not installed.

mod authorities;
mod aws;
mod built;
mod certificates;
mod changes;
mod clouds;
mod consumers;
#[path = "../docker/daemon.rs"]
#[allow(dead_code, reason = "the rest is for the test of the image")]
mod daemon;
mod departures;
mod docker;
mod equality;
mod exporter;
mod hyperscalers;
mod keystone;
mod kubernetes;
mod names;
mod odd;
mod openstack;
mod programs;
mod proxies;
mod puppetdb;
mod receivers;
mod registries;
mod reloads;
mod scrapes;
mod series;
mod source;
mod targets;
mod zookeeper;
