//! How many cycles a nanosecond has.

use std::time::Instant;

/// Runs beside the measurements and compares the time stamp counter with the system's clock.
pub struct Clock {
    started: Instant,
    counter: Option<u64>,
}

impl Clock {
    /// Starts to compare.
    pub fn start() -> Clock {
        Clock { started: Instant::now(), counter: counter() }
    }

    /// Counts per second since the start; `None` where there is no such counter. It counts evenly, whatever frequency
    /// the core has, so its "cycles" are of the nominal frequency.
    pub fn tsc_hz(&self) -> Option<f64> {
        let counts = counter()?.checked_sub(self.counter?)?;
        Some(counts as f64 / self.started.elapsed().as_secs_f64())
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "an intrinsic")]
fn counter() -> Option<u64> {
    // SAFETY: part of every x86_64; Linux lets programs use it.
    Some(unsafe { std::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> Option<u64> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_counter_has_a_plausible_rate() {
        let clock = Clock::start();
        while clock.started.elapsed().as_millis() < 20 {
            std::hint::spin_loop();
        }
        let hz = clock.tsc_hz().unwrap();
        assert!((5e8..1e10).contains(&hz), "{hz}");
    }
}
