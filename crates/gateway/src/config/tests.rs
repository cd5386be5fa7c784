//! Every mistake is found, placed and given its mend.

mod change;
mod documents;
mod ladder;
mod queues;
mod targets;
mod transfer;

use std::path::Path;

use super::checked::{Codec, Event, HeaderPolicy, QueueTarget, Seat, TlsFiles, Transport};
use super::secret::SecretSource;
use super::{DEMO, DemoPlace, Examined, Severity, demo, demo_text, examine_text, glance, render};

const EXAMPLE: &str = include_str!("../../../../config/passerelle.toml");

/// A machine on which every secret exists but those named `missing`.
struct Secrets;

impl SecretSource for Secrets {
    fn file(&self, path: &str) -> Result<String, String> {
        match path {
            "missing" => Err("cannot open it: No such file or directory".to_owned()),
            "empty" => Ok("\n".to_owned()),
            "short" => Ok("abc\n".to_owned()),
            "webhook-key" => Ok("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n".to_owned()),
            "lines" => Ok("one\ntwo\n".to_owned()),
            _ => Ok(format!("secret of {path}\n")),
        }
    }

    fn env(&self, name: &str) -> Result<String, String> {
        if name == "UNSET" { Err("environment variable not found".to_owned()) } else { Ok(format!("secret of {name}")) }
    }

    fn certificate(&self, files: &TlsFiles) -> Result<(), String> {
        if files.key.ends_with("missing") { Err("tls_key_file missing cannot be read".to_owned()) } else { Ok(()) }
    }

    fn authorities(&self, file: &Path) -> Result<(), String> {
        if file.ends_with("missing") { Err("tls_ca_file missing cannot be read".to_owned()) } else { Ok(()) }
    }
}

fn examine(text: &str) -> Examined {
    examine_text("test.toml", text, &Secrets, false)
}

/// Tenant, queue and agent that make a small file complete.
const SMALL: &str = r#"
[[tenant]]
id = "shop"
origins = ["https://www.shop.example"]
[[queue]]
id = "support"
tenant = "shop"
agents = ["1001"]
[[agent]]
extension = "1001"
password_file = "agent-1001"
"#;

/// What is wrong with `text` put before [`SMALL`]: `line:column message → mend`, warnings with a `~`.
fn problems(text: &str) -> Vec<String> {
    listed(&format!("{text}\n{SMALL}"))
}

fn listed(text: &str) -> Vec<String> {
    let examined = examine(text);
    let errors =
        super::ConfigErrors { name: String::new(), source: examined.source.clone(), problems: examined.problems };
    let line = |problem: &super::Problem| {
        let (line, column) = errors.position(problem).unwrap_or_default();
        let mark = if problem.severity == Severity::Warning { "~" } else { "" };
        let help = problem.help.as_ref().map_or_else(String::new, |help| format!(" → {help}"));
        format!("{mark}{line}:{column} {}{help}", problem.message)
    };
    errors.problems.iter().map(line).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "in:\n{text}");
}

/// One problem, its beginning only.
#[track_caller]
fn check_one(text: &str, expected: &str) {
    let found = problems(text);
    assert!(found.len() == 1 && found[0].contains(expected), "in:\n{text}\nfound {found:#?}");
}

#[test]
fn a_small_file_is_complete_and_the_defaults_are_the_documented_ones() {
    let examined = examine(SMALL);
    assert!(examined.problems.is_empty(), "{:?}", examined.problems);
    let config = examined.config.unwrap();
    assert_eq!(config.http.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.http.public_url, "http://127.0.0.1:8080");
    assert_eq!(
        config.sip.listen,
        [(Transport::Udp, "0.0.0.0:5060".parse().unwrap()), (Transport::Tcp, "0.0.0.0:5060".parse().unwrap())]
    );
    assert_eq!(config.media.webrtc_listen, "0.0.0.0:3480".parse().unwrap());
    assert_eq!(config.media.rtp_ports, 20_000..=29_999);
    assert!(config.media.workers >= 1);
    assert_eq!(config.agents[0].name, "1001");
    assert_eq!(config.agents[0].password.expose(), "secret of agent-1001");
    assert_eq!(config.queues[0].target, QueueTarget::Agents { extensions: vec!["1001".to_owned()], seat: Seat::Any });
}

#[test]
fn mistakes_of_shape_do_not_hide_one_another_nor_those_of_meaning() {
    check(
        "[http]\nlissten = \"1\"\npublic_url = 3\n[sip]\nlisten = \"udp:0.0.0.0:5060\"\n[media]\nworkers = \"two\"\nrtp_ports = \"20001-29999\"\n[foo]\na = 1",
        &[
            "2:1 unknown key `lissten` in `http` → did you mean `listen`?",
            "3:14 wrong type: integer `3`, expected a string in `http.public_url` → put it in quotes: \"3\"",
            "5:10 wrong type: string \"udp:0.0.0.0:5060\", expected a sequence in `sip.listen` → write a list: listen = [\"udp:0.0.0.0:5060\"]",
            "7:11 wrong type: string \"two\", expected i64 in `media.workers` → write a whole number, without quotes and without a unit",
            "8:13 RTP takes an even port and RTCP the odd one above it: start even and end odd → write \"20002-29999\"",
            "9:2 unknown key `foo` → one of `http`, `sip`, `media`, `store`, `tenant`, `trunk`, `queue`, `hours`, `callback`, `agent`, `shutdown`, `log` and 3 more",
        ],
    );
}

#[test]
fn brackets_are_explained() {
    check_one("[[http]]\nlisten = \"127.0.0.1:1\"", "there is only one: write [http] with one bracket");
    let found = listed("[tenant]\nid = \"shop\"");
    assert!(found[0].contains("write [[tenant]] with two brackets"), "{found:#?}");
    check_one("[[tenants]]\nid = \"x\"", "did you mean `tenant`?");
}

#[test]
fn a_key_taken_out_for_its_type_is_not_missing_as_well() {
    check(
        "[[tenant]]\nid = 5\norigins = [\"https://a.example\"]",
        &["2:6 wrong type: integer `5`, expected a string in `tenant[0].id` → put it in quotes: \"5\""],
    );
}

#[test]
fn broken_syntax_is_placed_and_nothing_is_guessed_after_it() {
    let found = listed("[http]\nlisten = 127.0.0.1:8080\n[[tenant]]\n");
    assert!(!found.is_empty() && found.iter().all(|line| line.starts_with("2:")), "{found:#?}");
}

#[test]
fn absent_features_are_named() {
    check_one("[sip]\ntls = true", "TLS ends at the reverse proxy in front");
    check_one("[media]\ndejitter = true", "the gateway relays on arrival");
}

#[test]
fn listeners_are_checked() {
    for (text, expected) in [
        (
            "[http]\nlisten = \"8080\"",
            "2:10 `8080` is not an address with a port → write the number of the address and a port",
        ),
        ("[http]\nlisten = \"0.0.0.0\"", "add the port: \"0.0.0.0:8080\""),
        ("[http]\nlisten = \"localhost:8080\"", "write 127.0.0.1:8080"),
        ("[http]\nlisten = \":8080\"", "say which address: \"0.0.0.0:8080\" for all"),
        ("[http]\nlisten = \"0.0.0.0:0\"", "~2:10 port 0 takes any free port"),
        ("[http]\npublic_url = \"https://a.example/path\"", "without the path: \"https://a.example\""),
        ("[http]\npublic_url = \"http://a.example\"", "~2:14 the address of the pages is not on https"),
        ("[sip]\nlisten = []", "no SIP listener"),
        ("[sip]\nlisten = [\"0.0.0.0:5060\"]", "write \"udp:0.0.0.0:5060\" or \"tcp:0.0.0.0:5060\""),
        ("[sip]\nlisten = [\"tls:0.0.0.0:5061\"]", "2:10 a `tls:` listener needs a certificate"),
        ("[sip]\nlisten = [\"sctp:0.0.0.0:5060\"]", "SIP over sctp is not in this version"),
        ("[sip]\ntls_certificate_file = \"a\"", "a certificate without its key"),
        ("[sip]\ntls_key_file = \"a\"", "a key without its certificate"),
        (
            "[sip]\ntls_certificate_file = \"a\"\ntls_key_file = \"b\"",
            "~2:24 without a `tls:` listener this has no effect",
        ),
        (
            "[sip]\nlisten = [\"tls:0.0.0.0:5061\"]\ntls_certificate_file = \"a\"\ntls_key_file = \"missing\"",
            "3:24 tls_key_file missing cannot be read",
        ),
        ("[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"udp:0.0.0.0:5060\"]", "2:31 `udp:0.0.0.0:5060` stands here twice"),
        ("[sip]\nrealm = \"a\\\"b\"", "not a realm"),
    ] {
        check_one(text, expected);
    }
}

#[test]
fn public_addresses_are_questioned() {
    for (ip, expected) in [
        ("0.0.0.0", "2:13 nothing can be sent to `0.0.0.0`"),
        ("224.0.0.1", "2:13 nothing can be sent to"),
        ("10.1.2.3", "~2:13 `10.1.2.3` is a private address"),
        ("192.168.1.5", "~2:13 `192.168.1.5` is a private address"),
        ("100.64.0.1", "~2:13 `100.64.0.1` is a provider's shared address"),
        ("169.254.1.1", "~2:13 `169.254.1.1` is a link-local address"),
        ("127.0.0.1", "~2:13 `127.0.0.1` is this machine itself"),
        ("203.0.113.7", "~2:13 `203.0.113.7` is an address for documentation"),
        ("voice.shop.example", "2:13 `voice.shop.example` is not an IP address → write the number"),
        ("8.8.8.8:5060", "without the port: \"8.8.8.8\""),
        ("2a00::1", "no SIP listener speaks this address's version of IP"),
    ] {
        check_one(&format!("[sip]\npublic_ip = \"{ip}\""), expected);
    }
    check("[sip]\npublic_ip = \"8.8.8.8\"", &[]);
}

#[test]
fn port_ranges_are_checked_alone_and_against_each_other() {
    for (text, expected) in [
        ("[media]\nrtp_ports = \"20000\"", "is not a range of ports"),
        ("[media]\nrtp_ports = \"20000-90000\"", "is not a range of ports"),
        ("[media]\nrtp_ports = \"30000-20001\"", "holds no ports"),
        ("[media]\nrtp_ports = \"20000-29998\"", "write \"20000-29997\""),
        ("[media]\nrtp_ports = \"20000-20001\"", "fewer than four ports"),
        (
            "[media]\nrtp_ports = \"20000-20099\"",
            "~2:13 the range holds 50 SIP legs, and 500 calls are allowed at once",
        ),
        (
            "[limits]\ncalls_max = 50\n[media]\nrtp_ports = \"20000-20099\"\nwebrtc_listen = \"0.0.0.0:20050\"",
            "lie inside the RTP ports 20000-20099",
        ),
        ("[sip]\nlisten = [\"udp:0.0.0.0:20500\"]", "udp port 20500 is wanted by SIP and by RTP"),
        ("[sip]\nlisten = [\"udp:0.0.0.0:3480\"]", "udp port 3480 is wanted by SIP and by the browser legs"),
        ("[sip]\nlisten = [\"tcp:0.0.0.0:8080\"]", "tcp port 8080 is wanted by SIP and by HTTP"),
        ("[media]\nwebrtc_listen = \"0.0.0.0:65530\"\nworkers = 10", "10 media workers need the ports up to 65539"),
        ("[media]\nrtp_address = \"0.0.0.0\"", "leave the key out to use every address"),
    ] {
        check_one(text, expected);
    }
    // The same port on different addresses, or for the other protocol, is no clash.
    check("[sip]\nlisten = [\"tcp:127.0.0.2:8080\", \"udp:0.0.0.0:8080\"]", &[]);
}

#[test]
fn origins_are_brought_into_the_form_browsers_send() {
    let text = "[[queue]]\nid = \"q\"\ntenant = \"t\"\ndial = \"echo\"\n[[tenant]]\nid = \"t\"\norigins = [\"HTTPS://Shop.Example:443/\", \"https://shop.example:8443\", \"http://[::1]:80\"]";
    let config = examine(text).config.unwrap();
    assert_eq!(config.tenants[0].origins, ["https://shop.example", "https://shop.example:8443", "http://[::1]"]);
    for (origin, expected) in [
        ("*", "`*` would let any site use the phones"),
        ("https://*.shop.example", "`*` would let any site use the phones"),
        ("null", "`null` is what any local file"),
        ("www.shop.example", "write \"https://www.shop.example\""),
        ("https://shop.example/shop", "without the path: \"https://shop.example\""),
        ("https://a@shop.example", "a user name does not belong here"),
        ("https://bücher.example", "write the xn--… form"),
        ("https://", "is not a host name"),
        ("https://shop.example:0", "the port is not a number"),
        ("ftp://shop.example", "`ftp` is not http or https"),
        ("http://shop.example", "browsers give it no microphone"),
    ] {
        check_one(
            &format!(
                "[[queue]]\nid = \"q\"\ntenant = \"t\"\ndial = \"echo\"\n[[tenant]]\nid = \"t\"\norigins = [\"{origin}\"]"
            ),
            expected,
        );
    }
}

#[test]
fn references_lead_somewhere_and_doubles_are_found() {
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shpo\"\ndial = \"echo\"",
        "3:10 there is no tenant `shpo` → did you mean `shop`?",
    );
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\nagents = [\"1001\", \"1002\"]",
        "4:19 there is no agent `1002` → did you mean `1001`?",
    );
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\nagents = [\"1001\", \"1001\"]",
        "this is the second agent of this queue `1001`",
    );
    check_one("[[queue]]\nid = \"a\"\ntenant = \"shop\"\nagents = []", "the queue has no agent");
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"",
        "there is no trunk `pbx` → define it: [[trunk]]",
    );
    check_one("[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"sip:600@10.0.0.5\"", "wants the name of a trunk");
    check_one("[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"+33123\"", "dial = \"sip:+33123@TRUNK\"");
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"echo\"\nagents = [\"1001\"]",
        "`dial` and `agents` are both given",
    );
    check_one("[[queue]]\nid = \"a\"\ntenant = \"shop\"", "1:1 the queue rings nobody");
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"echo\"\nseat = \"phone\"",
        "`seat` says where agents answer",
    );
    check_one(
        "[[queue]]\nid = \"a\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"phon\"",
        "did you mean `phone`?",
    );
    check_one("[[queue]]\nid = \"a b\"\ntenant = \"shop\"\ndial = \"echo\"", "`a b` cannot be a queue's id");
    check_one(
        "[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"echo\"",
        "this is the second queue of this tenant `support`",
    );
    check_one("[[agent]]\nextension = \"1001\"\npassword_file = \"x\"", "this is the second agent `1001`");
    check_one("[[agent]]\nextension = \"echo\"\npassword_file = \"x\"", "is the agent inside the program");
    check_one("[[tenant]]\nid = \"other\"\norigins = [\"https://b.example\"]", "tenant `other` has no queue");
    check(
        "[[tenant]]",
        &[
            "1:1 `id` is missing → name it as the widget's data-tenant does: id = \"shop\"",
            "1:1 `origins` is missing → list the web sites that carry the button: origins = [\"https://www.shop.example\"]",
        ],
    );
}

#[test]
fn secrets_come_from_a_file_or_the_environment() {
    let agent = |line: &str| format!("[[agent]]\nextension = \"2001\"\n{line}");
    for (line, expected) in [
        ("", "1:1 the agent has no password"),
        ("password = \"open-sesame\"", "3:12 a secret does not belong into the configuration"),
        ("password_file = \"missing\"", "3:17 `missing`: cannot open it: No such file"),
        ("password_file = \"empty\"", "the secret is empty"),
        ("password_file = \"lines\"", "the secret has more than one line"),
        ("password_file = \"short\"", "~3:17 the password has fewer than 10 characters"),
        ("password_env = \"UNSET\"", "the variable `UNSET`: environment variable not found"),
        ("password_env = \"A\"\npassword_file = \"b\"", "are both given"),
    ] {
        check_one(&agent(line), expected);
    }
    check(&agent("password_env = \"AGENT\""), &[]);
}

#[test]
fn a_secret_is_shown_nowhere() {
    let examined = examine(&format!("{SMALL}[[agent]]\nextension = \"1002\"\npassword = \"open-sesame\"\n"));
    let shown = render(&examined.name, &examined.source, &examined.problems, false, 100);
    assert!(shown.contains("***") && !shown.contains("sesame"), "{shown}");
    let config = examine(SMALL).config.unwrap();
    assert!(!format!("{config:?}").contains("secret of"), "{config:?}");
}

#[test]
fn trunks_are_checked() {
    let trunk = |lines: &str| format!("[[trunk]]\nname = \"pbx\"\n{lines}");
    for (lines, expected) in [
        ("", "1:1 `uri` is missing"),
        ("uri = \"10.0.0.5\"", "write \"sip:10.0.0.5\""),
        ("uri = \"sips:10.0.0.5;transport=udp\"", "`sips:` is never over UDP"),
        ("uri = \"sip:10.0.0.5;transport=sctp\"", "SIP over `sctp` is not in this version"),
        ("uri = \"sip:10.0.0.5\"\ntls_ca_file = \"ca\"", "~4:15 without `sips:` or `;transport=tls` in `uri`"),
        ("uri = \"sips:10.0.0.5\"\ntls_ca_file = \"missing\"", "4:15 tls_ca_file missing cannot be read"),
        ("uri = \"sips:10.0.0.5\"\ntls_certificate_file = \"a\"", "a certificate without its key"),
        ("uri = \"sips:10.0.0.5\"\ntls_pin_sha256 = [\"abc\"]", "`abc` is no SHA-256 of a public key"),
        ("uri = \"sip:600@10.0.0.5\"", "a trunk's address has no user"),
        ("uri = \"sip:10.0.0.5\"\nregister = true", "to register, the trunk needs a `username`"),
        ("uri = \"sip:10.0.0.5\"\nregister = true\nusername = \"u\"", "to register, the trunk needs a password"),
        ("uri = \"sip:10.0.0.5\"\npassword_file = \"p\"", "a password without a `username`"),
        ("uri = \"sip:10.0.0.5\"\nregister_expires_s = 60", "~4:22 without `register = true` this has no effect"),
        ("uri = \"sip:10.0.0.5\"\nsession_expires_s = 60", "write a number from 90 to 86400"),
        ("uri = \"sip:10.0.0.5\"\nmin_se_s = 30", "write a number from 90 to 86400"),
        ("uri = \"sip:10.0.0.5\"\nsession_expires_s = 100\nmin_se_s = 200", "is shorter than `min_se_s`"),
        ("uri = \"sip:10.0.0.5\"\nrefresher = \"gatway\"", "did you mean `gateway`?"),
        ("uri = \"sip:10.0.0.5\"\nreliable_provisional = \"yes\"", "no such `reliable_provisional`: `yes`"),
        ("uri = \"sip:10.0.0.5\"\ncodecs = [\"alaw\"]", "did you mean `pcma`?"),
        ("uri = \"sip:10.0.0.5\"\ncodecs = [\"opus\", \"OPUS\"]", "`opus` stands here twice"),
        ("uri = \"sip:10.0.0.5\"\ncodecs = []", "no codec: nothing could be heard"),
        ("uri = \"sip:10.0.0.5\"\nheaders = [\"user-to-usr\"]", "did you mean `user-to-user`?"),
        ("uri = \"sip:10.0.0.5\"\naccept_from = [\"pbx2\"]", "`pbx2` is not an IP address"),
    ] {
        check_one(&trunk(lines), expected);
    }
    let text = format!(
        "{}\n{SMALL}",
        trunk("uri = \"sip:pbx.example:5070;transport=tcp\"\nheaders = []\ncodecs = [\"PCMU\"]")
    );
    let config = examine(&text).config.unwrap();
    let pbx = &config.trunks[0];
    assert_eq!((pbx.host.as_str(), pbx.port, pbx.transport), ("pbx.example", Some(5070), Transport::Tcp));
    assert_eq!(pbx.headers, HeaderPolicy { user_to_user: false, x_headers: false, display_name: false });
    assert_eq!(pbx.codecs, [Codec::Pcmu]);
    let pin = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    let hex = "ba:78:16:bf:8f:01:cf:ea:41:41:40:de:5d:ae:22:23:b0:03:61:a3:96:17:7a:9c:b4:10:ff:61:f2:00:15:ad";
    let text = format!(
        "{}\n{SMALL}",
        trunk(&format!(
            "uri = \"sips:pbx.example\"\ntls_pin_sha256 = [\"sha256//{pin}\", \"{hex}\"]\n\
             tls_certificate_file = \"a\"\ntls_key_file = \"b\""
        ))
    );
    let config = examine(&text).config.unwrap();
    let pbx = &config.trunks[0];
    assert_eq!((pbx.transport, pbx.tls.pins.len()), (Transport::Tls, 2));
    assert_eq!(pbx.tls.pins[0], pbx.tls.pins[1]);
    assert_eq!(pbx.tls.pins[0].to_string(), pin);
    assert_eq!(pbx.tls.own, Some(TlsFiles { certificate: "a".into(), key: "b".into() }));
    assert_eq!(pbx.extensions, sip::Extensions::USUAL);
    for (word, rule) in [("off", sip::Reliable::Off), ("required", sip::Reliable::Required)] {
        let text = format!("{}\n{SMALL}", trunk(&format!("uri = \"sip:10.0.0.5\"\nreliable_provisional = \"{word}\"")));
        assert_eq!(examine(&text).config.unwrap().trunks[0].extensions.reliable, rule);
    }
    for (lines, session) in [
        ("session_expires_s = 0", None),
        ("min_se_s = 3600", Some((3_600, 3_600, sip::Refresher::Either))),
        ("session_expires_s = 90\nrefresher = \"pbx\"", Some((90, 90, sip::Refresher::Peer))),
        ("session_expires_s = 7200\nrefresher = \"gateway\"", Some((7_200, 90, sip::Refresher::Us))),
    ] {
        let text = format!("{}\n{SMALL}", trunk(&format!("uri = \"sip:10.0.0.5\"\n{lines}")));
        let config = examine(&text).config.unwrap();
        let found = config.trunks[0].extensions.session;
        assert_eq!(found.map(|timer| (timer.expires_s, timer.min_se_s, timer.refresher)), session, "{lines}");
    }
}

#[test]
fn who_is_told_is_checked() {
    let hook = |text: &str| {
        let file = SMALL.replace("[[queue]]", &format!("[tenant.webhook]\n{text}\n[[queue]]"));
        let examined = examine(&file);
        let said: Vec<String> = examined.problems.iter().map(|problem| problem.message.clone()).collect();
        (said, examined.config.and_then(|config| config.tenants[0].webhook.clone()))
    };
    let good = "url = \"https://crm.example/hook\"\nsecret_file = \"webhook-key\"";
    let (said, webhook) = hook(good);
    let webhook = webhook.unwrap();
    assert_eq!((said, webhook.events.len(), webhook.full_number, webhook.key.0.len()), (vec![], 7, false, 24));
    assert_eq!(hook("").1.is_none(), hook("").0.is_empty(), "an empty table is none");
    let (_, webhook) = hook(&format!("{good}\nevents = [\"callback.failed\"]\nnumber = \"full\""));
    assert!(webhook.is_some_and(|webhook| webhook.events == [Event::Failed] && webhook.full_number));
    for (wrong, expected) in [
        ("url = \"https://crm.example/\"", "the webhook has no key"),
        ("secret_file = \"webhook-key\"", "`url` is missing"),
        ("url = \"https://crm.example/\"\nsecret_file = \"short\"", "24 to 64 bytes in base64"),
        ("url = \"https://crm.example/\"\nsecret = \"whsec_x\"", "does not belong into the configuration"),
        ("url = \"ftp://crm.example/\"\nsecret_file = \"webhook-key\"", "no address to post to"),
        ("url = \"http://crm.example/\"\nsecret_file = \"webhook-key\"", "unencrypted"),
        (&format!("{good}\nevents = [\"callback.fail\"]"), "nothing is told by the name"),
        (&format!("{good}\nnumber = \"half\""), "a number cannot be told `half`"),
    ] {
        let (said, _) = hook(wrong);
        assert!(said.len() == 1 && said[0].contains(expected), "{wrong}: {said:?}");
    }
    let mail = "[mail]\nhost = \"smtp.example\"\nfrom = \"Shop <a@shop.example>\"";
    let config = examine(&format!("{mail}\n{SMALL}")).config.unwrap().mail.unwrap();
    assert_eq!((config.port, config.from.as_str(), config.from_name.as_deref()), (587, "a@shop.example", Some("Shop")));
    check_one("[mail]\nhost = \"smtp.example\"", "`from` is missing");
    check_one("[mail]\nfrom = \"a@b.fr\"", "no relay to send mail by");
    check_one("[mail]\nhost = \"smtp.example:25\"\nfrom = \"a@b.fr\"", "`smtp.example:25` is no host");
    check_one(&mail.replace("a@shop.example", "a@shop"), "nobody writes as");
    check_one(&format!("{mail}\nusername = \"x\""), "a user without a password");
    check_one(&format!("{mail}\npassword_file = \"x\""), "a password without a user");
    check_one(&format!("{mail}\ntls = \"none\"\nusername = \"x\"\npassword_file = \"x\""), "unencrypted");
    check_one(&format!("{mail}\ntls = \"ssl\""), "no way to keep mail secret");
}

#[test]
fn numbers_have_ranges_and_words_are_known() {
    check_one("[limits]\ncalls_max = 0", "write a number from 1 to 100000; without the key it is 500");
    check_one("[shutdown]\ndrain_limit_s = -1", "`drain_limit_s` is -1, which is out of range");
    check_one("[log]\nfilter = \"inof\"", "not a log filter: `inof` is not a level");
    check_one("[log]\nfilter = \"info,sip=debgu\"", "not a log filter");
    check_one("[log]\nformat = \"jsn\"", "did you mean `json`?");
    check_one("[store]\nurl = \"rediss://127.0.0.1/0\"", "no such store");
    assert!(examine("[store]\nurl = \"redis://127.0.0.1/0\"").problems.is_empty());
    check_one("[store]\nurl = \"redis://me:hush@127.0.0.1/0\"", "does not belong into the configuration");
    assert!(!examine("[store]\nurl = \"redis://me:hush@127.0.0.1/0\"").source.contains("hush"));
    check_one("[store]\nurl = \"data/x.db\"", "no such store");
    check_one("[store]\nurl = \"memory:\"", "~2:7 records kept in memory are gone");
}

#[test]
fn the_report_shows_line_column_excerpt_and_mend() {
    let examined = examine(&format!("[http]\nlissten = \"127.0.0.1:8080\"\n{SMALL}"));
    let shown = render(&examined.name, &examined.source, &examined.problems, false, 100);
    for part in [
        "test.toml:2:1: unknown key `lissten` in `http`",
        "[test.toml:2:1]",
        "lissten = \"127.0.0.1:8080\"",
        "help: did you mean `listen`?",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let mut text = EXAMPLE.to_owned();
    // Every prefix of the example, then each character in turn replaced by ones that matter to TOML.
    while text.pop().is_some() {
        if text.len().is_multiple_of(37) {
            let _examined = examine(&text);
        }
    }
    let octets: Vec<char> = EXAMPLE.chars().collect();
    for (index, wild) in (0..octets.len()).step_by(53).zip("[]=\"'{}#\n\0é".chars().cycle()) {
        let mut copy = octets.clone();
        copy[index] = wild;
        let examined = examine(&copy.into_iter().collect::<String>());
        let _shown = render(&examined.name, &examined.source, &examined.problems, false, 80);
    }
}

#[test]
fn the_demo_is_sound_and_keeps_to_this_machine() {
    let examined = examine_text("demo.toml", DEMO, &Secrets, true);
    assert!(examined.problems.is_empty(), "{:?}", examined.problems);
    let config = examined.config.unwrap();
    assert!(config.http.listen.ip().is_loopback());
    assert!(config.sip.listen.iter().all(|(_, address)| address.ip().is_loopback()));
    assert_eq!(config.media.rtp_address.map(|ip| ip.is_loopback()), Some(true));
    let queues: Vec<&str> = config.queues.iter().map(|queue| queue.id.as_str()).collect();
    assert_eq!(queues, ["echo", "support", "browser"]);
    assert_eq!(config.queues[0].target, QueueTarget::Echo);
    // Who calls himself back would hear himself twice.
    let callbacks: Vec<bool> = config.queues.iter().map(|queue| queue.callback.is_some()).collect();
    assert_eq!(callbacks, [false, true, true]);
    assert!(config.trunks.iter().all(|trunk| trunk.host == "127.0.0.1"), "nobody's telephone rings");
}

#[test]
fn the_demo_can_be_moved_out_of_the_way() {
    let place =
        DemoPlace { http_port: 8090, sip_port: 5090, webrtc_port: 3490, rtp_port: 30_000, data: "some\"where".into() };
    let text = demo_text(&place);
    for old in ["8080", "5060", "5062", "3480", "20000", "data/"] {
        assert!(!text.contains(old), "{old}");
    }
    let config = demo(&place).unwrap();
    assert_eq!(config.http.listen.port(), 8090);
    assert_eq!(config.tenants[0].origins, ["http://127.0.0.1:8090", "http://localhost:8090"]);
    assert!(config.sip.listen.iter().all(|(_, address)| address.port() == 5090));
    assert_eq!(config.trunks[0].port, Some(5_092));
    assert_eq!(config.media.rtp_ports, 30_000..=30_999);
    assert_eq!(config.store.url, "sqlite:some\"where/demo.db");
    assert_eq!(demo_text(&DemoPlace::default()), DEMO);
    // A choice that cannot work is named as in any file.
    assert!(demo(&DemoPlace { sip_port: 20_500, ..DemoPlace::default() }).is_err());
    assert!(demo(&DemoPlace { rtp_port: 65_000, ..DemoPlace::default() }).is_err());
}

#[test]
fn a_glance_needs_no_secret() {
    let path = std::env::temp_dir().join(format!("passerelle-glance-{}.toml", std::process::id()));
    std::fs::write(&path, EXAMPLE).unwrap();
    let glance = glance(Some(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((glance.http_listen.port(), glance.store_url.as_str()), (8080, "sqlite:data/passerelle.db"));
    assert_eq!(super::glance(None).unwrap().store_url, "sqlite:data/demo.db");
    assert!(super::glance(Some(Path::new("/nonexistent"))).is_err());
}

#[test]
fn the_shield_of_call_backs_is_checked() {
    check_one("[callback]\nproof_of_work = \"sometimes\"", "proof of work is never demanded `sometimes`");
    check_one("[callback]\nsuppress_years = 2", "`suppress_years` is 2, which is out of range");
    check_one("[callback]\nnumber_key = \"0123456789abcdef\"", "a secret does not belong into the configuration");
    check_one("[callback]\nnumber_key_file = \"short\"", "the number key has fewer than 16 bytes");
    check_one("[http]\nadmin_token_file = \"short\"", "the administrator's token has fewer than 16 bytes");
    check_one("[http]\nadmin_token = \"0123456789abcdef\"", "a secret does not belong into the configuration");
    let calls_back = "[[trunk]]\nname = \"pbx\"\nuri = \"sip:192.0.2.1\"\n[[queue]]\nid = \"back\"\ntenant = \"shop\"\n\
                      dial = \"sip:6@pbx\"\n[queue.callback]\ntrunk = \"pbx\"";
    let shared = "[store]\nurl = \"redis://127.0.0.1/0\"";
    check_one(&format!("{shared}\n{calls_back}"), "gateways that share a store need one key");
    check(&format!("{shared}\n[callback]\nnumber_key_env = \"KEY_OF_THE_NUMBERS\"\n{calls_back}"), &[]);
    check(shared, &[]);
}

#[test]
fn the_money_of_a_trunk_is_checked() {
    let trunk = |keys: &str| format!("[[trunk]]\nname = \"pbx\"\nuri = \"sip:192.0.2.1\"\n{keys}");
    check_one(&trunk("callback_money_per_day_max = 50"), "nothing says what a call costs");
    check_one(&trunk("callback_money_per_day_max = 50\ncallback_prices = {}"), "there is no price");
    let priced = |price: &str| trunk(&format!("callback_money_per_day_max = 50\ncallback_prices = {{ {price} }}"));
    check_one(&priced("\"+33\" = 0.1"), "`+33` is not the beginning of a number");
    check_one(&priced("\"33\" = -1"), "a price a minute is -1, which is out of range");
    check_one(
        &trunk("callback_money_per_day_max = 0\ncallback_prices = { \"33\" = 1 }"),
        "is 0, which is out of range",
    );
    check_one(&trunk("callback_prices = { \"33\" = 1 }"), "without `callback_money_per_day_max` this has no effect");
}
