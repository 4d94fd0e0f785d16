//! The system's allocator, counted exactly while [`start`] and [`stop`] say so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

pub(crate) struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
/// Bytes given out less bytes given back, while it counts.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);
/// What the C library takes for those given out, less what it gets back.
static TAKEN: AtomicIsize = AtomicIsize::new(0);

/// Counts from zero.
pub(crate) fn start() {
    LIVE.store(0, Ordering::Relaxed);
    PEAK.store(0, Ordering::Relaxed);
    TAKEN.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
}

pub(crate) fn stop() {
    COUNTS.store(false, Ordering::Relaxed);
}

/// Bytes that were given out since the start and have not come back, the most that these ever were, and what glibc takes for
/// the first.
pub(crate) fn counted() -> [isize; 3] {
    [&LIVE, &PEAK, &TAKEN].map(|count| count.load(Ordering::Relaxed))
}

/// What glibc takes for so many bytes: a word more, in steps of 16, and no less than 32.
fn taken(size: usize) -> isize {
    (size + size_of::<usize>()).next_multiple_of(16).max(32) as isize
}

impl Counting {
    fn count(by: isize, taken: isize) {
        if COUNTS.load(Ordering::Relaxed) {
            TAKEN.fetch_add(taken, Ordering::Relaxed);
            let live = LIVE.fetch_add(by, Ordering::Relaxed) + by;
            PEAK.fetch_max(live, Ordering::Relaxed);
        }
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: every call goes on to the system's allocator as it came; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize, taken(layout.size()));
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize, taken(layout.size()));
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size as isize - layout.size() as isize, taken(size) - taken(layout.size()));
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        Self::count(-(layout.size() as isize), -taken(layout.size()));
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.dealloc(place, layout) }
    }
}
