//! Random numbers that can be had again: the seed is printed, and taken from `SPECLINE_SEED`.

/// xorshift64* (Vigna, 2016).
pub struct Random(u64);

impl Random {
    /// From `SPECLINE_SEED`, else from the clock; prints it.
    pub fn new() -> Self {
        let given = std::env::var("SPECLINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let seed: u64 = given.unwrap_or(u64::from(since.subsec_nanos()) ^ since.as_secs());
        println!("SPECLINE_SEED={seed}");
        Self(seed.max(1))
    }

    /// From a number that another one gave.
    pub fn seeded(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound
    }
}

/// How often a test repeats itself: `short`, and `long` under `SPECLINE_SOAK=1`.
pub fn times(short: u32, long: u32) -> u32 {
    if std::env::var("SPECLINE_SOAK").is_ok_and(|value| value == "1") { long } else { short }
}
