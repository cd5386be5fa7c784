//! One band of G.722: quantiser, adaptive step, and the predictor of two poles and six zeros (ITU-T G.722 §3 to §5).
//!
//! Names follow the Recommendation where it names a quantity, so that the two can be laid side by side.

/// Clips to 16 bits, as every sum of the Recommendation's basic operators does.
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// The predictor shared by both bands (block 4).
#[derive(Clone, Debug, Default)]
struct Predictor {
    /// Poles.
    a: [i32; 2],
    /// Zeros.
    b: [i32; 6],
    /// Quantised differences, newest first.
    d: [i32; 6],
    /// Reconstructed signal, newest first.
    r: [i32; 2],
    /// The same without the poles' part, newest first.
    p: [i32; 2],
    /// The zeros' part of the prediction.
    sz: i32,
    /// The prediction.
    s: i32,
}

impl Predictor {
    /// Takes the quantised difference of one sample and predicts the next.
    fn adapt(&mut self, d: i32) {
        let r = saturate(self.s + d); // RECONS
        let p = saturate(self.sz + d); // PARREC
        let like = [(p < 0) == (self.p[0] < 0), (p < 0) == (self.p[1] < 0)];
        let [a1, a2] = self.a;

        // UPPOL2
        let slope = saturate(a1 << 2);
        let slope = if like[0] { (-slope).min(32_767) } else { slope };
        let sign = if like[1] { 128 } else { -128 };
        let a2 = ((slope >> 7) + sign + ((a2 * 32_512) >> 15)).clamp(-12_288, 12_288);

        // UPPOL1
        let sign = if like[0] { 192 } else { -192 };
        let limit = saturate(15_360 - a2);
        self.a = [saturate(sign + ((a1 * 32_640) >> 15)).clamp(-limit, limit), a2];

        // UPZERO
        let step = if d == 0 { 0 } else { 128 };
        for (zero, before) in self.b.iter_mut().zip(self.d) {
            let sign = if (before < 0) == (d < 0) { step } else { -step };
            *zero = saturate(sign + ((*zero * 32_640) >> 15));
        }

        // DELAYA
        self.d.copy_within(..5, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];

        // FILTEP, FILTEZ, PREDIC
        let poles: i32 = self.a.iter().zip(self.r).map(|(a, r)| (a * saturate(r + r)) >> 15).sum();
        let zeros: i32 = self.b.iter().zip(self.d).map(|(b, d)| (b * saturate(d + d)) >> 15).sum();
        self.sz = saturate(zeros);
        self.s = saturate(saturate(poles) + self.sz);
    }
}

/// Mantissas of the step size, 2^(n/32) (table 8).
const STEP: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// SCALEL, SCALEH: the step size of a logarithm. `exponent` is 8 for the lower, 10 for the higher band.
fn step_of(logarithm: i32, exponent: i32) -> i32 {
    let mantissa = STEP[(logarithm >> 6 & 31) as usize];
    let shift = exponent - (logarithm >> 11);
    (if shift < 0 { mantissa << -shift } else { mantissa >> shift }) << 2
}

/// Where the magnitudes of the 6-bit quantiser begin, in units of the step (table 14, Q6).
const LOW_LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219, 1_339,
    1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];

/// Values of the 6-bit code (QQ6), as the decoder hears them.
const LOW_FINE: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];

/// Values of its upper four bits (QQ4): what both predictors go by.
const LOW_COARSE: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];

/// How the logarithm of the step moves with the upper four bits (WL by way of RL4).
const LOW_MOVE: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];

/// The lower band.
#[derive(Clone, Debug)]
pub(super) struct LowBand {
    predictor: Predictor,
    logarithm: i32,
    step: i32,
}

impl LowBand {
    pub(super) fn new() -> Self {
        Self { predictor: Predictor::default(), logarithm: 0, step: 32 }
    }

    /// Codes one sample of 15 bits into 6.
    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.predictor.s);
        // QUANTL: one's complement below zero.
        let magnitude = if difference < 0 { !difference } else { difference };
        let step = self.step;
        let interval = LOW_LEVELS.iter().take_while(|level| magnitude >= (**level * step) >> 12).count();
        let code = match (difference < 0, interval) {
            (true, 0) => 63,
            (true, 1) => 62,
            (true, larger) => 33 - larger,
            (false, any) => 61 - any,
        } as u8;
        self.adapt(code);
        code
    }

    /// Decodes 6 bits into one sample of 15.
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.step * LOW_FINE[usize::from(code & 0x3f)]) >> 15;
        let sample = (self.predictor.s + difference).clamp(-16_384, 16_383);
        self.adapt(code);
        sample
    }

    fn adapt(&mut self, code: u8) {
        let coarse = usize::from(code >> 2 & 0x0f);
        let difference = (self.step * LOW_COARSE[coarse]) >> 15;
        self.logarithm = (((self.logarithm * 127) >> 7) + LOW_MOVE[coarse]).clamp(0, 18_432); // LOGSCL
        self.step = step_of(self.logarithm, 8);
        self.predictor.adapt(difference);
    }
}

/// Values of the 2-bit code (QQ2).
const HIGH_VALUES: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];

/// How the logarithm of the step moves with it (WH by way of RH2).
const HIGH_MOVE: [i32; 4] = [798, -214, 798, -214];

/// The higher band.
#[derive(Clone, Debug)]
pub(super) struct HighBand {
    predictor: Predictor,
    logarithm: i32,
    step: i32,
}

impl HighBand {
    pub(super) fn new() -> Self {
        Self { predictor: Predictor::default(), logarithm: 0, step: 8 }
    }

    /// Codes one sample of 15 bits into 2.
    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.predictor.s);
        let magnitude = if difference < 0 { !difference } else { difference };
        let large = magnitude >= (564 * self.step) >> 12; // QUANTH
        let code = match (difference < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.adapt(code);
        code
    }

    /// Decodes 2 bits into one sample of 15.
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.step * HIGH_VALUES[usize::from(code & 3)]) >> 15;
        let sample = (self.predictor.s + difference).clamp(-16_384, 16_383);
        self.adapt(code);
        sample
    }

    fn adapt(&mut self, code: u8) {
        let code = usize::from(code & 3);
        let difference = (self.step * HIGH_VALUES[code]) >> 15;
        self.logarithm = (((self.logarithm * 127) >> 7) + HIGH_MOVE[code]).clamp(0, 22_528); // LOGSCH
        self.step = step_of(self.logarithm, 10);
        self.predictor.adapt(difference);
    }
}
