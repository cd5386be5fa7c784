//! Plain requests: who may ask, in which form, how much, and what every answer carries.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{House, PATIENCE, SHOP};
use crate::{Door, WebCounter, origin::tests::TRICKS};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_page_of_the_shop_gets_a_token_and_may_read_it() {
    let house = House::plain().await;
    let reply = house.ask_token(SHOP, "shop", "support").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert_eq!((reply.header("vary"), reply.header("cache-control")), (Some("origin"), Some("no-store")));
    assert_eq!(reply.json()["expires_in_s"], 180);
    assert_eq!(reply.json()["token"].as_str().unwrap().len(), 32);
    assert_eq!(house.fake.count_of(WebCounter::TokenIssued), 1);
    house.close().await;
}

#[tokio::test]
async fn forty_origins_are_refused_at_every_door() {
    let house = House::plain().await;
    let body = json!({"tenant": "shop", "queue": "support"}).to_string();
    for origin in TRICKS {
        let asked = [
            house.ask("POST", "/v1/token", &[("origin", origin), JSON], &body).await,
            house
                .ask("OPTIONS", "/v1/token", &[("origin", origin), ("access-control-request-method", "POST")], "")
                .await,
            house.ask("GET", "/v1/availability?tenant=shop&queue=support", &[("origin", origin)], "").await,
        ];
        for reply in asked {
            // Spaces around a header's value are no part of it (RFC 9110 §5.5), so " https://shop.fr" is the shop's.
            if origin.trim() == SHOP {
                assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
                continue;
            }
            assert_eq!((reply.status, reply.code().as_str()), (403, "origin-refused"), "{origin:?}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin:?}");
        }
        if origin.trim() != SHOP {
            let headers = [("origin", origin), ("sec-websocket-protocol", "passerelle.v1")];
            assert_eq!(house.socket("/v1/talk", &headers).await.err(), Some(403), "{origin:?}");
            assert_eq!(house.socket("/v1/agent", &headers).await.err(), Some(403), "{origin:?}");
        }
    }
    let tricks = TRICKS.len() - 1;
    assert_eq!(house.fake.count_of(WebCounter::Refused(Door::Talk, "origin-refused")), tricks);
    assert_eq!(house.fake.count_of(WebCounter::Refused(Door::Agent, "origin-refused")), tricks);
    house.close().await;
}

#[tokio::test]
async fn two_origins_or_none_are_refused() {
    let house = House::plain().await;
    let body = json!({"tenant": "shop", "queue": "support"}).to_string();
    let reply = house.ask("POST", "/v1/token", &[JSON], &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "origin-missing"));
    let twice = [("origin", SHOP), ("origin", "https://evil.fr"), JSON];
    let reply = house.ask("POST", "/v1/token", &twice, &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "origin-refused"));
    let protocol = ("sec-websocket-protocol", "passerelle.v1");
    assert_eq!(house.socket("/v1/talk", &[protocol]).await.err(), Some(403));
    assert_eq!(house.socket("/v1/talk", &[("origin", SHOP), ("origin", SHOP), protocol]).await.err(), Some(403));
    assert_eq!(house.socket("/v1/agent", &[protocol]).await.err(), Some(403));
    house.close().await;
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins() {
    let house = House::plain().await;
    for origin in [SHOP, "https://bank.fr"] {
        let reply = house.ask("OPTIONS", "/v1/token", &[("origin", origin)], "").await;
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("access-control-allow-methods"), Some("GET, POST, PATCH, DELETE"));
        assert_eq!(
            reply.header("access-control-allow-headers"),
            Some("content-type, accept-language, authorization, idempotency-key")
        );
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_is_only_for_the_tenants_own_origins_and_queues() {
    let house = House::plain().await;
    for (origin, tenant, queue, status, code) in [
        ("https://bank.fr", "shop", "support", 403, "origin-refused"),
        (SHOP, "bank", "support", 403, "origin-refused"),
        (SHOP, "nosuch", "support", 403, "origin-refused"),
        (SHOP, "shop", "nosuch", 404, "queue-unknown"),
        (SHOP, "shop", "+33899000000", 404, "queue-unknown"),
    ] {
        let reply = house.ask_token(origin, tenant, queue).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{origin} {tenant} {queue}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "its page may read why");
    }
    house.close().await;
}

#[tokio::test]
async fn requests_that_no_page_of_ours_makes_are_refused() {
    let house = House::plain().await;
    let good = r#"{"tenant":"shop","queue":"support"}"#;
    let large = format!(r#"{{"tenant":"shop","queue":"{}"}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"tenant":"shop","queue":"support","x":{}}}"#, "[".repeat(60_000));
    for (kind, body, status, code) in [
        ("application/x-www-form-urlencoded", "tenant=shop&queue=support", 415, "json-expected"),
        ("text/plain", good, 415, "json-expected"),
        ("text/plain; application/json", good, 415, "json-expected"),
        ("application/jsonx", good, 415, "json-expected"),
        ("application/json", "", 400, "request-invalid"),
        ("application/json", "{", 400, "request-invalid"),
        ("application/json", r#"{"tenant":"shop"}"#, 400, "request-invalid"),
        ("application/json", r#"{"tenant":1,"queue":2}"#, 400, "request-invalid"),
        ("application/json", &deep, 400, "request-invalid"),
        ("application/json", &large, 413, "too-big"),
    ] {
        let reply = house.ask("POST", "/v1/token", &[("origin", SHOP), ("content-type", kind)], body).await;
        let shown = body.chars().take(60).collect::<String>();
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{kind} {shown}");
        assert!(house.fake.count_of(WebCounter::Refused(Door::Token, code)) > 0, "{code} is not counted");
    }
    let good_kind = [("origin", SHOP), ("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(house.ask("POST", "/v1/token", &good_kind, good).await.status, 200);
    for (method, path, status) in [
        ("GET", "/v1/token", 405),
        ("DELETE", "/v1/token", 405),
        ("POST", "/v1/availability", 405),
        ("POST", "/agent/", 405),
        ("GET", "/v1/nosuch", 404),
        ("GET", "/agent/../../Cargo.toml", 404),
        ("GET", "/agent/%2e%2e/index.html", 404),
        ("GET", "/node_modules/typescript/package.json", 404),
    ] {
        let reply = house.ask(method, path, &[], "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(["not-here", "method-not-allowed"].contains(&reply.code().as_str()));
    }
    house.close().await;
}

#[tokio::test]
async fn asking_for_tokens_without_end_is_stopped_for_that_address_only() {
    let house = House::open(|config| config.limits.tokens_per_source = 3).await;
    let body = json!({"tenant": "shop", "queue": "support"}).to_string();
    let ask = async |from: &str| {
        let headers = [("origin", SHOP), JSON, ("x-forwarded-for", from)];
        house.ask("POST", "/v1/token", &headers, &body).await
    };
    for _ in 0..3 {
        assert_eq!(ask("192.0.2.1").await.status, 200);
    }
    let reply = ask("192.0.2.1").await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "too-many-tokens"));
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(ask("6.6.6.6, 192.0.2.1").await.status, 429, "what the client wrote itself is not believed");
    let lines = [("origin", SHOP), JSON, ("x-forwarded-for", "6.6.6.7"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(house.ask("POST", "/v1/token", &lines, &body).await.status, 429, "nor on a line of its own");
    assert_eq!(ask("192.0.2.2").await.status, 200);
    house.clock.advance(Duration::from_secs(180));
    assert_eq!(ask("192.0.2.1").await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn sentences_come_in_the_language_asked_for() {
    let house = House::plain().await;
    for (language, expected) in [
        ("fr-FR,fr;q=0.9,en;q=0.8", "Cette ligne n’existe pas."),
        ("en-GB", "This line does not exist."),
        ("de", "This line does not exist."),
    ] {
        let headers = [("accept-language", language)];
        let reply = house.ask("GET", "/v1/availability?tenant=shop&queue=nosuch", &headers, "").await;
        let problem = reply.json();
        assert_eq!(problem["sentence"], expected);
        assert_eq!((&problem["title"], &problem["status"]), (&json!("Not Found"), &json!(404)));
    }
    house.close().await;
}

#[tokio::test]
async fn availability_says_whether_to_offer_a_talk() {
    let house = House::plain().await;
    let path = |queue: &str| format!("/v1/availability?tenant=shop&queue={queue}");
    let reply = house.ask("GET", &path("support"), &[("origin", SHOP)], "").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, r#"{"talk_now":true,"callback":true,"callback_now":false,"email":true}"#)
    );
    assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
    let reply = house.get(&path("nobody")).await;
    assert_eq!((&reply.json()["talk_now"], &reply.json()["reason"]), (&json!(false), &json!("no-agent")));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let reply = house.get(&path("paused")).await.json();
    assert_eq!(reply["callback_reason"], "paused");
    assert_eq!(reply["callback_sentence"], crate::sentence("paused", crate::Lang::En));
    assert_eq!(house.get("/v1/availability").await.code(), "request-invalid");
    let reply = house.ask("GET", &path("support"), &[("origin", "https://bank.fr")], "").await;
    assert_eq!(reply.code(), "origin-refused");
    house.close().await;
}

#[tokio::test]
async fn an_operator_sees_health_and_metrics() {
    let house = House::plain().await;
    let reply = house.get("/healthz").await;
    let expected = json!({"ok": true, "checks": [{"name": "media", "ok": true, "detail": "probe heard"}]});
    assert_eq!((reply.status, reply.json()), (200, expected));
    assert_eq!(house.get("/readyz").await.status, 200);
    house.fake.ready.store(false, Ordering::Relaxed);
    assert_eq!(house.get("/readyz").await.status, 503);
    let reply = house.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(reply.body, "passerelle_calls_total 3\n");
    house.close().await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::plain().await;
    for path in ["/agent/", "/agent/agent.js", "/widget.js", "/healthz", "/v1/nosuch", "/v1/token"] {
        let reply = house.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert!(reply.header("permissions-policy").unwrap().starts_with("microphone=(self),"), "{path}");
        assert!(reply.header("referrer-policy").is_some(), "{path}");
        assert!(reply.header("vary").unwrap().starts_with("origin"), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn files_are_served_once_and_then_confirmed() {
    let house = House::plain().await;
    let reply = house.get("/agent/agent.js").await;
    assert_eq!(reply.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(reply.body, include_str!("../../assets/agent/agent.js"));
    let etag = reply.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
    for value in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let reply = house.ask("GET", "/agent/agent.js", &[("if-none-match", &value)], "").await;
        assert_eq!((reply.status, reply.body.as_str()), (304, ""), "{value}");
        assert_eq!(reply.header("etag"), Some(etag.as_str()));
    }
    assert_eq!(house.ask("GET", "/agent/agent.js", &[("if-none-match", "\"x\"")], "").await.status, 200);
    let head = house.ask("HEAD", "/agent/agent.js", &[], "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", Some(etag.as_str())));
    let packed = house.ask("GET", "/agent/agent.js", &[("accept-encoding", "gzip, br")], "").await;
    assert_eq!(
        (packed.header("content-encoding"), packed.header("vary")),
        (Some("gzip"), Some("origin, accept-encoding"))
    );
    assert_ne!(packed.header("etag"), Some(etag.as_str()), "another representation, another tag");
    assert_eq!(packed.unpacked(), include_str!("../../assets/agent/agent.js"));
    assert_eq!(house.get("/agent").await.header("location"), Some("/agent/"));
    house.close().await;
}

#[tokio::test]
async fn the_widget_loads_on_listed_sites_only() {
    let house = House::plain().await;
    let reply = house.ask("GET", "/widget.js", &[("origin", SHOP)], "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some(SHOP)));
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("cross-origin"));
    // A module script without this header is not run by the browser.
    let reply = house.ask("GET", "/widget.js", &[("origin", "https://evil.fr")], "").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let reply = house.ask("GET", "/agent/agent.js", &[("origin", SHOP)], "").await;
    assert_eq!(reply.header("access-control-allow-origin"), None, "the console is for nobody else");
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));
    house.close().await;
}

#[tokio::test]
async fn slow_requests_do_not_hold_a_connection() {
    let house = House::open(|config| {
        config.limits.header_limit = Duration::from_millis(200);
        config.limits.request_limit = Duration::from_millis(200);
    })
    .await;
    let reply = house.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(matches!(reply.status, 0 | 408), "{reply:?}");
    let body = format!(
        "POST /v1/token HTTP/1.1\r\nhost: x\r\norigin: {SHOP}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{{"
    );
    let reply = house.send(body.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (408, "timeout"));
    house.close().await;
}

#[tokio::test]
async fn connections_are_bounded_per_address() {
    let house = House::open(|config| {
        config.trusted_proxies.clear();
        config.limits.connections_per_source = 2;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        // One answered request shows that the edge has taken this connection in.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 4_096]).await.unwrap() > 0);
        held.push(stream);
    }
    let mut third = TcpStream::connect(house.address).await.unwrap();
    let ended = timeout(PATIENCE, third.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "the third is closed unheard");
    house.counted(WebCounter::Refused(Door::Page, "too-many-connections"), 1).await;
    held.clear();
    let again = async {
        while house.get("/healthz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    house.close().await;
}
