//! A visitor (a foreign WebRTC stack) and a leg of ours on a wire whose every datagram a test may see, lose or forge.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, Instant};

use media::{CodecKind, Ssrc};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::crypto::dtls::DtlsVersion;
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::{BrowserEvent, BrowserLeg, Certificate, Kind, LegConfig, Received, kind};

pub(crate) fn gateway() -> SocketAddr {
    "192.0.2.1:3480".parse().unwrap()
}

pub(crate) fn browser() -> SocketAddr {
    "198.51.100.7:50000".parse().unwrap()
}

pub(crate) fn config(codecs: &[CodecKind]) -> LegConfig {
    LegConfig::new(vec![gateway()], codecs.to_vec(), Ssrc(0x0a0b_0c0d), [7; 32])
}

/// The one place where a test looks at a clock: everything after is counted from here.
#[expect(clippy::disallowed_methods, reason = "a starting point; time passes only by addition")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// Which way a datagram travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    ToGateway,
    ToBrowser,
}

/// Sees every datagram before it arrives, and says whether it may.
pub(crate) type Wire = Box<dyn FnMut(Way, &mut Vec<u8>) -> bool>;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) started: Instant,
    pub(crate) leg: BrowserLeg,
    pub(crate) visitor: Rtc,
    pub(crate) mid: Mid,
    pub(crate) wire: Wire,
    /// Where the visitor sends from, and is reached at.
    pub(crate) address: SocketAddr,
    /// Plain RTP and RTCP the leg handed out.
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) reports: Vec<Vec<u8>>,
    pub(crate) dropped: Vec<crate::DropReason>,
    pub(crate) events: Vec<BrowserEvent>,
    /// Payloads the visitor heard.
    pub(crate) visitor_heard: Vec<Vec<u8>>,
    pub(crate) visitor_events: Vec<String>,
    /// The offer the leg was made from.
    pub(crate) first_offer: String,
    visitor_due: Instant,
    sent_samples: u64,
    to_gateway: VecDeque<Vec<u8>>,
    to_browser: VecDeque<Vec<u8>>,
}

impl World {
    /// A visitor's offer, changed by `edit`, answered by a leg of ours.
    pub(crate) fn new(edit: impl FnOnce(String) -> String) -> Self {
        Self::with(DtlsVersion::Auto, edit)
    }

    pub(crate) fn with(version: DtlsVersion, edit: impl FnOnce(String) -> String) -> Self {
        let config = config(&[CodecKind::Opus, CodecKind::Pcma, CodecKind::Pcmu]);
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
        let now = start();
        let mut visitor = Rtc::builder().set_dtls_version(version).build(now);
        visitor.add_local_candidate(Candidate::host(browser(), "udp").unwrap()).unwrap();
        let mut change = visitor.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().unwrap();
        let certificate = Certificate::generate().unwrap();
        let first_offer = edit(offer.to_sdp_string());
        let (leg, answer) = BrowserLeg::accept(&first_offer, config, &certificate, now).unwrap();
        accept(&mut visitor, pending, &answer);
        Self {
            now,
            started: now,
            leg,
            visitor,
            mid,
            wire: Box::new(|_, _| true),
            address: browser(),
            heard: Vec::new(),
            reports: Vec::new(),
            dropped: Vec::new(),
            events: Vec::new(),
            visitor_heard: Vec::new(),
            visitor_events: Vec::new(),
            first_offer,
            visitor_due: now,
            sent_samples: 0,
            to_gateway: VecDeque::new(),
            to_browser: VecDeque::new(),
        }
    }

    /// A connected pair.
    pub(crate) fn connected() -> Self {
        let mut world = Self::new(|offer| offer);
        assert!(world.run_until(Duration::from_secs(5), Self::is_connected), "{:?}", world.events);
        world
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.leg.is_connected() && self.visitor.is_connected()
    }

    /// Lets time pass until `done` or for `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if self.now >= end {
                return false;
            }
            let leg_due = self.leg.poll_timeout().map_or(end, |(at, _)| at);
            // At least a millisecond a step, as a real clock would.
            self.now = leg_due.min(self.visitor_due).max(self.now + Duration::from_millis(1)).min(end);
            self.leg.handle_timeout(self.now);
            if let Some((at, timer)) = self.leg.poll_timeout() {
                assert!(at > self.now, "{timer:?} is due again at once: a driver would spin");
            }
            drop(self.visitor.handle_input(Input::Timeout(self.now)));
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Delivers until nobody has anything to say at this instant.
    fn settle(&mut self) {
        loop {
            self.drain_leg();
            self.drain_visitor();
            if let Some(mut datagram) = self.to_browser.pop_front() {
                if (self.wire)(Way::ToBrowser, &mut datagram) {
                    let receive = Receive::new(Protocol::Udp, gateway(), browser(), &datagram);
                    if let Ok(receive) = receive {
                        drop(self.visitor.handle_input(Input::Receive(self.now, receive)));
                    }
                }
            } else if let Some(mut datagram) = self.to_gateway.pop_front() {
                if (self.wire)(Way::ToGateway, &mut datagram) {
                    self.deliver(self.address, &datagram);
                }
            } else {
                return;
            }
        }
    }

    /// One datagram to the leg from anywhere.
    pub(crate) fn deliver(&mut self, source: SocketAddr, datagram: &[u8]) {
        match self.leg.handle_datagram(source, Some(gateway()), datagram, self.now) {
            Received::Nothing => {}
            Received::Rtp(packet) => self.heard.push(packet.to_vec()),
            Received::Rtcp(packet) => self.reports.push(packet.to_vec()),
            Received::Dropped(reason) => self.dropped.push(reason),
        }
    }

    /// Takes what the leg has to say, as a driver does after every input.
    pub(crate) fn drain_leg(&mut self) {
        while let Some(transmit) = self.leg.poll_transmit() {
            if transmit.to == self.address {
                self.to_browser.push_back(transmit.bytes);
            }
        }
        while let Some(event) = self.leg.poll_event() {
            self.events.push(event);
        }
    }

    fn drain_visitor(&mut self) {
        loop {
            match self.visitor.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.visitor_due = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => self.to_gateway.push_back(transmit.contents.to_vec()),
                Ok(Output::Event(Event::MediaData(data))) => self.visitor_heard.push(data.data.to_vec()),
                Ok(Output::Event(event)) => {
                    let text = format!("{event:?}");
                    self.visitor_events.push(text.split(['(', '{']).next().unwrap_or_default().trim().to_owned());
                }
                Err(_) => {
                    self.visitor_due = self.now + Duration::from_secs(3_600);
                    return;
                }
            }
        }
    }

    /// The visitor speaks `payload` as one Opus frame.
    pub(crate) fn visitor_says(&mut self, payload: &[u8]) {
        let pt = {
            let writer = self.visitor.writer(self.mid).unwrap();
            writer.payload_params().find(|p| p.spec().codec == str0m::format::Codec::Opus).unwrap().pt()
        };
        let time = MediaTime::new(self.sent_samples, str0m::media::Frequency::FORTY_EIGHT_KHZ);
        self.sent_samples += 960;
        self.visitor.writer(self.mid).unwrap().write(pt, self.now, time, payload.to_vec()).unwrap();
        self.settle();
    }

    /// We speak: protects the packet and puts it on the wire.
    pub(crate) fn leg_says(&mut self, packet: &[u8]) -> bool {
        let now = self.now;
        let Some((to, bytes)) = self.leg.protect_rtp(packet, now) else {
            return false;
        };
        assert_eq!(to, self.address);
        self.to_browser.push_back(bytes.to_vec());
        self.settle();
        true
    }

    /// A new offer of the visitor's, answered; `restart` asks for an ICE restart.
    pub(crate) fn renegotiate(&mut self, direction: Direction, restart: bool) -> (String, String) {
        let mut change = self.visitor.sdp_api();
        change.set_direction(self.mid, direction);
        if restart {
            change.ice_restart(true);
        }
        let (offer, pending) = change.apply().expect("something changed");
        let offer = offer.to_sdp_string();
        let answer = self.leg.reoffer(&offer, self.now).unwrap();
        accept(&mut self.visitor, pending, &answer);
        (offer, answer)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.started
    }
}

fn accept(visitor: &mut Rtc, pending: SdpPendingOffer, answer: &str) {
    let answer = SdpAnswer::from_sdp_string(answer).expect("the foreign stack reads our answer");
    visitor.sdp_api().accept_answer(pending, answer).expect("the foreign stack takes our answer");
}

/// An RTP packet of ours.
pub(crate) fn rtp(pt: u8, sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, pt];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 960).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

pub(crate) fn is_dtls(datagram: &[u8]) -> bool {
    kind(datagram) == Kind::Dtls
}
