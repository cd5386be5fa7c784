//! The quadrature mirror filters of G.722 (§3.1, §4.4): 24 taps that part 16 kHz into two bands of 8 kHz, and join them.

/// Every other tap; the rest are the same ones backwards (table 11).
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// The two interleaved halves of the filter's memory, oldest first.
#[derive(Clone, Debug)]
struct Memory {
    first: [i32; 12],
    second: [i32; 12],
}

impl Memory {
    const fn new() -> Self {
        Self { first: [0; 12], second: [0; 12] }
    }

    fn run(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.first.copy_within(1.., 0);
        self.first[11] = first;
        self.second.copy_within(1.., 0);
        self.second[11] = second;
        let forwards = self.first.iter().zip(TAPS).map(|(sample, tap)| sample * tap).sum();
        let backwards = self.second.iter().zip(TAPS.iter().rev()).map(|(sample, tap)| sample * tap).sum();
        (forwards, backwards)
    }
}

/// Sending side.
#[derive(Debug)]
pub(super) struct Split {
    memory: Memory,
}

impl Split {
    pub(super) const fn new() -> Self {
        Self { memory: Memory::new() }
    }

    /// Two samples in, one of each band out: low, high.
    pub(super) fn run(&mut self, first: i16, second: i16) -> (i32, i32) {
        let (odd, even) = self.memory.run(i32::from(first), i32::from(second));
        ((even + odd) >> 14, (even - odd) >> 14)
    }
}

/// Receiving side.
#[derive(Clone, Debug)]
pub(super) struct Join {
    memory: Memory,
}

impl Join {
    pub(super) const fn new() -> Self {
        Self { memory: Memory::new() }
    }

    /// One sample of each band in, two samples out.
    pub(super) fn run(&mut self, low: i32, high: i32) -> (i16, i16) {
        let (second, first) = self.memory.run(low + high, low - high);
        (clip(first >> 11), clip(second >> 11))
    }
}

fn clip(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
