//! Trunks: where the PBX is, how we log in there, what it is shown.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::{Checker, SecretKeys};
use crate::config::checked::{Codec, HeaderPolicy, MoneyMax, Place, Transport, Trunk};
use crate::config::file;
use crate::config::problem::Problem;
use crate::config::suggest;

/// Targets of one trunk; more make nothing safer.
const TARGETS_MAX: usize = 16;

/// The words of `headers`, in the order of [`HeaderPolicy`].
const HEADERS: [&str; 3] = ["user-to-user", "x-passerelle", "display-name"];

impl Checker<'_> {
    pub(super) fn trunks(&mut self, trunks: &[Spanned<file::Trunk>]) -> Vec<Trunk> {
        let mut checked: Vec<Trunk> = Vec::new();
        for table in trunks {
            let (at, trunk) = (table.span(), table.get_ref());
            let name = self.required(&trunk.name, &at, "name", "queues call it by this name: name = \"pbx\"");
            if let Some(name) = name {
                self.name(name, "a trunk's name");
                self.double(name, "trunk", checked.iter().any(|other| other.name == *name.get_ref()));
            }
            let uri =
                self.required(&trunk.uri, &at, "uri", "say where the PBX is: uri = \"sip:10.0.0.5;transport=udp\"");
            let nowhere = Place { host: String::new(), port: None, transport: None, priority: 0, weight: 1 };
            let place = uri.and_then(|key| self.place(key, false)).unwrap_or(nowhere);
            let places = self.places(trunk, &place);
            let register = trunk.register.as_ref().is_some_and(|key| *key.get_ref());
            let (username, password) = self.login(trunk, register);
            let expires = self.seconds(&trunk.register_expires_s, "register_expires_s", 300, 30..=86_400);
            if let (Some(key), false) = (&trunk.register_expires_s, register) {
                self.problems.push(
                    Problem::warning(key.span(), "without `register = true` this has no effect").help("leave it out"),
                );
            }
            checked.push(Trunk {
                name: name.map_or_else(String::new, |key| key.get_ref().clone()),
                host: place.host,
                port: place.port,
                tls: self.trunk_tls(trunk, place.transport.unwrap_or(Transport::Udp)),
                transport: place.transport.unwrap_or(Transport::Udp),
                places,
                options_interval: Some(self.seconds(&trunk.options_interval_s, "options_interval_s", 30, 0..=3_600))
                    .filter(|every| !every.is_zero()),
                calls_per_second_max: self.cap(&trunk.calls_per_second_max, "calls_per_second_max", 1_000),
                calls_max: self.cap(&trunk.calls_max, "calls_max", 100_000),
                realm: self.trunk_realm(trunk),
                register,
                register_expires: if register { expires } else { Duration::ZERO },
                username,
                password,
                codecs: self.codecs(trunk),
                srtp: self.srtp(&trunk.srtp),
                extensions: self.extensions(trunk),
                transfer: self.transfer(trunk),
                headers: self.headers(trunk),
                accept_from: trunk
                    .accept_from
                    .iter()
                    .flat_map(|key| key.get_ref())
                    .filter_map(|item| self.ip(item))
                    .collect(),
                caller_ids: self.caller_ids(trunk),
                callback_dials_per_day_max: self
                    .number(&trunk.callback_dials_per_day_max, "callback_dials_per_day_max", 1_000, 1..=10_000_000)
                    .unsigned_abs(),
                callback_time_per_day_max: Duration::from_secs(
                    60 * self
                        .number(
                            &trunk.callback_minutes_per_day_max,
                            "callback_minutes_per_day_max",
                            3_000,
                            1..=10_000_000,
                        )
                        .unsigned_abs(),
                ),
                callback_money: self.money(trunk),
            });
        }
        checked
    }

    /// Where its requests go: the `targets`, or what `uri` names.
    fn places(&mut self, trunk: &file::Trunk, named: &Place) -> Vec<Place> {
        let Some(key) = &trunk.targets else { return vec![named.clone()] };
        let listed = key.get_ref();
        if listed.is_empty() || listed.len() > TARGETS_MAX {
            let message = format!("{} targets", listed.len());
            let help = format!("write 1 to {TARGETS_MAX}, or leave the key out: then `uri` says where the trunk is");
            self.error(key, &message, &help);
        }
        let mut places: Vec<Place> = Vec::new();
        for item in listed {
            let Some(place) = self.place(item, true) else { continue };
            let same = |one: &Place| (&one.host, one.port, one.transport) == (&place.host, place.port, place.transport);
            if places.iter().any(same) {
                self.error(item, &format!("`{}` stands here twice", item.get_ref()), "leave one of them out");
            }
            let by_tls = |place: &Place| place.transport == Some(Transport::Tls);
            if place.transport.is_some() && by_tls(&place) != by_tls(named) {
                let help = "write `uri` and all targets by TLS, or none: a certificate is for the host of `uri`";
                self.error(item, "the trunk is by TLS and this target is not, or the other way round", help);
            }
            // Without its own, the transport of the trunk.
            places.push(Place { transport: place.transport.or(named.transport), ..place });
        }
        if places.is_empty() { vec![named.clone()] } else { places }
    }

    /// A cap; 0, as without the key: none.
    fn cap(&mut self, key: &file::Key<i64>, name: &str, most: i64) -> Option<usize> {
        Some(self.count(key, name, 0, 0..=most)).filter(|cap| *cap > 0)
    }

    fn trunk_realm(&mut self, trunk: &file::Trunk) -> Option<String> {
        let key = trunk.realm.as_ref()?;
        let realm = key.get_ref();
        if realm.is_empty() || realm.len() > 128 || realm.contains(char::is_control) {
            self.error(key, "not a realm", "write 1 to 128 characters, as the PBX names it in its challenge");
        } else if trunk.username.is_none() {
            let problem = Problem::warning(key.span(), "without a `username` this has no effect");
            self.problems.push(problem.help("leave it out"));
        }
        Some(realm.clone())
    }

    /// What a day may cost: prices and the most, both or neither.
    fn money(&mut self, trunk: &file::Trunk) -> Option<MoneyMax> {
        let (prices, most) = match (&trunk.callback_prices, &trunk.callback_money_per_day_max) {
            (Some(prices), Some(most)) => (prices, most),
            (None, Some(most)) => {
                let help =
                    "write what a minute costs, by the beginning of the number: callback_prices = { \"33\" = 0.008 }";
                self.error(most, "nothing says what a call costs", help);
                return None;
            }
            (Some(prices), None) => {
                let problem =
                    Problem::warning(prices.span(), "without `callback_money_per_day_max` this has no effect");
                self.problems.push(problem.help("write what a day may cost: callback_money_per_day_max = 50"));
                return None;
            }
            (None, None) => return None,
        };
        let mut by_prefix = BTreeMap::new();
        for (prefix, price) in prices.get_ref() {
            let digits = prefix.get_ref();
            let is_prefix = (1..=15).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
            if !is_prefix || digits.starts_with('0') {
                let message = format!("`{digits}` is not the beginning of a number");
                self.error(
                    prefix,
                    &message,
                    "write the country's digits and what follows, without plus: \"33\", \"336\"",
                );
            }
            by_prefix.insert(digits.clone(), self.micros(price, "a price a minute", 0.0..=1_000.0));
        }
        if by_prefix.is_empty() {
            self.error(prices, "there is no price", "write at least one: { \"33\" = 0.008 }");
        }
        let per_day_micros = self.micros(most, "`callback_money_per_day_max`", 0.01..=10_000_000.0);
        Some(MoneyMax { prices: desk::Prices::new(by_prefix), per_day_micros })
    }

    /// Millionths of an amount of money.
    fn micros(&mut self, key: &Spanned<f64>, what: &str, range: RangeInclusive<f64>) -> u64 {
        let amount = *key.get_ref();
        if !range.contains(&amount) {
            let help = format!("write an amount from {} to {}", range.start(), range.end());
            self.error(key, &format!("{what} is {amount}, which is out of range"), &help);
            return 0;
        }
        // Within the range a double holds every millionth.
        let micros = Duration::try_from_secs_f64(amount).map_or(0, |whole| whole.as_micros());
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// Numbers the provider lets us show (Arcep: only those the contract lists).
    fn caller_ids(&mut self, trunk: &file::Trunk) -> Vec<String> {
        let mut numbers = Vec::new();
        for item in trunk.caller_ids.iter().flat_map(|key| key.get_ref()) {
            let digits = item.get_ref().strip_prefix('+').unwrap_or_default();
            let sound = (6..=15).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
            if sound {
                numbers.push(item.get_ref().clone());
            } else {
                let message = format!("`{}` is not a number as ITU-T E.164 writes it", item.get_ref());
                self.error(item, &message, "write it with a plus and the country: \"+33123456789\"");
            }
        }
        numbers
    }

    /// `sip:HOST[:PORT][;transport=udp|tcp|tls]`, `sips:HOST[:PORT]`; of a target also `;priority=N;weight=N`.
    fn place(&mut self, key: &Spanned<String>, is_target: bool) -> Option<Place> {
        let typed = key.get_ref();
        let uri = match sip::Uri::from_str(typed) {
            Ok(uri) => uri,
            Err(error) => {
                let help = if typed.contains(':') && !typed.starts_with(|c: char| c.is_ascii_digit()) {
                    "write \"sip:10.0.0.5\" or \"sip:pbx.example:5060;transport=tcp\"".to_owned()
                } else {
                    format!("write \"sip:{typed}\"")
                };
                self.error(key, &format!("`{typed}` is not a SIP address: {error}"), &help);
                return None;
            }
        };
        match &uri.scheme {
            sip::Scheme::Sip | sip::Scheme::Sips => {}
            sip::Scheme::Tel | sip::Scheme::Other(_) => {
                self.error(key, &format!("`{typed}` does not say where the PBX is"), "write \"sip:10.0.0.5\"");
                return None;
            }
        }
        if uri.user.is_some() {
            let help = "leave it out here: `username` logs in, and the queue's `dial` says whom to call";
            self.error(key, "a trunk's address has no user", help);
        }
        let is_sips = uri.scheme == sip::Scheme::Sips;
        let transport = match uri.transport().map(str::to_ascii_lowercase).as_deref() {
            // RFC 3261 §19.1.4: `sips:` over TCP is TLS.
            None | Some("tcp") if is_sips => Some(Transport::Tls),
            Some("tls") => Some(Transport::Tls),
            None => None,
            Some("udp") if !is_sips => Some(Transport::Udp),
            Some("tcp") => Some(Transport::Tcp),
            Some("udp") => {
                self.error(key, "`sips:` is never over UDP", "leave ;transport out");
                Some(Transport::Tls)
            }
            Some(other) => {
                self.error(
                    key,
                    &format!("SIP over `{other}` is not in this version"),
                    "write ;transport=udp, ;transport=tcp or ;transport=tls",
                );
                None
            }
        };
        let mut share = |name: &str, default: u16| match uri.params.get(name) {
            Some(_) if !is_target => {
                self.error(key, &format!("`;{name}` is for one of several `targets`"), "leave it out here");
                default
            }
            Some(text) => text.parse().unwrap_or_else(|_| {
                self.error(key, &format!("`;{name}={text}` is no number"), "write one from 0 to 65535");
                default
            }),
            None => default,
        };
        let (priority, weight) = (share("priority", 0), share("weight", 1));
        Some(Place { host: uri.host.to_string(), port: uri.port, transport, priority, weight })
    }

    fn login(
        &mut self,
        trunk: &file::Trunk,
        register: bool,
    ) -> (Option<String>, Option<crate::config::checked::Secret>) {
        let keys = SecretKeys {
            name: "password",
            literal: &trunk.password,
            file: &trunk.password_file,
            env: &trunk.password_env,
        };
        let password = self.secret(&keys);
        let secret_key = trunk.password.as_ref().or(trunk.password_file.as_ref()).or(trunk.password_env.as_ref());
        if let Some(key) = &trunk.username {
            let name = key.get_ref();
            if name.is_empty()
                || name.len() > 128
                || name.contains(|c: char| c.is_control() || c.is_whitespace() || c == '"')
            {
                self.error(key, "not a user name", "write it as the PBX knows it, without spaces and quotes");
            }
        }
        match (&trunk.username, secret_key, &trunk.register) {
            (None, _, Some(key)) if register => {
                self.error(
                    key,
                    "to register, the trunk needs a `username`",
                    "add username = \"…\" and password_file = \"…\", as the PBX knows them",
                );
            }
            (Some(key), None, _) if register => {
                self.error(
                    key,
                    "to register, the trunk needs a password",
                    "add password_file = \"/etc/passerelle/trunk.password\"",
                );
            }
            (None, Some(key), _) => self.error(key, "a password without a `username`", "add username = \"…\""),
            (Some(_) | None, Some(_) | None, Some(_) | None) => {}
        }
        (trunk.username.as_ref().map(|key| key.get_ref().clone()), password)
    }

    fn codecs(&mut self, trunk: &file::Trunk) -> Vec<Codec> {
        let Some(key) = &trunk.codecs else { return Codec::ALL.to_vec() };
        if key.get_ref().is_empty() {
            self.error(
                key,
                "no codec: nothing could be heard",
                "write codecs = [\"pcma\", \"pcmu\"], or leave the key out for all",
            );
        }
        let mut codecs = Vec::new();
        for item in key.get_ref() {
            let typed = item.get_ref().to_lowercase();
            match Codec::ALL.into_iter().find(|codec| codec.as_str() == typed) {
                Some(codec) if codecs.contains(&codec) => {
                    self.error(item, &format!("`{typed}` stands here twice"), "leave one of them out");
                }
                Some(codec) => codecs.push(codec),
                None => {
                    let help = match typed.as_str() {
                        "alaw" | "g711a" => "did you mean `pcma`?".to_owned(),
                        "ulaw" | "mulaw" | "g711u" | "g711" => "did you mean `pcmu`?".to_owned(),
                        other => suggest::mend(other, Codec::ALL.map(Codec::as_str), ""),
                    };
                    self.error(item, &format!("no such codec: `{}`", item.get_ref()), &help);
                }
            }
        }
        codecs
    }

    fn headers(&mut self, trunk: &file::Trunk) -> HeaderPolicy {
        let all = HeaderPolicy { user_to_user: true, x_headers: true, display_name: true };
        let Some(key) = &trunk.headers else { return all };
        let mut policy = HeaderPolicy { user_to_user: false, x_headers: false, display_name: false };
        for item in key.get_ref() {
            match item.get_ref().as_str() {
                "user-to-user" => policy.user_to_user = true,
                "x-passerelle" => policy.x_headers = true,
                "display-name" => policy.display_name = true,
                other => self.error(item, &format!("no such header: `{other}`"), &suggest::mend(other, HEADERS, "")),
            }
        }
        policy
    }
}
