//! Certificates: the listeners' own, and how a trunk by TLS is known and knows us.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml::Spanned;

use super::Checker;
use crate::config::checked::{Pin, TlsFiles, Transport, TrunkTls};
use crate::config::file::{self, Key};
use crate::config::problem::Problem;

impl Checker<'_> {
    /// What the `tls:` listeners show; required with one.
    pub(super) fn sip_tls(&mut self, sip: &file::Sip, is_wanted: bool) -> Option<TlsFiles> {
        let files = self.tls_files(&sip.tls_certificate_file, &sip.tls_key_file);
        match (&files, &sip.listen) {
            (None, Some(listen)) if is_wanted && sip.tls_certificate_file.is_none() && sip.tls_key_file.is_none() => {
                let help = "add tls_certificate_file and tls_key_file, both in PEM";
                self.error(listen, "a `tls:` listener needs a certificate", help);
            }
            (Some(_), _) if !is_wanted => self.without_effect(&sip.tls_certificate_file, "a `tls:` listener"),
            (Some(_) | None, Some(_) | None) => {}
        }
        files
    }

    /// A trunk's certificates.
    pub(super) fn trunk_tls(&mut self, trunk: &file::Trunk, transport: Transport) -> TrunkTls {
        let own = self.tls_files(&trunk.tls_certificate_file, &trunk.tls_key_file);
        let pins = trunk.tls_pin_sha256.iter().flat_map(|key| key.get_ref());
        let pins = pins.filter_map(|item| self.pin(item)).collect();
        let ca_file = trunk.tls_ca_file.as_ref().map(|key| {
            let path = PathBuf::from(key.get_ref());
            if let Err(why) = self.secrets.authorities(&path) {
                self.error(key, &why, "give the certificate of whoever signed the PBX's, in PEM");
            }
            path
        });
        if transport != Transport::Tls {
            let by_tls = "`sips:` or `;transport=tls` in `uri`";
            self.without_effect(&trunk.tls_ca_file, by_tls);
            self.without_effect(&trunk.tls_pin_sha256, by_tls);
            self.without_effect(&trunk.tls_certificate_file, by_tls);
        }
        if let (Some(key), Some(_)) = (&trunk.tls_ca_file, &trunk.tls_pin_sha256) {
            let problem =
                Problem::warning(key.span(), "with `tls_pin_sha256` this has no effect: the key alone counts");
            self.problems.push(problem.help("leave one of them out"));
        }
        TrunkTls { ca_file, pins, own }
    }

    fn without_effect<T>(&mut self, key: &Key<T>, needs: &str) {
        if let Some(key) = key {
            let problem = Problem::warning(key.span(), format!("without {needs} this has no effect"));
            self.problems.push(problem.help("leave it out"));
        }
    }

    fn tls_files(&mut self, certificate: &Key<String>, key: &Key<String>) -> Option<TlsFiles> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(alone), None) => {
                self.error(alone, "a certificate without its key", "add tls_key_file");
                return None;
            }
            (None, Some(alone)) => {
                self.error(alone, "a key without its certificate", "add tls_certificate_file");
                return None;
            }
        };
        let files = TlsFiles { certificate: PathBuf::from(certificate.get_ref()), key: PathBuf::from(key.get_ref()) };
        if let Err(why) = self.secrets.certificate(&files) {
            self.error(certificate, &why, "the user Passerelle runs as must be able to read both files");
        }
        Some(files)
    }

    /// SHA-256 of a public key: base64 (with curl's `sha256//` or without), or hexadecimal.
    fn pin(&mut self, item: &Spanned<String>) -> Option<Pin> {
        let typed = item.get_ref().trim();
        let base64 = typed.strip_prefix("sha256//").unwrap_or(typed);
        let read = STANDARD.decode(base64).ok().and_then(|bytes| bytes.try_into().ok()).or_else(|| of_hex(typed));
        if read.is_none() {
            let help =
                "the log shows it where a certificate is refused; 44 characters of base64, or 64 hexadecimal digits";
            self.error(item, &format!("`{typed}` is no SHA-256 of a public key"), help);
        }
        read.map(Pin)
    }
}

fn of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|digit| *digit != ':').collect();
    let octets = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    octets.collect::<Option<Vec<u8>>>()?.try_into().ok()
}
