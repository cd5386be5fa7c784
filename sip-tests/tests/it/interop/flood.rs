//! A flood of SIP while two people talk: one INVITE again and again from a trunk's address, and REGISTERs of a stranger. They
//! hear nothing of it, and the BYE of the call is answered in the middle of it.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sip_tests::gateway::address;

use super::need_peers;
use super::scene::{QUEUE, SOON, Scene, Setting};

const SCENE: u8 = 137;
/// Datagrams a second: copies of the INVITE, and REGISTERs.
const COPIES: u32 = 20_000;
const REGISTERS: u32 = 5_000;
/// How long the flood lasts before somebody hangs up, and for how long at most.
const BEFORE: Duration = Duration::from_secs(8);
const AT_MOST: Duration = Duration::from_secs(60);

#[test]
fn in_a_flood_of_sip_the_call_is_heard_and_its_bye_is_answered() {
    need_peers!();
    let (pbx, stranger) = (address(SCENE, 3), address(SCENE, 9));
    let trunk = format!("{QUEUE}[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx}:5060;transport=udp\"\n");
    let mut scene = Scene::set(Setting { more: &trunk, ..Setting::new("flood", SCENE) });
    scene.talk();
    let gateway = scene.gateway.address;
    let over = Arc::new(AtomicBool::new(false));
    let invite = move |_| request("INVITE", pbx, "600", 1);
    let register = move |number: u32| request("REGISTER", stranger, &format!("{}", number % 10_000), number);
    let copies = flood((pbx, gateway, COPIES), Arc::clone(&over), invite);
    let registers = flood((stranger, gateway, REGISTERS), Arc::clone(&over), register);
    let started = Instant::now();
    scene.hear_each_other();
    std::thread::sleep(BEFORE.saturating_sub(started.elapsed()));
    scene.hear_each_other();
    // From the phone, so that its BYE must get through.
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
    let sent = started.elapsed();
    over.store(true, Ordering::Relaxed);
    let (copies, registers) = (copies.join().unwrap(), registers.join().unwrap());
    println!("in {sent:?}: {copies:?} copies of an INVITE, {registers:?} REGISTERs, sent and answered");
    assert!(copies.0 > 20_000 && registers.0 > 5_000, "that was no flood");
    assert!(copies.1 < copies.0 / 10, "copies are absorbed");
    assert!(registers.1 <= 200, "a stranger is not answered for long");
    let refused = |reason| scene.gateway.metric(&format!("passerelle_sip_refused_total{{reason=\"{reason}\"}}"));
    assert!(refused("barred").is_some_and(|times| times >= 1.0));
    // Some are dropped before they come so far.
    let early = scene.gateway.metric("passerelle_sip_inbox_dropped_total").unwrap_or_default();
    assert!(refused("from-barred").unwrap_or_default() + early > 1_000.0);
    let lines = scene.gateway.running.all().lines().filter(|line| line.contains("is not heard for a while")).count();
    assert_eq!(lines, 1, "one line for one source");
    assert_eq!(scene.gateway.metric("passerelle_panics_total"), Some(0.0));
}

fn request(method: &str, from: IpAddr, user: &str, number: u32) -> Vec<u8> {
    let contact = format!("Contact: <sip:{user}@{from}>\r\n");
    format!(
        "{method} sip:{user}@gw SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKflood{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@gw>;tag=f{number}\r\nTo: <sip:{user}@gw>\r\nCall-ID: flood{number}\r\n\
         CSeq: 1 {method}\r\n{contact}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Sends so many a second until it is over; returns how many were sent and how many answers came.
fn flood(
    (from, to, per_second): (IpAddr, IpAddr, u32),
    over: Arc<AtomicBool>,
    message: impl Fn(u32) -> Vec<u8> + Send + 'static,
) -> JoinHandle<(u32, u32)> {
    std::thread::spawn(move || {
        let socket = UdpSocket::bind((from, 5060)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (started, mut sent, mut answers) = (Instant::now(), 0_u32, 0_u32);
        let mut buffer = [0; 2_048];
        while !over.load(Ordering::Relaxed) && started.elapsed() < AT_MOST {
            let due = (started.elapsed().as_secs_f64() * f64::from(per_second)) as u32;
            while sent < due {
                // What the system does not take is a datagram less.
                let _sent = socket.send_to(&message(sent), (to, 5060));
                sent += 1;
            }
            while socket.recv_from(&mut buffer).is_ok() {
                answers += 1;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        (sent, answers)
    })
}
