//! A real registrar and proxy: Kamailio, with digest for everyone and Record-Route, as a small PBX's front.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Running;

/// A running Kamailio.
pub struct Kamailio {
    /// The program.
    pub running: Running,
}

impl Kamailio {
    /// Is it installed?
    #[must_use]
    pub fn installed() -> bool {
        Path::new("/usr/sbin/kamailio").exists()
    }

    /// Starts it on port 5060, UDP and TCP, of an address. Every user's password is `pbx-secret`.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start(folder: &Path, address: IpAddr) -> Result<Self, String> {
        Self::run(folder, address, &config(address, ""))
    }

    /// Has it TLS?
    #[must_use]
    pub fn has_tls() -> bool {
        let modules = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        modules.into_iter().any(|machine| machine.path().join("kamailio/modules/tls.so").exists())
    }

    /// The same, and on port 5061 by TLS: with the certificate `pbx.pem` of the folder `keys`, and for those alone who
    /// show one that its `ca.pem` has signed.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start_tls(folder: &Path, address: IpAddr, keys: &Path) -> Result<Self, String> {
        let keys = keys.display();
        // RFC 5923: who names an alias in his Via is answered and asked over the connection he made.
        let tls = format!(
            r#"enable_tls=yes
tcp_accept_aliases=yes
listen=tls:{address}:5061
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{keys}/pbx.pem")
modparam("tls", "private_key", "{keys}/pbx.key")
modparam("tls", "ca_list", "{keys}/ca.pem")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 1)
"#
        );
        Self::run(folder, address, &config(address, &tls))
    }

    /// Starts one that passes every call on to port 5060 of another address and stays in its path: a carrier's border.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start_border(folder: &Path, address: IpAddr, to: IpAddr) -> Result<Self, String> {
        Self::run(folder, address, &border(address, to))
    }

    fn run(folder: &Path, address: IpAddr, config: &str) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let file = folder.join("kamailio.cfg");
        fs::write(&file, config).map_err(|error| error.to_string())?;
        let mut command = Command::new("/usr/sbin/kamailio");
        command
            .args(["-DD", "-E", "-f"])
            .arg(&file)
            .arg("-w")
            .arg(folder)
            .arg("-Y")
            .arg(folder)
            .arg("-P")
            .arg(folder.join("pid"));
        let running = Running::start("kamailio", command)?;
        let until = Instant::now() + Duration::from_secs(15);
        while std::net::TcpStream::connect((address, 5060)).is_err() {
            if Instant::now() > until {
                return Err(format!("kamailio does not listen\n{}", running.all()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { running })
    }
}

/// What every proxy does first: hop limit, sanity, CANCEL, requests within a call.
const WITHIN_CALLS: &str = r#"  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (!sanity_check()) { exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
    sl_send_reply("404", "Not Here"); exit;
  }
"#;

fn config(address: IpAddr, more: &str) -> String {
    format!(
        r#"#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
listen=udp:{address}:5060
listen=tcp:{address}:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "auth.so"
loadmodule "xlog.so"
{more}modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 120)
modparam("auth", "qop", "auth")
request_route {{
{WITHIN_CALLS}  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{address}", "pbx-secret", "0")) {{ www_challenge("{address}", "0"); exit; }}
    save("location"); xlog("L_NOTICE", "saved $tU\n"); exit;
  }}
  if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
  if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
  if (!pv_proxy_authenticate("{address}", "pbx-secret", "0")) {{ proxy_challenge("{address}", "0"); exit; }}
  consume_credentials();
  record_route();
  if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  t_relay();
}}
"#
    )
}

/// Passes calls on, and stays in their path.
fn border(address: IpAddr, to: IpAddr) -> String {
    format!(
        r#"#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=1
auto_aliases=no
listen=udp:{address}:5060
listen=tcp:{address}:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
modparam("rr", "enable_full_lr", 1)
request_route {{
{WITHIN_CALLS}  if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
  record_route();
  $du = "sip:{to}:5060";
  t_relay();
}}
"#
    )
}
