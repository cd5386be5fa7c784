//! A synthetic visitor's signalling: from the click until he talks, then until he has hung up. His sound is the media
//! thread's.

use std::net::IpAddr;
use std::time::Duration;

use sip_tests::crowd::{Door, Line, Offer};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::gateway::Net;
use crate::wire::{Command, Orders};

/// From the click to talking.
const TALK_LIMIT: Duration = Duration::from_secs(20);
/// From `bye` to ended.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A visitor who talks.
pub(crate) struct Talking {
    line: Line,
}

/// Clicks, offers and waits until the agent has answered.
pub(crate) async fn talk(call: usize, net: Net, orders: Orders) -> Result<Talking, String> {
    let door = Door { http: net.http(), from: IpAddr::V4(net.visitors()), tenant: "bench", queue: "bench" };
    let talking = async {
        let offer = Offer::make(door.from)?;
        let mut line = Line::ask(door, &format!("bench-{call}"), offer.sdp()).await?;
        let visitor = offer.answered(&line.answer().await?)?;
        orders.send(Command::Visitor { call, visitor });
        line.state("talking").await?;
        Ok(Talking { line })
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
            ended = self.line.ended() => return Err(format!("ended early: {}", ended?)),
        }
        self.line.bye().await?;
        let code = timeout(END_LIMIT, self.line.ended())
            .await
            .map_err(|_| format!("not ended {END_LIMIT:?} after the visitor hung up"))??;
        if code == "normal" { Ok(()) } else { Err(format!("ended as {code:?}, though the visitor hung up")) }
    }
}
