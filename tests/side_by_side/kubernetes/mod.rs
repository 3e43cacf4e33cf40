//! rosterd in a real cluster: an API server of Kubernetes on etcd, and the targets that a real Prometheus 3 finds there.
//!
//! Needs what `ci/kubernetes/build` builds with Go, and Debian's package `etcd-server`.

mod access;
mod charts;
mod cluster;
mod front;
mod jobs;
mod outages;
mod rights;
mod story;
mod vmagent;
