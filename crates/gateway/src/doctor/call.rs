//! What a test call shows: the answer, sound both ways, digits, hold, quality, and the codecs the far end takes.

use std::time::Duration;

use media::codec::CodecKind;
use media::sdp::Direction;
use media::stats::LegStats;
use serde_json::json;

use super::ear::Impression;
use super::report::{Finding, Verdict, Where};
use super::talk::{self, Dial, Means, Refusal, Talk};
use crate::clock;
use crate::drive::call::legs;

/// Silence before the tone, so that its beginning can be heard.
const BEFORE_TONE: Duration = Duration::from_millis(400);
/// The tone of a call that only tries a codec, and of one that is back from hold.
const SHORT_TONE: Duration = Duration::from_millis(1_500);
/// A key is pressed for 100 ms; telephones need a pause of 70 (Q.24).
const KEY_PAUSE: Duration = Duration::from_millis(300);
/// Time for keys to come back from an echo.
const KEYS_BACK: Duration = Duration::from_millis(1_200);
const KEYS: [char; 3] = ['1', '5', '#'];
/// How long the far end is held.
const HELD: Duration = Duration::from_secs(1);
/// Between two calls: a far end with a single line has to be free again.
const BETWEEN_CALLS: Duration = Duration::from_millis(500);
/// A person is satisfied above, and many are not below (ITU-T G.107 annex B).
const MOS_GOOD: f32 = 4.0;
const MOS_FAIR: f32 = 3.6;
const DISPLAY: &str = "Passerelle test";

/// Calls once with everything the trunk allows, then once with each codec.
pub(super) async fn examine(means: &Means<'_>, user: &str, seconds: u64, found: &mut impl FnMut(Finding)) {
    let codecs: Vec<CodecKind> = means.trunk.codecs.iter().copied().map(legs::codec).collect();
    let dial = Dial { user, codecs: codecs.clone(), headers: Vec::new(), display: DISPLAY };
    let mut talk = match talk::call(means, dial).await {
        Ok(talk) => talk,
        Err(refusal) => {
            found(refused(user, &refusal));
            return;
        }
    };
    found(answered(user, &talk));
    let echoes = sound(&mut talk, seconds, found).await;
    digits(&mut talk, found).await;
    hold(&mut talk, echoes, found).await;
    let (stats, confirmed) = talk.end().await;
    if !confirmed {
        found(
            Finding::new("end", Verdict::Warning, "our BYE was not answered within 5 s")
                .mend(Where::Between, "check what answers at the address in the PBX's Contact and Record-Route"),
        );
    }
    if let Some(stats) = stats {
        found(quality(&stats));
    }
    found(matrix(means, user, &codecs).await);
}

fn answered(user: &str, talk: &Talk<'_>) -> Finding {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let rang = talk.rang_after.map(|after| format!(", rang after {}", seconds(after))).unwrap_or_default();
    let suite = talk.agreed.srtp.as_ref().map(|keys| keys.ours.suite().name());
    let codec = talk.agreed.plan.codec.name();
    let said = format!(
        "{user} answers after {}{rang}: {codec}, {}",
        seconds(talk.answered_after),
        suite.map_or_else(|| "not encrypted".to_owned(), |suite| format!("SRTP {suite}")),
    );
    let remote = talk.agreed.remote.map(|at| format!("its sound is at {at}"));
    Finding::new("call", Verdict::Ok, said).lines(remote).figures(json!({
        "answered_after_ms": talk.answered_after.as_millis() as u64,
        "rang_after_ms": talk.rang_after.map(|after| after.as_millis() as u64),
        "codec": codec, "srtp": suite, "remote": talk.agreed.remote,
    }))
}

/// Why nobody answered, and who can change it.
pub(super) fn refused(user: &str, refusal: &Refusal) -> Finding {
    let Refusal { status, why } = refusal;
    let said = if *status == 0 { why.clone() } else { format!("{user} does not answer: {status} {why}") };
    let finding = Finding::new("call", Verdict::Bad, said).figures(json!({ "status": status }));
    match status {
        0 => finding
            .mend(Where::Between, "no answer to INVITE: check the firewall, and that the PBX takes calls from here"),
        401 | 407 => finding.mend(Where::Here, "check username, password_file and realm of the trunk"),
        403 => finding.mend(Where::Pbx, "allow this account or address to call this number"),
        404 | 410 | 484 | 604 => {
            finding.mend(Where::Pbx, "it does not know this number from this trunk: see its dial plan")
        }
        408 | 480 | 487 => {
            finding.mend(Where::Pbx, "nobody is there: register a telephone under this number, or call another")
        }
        486 | 600 => finding.mend(Where::Pbx, "the line is busy: call an echo or a free telephone"),
        488 | 606 => finding
            .mend(Where::Here, "check codecs and srtp of the trunk")
            .mend(Where::Pbx, "allow one of these codecs, and encryption as it is offered"),
        500..=599 => finding.mend(Where::Pbx, "it could not place this call: see its own log"),
        _ => finding.mend(Where::Pbx, "see its own log for this status"),
    }
}

/// Speaks and listens; tells whether our own tone comes back.
async fn sound(talk: &mut Talk<'_>, seconds: u64, found: &mut impl FnMut(Finding)) -> bool {
    talk.go_on(BEFORE_TONE).await;
    let began = clock::now();
    talk.ear.speak(true);
    talk.go_on(Duration::from_secs(seconds)).await;
    let came = talk.ear.tone_came(began);
    // The first moments are the way there and back.
    let heard = talk.ear.since(came.unwrap_or(began));
    let delay = came.map(|came| came.saturating_duration_since(began));
    talk.ear.speak(false);
    found(heard_of(talk, &heard, delay, seconds));
    came.is_some()
}

fn heard_of(talk: &Talk<'_>, heard: &Impression, delay: Option<Duration>, seconds: u64) -> Finding {
    let figures = json!({
        "level_dbfs": heard.level_db, "tone_purity": heard.tone, "seconds": heard.seconds,
        "there_and_back_ms": delay.map(|delay| delay.as_millis() as u64),
    });
    let finding = |verdict, said: String| Finding::new("sound", verdict, said).figures(figures.clone());
    let level = heard.level_db;
    if talk.gone {
        return finding(Verdict::Warning, "the far end hung up while we listened".to_owned())
            .mend(Where::Pbx, "call an extension that stays on the line: an echo");
    }
    if let Some(delay) = delay {
        let ms = delay.as_millis();
        return finding(Verdict::Ok, format!("both ways: our tone comes back after {ms} ms, at {level:.0} dBFS"));
    }
    if !talk.heard_packet {
        let ports = talk.rtp_ports();
        return finding(Verdict::Bad, format!("not one packet of sound came in {seconds} s"))
            .mend(Where::Between, format!("let UDP in to the ports {ports} of [media] rtp_ports, and see `nat` above"))
            .mend(Where::Pbx, "check that it sends its sound to the address in our SDP, or to where ours comes from");
    }
    let echo = "call an echo (Asterisk: Echo(), FreeSWITCH: 9196) to have both ways proven";
    if heard.is_silent() {
        return finding(Verdict::Warning, "packets come in, and they are silent".to_owned()).mend(Where::Pbx, echo);
    }
    finding(Verdict::Warning, format!("sound comes in, at {level:.0} dBFS; whether we are heard is not shown"))
        .mend(Where::Pbx, echo)
}

async fn digits(talk: &mut Talk<'_>, found: &mut impl FnMut(Finding)) {
    let Some(plan) = talk.agreed.plan.send_dtmf else {
        found(
            Finding::new("dtmf", Verdict::Warning, "the far end does not take telephone-event: keys cannot be sent")
                .mend(Where::Pbx, "set the digits of this trunk to RFC 4733 (also named RFC 2833)"),
        );
        return;
    };
    talk.digits.clear();
    for key in KEYS {
        talk.press(key);
        talk.go_on(KEY_PAUSE).await;
    }
    talk.go_on(KEYS_BACK).await;
    let back: String = talk.digits.iter().collect();
    let wanted: String = KEYS.iter().collect();
    let agreed = format!("telephone-event/{}, payload type {}", plan.clock_hz, plan.pt);
    let figures = json!({ "payload_type": plan.pt, "clock_hz": plan.clock_hz, "sent": wanted, "back": back });
    let (verdict, said) = if back == wanted {
        (Verdict::Ok, format!("{agreed}; {wanted} came back, each key once"))
    } else if back.is_empty() {
        (Verdict::Ok, format!("{agreed}; {wanted} sent, and nothing sends them back"))
    } else {
        (Verdict::Warning, format!("{agreed}; {wanted} sent, {back} came back"))
    };
    found(Finding::new("dtmf", verdict, said).figures(figures));
}

async fn hold(talk: &mut Talk<'_>, echoes: bool, found: &mut impl FnMut(Finding)) {
    if talk.gone {
        return found(Finding::new("hold", Verdict::Skipped, "the far end had hung up"));
    }
    let held = talk.offer(Direction::SendOnly).await;
    talk.go_on(HELD).await;
    let back = talk.offer(Direction::SendRecv).await;
    let began = clock::now();
    if echoes {
        talk.ear.speak(true);
        talk.go_on(SHORT_TONE).await;
        talk.ear.speak(false);
    }
    let again = talk.ear.tone_came(began).is_some();
    let figures = json!({
        "held": held.as_ref().map_or_else(ToString::to_string, |direction| direction.as_str().to_owned()),
        "resumed": back.as_ref().map_or_else(ToString::to_string, |direction| direction.as_str().to_owned()),
        "sound_after": echoes.then_some(again),
    });
    let finding = |verdict, said: String| Finding::new("hold", verdict, said).figures(figures.clone());
    found(match (&held, &back) {
        (Err(why), _) => finding(Verdict::Warning, format!("hold (sendonly): {why}"))
            .mend(Where::Pbx, "allow re-INVITE on this trunk"),
        (_, Err(why)) => {
            finding(Verdict::Bad, format!("back from hold: {why}")).mend(Where::Pbx, "allow re-INVITE on this trunk")
        }
        (Ok(_), Ok(_)) if echoes && !again => finding(Verdict::Bad, "after hold no sound comes back".to_owned())
            .mend(Where::Pbx, "see whether it takes our address and port from the later SDP"),
        (Ok(Direction::SendRecv | Direction::RecvOnly), Ok(_)) => {
            finding(Verdict::Warning, "the far end goes on sending while it is held; sound is back after it".to_owned())
        }
        (Ok(Direction::SendOnly | Direction::Inactive), Ok(_)) => {
            let sound = if echoes { "; sound is back after it" } else { "" };
            finding(Verdict::Ok, format!("held and resumed{sound}"))
        }
    });
}

fn quality(stats: &LegStats) -> Finding {
    let heard = legs::quality(stats);
    let percent =
        |share: Option<f32>| share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let ms = |time: Option<f32>| time.map_or_else(|| "unknown".to_owned(), |time| format!("{time:.1} ms"));
    let lines = vec![
        format!("from the PBX: loss {}, jitter {}", percent(heard.loss_in), ms(heard.jitter_in_ms)),
        format!(
            "to the PBX: loss {}, jitter {}, round trip {} (its own RTCP)",
            percent(heard.loss_out),
            ms(heard.jitter_out_ms),
            ms(heard.rtt_ms)
        ),
    ];
    let figures = json!({
        "mos": heard.mos, "loss_in": heard.loss_in, "loss_out": heard.loss_out, "jitter_in_ms": heard.jitter_in_ms,
        "jitter_out_ms": heard.jitter_out_ms, "rtt_ms": heard.rtt_ms, "packets_in": heard.packets_in,
        "packets_out": heard.packets_out,
    });
    let finding =
        |verdict, said: String| Finding::new("quality", verdict, said).lines(lines.clone()).figures(figures.clone());
    match heard.mos {
        None => finding(Verdict::Skipped, "no sound came that could be judged".to_owned()),
        Some(mos) if mos >= MOS_GOOD => finding(Verdict::Ok, format!("MOS {mos:.1}")),
        Some(mos) => {
            let verdict = if mos >= MOS_FAIR { Verdict::Warning } else { Verdict::Bad };
            finding(verdict, format!("MOS {mos:.1}: people will complain below 4"))
                .mend(Where::Between, "packets are lost or late: give voice priority, or shorten the way")
        }
    }
}

/// One short call for each codec there is.
async fn matrix(means: &Means<'_>, user: &str, configured: &[CodecKind]) -> Finding {
    let (mut lines, mut rows, mut never) = (Vec::new(), Vec::new(), Vec::new());
    for codec in CodecKind::ALL {
        tokio::time::sleep(BETWEEN_CALLS).await;
        let ours = configured.contains(&codec);
        let dial = Dial { user, codecs: vec![codec], headers: Vec::new(), display: DISPLAY };
        let row = match talk::call(means, dial).await {
            Err(refusal) => {
                if ours {
                    never.push(codec.name());
                }
                lines.push(format!("{:<5} refused: {} {}", codec.name(), refusal.status, refusal.why));
                json!({ "codec": codec.name(), "configured": ours, "taken": false, "status": refusal.status })
            }
            Ok(mut talk) => {
                let began = clock::now();
                talk.ear.speak(true);
                talk.go_on(SHORT_TONE).await;
                let (echoed, packets) = (talk.ear.tone_came(began).is_some(), talk.heard_packet);
                talk.end().await;
                let heard = match (echoed, packets) {
                    (true, _) => "our tone comes back",
                    (false, true) => "sound comes in",
                    (false, false) => "no sound",
                };
                lines.push(format!(
                    "{:<5} taken, {heard}{}",
                    codec.name(),
                    if ours { "" } else { " (not in codecs of the trunk)" }
                ));
                json!({ "codec": codec.name(), "configured": ours, "taken": true, "echoed": echoed, "packets": packets })
            }
        };
        rows.push(row);
    }
    let figures = json!(rows);
    if never.is_empty() {
        Finding::new("codecs", Verdict::Ok, "each configured codec is taken").lines(lines).figures(figures)
    } else {
        let never = never.join(", ");
        Finding::new("codecs", Verdict::Warning, format!("configured and never taken: {never}"))
            .mend(Where::Here, format!("leave {never} out of `codecs` of the trunk"))
            .mend(Where::Pbx, format!("or allow {never}"))
            .lines(lines)
            .figures(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_who_can_change_it() {
        for (status, side) in
            [(0, Where::Between), (401, Where::Here), (404, Where::Pbx), (486, Where::Pbx), (503, Where::Pbx)]
        {
            let finding = refused("600", &Refusal { status, why: "why".to_owned() });
            assert_eq!(
                (finding.verdict, finding.mends.first().map(|mend| mend.0)),
                (Verdict::Bad, Some(side)),
                "{status}"
            );
        }
    }

    #[test]
    fn quality_is_judged_by_mos() {
        let stats = |mos| LegStats {
            received: Default::default(),
            sent: Default::default(),
            remote: None,
            mos,
            codec: None,
            received_codec: None,
        };
        assert_eq!(quality(&stats(Some(4.3))).verdict, Verdict::Ok);
        assert_eq!(quality(&stats(Some(3.7))).verdict, Verdict::Warning);
        assert_eq!(quality(&stats(Some(2.0))).verdict, Verdict::Bad);
        assert_eq!(quality(&stats(None)).verdict, Verdict::Skipped);
    }
}
