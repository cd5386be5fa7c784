//! One WebSocket: pace, size, life and orderly closing, the same for visitors and agents.

use std::{sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use crate::{Door, WebLimits, edge::Edge, throttle::Bucket};

/// After our close frame the peer gets this long to read it and close.
const LINGER: Duration = Duration::from_secs(1);

/// What came from the peer.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A text message within all limits.
    Text(Utf8Bytes),
    /// Nothing more will come.
    Gone(Gone),
}

/// Why a line ended. All but `Closed` and `Broken` are ours to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gone {
    /// The peer closed in order.
    Closed,
    /// The connection broke.
    Broken,
    /// Nothing was heard, not even a pong.
    Silent,
    /// The peer does not read what we send.
    SlowReader,
    /// A message above the limit.
    TooBig,
    /// A binary message or broken UTF-8.
    NotText,
    /// Too many messages.
    Flood,
}

impl Gone {
    /// The code to count, and to say while the socket may still be open.
    pub(crate) fn code(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Broken | Self::Silent => Some("socket-lost"),
            Self::SlowReader => Some("slow-reader"),
            Self::TooBig => Some("too-big"),
            Self::NotText => Some("text-only"),
            Self::Flood => Some("too-many-messages"),
        }
    }

    /// Close code (RFC 6455 §7.4.1), if it makes sense to send one.
    fn close_code(self) -> Option<u16> {
        match self {
            Self::Closed | Self::Broken | Self::Silent | Self::SlowReader => None,
            Self::TooBig => Some(close_code::SIZE),
            Self::NotText => Some(close_code::UNSUPPORTED),
            Self::Flood => Some(close_code::POLICY),
        }
    }
}

/// An open WebSocket.
pub(crate) struct Line {
    socket: WebSocket,
    door: Door,
    edge: Arc<Edge>,
    bucket: Bucket,
    last_heard: Instant,
    ping: Interval,
}

impl Line {
    pub(crate) fn new(socket: WebSocket, door: Door, edge: Arc<Edge>) -> Self {
        let now = Instant::now();
        let limits = &edge.config.limits;
        let bucket = Bucket::new(limits.messages_per_s, limits.message_burst, now.into_std());
        let mut ping = interval_at(now + limits.ping_every, limits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, door, bucket, last_heard: now, ping, edge }
    }

    fn limits(&self) -> &WebLimits {
        &self.edge.config.limits
    }

    /// The next text message. May be dropped at any await and called again.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            let dead_at = self.last_heard + self.limits().silence_limit;
            let frame = tokio::select! {
                frame = self.socket.recv() => frame,
                _ = self.ping.tick() => {
                    if let Err(gone) = self.put(Message::Ping(axum::body::Bytes::new())).await {
                        return Heard::Gone(gone);
                    }
                    continue;
                }
                () = sleep_until(dead_at) => return Heard::Gone(Gone::Silent),
            };
            let message = match frame {
                None => return Heard::Gone(Gone::Broken),
                Some(Err(error)) => return Heard::Gone(classify(error)),
                Some(Ok(message)) => message,
            };
            self.last_heard = Instant::now();
            // Pings and pongs count too: a flood of them costs the same.
            if !self.bucket.take(self.last_heard.into_std()) {
                return Heard::Gone(Gone::Flood);
            }
            match message {
                Message::Text(text) => return Heard::Text(text),
                Message::Binary(_) => return Heard::Gone(Gone::NotText),
                Message::Close(_) => return Heard::Gone(Gone::Closed),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    /// Sends one message.
    pub(crate) async fn say<T: Serialize>(&mut self, reply: &T) -> Result<(), Gone> {
        match serde_json::to_string(reply) {
            Ok(text) => self.put(Message::Text(text.into())).await,
            Err(error) => {
                tracing::error!(%error, "a reply cannot be written as JSON");
                Ok(())
            }
        }
    }

    async fn put(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(self.limits().send_limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone::Broken),
            Err(_) => Err(Gone::SlowReader),
        }
    }

    /// Counts why the peer is gone and closes; `last` tells the peer, where that can still be read.
    pub(crate) async fn part<T: Serialize>(mut self, gone: Gone, last: impl FnOnce(&'static str) -> T) {
        if let Some(code) = gone.code() {
            self.edge.note_refusal(self.door, code);
        }
        if let (Some(code), Some(close_code)) = (gone.code(), gone.close_code())
            && self.say(&last(code)).await.is_ok()
        {
            self.close(close_code, code).await;
        }
    }

    /// Closes in order: our close frame, then a moment for the peer to read what was sent before.
    pub(crate) async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        if self.put(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        let drain = async {
            while let Some(Ok(_)) = self.socket.recv().await {}
            if code == close_code::SIZE {
                // The rest of the large message stays unread, so dropping the socket now would reset the connection
                // and could take our last words from the peer.
                std::future::pending::<()>().await;
            }
        };
        // Either way the socket is dropped next.
        drop(timeout(LINGER, drain).await);
    }
}

/// Tells a message that is too big or not UTF-8 from a broken connection.
fn classify(error: axum::Error) -> Gone {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => Gone::TooBig,
        Some(tungstenite::Error::Utf8(_)) => Gone::NotText,
        Some(_) | None => Gone::Broken,
    }
}
