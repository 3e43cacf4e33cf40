//! Records to target groups. Pure.

use std::fmt::Write;
use std::net::Ipv6Addr;

use hickory_proto::rr::{Name, RData, Record};
use rosterd_discovery::host_port;
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Builder, Labels, Names, TargetGroup};
use tracing::debug;

const NAME: &str = "__meta_dns_name";
const SRV_TARGET: &str = "__meta_dns_srv_record_target";
const SRV_PORT: &str = "__meta_dns_srv_record_port";
const MX_TARGET: &str = "__meta_dns_mx_record_target";
const NS_TARGET: &str = "__meta_dns_ns_record_target";

/// The group of a name. Its targets are sorted and distinct, because servers rotate their answers and that is no news.
pub(super) fn group(name: &str, port: u16, answers: &[Record], names: &mut Names) -> TargetGroup {
    let mut builder = Builder::new();
    let mut targets: Vec<_> =
        answers.iter().filter_map(|record| target(name, port, record, &mut builder, names)).collect();
    targets.sort_unstable();
    targets.dedup();
    TargetGroup { source: name.into(), targets, ..TargetGroup::default() }
}

fn target(name: &str, port: u16, record: &Record, builder: &mut Builder, names: &mut Names) -> Option<Labels> {
    builder.clear();
    builder.set(NAME, name);
    let address = match &record.data {
        RData::SRV(srv) => {
            let target = text(&srv.target);
            builder.set(SRV_TARGET, &target);
            builder.set(SRV_PORT, &srv.port.to_string());
            host_port(unrooted(&target), srv.port)
        }
        RData::MX(mx) => {
            let target = text(&mx.exchange);
            builder.set(MX_TARGET, &target);
            host_port(unrooted(&target), port)
        }
        RData::NS(ns) => {
            let target = text(&ns.0);
            builder.set(NS_TARGET, &target);
            host_port(unrooted(&target), port)
        }
        RData::A(a) => host_port(&a.0.to_string(), port),
        RData::AAAA(aaaa) => host_port(&ipv6(aaaa.0), port),
        // The way to the records, and no target itself.
        RData::CNAME(_) => return None,
        other => {
            debug!(name, kind = %other.record_type(), "a record of another type was answered");
            return None;
        }
    };
    builder.set(ADDRESS, &address);
    Some(builder.build(names))
}

fn unrooted(name: &str) -> &str {
    name.trim_end_matches('.')
}

/// As Go prints it: an IPv4 address inside an IPv6 one is printed as IPv4.
fn ipv6(address: Ipv6Addr) -> String {
    address.to_ipv4_mapped().map_or_else(|| address.to_string(), |address| address.to_string())
}

/// A name in the format of zone files, ending with a dot. Escapes the same bytes the same way as Prometheus' library.
fn text(name: &Name) -> String {
    if name.is_root() {
        return ".".to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        for &byte in label {
            match byte {
                b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                b' '..=b'~' => text.push(char::from(byte)),
                other => write!(text, "\\{other:03}").expect("writing to a string cannot fail"),
            }
        }
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SRV, TXT};

    use super::*;

    fn name(labels: &[&[u8]]) -> Name {
        Name::from_labels(labels.iter().copied()).unwrap()
    }

    fn read(port: u16, records: impl IntoIterator<Item = RData>) -> Vec<String> {
        let records: Vec<_> =
            records.into_iter().map(|data| Record::from_rdata(name(&[b"x", b"test"]), 60, data)).collect();
        let group = group("x.test", port, &records, &mut Names::new());
        assert_eq!((&*group.source, group.labels.is_empty()), ("x.test", true));
        group.targets.iter().map(Labels::to_string).collect()
    }

    #[test]
    fn every_type_has_its_address_and_labels() {
        let host = || name(&[b"host", b"example", b"test"]);
        let cases = [
            (
                RData::SRV(SRV::new(10, 20, 9100, host())),
                r#"{__address__="host.example.test:9100", __meta_dns_name="x.test", __meta_dns_srv_record_port="9100", __meta_dns_srv_record_target="host.example.test."}"#,
            ),
            (
                RData::MX(MX::new(10, host())),
                r#"{__address__="host.example.test:25", __meta_dns_mx_record_target="host.example.test.", __meta_dns_name="x.test"}"#,
            ),
            (
                RData::NS(NS(host())),
                r#"{__address__="host.example.test:25", __meta_dns_name="x.test", __meta_dns_ns_record_target="host.example.test."}"#,
            ),
            (RData::A(A::new(192, 0, 2, 1)), r#"{__address__="192.0.2.1:25", __meta_dns_name="x.test"}"#),
            (
                RData::AAAA(AAAA("2001:db8::1".parse().unwrap())),
                r#"{__address__="[2001:db8::1]:25", __meta_dns_name="x.test"}"#,
            ),
            (
                RData::AAAA(AAAA("::ffff:192.0.2.1".parse().unwrap())),
                r#"{__address__="192.0.2.1:25", __meta_dns_name="x.test"}"#,
            ),
            (
                RData::SRV(SRV::new(0, 0, 0, Name::root())),
                r#"{__address__=":0", __meta_dns_name="x.test", __meta_dns_srv_record_port="0", __meta_dns_srv_record_target="."}"#,
            ),
        ];
        for (data, expected) in cases {
            assert_eq!(read(25, [data]), [expected]);
        }
    }

    #[test]
    fn what_is_no_target_is_left_out() {
        let chain = RData::CNAME(CNAME(name(&[b"other", b"test"])));
        let other = RData::TXT(TXT::new(vec!["v=spf1".to_owned()]));
        assert_eq!(read(80, [chain, other, RData::A(A::new(192, 0, 2, 1))]).len(), 1);
    }

    #[test]
    fn order_and_repetition_are_no_news() {
        let records = |last: [u8; 3]| last.map(|last| RData::A(A::new(192, 0, 2, last)));
        assert_eq!(read(80, records([1, 2, 3])), read(80, records([3, 1, 2])));
        assert_eq!(read(80, records([1, 2, 1])).len(), 2);
    }

    #[test]
    fn odd_bytes_of_a_name_are_escaped() {
        assert_eq!(text(&name(&[b"a.b", b"c d", b"\xe4\x00\\", b"x_-*", b"test"])), r"a\.b.c\ d.\228\000\\.x_-*.test.");
        assert_eq!(text(&Name::root()), ".");
    }
}
