//! Which certificates are trusted: the verdicts are those of Go 1.26.

use std::process::Command;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
};
use rosterd_testkit::{Folder, need};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

/// A certificate with its key, and so an issuer of others.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

/// What a test changes of a certificate.
type Change = fn(&mut CertificateParams);

const AUTHORITY: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
const NOTHING: Change = |_| ();

fn params(name: &str, change: Change) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    // A name of its own for each, so that issuers are told apart.
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    change(&mut params);
    params
}

impl Made {
    fn by_itself(name: &str, change: Change) -> Self {
        let (params, key) = (params(name, change), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    fn sign(&self, name: &str, change: Change) -> Self {
        self.sign_with(name, change, KeyPair::generate().unwrap())
    }

    fn sign_with(&self, name: &str, change: Change, key: KeyPair) -> Self {
        let params = params(name, change);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { params, key, der }
    }
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// The verdict on the first certificate as that of a server of this name, the others being sent with it.
fn verdict_for(name: &str, trusted: &[&Made], sent: &[&Made]) -> Result<(), Untrusted> {
    let pool: Pool = trusted.iter().map(|made| made.der.clone()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let others: Vec<_> = sent[1..].iter().map(|made| made.der.clone()).collect();
    let signatures = Signatures::of(&provider());
    verify(&pool, &sent[0].der, &others, Purpose::Server(&name), now(), &signatures)
}

fn verdict(trusted: &[&Made], sent: &[&Made]) -> Result<(), Untrusted> {
    verdict_for("leaf.example", trusted, sent)
}

fn reason(verdict: Result<(), Untrusted>) -> Untrusted {
    match verdict.unwrap_err() {
        Untrusted::Issuer { reason, .. } => *reason,
        reason => reason,
    }
}

#[test]
fn what_is_in_the_pool_is_trusted_whatever_else_it_is() {
    let itself = Made::by_itself("leaf.example", NOTHING);
    let authority = Made::by_itself("leaf.example", AUTHORITY);
    let root = Made::by_itself("root", AUTHORITY);
    let pinned = root.sign("leaf.example", NOTHING);
    for made in [&itself, &authority, &pinned] {
        assert_eq!(verdict(&[made], &[made]), Ok(()));
        assert_eq!(verdict_for("127.0.0.1", &[made], &[made]), Ok(()));
        let other = Made::by_itself("leaf.example", NOTHING);
        assert!(matches!(verdict(&[&other], &[made]), Err(Untrusted::Unknown(_) | Untrusted::Issuer { .. })));
    }
}

#[test]
fn name_time_and_purpose_count_for_what_is_in_the_pool_too() {
    let made = Made::by_itself("leaf.example", AUTHORITY);
    for wrong in ["other.example", "x.leaf.example", "127.0.0.2"] {
        let verdict = verdict_for(wrong, &[&made], &[&made]);
        let names = "leaf.example, 127.0.0.1".to_owned();
        assert_eq!(verdict, Err(Untrusted::Name { wanted: wrong.to_owned(), names }));
    }
    let old = Made::by_itself("leaf.example", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(matches!(verdict(&[&old], &[&old]), Err(Untrusted::Expired(_))));
    let early = Made::by_itself("leaf.example", |params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    assert!(matches!(verdict(&[&early], &[&early]), Err(Untrusted::Early(_))));
    let client = Made::by_itself("leaf.example", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(verdict(&[&client], &[&client]), Err(Untrusted::Purpose("server")));
    let any = Made::by_itself("leaf.example", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    assert_eq!(verdict(&[&any], &[&any]), Ok(()));
}

#[test]
fn an_address_as_a_name_is_no_address() {
    let made = Made::by_itself("leaf.example", |params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("127.0.0.1".try_into().unwrap())];
    });
    let wanted = "127.0.0.1".to_owned();
    assert_eq!(verdict_for("127.0.0.1", &[&made], &[&made]), Err(Untrusted::AddressAsName { wanted }));
}

#[test]
fn a_common_name_is_no_name() {
    let made = Made::by_itself("leaf.example", |params| params.subject_alt_names.clear());
    assert_eq!(verdict(&[&made], &[&made]), Err(Untrusted::Nameless { wanted: "leaf.example".to_owned() }));
}

#[test]
fn signatures_lead_from_authorities_by_what_is_sent() {
    let root = Made::by_itself("root", AUTHORITY);
    let (first, second) = (root.sign("first", AUTHORITY), Made::by_itself("second", AUTHORITY));
    let leaf = first.sign("leaf.example", NOTHING);
    assert_eq!(verdict(&[&root], &[&leaf, &first]), Ok(()));
    assert_eq!(verdict(&[&root], &[&leaf, &second, &first, &root]), Ok(()));
    assert_eq!(verdict(&[&first], &[&leaf]), Ok(()), "an authority that is signed itself may be trusted");
    assert!(matches!(verdict(&[&root], &[&leaf]), Err(Untrusted::Unknown(_))), "nothing leads to the root");
    assert!(matches!(verdict(&[&second], &[&leaf, &first]), Err(Untrusted::Unknown(_))));
    // An authority may be a server.
    let both = root.sign("leaf.example", AUTHORITY);
    assert_eq!(verdict(&[&root], &[&both]), Ok(()));
}

#[test]
fn who_is_no_authority_signs_nothing() {
    let root = Made::by_itself("root", AUTHORITY);
    let server = root.sign("server", NOTHING);
    let leaf = server.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&root], &[&leaf, &server])), Untrusted::NoAuthority);
    assert_eq!(reason(verdict(&[&server], &[&leaf])), Untrusted::NoAuthority, "even if it is trusted");
    let said_no = Made::by_itself("root", |params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = said_no.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&said_no], &[&leaf])), Untrusted::NoAuthority);
    let other_usage = Made::by_itself("root", |params| {
        AUTHORITY(params);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let leaf = other_usage.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&other_usage], &[&leaf])), Untrusted::NoAuthority);
}

#[test]
fn an_authority_has_its_time_and_its_depth() {
    let old = Made::by_itself("root", |params| {
        AUTHORITY(params);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert!(matches!(reason(verdict(&[&old], &[&old.sign("leaf.example", NOTHING)])), Untrusted::Expired(_)));
    let shallow = Made::by_itself("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(verdict(&[&shallow], &[&shallow.sign("leaf.example", NOTHING)]), Ok(()));
    let between = shallow.sign("between", AUTHORITY);
    let leaf = between.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&shallow], &[&leaf, &between])), Untrusted::TooLong);
}

#[test]
fn the_signature_must_be_by_the_issuer() {
    let (root, namesake) = (Made::by_itself("root", AUTHORITY), Made::by_itself("root", AUTHORITY));
    let leaf = namesake.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&root], &[&leaf])), Untrusted::Signature);
    assert_eq!(verdict(&[&root, &namesake], &[&leaf]), Ok(()), "of two with one name, one will do");
    let mut broken = leaf.der.to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let broken = Made { der: broken.into(), ..leaf };
    assert_eq!(reason(verdict(&[&namesake], &[&broken])), Untrusted::Signature);
}

#[test]
fn what_nobody_understands_is_not_passed_over() {
    let odd: Change = |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    };
    let made = Made::by_itself("leaf.example", odd);
    assert_eq!(verdict(&[&made], &[&made]), Err(Untrusted::Critical("1.2.3.4".to_owned())));
    let root = Made::by_itself("root", |params| {
        AUTHORITY(params);
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    let leaf = root.sign("leaf.example", NOTHING);
    assert_eq!(reason(verdict(&[&root], &[&leaf])), Untrusted::Critical("1.2.3.4".to_owned()));
}

#[test]
fn an_authority_for_some_names_signs_no_others() {
    let constrained: Change = |params| {
        AUTHORITY(params);
        let permitted = vec![
            GeneralSubtree::DnsName("leaf.example".to_owned()),
            GeneralSubtree::IpAddress(rcgen::CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0])),
        ];
        params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: vec![] });
    };
    let root = Made::by_itself("root", constrained);
    assert_eq!(verdict(&[&root], &[&root.sign("leaf.example", NOTHING)]), Ok(()));
    let other = root.sign("other.example", NOTHING);
    let verdict = verdict_for("other.example", &[&root], &[&other]);
    assert!(matches!(verdict, Err(Untrusted::Constraints(_) | Untrusted::Issuer { .. })), "{verdict:?}");
}

#[test]
fn many_ways_come_to_an_end() {
    // Each of these could have signed each.
    let root = Made::by_itself("root", AUTHORITY);
    let namesakes: Vec<_> = (0..60).map(|_| Made::by_itself("circle", AUTHORITY)).collect();
    let leaf = Made::by_itself("circle", AUTHORITY).sign("leaf.example", NOTHING);
    let mut sent = vec![&leaf];
    sent.extend(&namesakes);
    sent.extend(&namesakes);
    assert_eq!(verdict(&[&root], &sent), Err(Untrusted::TooMany));
}

#[test]
fn keys_of_all_kinds_sign() {
    for algorithm in [&PKCS_ECDSA_P521_SHA512, &PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = params("root", AUTHORITY);
        let der = params.self_signed(&key).unwrap().der().clone();
        let root = Made { params, key, der };
        let leaf = root.sign_with("leaf.example", NOTHING, KeyPair::generate_for(algorithm).unwrap());
        assert_eq!(verdict(&[&root], &[&leaf]), Ok(()), "{algorithm:?}");
    }
}

/// Runs openssl in a folder.
fn openssl(folder: &Folder, arguments: &str) {
    let mut command = Command::new(need("openssl", "openssl"));
    let output = command.current_dir(folder.path("")).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A root with a key of so many bits that signs by these options, and a certificate that it signed.
fn by_openssl(options: &str, bits: u32) -> (Pool, CertificateDer<'static>) {
    let folder = Folder::new();
    folder.write("names.cnf", "subjectAltName=DNS:leaf.example\n");
    let key = format!("-newkey rsa:{bits} -nodes");
    openssl(&folder, &format!("req -x509 {key} -keyout root.key -out root.pem -subj /CN=root -days 9 {options}"));
    openssl(&folder, "req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    let sign = "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 7 -days 9 -out leaf.pem";
    openssl(&folder, &format!("{sign} -extfile names.cnf {options}"));
    let read = |name: &str| all_of_pem(&std::fs::read(folder.path(name)).unwrap());
    (read("root.pem").into_iter().collect(), read("leaf.pem").remove(0))
}

#[test]
fn short_rsa_keys_are_good_and_very_short_ones_are_not() {
    let name = ServerName::try_from("leaf.example").unwrap();
    let signatures = Signatures::of(&provider());
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (options, bits, good) in [
        ("-sha256", 1024, true),
        ("-sha384", 1032, true),
        ("-sha512", 2047, true),
        ("-sha256", 2048, true),
        ("-sha256", 1016, false),
        ("-sha1", 1024, false),
        (&*format!("-sha256 {pss}"), 1024, true),
        (&*format!("-sha256 {pss}"), 1025, true),
        (&*format!("-sha384 {pss}"), 1536, true),
        (&*format!("-sha512 {pss}"), 2047, true),
    ] {
        let (pool, leaf) = by_openssl(options, bits);
        let verdict = verify(&pool, &leaf, &[], Purpose::Server(&name), now(), &signatures);
        assert_eq!(verdict.is_ok(), good, "{options} {bits}: {verdict:?}");
        let mut broken = leaf.to_vec();
        let last = broken.len() - 1;
        broken[last] ^= 1;
        let verdict = verify(&pool, &broken.into(), &[], Purpose::Server(&name), now(), &signatures);
        assert!(verdict.is_err(), "{options} {bits}");
    }
}

#[test]
fn version_1_is_good_where_no_name_is_asked_for() {
    let folder = Folder::new();
    let root = Made::by_itself("root", AUTHORITY);
    folder.write("root.pem", pem::encode("CERTIFICATE", &root.der));
    folder.write("root.key", root.key.serialize_pem());
    openssl(&folder, "req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=client");
    openssl(&folder, "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 7 -days 9 -out leaf.pem");
    let leaf = all_of_pem(&std::fs::read(folder.path("leaf.pem")).unwrap()).remove(0);
    let (pool, signatures) = (Pool::from_iter([root.der]), Signatures::of(&provider()));
    assert_eq!(verify(&pool, &leaf, &[], Purpose::Client, now(), &signatures), Ok(()));
    let name = ServerName::try_from("client").unwrap();
    let verdict = verify(&pool, &leaf, &[], Purpose::Server(&name), now(), &signatures);
    assert_eq!(verdict, Err(Untrusted::Nameless { wanted: "client".to_owned() }));
    let late = UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs() + 10 * 86_400));
    assert!(matches!(verify(&pool, &leaf, &[], Purpose::Client, late, &signatures), Err(Untrusted::Expired(_))));

    let key = private_key(&std::fs::read(folder.path("leaf.key")).unwrap()).unwrap();
    assert!(identity(vec![leaf.clone()], key, &provider()).is_ok(), "it can be shown");
    let other = private_key(root.key.serialize_pem().as_bytes()).unwrap();
    assert_eq!(identity(vec![leaf], other, &provider()).unwrap_err(), Unusable::Mismatch);
}

#[test]
fn what_is_no_certificate_costs_only_itself() {
    let made = Made::by_itself("leaf.example", NOTHING);
    let good = pem::encode("CERTIFICATE", &made.der);
    let text = format!(
        "# a comment\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n{good}{}",
        made.key.serialize_pem()
    );
    assert_eq!(Pool::of_pem(text.as_bytes()).len(), 1);
    assert!(Pool::of_pem(b"nothing").is_empty());
    assert_eq!(private_key(b"nothing"), Err(Unusable::NoKey));
}

mod pem {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    pub(super) fn encode(kind: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    }
}
