//! A way to a server that can be made slow: what the server answers is held back for as long as the test says.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A way that is there as long as the test.
#[derive(Clone)]
pub struct Detour {
    address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
}

impl Detour {
    /// Listens at the server's port on `address`.
    ///
    /// # Errors
    /// When nobody may listen there.
    pub fn start(address: IpAddr, server: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind((address, server.port())).map_err(|error| error.to_string())?;
        let detour = Self { address: SocketAddr::new(address, server.port()), delay_ms: Arc::default() };
        let ours = detour.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().filter_map(Result::ok) {
                // A server that is not there hangs up on its own.
                let Ok(far) = TcpStream::connect(server) else { continue };
                drop(ours.join(&near, &far));
            }
        });
        Ok(detour)
    }

    /// Holds back each answer so long from now on.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn join(&self, near: &TcpStream, far: &TcpStream) -> std::io::Result<()> {
        for stream in [near, far] {
            stream.set_nodelay(true)?;
        }
        let (asks, to_far, answers, to_near) =
            (near.try_clone()?, far.try_clone()?, far.try_clone()?, near.try_clone()?);
        std::thread::spawn(move || carry(asks, to_far, &AtomicU64::new(0)));
        let delay_ms = Arc::clone(&self.delay_ms);
        std::thread::spawn(move || carry(answers, to_near, &delay_ms));
        Ok(())
    }
}

/// Until either hangs up; then both do.
fn carry(mut from: TcpStream, mut to: TcpStream, delay_ms: &AtomicU64) {
    let mut bytes = [0; 65_536];
    while let Ok(length) = from.read(&mut bytes)
        && length > 0
    {
        std::thread::sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed)));
        if to.write_all(bytes.get(..length).unwrap_or_default()).is_err() {
            break;
        }
    }
    // It may be closed already.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
