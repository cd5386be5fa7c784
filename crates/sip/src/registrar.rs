//! The registrar: who is where, proven by digest, until when (RFC 3261 §10.3).
//!
//! A binding remembers the flow its REGISTER came by. Calls go back over that flow, whatever address the phone
//! wrote into its contact: behind NAT there is no other way.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::digest::Denied;
use crate::endpoint::layer::{Owner, ServerId};
use crate::endpoint::{Binding, Endpoint, Flow, Refusal, SipEvent, UnboundWhy};
use crate::message::{HeaderName, Request, Response};
use crate::timer::Timer;
use crate::uri::Uri;
use crate::values::{Contacts, NameAddr};

/// Contacts in one REGISTER.
const MAX_CONTACTS: usize = 10;

#[derive(Debug)]
struct Entry {
    id: u64,
    binding: Binding,
    /// `+sip.instance`: one phone, whatever address it has today (RFC 5626 §4.1).
    instance: Option<String>,
    call_id: String,
    cseq: u32,
}

/// Bindings by account.
#[derive(Debug)]
pub(crate) struct Registrar {
    users: BTreeMap<String, Vec<Entry>>,
    owners: BTreeMap<u64, String>,
}

impl Registrar {
    pub(crate) fn new() -> Self {
        Self { users: BTreeMap::new(), owners: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn bindings(&self, user: &str) -> Vec<Binding> {
        let entries = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        entries.iter().rev().map(|entry| entry.binding.clone()).collect()
    }

    fn remove(&mut self, id: u64) -> Option<(String, Entry)> {
        let user = self.owners.remove(&id)?;
        let entries = self.users.get_mut(&user)?;
        let at = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.remove(at);
        if entries.is_empty() {
            self.users.remove(&user);
        }
        Some((user, entry))
    }

    /// The binding of this contact: the same phone by its instance, else an equal address.
    fn find(&self, user: &str, contact: &NameAddr) -> Option<&Entry> {
        let instance = instance_of(contact);
        self.users.get(user)?.iter().find(|entry| {
            entry.binding.contact.equivalent(&contact.uri) || (instance.is_some() && entry.instance == instance)
        })
    }

    fn ids(&self, keep: impl Fn(&str, &Entry) -> bool) -> Vec<u64> {
        let all = self.users.iter().flat_map(|(user, entries)| entries.iter().map(move |entry| (user, entry)));
        all.filter(|(user, entry)| keep(user, entry)).map(|(_, entry)| entry.id).collect()
    }
}

fn instance_of(contact: &NameAddr) -> Option<String> {
    contact.params.get("+sip.instance").map(str::to_owned)
}

/// One wish of a REGISTER.
struct Wish {
    contact: NameAddr,
    /// Zero: take it back.
    lasting: Duration,
}

/// What a REGISTER asks for (§10.3 steps 6 and 7).
enum Wishes {
    /// Nothing: tell what there is.
    Query,
    RemoveAll,
    Change(Vec<Wish>),
}

/// Why a REGISTER is refused.
enum No {
    BadRequest(&'static str),
    TooBrief,
}

impl Endpoint {
    pub(crate) fn handle_register(&mut self, server: ServerId, request: &Request, flow: Flow, now: Instant) {
        // §10.3: an address of record is a SIP address; nobody else's password is asked for one that is none.
        let aor = match request.to() {
            Ok(to) if to.uri.is_sip() && request.uri.is_sip() => to.uri,
            Ok(_) | Err(_) => {
                return self.refuse_register(server, &No::BadRequest("To is no SIP address"), flow, now);
            }
        };
        let wishes = match self.wishes(request) {
            Ok(wishes) => wishes,
            Err(no) => return self.refuse_register(server, &no, flow, now),
        };
        let user = match self.authenticate(server, request, flow, now) {
            Ok(user) => user,
            Err(why) => return self.layer.refuse(why, flow),
        };
        // §10.3 step 4: an account registers itself and nobody else.
        if aor.user_decoded().as_deref() != Some(user.as_str()) {
            self.layer.respond_status(server, 403, "Forbidden", now);
            return self.layer.refuse(Refusal::Forbidden, flow);
        }
        let done = match wishes {
            Wishes::Query => true,
            Wishes::RemoveAll => {
                for id in self.registrar.ids(|owner, _| owner == user) {
                    self.unbind(id, UnboundWhy::Removed);
                }
                true
            }
            Wishes::Change(wishes) => self.apply(&user, wishes, request, server, flow, now),
        };
        if done {
            let response = self.registered(&user, request, now);
            self.layer.respond(server, response, now);
        }
    }

    fn refuse_register(&mut self, server: ServerId, no: &No, flow: Flow, now: Instant) {
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let (response, why) = match no {
            No::BadRequest(why) => (request.reply(400, &format!("Bad Request: {why}")), Refusal::NotAcceptable(400)),
            No::TooBrief => {
                let mut response = request.reply(423, "Interval Too Brief");
                let seconds = self.layer.config.min_expires.as_secs().to_string();
                response.headers.push(HeaderName::MinExpires, &seconds);
                (response, Refusal::TooBrief)
            }
        };
        self.layer.respond(server, response, now);
        self.layer.refuse(why, flow);
    }

    fn wishes(&self, request: &Request) -> Result<Wishes, No> {
        let (min, max) = (self.layer.config.min_expires, self.layer.config.max_expires);
        let common: Option<u32> = request.headers.number(&HeaderName::Expires);
        let list = match request.contacts() {
            Err(_) => return Err(No::BadRequest("Contact")),
            Ok(Contacts::Star) if common == Some(0) => return Ok(Wishes::RemoveAll),
            // §10.3 step 6
            Ok(Contacts::Star) => return Err(No::BadRequest("Contact * without Expires 0")),
            Ok(Contacts::List(list)) if list.is_empty() => return Ok(Wishes::Query),
            Ok(Contacts::List(list)) if list.len() > MAX_CONTACTS => {
                return Err(No::BadRequest("too many contacts"));
            }
            Ok(Contacts::List(list)) => list,
        };
        let mut wishes = Vec::with_capacity(list.len());
        for contact in list {
            if !contact.uri.is_sip() {
                return Err(No::BadRequest("Contact is no SIP address"));
            }
            let asked = contact.expires_s().or(common);
            let lasting = asked.map_or(max, |seconds| Duration::from_secs(u64::from(seconds)));
            // §10.3 step 7: a wish below the minimum is refused, a higher one shortened.
            if !lasting.is_zero() && lasting < min {
                return Err(No::TooBrief);
            }
            wishes.push(Wish { contact, lasting: lasting.min(max) });
        }
        Ok(Wishes::Change(wishes))
    }

    /// All of it or nothing (§10.3 step 7). `false`: it was refused and answered.
    fn apply(
        &mut self,
        user: &str,
        wishes: Vec<Wish>,
        request: &Request,
        server: ServerId,
        flow: Flow,
        now: Instant,
    ) -> bool {
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        let late = wishes.iter().any(|wish| {
            let entry = self.registrar.find(user, &wish.contact);
            entry.is_some_and(|entry| entry.call_id == call_id && cseq <= entry.cseq)
        });
        if late {
            self.layer.respond_status(server, 500, "Out of Order", now);
            self.layer.refuse(Refusal::OutOfOrder, flow);
            return false;
        }
        let fresh = wishes
            .iter()
            .filter(|wish| !wish.lasting.is_zero() && self.registrar.find(user, &wish.contact).is_none())
            .count();
        if self.registrar.len() + fresh > self.layer.config.max_bindings {
            let mut response = request.reply(503, "Service Unavailable");
            response.headers.push(HeaderName::RetryAfter, "60");
            self.layer.respond(server, response, now);
            self.layer.refuse(Refusal::TooManyBindings, flow);
            return false;
        }
        for wish in wishes {
            let known = self.registrar.find(user, &wish.contact).map(|entry| entry.id);
            if wish.lasting.is_zero() {
                if let Some(id) = known {
                    self.unbind(id, UnboundWhy::Removed);
                }
            } else {
                self.bind(user, wish, known, (&call_id, cseq), request, flow, now);
            }
        }
        true
    }

    #[expect(clippy::too_many_arguments, reason = "one binding and where it comes from")]
    fn bind(
        &mut self,
        user: &str,
        wish: Wish,
        known: Option<u64>,
        (call_id, cseq): (&str, u32),
        request: &Request,
        flow: Flow,
        now: Instant,
    ) {
        let Some(target) = self.layer.target_of(flow) else {
            return;
        };
        let expires_at = now + wish.lasting;
        let user_agent = request.headers.get(&HeaderName::UserAgent);
        let binding = Binding {
            contact: bare(&wish.contact.uri),
            flow,
            target,
            expires_at,
            user_agent: user_agent.map(|text| crate::headers::clean(text, 128)),
        };
        let id = known.unwrap_or_else(|| self.layer.next_id());
        if known.is_none() {
            self.make_room(user);
        } else {
            self.release(id);
        }
        *self.layer.phones.entry(flow).or_default() += 1;
        let entry = Entry {
            id,
            binding: binding.clone(),
            instance: instance_of(&wish.contact),
            call_id: call_id.to_owned(),
            cseq,
        };
        self.registrar.users.entry(user.to_owned()).or_default().push(entry);
        self.registrar.owners.insert(id, user.to_owned());
        self.layer.timers.set(Owner::Binding(id), Timer::Binding, expires_at);
        if known.is_none() {
            self.layer.report(SipEvent::Bound { user: user.to_owned(), binding: Box::new(binding) });
        }
    }

    /// A phone that comes back with a new address each time leaves old bindings behind: the oldest goes.
    fn make_room(&mut self, user: &str) {
        let limit = self.layer.config.max_bindings_per_user.max(1);
        let full = self.registrar.users.get(user).is_some_and(|entries| entries.len() >= limit);
        let oldest = self.registrar.users.get(user).and_then(|entries| entries.first()).map(|entry| entry.id);
        if let (true, Some(oldest)) = (full, oldest) {
            self.unbind(oldest, UnboundWhy::Lapsed);
        }
    }

    /// 200 with every binding and what is left of it (§10.3 step 8).
    fn registered(&self, user: &str, request: &Request, now: Instant) -> Response {
        let mut response = request.reply(200, "OK");
        for binding in self.registrar.bindings(user) {
            let left = binding.expires_at.saturating_duration_since(now).as_secs();
            let mut contact = NameAddr::new(binding.contact);
            contact.params.set("expires", Some(&left.to_string()));
            response.headers.push(HeaderName::Contact, &contact.to_string());
        }
        response
    }

    fn release(&mut self, id: u64) -> Option<(String, Entry)> {
        let (user, entry) = self.registrar.remove(id)?;
        let flow = entry.binding.flow;
        let left = self.layer.phones.get_mut(&flow).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            self.layer.phones.remove(&flow);
        }
        Some((user, entry))
    }

    fn unbind(&mut self, id: u64, why: UnboundWhy) {
        if let Some((user, _)) = self.release(id) {
            self.layer.timers.cancel_all(Owner::Binding(id));
            self.layer.report(SipEvent::Unbound { user, why });
        }
    }

    pub(crate) fn binding_lapsed(&mut self, id: u64) {
        self.unbind(id, UnboundWhy::Lapsed);
    }

    /// The connection of these phones closed: nothing reaches them until they register again.
    pub(crate) fn unbind_flow(&mut self, flow: Flow) {
        for id in self.registrar.ids(|_, entry| entry.binding.flow == flow) {
            self.unbind(id, UnboundWhy::ConnectionLost);
        }
    }

    /// After a change of accounts.
    pub(crate) fn unbind_strangers(&mut self) {
        let accounts = &self.accounts;
        for id in self.registrar.ids(|user, _| !accounts.contains_key(user)) {
            self.unbind(id, UnboundWhy::AccountRemoved);
        }
    }

    /// Who sent an INVITE: a trunk by its address, an account by its password, nobody else.
    pub(crate) fn authenticate_caller(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: Flow,
        now: Instant,
    ) -> Result<Option<String>, Refusal> {
        if self.trunks.contains(&flow.remote.ip()) {
            // A phone on a trunk's machine may still prove itself as an account.
            let verified = request.headers.get(&HeaderName::Authorization).is_some();
            return Ok(if verified { self.verify(request, now).ok() } else { None });
        }
        self.authenticate(server, request, flow, now).map(Some)
    }

    /// The account a request proves, or a challenge (§22.2, §22.4). It leaves no state and is not sent again: an address
    /// that has proven nothing gets one answer for one request (§26.3.2.4).
    fn authenticate(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: Flow,
        now: Instant,
    ) -> Result<String, Refusal> {
        let (known, ip) = (self.is_known(flow), flow.remote.ip());
        let denied = match self.verify(request, now) {
            Ok(user) => {
                self.layer.guard.proven(ip, now);
                return Ok(user);
            }
            Err(denied) => denied,
        };
        let stale = match denied {
            Denied::Stale | Denied::Replay => true,
            // Unknown users and wrong passwords look the same from outside (SECURITY S15).
            Denied::Missing | Denied::Wrong | Denied::Malformed => false,
        };
        self.layer.drop_server(server);
        if matches!(denied, Denied::Wrong | Denied::Malformed) && !known && self.layer.guard.disproven(ip, now) {
            return Err(Refusal::Barred);
        }
        let mut response = request.reply(401, "Unauthorized");
        let realm = self.layer.config.realm.clone();
        for challenge in self.nonces.challenge(&realm, &self.layer.config.algorithms, stale, now) {
            response.headers.push(HeaderName::WwwAuthenticate, &challenge);
        }
        self.layer.reply_stateless(request, response, flow);
        Err(Refusal::Unauthenticated)
    }

    fn verify(&mut self, request: &Request, now: Instant) -> Result<String, Denied> {
        let accounts = &self.accounts;
        self.nonces.verify(
            &request.headers,
            false,
            &request.method,
            &request.uri,
            &self.layer.config.realm,
            |user| accounts.get(user),
            now,
        )
    }
}

/// What of a contact serves as a Request-URI: no headers, no method (§19.1.1).
fn bare(uri: &Uri) -> Uri {
    let mut uri = uri.clone();
    uri.headers = None;
    uri.params.remove("method");
    uri
}
