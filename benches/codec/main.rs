//! What a 20 ms frame costs in libopus, by complexity: the table behind `media::codec::opus::COMPLEXITY`.

use std::io::Write;
use std::process::ExitCode;

use audiopus::coder::Encoder;
use audiopus::{Application, Bitrate, Channels, SampleRate};
use benches::cpu::thread_cpu;
use benches::frames::Frames;
use media::codec::Decoder;
use media::codec::opus::{COMPLEXITY, LOSS_PERCENT_MIN, OpusDecoder};

/// Times the ten seconds of frames are coded.
const ROUNDS: usize = 6;
const BITRATE: i32 = 24_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _heard = writeln!(std::io::stderr(), "codec: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let frames = Frames::make()?;
    let mut out = std::io::stdout();
    let decode = decode_us(&frames)?;
    writeln!(out, "decode of 48 kHz Opus at 8 kHz: {decode:.1} us a frame\nencode at 8 kHz, {BITRATE} bit/s, FEC, by complexity, us a frame:")
        .map_err(|error| error.to_string())?;
    for complexity in 0..=10 {
        let encode = encode_us(&frames, complexity)?;
        let note = if complexity == COMPLEXITY { "  <- the gateway's" } else { "" };
        writeln!(out, "{complexity:>3} {encode:>7.1}{note}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn decode_us(frames: &Frames) -> Result<f64, String> {
    let mut decoder = OpusDecoder::new(8_000).map_err(|error| error.to_string())?;
    let mut samples = [0; 160];
    let before = thread_cpu()?;
    for packet in frames.opus.iter().cycle().take(frames.opus.len() * ROUNDS) {
        decoder.decode(packet, &mut samples).map_err(|error| error.to_string())?;
    }
    Ok((thread_cpu()? - before).as_secs_f64() * 1e6 / (frames.opus.len() * ROUNDS) as f64)
}

fn encode_us(frames: &Frames, complexity: u8) -> Result<f64, String> {
    let mut encoder =
        Encoder::new(SampleRate::Hz8000, Channels::Mono, Application::Voip).map_err(|error| error.to_string())?;
    encoder.set_complexity(complexity).map_err(|error| error.to_string())?;
    encoder.set_inband_fec(true).map_err(|error| error.to_string())?;
    encoder.set_packet_loss_perc(LOSS_PERCENT_MIN).map_err(|error| error.to_string())?;
    encoder.set_bitrate(Bitrate::BitsPerSecond(BITRATE)).map_err(|error| error.to_string())?;
    let mut packet = [0; 1_275];
    let before = thread_cpu()?;
    for samples in frames.narrow.iter().cycle().take(frames.narrow.len() * ROUNDS) {
        encoder.encode(samples, &mut packet).map_err(|error| error.to_string())?;
    }
    Ok((thread_cpu()? - before).as_secs_f64() * 1e6 / (frames.narrow.len() * ROUNDS) as f64)
}
