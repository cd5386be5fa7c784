//! How good a call sounds, as a number: the E-model of ITU-T G.107, reduced to what a gateway can know.

use crate::codec::CodecKind;

/// What the model is fed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The codec of the path.
    pub codec: CodecKind,
    /// Share of packets that were lost and not restored, 0 to 1.
    pub loss_ratio: f32,
    /// Packets lost in a row on average over what random loss would give (G.107 §7.3): 1 is random.
    pub burst_ratio: f32,
    /// Delay from mouth to ear, in milliseconds.
    pub delay_ms: f32,
}

/// Equipment impairment and robustness to loss (ITU-T G.113 Appendix I): G.711 with concealment 0 and 25.1. G.722 and
/// Opus have no agreed narrowband entry; they impair nothing of telephone speech, and their robustness is set by
/// the PESQ the project measured under random loss (G.722 concealed like G.711; Opus without its FEC).
const fn impairment(codec: CodecKind) -> (f32, f32) {
    match codec {
        CodecKind::Pcmu | CodecKind::Pcma => (0.0, 25.1),
        CodecKind::G722 => (0.0, 20.0),
        CodecKind::Opus => (0.0, 18.0),
    }
}

/// Mean opinion score, 1 to 4.5.
#[must_use]
pub fn mos(conditions: &Conditions) -> f32 {
    let (impairment, robustness) = impairment(conditions.codec);
    let loss_percent = (conditions.loss_ratio * 100.0).clamp(0.0, 100.0);
    let burst_ratio = conditions.burst_ratio.max(1.0);
    // G.107 (7-29)
    let loss = impairment + (95.0 - impairment) * loss_percent / (loss_percent / burst_ratio + robustness);
    let delay_ms = conditions.delay_ms.max(0.0);
    // The usual straight lines for Idd of G.107 §7.4 with the knee at 177.3 ms.
    let delay = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    from_rating(93.2 - delay - loss)
}

/// G.107 Annex B.
fn from_rating(rating: f32) -> f32 {
    if rating <= 0.0 {
        1.0
    } else if rating >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codec: CodecKind, loss_ratio: f32, delay_ms: f32) -> f32 {
        mos(&Conditions { codec, loss_ratio, burst_ratio: 1.0, delay_ms })
    }

    #[test]
    fn a_clean_line_is_good_and_loss_and_delay_make_it_worse() {
        let clean = score(CodecKind::Pcmu, 0.0, 20.0);
        assert!((4.35..4.45).contains(&clean), "{clean}");
        let mut before = clean;
        for loss in [0.01, 0.05, 0.1, 0.2, 0.5, 1.0] {
            let now = score(CodecKind::Pcmu, loss, 20.0);
            assert!(now < before && now >= 1.0, "{loss}: {now}");
            before = now;
        }
        assert!(score(CodecKind::Pcmu, 0.0, 400.0) < 3.7);
    }

    #[test]
    fn no_number_leaves_the_scale() {
        for loss in [-1.0, 0.0, 0.3, 1.0, 7.0] {
            for delay in [-5.0, 0.0, 150.0, 10_000.0] {
                for codec in CodecKind::ALL {
                    assert!((1.0..=4.5).contains(&score(codec, loss, delay)));
                }
            }
        }
    }
}
