//! The floor: what libopus alone takes for the same frames, with the gateway's own settings, on this machine and now.

use benches::cpu::thread_cpu;
use benches::frames::Frames;
use media::OpusPlan;
use media::codec::opus::{OpusDecoder, OpusEncoder};
use media::codec::{Decoder, Encoder};

/// Frames coded in one measurement, over all calls.
const FRAMES: usize = 8_000;
const FRAMES_PER_S: f64 = 50.0;

/// CPU of one call-second of bare codec: 50 frames decoded at 8 kHz and 50 coded from it, in milliseconds.
///
/// As many codecs as calls take turns, because that is how caches meet them in the gateway.
pub(crate) fn bare_ms_per_call_s(frames: &Frames, calls: usize) -> Result<f64, String> {
    let mut codecs = Vec::new();
    for _ in 0..calls.max(1) {
        let decoder = OpusDecoder::new(8_000).map_err(|error| error.to_string())?;
        let encoder = OpusEncoder::new(8_000, &OpusPlan::default()).map_err(|error| error.to_string())?;
        codecs.push((decoder, encoder));
    }
    let (mut samples, mut packet) = ([0; 160], [0; 1_275]);
    let rounds = FRAMES / codecs.len() + 1;
    let before = thread_cpu()?;
    for round in 0..rounds {
        for (call, (decoder, encoder)) in codecs.iter_mut().enumerate() {
            let at = (round + call * 7) % frames.opus.len();
            decoder.decode(&frames.opus[at], &mut samples).map_err(|error| error.to_string())?;
            encoder.encode(&frames.narrow[at], &mut packet).map_err(|error| error.to_string())?;
        }
    }
    let spent = thread_cpu()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1_000.0 / (rounds * codecs.len()) as f64 * FRAMES_PER_S)
}
