//! The media thread: both ends of every call's sound. It sends frames on a spread schedule, receives on both sides, and
//! notes the time of each.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use benches::frames::Frames;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use sip_tests::crowd::Peer;
use str0m::media::Mid;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Event, Input, Output, Rtc};

use crate::stream::{Outcome, Stream, Window};

const FRAME: Duration = Duration::from_millis(20);
/// The pacer wakes the media thread this often: sends are spread, not bunched at whole milliseconds.
const PACE: Duration = Duration::from_micros(250);
/// A send this late says that the generator, not the gateway, was short of CPU.
const LATE: Duration = Duration::from_millis(5);
const WAKER: Token = Token(0);
const PROBE: Token = Token(1);
const FIRST_CALL: usize = 2;
const DATAGRAM_BYTES: usize = 2_048;

/// What the signalling tells the media thread.
pub(crate) enum Command {
    Visitor { call: usize, visitor: Peer },
    Pbx { call: usize, socket: StdSocket, gateway: SocketAddr },
    Stop,
}

/// The way to the media thread.
#[derive(Clone)]
pub(crate) struct Orders {
    sender: Sender<Command>,
    waker: Arc<Waker>,
}

impl Orders {
    pub(crate) fn send(&self, command: Command) {
        // A media thread that is gone ended with an error, which its join tells.
        let _told = self.sender.send(command).is_ok() && self.waker.wake().is_ok();
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) to_pbx: Outcome,
    pub(crate) to_visitor: Outcome,
    /// The generator's own part in every delay: a datagram from this thread to itself.
    pub(crate) probe: Outcome,
    /// Sends later than [`LATE`] after their time.
    pub(crate) late: u64,
    /// Calls in which both sides heard something.
    pub(crate) alive: usize,
}

/// Everything noted, to be cut to a window.
pub(crate) struct Notes {
    calls: Vec<Call>,
    probe: Stream,
    late: Vec<Instant>,
}

impl Notes {
    pub(crate) fn heard(&self, window: Window) -> Heard {
        let mut heard = Heard { probe: self.probe.outcome(window), ..Heard::default() };
        for call in &self.calls {
            heard.to_pbx.add(call.to_pbx.outcome(window));
            heard.to_visitor.add(call.to_visitor.outcome(window));
            heard.alive += usize::from(call.to_pbx.has_heard() && call.to_visitor.has_heard());
        }
        heard.late = self.late.iter().filter(|at| window.from <= **at && **at < window.to).count() as u64;
        heard
    }
}

/// The running thread.
pub(crate) struct Wire {
    pub(crate) orders: Orders,
    thread: JoinHandle<Result<Notes, String>>,
    pacer: JoinHandle<()>,
    over: Arc<AtomicBool>,
}

impl Wire {
    pub(crate) fn start(calls: usize, frames: Arc<Frames>) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(|error| error.to_string())?);
        let (sender, inbox) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let pacer = {
            let (waker, over) = (Arc::clone(&waker), Arc::clone(&over));
            std::thread::spawn(move || pace(&waker, &over))
        };
        let ends = Ends::new(poll, calls, frames).map_err(|error| error.to_string())?;
        let thread = std::thread::spawn(move || ends.run(&inbox));
        Ok(Self { orders: Orders { sender, waker }, thread, pacer, over })
    }

    /// Ends both threads; gives what was noted.
    pub(crate) fn stop(self) -> Result<Notes, String> {
        self.orders.send(Command::Stop);
        let notes = self.thread.join().map_err(|_| "the media thread panicked".to_owned())?;
        self.over.store(true, Ordering::Relaxed);
        self.pacer.join().map_err(|_| "the pacer panicked".to_owned())?;
        notes
    }
}

/// epoll sleeps in whole milliseconds; a thread sleeps finer.
fn pace(waker: &Waker, over: &AtomicBool) {
    let mut next = Instant::now();
    while !over.load(Ordering::Relaxed) && waker.wake().is_ok() {
        next += PACE;
        let now = Instant::now();
        if next < now {
            next = now;
        }
        std::thread::sleep(next - now);
    }
}

/// One side's clock of frames.
struct Schedule {
    due: Instant,
    frame: usize,
}

impl Schedule {
    /// Whether a frame is due now; says which, and how late it is.
    fn next(&mut self, now: Instant) -> Option<(usize, Duration)> {
        let late = now.checked_duration_since(self.due)?;
        let frame = self.frame;
        self.frame += 1;
        self.due += FRAME;
        Some((frame, late))
    }
}

struct VisitorEnd {
    rtc: Box<Rtc>,
    mid: Mid,
    payload_type: u8,
    socket: UdpSocket,
    local: SocketAddr,
    timeout: Instant,
    schedule: Schedule,
}

struct PbxEnd {
    socket: UdpSocket,
    gateway: SocketAddr,
    schedule: Schedule,
}

#[derive(Default)]
struct Call {
    visitor: Option<VisitorEnd>,
    pbx: Option<PbxEnd>,
    to_pbx: Stream,
    to_visitor: Stream,
}

struct Ends {
    poll: Poll,
    frames: Arc<Frames>,
    calls: Vec<Call>,
    started: Instant,
    probe: (UdpSocket, StdSocket),
    probe_schedule: Schedule,
    notes: (Stream, Vec<Instant>),
}

impl Ends {
    fn new(poll: Poll, calls: usize, frames: Arc<Frames>) -> io::Result<Self> {
        let mut hears = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        poll.registry().register(&mut hears, PROBE, Interest::READABLE)?;
        let sends = StdSocket::bind("127.0.0.1:0")?;
        sends.connect(hears.local_addr()?)?;
        let now = Instant::now();
        let calls = (0..calls).map(|_| Call::default()).collect();
        let probe_schedule = Schedule { due: now, frame: 0 };
        Ok(Self {
            poll,
            frames,
            calls,
            started: now,
            probe: (hears, sends),
            probe_schedule,
            notes: (Stream::default(), Vec::new()),
        })
    }

    fn run(mut self, inbox: &Receiver<Command>) -> Result<Notes, String> {
        let mut events = Events::with_capacity(512);
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(format!("poll: {error}")),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    PROBE => self.read_probe(&mut buffer),
                    Token(token) => self.read(token - FIRST_CALL, &mut buffer)?,
                }
            }
            while let Ok(command) = inbox.try_recv() {
                match command {
                    Command::Visitor { call, visitor } => self.add_visitor(call, visitor)?,
                    Command::Pbx { call, socket, gateway } => self.add_pbx(call, socket, gateway)?,
                    Command::Stop => return Ok(Notes { calls: self.calls, probe: self.notes.0, late: self.notes.1 }),
                }
            }
            self.speak()?;
        }
    }

    /// Phases are spread over the frame: call by call, and the PBX half a frame after its visitor.
    fn schedule(&self, call: usize, pbx: bool) -> Schedule {
        let slots = u32::try_from(self.calls.len()).unwrap_or(1).max(1) * 2;
        let slot = u32::try_from(call).unwrap_or_default() * 2 + u32::from(pbx) * ((slots / 2) | 1);
        let phase = FRAME * (slot % slots) / slots;
        let frames = self.started.elapsed().as_millis() / FRAME.as_millis() + 1;
        Schedule { due: self.started + FRAME * u32::try_from(frames).unwrap_or_default() + phase, frame: call * 7 }
    }

    fn add_visitor(&mut self, call: usize, visitor: Peer) -> Result<(), String> {
        let Peer { rtc, mid, payload_type, socket } = visitor;
        let schedule = self.schedule(call, false);
        let socket = self.register(socket, FIRST_CALL + call * 2)?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        let end = VisitorEnd { rtc, mid, payload_type, socket, local, timeout: Instant::now(), schedule };
        let call = self.calls.get_mut(call).ok_or("a visitor too many")?;
        call.visitor = Some(end);
        call.drain_visitor(Instant::now())
    }

    fn add_pbx(&mut self, call: usize, socket: StdSocket, gateway: SocketAddr) -> Result<(), String> {
        let schedule = self.schedule(call, true);
        let socket = self.register(socket, FIRST_CALL + call * 2 + 1)?;
        self.calls.get_mut(call).ok_or("a PBX call too many")?.pbx = Some(PbxEnd { socket, gateway, schedule });
        Ok(())
    }

    fn register(&self, socket: StdSocket, token: usize) -> Result<UdpSocket, String> {
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut socket = UdpSocket::from_std(socket);
        self.poll
            .registry()
            .register(&mut socket, Token(token), Interest::READABLE)
            .map_err(|error| error.to_string())?;
        Ok(socket)
    }

    /// Reads a socket empty: events come at edges.
    fn read(&mut self, index: usize, buffer: &mut [u8; DATAGRAM_BYTES]) -> Result<(), String> {
        let Some(call) = self.calls.get_mut(index / 2) else { return Ok(()) };
        if index.is_multiple_of(2) { call.read_visitor(buffer) } else { call.read_pbx(buffer) }
    }

    fn read_probe(&mut self, buffer: &mut [u8; DATAGRAM_BYTES]) {
        while let Ok(length) = self.probe.0.recv(buffer) {
            if let Some(number) = buffer[..length].first_chunk() {
                self.notes.0.note_came(u16::from_be_bytes(*number), Instant::now());
            }
        }
    }

    /// Whatever is due: frames of both sides, the visitors' timers, the probe.
    fn speak(&mut self) -> Result<(), String> {
        for call in &mut self.calls {
            let late = [call.visitor_speaks(&self.frames)?, call.pbx_speaks(&self.frames)];
            let late = late.into_iter().flatten().filter(|late| *late > LATE).count();
            self.notes.1.extend(std::iter::repeat_n(Instant::now(), late));
        }
        let now = Instant::now();
        if let Some((number, _)) = self.probe_schedule.next(now) {
            self.notes.0.note_sent(now);
            #[expect(clippy::cast_possible_truncation, reason = "a number that wraps, as in RTP")]
            let number = (number as u16).to_be_bytes();
            let _sent = self.probe.1.send(&number);
        }
        Ok(())
    }
}

impl Call {
    fn visitor_speaks(&mut self, frames: &Frames) -> Result<Option<Duration>, String> {
        let now = Instant::now();
        let Some(visitor) = &mut self.visitor else { return Ok(None) };
        if visitor.timeout <= now {
            visitor.rtc.handle_input(Input::Timeout(now)).map_err(|error| format!("visitor: {error}"))?;
            self.drain_visitor(now)?;
        }
        let Some(visitor) = self.visitor.as_mut().filter(|visitor| visitor.rtc.is_connected()) else { return Ok(None) };
        let Some((frame, late)) = visitor.schedule.next(now) else { return Ok(None) };
        let payload = &frames.opus[frame % frames.opus.len()];
        visitor.rtc.handle_input(Input::Timeout(now)).map_err(|error| format!("visitor: {error}"))?;
        let mut api = visitor.rtc.direct_api();
        let stream = api.stream_tx_by_mid(visitor.mid, None).ok_or("the visitor has no stream")?;
        #[expect(clippy::cast_possible_truncation, reason = "an RTP timestamp wraps")]
        let time = (frame * 960) as u32;
        stream.write_rtp(RtpWrite::new(
            visitor.payload_type.into(),
            (frame as u64).into(),
            time,
            now,
            payload.as_slice(),
        ));
        self.drain_visitor(now)?;
        Ok(Some(late))
    }

    fn pbx_speaks(&mut self, frames: &Frames) -> Option<Duration> {
        let now = Instant::now();
        let pbx = self.pbx.as_mut()?;
        let (frame, late) = pbx.schedule.next(now)?;
        let payload = &frames.pcmu[frame % frames.pcmu.len()];
        let mut packet = [0; 12 + 160];
        packet[0] = 0x80;
        #[expect(clippy::cast_possible_truncation, reason = "numbers of RTP wrap")]
        let (number, time) = (frame as u16, (frame * 160) as u32);
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        packet[4..8].copy_from_slice(&time.to_be_bytes());
        packet[8..12].copy_from_slice(b"pbx!");
        packet[12..].copy_from_slice(payload);
        self.to_visitor.note_sent(Instant::now());
        let _sent = pbx.socket.send_to(&packet, pbx.gateway);
        Some(late)
    }

    fn read_visitor(&mut self, buffer: &mut [u8; DATAGRAM_BYTES]) -> Result<(), String> {
        loop {
            let Some(visitor) = &mut self.visitor else { return Ok(()) };
            let Ok((length, source)) = visitor.socket.recv_from(buffer) else { return Ok(()) };
            let now = Instant::now();
            let receive = Receive::new(Protocol::Udp, source, visitor.local, &buffer[..length]);
            let receive = receive.map_err(|error| format!("visitor: {error}"))?;
            visitor.rtc.handle_input(Input::Receive(now, receive)).map_err(|error| format!("visitor: {error}"))?;
            self.drain_visitor(now)?;
        }
    }

    fn read_pbx(&mut self, buffer: &mut [u8; DATAGRAM_BYTES]) -> Result<(), String> {
        let Some(pbx) = &mut self.pbx else { return Ok(()) };
        while let Ok((length, _)) = pbx.socket.recv_from(buffer) {
            let now = Instant::now();
            if let Some(number) = rtp_number(&buffer[..length]) {
                self.to_pbx.note_came(number, now);
            }
        }
        Ok(())
    }

    /// Takes what the visitor's stack has to say. `now`: when the input came that it speaks about.
    fn drain_visitor(&mut self, now: Instant) -> Result<(), String> {
        let Some(visitor) = &mut self.visitor else { return Ok(()) };
        loop {
            match visitor.rtc.poll_output().map_err(|error| format!("visitor: {error}"))? {
                Output::Timeout(at) => {
                    visitor.timeout = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    if rtp_number(&transmit.contents).is_some() {
                        self.to_pbx.note_sent(Instant::now());
                    }
                    let _sent = visitor.socket.send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    self.to_visitor.note_came(packet.header.sequence_number, now)
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// The sequence number of an RTP packet, plain or protected; `None` for all else (RFC 7983 §7, RFC 5761 §4).
fn rtp_number(datagram: &[u8]) -> Option<u16> {
    let header: &[u8; 4] = datagram.first_chunk()?;
    let rtp = (128..=191).contains(&header[0]) && !(192..=223).contains(&header[1]);
    rtp.then(|| u16::from_be_bytes([header[2], header[3]]))
}
