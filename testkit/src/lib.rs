//! Test helpers for rosterd and for authors of discoverers.
//!
//! - [`leak_checked`] and [`leak_checked_live`] run an async test and fail it when it leaks a task, a descriptor or a
//!   running stopper; [`Leaks`] allows what has to be allowed.
//! - [`contract`] checks what every discoverer promises. `examples/check_a_discoverer.rs` is a whole mechanism under it.
//! - [`fake`] is a mechanism that a test drives through a [`fake::Probe`].
//! - [`ScriptedServer`] is an HTTP server that answers by a script and fails the test on any other call.
//! - [`Nameserver`] answers and fails as it is told.
//! - [`FakeApiServer`] is an API server of Kubernetes: lists, watches, and their faults.
//! - [`FakeCloud`] is the API of a cloud: lists in pages, behind the name that it has in the world.
//! - [`FakeAws`] is AWS: services that verify signatures, and answer as a test says.
//! - [`FakeConsul`] is a Consul: services, and questions that wait for news.
//! - [`FakeEngine`] is a Docker Engine: lists, events, and versions of its API.
//! - [`FakeKubelet`] lists pods, over TLS.
//! - [`ZookeeperServer`] is Debian's ZooKeeper, and [`ZookeeperSession`] changes what it holds.
//! - [`PuppetdbServer`] is Debian's PuppetDB, with the PostgreSQL that it needs.
//! - [`FakeProc`] is a made-up `/proc`.
//! - [`xmlrpc_answer`] and [`xmlrpc_fault`] are answers of XML-RPC.
//! - [`RemoteWriteReceiver`] decodes what is written to it, and answers as it is told.
//! - [`Log`] has what a crate logs meanwhile.
//! - [`skipped`] tells what is not tested on this machine.
//! - [`BusyThreads`] shows what does not leave the threads of the runtime.
//! - [`Supervision::provoke`](rosterd_tasks::Supervision::provoke), which this crate switches on, lets a piece of work panic.
//! - [`assert_golden`] compares with a file below `testdata/`.
//! - [`eventually`], [`eventually_ok`], [`advance_until`], [`Folder`], [`Process`] and [`Server`] wait for conditions, and hold files and programs.
//!
//! A discoverer, start to end:
//!
//! ```
//! use rosterd_testkit::{contract, fake, groups, leak_checked};
//!
//! leak_checked(|| async {
//!     let (probe, config) = fake::mechanism("a");
//!     let mut run = contract::Run::start(&config).await.expect("the fake can be built");
//!     let (_, word) = tokio::join!(probe.everything(groups(2)), run.next());
//!     assert_eq!(word.expect("it speaks").groups(), groups(2));
//!     run.stop().await.expect("it ends when asked");
//!     assert!(probe.has_ended());
//! });
//! ```

mod aws;
mod consul;
pub mod contract;
mod engine;
pub mod fake;
mod files;
mod golden;
mod groups;
mod http;
mod kubelet;
mod kubernetes;
mod leak;
mod log;
mod nameserver;
mod process;
mod procfs;
mod puppetdb;
mod remote_write;
mod server;
mod skipped;
mod threads;
mod time;
mod updates;
mod xmlrpc;
mod zookeeper;

pub use aws::{AwsAnswer, AwsCall, FakeAws, ec2_error, json_error, query_error};
pub use consul::FakeConsul;
pub use engine::FakeEngine;
pub use files::{Folder, fixture, testdata};
pub use golden::assert_golden;
pub use groups::{addresses, group, groups};
pub use http::{CloudPage, FakeCloud, Paging, Received, ScriptedServer, Step, get, post};
pub use kubelet::FakeKubelet;
pub use kubernetes::{Asked, FakeApiServer, Fault, On};
pub use leak::{Leaks, leak_checked, leak_checked_live};
pub use log::Log;
pub use nameserver::Nameserver;
pub use process::{Process, need};
pub use procfs::{FakeProc, FakeProcess};
pub use puppetdb::PuppetdbServer;
pub use remote_write::{ReceivedExemplar, ReceivedSample, RemoteWriteReceiver, WriteAnswer, WriteRequest};
pub use server::Server;
pub use skipped::skipped;
pub use threads::BusyThreads;
pub use time::{advance_until, eventually, eventually_ok, free_address, free_loopback_listener, patience};
pub use updates::{changed, everything};
pub use xmlrpc::{xmlrpc_answer, xmlrpc_fault};
pub use zookeeper::{ZookeeperServer, ZookeeperSession};
