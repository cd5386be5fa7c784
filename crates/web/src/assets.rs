//! The pages and scripts in the binary: one table, served with a strong ETag and the headers each kind needs.

use std::{
    io::Write,
    sync::{Arc, LazyLock, OnceLock},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use flate2::{Compression, write::GzEncoder};

use crate::{
    Door, Refusal,
    api::readable_by,
    edge::{Asked, Edge, asked, lang_of},
};

/// Whom an asset is for; that decides its headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Loaded by the sites of tenants.
    Widget,
    /// The agents' console.
    Agent,
    /// The page on which a visitor follows his call-back.
    Callback,
    /// The description of the API, for programs.
    Api,
    /// The demo shop, served only when the demo is on.
    Demo,
}

#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    kind: Kind,
    bytes: &'static [u8],
    etag: u128,
    /// Packed at the first request that can take it; `None` where packing gains nothing.
    gzip: OnceLock<Option<Vec<u8>>>,
}

impl Asset {
    /// What is made once, when it is asked for first.
    pub(crate) fn made(path: &'static str, bytes: Vec<u8>) -> Self {
        let bytes: &'static [u8] = bytes.leak();
        Self { path, kind: Kind::Api, bytes, etag: fnv1a(bytes), gzip: OnceLock::new() }
    }

    fn packed(&self) -> Option<&[u8]> {
        self.gzip.get_or_init(|| pack(self.bytes)).as_deref()
    }
}

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < bytes.len())
}

/// One row a file: for whom, where it lies under `assets/`, and where it is served.
macro_rules! table {
    ($($kind:ident $path:literal at $url:literal,)*) => {
        LazyLock::new(|| vec![$({
            const BYTES: &[u8] = include_bytes!(concat!("../assets/", $path));
            Asset { path: $url, kind: Kind::$kind, bytes: BYTES, etag: fnv1a(BYTES), gzip: OnceLock::new() }
        },)*])
    };
}

#[rustfmt::skip]
static ASSETS: LazyLock<Vec<Asset>> = table![
    Agent "agent/index.html" at "/agent/",
    Agent "agent/agent.css" at "/agent/agent.css",
    Agent "agent/agent.js" at "/agent/agent.js",
    Agent "agent/backs.js" at "/agent/backs.js",
    Agent "agent/backs_form.js" at "/agent/backs_form.js",
    Agent "agent/board.js" at "/agent/board.js",
    Agent "agent/link.js" at "/agent/link.js",
    Agent "agent/mark.svg" at "/agent/mark.svg",
    Agent "agent/phone.js" at "/agent/phone.js",
    Agent "agent/staff.js" at "/agent/staff.js",
    Agent "agent/words.js" at "/agent/words.js",
    Callback "callback/callback.css" at "/callback/callback.css",
    Callback "callback/callback.js" at "/callback/callback.js",
    Callback "callback/follow.js" at "/callback/follow.js",
    Callback "callback/index.html" at "/callback/",
    Callback "callback/mark.svg" at "/callback/mark.svg",
    Callback "callback/told.js" at "/callback/told.js",
    Callback "callback/words.js" at "/callback/words.js",
    Widget "widget.js" at "/widget.js",
    Widget "widget/call.js" at "/widget/call.js",
    Widget "widget/callback.js" at "/widget/callback.js",
    Widget "widget/callback_style.js" at "/widget/callback_style.js",
    Widget "widget/callback_time.js" at "/widget/callback_time.js",
    Widget "widget/seat.js" at "/widget/seat.js",
    Widget "widget/callback_words.js" at "/widget/callback_words.js",
    Widget "widget/dom.js" at "/widget/dom.js",
    Widget "widget/hold.js" at "/widget/hold.js",
    Widget "widget/keypad.js" at "/widget/keypad.js",
    Widget "widget/labels.js" at "/widget/labels.js",
    Widget "widget/language.js" at "/widget/language.js",
    Widget "widget/level.js" at "/widget/level.js",
    Widget "widget/machine.js" at "/widget/machine.js",
    Widget "widget/microphone.js" at "/widget/microphone.js",
    Widget "widget/panel.js" at "/widget/panel.js",
    Widget "widget/peer.js" at "/widget/peer.js",
    Widget "widget/sentences.js" at "/widget/sentences.js",
    Widget "widget/proof.js" at "/widget/proof.js",
    Widget "widget/session.js" at "/widget/session.js",
    Widget "widget/signal.js" at "/widget/signal.js",
    Widget "widget/style.js" at "/widget/style.js",
    Widget "widget/talk.js" at "/widget/talk.js",
    Widget "widget/trouble.js" at "/widget/trouble.js",
    Widget "widget/view_call.js" at "/widget/view_call.js",
    Widget "widget/view_callback.js" at "/widget/view_callback.js",
    Widget "widget/view_over.js" at "/widget/view_over.js",
    Widget "widget/view_ready.js" at "/widget/view_ready.js",
    Widget "widget/when.js" at "/widget/when.js",
    Widget "widget/when_style.js" at "/widget/when_style.js",
    Widget "widget/words.js" at "/widget/words.js",
    Demo "demo/art/atelier.svg" at "/art/atelier.svg",
    Demo "demo/art/brume.svg" at "/art/brume.svg",
    Demo "demo/art/dune.svg" at "/art/dune.svg",
    Demo "demo/art/galet.svg" at "/art/galet.svg",
    Demo "demo/art/halo.svg" at "/art/halo.svg",
    Demo "demo/art/maree.svg" at "/art/maree.svg",
    Demo "demo/art/mark.svg" at "/art/mark.svg",
    Demo "demo/art/phare.svg" at "/art/phare.svg",
    Demo "demo/cart.html" at "/cart.html",
    Demo "demo/cart.js" at "/cart.js",
    Demo "demo/catalogue.js" at "/catalogue.js",
    Demo "demo/choice.js" at "/choice.js",
    Demo "demo/index.html" at "/",
    Demo "demo/language.js" at "/language.js",
    Demo "demo/order.html" at "/order.html",
    Demo "demo/product.html" at "/product.html",
    Demo "demo/shop.css" at "/shop.css",
    Demo "demo/shop.js" at "/shop.js",
];

/// What our own pages may do: their own scripts, styles and sockets, nothing inline, nobody's frame.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything no route took: an asset, or 404.
pub(crate) async fn serve(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let lang = lang_of(request.headers());
    let path = request.uri().path();
    if path == "/agent" {
        return Redirect::permanent("/agent/").into_response();
    }
    let Some(asset) = find(path, edge.config.demo) else {
        return edge.refuse(Door::Page, Refusal::new("not-here", 404), lang);
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return edge.refuse(Door::Page, Refusal::new("method-not-allowed", 405), lang);
    }
    let response = dress(asset, request.headers());
    match (asset.kind, asked(request.headers())) {
        // A module script is fetched with CORS, so this list is also the list of sites that can load the widget.
        (Kind::Widget, Asked::From(origin)) if edge.backend.origin_known(origin.as_str()) => {
            readable_by(&origin, response)
        }
        (Kind::Widget | Kind::Agent | Kind::Callback | Kind::Api | Kind::Demo, _) => response,
    }
}

fn find(path: &str, demo: bool) -> Option<&'static Asset> {
    // One page for every call-back: it reads from its own address which one it shows.
    let path = match path.strip_prefix("/callback/") {
        Some(id) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => "/callback/",
        Some(_) | None => path,
    };
    let is = |asset: &&Asset| {
        let named = asset.path == path || asset.path.strip_suffix(".html") == Some(path);
        named && (demo || asset.kind != Kind::Demo)
    };
    ASSETS.iter().find(is)
}

pub(crate) fn dress(asset: &'static Asset, asked: &HeaderMap) -> Response {
    let packed = asset.packed().filter(|_| takes_gzip(asked));
    // One strong tag a representation (RFC 9110 §8.8.3).
    let etag = format!("\"{:032x}{}\"", asset.etag, if packed.is_some() { "-gz" } else { "" });
    let matches = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        // RFC 9110 §13.1.2 compares weakly here.
        value.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag)
    });
    let mut response = match packed {
        _ if matches => StatusCode::NOT_MODIFIED.into_response(),
        Some(packed) => ([(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => asset.bytes.into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(asset.path)));
    headers.insert(header::VARY, HeaderValue::from_static("origin, accept-encoding"));
    // Always asked again, answered 304: scripts of two versions never mix.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    match asset.kind {
        Kind::Widget | Kind::Api => {
            headers.insert(policy, HeaderValue::from_static("cross-origin"));
        }
        Kind::Agent | Kind::Callback | Kind::Demo => {
            headers.insert(policy, HeaderValue::from_static("same-origin"));
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        }
    }
    if asset.kind == Kind::Demo {
        // The demo shop shows where a visitor came from, so its pages tell each other.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    }
    response
}

/// Whether `Accept-Encoding` names gzip and does not rule it out (RFC 9110 §12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let value = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|part| {
        let (coding, quality) = part.split_once(';').unwrap_or((part, "q=1"));
        let quality = quality.trim().strip_prefix("q=").and_then(|text| text.trim().parse::<f32>().ok());
        coding.trim().eq_ignore_ascii_case("gzip") && quality.is_some_and(|quality| quality > 0.0)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("json") => "application/json",
        Some(_) | None => "text/html; charset=utf-8",
    }
}

/// FNV-1a, 128 bits: tells versions of our own files apart. Nobody chooses their content against us.
const fn fnv1a(bytes: &[u8]) -> u128 {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u128).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn files(folder: &Path, url: &str, into: &mut BTreeSet<String>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            let name = format!("{url}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path(), &name, into);
            } else {
                into.insert(name);
            }
        }
    }

    #[test]
    fn every_page_and_script_is_in_the_table() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut expected = BTreeSet::from(["/widget.js".to_owned()]);
        files(&assets.join("agent"), "/agent", &mut expected);
        files(&assets.join("callback"), "/callback", &mut expected);
        files(&assets.join("widget"), "/widget", &mut expected);
        files(&assets.join("demo"), "", &mut expected);
        let file = |asset: &Asset| match asset.path.strip_suffix('/') {
            Some(folder) => format!("{folder}/index.html"),
            None => asset.path.to_owned(),
        };
        let served: BTreeSet<String> = ASSETS.iter().map(file).collect();
        assert_eq!(served, expected, "add or remove a row of the table in assets.rs");
        assert_eq!(served.len(), ASSETS.len(), "a path stands twice");
    }

    #[test]
    fn an_etag_changes_with_the_bytes() {
        // Vectors of the FNV reference code.
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        let etags: BTreeSet<u128> = ASSETS.iter().map(|asset| asset.etag).collect();
        assert_eq!(etags.len(), ASSETS.len());
    }

    #[test]
    fn gzip_is_given_to_those_who_take_it() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=x", false),
            ("identity", false),
            ("xgzip", false),
            ("", false),
        ] {
            let asked = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(takes_gzip(&asked), expected, "{value:?}");
        }
    }

    #[test]
    fn the_loader_is_at_most_ten_kilobytes_packed() {
        let loader = find("/widget.js", false).unwrap().packed().unwrap().len();
        assert!(loader <= 10_240, "{loader} bytes");
    }

    #[test]
    fn the_demo_is_served_only_when_it_is_on() {
        assert!(find("/agent/", false).is_some());
        assert!(find("/agent/../agent/", true).is_none());
        assert!(find("/agent/agent", true).is_none(), "only pages may leave out their ending");
        assert_eq!(find("/callback/cb-7d1f", false).unwrap().path, "/callback/");
        assert_eq!(find("/callback/callback.js", false).unwrap().path, "/callback/callback.js");
        assert!(find("/callback/cb-7d1f/", false).is_none() && find("/callback/none.js", false).is_none());
        for asset in ASSETS.iter().filter(|asset| asset.kind == Kind::Demo) {
            assert!(find(asset.path, true).is_some() && find(asset.path, false).is_none(), "{}", asset.path);
        }
    }
}
