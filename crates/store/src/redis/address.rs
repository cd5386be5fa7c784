//! Where a Redis is: `redis://[user:password@]host:port/db`, and the same without what is secret.

use std::fmt;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::StoreError;

/// The address of a server, understood.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// Database, user and password.
    pub(super) login: RedisConnectionInfo,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::BadUrl(shown_url(url));
        if !url.starts_with("redis://") || url.contains(['?', '#']) {
            return Err(bad());
        }
        let info = url.into_connection_info().map_err(|_| bad())?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(bad()) };
        let login = info.redis_settings().clone();
        if login.db() < 0 {
            return Err(bad());
        }
        Ok(Self { host: host.clone(), port: *port, login })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "redis://{open}{}{close}:{}/{}", self.host, self.port, self.login.db())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address of a store as it may be printed: without user and password.
pub fn shown_url(url: &str) -> String {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match url.rsplit_once('@') {
        // A file may have such a sign in its name, a server's secret ends with one.
        Some((_, place)) if scheme != "sqlite" => format!("{scheme}://***@{place}"),
        Some(_) | None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_without_their_secret() {
        for (url, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://shop:s%40crt@redis.test:7000/3", "redis://redis.test:7000/3"),
            ("redis://:secret@[::1]:6380", "redis://[::1]:6380/0"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.to_string().as_str(), format!("{address:?}").as_str()), (shown, shown));
        }
        let address = Address::parse("redis://shop:s%40crt@redis.test:7000/3").unwrap();
        assert_eq!((address.login.username(), address.login.password()), (Some("shop"), Some("s@crt")));
    }

    #[test]
    fn what_is_no_address_is_said_without_its_secret() {
        for url in [
            "redis://u:secret@/0",
            "redis://u:secret@host/shop",
            "redis://u:secret@host/-1",
            "redis://u:secret@host:99999/0",
            "redis:u:secret@host",
            "rediss://u:secret@host/0",
            "redis+unix://u:secret@/run/redis.sock",
            "redis://u:secret@host/0?protocol=resp3",
            "redis://u:se/cret@host/0",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, StoreError::BadUrl(_)), "{url}");
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("cret"), "{error}");
        }
        assert_eq!(shown_url("sqlite:data/a@b.db"), "sqlite:data/a@b.db");
    }
}
