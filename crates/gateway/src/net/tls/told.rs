//! What a certificate says of itself, for a person: for whom, by whom, until when.

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::clock;

/// Names of one certificate that are shown.
const NAMES_MAX: usize = 8;
const DAY_S: i64 = 86_400;

/// A certificate in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    /// Whom it is for, who signed it, until when.
    pub(crate) line: String,
    /// Whole days until it ends; negative when it has ended.
    pub(crate) days_left: i64,
}

/// Reads it; `None` for what is no certificate.
pub(crate) fn told(certificate: &CertificateDer<'_>) -> Option<Told> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let ends = certificate.validity().not_after.timestamp();
    let now = i64::try_from(clock::unix_ms() / 1_000).unwrap_or(i64::MAX);
    let until = jiff::Timestamp::from_second(ends).ok()?.strftime("%Y-%m-%d").to_string();
    let names = names(&certificate);
    let line = format!("{} for {names}, by {}, until {until}", certificate.subject(), certificate.issuer());
    Some(Told { line, days_left: (ends - now).div_euclid(DAY_S) })
}

fn names(certificate: &X509Certificate<'_>) -> String {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let all = alternative.iter().flat_map(|found| found.value.general_names.iter());
    let names: Vec<String> = all.filter_map(name).take(NAMES_MAX).collect();
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds of names these name a host")]
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|octets| std::net::IpAddr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|octets| std::net::IpAddr::from(octets).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let names = vec!["pbx.example.com".to_owned(), "192.0.2.4".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "pbx");
        params.not_after = rcgen::date_time_ymd(2099, 5, 6);
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let told = told(signed.der()).unwrap();
        assert!(told.line.contains("for pbx.example.com, 192.0.2.4, by"), "{}", told.line);
        assert!(told.line.ends_with("until 2099-05-06"), "{}", told.line);
        assert!(told.days_left > 10_000);
        assert_eq!(super::told(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
