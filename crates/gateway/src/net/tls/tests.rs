//! Whose certificate is believed: every kind of refusal in a real handshake, each with its mend (SECURITY S18).

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use media::sdp::SrtpPolicy;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::config::checked::{Codec, HeaderPolicy, TransferPolicy, TransferRule, Transport};

/// A folder of certificates that goes with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("passerelle-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, what: &str, der: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"));
        fs::write(&path, pem).unwrap();
        path
    }

    /// Files of a certificate and its key.
    pub(crate) fn files(&self, name: &str, made: &Made) -> TlsFiles {
        TlsFiles {
            certificate: self.write(&format!("{name}.pem"), "CERTIFICATE", &made.certificate),
            key: self.write(&format!("{name}.key"), "PRIVATE KEY", &made.key),
        }
    }

    pub(crate) fn authority(&self, authority: &Authority) -> PathBuf {
        self.write("ca.pem", "CERTIFICATE", authority.0.der())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a PBX.
    pub(crate) fn sign(&self, params: CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Made { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }
}

pub(crate) struct Made {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

pub(crate) fn for_name(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn self_signed(params: &CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Made { certificate: certificate.der().to_vec(), key: key.serialize_der() }
}

/// A trunk by TLS.
pub(crate) fn trunk(name: &str, host: &str, tls: TrunkTls) -> Trunk {
    Trunk {
        name: name.to_owned(),
        host: host.to_owned(),
        port: None,
        transport: Transport::Tls,
        tls,
        places: Vec::new(),
        transfer: TransferPolicy { rule: TransferRule::Off, users: Vec::new() },
        options_interval: None,
        calls_per_second_max: None,
        calls_max: None,
        realm: None,
        register: false,
        register_expires: std::time::Duration::ZERO,
        username: None,
        password: None,
        codecs: Codec::ALL.to_vec(),
        extensions: sip::Extensions::USUAL,
        srtp: SrtpPolicy::Off,
        headers: HeaderPolicy { user_to_user: false, x_headers: false, display_name: false },
        accept_from: Vec::new(),
        caller_ids: Vec::new(),
        callback_dials_per_day_max: 0,
        callback_time_per_day_max: std::time::Duration::ZERO,
        callback_money: None,
    }
}

/// Our end of a line whose other end is `server`; what it says once the line is up, or what went wrong.
async fn dial(peer: &Peer, server: Option<Arc<ServerConfig>>) -> Result<Vec<u8>, Distrust> {
    let (ours, theirs) = tokio::io::duplex(65_536);
    let answering = tokio::spawn(answer(theirs, server));
    let talk = async {
        let mut line = TlsConnector::from(Arc::clone(&peer.config)).connect(peer.name.clone(), ours).await?;
        let mut said = vec![0; 5];
        line.read_exact(&mut said).await?;
        Ok::<_, io::Error>(said)
    };
    let result = talk.await.map_err(|error| why(&error));
    answering.await.unwrap();
    result
}

async fn answer(mut line: DuplexStream, server: Option<Arc<ServerConfig>>) {
    match server {
        Some(server) => {
            if let Ok(mut line) = TlsAcceptor::from(server).accept(line).await {
                line.write_all(b"hello").await.unwrap();
                line.shutdown().await.unwrap();
            }
        }
        None => drop(line.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n").await),
    }
}

fn serving(folder: &Folder, made: &Made) -> Arc<ServerConfig> {
    server(&Own::new(&folder.files("server", made)).unwrap()).unwrap()
}

/// What a trunk at `pbx.test` with the authority in its configuration says of this certificate.
async fn judged(made: &Made, authority: &Authority) -> Result<Vec<u8>, Distrust> {
    let folder = Folder::new();
    let tls = TrunkTls { ca_file: Some(folder.authority(authority)), ..TrunkTls::default() };
    let peer = Peer::new(&trunk("pbx", "pbx.test", tls)).unwrap();
    dial(&peer, Some(serving(&folder, made))).await
}

#[tokio::test]
async fn the_name_of_the_trunk_signed_by_its_authority_is_believed() {
    let authority = Authority::new();
    assert_eq!(judged(&authority.sign(for_name("pbx.test")), &authority).await.unwrap(), b"hello");
    // RFC 5922 §7.1: the domain as a SIP address.
    let mut by_uri = CertificateParams::new(Vec::new()).unwrap();
    by_uri.subject_alt_names = vec![SanType::URI("sip:pbx.test".try_into().unwrap())];
    assert_eq!(judged(&authority.sign(by_uri), &authority).await.unwrap(), b"hello");
    // A user of the domain is not the domain.
    let mut user = CertificateParams::new(Vec::new()).unwrap();
    user.subject_alt_names = vec![SanType::URI("sip:alice@pbx.test".try_into().unwrap())];
    assert_eq!(judged(&authority.sign(user), &authority).await.unwrap_err().code, "wrong_name");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_and_the_sentence_says_whose_it_is() {
    let authority = Authority::new();
    let refused = judged(&authority.sign(for_name("pbx.other")), &authority).await.unwrap_err();
    assert_eq!(refused.code, "wrong_name");
    assert!(refused.why.contains("is for pbx.other, not for pbx.test"), "{refused}");
    assert!(refused.why.contains("tls_pin_sha256"), "{refused}");
    // The address the name leads to is no name of it.
    let mut by_address = CertificateParams::new(Vec::new()).unwrap();
    by_address.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    assert_eq!(judged(&authority.sign(by_address), &authority).await.unwrap_err().code, "wrong_name");
}

#[tokio::test]
async fn dates_are_looked_at() {
    let authority = Authority::new();
    let mut expired = for_name("pbx.test");
    expired.not_before = date_time_ymd(2019, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 3);
    let refused = judged(&authority.sign(expired), &authority).await.unwrap_err();
    assert_eq!(refused.code, "expired");
    assert!(refused.why.contains("2020-02-03"), "{refused}");
    let mut early = for_name("pbx.test");
    early.not_before = date_time_ymd(2090, 1, 2);
    early.not_after = date_time_ymd(2099, 1, 1);
    let refused = judged(&authority.sign(early), &authority).await.unwrap_err();
    assert_eq!(refused.code, "not_yet_valid");
    assert!(refused.why.contains("2090-01-02"), "{refused}");
}

#[tokio::test]
async fn a_stranger_signature_is_refused_and_a_phone_certificate_does_not_serve() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let refused = judged(&stranger.sign(for_name("pbx.test")), &authority).await.unwrap_err();
    assert_eq!(refused.code, "unknown_issuer");
    assert!(refused.why.contains("tls_ca_file"), "{refused}");
    let mut client = for_name("pbx.test");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(judged(&authority.sign(client), &authority).await.unwrap_err().code, "malformed");
}

#[tokio::test]
async fn the_refusal_of_a_self_signed_certificate_gives_the_pin_that_admits_it() {
    let folder = Folder::new();
    let authority = Authority::new();
    // As a PBX makes it at its installation: of no name of ours, long over, and an authority by itself.
    let mut params = for_name("localhost");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let fresh = self_signed(&params);
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let old = self_signed(&params);
    let mut pins = vec![Pin([0; 32])];
    for (made, code) in [(&fresh, "unknown_issuer"), (&old, "expired")] {
        let refused = judged(made, &authority).await.unwrap_err();
        assert_eq!(refused.code, code);
        let (_, pin) = refused.why.split_once("tls_pin_sha256 = [\"").unwrap();
        pins.push(Pin(STANDARD.decode(pin.trim_end_matches("\"]")).unwrap().try_into().unwrap()));
    }
    let peer = Peer::new(&trunk("pbx", "pbx.test", TrunkTls { pins, ..TrunkTls::default() })).unwrap();
    assert_eq!(dial(&peer, Some(serving(&folder, &fresh))).await.unwrap(), b"hello");
    assert_eq!(dial(&peer, Some(serving(&folder, &old))).await.unwrap(), b"hello");
    let refused = dial(&peer, Some(serving(&folder, &self_signed(&params)))).await.unwrap_err();
    assert_eq!(refused.code, "other_key");
    // Where a key is pinned, an authority's word does not count.
    let signed = authority.sign(for_name("pbx.test"));
    assert_eq!(dial(&peer, Some(serving(&folder, &signed))).await.unwrap_err().code, "other_key");
}

#[tokio::test]
async fn a_pbx_that_wants_our_certificate_gets_it_or_the_sentence_says_so() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let known = Arc::new(roots(Some(&folder.authority(&authority))).unwrap());
    let own = Own::new(&folder.files("server", &authority.sign(for_name("pbx.test")))).unwrap();
    let wanting = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(known, provider).build().unwrap())
        .with_cert_resolver(own);
    let wanting = Arc::new(wanting);
    let mut tls = TrunkTls { ca_file: Some(folder.authority(&authority)), ..TrunkTls::default() };
    let without = Peer::new(&trunk("pbx", "pbx.test", tls.clone())).unwrap();
    let refused = dial(&without, Some(Arc::clone(&wanting))).await.unwrap_err();
    assert_eq!(refused.code, "our_certificate");
    assert!(refused.why.contains("tls_certificate_file"), "{refused}");
    tls.own = Some(folder.files("client", &authority.sign(for_name("gateway.test"))));
    let with = Peer::new(&trunk("pbx", "pbx.test", tls)).unwrap();
    assert_eq!(dial(&with, Some(wanting)).await.unwrap(), b"hello");
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_apart() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let tls = TrunkTls { ca_file: Some(folder.authority(&authority)), ..TrunkTls::default() };
    let refused = dial(&Peer::new(&trunk("pbx", "pbx.test", tls)).unwrap(), None).await.unwrap_err();
    assert_eq!(refused.code, "no_tls");
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_key() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let good = folder.files("a", &authority.sign(for_name("a.test")));
    let other = folder.files("b", &authority.sign(for_name("b.test")));
    let wrong = |certificate: &Path, key: &Path| {
        Own::new(&TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() }).unwrap_err()
    };
    assert!(wrong(&good.certificate, &other.key).contains("is not the key of"));
    assert!(wrong(&good.key, &good.key).contains("holds no certificate in PEM"));
    assert!(wrong(&good.certificate, &good.certificate).contains("holds no private key in PEM"));
    assert!(wrong(Path::new("/nowhere"), &good.key).contains("tls_certificate_file /nowhere cannot be read"));
    let tls = TrunkTls { ca_file: Some("/nowhere".into()), ..TrunkTls::default() };
    assert!(Peer::new(&trunk("pbx", "pbx.test", tls)).unwrap_err().contains("tls_ca_file /nowhere"));
    let none = Peer::new(&trunk("pbx", "pbx_1.-test", TrunkTls::default())).unwrap_err();
    assert!(none.contains("give its DNS name in `uri`"), "{none}");
}

#[tokio::test]
async fn changed_files_are_read_anew_and_bad_ones_change_nothing() {
    let (folder, first, second) = (Folder::new(), Authority::new(), Authority::new());
    let files = folder.files("server", &first.sign(for_name("pbx.test")));
    let own = Own::new(&files).unwrap();
    let config = server(&own).unwrap();
    let tls = TrunkTls { ca_file: Some(folder.authority(&second)), ..TrunkTls::default() };
    let peer = Peer::new(&trunk("pbx", "pbx.test", tls)).unwrap();
    assert_eq!(dial(&peer, Some(Arc::clone(&config))).await.unwrap_err().code, "unknown_issuer");
    let renewed = |made: &Made, day: u64| {
        folder.files("server", made);
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(day * 86_400);
        fs::File::options().write(true).open(&files.key).unwrap().set_modified(at).unwrap();
        own.refresh();
    };
    renewed(&second.sign(for_name("pbx.test")), 1);
    assert_eq!(dial(&peer, Some(Arc::clone(&config))).await.unwrap(), b"hello");
    renewed(&Made { certificate: vec![1], key: vec![2] }, 2);
    assert_eq!(dial(&peer, Some(config)).await.unwrap(), b"hello");
}
