//! A registration we keep up at somebody else's registrar (RFC 3261 §10.2), for ever: whatever the registrar
//! answers, there is a next try, later each time and jittered.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rand::Rng;

use crate::endpoint::layer::{Answer, ClientId, Outcome, Owner, User};
use crate::endpoint::{Endpoint, Flow, RegistrationConfig, RegistrationRef, RegistrationState, SipEvent, compose};
use crate::error::Failure;
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::values::{Contacts, NameAddr};

/// Challenges answered before a REGISTER counts as refused.
const MAX_CHALLENGES: u8 = 3;
/// First wait after a failure that may pass by itself; doubles.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait after such a failure: a PBX that comes back sees us within this time.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// First wait after a refusal that a person has to mend (wrong password, unknown user); doubles.
const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// Longest wait after such a refusal (RFC 5626 §4.5).
const REFUSED_RETRY_MAX: Duration = Duration::from_secs(1_800);
/// Shortest registration we believe; a registrar that grants less would be asked without pause.
const SHORTEST: Duration = Duration::from_secs(10);

/// One registration.
#[derive(Debug)]
pub(crate) struct Registration {
    config: RegistrationConfig,
    flow: Flow,
    /// Kept over all REGISTERs, with a rising CSeq (§10.2).
    call_id: String,
    from_tag: String,
    cseq: u32,
    contact: NameAddr,
    /// What we ask for: the wish, or what the registrar called its minimum (§10.2.8).
    expires_s: u32,
    client: Option<ClientId>,
    challenges: u8,
    /// Failures in a row.
    failures: u32,
    /// Being taken back.
    leaving: bool,
}

impl Endpoint {
    pub(crate) fn start_registration(&mut self, config: RegistrationConfig, now: Instant) -> RegistrationRef {
        let id = RegistrationRef(self.layer.next_id());
        let flow = self.layer.flow_to(&config.target).or_else(|_| {
            let mut target = config.target;
            target.local = config.local;
            self.layer.flow_to(&target)
        });
        let Ok(flow) = flow else {
            let state = RegistrationState::Failed {
                status: 503,
                text: "no such local address for this transport".into(),
                retry_at: now + REFUSED_RETRY_MAX,
            };
            self.layer.report(SipEvent::Registration { registration: id, state });
            return id;
        };
        let contact = self.layer.contact(config.aor.user.as_deref(), flow);
        let registration = Registration {
            expires_s: config.expires_s,
            config,
            flow,
            call_id: self.layer.long_token(),
            from_tag: self.layer.token(),
            cseq: 0,
            contact,
            client: None,
            challenges: 0,
            failures: 0,
            leaving: false,
        };
        self.registrations.insert(id, registration);
        self.layer.report(SipEvent::Registration { registration: id, state: RegistrationState::Trying });
        self.send_register(id, now);
        id
    }

    pub(crate) fn end_registration(&mut self, id: RegistrationRef, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id).filter(|registration| !registration.leaving) else {
            return;
        };
        registration.leaving = true;
        if let Some(client) = registration.client.take() {
            self.layer.drop_client(client);
        }
        self.layer.timers.cancel_all(Owner::Registration(id));
        self.send_register(id, now);
    }

    fn send_register(&mut self, id: RegistrationRef, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.cseq = registration.cseq.saturating_add(1);
        registration.challenges = 0;
        let request = registration.request();
        self.put_register(id, request, now);
    }

    fn put_register(&mut self, id: RegistrationRef, request: Request, now: Instant) {
        let Some(flow) = self.registrations.get(&id).map(|registration| registration.flow) else {
            return;
        };
        let client = self.layer.request(request, flow, User::Registration(id), now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.client = Some(client);
        }
    }

    /// Our REGISTER was answered, or not.
    pub(crate) fn handle_register_outcome(&mut self, id: RegistrationRef, outcome: Outcome, now: Instant) {
        let current =
            self.registrations.get(&id).is_some_and(|registration| registration.client == Some(outcome.client));
        if !current {
            return;
        }
        let response = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => response,
            Answer::TimedOut(timer) => return self.register_failed(id, &Failure::timed_out(timer), now),
            Answer::Broken => return self.register_failed(id, &Failure::transport(), now),
        };
        match response.status {
            200..=299 => self.register_granted(id, &response, now),
            401 | 407 => {
                self.register_challenged(id, outcome.challenged.map(|sent| sent.0), &response, outcome.flow, now)
            }
            423 => self.register_too_brief(id, &response, now),
            _ => self.register_failed(id, &Failure::from_response(&response), now),
        }
    }

    fn register_granted(&mut self, id: RegistrationRef, response: &Response, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.client = None;
        registration.failures = 0;
        if registration.leaving {
            return self.registration_gone(id);
        }
        let granted = registration.granted(response).max(SHORTEST);
        // Renewed at about three quarters, never all trunks at once.
        let part: f64 = self.layer.rng.random_range(0.70..0.85);
        let owner = Owner::Registration(id);
        self.layer.timers.set(owner, Timer::Refresh, now + granted.mul_f64(part));
        self.layer.report(SipEvent::Registration {
            registration: id,
            state: RegistrationState::Registered { until: now + granted },
        });
    }

    fn register_challenged(
        &mut self,
        id: RegistrationRef,
        sent: Option<Request>,
        response: &Response,
        flow: Flow,
        now: Instant,
    ) {
        let cnonce = self.layer.long_token();
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        // SECURITY S7: the password is for the registrar's address and for nobody else.
        let same_host = flow.remote.ip() == registration.flow.remote.ip();
        if let (Some(mut request), Some(credentials)) = (sent, &registration.config.credentials)
            && same_host
            && registration.challenges < MAX_CHALLENGES
            && let Some(cseq) = compose::prove(&mut request, response, credentials, &cnonce)
        {
            registration.challenges += 1;
            registration.cseq = cseq;
            return self.put_register(id, request, now);
        }
        self.register_failed(id, &Failure::from_response(response), now);
    }

    /// §10.2.8: asked again with the registrar's minimum.
    fn register_too_brief(&mut self, id: RegistrationRef, response: &Response, now: Instant) {
        let minimum: Option<u32> = response.headers.number(&HeaderName::MinExpires);
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match minimum {
            Some(minimum) if minimum > registration.expires_s && !registration.leaving => {
                registration.expires_s = minimum.min(86_400);
                self.send_register(id, now);
            }
            Some(_) | None => self.register_failed(id, &Failure::from_response(response), now),
        }
    }

    fn register_failed(&mut self, id: RegistrationRef, failure: &Failure, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.client = None;
        if registration.leaving {
            return self.registration_gone(id);
        }
        let (first, longest) =
            if needs_a_person(failure.status) { (REFUSED_RETRY, REFUSED_RETRY_MAX) } else { (RETRY, RETRY_MAX) };
        let wait = first.saturating_mul(1 << registration.failures.min(16)).min(longest);
        registration.failures = registration.failures.saturating_add(1);
        // Half to whole, so that a hundred gateways do not come back in step.
        let part: f64 = self.layer.rng.random_range(0.5..=1.0);
        let wait = wait.mul_f64(part).max(failure.retry_after.unwrap_or_default());
        let retry_at = now + wait;
        self.layer.timers.set(Owner::Registration(id), Timer::RegisterRetry, retry_at);
        self.layer.report(SipEvent::Registration {
            registration: id,
            state: RegistrationState::Failed { status: failure.status, text: failure.phrase.clone(), retry_at },
        });
    }

    fn registration_gone(&mut self, id: RegistrationRef) {
        self.registrations.remove(&id);
        self.layer.timers.cancel_all(Owner::Registration(id));
        self.layer.report(SipEvent::Registration { registration: id, state: RegistrationState::Unregistered });
    }

    /// Time to renew, or to try again.
    pub(crate) fn fire_registration(&mut self, id: RegistrationRef, now: Instant) {
        let idle = self.registrations.get(&id).is_some_and(|registration| registration.client.is_none());
        if idle {
            self.send_register(id, now);
        }
    }

    /// The application wants it renewed now.
    pub(crate) fn renew_registration(&mut self, id: RegistrationRef, now: Instant) {
        let idle = |registration: &Registration| registration.client.is_none() && !registration.leaving;
        if self.registrations.get(&id).is_some_and(idle) {
            self.layer.timers.cancel_all(Owner::Registration(id));
            self.send_register(id, now);
        }
    }

    /// A stream the registrar reaches us by closed: registered anew, soon.
    pub(crate) fn registration_flow_lost(&mut self, flow: Flow, now: Instant) {
        let lost: Vec<RegistrationRef> = self
            .registrations
            .iter()
            .filter(|(_, registration)| registration.flow == flow && registration.client.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            let retrying = self.registrations.get(&id).is_some_and(|registration| registration.failures > 0);
            if !retrying {
                let wait = RETRY.mul_f64(self.layer.rng.random_range(0.5..=1.0));
                self.layer.timers.set(Owner::Registration(id), Timer::RegisterRetry, now + wait);
            }
        }
    }

    pub(crate) fn registrations_use(&self, flow: Flow) -> bool {
        self.registrations.values().any(|registration| registration.flow == flow)
    }
}

impl Registration {
    fn request(&self) -> Request {
        let mut request = Request::new(Method::Register, self.config.registrar.clone());
        let aor = NameAddr::new(self.config.aor.clone());
        let mut from = aor.clone();
        from.set_tag(&self.from_tag);
        let expires_s = if self.leaving { 0 } else { self.expires_s };
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &from.to_string());
        headers.push(HeaderName::To, &aor.to_string());
        headers.push(HeaderName::CallId, &self.call_id);
        headers.push(HeaderName::CSeq, &format!("{} REGISTER", self.cseq));
        headers.push(HeaderName::Contact, &self.contact.to_string());
        headers.push(HeaderName::Expires, &expires_s.to_string());
        headers.push(HeaderName::Allow, compose::ALLOW);
        request
    }

    /// What the registrar granted: our own contact's parameter, else Expires, else what we asked for
    /// (§10.2.4).
    fn granted(&self, response: &Response) -> Duration {
        let contacts = match response.contacts() {
            Ok(Contacts::List(list)) => list,
            Ok(Contacts::Star) | Err(_) => Vec::new(),
        };
        let ours = &self.contact.uri;
        let same = |contact: &&NameAddr| {
            contact.uri.user == ours.user
                && contact.uri.host.equivalent(&ours.host)
                && contact.uri.port_or_default() == ours.port_or_default()
        };
        let own = contacts.iter().find(same).and_then(NameAddr::expires_s);
        let lone = if contacts.len() == 1 { contacts.first().and_then(NameAddr::expires_s) } else { None };
        let common = response.headers.number(&HeaderName::Expires);
        let seconds = own.or(lone).or(common).unwrap_or(self.expires_s);
        Duration::from_secs(u64::from(seconds.min(86_400)))
    }
}

/// Refusals that pass by themselves only when somebody changes a setting.
fn needs_a_person(status: u16) -> bool {
    matches!(status, 400..=407 | 410..=423 | 600..=699)
}
