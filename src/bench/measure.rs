//! Figures: percentiles, and what the system says of a process.

use std::time::Duration;

/// The value below which `part` (0 to 1) of the times lie, in milliseconds. Sorts them.
pub(super) fn percentile_ms(times: &mut [Duration], part: f64) -> f64 {
    if times.is_empty() {
        return 0.0;
    }
    times.sort_unstable();
    let rank = (to_f64(times.len() as u64 - 1) * part).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank lies between 0 and the number of times"
    )]
    let rank = rank as usize;
    rounded(times[rank].as_secs_f64() * 1_000.0)
}

/// Three digits after the point.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(super) const fn to_f64(count: u64) -> f64 {
    count as f64
}

/// How many a second.
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    rounded(to_f64(count) / time.as_secs_f64().max(1e-9))
}

/// A size that `/proc/PID/status` gives, such as `VmRSS`, in MB; none where there is no such file.
pub(super) fn memory_mb(process: &str, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(rounded(to_f64(kib) / 1_024.0))
}

/// Processor time that a process has used, in clock ticks.
pub(super) fn cpu_ticks(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th after it.
    let mut after = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = after.next()?.parse().ok()?;
    let system: u64 = after.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_the_sorted_times() {
        let mut times: Vec<_> = (1..=101).rev().map(Duration::from_millis).collect();
        assert!((percentile_ms(&mut times, 0.5) - 51.0).abs() < f64::EPSILON);
        assert!((percentile_ms(&mut times, 0.99) - 100.0).abs() < f64::EPSILON);
        assert!((percentile_ms(&mut [], 0.5) - 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_has_memory_and_used_time() {
        assert!(memory_mb("self", "VmRSS").is_some_and(|mb| mb > 1.0));
        assert!(cpu_ticks(std::process::id()).is_some());
    }
}
