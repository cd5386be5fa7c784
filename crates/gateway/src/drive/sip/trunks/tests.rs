//! Trunks against an endpoint whose packets are looked at: ways, failover, caps, and what the administrator reads.

use sip::endpoint::{EndpointConfig, Local};
use sip::message::{HeaderName, Message, Request};
use sip::wire::{Limits, parse_datagram};

use super::*;
use crate::config;
use crate::drive::sip::dns::Found;

struct Bench {
    trunks: Trunks,
    endpoint: Endpoint,
}

const LOCAL: &str = "192.0.2.1:5060";

impl Bench {
    /// One trunk `pbx` with these lines, found at .5 and, with lower priority, at .6.
    fn new(lines: &str) -> Self {
        let bound: Vec<(Transport, SocketAddr)> = vec![(Transport::Udp, LOCAL.parse().unwrap())];
        let local = Local { transport: Transport::Udp, bound: bound[0].1, advertised: None };
        let endpoint = Endpoint::new(EndpointConfig::new(vec![local], "gw.test", 1), clock::now());
        let mut bench = Self { trunks: Trunks::new(Self::configured(lines), bound), endpoint };
        bench.find(&[("192.0.2.5:5060", 1), ("192.0.2.6:5060", 2)], None);
        bench
    }

    /// The trunks of a configuration whose first is `pbx` with these lines.
    fn configured(lines: &str) -> Vec<Arc<Trunk>> {
        let text = format!(
            "[store]\nurl = \"memory:\"\n[[trunk]]\nname = \"pbx\"\n{lines}\n[[tenant]]\nid = \"shop\"\n\
             origins = [\"https://shop.example\"]\n[[queue]]\nid = \"sales\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n"
        );
        let name = format!("passerelle-trunks-{}-{:x}.toml", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let examined = config::examine(&path);
        std::fs::remove_file(&path).unwrap();
        let problems = format!("{:?}", examined.problems);
        let config = examined.into_config().map_err(|_| problems).unwrap();
        config.trunks.into_iter().map(Arc::new).collect()
    }

    fn find(&mut self, at: &[(&str, u16)], trouble: Option<&str>) {
        let candidate = |(address, priority): &(&str, u16)| Candidate {
            priority: (*priority, 0),
            weight: 1,
            transport: Transport::Udp,
            address: address.parse().unwrap(),
        };
        let candidates = at.iter().map(candidate).collect();
        let found = Found { trunk: 0, candidates, trouble: trouble.map(str::to_owned) };
        self.trunks.found(found, &mut self.endpoint);
    }

    fn trunk(&self) -> Arc<Trunk> {
        Arc::clone(&self.trunks.entries()[0].trunk)
    }

    fn way(&self, tried: Vec<Candidate>) -> Result<Way, (HangupCause, String)> {
        self.trunks.way((&self.trunk(), "600"), tried, None, "gw.test")
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Request)> {
        let sent = std::iter::from_fn(|| self.endpoint.poll_transmit());
        sent.map(|sent| match parse_datagram(&sent.bytes, &Limits::default()).unwrap() {
            Message::Request(request) => (sent.flow.remote, request),
            Message::Response(response) => panic!("{response:?}"),
        })
        .collect()
    }

    fn told(&self) -> (bool, String) {
        let report = report::all(&self.trunks.entries()).remove(0);
        (report.ok, report.detail)
    }
}

#[test]
fn a_silent_target_is_followed_by_the_next_and_both_by_a_refusal() {
    let mut bench = Bench::new("uri = \"sip:192.0.2.5\"\noptions_interval_s = 0");
    let first = bench.way(Vec::new()).unwrap();
    assert_eq!(
        (first.uri.to_string(), first.target.address.to_string()),
        ("sip:600@192.0.2.5".into(), "192.0.2.5:5060".into())
    );
    let route = first.route.unwrap();
    assert!(bench.trunks.has_another(&route));
    bench.trunks.heard(&route, &News::Failed, "no answer to INVITE", &mut bench.endpoint);
    // RFC 3263 names a domain; a PBX named by its address does not answer for its neighbour's.
    let second = bench.way(route.all()).unwrap();
    assert_eq!(second.uri.to_string(), "sip:600@192.0.2.6");
    let second = second.route.unwrap();
    assert!(!bench.trunks.has_another(&second));
    assert!(matches!(bench.way(second.all()), Err((HangupCause::Unreachable, _))));
    for route in [&route, &second, &second] {
        bench.trunks.heard(route, &News::Failed, "no answer to INVITE", &mut bench.endpoint);
    }
    let Err((cause, why)) = bench.way(Vec::new()) else { panic!("all are down") };
    assert_eq!(cause, HangupCause::Unreachable);
    assert!(why.contains("is down") && why.contains("check that the PBX runs"), "{why}");
    assert!(!bench.trunks.takes_calls("pbx"));
    let (ok, told) = bench.told();
    assert!(!ok && told.starts_with("down since ") && told.contains("last error: no answer to INVITE"), "{told}");
}

#[test]
fn a_plan_keeps_its_target_and_a_dead_target_no_plan() {
    let mut bench = Bench::new("uri = \"sip:pbx.test\"\noptions_interval_s = 0");
    let planned = Target { transport: Transport::Udp, address: "192.0.2.6:5060".parse().unwrap(), local: 0 };
    let way = bench.trunks.way((&bench.trunk(), "600"), Vec::new(), Some(&planned), "gw.test").unwrap();
    assert_eq!((way.uri.to_string(), way.target), ("sip:600@pbx.test".into(), planned));
    let route = way.route.unwrap();
    for _ in 0..2 {
        bench.trunks.heard(&route, &News::Failed, "silent", &mut bench.endpoint);
    }
    assert!(bench.trunks.way((&bench.trunk(), "600"), Vec::new(), Some(&planned), "gw.test").is_err());
    assert!(bench.way(Vec::new()).is_ok(), "the other lives");
}

#[test]
fn caps_refuse_with_a_word_and_give_back_what_ends() {
    let mut bench = Bench::new("uri = \"sip:pbx.test\"\noptions_interval_s = 0\ncalls_max = 1");
    let route = bench.way(Vec::new()).unwrap().route.unwrap();
    bench.trunks.begin(&route);
    assert!(matches!(bench.way(Vec::new()), Err((HangupCause::Overload, _))));
    assert!(!bench.trunks.takes_calls("pbx"));
    assert!(bench.told().1.contains("1 calls"), "{:?}", bench.told());
    bench.trunks.end(&route);
    assert!(bench.way(Vec::new()).is_ok() && bench.trunks.takes_calls("pbx"));
}

#[test]
fn a_registration_stays_moves_when_its_target_is_dead_and_says_why_it_fails() {
    let mut bench = Bench::new(
        "uri = \"sip:pbx.test\"\noptions_interval_s = 0\nregister = true\nusername = \"gw\"\nrealm = \"pbx\"\n\
         password_env = \"PATH\"",
    );
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].0.to_string()), (1, "192.0.2.5:5060".to_owned()));
    assert_eq!(bench.way(Vec::new()).unwrap().credentials.unwrap().realm.as_deref(), Some("pbx"));
    // DNS turns its answers round: nothing moves. It drops the target: the registration goes with it.
    bench.find(&[("192.0.2.6:5060", 1), ("192.0.2.5:5060", 1)], None);
    assert!(bench.sent().is_empty());
    let id = bench.trunks.entries()[0].registration.as_ref().unwrap().id;
    let failed = RegistrationState::Failed { status: 403, text: "Forbidden".into(), retry_at: clock::now() };
    bench.trunks.registration(id, &failed, &mut bench.endpoint);
    let (ok, told) = bench.told();
    assert!(!ok && told.contains("403 Forbidden (check username and password_file"), "{told}");
    assert!(bench.sent().is_empty(), "a wrong password is wrong elsewhere too");
    let silent = RegistrationState::Failed { status: 408, text: "No answer".into(), retry_at: clock::now() };
    bench.trunks.registration(id, &silent, &mut bench.endpoint);
    let sent = bench.sent();
    let there: Vec<String> = sent
        .iter()
        .map(|(to, request)| format!("{to} {}", request.headers.get(&HeaderName::Expires).unwrap_or_default()))
        .collect();
    assert_eq!(there, ["192.0.2.5:5060 0", "192.0.2.6:5060 300"], "taken back there, asked for here");
}

#[test]
fn probes_are_sent_and_what_dns_does_not_say_is_told() {
    let mut bench = Bench::new("uri = \"sip:pbx.test\"\noptions_interval_s = 1");
    let until = clock::now() + std::time::Duration::from_secs(20);
    let mut asked = Vec::new();
    while asked.len() < 2 {
        assert!(clock::now() < until, "{asked:?}");
        bench.trunks.handle_timeout(&mut bench.endpoint);
        asked.extend(bench.sent().into_iter().map(|(to, request)| (to.to_string(), request.method.to_string())));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    asked.sort();
    let options = |at: &str| (at.to_owned(), "OPTIONS".to_owned());
    assert_eq!(asked, [options("192.0.2.5:5060"), options("192.0.2.6:5060")]);
    bench.find(&[], Some("DNS answers REFUSED"));
    let (ok, told) = bench.told();
    assert!(!ok && told.contains("DNS answers REFUSED (check the host in `uri`"), "{told}");
    let Err((_, why)) = bench.way(Vec::new()) else { panic!("nowhere to go") };
    assert!(why.contains("DNS answers REFUSED"), "{why}");
}

/// REGISTERs that left, by their Expires.
fn registers(bench: &mut Bench) -> Vec<String> {
    let sent = bench.sent().into_iter().filter(|(_, request)| request.method.as_str() == "REGISTER");
    let expires = |request: &Request| request.headers.get(&HeaderName::Expires).unwrap_or_default().to_owned();
    sent.map(|(_, request)| expires(&request)).collect()
}

const REGISTERED: &str = "uri = \"sip:192.0.2.5\"\noptions_interval_s = 0\nregister = true\nusername = \"gw\"\n\
                          password_env = \"PATH\"";

#[test]
fn another_configuration_of_the_trunks_leaves_alone_what_did_not_change() {
    let mut bench = Bench::new(REGISTERED);
    assert_eq!(registers(&mut bench).len(), 1);
    let id = bench.trunks.entries()[0].registration.as_ref().unwrap().id;
    let route = bench.way(Vec::new()).unwrap().route.unwrap();
    bench.trunks.heard(&route, &News::Failed, "no answer to INVITE", &mut bench.endpoint);
    let same = bench.trunk();
    let other =
        Bench::configured("uri = \"sip:192.0.2.9\"\n[[trunk]]\nname = \"b\"\nuri = \"sip:192.0.2.8\"").remove(1);
    let moves = bench.trunks.change(vec![Arc::clone(&other), Arc::clone(&same)], &mut bench.endpoint);
    assert_eq!((moves.follow.len(), moves.leave.len()), (1, 0));
    assert_eq!(registers(&mut bench), [""; 0], "its registration is not repeated");
    let names: Vec<&str> = bench.trunks.entries().iter().map(|entry| entry.trunk.name.as_str()).collect();
    assert_eq!(names, ["b", "pbx"], "in the order of the file");
    let kept = bench.trunks.named("pbx").unwrap().1;
    assert_eq!(kept.registration.as_ref().unwrap().id, id);
    assert!(kept.group.members().iter().any(|member| member.health.last_error().is_some()), "its health is kept");
    // Other rules at the same place: they count for the next call, and nobody registers anew.
    let capped = Bench::configured(&format!("{REGISTERED}\ncalls_max = 1")).remove(0);
    bench.trunks.begin(&route);
    assert_eq!(bench.trunks.change(vec![capped, other], &mut bench.endpoint), change::Moves::default());
    assert!(!bench.trunks.takes_calls("pbx"), "the call that is up counts");
    assert_eq!(registers(&mut bench), [""; 0]);
}

#[test]
fn a_trunk_that_is_gone_takes_no_new_call_and_those_of_before_still_find_it() {
    let mut bench = Bench::new(REGISTERED);
    let _first = registers(&mut bench);
    let before = bench.trunk();
    let id = bench.trunks.entries()[0].registration.as_ref().unwrap().id;
    let moves = bench.trunks.change(Vec::new(), &mut bench.endpoint);
    assert_eq!((moves.follow.len(), moves.leave.len()), (0, 1));
    assert!(!bench.trunks.takes_calls("pbx") && bench.trunks.entries().is_empty());
    let way = bench.trunks.way((&before, "600"), Vec::new(), None, "gw.test").unwrap();
    assert_eq!(way.uri.to_string(), "sip:600@192.0.2.5", "a call that was judged before goes its way");
    let stranger = Bench::configured("uri = \"sip:192.0.2.5\"").remove(0);
    assert!(bench.trunks.way((&stranger, "600"), Vec::new(), None, "gw.test").is_err());
    let route = way.route.unwrap();
    bench.trunks.begin(&route);
    drop(before);
    bench.trunks.forget_left();
    assert_eq!(bench.trunks.entries.len(), 1, "its call is up");
    bench.trunks.end(&route);
    bench.trunks.forget_left();
    assert!(bench.trunks.entries.is_empty());
    assert!(!bench.trunks.left(), "its registration is being taken back");
    bench.trunks.registration(id, &RegistrationState::Unregistered, &mut bench.endpoint);
    assert!(bench.trunks.left());
}

#[test]
fn a_trunk_that_registers_as_somebody_else_first_takes_the_old_registration_back() {
    let mut bench = Bench::new(REGISTERED);
    let _first = registers(&mut bench);
    let id = bench.trunks.entries()[0].registration.as_ref().unwrap().id;
    let other = Bench::configured(&REGISTERED.replace("\"gw\"", "\"other\"")).remove(0);
    bench.trunks.change(vec![other], &mut bench.endpoint);
    assert!(bench.trunks.entries()[0].registration.is_none(), "it waits");
    bench.trunks.registration(id, &RegistrationState::Unregistered, &mut bench.endpoint);
    let now = bench.trunks.entries()[0].registration.as_ref().unwrap().id;
    assert_ne!(now, id);
}
