//! The certificates of the matrix: by rcgen, and by openssl what rcgen cannot make.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, SanType,
    SignatureAlgorithm, date_time_ymd,
};
use rosterd_testkit::{Folder, need};

/// What is changed of a certificate.
type Change = fn(&mut CertificateParams);

const NOTHING: Change = |_| ();
const AUTHORITY: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
const OLD: Change = |params| params.not_after = date_time_ymd(2020, 1, 1);
const ODD: Change = |params| {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
};
const NARROW: Change = |params| {
    AUTHORITY(params);
    let permitted_subtrees = vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0])),
    ];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
};

/// A certificate and its key, in files of this name.
struct Made {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

struct Maker<'a> {
    folder: &'a Folder,
    algorithm: &'static SignatureAlgorithm,
}

impl Maker<'_> {
    /// One for localhost, signed by another or by itself.
    fn make(&self, name: &str, by: Option<&Made>, change: Change) -> Made {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate_for(self.algorithm).expect("a key");
        let certificate = match by {
            None => params.self_signed(&key),
            Some(by) => params.signed_by(&key, &by.issuer),
        };
        let pem = certificate.expect("signed").pem();
        self.folder.write(&format!("{name}.pem"), &pem);
        self.folder.write(&format!("{name}.key"), key.serialize_pem());
        Made { issuer: Issuer::new(params, key), pem }
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new(need("openssl", "openssl"));
        let output = command.current_dir(self.folder.root()).args(arguments.split(' ')).output().expect("it runs");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// One by openssl, with a key of this kind; of version 1 without a file of extensions.
    fn by_openssl(&self, name: &str, kind: &str, extensions: &str) {
        self.openssl(&format!("req -new -newkey {kind} -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 9 -out {name}.pem{extensions}"
        ));
    }
}

/// The certificates of a cluster: its authority `ca`, its `server`, its `admin`, and the key that signs tokens of `accounts`.
pub(crate) fn make_for_cluster(folder: &Folder) {
    let maker = Maker { folder, algorithm: &PKCS_ECDSA_P256_SHA256 };
    let ca = maker.make("ca", None, AUTHORITY);
    maker.make("server", Some(&ca), NOTHING);
    maker.make("admin", Some(&ca), |params| {
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    });
    maker.make("accounts", Some(&ca), NOTHING);
}

fn names(name: &str) -> Vec<SanType> {
    CertificateParams::new(vec![name.to_owned()]).expect("a name").subject_alt_names
}

/// Makes all certificates in a folder.
pub(crate) fn make_all(folder: &Folder) {
    let maker = Maker { folder, algorithm: &PKCS_ECDSA_P256_SHA256 };
    let ca = maker.make("ca", None, AUTHORITY);
    let stranger = maker.make("stranger", None, AUTHORITY);
    let own = maker.make("self", None, NOTHING);
    let own_authority = maker.make("self_ca", None, AUTHORITY);
    maker.make("leaf", Some(&ca), NOTHING);
    maker.make("leaf_ca", Some(&ca), AUTHORITY);
    maker.make("no_ca_leaf", Some(&own), NOTHING);
    let between = maker.make("between", Some(&ca), AUTHORITY);
    let between_leaf = maker.make("between_leaf", Some(&between), NOTHING);
    folder.write("between_chain.pem", format!("{}{}", between_leaf.pem, between.pem));
    maker.make("other", Some(&ca), |params| params.subject_alt_names = names("other.example"));
    maker.make("wild", Some(&ca), |params| params.subject_alt_names = names("*.example"));
    maker.make("common", Some(&ca), |params| params.subject_alt_names.clear());
    maker.make("expired", Some(&ca), OLD);
    maker.make("early", Some(&ca), |params| params.not_before = date_time_ymd(2999, 1, 1));
    let old = maker.make("old_ca", None, |params| {
        AUTHORITY(params);
        OLD(params);
    });
    maker.make("old_leaf", Some(&old), NOTHING);
    maker.make("for_clients", Some(&ca), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    maker.make("odd", Some(&ca), ODD);
    let narrow = maker.make("narrow", None, NARROW);
    maker.make("narrow_good", Some(&narrow), NOTHING);
    maker.make("narrow_bad", Some(&narrow), |params| {
        params.subject_alt_names.extend(names("elsewhere.example"));
    });
    folder.write("rubbish_ca.pem", format!("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n{}", ca.pem));
    maker.make("client", Some(&ca), NOTHING);
    maker.make("client_stranger", Some(&stranger), NOTHING);
    maker.make("client_odd", Some(&stranger), ODD);
    folder.write("clients.pem", format!("{}{}", ca.pem, own_authority.pem));
    let with = |algorithm| Maker { folder, algorithm };
    with(&PKCS_ECDSA_P521_SHA512).make("p521", Some(&ca), NOTHING);
    with(&PKCS_ECDSA_P521_SHA512).make("client_p521", Some(&ca), NOTHING);
    folder.write("names.cnf", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    // What rcgen writes of such a key openssl cannot read.
    maker.by_openssl("ed25519", "ed25519", " -extfile names.cnf");
    maker.by_openssl("rsa1024", "rsa:1024", " -extfile names.cnf");
    maker.by_openssl("v1", "rsa:2048", "");
    maker.by_openssl("client_v1", "rsa:2048", "");
    maker.by_openssl("client_rsa1024", "rsa:1024", " -extfile names.cnf");
}
