//! Thousands of random lives: dead, late, doubled and senseless events in any order. A model that
//! sees only what goes in and what comes out holds the call to its promises.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const SEEDS: u64 = 20_000;
const LEGS: usize = 32;

/// What the orders must never contradict.
#[derive(Default)]
struct Model {
    /// The first leg is invited, and answers itself.
    call_back: bool,
    opened: [bool; LEGS],
    gone: [bool; LEGS],
    ended: [u32; LEGS],
    /// Said by the leg itself.
    picked_up: [bool; LEGS],
    connected: bool,
    ringback: bool,
    /// The first leg must press key 1 before anybody else is rung.
    asks: bool,
    took: bool,
    prompt: bool,
    /// Who is handing his place over, and to whom.
    handover: Option<(usize, usize)>,
    /// Who holds the two places.
    seats: [usize; 2],
    transferred: u32,
    closed: bool,
    answered: bool,
    over: u32,
}

impl Model {
    fn see_command(&mut self, command: CallCommand) {
        assert_eq!(self.over, 0, "an order after the end");
        match command {
            CallCommand::Leg(leg, order) => self.see_leg_order(usize::from(leg.0), order),
            CallCommand::Bridge(order) => self.see_bridge_order(order),
        }
    }

    fn see_leg_order(&mut self, leg: usize, order: LegCommand) {
        match order {
            LegCommand::Open | LegCommand::Invite => {
                assert!(!self.opened[leg], "leg {leg} opened twice");
                assert_eq!(order == LegCommand::Open, leg == 0 && !self.call_back);
                let coming = self.handover.map(|(_, to)| to);
                let ringing = (1..LEGS).filter(|i| self.alive(*i)).count();
                assert!(ringing == 0 || coming == Some(leg) && ringing <= 2, "two candidates at once");
                assert!(!self.call_back || leg == 0 || self.picked_up[0], "rung before the first leg is there");
                assert!(!self.asks || leg == 0 || self.took && !self.prompt, "rung before the first leg took it");
                self.opened[leg] = true;
                return;
            }
            LegCommand::End(_) => self.ended[leg] += 1,
            LegCommand::Answered => {
                assert!(!self.call_back);
                assert!(!std::mem::replace(&mut self.answered, true), "answered twice");
                assert!((1..LEGS).any(|i| self.alive(i) && self.picked_up[i]), "answered by nobody");
            }
            LegCommand::Ring | LegCommand::Progress => {
                assert!(leg == 0 && !self.answered && !self.call_back);
            }
            LegCommand::Digit(_) => assert!(self.connected),
            LegCommand::ShowHeld(_) => assert!(self.answered || self.call_back && self.connected),
        }
        assert!(self.opened[leg] && !self.gone[leg], "{order:?} to leg {leg} that is not there");
        assert_eq!(
            self.ended[leg],
            u32::from(matches!(order, LegCommand::End(_))),
            "{order:?} to leg {leg} after its end"
        );
    }

    fn see_bridge_order(&mut self, order: BridgeCommand) {
        assert!(!self.closed, "{order:?} after the close");
        match order {
            BridgeCommand::Ringback { to, on } => {
                let stays = self.seats.contains(&usize::from(to.0));
                assert!((to == LegId::FIRST || stays) && self.ringback != on && (!on || !self.connected));
                self.ringback = on;
            }
            BridgeCommand::Prompt { to, on } => {
                assert!(to == LegId::FIRST && self.asks && self.prompt != on && self.alive(0));
                self.prompt = on;
            }
            BridgeCommand::Connect { a, b } => {
                self.seats = [usize::from(a.0), usize::from(b.0)];
                assert!(!self.connected && !self.ringback && !self.prompt);
                assert!(
                    self.alive(usize::from(a.0)) && self.alive(usize::from(b.0)),
                    "connected to a leg that is gone"
                );
                self.connected = true;
            }
            BridgeCommand::Replace { leg, by } => {
                let (leg, by) = (usize::from(leg.0), usize::from(by.0));
                assert_eq!(self.handover.take(), Some((leg, by)));
                assert!(self.alive(by) && self.picked_up[by] && !self.ringback, "replaced by nobody");
                for seat in &mut self.seats {
                    if *seat == leg {
                        *seat = by;
                    }
                }
            }
            BridgeCommand::Disconnect => assert!(std::mem::replace(&mut self.connected, false)),
            BridgeCommand::Hold { leg, .. } => {
                assert!((self.connected || self.answered || self.call_back) && self.alive(usize::from(leg.0)));
            }
            BridgeCommand::Close => self.closed = true,
        }
    }

    fn alive(&self, leg: usize) -> bool {
        self.opened[leg] && !self.gone[leg] && self.ended[leg] == 0
    }

    /// At the end: whoever was opened either left by himself or was told to end.
    fn settle(&self) {
        assert_eq!(self.over, 1, "ended {} times", self.over);
        for leg in 0..LEGS {
            assert!(!self.alive(leg), "leg {leg} was left open");
        }
    }
}

fn random_cause(rng: &mut SmallRng) -> HangupCause {
    HangupCause::ALL[rng.random_range(0..HangupCause::ALL.len())]
}

fn random_event(rng: &mut SmallRng) -> LegEvent {
    match rng.random_range(0..40) {
        0..=2 => LegEvent::Ringing,
        3 => LegEvent::EarlyMedia,
        4..=5 | 20..=24 => LegEvent::Answered,
        6 => LegEvent::Refused(random_cause(rng)),
        7 => LegEvent::Gone { cause: random_cause(rng) },
        8 => LegEvent::Ended,
        9..=11 => LegEvent::Held(rng.random()),
        18..=19 | 25..=34 => LegEvent::Digit(Digit::TAKES),
        12..=13 => Digit::new(char::from(rng.random_range(b'0'..=b'9'))).map_or(LegEvent::MediaUp, LegEvent::Digit),
        14 => LegEvent::MediaLost,
        15 => LegEvent::MediaBack,
        16 => LegEvent::Codec("opus".to_owned()),
        17 => LegEvent::Quality(LegQuality::default()),
        _ => LegEvent::MediaUp,
    }
}

/// One life.
struct Life {
    rng: SmallRng,
    bench: Bench,
    model: Model,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = match rng.random_range(0..4) {
            0 => Plan::Talk,
            1 => Plan::Inbound,
            2 => Plan::CallBack { first: Party::Agent },
            _ => Plan::CallBack { first: Party::Visitor },
        };
        let first = if plan == Plan::Talk { LegKind::Browser } else { agent("1000") };
        let second = (0..rng.random_range(0..5)).map(|_| if rng.random() { trunk() } else { agent("1001") }).collect();
        let mut model = Model::default();
        model.opened[0] = plan == Plan::Inbound;
        model.call_back = matches!(plan, Plan::CallBack { .. });
        model.asks = model.call_back && rng.random_ratio(1, 3);
        let key_limit = model.asks.then(|| Duration::from_secs(rng.random_range(1..120)));
        let spec = CallSpec { key_limit, ..spec(plan, first, second) };
        let mut life = Self { rng, bench: Bench::new(spec), model };
        life.drain();
        life
    }

    fn drain(&mut self) {
        while let Some(command) = self.bench.call.poll_command() {
            self.model.see_command(command);
        }
        while let Some(event) = self.bench.call.poll_event() {
            assert_eq!(self.model.over, 0, "{event:?} after the end");
            self.see_transfer(&event);
            self.model.answered |= self.model.call_back && matches!(event, CallEvent::Answered { .. });
            if let CallEvent::Ended(record) = &event {
                self.model.over += 1;
                assert_eq!(self.bench.call.state(), State::Ended);
                assert!(!record.interrupted);
                assert!(record.ended_unix_ms >= record.started_unix_ms);
                let known = record.wait_ms + record.talk_ms;
                assert_eq!(known, record.ended_unix_ms - record.started_unix_ms);
            }
        }
    }

    fn event(&mut self) {
        let coming = self.bench.call.coming().filter(|_| self.rng.random());
        let leg =
            coming.unwrap_or_else(|| LegId(self.rng.random_range(0..3) + u8::from(self.rng.random_ratio(1, 4)) * 4));
        let event = random_event(&mut self.rng);
        let index = usize::from(leg.0);
        if matches!(event, LegEvent::Refused(_) | LegEvent::Gone { .. } | LegEvent::Ended) {
            // A driver that says a leg is gone has heard every order before.
            self.drain();
            self.model.gone[index] |= self.model.opened[index];
        }
        // Only what the call can hear counts: an answer before the invitation is not one.
        let can_answer = [self.bench.call.candidate(), self.bench.call.coming()].contains(&Some(leg));
        if event == LegEvent::Answered && can_answer {
            self.model.picked_up[index] = true;
        }
        self.model.took |= event == LegEvent::Digit(Digit::TAKES) && leg == LegId::FIRST && self.model.picked_up[0];
        let copies = if self.rng.random_ratio(1, 5) { 2 } else { 1 };
        for _ in 0..copies {
            self.bench.call.handle_leg(leg, event.clone(), self.bench.now);
        }
        if self.rng.random_ratio(4, 5) {
            self.drain();
        }
    }

    fn hand_over(&mut self) {
        let seats = [Some(self.bench.call.first()), self.bench.call.candidate()];
        let Some(by) = seats[self.rng.random_range(0..2)] else { return };
        let to = LegSpec { kind: agent("1007"), ring_limit: RING_LIMIT };
        self.drain();
        let (before, now) = (self.bench.call.state(), self.bench.now);
        let is_there = self.rng.random_ratio(1, 3);
        let call = &mut self.bench.call;
        let new = if is_there { call.take_place(by, to, now) } else { call.transfer(by, to, now) };
        assert!(new.is_none() || matches!(before, State::Bridged | State::Held));
        if let Some(new) = new {
            let pair = (usize::from(by.0), usize::from(new.0));
            assert_eq!(self.model.handover.replace(pair), None, "one at a time");
            self.model.opened[pair.1] = is_there;
        }
        self.drain();
    }

    fn see_transfer(&mut self, event: &CallEvent) {
        let CallEvent::Transfer { by, to, step } = event else { return };
        let pair = (usize::from(by.0), usize::from(to.0));
        match step {
            // Its orders are seen before its news.
            crate::Transfer::Asked(_) | crate::Transfer::Ringing => {}
            crate::Transfer::Done => self.model.transferred += 1,
            crate::Transfer::Failed(_) => assert_eq!(self.model.handover.take(), Some(pair)),
        }
    }

    fn moment(&mut self) {
        match self.rng.random_range(0..40) {
            0 => self.bench.call.withdraw(LegId(self.rng.random_range(0..7))),
            1 => {
                let event = if self.rng.random() { BridgeEvent::Closed } else { BridgeEvent::Failed };
                self.bench.call.handle_bridge(event, self.bench.now);
            }
            2 => {
                let by = Party::ALL[self.rng.random_range(0..3)];
                let cause = random_cause(&mut self.rng);
                self.bench.call.hang_up(by, cause, self.bench.now);
            }
            3..=7 => {
                let ms = self.rng.random_range(0..30_000);
                self.bench.wait(ms);
            }
            // A driver that is woken too early.
            8 => self.bench.call.handle_timeout(self.bench.now),
            9..=14 if matches!(self.bench.call.state(), State::Bridged | State::Held) => self.hand_over(),
            _ => self.event(),
        }
    }

    /// Asked to end: it does, once, within its limit, whatever came before.
    fn end(&mut self) {
        self.drain();
        self.bench.call.hang_up(Party::Gateway, HangupCause::Shutdown, self.bench.now);
        for _ in 0..self.rng.random_range(0..10) {
            self.moment();
        }
        self.bench.wait(CallSpec::END_LIMIT.as_millis() as u64);
        self.drain();
        self.model.settle();
        for _ in 0..20 {
            self.moment();
        }
        self.drain();
        assert_eq!(self.model.over, 1);
        assert_eq!(self.bench.call.poll_timeout(), None);
    }
}

#[test]
fn every_call_ends_exactly_once_and_its_orders_never_contradict() {
    let (mut answered, mut early_ends, mut transfers) = (0, 0, 0);
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| live(seed));
        let (was_answered, ended_early, transferred) = outcome.unwrap_or_else(|_| panic!("failing seed: {seed}"));
        answered += u32::from(was_answered);
        early_ends += ended_early;
        transfers += transferred;
    }
    // The lives must be lively, or this shows little.
    assert!(answered > 2_000 && early_ends > 2_000, "{answered} answered, {early_ends} ended by themselves");
    assert!(transfers > 300, "{transfers} were handed over");
}

/// One life by its seed: whether somebody answered, and how often it ended before it was asked to and was
/// handed over.
fn live(seed: u64) -> (bool, u32, u32) {
    let mut life = Life::new(seed);
    for _ in 0..life.rng.random_range(0..80) {
        life.moment();
    }
    life.drain();
    let early = life.model.over;
    life.end();
    (life.model.answered, early, life.model.transferred)
}
