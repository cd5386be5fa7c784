//! Transfers: whether a REFER is allowed, the new leg that is rung or taken over, and what the one who asked is told.
//!
//! A REFER is carried out here and never passed on: the tag, the record and the visitor's sound stay with this call.

use std::time::Duration;

use call::{HangupCause, LegEvent, LegId, LegKind, LegSpec, Transfer, TrunkId};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::legs::{LegIo, Phone};
use super::{CallInput, CallTask};
use crate::clock;
use crate::config::checked::{TransferPolicy, TransferRule};
use crate::drive::media::Place;
use crate::drive::media::session::index;
use crate::drive::sip::{Asked, Incoming, LegSink, Replaced, status_of};
use crate::observe::metric::{self, Metric};

/// How long whoever is to take a place may be rung.
const RING_LIMIT: Duration = Duration::from_secs(25);
/// How long a phone that is there already may take over its new description.
const MOVE_LIMIT: Duration = Duration::from_secs(10);
/// How long another call may take to give a leg away.
const GIVE_LIMIT: Duration = Duration::from_secs(3);

/// What an INVITE to the new one carries besides the tag.
#[derive(Debug, Default)]
pub(crate) struct Referral {
    pub(crate) headers: Vec<(String, String)>,
}

/// A leg that one call gives to another.
pub(crate) struct Given {
    pub(crate) kind: LegKind,
    phone: Box<Phone>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Who is asked for, where the rules allow him; else the status that refuses it. `by`: who asks. `named`: whether a user is
/// one of the trunk's that the configuration knows.
fn judge(
    by: &LegKind,
    asked: &Asked,
    policy: Option<&TransferPolicy>,
    is_agent: impl Fn(&str) -> bool,
    named: impl Fn(&str, &str) -> bool,
) -> Result<LegKind, u16> {
    let agent = || {
        let known = asked.here && is_agent(&asked.user);
        known.then(|| LegKind::Agent { extension: asked.user.clone() })
    };
    match by {
        LegKind::Browser => Err(403),
        // What a phone may dial, it may transfer to: colleagues, and nobody outside.
        LegKind::Agent { .. } if asked.here => agent().ok_or(404),
        LegKind::Agent { .. } => Err(403),
        LegKind::Trunk { trunk, .. } => {
            let rule = policy.map_or(TransferRule::Off, |policy| policy.rule);
            let at_home = asked.here || asked.trunks.contains(&trunk.0);
            let user = || {
                let known = at_home && named(&trunk.0, &asked.user);
                known.then(|| LegKind::Trunk { trunk: TrunkId(trunk.0.clone()), uri: asked.user.clone() })
            };
            match rule {
                TransferRule::Off => Err(403),
                TransferRule::Agents => agent().ok_or(403),
                TransferRule::Trunk => agent().or_else(user).ok_or(403),
            }
        }
    }
}

impl CallTask {
    /// A phone or a PBX wants its side of the call handed over.
    pub(super) fn referred(&mut self, by: LegId, asked: Asked) {
        let LegIo::Phone(phone) = self.io(by) else { return };
        let Some(sip_leg) = phone.leg else { return };
        let target = match self.judged(by, &asked) {
            Ok(target) => target,
            Err(status) => {
                info!(leg = %by, status, "transfer refused: see `transfer` and `transfer_to` of the trunk");
                metric::count_with(Metric::Transfers, "refused");
                self.context.sip.answer_refer(sip_leg, status);
                return;
            }
        };
        match asked.replaced {
            Replaced::Here(sink) => self.ask_for(by, &sink),
            Replaced::There(dialog) => self.hand_over(by, target, asked.referred_by, Some(dialog)),
            Replaced::Nobody => self.hand_over(by, target, asked.referred_by, None),
        }
    }

    fn judged(&self, by: LegId, asked: &Asked) -> Result<LegKind, u16> {
        // A customer who was called back sends nobody anywhere, whatever his telephone says.
        let kind = self.call.leg_spec(by).filter(|_| !self.is_customer(by)).map(|spec| &spec.kind).ok_or(403_u16)?;
        let config = &self.context.config;
        let policy = match kind {
            LegKind::Trunk { trunk, .. } => config.trunk(&trunk.0),
            LegKind::Browser | LegKind::Agent { .. } => None,
        };
        let policy = policy.map(|trunk| &trunk.transfer);
        let is_agent = |user: &str| self.context.desk.agent_name(user).is_some();
        let named = |trunk: &str, user: &str| {
            let dialled = config.trunk_users.iter().any(|(at, known)| at == trunk && known == user);
            dialled || policy.is_some_and(|policy| policy.names(user))
        };
        judge(kind, asked, policy, is_agent, named)
    }

    /// Rings the new one; the two talk on meanwhile.
    fn hand_over(&mut self, by: LegId, target: LegKind, referred_by: Option<String>, replaces: Option<String>) {
        let spec = LegSpec { kind: target, ring_limit: RING_LIMIT };
        let new = self.call.transfer(by, spec, clock::call_now());
        self.answer_refer(by, if new.is_some() { 202 } else { 491 });
        if new.is_some() {
            let named = [("Referred-By", referred_by), ("Replaces", replaces)];
            let headers = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            self.legs.push(LegIo::None);
            self.referral = Referral { headers };
        }
    }

    fn answer_refer(&mut self, by: LegId, status: u16) {
        if let LegIo::Phone(phone) = self.io(by)
            && let Some(sip_leg) = phone.leg
        {
            self.context.sip.answer_refer(sip_leg, status);
        }
    }

    /// Says to whoever asked how it goes.
    fn notify(&mut self, by: LegId, status: u16) {
        if let LegIo::Phone(phone) = self.io(by)
            && let Some(sip_leg) = phone.leg
        {
            self.context.sip.notify_refer(sip_leg, status);
        }
    }

    /// How far a transfer has come.
    pub(super) fn transfer_moves(&mut self, by: LegId, step: &Transfer) {
        match step {
            Transfer::Asked(kind) => info!(leg = %by, to = ?kind, "transfer begins"),
            Transfer::Ringing => self.notify(by, 180),
            // Told when the place is taken, before the old leg is let go.
            Transfer::Done => {
                info!(leg = %by, "transferred");
                metric::count_with(Metric::Transfers, "done");
            }
            Transfer::Failed(cause) => {
                info!(leg = %by, cause = cause.code(), "transfer failed");
                metric::count_with(Metric::Transfers, "failed");
                self.notify(by, status_of(*cause));
                self.referral = Referral::default();
                if let Some(session) = &self.session
                    && let Err(error) = session.drop_spare()
                {
                    warn!(%error, "media order not carried out");
                }
            }
        }
    }

    /// The new leg's sound takes the old one's place.
    pub(super) async fn replace(&mut self, leg: LegId, by: LegId) {
        self.notify(leg, 200);
        self.referral = Referral::default();
        let side = self.side(by);
        let Some(session) = &self.session else { return };
        match session.seat(side).await {
            Ok(stats) => {
                if let Some(stats) = stats {
                    self.quality(leg, &stats);
                }
            }
            Err(error) => {
                warn!(%error, "the new leg's sound cannot take the place");
                self.call.hang_up(call::Party::Gateway, HangupCause::Bug, clock::call_now());
            }
        }
        self.lost_at[index(side)] = None;
        if self.second == Some(leg) {
            self.second = Some(by);
        }
    }

    // Attended: the new one talks with the one who asks in another call of ours.

    /// Asks the other call for its far leg. It answers to this call's inbox: two calls may ask each other at once.
    fn ask_for(&mut self, by: LegId, sink: &LegSink) {
        let (reply, answer) = oneshot::channel();
        let asked = sink.inbox.try_send(CallInput::GiveAway { by: sink.leg, to: self.inbox_in.clone(), reply }).is_ok();
        if !asked {
            return self.answer_refer(by, 481);
        }
        self.answer_refer(by, 202);
        let inbox = self.inbox_in.clone();
        tokio::spawn(async move {
            let given = tokio::time::timeout(GIVE_LIMIT, answer).await.ok().and_then(Result::ok);
            let _call_over = inbox.send(CallInput::Given { by, given }).await;
        });
    }

    /// Another call wants the leg across from this one, whose party asked for it. It leaves this call as if it had hung up.
    pub(super) fn give_away(&mut self, by: LegId, to: &mpsc::Sender<CallInput>, reply: oneshot::Sender<Given>) {
        let talks = matches!(self.call.state(), call::State::Bridged | call::State::Held);
        let across = if by == self.call.first() { self.call.candidate() } else { Some(self.call.first()) };
        // A call that asks itself would lose both.
        let Some(across) = across.filter(|_| talks && !to.same_channel(&self.inbox_in)) else { return };
        let kind = self.call.leg_spec(across).map(|spec| spec.kind.clone());
        let known = matches!(self.io(across), LegIo::Phone(phone) if phone.agreed) && !self.is_customer(across);
        let Some(kind) = kind.filter(|_| known) else { return };
        if let LegIo::Phone(phone) = std::mem::replace(self.io(across), LegIo::None) {
            match reply.send(Given { kind, phone }) {
                Ok(()) => self.tell_call(across, LegEvent::Gone { cause: HangupCause::Normal }),
                // Nobody waits for it any more.
                Err(Given { phone, .. }) => *self.io(across) = LegIo::Phone(phone),
            }
        }
    }

    /// The other call has given its leg, or not.
    pub(super) async fn given(&mut self, by: LegId, given: Option<Given>) {
        let Some(Given { kind, phone }) = given else {
            metric::count_with(Metric::Transfers, "failed");
            return self.notify(by, 481);
        };
        let Some(sip_leg) = phone.leg else { return self.notify(by, 481) };
        let spec = LegSpec { kind, ring_limit: MOVE_LIMIT };
        let Some(new) = self.call.take_place(by, spec, clock::call_now()) else {
            self.context.sip.hang_up(sip_leg, HangupCause::Normal);
            return self.notify(by, 481);
        };
        self.ladder_joins(new, &phone.call_id);
        self.legs.push(LegIo::Phone(phone));
        self.sip_legs.add(Some(sip_leg));
        self.context.sip.adopt(sip_leg, LegSink { inbox: self.inbox_in.clone(), leg: new });
        let port = match &self.session {
            Some(session) => session.rtp(Place::Spare).await.ok(),
            None => None,
        };
        let LegIo::Phone(phone) = self.io(new) else { return };
        let Some(port) = port else {
            phone.end();
            self.context.sip.hang_up(sip_leg, HangupCause::Overload);
            return self.tell_call(new, LegEvent::Refused(HangupCause::Overload));
        };
        phone.sdp.version += 1;
        (phone.sdp.rtp_port, phone.sdp.ssrc) = (port.port, port.ssrc);
        phone.agreed = false;
        let offer = media::sdp::offer(&phone.sdp).into_bytes();
        self.context.sip.reoffer(sip_leg, offer);
    }

    /// A phone that moves here from another call has taken its new description, or not.
    pub(super) fn moved(&mut self, leg: LegId, sdp: Option<Vec<u8>>) {
        if self.call.coming() != Some(leg) {
            debug!(leg = %leg, "an answer to an offer that nobody waits for");
            return;
        }
        let remote = match self.io(leg) {
            LegIo::Phone(phone) => phone.remote,
            LegIo::Visitor { .. } | LegIo::Console { .. } | LegIo::None => return,
        };
        self.phone_answered(leg, sdp, remote);
    }

    pub(super) fn not_moved(&mut self, leg: LegId, status: u16) {
        if self.call.coming() == Some(leg) {
            info!(leg = %leg, status, "the phone does not take its new description");
            if let LegIo::Phone(phone) = self.io(leg)
                && let Some(sip_leg) = phone.end()
            {
                self.context.sip.hang_up(sip_leg, HangupCause::IncompatibleMedia);
            }
            self.tell_call(leg, LegEvent::Refused(HangupCause::IncompatibleMedia));
        }
    }

    /// A phone has called to take the place of a leg (RFC 3891).
    pub(super) async fn takes_place(&mut self, of: LegId, incoming: Incoming) {
        let sip_leg = incoming.leg;
        let kind = match (&incoming.account, self.call.leg_spec(of)) {
            (Some(extension), _) => Some(LegKind::Agent { extension: extension.clone() }),
            // The driver has seen that it comes from the same PBX.
            (None, Some(LegSpec { kind: kind @ LegKind::Trunk { .. }, .. })) => Some(kind.clone()),
            (None, Some(_) | None) => None,
        };
        let may = incoming.sdp.is_some() && !self.is_customer(of);
        let spec = kind.filter(|_| may).map(|kind| LegSpec { kind, ring_limit: MOVE_LIMIT });
        let new = spec.and_then(|spec| self.call.take_place(of, spec, clock::call_now()));
        let leg = new.unwrap_or(LegId(u8::MAX));
        let adopted = self.context.sip.adopt(sip_leg, LegSink { inbox: self.inbox_in.clone(), leg });
        let Some(new) = new.filter(|_| adopted) else {
            metric::count_with(Metric::Transfers, "refused");
            self.context.sip.hang_up(sip_leg, HangupCause::NotAllowed);
            return;
        };
        self.sip_legs.add(Some(sip_leg));
        let phone = Phone::called_us(incoming);
        self.ladder_joins(new, &phone.call_id);
        self.legs.push(LegIo::Phone(Box::new(phone)));
        self.answer_phone(new).await;
        if matches!(self.io(new), LegIo::Phone(phone) if phone.agreed) {
            self.tell_call(new, LegEvent::Answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(user: &str, here: bool, trunks: &[&str]) -> Asked {
        let trunks = trunks.iter().map(|&name| name.to_owned()).collect();
        Asked { user: user.to_owned(), here, trunks, replaced: Replaced::Nobody, referred_by: None }
    }

    fn check(by: &LegKind, rule: TransferRule, asked: &Asked, expected: Result<&str, u16>) {
        let policy = TransferPolicy { rule, users: vec!["6??".to_owned()] };
        let named = |trunk: &str, user: &str| trunk == "pbx" && (user == "600" || policy.names(user));
        let kind = judge(by, asked, Some(&policy), |user| user == "1002", named);
        let words = kind.as_ref().map(|kind| format!("{}:{}", kind.code(), kind.peer()));
        assert_eq!(words.as_deref().map_err(|status| **status), expected, "{by:?} {rule:?} {asked:?}");
    }

    #[test]
    fn a_transfer_leads_to_colleagues_and_users_of_the_same_pbx_and_never_outside() {
        use TransferRule::{Agents, Off, Trunk};
        let phone = LegKind::Agent { extension: "1001".to_owned() };
        let pbx = LegKind::Trunk { trunk: TrunkId("pbx".to_owned()), uri: "600".to_owned() };
        // An agent's own phone: whatever it may dial.
        check(&phone, Off, &asked("1002", true, &[]), Ok("agent:1002"));
        check(&phone, Trunk, &asked("1009", true, &[]), Err(404));
        check(&phone, Trunk, &asked("1002", false, &[]), Err(403));
        check(&phone, Trunk, &asked("601", false, &["pbx"]), Err(403));
        // A PBX, by its trunk's rule.
        check(&pbx, Off, &asked("601", false, &["pbx"]), Err(403));
        check(&pbx, Agents, &asked("1002", true, &[]), Ok("agent:1002"));
        check(&pbx, Agents, &asked("601", false, &["pbx"]), Err(403));
        check(&pbx, Trunk, &asked("601", false, &["other", "pbx"]), Ok("trunk:601"));
        check(&pbx, Trunk, &asked("600", true, &[]), Ok("trunk:600"));
        for outside in ["+979123456789", "00979123456789", "0899123456", "701", "6001", "112", ""] {
            check(&pbx, Trunk, &asked(outside, true, &["pbx"]), Err(403));
        }
        check(&pbx, Trunk, &asked("601", false, &["other"]), Err(403));
        check(&pbx, Trunk, &asked("601", false, &[]), Err(403));
        check(&LegKind::Browser, Trunk, &asked("1002", true, &["pbx"]), Err(403));
    }
}
