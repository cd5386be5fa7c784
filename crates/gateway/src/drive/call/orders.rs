//! What a call orders, carried out: legs invited, answered and ended, the bridge led.

use std::net::IpAddr;
use std::time::Duration;

use call::{BridgeCommand, BridgeEvent, HangupCause, LegCommand, LegEvent, LegId, LegKind, Party};
use media::bridge::Side;
use media::codec::CodecKind;
use media::play::Source;
use media::sdp::{self, SdpConfig, Secure, SrtpPolicy};
use media::stats::LegStats;
use sip::target::Candidate;
use tracing::{debug, warn};
use web::backend::{AgentUpdate, VisitorState, VisitorUpdate};

use super::legs::{self, LegIo, Phone};
use super::{CallTask, prompt};
use crate::clock;
use crate::config::checked::{HeaderPolicy, Seat};
use crate::drive::console;
use crate::drive::media::BridgeOrder;
use crate::drive::sip::{Callee, Invitation, LegSink, Parties, SdpMaker};
use crate::drive::tags;

/// What is offered for a phone's sound: codecs, best first, and whether it is encrypted.
type Sound = (Vec<CodecKind>, SrtpPolicy);

/// How long the last statistics may take at the end of a call.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl CallTask {
    pub(super) async fn order_leg(&mut self, leg: LegId, command: LegCommand) {
        debug!(leg = %leg, ?command, "order");
        match command {
            LegCommand::Open => {}
            LegCommand::Invite => self.invite(leg, Vec::new()).await,
            LegCommand::Ring | LegCommand::Progress => match self.io(leg) {
                LegIo::Visitor { .. } => {
                    self.update(VisitorUpdate::State { state: VisitorState::Ringing, agent: None })
                }
                LegIo::Phone(phone) => {
                    if let Some(sip_leg) = phone.leg {
                        self.context.sip.ring(sip_leg);
                    }
                }
                LegIo::Console { .. } | LegIo::None => {}
            },
            LegCommand::Answered => self.answer(leg).await,
            LegCommand::End(cause) => self.end(leg, cause),
            LegCommand::Digit(digit) => self.show_digit(leg, digit),
            LegCommand::ShowHeld(held) => {
                if leg == LegId::FIRST {
                    let state = if held { VisitorState::Held } else { VisitorState::Talking };
                    self.update(VisitorUpdate::State { state, agent: self.agent_name() });
                }
            }
        }
    }

    fn show_digit(&mut self, leg: LegId, digit: call::Digit) {
        match self.io(leg) {
            LegIo::Visitor { .. } => self.update(VisitorUpdate::Digit(digit.key())),
            LegIo::Console { extension, .. } => {
                let extension = extension.clone();
                self.context
                    .consoles
                    .tell_all(&extension, &AgentUpdate::Digit { call: self.id.to_string(), digit: digit.key() });
            }
            LegIo::Phone(_) | LegIo::None => {}
        }
    }

    /// The name the visitor sees: the agent who holds the second side.
    fn agent_name(&self) -> Option<String> {
        let second = self.second?;
        match &self.call.leg_spec(second)?.kind {
            LegKind::Agent { extension } => self.context.desk.agent_name(extension),
            LegKind::Browser | LegKind::Trunk { .. } => None,
        }
    }

    /// Tells the first leg that it is answered: the page by a word, a phone by 200 OK.
    async fn answer(&mut self, leg: LegId) {
        let name = self.agent_name();
        match self.io(leg) {
            LegIo::Visitor { .. } => self.update(VisitorUpdate::State { state: VisitorState::Talking, agent: name }),
            LegIo::Phone(_) => self.answer_phone(leg).await,
            LegIo::Console { .. } | LegIo::None => {}
        }
    }

    /// 200 OK to a phone that called us, with the answer to its offer.
    pub(super) async fn answer_phone(&mut self, leg: LegId) {
        let Some(session) = &self.session else { return };
        let port = session.rtp(self.place(leg)).await;
        let codecs = self.context.config.agent_codecs.clone();
        let secure = Secure::new(self.context.config.agent_srtp, &mut rand::rng());
        let LegIo::Phone(phone) = self.io(leg) else { return };
        let Some(sip_leg) = phone.leg else { return };
        let outcome = port.map_err(|error| (HangupCause::Overload, error.to_string())).and_then(|port| {
            phone.sdp.rtp_port = port.port;
            phone.sdp.ssrc = port.ssrc;
            phone.sdp.codecs = codecs;
            phone.sdp.secure = secure;
            // A phone that calls without an offer wants ours, and answers it in its ACK (RFC 3261 §13.2.1).
            let Some(offer) = phone.offer.take() else { return Ok((sdp::offer(&phone.sdp), None)) };
            sdp::answer(&phone.sdp, &String::from_utf8_lossy(&offer))
                .map(|(answer, negotiated)| (answer, Some(negotiated)))
                .map_err(|error| (HangupCause::IncompatibleMedia, error.to_string()))
        });
        match outcome {
            Ok((described, negotiated)) => {
                phone.agreed = negotiated.is_some();
                let remote = phone.remote;
                self.context.sip.answer(sip_leg, described.into_bytes());
                if let Some(negotiated) = negotiated {
                    self.negotiated(leg, negotiated, remote);
                }
            }
            Err((cause, why)) => {
                warn!(leg = %leg, why, "cannot answer the calling phone");
                self.call.hang_up(Party::Gateway, cause, clock::call_now());
            }
        }
    }

    fn end(&mut self, leg: LegId, cause: HangupCause) {
        match self.io(leg) {
            LegIo::Phone(phone) => {
                let ordered = phone.end().is_some_and(|sip_leg| self.context.sip.hang_up(sip_leg, cause));
                // Ordered, its last word comes from the driver; else nobody will say one.
                if !ordered {
                    self.tell_call(leg, LegEvent::Ended);
                }
            }
            LegIo::Console { .. } => {
                self.console_over(leg, cause);
                self.tell_call(leg, LegEvent::Ended);
            }
            // The page hears the last word with the record.
            LegIo::Visitor { .. } | LegIo::None => self.tell_call(leg, LegEvent::Ended),
        }
    }

    pub(super) async fn order_bridge(&mut self, command: BridgeCommand) {
        debug!(?command, "order");
        match command {
            BridgeCommand::Ringback { to, on: true } => {
                if self.call.state() == call::State::Transferring {
                    // Whoever asked for the transfer has left: it rings for the visitor.
                    self.update(VisitorUpdate::State { state: VisitorState::Ringing, agent: None });
                }
                self.bridge(BridgeOrder::Play(self.side(to), Source::Ringback(legs::country(&self.tags.language))))
            }
            BridgeCommand::Ringback { to, on: false } => self.bridge(BridgeOrder::Stop(self.side(to))),
            BridgeCommand::Prompt { to, on: true } => {
                self.customer_asked = self.is_customer(to);
                let customers = || prompt::to_customer(&self.tags.language);
                if let Some(prompt) = if self.customer_asked { customers() } else { prompt::to_agent() } {
                    self.bridge(BridgeOrder::Play(self.side(to), Source::Repeat(prompt)));
                }
            }
            BridgeCommand::Prompt { to, on: false } => {
                self.customer_asked = false;
                self.bridge(BridgeOrder::Stop(self.side(to)));
            }
            BridgeCommand::Replace { leg, by } => self.replace(leg, by).await,
            BridgeCommand::Connect { .. } => self.bridge(BridgeOrder::Connect(true)),
            BridgeCommand::Disconnect => self.bridge(BridgeOrder::Connect(false)),
            BridgeCommand::Hold { leg, on } => self.bridge(BridgeOrder::Hold(self.side(leg), on)),
            BridgeCommand::Close => self.close_bridge().await,
        }
    }

    /// Ends the media session; its last figures go into the record.
    async fn close_bridge(&mut self) {
        let stats = match self.session.take() {
            Some(session) => tokio::time::timeout(CLOSE_LIMIT, session.close()).await.ok().and_then(Result::ok),
            None => None,
        };
        for (side, stats) in [Side::A, Side::B].into_iter().zip(stats.unwrap_or_default()) {
            if let (Some(stats), Some(leg)) = (stats, self.leg_of(side)) {
                self.quality(leg, &stats);
            }
        }
        self.call.handle_bridge(BridgeEvent::Closed, clock::call_now());
    }

    pub(super) fn quality(&mut self, leg: LegId, stats: &LegStats) {
        if let Some(codec) = stats.codec {
            self.tell_call(leg, LegEvent::Codec(codec.name().to_owned()));
        }
        self.ladder_sent(leg, stats);
        self.tell_call(leg, LegEvent::Quality(legs::quality(stats)));
    }

    /// Invites a candidate, or a call-back's first leg: at the agent's page if he answers there, else at his phone, or
    /// behind a trunk, at one of its targets that was not `tried` yet.
    pub(super) async fn invite(&mut self, leg: LegId, tried: Vec<Candidate>) {
        if leg != LegId::FIRST && self.call.coming() != Some(leg) {
            self.second = Some(leg);
        }
        let Some(spec) = self.call.leg_spec(leg).cloned() else {
            self.tell_call(leg, LegEvent::Refused(HangupCause::NotFound));
            return;
        };
        let (callee, policy, sound) = match spec.kind {
            LegKind::Agent { extension } => {
                if self.rings_at_page(&extension) {
                    self.ring_page(leg, extension);
                    return;
                }
                let config = &self.context.config;
                let sound = (config.agent_codecs.clone(), config.agent_srtp);
                (Callee::Agent { extension }, tags::AGENT_POLICY, sound)
            }
            LegKind::Trunk { trunk, uri } => {
                let Some(trunk) = self.context.config.trunk(&trunk.0).cloned() else {
                    self.tell_call(leg, LegEvent::Refused(HangupCause::Unreachable));
                    return;
                };
                let sound = (trunk.codecs.iter().copied().map(legs::codec).collect(), trunk.srtp);
                let mut policy = trunk.headers;
                if self.is_customer(leg) {
                    // He knows where he was; the network between need not.
                    policy = HeaderPolicy { x_headers: false, display_name: false, ..policy };
                }
                (Callee::Trunk { trunk, user: uri, tried }, policy, sound)
            }
            LegKind::Browser => {
                self.tell_call(leg, LegEvent::Refused(HangupCause::NotFound));
                return;
            }
        };
        if let Err(cause) = self.invite_phone(leg, callee, policy, sound, spec.ring_limit).await {
            self.tell_call(leg, LegEvent::Refused(cause));
        }
    }

    fn rings_at_page(&self, extension: &str) -> bool {
        let queue = (self.tags.tenant.0.clone(), self.tags.queue.0.clone());
        let wanted = self.context.config.seats.get(&queue).copied().unwrap_or(Seat::Any);
        let seats = self.context.desk.seats(extension);
        match wanted {
            Seat::Browser => true,
            Seat::Phone => false,
            Seat::Any => seats.browser,
        }
    }

    fn ring_page(&mut self, leg: LegId, extension: String) {
        let card = console::ringing_card(self.id, &self.tags, clock::unix_ms());
        if self.context.consoles.ring(&extension, &card) {
            *self.io(leg) = LegIo::Console { extension, taken_by: None };
            self.tell_call(leg, LegEvent::Ringing);
        } else {
            self.tell_call(leg, LegEvent::Refused(HangupCause::Unreachable));
        }
    }

    async fn invite_phone(
        &mut self,
        leg: LegId,
        callee: Callee,
        policy: HeaderPolicy,
        (codecs, srtp): Sound,
        ring_limit: Duration,
    ) -> Result<(), HangupCause> {
        let Some(session) = &self.session else { return Err(HangupCause::Bug) };
        let port = session.rtp(self.place(leg)).await.map_err(|error| {
            warn!(%error, "no rtp port for this leg");
            HangupCause::Overload
        })?;
        let sdp = SdpConfig {
            address: IpAddr::from([127, 0, 0, 1]),
            rtp_port: port.port,
            codecs,
            ssrc: port.ssrc,
            session_id: clock::unix_ms(),
            version: 1,
            dtmf: true,
            ptime_ms: 20,
            secure: Secure::new(srtp, &mut rand::rng()),
        };
        let (display, user) = self.shown_to(leg, policy);
        let parties = Parties { callee, display, user, call: format!("{}-{}", self.id, leg.0) };
        let call_id = parties.call.clone();
        self.ladder_joins(leg, &call_id);
        let again = matches!(&parties.callee, Callee::Trunk { tried, .. } if !tried.is_empty());
        let (plan, not_after) = if self.is_customer(leg) {
            let plan = self.context.sip.plan(parties.clone()).await?;
            let not_after = self.leave_to_dial(&plan, again).await?;
            (Some(plan), not_after)
        } else if self.callback.is_some() {
            // Should this process die, its successor ends the ringing: an offer is no try, so nothing waits for the journal.
            let plan = self.context.sip.plan(parties.clone()).await?;
            self.tell_described(leg, plan.described.clone());
            (Some(plan), None)
        } else {
            (None, None)
        };
        let for_offer = sdp.clone();
        let invitation = Invitation {
            parties,
            headers: self.headers_for(leg, policy),
            ring_limit,
            sdp: SdpMaker(Box::new(move |address| sdp::offer(&SdpConfig { address, ..for_offer }).into_bytes())),
            plan,
            not_after,
            described: self.callback.is_some(),
        };
        let sink = LegSink { inbox: self.inbox_in.clone(), leg };
        let sip_leg = self.context.sip.invite(sink, invitation).ok_or(HangupCause::Overload)?;
        self.sip_legs.add(Some(sip_leg));
        *self.io(leg) = LegIo::Phone(Box::new(Phone::we_call(sip_leg, call_id, sdp)));
        Ok(())
    }

    /// Display name and user of our `From`.
    fn shown_to(&self, leg: LegId, policy: HeaderPolicy) -> (String, String) {
        let caller_id = self.callback.as_ref().filter(|link| link.customer == leg).map(|link| &link.caller_id);
        match (caller_id, &self.caller) {
            (Some(Some(number)), _) => (String::new(), number.clone()),
            (Some(None), _) => (String::new(), "web".to_owned()),
            (None, Some(caller)) => (sip::headers::clean(&caller.display, 60), caller.user.clone()),
            (None, None) => (tags::display(&self.tags, policy), "web".to_owned()),
        }
    }

    fn headers_for(&self, leg: LegId, policy: HeaderPolicy) -> Vec<(String, String)> {
        let keys = &self.context.config.tag_keys;
        let key = keys.iter().find(|(tenant, _)| *tenant == self.tags.tenant.0).map(|(_, key)| key.as_slice());
        let mut headers = tags::headers(&self.tags, key.unwrap_or_default(), policy);
        if self.call.coming() == Some(leg) {
            headers.extend(self.referral.headers.iter().cloned());
        }
        if self.is_customer(leg) {
            // So that the PBX, another node or a person can ask whether this one happened.
            headers.push(("X-Passerelle-Attempt".to_owned(), self.id.to_string()));
        }
        headers
    }
}
