//! A synthetic visitor's signalling: token, WebSocket, offer by a foreign WebRTC stack, until he talks; then until he
//! has hung up. His sound is the media thread's.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::{Candidate, Rtc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::gateway::Net;
use crate::wire::{Command, Orders, Visitor};

/// From the click to talking.
const TALK_LIMIT: Duration = Duration::from_secs(20);
/// From `bye` to ended.
const END_LIMIT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TcpStream>;

/// A visitor who talks.
pub(crate) struct Talking {
    socket: Socket,
}

/// Clicks, offers and waits until the agent has answered.
pub(crate) async fn talk(call: usize, net: Net, orders: Orders) -> Result<Talking, String> {
    let talking = async {
        let token = token(net).await?;
        let mut socket = open(net).await?;
        let offer = Offer::make(net)?;
        let session = format!("bench-{call}");
        let page = json!({ "url": format!("{}/", net.origin()), "title": "Density" });
        let hello = json!({
            "type": "hello", "v": 1, "token": token, "offer": offer.sdp,
            "session": { "id": session, "page": page, "referrer": "", "lang": "en" },
        });
        socket.send(Message::text(hello.to_string())).await.map_err(|error| error.to_string())?;
        let answer = hear(&mut socket, |message| {
            (message["type"] == "answer").then(|| message["sdp"].as_str().map(str::to_owned))
        })
        .await?;
        let visitor = offer.answered(&answer.ok_or("an answer without SDP")?)?;
        orders.send(Command::Visitor { call, visitor });
        hear(&mut socket, |message| (message["type"] == "state" && message["state"] == "talking").then_some(()))
            .await?;
        Ok(Talking { socket })
    };
    timeout(TALK_LIMIT, talking)
        .await
        .map_err(|_| format!("call {call} is not answered after {TALK_LIMIT:?}"))?
        .map_err(|error: String| format!("call {call}: {error}"))
}

impl Talking {
    /// Keeps the socket alive until `over` changes, then hangs up.
    pub(crate) async fn until(mut self, mut over: watch::Receiver<bool>) -> Result<(), String> {
        tokio::select! {
            _ = over.changed() => {}
            // Reading answers pings; an end that nobody asked for is an error.
            ended = hear(&mut self.socket, |message| (message["type"] == "ended").then(|| message.to_string())) => {
                return Err(format!("ended early: {}", ended?));
            }
        }
        self.socket.send(Message::text(r#"{"type":"bye"}"#)).await.map_err(|error| error.to_string())?;
        let ended = hear(&mut self.socket, |message| (message["type"] == "ended").then(|| message["code"] == "normal"));
        match timeout(END_LIMIT, ended).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("ended for another reason than the visitor's".to_owned()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("not ended {END_LIMIT:?} after the visitor hung up")),
        }
    }
}

/// Reads until `wanted` says what it was waiting for.
async fn hear<T>(socket: &mut Socket, wanted: impl Fn(&Value) -> Option<T>) -> Result<T, String> {
    while let Some(message) = socket.next().await {
        let Ok(text) = message.map_err(|error| error.to_string())?.into_text() else { continue };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
        if let Some(found) = wanted(&message) {
            return Ok(found);
        }
        if message["type"] == "error" || message["type"] == "ended" {
            return Err(format!("the gateway says {message}"));
        }
    }
    Err("the gateway closed the socket".to_owned())
}

async fn connect(net: Net) -> Result<TcpStream, String> {
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    socket.bind(SocketAddr::from((net.visitors(), 0))).map_err(|error| error.to_string())?;
    socket.connect(net.http()).await.map_err(|error| error.to_string())
}

async fn token(net: Net) -> Result<String, String> {
    let mut stream = connect(net).await?;
    let body = r#"{"tenant":"bench","queue":"bench"}"#;
    let request = format!(
        "POST /v1/token HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        net.http(),
        net.origin(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    let value: Option<Value> = answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
    value
        .as_ref()
        .and_then(|value| value["token"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("no token: {answer}"))
}

async fn open(net: Net) -> Result<Socket, String> {
    let mut request =
        format!("ws://{}/v1/talk", net.http()).into_client_request().map_err(|error| error.to_string())?;
    let origin = HeaderValue::from_str(&net.origin()).map_err(|error| error.to_string())?;
    request.headers_mut().insert("Origin", origin);
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("passerelle.v1"));
    let stream = connect(net).await?;
    let (socket, _) =
        tokio_tungstenite::client_async(request, stream).await.map_err(|error| format!("/v1/talk: {error}"))?;
    Ok(socket)
}

/// An offer under way.
struct Offer {
    rtc: Box<Rtc>,
    mid: Mid,
    pending: SdpPendingOffer,
    sdp: String,
    socket: UdpSocket,
}

impl Offer {
    fn make(net: Net) -> Result<Self, String> {
        let socket = UdpSocket::bind((net.visitors(), 0)).map_err(|error| error.to_string())?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        // RTP mode: packets as they are, no buffer of the stack's between the wire and the clock.
        let mut rtc = Box::new(Rtc::builder().set_rtp_mode(true).build(Instant::now()));
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(|error| error.to_string())?);
        let mut change = rtc.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().ok_or("nothing to offer")?;
        let sdp = offer.to_sdp_string();
        Ok(Self { rtc, mid, pending, sdp, socket })
    }

    fn answered(mut self, answer: &str) -> Result<Visitor, String> {
        let opus = answer.lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" opus/48000/2"));
        let payload_type = opus.and_then(|number| number.parse().ok()).ok_or("no Opus in the answer")?;
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| error.to_string())?;
        self.rtc.sdp_api().accept_answer(self.pending, answer).map_err(|error| error.to_string())?;
        Ok(Visitor { rtc: self.rtc, mid: self.mid, payload_type, socket: self.socket })
    }
}
