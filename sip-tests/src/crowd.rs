//! Visitors without a browser, by the hundred: the page's protocol as it is written, their WebRTC a foreign stack's.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// One Opus frame of 20 ms silence (RFC 6716 §3.1: CELT, full band).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
const FRAME: Duration = Duration::from_millis(20);

/// Where they come in.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// The gateway's pages.
    pub http: SocketAddr,
    /// Their own address.
    pub from: IpAddr,
    /// Whose page it is.
    pub tenant: &'a str,
    /// Which queue it leads to.
    pub queue: &'a str,
}

impl Door<'_> {
    /// The origin of the page: the gateway's own.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.http)
    }
}

/// Prepares the foreign stack's cryptography; once a process is enough, more does no harm.
pub fn prepare() {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
}

/// A visitor's signalling. Dropped, it is a closed tab.
pub struct Line {
    socket: WebSocketStream<TcpStream>,
}

/// A visitor's sound, its offer answered.
pub struct Peer {
    /// The foreign stack.
    pub rtc: Box<Rtc>,
    /// Its one medium.
    pub mid: Mid,
    /// Opus in the answer.
    pub payload_type: u8,
    /// Its socket.
    pub socket: UdpSocket,
}

/// An offer under way.
pub struct Offer {
    rtc: Box<Rtc>,
    mid: Mid,
    pending: SdpPendingOffer,
    sdp: String,
    socket: UdpSocket,
}

impl Offer {
    /// Offers one stream of sound at one host candidate.
    ///
    /// # Errors
    /// When the system has no socket left.
    pub fn make(from: IpAddr) -> Result<Self, String> {
        let socket = UdpSocket::bind((from, 0)).map_err(|error| error.to_string())?;
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

    /// The offer's SDP.
    #[must_use]
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// When it is not one to this offer.
    pub fn answered(mut self, answer: &str) -> Result<Peer, String> {
        let opus = answer.lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" opus/48000/2"));
        let payload_type = opus.and_then(|number| number.parse().ok()).ok_or("no Opus in the answer")?;
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| error.to_string())?;
        self.rtc.sdp_api().accept_answer(self.pending, answer).map_err(|error| error.to_string())?;
        Ok(Peer { rtc: self.rtc, mid: self.mid, payload_type, socket: self.socket })
    }
}

impl Line {
    /// Clicks: a token, a socket, and the first message with this offer.
    ///
    /// # Errors
    /// With what the gateway said.
    pub async fn ask(door: Door<'_>, session: &str, offer: &str) -> Result<Self, String> {
        let token = token(door).await?;
        let mut line = Self { socket: open(door).await? };
        let page = json!({ "url": format!("{}/", door.origin()), "title": "Crowd" });
        let hello = json!({
            "type": "hello", "v": 1, "token": token, "offer": offer,
            "session": { "id": session, "page": page, "referrer": "", "lang": "en" },
        });
        line.say(&hello).await?;
        Ok(line)
    }

    /// Waits for the answer's SDP.
    ///
    /// # Errors
    /// When the call ends first.
    pub async fn answer(&mut self) -> Result<String, String> {
        let sdp = |message: &Value| (message["type"] == "answer").then(|| message["sdp"].as_str().map(str::to_owned));
        self.hear(sdp).await?.ok_or_else(|| "an answer without SDP".to_owned())
    }

    /// Waits for this state.
    ///
    /// # Errors
    /// When the call ends first.
    pub async fn state(&mut self, state: &str) -> Result<(), String> {
        self.hear(|message| (message["type"] == "state" && message["state"] == state).then_some(())).await
    }

    /// Waits for the end; gives its code. Meanwhile pings are answered.
    ///
    /// # Errors
    /// When the socket is closed without a word.
    pub async fn ended(&mut self) -> Result<String, String> {
        let code = |message: &Value| {
            let over = message["type"] == "ended" || message["type"] == "error";
            over.then(|| message["code"].as_str().unwrap_or_default().to_owned())
        };
        self.hear(code).await
    }

    /// Hangs up.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn bye(&mut self) -> Result<(), String> {
        self.say(&json!({ "type": "bye" })).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), String> {
        self.socket.send(Message::text(message.to_string())).await.map_err(|error| error.to_string())
    }

    /// Reads until `wanted` says what it was waiting for.
    async fn hear<T>(&mut self, wanted: impl Fn(&Value) -> Option<T>) -> Result<T, String> {
        while let Some(message) = self.socket.next().await {
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
}

/// A visitor's sound, running: silence out, packets in counted. Dropped, it stops without a word.
pub struct Sound {
    task: JoinHandle<()>,
    heard: Arc<AtomicU64>,
}

impl Sound {
    /// Runs it on the current runtime.
    #[must_use]
    pub fn start(peer: Peer) -> Self {
        let heard = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            // Its end is seen in what was heard.
            drop(drive(peer, &counts).await);
        });
        Self { task, heard }
    }

    /// Packets of sound that came in.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(peer: Peer, heard: &AtomicU64) -> Result<(), String> {
    let Peer { mut rtc, mid, payload_type, socket } = peer;
    socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    let local = socket.local_addr().map_err(|error| error.to_string())?;
    let socket = tokio::net::UdpSocket::from_std(socket).map_err(|error| error.to_string())?;
    let mut frames = tokio::time::interval(FRAME);
    let mut number = 0_u64;
    let mut buffer = [0; 2_048];
    loop {
        let wake = loop {
            match rtc.poll_output().map_err(|error| error.to_string())? {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => {
                    // A packet the system does not take is a packet lost.
                    let _sent = socket.send_to(&transmit.contents, transmit.destination).await;
                }
                Output::Event(Event::RtpPacket(_)) => {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                Output::Event(_) => {}
            }
        };
        let input = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, source)) => {
                    let receive = Receive::new(Protocol::Udp, source, local, &buffer[..length]);
                    Input::Receive(Instant::now(), receive.map_err(|error| error.to_string())?)
                }
                Err(_) => Input::Timeout(Instant::now()),
            },
            () = tokio::time::sleep_until(wake.into()) => Input::Timeout(Instant::now()),
            _ = frames.tick() => Input::Timeout(Instant::now()),
        };
        let due = matches!(input, Input::Timeout(_)) && rtc.is_connected();
        rtc.handle_input(input).map_err(|error| error.to_string())?;
        if due {
            let mut api = rtc.direct_api();
            let stream = api.stream_tx_by_mid(mid, None).ok_or("no stream")?;
            #[expect(clippy::cast_possible_truncation, reason = "an RTP timestamp wraps")]
            let time = (number * 960) as u32;
            stream.write_rtp(RtpWrite::new(payload_type.into(), number.into(), time, Instant::now(), &SILENCE[..]));
            number += 1;
        }
    }
}

async fn connect(door: Door<'_>) -> Result<TcpStream, String> {
    let socket = if door.from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| error.to_string())?;
    socket.bind(SocketAddr::new(door.from, 0)).map_err(|error| error.to_string())?;
    socket.connect(door.http).await.map_err(|error| error.to_string())
}

async fn token(door: Door<'_>) -> Result<String, String> {
    let mut stream = connect(door).await?;
    let body = json!({ "tenant": door.tenant, "queue": door.queue }).to_string();
    let request = format!(
        "POST /v1/token HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        door.http,
        door.origin(),
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

async fn open(door: Door<'_>) -> Result<WebSocketStream<TcpStream>, String> {
    let mut request = format!("ws://{}/v1/talk", door.http).into_client_request().map_err(|error| error.to_string())?;
    let origin = HeaderValue::from_str(&door.origin()).map_err(|error| error.to_string())?;
    request.headers_mut().insert("Origin", origin);
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("passerelle.v1"));
    let stream = connect(door).await?;
    let (socket, _) =
        tokio_tungstenite::client_async(request, stream).await.map_err(|error| format!("/v1/talk: {error}"))?;
    Ok(socket)
}
