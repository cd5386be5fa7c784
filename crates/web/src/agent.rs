//! WebSocket `/v1/agent`: an agent's console, from login to leaving.

use std::sync::Arc;

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use tokio::time::timeout;

use crate::{
    AgentLogin, AgentSession, AgentUpdate, Door, Lang, Refusal, WebCounter,
    edge::{Asked, Caller, Edge, SocketGuard},
    line::{Gone, Heard, Line},
    protocol::{AgentMessage, AgentReply, CardJson, SUBPROTOCOL},
    refusal, sentence,
    talk::{admit_stranger, bounded},
    throttle::Stranger,
};

const DOOR: Door = Door::Agent;

/// The handshake: only our own pages may open an agent's socket.
pub(crate) async fn agent(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match admit(&edge, &caller, upgrade) {
        Ok((upgrade, guard, stranger)) => {
            let lang = caller.lang;
            let seat = Seat { edge, caller, lang };
            upgrade.on_upgrade(|socket| async move {
                let line = Line::new(socket, DOOR, Arc::clone(&seat.edge));
                seat.run(line, stranger).await;
                drop(guard);
            })
        }
        Err(refusal) => edge.refuse(DOOR, refusal, caller.lang),
    }
}

fn admit(
    edge: &Arc<Edge>,
    caller: &Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, SocketGuard, Stranger), Refusal> {
    match &caller.origin {
        Asked::Missing => return Err(refusal::ORIGIN_MISSING),
        Asked::From(origin) if edge.is_own(origin, caller.host.as_deref()) => {}
        Asked::From(_) | Asked::Bad => return Err(refusal::ORIGIN_REFUSED),
    }
    let upgrade = upgrade.map_err(|_| refusal::WEBSOCKET_EXPECTED)?.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(refusal::PROTOCOL_UNSUPPORTED);
    }
    let (guard, stranger) = admit_stranger(edge, caller, DOOR)?;
    Ok((bounded(upgrade, edge), guard, stranger))
}

struct Seat {
    edge: Arc<Edge>,
    caller: Caller,
    lang: Lang,
}

/// Why a socket ended before its agent was let in.
enum Early {
    Gone(Gone),
    No(Refusal),
}

impl Seat {
    async fn run(mut self, mut line: Line, stranger: Stranger) {
        let (extension, session) = match self.log_in(&mut line).await {
            Ok(pair) => pair,
            Err(Early::Gone(gone)) => return line.part(gone, |code| error(code, self.lang)).await,
            Err(Early::No(refusal)) => {
                self.edge.note_refusal(DOOR, refusal.code);
                if line.say(&error(refusal.code, self.lang)).await.is_ok() {
                    line.close(close_code::POLICY, refusal.code).await;
                }
                return;
            }
        };
        drop(stranger);
        self.edge.backend.count(WebCounter::SessionStarted(DOOR));
        tracing::debug!(extension, "an agent is at the console");
        let gone = self.work(&mut line, &extension, session).await;
        match gone {
            Left::Gone(gone) => line.part(gone, |code| error(code, self.lang)).await,
            Left::Stuck => {
                self.edge.note_refusal(DOOR, "bug");
                line.close(close_code::ERROR, "bug").await;
            }
            Left::Closing => line.close(close_code::AWAY, "shutdown").await,
        }
    }

    async fn log_in(&mut self, line: &mut Line) -> Result<(String, AgentSession), Early> {
        let late = Early::No(Refusal::new("hello-late", 408));
        let heard = timeout(self.edge.config.limits.hello_limit, line.hear()).await;
        let text = match heard.map_err(|_| late)? {
            Heard::Text(text) => text,
            Heard::Gone(gone) => return Err(Early::Gone(gone)),
        };
        let (extension, password, lang) = match AgentMessage::parse(&text) {
            Ok(AgentMessage::Hello { extension, password, lang }) => (extension, password, lang),
            Ok(AgentMessage::Request(_) | AgentMessage::Ping) => {
                return Err(Early::No(Refusal::new("hello-expected", 400)));
            }
            Err(fault) => return Err(Early::No(Refusal::new(fault.code(), 400))),
        };
        if !lang.is_empty() {
            self.lang = Lang::of(&lang);
        }
        // Before the password is looked at: a blocked source learns nothing from a right guess.
        if self.edge.failures().is_blocked(self.caller.key, self.edge.now()) {
            return Err(Early::No(Refusal::new("login-blocked", 429)));
        }
        let login = AgentLogin { extension: extension.clone(), password, source: self.caller.source };
        let backend = Arc::clone(&self.edge.backend);
        // On its own task for the same reasons as a visitor's call.
        let answer = tokio::spawn(async move { backend.agent(login).await });
        let answered = timeout(self.edge.config.limits.request_limit, answer).await;
        let answered = answered.map_err(|_| Early::No(Refusal::new("timeout", 408)))?;
        match answered.unwrap_or(Err(Refusal::new("bug", 500))) {
            Ok(session) => {
                self.edge.failures().forgive(self.caller.key);
                Ok((extension, session))
            }
            Err(refusal) => {
                if refusal.code == "login-refused" {
                    self.edge.failures().note(self.caller.key, self.edge.now());
                }
                Err(Early::No(refusal))
            }
        }
    }

    async fn work(&self, line: &mut Line, extension: &str, mut session: AgentSession) -> Left {
        if let Err(gone) = line.say(&AgentReply::Welcome { name: &session.name, extension }).await {
            return Left::Gone(gone);
        }
        loop {
            let sent = tokio::select! {
                heard = line.hear() => match heard {
                    Heard::Gone(gone) => return Left::Gone(gone),
                    Heard::Text(text) => match AgentMessage::parse(&text) {
                        Ok(AgentMessage::Ping) => line.say(&AgentReply::Pong).await,
                        Ok(AgentMessage::Hello { .. }) => self.mistake("hello-again", None, line).await,
                        Ok(AgentMessage::Request(request)) => {
                            let limit = self.edge.config.limits.send_limit;
                            match timeout(limit, session.requests.send(request)).await {
                                // A closed channel shows as the end of the updates.
                                Ok(Ok(()) | Err(_)) => Ok(()),
                                Err(_) => return Left::Stuck,
                            }
                        }
                        Err(fault) => self.mistake(fault.code(), None, line).await,
                    },
                },
                update = session.updates.recv() => match update {
                    Some(update) => self.tell(&update, line).await,
                    None => return Left::Closing,
                },
            };
            if let Err(gone) = sent {
                return Left::Gone(gone);
            }
        }
    }

    async fn mistake(&self, code: &'static str, call: Option<&str>, line: &mut Line) -> Result<(), Gone> {
        self.edge.note_refusal(DOOR, code);
        line.say(&AgentReply::Error { call, code, sentence: sentence(code, self.lang) }).await
    }

    async fn tell(&self, update: &AgentUpdate, line: &mut Line) -> Result<(), Gone> {
        let reply = match update {
            AgentUpdate::Live(cards) => AgentReply::Live {
                now_ms: self.edge.config.clock.unix_ms(),
                calls: cards.iter().map(CardJson::of).collect(),
            },
            AgentUpdate::Ring(card) => AgentReply::Ring { call: &card.call, card: CardJson::of(card) },
            AgentUpdate::Media { call, sdp } => AgentReply::Media { call, sdp },
            AgentUpdate::Digit { call, digit } => AgentReply::Digit { call, digit: *digit },
            AgentUpdate::Ready(on) => AgentReply::Ready { on: *on },
            AgentUpdate::Away(on) => AgentReply::Away { on: *on },
            AgentUpdate::Refused { call, refusal } => {
                return self.mistake(refusal.code, call.as_deref(), line).await;
            }
            AgentUpdate::Ended { call, code } => AgentReply::Ended { call, code, sentence: sentence(code, self.lang) },
        };
        line.say(&reply).await
    }
}

/// Why a console is left.
enum Left {
    /// The page is gone.
    Gone(Gone),
    /// The gateway does not take what the agent says.
    Stuck,
    /// The gateway closed the session.
    Closing,
}

fn error(code: &'static str, lang: Lang) -> AgentReply<'static> {
    AgentReply::Error { call: None, code, sentence: sentence(code, lang) }
}
