//! WebSocket `/v1/talk`: a visitor's call, from hello to ended.

use std::sync::Arc;

use axum::{
    extract::{
        State,
        ws::{Utf8Bytes, WebSocketUpgrade, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    Door, Lang, Refusal, TalkSession, TalkStart, VisitorRequest, VisitorUpdate, WebCounter,
    api::known,
    edge::{Caller, Edge, SocketGuard},
    line::{Gone, Heard, Line},
    origin::Origin,
    protocol::{Fault, SUBPROTOCOL, VisitorHello, VisitorMessage, VisitorReply},
    refusal, sentence,
    throttle::Stranger,
    token::{Grant, RedeemError},
};

const DOOR: Door = Door::Talk;

/// Messages kept while the call is being started.
const EARLY_MESSAGES: usize = 16;

/// The handshake: origin, subprotocol and room are checked before a socket exists.
pub(crate) async fn talk(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match admit(&edge, &caller, upgrade) {
        Ok((upgrade, origin, guard, stranger)) => {
            let visit = Visit { edge, caller, origin };
            upgrade.on_upgrade(|socket| async move {
                let line = Line::new(socket, DOOR, Arc::clone(&visit.edge));
                visit.run(line, stranger).await;
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
) -> Result<(WebSocketUpgrade, Origin, SocketGuard, Stranger), Refusal> {
    let origin = known(edge, caller)?;
    let upgrade = upgrade.map_err(|_| refusal::WEBSOCKET_EXPECTED)?.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(refusal::PROTOCOL_UNSUPPORTED);
    }
    let (guard, stranger) = admit_stranger(edge, caller, DOOR)?;
    Ok((bounded(upgrade, edge), origin, guard, stranger))
}

/// A place for a socket whose hello is still to come.
pub(crate) fn admit_stranger(
    edge: &Arc<Edge>,
    caller: &Caller,
    door: Door,
) -> Result<(SocketGuard, Stranger), Refusal> {
    let limit = edge.config.limits.strangers_per_source;
    let crowd = refusal::TOO_MANY_SOCKETS;
    let stranger = edge.strangers.admit(caller.key, limit).ok_or(crowd)?;
    let guard = edge.admit_socket(door).ok_or(refusal::SOCKETS_FULL)?;
    Ok((guard, stranger))
}

/// The same bounds for every WebSocket.
pub(crate) fn bounded(upgrade: WebSocketUpgrade, edge: &Edge) -> WebSocketUpgrade {
    let bytes = edge.config.limits.message_bytes;
    upgrade.max_message_size(bytes).max_frame_size(bytes)
}

struct Visit {
    edge: Arc<Edge>,
    caller: Caller,
    origin: Origin,
}

impl Visit {
    async fn run(&self, mut line: Line, stranger: Stranger) {
        let hello = match self.hello(&mut line).await {
            Ok(hello) => hello,
            Err(Early::Gone(gone)) => return line.part(gone, |code| error(code, self.caller.lang)).await,
            Err(Early::No(code)) => return self.turn_away(line, code, self.caller.lang).await,
        };
        let lang = if hello.session.lang.is_empty() { self.caller.lang } else { Lang::of(&hello.session.lang) };
        let (session, early) = match self.begin(*hello, &mut line).await {
            Ok(begun) => begun,
            Err(Early::Gone(gone)) => return line.part(gone, |code| error(code, lang)).await,
            Err(Early::No(code)) => return self.turn_away(line, code, lang).await,
        };
        drop(stranger);
        self.edge.backend.count(WebCounter::SessionStarted(DOOR));
        tracing::debug!(call = session.call, "a visitor talks");
        Conversation { edge: &self.edge, lang, bye_at: None }.run(line, session, early).await;
    }

    async fn hello(&self, line: &mut Line) -> Result<Box<VisitorHello>, Early> {
        let heard = timeout(self.edge.config.limits.hello_limit, line.hear()).await;
        let text = match heard.map_err(|_| Early::No("hello-late"))? {
            Heard::Text(text) => text,
            Heard::Gone(gone) => return Err(Early::Gone(gone)),
        };
        match VisitorMessage::parse(&text) {
            Ok(VisitorMessage::Hello(hello)) => Ok(hello),
            Ok(
                VisitorMessage::Reoffer(_)
                | VisitorMessage::Digits(_)
                | VisitorMessage::Mute(_)
                | VisitorMessage::Page { .. }
                | VisitorMessage::Bye
                | VisitorMessage::Ping,
            ) => Err(Early::No("hello-expected")),
            Err(fault) => Err(Early::No(fault.code())),
        }
    }

    /// Asks for the call while listening: a page that leaves meanwhile is noticed, what it says is kept for the call.
    async fn begin(&self, hello: VisitorHello, line: &mut Line) -> Result<(TalkSession, Vec<Utf8Bytes>), Early> {
        let start = self.spend(hello).map_err(|refusal| Early::No(refusal.code))?;
        let backend = Arc::clone(&self.edge.backend);
        // On its own task, so that it always runs to its end, and so that a panic in there is a refusal here.
        let mut started = tokio::spawn(async move { backend.talk(start).await });
        let mut early = Vec::new();
        let late = sleep_until(Instant::now() + self.edge.config.limits.request_limit);
        tokio::pin!(late);
        loop {
            tokio::select! {
                started = &mut started => {
                    let session = started.unwrap_or(Err(Refusal::new("bug", 500)));
                    return session.map(|session| (session, early)).map_err(|refusal| Early::No(refusal.code));
                }
                heard = line.hear() => match heard {
                    Heard::Text(text) if early.len() < EARLY_MESSAGES => early.push(text),
                    Heard::Text(_) => return Err(Early::Gone(Gone::Flood)),
                    Heard::Gone(gone) => return Err(Early::Gone(gone)),
                },
                () = &mut late => return Err(Early::No("timeout")),
            }
        }
    }

    /// Spends the token.
    fn spend(&self, hello: VisitorHello) -> Result<TalkStart, Refusal> {
        let grant = redeemed(&self.edge, &hello.token, &self.origin)?;
        Ok(TalkStart {
            tenant: grant.tenant,
            queue: grant.queue,
            origin: grant.origin,
            source: self.caller.source,
            session: hello.session,
            offer: hello.offer,
        })
    }

    async fn turn_away(&self, mut line: Line, code: &'static str, lang: Lang) {
        self.edge.note_refusal(DOOR, code);
        if line.say(&error(code, lang)).await.is_ok() {
            line.close(close_code::POLICY, code).await;
        }
    }
}

/// Spends a token; it is not good a second time.
pub(crate) fn redeemed(edge: &Edge, token: &str, origin: &Origin) -> Result<Grant, Refusal> {
    let redeemed = edge.tokens().redeem(token, origin.as_str(), edge.now());
    let grant = redeemed.map_err(|why| match why {
        RedeemError::Unknown => refusal::TOKEN_UNKNOWN,
        RedeemError::Used => refusal::TOKEN_USED,
        RedeemError::Expired => refusal::TOKEN_EXPIRED,
        RedeemError::Origin => refusal::TOKEN_ORIGIN,
    })?;
    // The list may have changed since the token was made.
    if edge.backend.origin_allowed(&grant.tenant, origin.as_str()) { Ok(grant) } else { Err(refusal::ORIGIN_REFUSED) }
}

/// Why a socket ended before its call began.
enum Early {
    Gone(Gone),
    No(&'static str),
}

fn error(code: &'static str, lang: Lang) -> VisitorReply<'static> {
    VisitorReply::Error { code, sentence: sentence(code, lang) }
}

/// A visitor's call while its socket lives. Returning drops the session's sender, which says "socket lost".
struct Conversation<'a> {
    edge: &'a Edge,
    lang: Lang,
    /// After a `bye`: the end must be confirmed by then.
    bye_at: Option<Instant>,
}

/// What the loop does next.
enum Next {
    Go,
    /// The call is over and said so.
    Over,
    /// The page is gone.
    Gone(Gone),
    /// The call does not take what the page says.
    Stuck,
}

impl Conversation<'_> {
    async fn run(mut self, mut line: Line, mut session: TalkSession, early: Vec<Utf8Bytes>) {
        let answer = VisitorReply::Answer { call: &session.call, sdp: &session.answer };
        let mut next = said(line.say(&answer).await);
        for text in early {
            if matches!(next, Next::Go) {
                next = self.heard(&text, &mut line, &session).await;
            }
        }
        loop {
            match next {
                Next::Go => {}
                Next::Over => return line.close(close_code::NORMAL, "ended").await,
                Next::Gone(gone) => return line.part(gone, |code| error(code, self.lang)).await,
                Next::Stuck => {
                    self.edge.note_refusal(DOOR, "bug");
                    if line.say(&self.ended("bug", 0)).await.is_ok() {
                        line.close(close_code::ERROR, "bug").await;
                    }
                    return;
                }
            }
            let bye_at = self.bye_at;
            let bye_over = async {
                match bye_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            next = tokio::select! {
                heard = line.hear() => match heard {
                    Heard::Text(text) => self.heard(&text, &mut line, &session).await,
                    Heard::Gone(gone) => Next::Gone(gone),
                },
                update = session.updates.recv() => match update {
                    Some(update) => self.tell(update, &mut line).await,
                    // The call task is gone without a word.
                    None => Next::Stuck,
                },
                () = bye_over => Next::Stuck,
            };
        }
    }

    async fn heard(&mut self, text: &str, line: &mut Line, session: &TalkSession) -> Next {
        let request = match VisitorMessage::parse(text) {
            Ok(VisitorMessage::Ping) => return said(line.say(&VisitorReply::Pong).await),
            Ok(VisitorMessage::Hello(_)) => return self.mistake("hello-again", line).await,
            Ok(VisitorMessage::Reoffer(sdp)) => VisitorRequest::Reoffer(sdp),
            Ok(VisitorMessage::Digits(digits)) => VisitorRequest::Digits(digits),
            Ok(VisitorMessage::Mute(on)) => VisitorRequest::Mute(on),
            Ok(VisitorMessage::Page { url, title }) => VisitorRequest::Page { url, title },
            Ok(VisitorMessage::Bye) => {
                let limit = self.edge.config.limits.bye_limit;
                self.bye_at.get_or_insert_with(|| Instant::now() + limit);
                VisitorRequest::Bye
            }
            Err(fault) => return self.fault(fault, line).await,
        };
        match timeout(self.edge.config.limits.send_limit, session.requests.send(request)).await {
            Ok(Ok(())) => Next::Go,
            // The call has ended meanwhile; its last update is on the way.
            Ok(Err(_)) => Next::Go,
            Err(_) => Next::Stuck,
        }
    }

    /// A message we cannot use does not cost the visitor his call.
    async fn fault(&self, fault: Fault, line: &mut Line) -> Next {
        self.mistake(fault.code(), line).await
    }

    async fn mistake(&self, code: &'static str, line: &mut Line) -> Next {
        self.edge.note_refusal(DOOR, code);
        said(line.say(&error(code, self.lang)).await)
    }

    async fn tell(&self, update: VisitorUpdate, line: &mut Line) -> Next {
        let sent = match update {
            VisitorUpdate::Reanswer(sdp) => line.say(&VisitorReply::Reanswer { sdp: &sdp }).await,
            VisitorUpdate::State { state, agent } => {
                line.say(&VisitorReply::State { state: state.word(), agent: agent.as_deref() }).await
            }
            VisitorUpdate::Digit(digit) => line.say(&VisitorReply::Digit { digit }).await,
            VisitorUpdate::Refused(refusal) => return self.mistake(refusal.code, line).await,
            VisitorUpdate::Ended { code, talk_s } => {
                let sent = line.say(&self.ended(code, talk_s)).await;
                return sent.map_or_else(Next::Gone, |()| Next::Over);
            }
        };
        said(sent)
    }

    fn ended(&self, code: &'static str, talk_s: u64) -> VisitorReply<'static> {
        VisitorReply::Ended { code, sentence: sentence(code, self.lang), talk_s }
    }
}

fn said(sent: Result<(), Gone>) -> Next {
    sent.map_or_else(Next::Gone, |()| Next::Go)
}
