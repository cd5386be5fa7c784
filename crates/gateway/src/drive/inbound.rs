//! Calls that phones make to us: a registered agent dials the echo, a colleague or a queue's agents.

use std::sync::Arc;

use desk::Refusal;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use crate::drive::call::{CallInput, start_inbound};
use crate::drive::sip::{Incoming, LegSink, SipHandle};
use crate::drive::web::Standing;
use crate::observe::metric::{self, Metric};
use call::{HangupCause, LegId};

/// Runs until the SIP driver ends. Of the tenants the first whose desk knows both ends takes the call.
pub(crate) async fn run(
    standing: watch::Receiver<Arc<Standing>>,
    sip: SipHandle,
    mut incoming: mpsc::Receiver<Incoming>,
) {
    while let Some(invite) = incoming.recv().await {
        let (leg, user) = (invite.leg, invite.user.clone());
        let Some(caller) = invite.account.clone() else {
            metric::count_with(Metric::TalksRefused, "trunk-inbound");
            debug!(user, "a trunk's call is refused: inbound routes are not configured");
            refuse(&sip, invite, HangupCause::NotFound);
            continue;
        };
        let mut answer = Err(Refusal::UnknownAgent);
        let now = Arc::clone(&standing.borrow());
        for door in now.tenants.values() {
            let judged = door.context.desk.dial(caller.clone(), user.clone()).await;
            answer = judged.map(|(spec, config)| (door.context.by(config), spec));
            if !matches!(answer, Err(Refusal::UnknownAgent)) {
                break;
            }
        }
        match answer {
            Ok((context, spec)) => {
                let id = spec.id;
                if let Err(error) = start_inbound(context.clone(), spec, invite) {
                    warn!(leg = leg.0, %error, "an agent's call could not start");
                    context.desk.forget(id).await;
                    sip.hang_up(leg, HangupCause::Overload);
                }
            }
            Err(refusal) => {
                info!(agent = caller, refusal = refusal.counter(), "an agent's call is refused");
                let cause = match refusal {
                    Refusal::UnknownAgent | Refusal::UnknownQueue => HangupCause::NotFound,
                    Refusal::NoAgent | Refusal::AgentBusy | Refusal::Closed => HangupCause::NoAgent,
                    Refusal::TooMany(_) => HangupCause::Overload,
                };
                refuse(&sip, invite, cause);
            }
        }
    }
}

/// A leg nobody takes: its last word has no listener and needs none.
fn refuse(sip: &SipHandle, invite: Incoming, cause: HangupCause) {
    let (inbox, _nobody) = mpsc::channel::<CallInput>(1);
    let _no_listener_needed = sip.adopt(invite.leg, LegSink { inbox, leg: LegId::FIRST });
    sip.hang_up(invite.leg, cause);
}
