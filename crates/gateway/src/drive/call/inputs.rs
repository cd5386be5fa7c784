//! What happens to a call, in its own words: news of media, SIP, the visitor's page and the agents' pages.

use std::net::IpAddr;

use call::{BridgeEvent, HangupCause, LegEvent, LegId, Party};
use media::bridge::Side;
use media::codec::CodecKind;
use media::sdp;
use sip::target::Candidate;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use web::backend::{AgentUpdate, Refusal, VisitorRequest, VisitorUpdate};

use super::legs::{self, LegIo};
use super::{CallInput, CallTask, UNHEARD};
use crate::clock;
use crate::drive::console::{self, ConsoleAction};
use crate::drive::media::session::index;
use crate::drive::media::{BridgeOrder, MediaNotice};
use crate::drive::sip::SipNotice;
use crate::net::addresses;
use crate::observe::metric::{self, Metric};

impl CallTask {
    pub(super) async fn handle(&mut self, input: CallInput) {
        match input {
            CallInput::Media(notice) => self.handle_media(notice),
            CallInput::Sip(leg, SipNotice::Elsewhere { tried }) => self.go_elsewhere(leg, tried).await,
            CallInput::Sip(leg, notice) => self.handle_sip(leg, notice),
            CallInput::Visitor(request) => self.handle_visitor(request).await,
            CallInput::VisitorGone => self.handle_visitor_gone(),
            CallInput::Console { extension, page, action } => self.handle_console(&extension, page, action).await,
            CallInput::GiveAway { by, to, reply } => self.give_away(by, &to, reply),
            CallInput::Given { by, given } => self.given(by, given).await,
            CallInput::TakesPlace { of, incoming } => self.takes_place(of, *incoming).await,
            CallInput::Withdraw(leg) => self.call.withdraw(leg),
            CallInput::HangUp(by, cause) => self.call.hang_up(by, cause, clock::call_now()),
        }
    }

    fn handle_media(&mut self, notice: MediaNotice) {
        self.ladder_media(&notice);
        let (side, event) = match notice {
            MediaNotice::Connected(side) => (side, LegEvent::MediaUp),
            MediaNotice::ConsentLost(side) => {
                self.lost_at[index(side)] = Some(clock::now() + UNHEARD);
                return self.tell_lost_sound();
            }
            MediaNotice::ConsentBack(side) => {
                self.lost_at[index(side)] = None;
                (side, LegEvent::MediaBack)
            }
            MediaNotice::Closed(side) => (side, LegEvent::Gone { cause: self.end_cause() }),
            MediaNotice::Failed(side, why) => {
                warn!(?side, why, "browser media failed");
                (side, LegEvent::Gone { cause: HangupCause::MediaFailed })
            }
            MediaNotice::Digit(side, digit) => match call::Digit::new(digit.as_char()) {
                // The bridge has sent it on as telephone-event; the call tells the page.
                Some(digit) => {
                    if let Some(leg) = self.leg_of(side) {
                        self.note_key(leg, digit.key());
                    }
                    (side, LegEvent::Digit(digit))
                }
                None => return,
            },
            MediaNotice::FirstPacket(side) => {
                debug!(?side, "first rtp packet");
                return;
            }
            MediaNotice::PlayDone => return,
            MediaNotice::Bug => {
                self.session = None;
                self.call.handle_bridge(BridgeEvent::Failed, clock::call_now());
                return;
            }
        };
        if let Some(leg) = self.leg_of(side) {
            self.tell_call(leg, event);
        }
    }

    /// A browser that is not heard may come back: its page notices and starts ICE anew. It counts as lost when consent
    /// has run out (RFC 7675 §5.1), or when its page is gone as well.
    pub(super) fn tell_lost_sound(&mut self) {
        let now = clock::now();
        for side in [Side::A, Side::B] {
            let gone = self.page_lost && side == Side::A;
            if self.lost_at[index(side)].take_if(|at| gone || *at <= now).is_some()
                && let Some(leg) = self.leg_of(side)
            {
                info!(?side, "the browser is not heard any more");
                self.tell_call(leg, LegEvent::MediaLost);
            }
        }
    }

    /// What a good-bye means now: before the answer it is giving up.
    fn end_cause(&self) -> HangupCause {
        match self.call.state() {
            call::State::New
            | call::State::Opening
            | call::State::Ringing
            | call::State::RingingFirst
            | call::State::AskingFirst
            | call::State::RingingSecond => HangupCause::Cancelled,
            call::State::Bridged
            | call::State::Held
            | call::State::Transferring
            | call::State::Ending
            | call::State::Ended => HangupCause::Normal,
        }
    }

    /// A leg's target was silent or had no room; nothing rings there. The leg goes to the next one of its trunk, unless
    /// nobody wants it any more.
    async fn go_elsewhere(&mut self, leg: LegId, tried: Vec<Candidate>) {
        let current = self.is_current(leg);
        if self.io(leg).was_ended() || !current {
            return self.tell_call(leg, LegEvent::Ended);
        }
        *self.io(leg) = LegIo::None;
        self.invite(leg, tried).await;
    }

    /// Whether a leg has a side of the call, or is to have one.
    fn is_current(&self, leg: LegId) -> bool {
        leg == self.call.first() || self.second == Some(leg) || self.call.coming() == Some(leg)
    }

    fn handle_sip(&mut self, leg: LegId, notice: SipNotice) {
        let current = self.is_current(leg);
        match notice {
            // A candidate passed over may still ring or answer while its CANCEL travels: its sound must not reach the
            // side that the next candidate holds. The driver ends it; its last word is taken below.
            SipNotice::Progress { .. }
            | SipNotice::Answered { .. }
            | SipNotice::Reoffered { .. }
            | SipNotice::Reanswered { .. }
            | SipNotice::ReofferAnswered { .. }
            | SipNotice::ReofferFailed { .. }
            | SipNotice::Referred(_)
            | SipNotice::Info { .. }
            | SipNotice::Described(_)
            | SipNotice::Confirmed { .. }
                if !current =>
            {
                debug!(leg = %leg, "news of a candidate passed over");
            }
            SipNotice::Progress { sdp, remote } => {
                self.note_progress(leg, false);
                let early = sdp.is_some_and(|sdp| self.phone_answer(leg, &sdp, remote));
                self.tell_call(leg, if early { LegEvent::EarlyMedia } else { LegEvent::Ringing });
            }
            SipNotice::Answered { sdp, remote } => {
                self.note_progress(leg, true);
                self.phone_answered(leg, sdp, remote);
            }
            SipNotice::Refused { cause, status, phrase, q850 } => {
                self.note_refusal(leg, status, q850);
                info!(leg = %leg, status, cause = cause.code(), "leg refused");
                debug!(leg = %leg, phrase, "in the far end's words");
                let ordered = self.io(leg).was_ended();
                self.tell_call(leg, if ordered { LegEvent::Ended } else { LegEvent::Refused(cause) });
            }
            // Taken above, for it sends an INVITE.
            SipNotice::Elsewhere { .. } => {}
            SipNotice::ReferNews { status, last } => debug!(leg = %leg, status, last, "news of a transfer of ours"),
            SipNotice::ReofferAnswered { sdp } => self.moved(leg, sdp),
            SipNotice::ReofferFailed { status } => self.not_moved(leg, status),
            SipNotice::Referred(asked) => self.referred(leg, *asked),
            SipNotice::Described(described) => self.tell_described(leg, described),
            SipNotice::Reoffered { sdp } => self.phone_reoffered(leg, sdp),
            SipNotice::Info { content_type, body } => {
                if let Some(digit) = legs::info_digit(&content_type, &body) {
                    self.digit_from(leg, digit);
                }
            }
            SipNotice::Reanswered { sdp } => self.phone_reanswered(leg, Some(&sdp)),
            SipNotice::Confirmed { sdp } => self.phone_reanswered(leg, sdp.as_deref()),
            SipNotice::Ended { cause, by_peer } => {
                debug!(leg = %leg, cause = cause.code(), by_peer, "sip leg ended");
                let ordered = self.io(leg).was_ended();
                let cause = if cause == HangupCause::Normal { self.end_cause() } else { cause };
                self.tell_call(leg, if ordered { LegEvent::Ended } else { LegEvent::Gone { cause } });
            }
        }
    }

    /// Takes an SDP answer into use; false when it says nothing usable.
    fn phone_answer(&mut self, leg: LegId, answer: &[u8], remote: IpAddr) -> bool {
        let sdp_ip = self.context.config.sdp_ip;
        let LegIo::Phone(phone) = self.io(leg) else { return false };
        let text = String::from_utf8_lossy(answer);
        match sdp::accept_answer(&phone.sdp, &text) {
            Ok(negotiated) => {
                phone.remote = remote;
                phone.sdp.address = facing(sdp_ip, remote);
                phone.held = negotiated.held_by_peer;
                phone.agreed = true;
                self.negotiated(leg, negotiated, remote);
                true
            }
            Err(error) => {
                warn!(leg = %leg, %error, "sdp answer not usable");
                metric::count(Metric::SdpRefused);
                false
            }
        }
    }

    pub(super) fn negotiated(&mut self, leg: LegId, negotiated: sdp::Negotiated, remote: IpAddr) {
        let codec = negotiated.plan.codec.name().to_owned();
        let suite = negotiated.srtp.as_ref().map(|keys| keys.ours.suite().name());
        debug!(leg = %leg, codec, srtp = suite.unwrap_or("off"), "sound agreed");
        if let LegIo::Phone(phone) = self.io(leg) {
            phone.sdp.secure.note(negotiated.srtp.as_ref());
        }
        if let Some(session) = &self.session
            && let Err(error) = session.negotiated(self.place(leg), negotiated, Some(remote))
        {
            warn!(%error, "media order not carried out");
        }
        self.tell_call(leg, LegEvent::Codec(codec));
    }

    /// An answer to a description of ours other than the first: in an ACK, a PRACK or the 200 to a refresh. A phone that
    /// left the first offer to us and never answered it cannot be heard; its call is over.
    fn phone_reanswered(&mut self, leg: LegId, sdp: Option<&[u8]>) {
        let LegIo::Phone(phone) = self.io(leg) else { return };
        let (held, remote) = (phone.held, phone.remote);
        if let Some(sdp) = sdp {
            self.phone_answer(leg, sdp, remote);
            self.tell_hold(leg, held);
        }
        if matches!(self.io(leg), LegIo::Phone(phone) if !phone.agreed) {
            warn!(leg = %leg, "the phone has not answered our offer");
            self.call.hang_up(Party::Gateway, HangupCause::IncompatibleMedia, clock::call_now());
        }
    }

    pub(super) fn phone_answered(&mut self, leg: LegId, sdp: Option<Vec<u8>>, remote: IpAddr) {
        let usable = match sdp {
            Some(sdp) => self.phone_answer(leg, &sdp, remote),
            // The 183 carried the answer; a 200 need not say it again (RFC 3261 §13.2.1).
            None => matches!(self.io(leg), LegIo::Phone(phone) if phone.agreed),
        };
        if usable {
            self.tell_call(leg, LegEvent::Answered);
        } else {
            if let LegIo::Phone(phone) = self.io(leg)
                && let Some(sip_leg) = phone.end()
            {
                self.context.sip.hang_up(sip_leg, HangupCause::IncompatibleMedia);
            }
            self.tell_call(leg, LegEvent::Refused(HangupCause::IncompatibleMedia));
        }
    }

    /// Hold, resume, a new address or codec from the far end (RFC 3264 §8).
    fn phone_reoffered(&mut self, leg: LegId, offer: Option<Vec<u8>>) {
        let LegIo::Phone(phone) = self.io(leg) else { return };
        let (Some(sip_leg), remote) = (phone.leg, phone.remote) else { return };
        phone.sdp.version += 1;
        let Some(offer) = offer else {
            // Offerless: our own description is the offer, the answer comes in the ACK (RFC 3261 §14.2).
            let own = sdp::offer(&phone.sdp).into_bytes();
            self.context.sip.accept(sip_leg, own);
            return;
        };
        match sdp::answer(&phone.sdp, &String::from_utf8_lossy(&offer)) {
            Ok((answer, negotiated)) => {
                let before = std::mem::replace(&mut phone.held, negotiated.held_by_peer);
                self.context.sip.accept(sip_leg, answer.into_bytes());
                self.negotiated(leg, negotiated, remote);
                self.tell_hold(leg, before);
            }
            Err(error) => {
                phone.sdp.version -= 1;
                warn!(leg = %leg, %error, "re-offer not usable; the session stays as it was");
                metric::count(Metric::SdpRefused);
                self.context.sip.refuse(sip_leg, 488);
            }
        }
    }

    /// Tells the call when a phone holds it now and did not before, or the other way round.
    fn tell_hold(&mut self, leg: LegId, before: bool) {
        if let LegIo::Phone(phone) = self.io(leg) {
            let held = phone.held;
            if held != before {
                info!(leg = %leg, held, "hold changed by the far end");
                self.tell_call(leg, LegEvent::Held(held));
            }
        }
    }

    async fn handle_visitor(&mut self, request: VisitorRequest) {
        match request {
            VisitorRequest::Bye => {
                let cause = self.end_cause();
                self.call.hang_up(Party::Visitor, cause, clock::call_now());
            }
            VisitorRequest::Reoffer(offer) => {
                let Some(session) = &self.session else { return };
                match session.reoffer(Side::A, offer).await {
                    Ok(answer) => self.update(VisitorUpdate::Reanswer(answer)),
                    Err(error) => {
                        warn!(%error, "the page's new offer was refused");
                        self.update(VisitorUpdate::Refused(Refusal::new("offer-invalid", 488)));
                    }
                }
            }
            VisitorRequest::Digits(digits) => {
                for digit in digits.chars().filter_map(call::Digit::new) {
                    self.digit_from(LegId::FIRST, digit);
                }
            }
            VisitorRequest::Mute(on) => debug!(on, "visitor mutes"),
            VisitorRequest::Page { url, title } => self.context.desk.page(self.id, url, title).await,
        }
    }

    /// The socket is lost, the sound perhaps not: once they talk, consent decides (RFC 7675).
    fn handle_visitor_gone(&mut self) {
        self.page_lost = true;
        self.tell_lost_sound();
        match self.call.state() {
            call::State::Bridged | call::State::Held | call::State::Transferring => {
                info!("the page's socket is lost; the call goes on while its sound does")
            }
            call::State::New
            | call::State::Opening
            | call::State::Ringing
            | call::State::RingingFirst
            | call::State::AskingFirst
            | call::State::RingingSecond => {
                self.call.hang_up(Party::Visitor, HangupCause::SocketLost, clock::call_now());
            }
            call::State::Ending | call::State::Ended => {}
        }
    }

    /// A digit that did not come as telephone-event: it is sent on as such, and shown.
    fn digit_from(&mut self, leg: LegId, digit: call::Digit) {
        self.note_key(leg, digit.key());
        let to = self.side(leg).other();
        if let Some(event) = media::dtmf::Digit::from_char(digit.key()) {
            self.bridge(BridgeOrder::Digit(to, event));
        }
        self.tell_call(leg, LegEvent::Digit(digit));
    }

    async fn handle_console(&mut self, extension: &str, page: u64, action: ConsoleAction) {
        let rings_here = |io: &LegIo| io.is_console_of(extension, page);
        let Some(leg) = self.legs.iter().position(rings_here).and_then(|at| u8::try_from(at).ok()).map(LegId) else {
            // Over, with somebody else, or on another page of the same agent: nothing of it is this page's any more.
            if let ConsoleAction::Answer { updates, .. } = action {
                let refusal = Refusal::new("answered-elsewhere", 409);
                let _page_gone = updates.try_send(AgentUpdate::Refused { call: Some(self.id.to_string()), refusal });
            }
            return;
        };
        match action {
            ConsoleAction::Answer { offer, updates } => {
                *self.io(leg) = LegIo::Console { extension: extension.to_owned(), taken_by: Some(page) };
                self.console_answers(leg, offer, updates).await;
            }
            ConsoleAction::Decline => {
                self.console_over(leg, HangupCause::Refused);
                self.tell_call(leg, LegEvent::Refused(HangupCause::Refused));
            }
            ConsoleAction::Bye => {
                let cause = self.end_cause();
                self.console_over(leg, cause);
                self.tell_call(leg, LegEvent::Gone { cause });
            }
            ConsoleAction::Gone => self.console_gone(leg),
            ConsoleAction::Ready { updates } => {
                let card = console::ringing_card(self.id, &self.tags, clock::unix_ms());
                let _page_gone = updates.try_send(AgentUpdate::Ring(card));
            }
        }
    }

    fn console_gone(&mut self, leg: LegId) {
        self.console_over(leg, HangupCause::SocketLost);
        self.tell_call(leg, LegEvent::Gone { cause: HangupCause::SocketLost });
    }

    async fn console_answers(&mut self, leg: LegId, offer: String, updates: mpsc::Sender<AgentUpdate>) {
        let Some(session) = &self.session else { return };
        let call = self.id.to_string();
        match session
            .browser(self.place(leg), offer, vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma])
            .await
        {
            Ok(sdp) => {
                if updates.try_send(AgentUpdate::Media { call, sdp }).is_ok() {
                    self.tell_call(leg, LegEvent::Codec(CodecKind::Opus.name().to_owned()));
                    self.tell_call(leg, LegEvent::Answered);
                    // Only a person can click: that is as good as the key.
                    if self.call.state() == call::State::AskingFirst {
                        self.tell_call(leg, LegEvent::Digit(call::Digit::TAKES));
                    }
                } else {
                    // A page that does not hear the answer will never bring any sound.
                    metric::count(Metric::ConsoleUpdatesLost);
                    self.console_gone(leg);
                }
            }
            Err(error) => {
                warn!(%error, "the agent's offer was refused");
                self.console_over(leg, HangupCause::IncompatibleMedia);
                self.tell_call(leg, LegEvent::Refused(HangupCause::IncompatibleMedia));
            }
        }
    }

    /// The agent's pages stop ringing or talking.
    pub(super) fn console_over(&mut self, leg: LegId, cause: HangupCause) {
        let call = self.id.to_string();
        if let LegIo::Console { extension, .. } = self.io(leg) {
            let extension = std::mem::take(extension);
            *self.io(leg) = LegIo::None;
            self.context.consoles.tell_all(&extension, &AgentUpdate::Ended { call, code: cause.code() });
        }
    }
}

/// Our address as a peer sees it.
fn facing(sdp_ip: Option<IpAddr>, remote: IpAddr) -> IpAddr {
    addresses::facing(sdp_ip, (remote, 9).into())
}
