//! Looking again and again for a moment before going to sleep.
//!
//! Owns the decision how long. To be woken costs some microseconds, and both sides of a conversation that look for a moment
//! instead answer in a fraction of one; but who looks in vain takes the time of those who have work. So each [`Spin`] learns: what
//! came in time lets it look longer the next time, what didn't, half as long and at last hardly ever. It gives the
//! processor to others between two looks, and does not look at all where there is one core.

use std::thread::{available_parallelism, yield_now};
use std::time::{Duration, Instant};

/// It never looks for longer: about ten times what it costs to be woken.
const LONGEST: Duration = Duration::from_micros(50);
/// If it would look for less, it hardly ever does.
const SHORTEST: Duration = Duration::from_micros(4);
/// And then as long as this,
const TRIAL: Duration = Duration::from_micros(16);
/// once in so many times.
const TRIALS: u32 = 16;
/// How often it looks before it asks for the time.
const LOOKS: u32 = 32;
/// For so long it keeps the core to itself.
const STUBBORN: Duration = Duration::from_micros(5);

/// How long one place in the program looks before it sleeps.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    skipped: u32,
    is_alone: bool,
}

impl Spin {
    pub(crate) fn new() -> Self {
        let is_alone = available_parallelism().map_or(1, |cores| cores.get()) < 2;
        Self { limit: LONGEST, skipped: 0, is_alone }
    }

    /// Waits a moment for `is_there`, and says whether it came true.
    pub(crate) fn until(&mut self, mut is_there: impl FnMut() -> bool) -> bool {
        if self.is_alone {
            return is_there();
        }
        let mut limit = self.limit;
        if limit < SHORTEST {
            self.skipped += 1;
            if !self.skipped.is_multiple_of(TRIALS) {
                return is_there();
            }
            limit = TRIAL;
        }
        let begin = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if is_there() {
                    self.limit = (limit * 2).min(LONGEST);
                    return true;
                }
                std::hint::spin_loop();
            }
            let elapsed = begin.elapsed();
            if elapsed >= limit {
                self.limit = self.limit.min(limit / 2);
                return false;
            }
            if elapsed >= STUBBORN {
                yield_now();
            }
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn looking_in_vain_is_given_up_and_success_brings_it_back() {
        let mut spin = Spin { limit: LONGEST, skipped: 0, is_alone: false };
        let mut looks = 0;
        for _ in 0..5 {
            assert!(!spin.until(|| {
                looks += 1;
                false
            }));
        }
        assert!(spin.limit < SHORTEST);
        spin.skipped = 0;
        looks = 0;
        assert!(!spin.until(|| {
            looks += 1;
            false
        }));
        assert_eq!(looks, 1);
        for _ in 0..TRIALS + 2 {
            assert!(spin.until(|| true));
        }
        assert_eq!(spin.limit, LONGEST);
    }

    #[test]
    fn one_core_is_not_wasted() {
        let mut spin = Spin { limit: LONGEST, skipped: 0, is_alone: true };
        let mut looks = 0;
        assert!(!spin.until(|| {
            looks += 1;
            false
        }));
        assert_eq!(looks, 1);
    }
}
