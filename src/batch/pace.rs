//! How many items fit into a chunk: as many as take about so long together as it costs nothing to send one.

/// How long a chunk is to take, in nanoseconds: some twenty times what sending one costs.
const WANTED: u64 = 100_000;
/// The most items in a chunk.
const MOST: u64 = 1024;
/// How many bytes of arguments are to be in a chunk.
pub(super) const BYTES: u64 = 32 << 10;

/// What items have taken so far, each: moving averages, in nanoseconds and bytes.
pub(super) struct Pace {
    known: Option<(u64, u64)>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { known: None }
    }

    /// A chunk of so many items has ended.
    pub(super) fn note(&mut self, items: usize, nanos: u64, bytes: u64) {
        let Some(items) = std::num::NonZeroU64::new(items as u64) else { return };
        // A worker may say anything.
        let (nanos, bytes) = (nanos.min(u64::MAX >> 8) / items, bytes.min(u64::MAX >> 8) / items);
        self.known = Some(match self.known {
            None => (nanos, bytes),
            Some((before, size)) => ((before * 3 + nanos) / 4, (size * 3 + bytes) / 4),
        });
    }

    /// How many items the next chunk may have: one, as long as nothing is known.
    pub(super) fn items(&self) -> usize {
        let Some((nanos, bytes)) = self.known else { return 1 };
        let by_time = WANTED / nanos.max(1);
        let by_size = BYTES / bytes.max(1);
        by_time.min(by_size).clamp(1, MOST) as usize
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_as_many_items_as_take_the_wanted_time() {
        let mut pace = Pace::new();
        assert_eq!(pace.items(), 1);
        pace.note(0, 5, 5);
        assert_eq!(pace.items(), 1, "an empty chunk says nothing");
        pace.note(1, 1_000, 20);
        assert_eq!(pace.items(), 100);
        pace.note(100, 100_000, 2_000);
        assert_eq!(pace.items(), 100);
        for _ in 0..20 {
            pace.note(10, 10_000_000, 200);
        }
        assert_eq!(pace.items(), 1, "long items travel alone");
        for _ in 0..40 {
            pace.note(1, 0, 1);
        }
        assert_eq!(pace.items() as u64, MOST);
    }

    #[test]
    fn large_arguments_make_small_chunks_and_no_number_harms() {
        let mut pace = Pace::new();
        pace.note(1, 10, BYTES / 4);
        assert_eq!(pace.items(), 4);
        for nanos in [u64::MAX, u64::MAX - 1, u64::MAX >> 7] {
            pace.note(1, nanos, u64::MAX);
            assert_eq!(pace.items(), 1);
        }
    }
}
