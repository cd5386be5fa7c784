//! TLS as SIP uses it: whose certificate is believed and why one is not, and our own, read anew when its files change.
//!
//! A PBX is known by the name in its trunk's `uri` (RFC 5922), never by what the DNS made of it: the name as DNS name, as
//! address, or as `sip:` URI of the certificate. Where the admin has written down the PBX's key, that key alone counts.

mod told;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tracing::{info, warn};

use crate::config::checked::{Pin, TlsFiles, Trunk, TrunkTls};
pub(crate) use told::told;

/// Why a certificate is not believed: a word for the counter, a sentence for the admin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Distrust {
    /// A counter's label.
    pub(crate) code: &'static str,
    /// What is wrong, and what mends it.
    pub(crate) why: String,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Distrust {}

/// How one trunk is reached by TLS.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) trunk: String,
    pub(crate) name: ServerName<'static>,
    pub(crate) config: Arc<ClientConfig>,
    /// What the configuration says of it.
    wanted: TrunkTls,
    /// Our certificate there.
    pub(crate) own: Option<Arc<Own>>,
}

impl Peer {
    /// Reads a trunk's files. The error is a sentence that names the key.
    pub(crate) fn new(trunk: &Trunk) -> Result<Self, String> {
        let host = trunk.host.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            format!("trunk {}: no certificate can be for `{host}`: give its DNS name in `uri`", trunk.name)
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = roots(trunk.tls.ca_file.as_deref()).map_err(|why| format!("trunk {}: {why}", trunk.name))?;
        if roots.is_empty() && trunk.tls.pins.is_empty() {
            let why = "this machine has no certificate authorities: install ca-certificates, or give tls_ca_file";
            return Err(format!("trunk {}: {why}", trunk.name));
        }
        let judge = Judge::new(host, trunk.tls.pins.clone(), roots, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let own = match &trunk.tls.own {
            Some(files) => Some(Own::new(files).map_err(|why| format!("trunk {}: {why}", trunk.name))?),
            None => None,
        };
        let config = match &own {
            Some(own) => builder.with_client_cert_resolver(Arc::clone(own) as Arc<dyn ResolvesClientCert>),
            None => builder.with_no_client_auth(),
        };
        Ok(Self { trunk: trunk.name.clone(), name, config: Arc::new(config), wanted: trunk.tls.clone(), own })
    }
}

impl Peer {
    /// Whether one connection can serve both trunks: the same far end, looked at in the same way.
    pub(crate) fn is_same_far_end(&self, other: &Self) -> bool {
        self.name == other.name && self.wanted == other.wanted
    }
}

/// What the listeners answer a handshake with.
pub(crate) fn server(own: &Arc<Own>) -> Result<Arc<ServerConfig>, String> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(own) as Arc<dyn ResolvesServerCert>);
    Ok(Arc::new(config))
}

/// A certificate of ours and its key.
#[derive(Debug)]
pub(crate) struct Own {
    files: TlsFiles,
    now: Mutex<(Stamp, Arc<CertifiedKey>)>,
}

/// When the two files were last written.
type Stamp = [Option<SystemTime>; 2];

impl Own {
    /// Reads the files. The error is a sentence that names the key.
    pub(crate) fn new(files: &TlsFiles) -> Result<Arc<Self>, String> {
        let stamp = stamp(files);
        let key = read(files)?;
        Ok(Arc::new(Self { files: files.clone(), now: Mutex::new((stamp, key)) }))
    }

    /// Reads them again if they have changed. What cannot be used is left alone: the certificate at hand serves on.
    pub(crate) fn refresh(&self) {
        let stamp = stamp(&self.files);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 == stamp {
            return;
        }
        now.0 = stamp;
        match read(&self.files) {
            Ok(key) => {
                now.1 = key;
                info!(file = %self.files.certificate.display(), "certificate read anew");
            }
            Err(why) => warn!(why, "the changed certificate cannot be used; the one of before stays in use"),
        }
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|file| fs::metadata(file).and_then(|file| file.modified()).ok())
}

/// Certificate chain and key, known to belong together.
fn read(files: &TlsFiles) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificates(&files.certificate, "tls_certificate_file")?;
    let path = files.key.display();
    let text = fs::read(&files.key).map_err(|error| format!("tls_key_file {path} cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        format!("tls_key_file {path} holds no private key in PEM (a key with a password cannot be used)")
    })?;
    match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
        Ok(key) => Ok(Arc::new(key)),
        Err(Error::InconsistentKeys(_)) => {
            let certificate = files.certificate.display();
            Err(format!("tls_key_file {path} is not the key of {certificate}: give the two that were made together"))
        }
        Err(error) => Err(format!("tls_key_file {path} cannot be used: {error}")),
    }
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("{key} {shown} cannot be read: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(format!("{key} {shown} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
    }
}

/// The authorities that are believed: those of the file alone, else the machine's own.
pub(crate) fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match file {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            for certificate in certificates(path, "tls_ca_file")? {
                roots.add(certificate).map_err(|error| {
                    format!("tls_ca_file {} holds a certificate that cannot be used: {error}", path.display())
                })?;
            }
        }
    }
    Ok(roots)
}

/// Believes a PBX, or says why not.
#[derive(Debug)]
struct Judge {
    domain: sip::Host,
    wanted: String,
    pins: Vec<Pin>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    fn new(host: &str, pins: Vec<Pin>, roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let authorities = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Some(builder.build().map_err(|error| format!("TLS cannot be set up: {error}"))?)
        };
        let domain = match host.parse::<std::net::IpAddr>() {
            Ok(ip) => ip.into(),
            Err(_) => sip::Host::Name(host.to_owned()),
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { domain, wanted: host.to_owned(), pins, authorities, algorithms })
    }

    /// RFC 5922 §7.1: `sip:domain` among the alternative names, without a user.
    fn is_domain_of(&self, certificate: &webpki::EndEntityCert<'_>) -> bool {
        let uris = certificate.valid_uri_names().filter_map(|uri| uri.parse::<sip::Uri>().ok());
        let mut domains = uris.filter(|uri| uri.scheme == sip::Scheme::Sip && uri.user.is_none());
        domains.any(|uri| uri.host.equivalent(&self.domain))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of rustls' many refusals, and those to come, these have a mend"
    )]
    fn explain(&self, error: &CertificateError, certificate: &webpki::EndEntityCert<'_>, pin: &Pin) -> Distrust {
        let pinned = format!("if you know this key to be the PBX's, tls_pin_sha256 = [\"{pin}\"]");
        let day = |at: &UnixTime| {
            let at = i64::try_from(at.as_secs()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
            at.map_or_else(|| "an unreadable day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
        };
        let (code, why) = match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let names: Vec<&str> =
                    certificate.valid_dns_names().chain(certificate.valid_uri_names()).take(NAMES_MAX).collect();
                let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
                let wanted = &self.wanted;
                let mend = "write the PBX's own name in `uri`";
                ("wrong_name", format!("the certificate is for {names}, not for {wanted}: {mend}; or, {pinned}"))
            }
            CertificateError::ExpiredContext { not_after, .. } => (
                "expired",
                format!("the certificate has expired on {}: renew it at the PBX; or, {pinned}", day(not_after)),
            ),
            CertificateError::Expired => ("expired", format!("the certificate has expired: renew it; or, {pinned}")),
            CertificateError::NotValidYetContext { not_before, .. } => {
                let from = day(not_before);
                ("not_yet_valid", format!("the certificate is valid from {from} on: check both machines' clocks"))
            }
            CertificateError::NotValidYet => {
                ("not_yet_valid", "the certificate is not valid yet: check both machines' clocks".to_owned())
            }
            // A certificate that signed itself is mostly one that may sign others, too; and an authority that was made
            // anew has its old name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
                let mend = "give its authority's certificate in tls_ca_file";
                ("unknown_issuer", format!("nobody trusted has signed the certificate: {mend}; or, {pinned}"))
            }
            CertificateError::Revoked => ("revoked", "the certificate has been revoked".to_owned()),
            other => ("malformed", format!("the certificate cannot be used ({other}): renew it; or, {pinned}")),
        };
        Distrust { code, why }
    }
}

/// Names of a certificate that are told; one for a hundred sites is not listed whole.
const NAMES_MAX: usize = 8;

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = pin_of(&certificate);
        let distrust = |distrust| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))));
        if !self.pins.is_empty() {
            return if self.pins.contains(&key) {
                Ok(ServerCertVerified::assertion())
            } else {
                let why = format!("its key is {key}, and tls_pin_sha256 says another: see at the PBX which is right");
                Err(distrust(Distrust { code: "other_key", why }))
            };
        }
        let judged = match &self.authorities {
            Some(judge) => judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        match judged {
            Ok(believed) => Ok(believed),
            // The name is looked at last: all else of this certificate is well.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.is_domain_of(&certificate) => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(error)) => Err(distrust(self.explain(&error, &certificate, &key))),
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// SHA-256 of the public key as the certificate holds it (RFC 7469 §2.4): a renewed certificate may keep it.
fn pin_of(certificate: &webpki::EndEntityCert<'_>) -> Pin {
    Pin(Sha256::digest(certificate.subject_public_key_info()).into())
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// What a failed line has to say.
#[expect(clippy::wildcard_enum_match_arm, reason = "of rustls' and the system's many errors these have a mend")]
pub(crate) fn why(error: &io::Error) -> Distrust {
    let told = |code, why: &str| Distrust { code, why: why.to_owned() };
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => told(
                "closed",
                "it closed the line in the handshake: is this its port for TLS, and does it want our certificate?",
            ),
            _ => told("broken", &format!("the line broke ({error})")),
        };
    };
    match inner {
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<Distrust>() {
            Some(distrust) => distrust.clone(),
            None => told("malformed", &format!("the certificate cannot be used ({inner})")),
        },
        Error::InvalidCertificate(_) => told("malformed", &format!("the certificate cannot be used ({inner})")),
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => {
            let mend = "give tls_certificate_file and tls_key_file that it accepts";
            told("our_certificate", &format!("it does not accept our certificate, or misses one ({inner}): {mend}"))
        }
        Error::PeerIncompatible(_)
        | Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => told(
            "incompatible",
            &format!("it has no version or cipher of TLS in common with us ({inner}): 1.2 is the oldest"),
        ),
        Error::InvalidMessage(_) => {
            told("no_tls", "what answers there does not speak TLS: check the port (5061 as a rule)")
        }
        other => told("broken", &format!("no encrypted line can be had ({other})")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
