//! A desk and its calls together, in random lives: no agent is rung by two calls, nothing is left at
//! the end.

use rand::rngs::SmallRng;

use super::*;

const SEEDS: u64 = 500;
const PEOPLE: [&str; 3] = ["1001", "1002", "1003"];

struct House {
    rng: SmallRng,
    bench: Bench,
    calls: BTreeMap<CallId, Call>,
    /// By extension: the calls whose leg to it was invited and has neither ended nor been told to.
    ringing: BTreeMap<String, Vec<CallId>>,
}

impl House {
    fn new(seed: u64) -> Self {
        let limits = DeskLimits { live_calls: 50, live_per_address: 50, asks_per_address_per_minute: 10_000 };
        let bench = Bench::new(DeskConfig { limits, ..config() });
        Self { rng: SmallRng::seed_from_u64(seed), bench, calls: BTreeMap::new(), ringing: BTreeMap::new() }
    }

    fn moment(&mut self) -> u32 {
        let someone = PEOPLE[self.rng.random_range(0..PEOPLE.len())];
        let now = self.bench.now;
        let mut started = 0;
        match self.rng.random_range(0..20) {
            0..=3 => {
                let queue = ["support", "page", "echo", "pbx"][self.rng.random_range(0..4)];
                started = self.start(|bench| bench.talk(queue));
            }
            4 => started = self.start(|bench| bench.desk.dial(someone, "1002", bench.now)),
            5 => {
                let seat = if self.rng.random() { Seat::Browser } else { Seat::SipPhone };
                let on = self.rng.random_ratio(3, 4);
                self.bench.desk.agent_seat(someone, seat, on, now);
            }
            6 => {
                let presence = if self.rng.random_ratio(3, 4) { Presence::Ready } else { Presence::Busy };
                self.bench.desk.agent_presence(someone, presence, now);
            }
            7 => self.pass(),
            _ => self.happen(),
        }
        self.drain();
        started
    }

    fn start(&mut self, ask: impl FnOnce(&mut Bench) -> Result<CallSpec, Refusal>) -> u32 {
        let Ok(spec) = ask(&mut self.bench) else { return 0 };
        self.calls.insert(spec.id, Call::new(spec, self.bench.now));
        1
    }

    fn pass(&mut self) {
        let ms = self.rng.random_range(0..15_000);
        self.bench.pass(ms);
        let now = self.bench.now;
        self.calls.values_mut().for_each(|call| call.handle_timeout(now));
    }

    /// Something happens on a leg of some call.
    fn happen(&mut self) {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.rng.random_range(0..ids.len())];
        let leg = LegId(self.rng.random_range(0..4));
        let event = match self.rng.random_range(0..9) {
            0..=1 => LegEvent::Ringing,
            2..=3 => LegEvent::Answered,
            4 => LegEvent::Refused(HangupCause::Busy),
            5 => LegEvent::Gone { cause: HangupCause::Normal },
            6 => LegEvent::MediaUp,
            _ => LegEvent::Ended,
        };
        let now = self.bench.now;
        let Some(call) = self.calls.get_mut(&id) else { return };
        // A leg that was not told to end does not end of itself.
        if event == LegEvent::Ended && call.state() != State::Ending {
            return;
        }
        if matches!(event, LegEvent::Refused(_) | LegEvent::Gone { .. }) {
            free(&mut self.ringing, call, leg);
        }
        call.handle_leg(leg, event, now);
        if call.state() == State::Ending && self.rng.random() {
            call.handle_bridge(BridgeEvent::Closed, now);
        }
    }

    /// As the drivers do, until nobody has anything to say.
    fn drain(&mut self) {
        let now = self.bench.now;
        let mut is_done = false;
        while !std::mem::replace(&mut is_done, true) {
            for (id, call) in &mut self.calls {
                while let Some(command) = call.poll_command() {
                    note(&mut self.ringing, call, command);
                }
                while let Some(event) = call.poll_event() {
                    self.bench.desk.call_event(id, &event, now);
                    is_done = false;
                }
            }
            while let Some(command) = self.bench.desk.poll_command() {
                if let DeskCommand::Withdraw { call, leg } = command
                    && let Some(call) = self.calls.get_mut(&call)
                {
                    call.withdraw(leg);
                }
            }
        }
        self.calls.retain(|_, call| call.state() != State::Ended);
        for extension in PEOPLE {
            let calls = self.ringing.get(extension).map_or(0, Vec::len);
            assert!(calls <= 1, "{extension} is rung by {calls} calls at once");
        }
    }

    fn end(&mut self) {
        let now = self.bench.now;
        self.calls.values_mut().for_each(|call| call.hang_up(Party::Gateway, HangupCause::Shutdown, now));
        self.drain();
        self.bench.pass(CallSpec::END_LIMIT.as_millis() as u64);
        let now = self.bench.now;
        self.calls.values_mut().for_each(|call| call.handle_timeout(now));
        self.drain();
        assert!(self.calls.is_empty());
        assert_eq!(self.bench.desk.live(), []);
        let agents = self.bench.desk.agents();
        assert!(agents.iter().all(|agent| agent.calls.is_empty()), "{agents:?}");
        for extension in PEOPLE {
            self.bench.desk.agent_seat(extension, Seat::SipPhone, true, now);
            self.bench.desk.agent_presence(extension, Presence::Ready, now);
        }
        assert_eq!(rung(&self.bench.talk("support").unwrap()).len(), PEOPLE.len(), "nobody is stuck");
    }
}

fn note(ringing: &mut BTreeMap<String, Vec<CallId>>, call: &Call, command: CallCommand) {
    match command {
        CallCommand::Leg(leg, LegCommand::Invite) => {
            let extension = call.spec().second[usize::from(leg.0) - 1].kind.peer();
            ringing.entry(extension.to_owned()).or_default().push(call.spec().id);
        }
        CallCommand::Leg(leg, LegCommand::End(_)) => free(ringing, call, leg),
        CallCommand::Leg(..) | CallCommand::Bridge(_) => {}
    }
}

fn free(ringing: &mut BTreeMap<String, Vec<CallId>>, call: &Call, leg: LegId) {
    let spec = call.spec().second.get(usize::from(leg.0).wrapping_sub(1));
    if let Some(calls) = spec.and_then(|spec| ringing.get_mut(spec.kind.peer())) {
        calls.retain(|other| *other != call.spec().id);
    }
}

#[test]
fn no_agent_is_rung_twice_at_once_and_nobody_is_stuck_at_the_end() {
    let mut started = 0;
    for seed in 0..SEEDS {
        let life = std::panic::catch_unwind(|| {
            let mut house = House::new(seed);
            let started: u32 = (0..200).map(|_| house.moment()).sum();
            house.end();
            started
        });
        started += life.unwrap_or_else(|_| panic!("failing seed: {seed}"));
    }
    assert!(started > 5_000, "only {started} calls: this shows little");
}
