//! The certificate of a worker: one for all its legs, its SHA-256 in every answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::DtlsCertificate;
use dimpl::certificate::generate_self_signed_certificate;
use rtc_crypto::{RTCCrypto, RTCCryptoProvider};

use crate::error::Error;

/// First repetition of a DTLS flight; doubles after each. RFC 9147 §5.8.2 allows less than a second where, as
/// here, checks have just shown that the way is open.
const FLIGHT_RTO: Duration = Duration::from_millis(250);
/// Repetitions of one flight: doubling, they outlast the whole handshake's time.
const FLIGHT_RETRIES: usize = 8;
/// Whole handshake; the leg's own limit (`LegConfig::connect_limit`) usually strikes first.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// Key and certificate (P-256, self-signed, one year) with the DTLS settings that go with them. Clones share.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
    crypto: Arc<dyn RTCCryptoProvider>,
    fingerprint: String,
}

impl Certificate {
    /// Makes a new one from the operating system's clock and randomness: for the edge, at start and at rotation.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate() -> Result<Self, Error> {
        let certificate = generate_self_signed_certificate().map_err(|_| Error::Certificate)?;
        let config = dimpl::Config::builder()
            // The cookie proves the source address; behind ICE a password has proven it.
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(HANDSHAKE_LIMIT)
            .build()
            .map_err(|_| Error::Crypto)?;
        let crypto = rtc_crypto::default_provider().map_err(|_| Error::Crypto)?;
        let fingerprint = certificate.fingerprint_str();
        Ok(Self(Arc::new(Inner { certificate, config: Arc::new(config), crypto, fingerprint })))
    }

    /// SHA-256 of the certificate as SDP writes it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// A DTLS association, 1.3 or 1.2 as the browser can.
    pub(crate) fn association(&self, now: Instant) -> dimpl::Dtls {
        dimpl::Dtls::new_auto(Arc::clone(&self.0.config), self.0.certificate.clone(), now)
    }

    pub(crate) fn crypto(&self) -> &dyn RTCCrypto {
        self.0.crypto.crypto()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.fingerprint).finish()
    }
}
