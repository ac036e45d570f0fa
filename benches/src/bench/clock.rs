//! Cycles of the time stamp counter, and how many of them a second has.

use std::time::{Duration, Instant};

/// The counter's reading, or nanoseconds where there is no such counter. It counts evenly, whatever frequency the core has, so its "cycles"
/// are of the nominal frequency.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code, reason = "intrinsics")]
pub fn now() -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: both are part of every x86_64; Linux lets programs use them. The fences keep what is measured on its side of the reading.
    unsafe {
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

/// The counter's reading, or nanoseconds where there is no such counter.
#[cfg(not(target_arch = "x86_64"))]
pub fn now() -> u64 {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// Whether [`now`] counts cycles.
pub const CYCLES: bool = cfg!(target_arch = "x86_64");

/// Counts of [`now`] in a second, compared with the system's clock for a moment.
pub fn hz() -> f64 {
    let (start, count) = (Instant::now(), now());
    while start.elapsed() < Duration::from_millis(50) {
        std::hint::spin_loop();
    }
    (now() - count) as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_has_a_plausible_rate() {
        let hz = hz();
        assert!((5e8..1e10).contains(&hz), "{hz}");
    }
}
