//! One POST to an address of the configuration: no redirects, no proxy, no reuse, everything within a time limit.
//!
//! The name is looked up once and the connection is made to an address that was looked at, so that no second answer of
//! the DNS leads elsewhere. Link-local addresses are refused: clouds keep their machines' secrets there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::checked::HttpUrl;

/// The whole exchange.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// One address.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// The status line and headers of an answer; its body is not read at all.
const HEAD_BYTES_MAX: usize = 65_536;

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum HttpError {
    /// The name cannot be looked up.
    Lookup(io::Error),
    /// It is at an address nothing is sent to.
    Forbidden(IpAddr),
    /// No connection.
    Connect(SocketAddr, io::Error),
    /// No encrypted line: mostly the certificate.
    Tls(io::Error),
    /// Not in time.
    Slow,
    /// What came is no HTTP, or the line broke.
    Broken(hyper::Error),
    /// The request cannot be written.
    Unwritten(hyper::http::Error),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "its name cannot be looked up ({error})"),
            Self::Forbidden(ip) => write!(f, "{ip} is an address nothing is sent to"),
            Self::Connect(address, error) => write!(f, "nobody answers at {address} ({error})"),
            Self::Tls(error) => write!(f, "no encrypted line can be had ({error})"),
            Self::Slow => write!(f, "it does not answer in time"),
            Self::Broken(error) => write!(f, "the line broke before an answer ({error})"),
            Self::Unwritten(error) => write!(f, "the request cannot be written ({error})"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Who posts.
#[derive(Clone)]
pub(super) struct Client {
    tls: TlsConnector,
    answer_limit: Duration,
}

impl Client {
    /// Trusts the authorities of this machine, and these beside them.
    pub(super) fn new(also: &[CertificateDer<'static>]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs.into_iter().chain(also.iter().cloned()));
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), answer_limit: ANSWER_LIMIT })
    }

    /// The same, less patient.
    #[cfg(test)]
    pub(super) fn within(self, answer_limit: Duration) -> Self {
        Self { answer_limit, ..self }
    }

    /// Posts JSON; gives the status of the answer.
    pub(super) async fn post(
        &self,
        url: &HttpUrl,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<StatusCode, HttpError> {
        let exchange = self.exchange(url, headers, body);
        tokio::time::timeout(self.answer_limit, exchange).await.unwrap_or(Err(HttpError::Slow))
    }

    async fn exchange(
        &self,
        url: &HttpUrl,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<StatusCode, HttpError> {
        let line = connect(url).await?;
        if !url.https {
            return ask(line, url, headers, body).await;
        }
        let wrong = |error| HttpError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(url.host.clone()).map_err(wrong)?;
        ask(self.tls.connect(name, line).await.map_err(HttpError::Tls)?, url, headers, body).await
    }
}

async fn connect(url: &HttpUrl) -> Result<TcpStream, HttpError> {
    let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await.map_err(HttpError::Lookup)?;
    let mut failed = HttpError::Lookup(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    for address in found.take(ADDRESSES_MAX) {
        if is_forbidden(address.ip()) {
            failed = HttpError::Forbidden(address.ip());
            continue;
        }
        match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(line)) => return Ok(line),
            Ok(Err(error)) => failed = HttpError::Connect(address, error),
            Err(_) => failed = HttpError::Connect(address, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed)
}

/// Link-local, unspecified and multicast, also where IPv6 wraps an IPv4 address.
fn is_forbidden(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
    }
}

async fn ask<L>(
    line: L,
    url: &HttpUrl,
    headers: &[(&'static str, String)],
    body: String,
) -> Result<StatusCode, HttpError>
where
    L: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut request = Request::post(&url.path)
        .header(HOST, &url.authority)
        .header(USER_AGENT, concat!("passerelle/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(body).map_err(HttpError::Unwritten)?;
    let mut builder = http1::Builder::new();
    let builder = builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(line)).await.map_err(HttpError::Broken)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection is driven beside the request and dropped with it: a body nobody wants is never read. An answer may
    // come together with the connection's end.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ended = connection => answer.await,
    };
    answer.map(|answer| answer.status()).map_err(HttpError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_clouds_keep_secrets_nothing_is_sent() {
        for ip in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(is_forbidden(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["127.0.0.1", "10.0.0.5", "198.51.100.7", "2001:db8::1", "::1"] {
            assert!(!is_forbidden(ip.parse().unwrap()), "{ip}");
        }
    }
}
