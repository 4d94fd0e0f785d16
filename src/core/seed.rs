//! Seeds: which numbers a task draws depends on where it stands in the program, not on who runs it, where or when.
//!
//! Owns the tree of seeds. Its root is the seed of the plan; a task is a *branch*, whose seed follows from that of the task
//! that forked it and from how many forks that one had made before. A branch counts in the thread that runs it, from
//! zero each time it is run, so that a task that is tried again, or was sent to another process, draws the same numbers.
//! What xfork forks for itself, when it happens to be needed, is counted apart. Leaves out the generator of the numbers.
//!
//! The mixing is the output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014; variant 13 of the constants by Stafford), once over the position and once over both, so
//! that neither neighbouring seeds nor neighbouring positions have anything in common.

use crate::core::context;
use crate::ground::sys;
use parking_lot::Mutex;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable by which the person who runs the program chooses the seed.
pub(crate) const VARIABLE: &str = "XFORK_SEED";

/// What is derived from a seed; each has numbers of its own.
#[derive(Clone, Copy)]
enum Purpose {
    Fork = 1,
    #[cfg_attr(
        not(any(feature = "rand", all(test, not(xfork_loom)))),
        expect(dead_code, reason = "its number is taken all the same")
    )]
    Stream,
    Aside,
    Thread,
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// For one seed and purpose, different indices give different seeds: each step can be undone.
fn derive(seed: u64, purpose: Purpose, index: u64) -> u64 {
    mix(seed ^ mix(((purpose as u64) << 56) ^ index))
}

/// A place in the tree: its seed, and what has been derived from it so far.
#[derive(Clone, Copy)]
struct Branch {
    seed: u64,
    forks: u64,
    streams: u64,
    asides: u64,
}

impl Branch {
    fn new(seed: u64) -> Self {
        Self { seed, forks: 0, streams: 0, asides: 0 }
    }

    fn next(&mut self, purpose: Purpose) -> u64 {
        let count = match purpose {
            Purpose::Fork => &mut self.forks,
            Purpose::Stream => &mut self.streams,
            Purpose::Aside | Purpose::Thread => &mut self.asides,
        };
        let index = *count;
        *count += 1;
        derive(self.seed, purpose, index)
    }
}

thread_local! {
    // Without destructors, so that both can be used until the very end of a thread.
    /// The branch of the task, of the deferred value or of the plan with a seed that this thread is in.
    static BRANCH: Cell<Option<Branch>> = const { Cell::new(None) };
    /// The thread's branch outside those, and the program's choice of a seed from which it was made.
    static OUTSIDE: Cell<Option<(u64, Branch)>> = const { Cell::new(None) };
}

/// The program outside tasks and plans with seeds of their own.
struct Program {
    seed: Option<u64>,
    /// How many threads but the main one have asked.
    threads: u64,
}

static PROGRAM: Mutex<Program> = Mutex::new(Program { seed: None, threads: 0 });
/// How often the program has chosen its seed.
static CHOICES: AtomicU64 = AtomicU64::new(0);

/// Makes `seed` that of the program; what it forks is counted anew.
pub(crate) fn choose(seed: u64) {
    let mut program = PROGRAM.lock();
    *program = Program { seed: Some(seed), threads: 0 };
    // Relaxed, here and below: a thread that must see the choice is ordered after it by other means.
    CHOICES.fetch_add(1, Ordering::Relaxed);
}

/// The seed that the environment asks for, if it does.
///
/// # Errors
///
/// What the variable may be, if it is not that.
pub(crate) fn parse(text: Option<&str>) -> Result<Option<u64>, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seed = text.parse().map_err(|_| {
        format!("{VARIABLE}={text:?} is not a seed; it may be a number from 0 to {}", u64::MAX)
    })?;
    Ok(Some(seed))
}

/// As the environment says; else another in every run. A worker has no part in the program outside tasks, and must not
/// repeat what others draw there.
fn default_seed() -> u64 {
    let chosen = match context::worker_pid() {
        Some(_) => None,
        None => parse(std::env::var(VARIABLE).ok().as_deref()).unwrap_or_else(|error| panic!("{error}")),
    };
    // The keys of the standard library's hash maps come from the system's source of randomness.
    chosen.unwrap_or_else(|| mix(RandomState::new().hash_one(std::process::id())))
}

fn outside() -> (u64, Branch) {
    if let Some(known) = OUTSIDE.get().filter(|(choice, _)| *choice == CHOICES.load(Ordering::Relaxed)) {
        return known;
    }
    let mut program = PROGRAM.lock();
    let choice = CHOICES.load(Ordering::Relaxed);
    let seed = *program.seed.get_or_insert_with(default_seed);
    if sys::is_main_thread() {
        return (choice, Branch::new(seed));
    }
    program.threads += 1;
    (choice, Branch::new(derive(seed, Purpose::Thread, program.threads)))
}

/// Asks the branch that this thread is in.
fn here<R>(ask: impl FnOnce(&mut Branch) -> R) -> R {
    if let Some(mut branch) = BRANCH.get() {
        let answer = ask(&mut branch);
        BRANCH.set(Some(branch));
        return answer;
    }
    let (choice, mut branch) = outside();
    let answer = ask(&mut branch);
    OUTSIDE.set(Some((choice, branch)));
    answer
}

/// The seed of the task, or of the program outside tasks, that this thread is in.
///
/// # Panics
///
/// If the environment asks for a seed that is none; so do the others here.
pub(crate) fn current() -> u64 {
    here(|branch| branch.seed)
}

/// The seed of what is forked or deferred here and now.
pub(crate) fn fork() -> u64 {
    here(|branch| branch.next(Purpose::Fork))
}

/// Where in the tree something is that was forked: from it [`at`] tells the seed, which a task needs only when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) branch: u64,
    pub(crate) index: u64,
}

/// The position of what is forked here and now; takes the place of [`fork`].
pub(crate) fn fork_position() -> Position {
    here(|branch| {
        let index = branch.forks;
        branch.forks += 1;
        Position { branch: branch.seed, index }
    })
}

/// The seed of what was forked there.
pub(crate) fn at(position: Position) -> u64 {
    derive(position.branch, Purpose::Fork, position.index)
}

/// The seed of the next generator that is made here.
#[cfg(feature = "rand")]
pub(crate) fn stream() -> u64 {
    here(|branch| branch.next(Purpose::Stream))
}

/// Goes back to the branch before when dropped.
pub(crate) struct Entered(Option<Branch>);

impl Drop for Entered {
    fn drop(&mut self) {
        BRANCH.set(self.0);
    }
}

/// Begins a branch with this seed, in which this thread is until the guard is dropped.
pub(crate) fn enter(seed: u64) -> Entered {
    Entered(BRANCH.replace(Some(Branch::new(seed))))
}

/// Goes to a place in the tree: what is forked next in this thread has that position, until the guard is dropped.
pub(crate) fn enter_at(position: Position) -> Entered {
    let branch = Branch { forks: position.index, ..Branch::new(position.branch) };
    Entered(BRANCH.replace(Some(branch)))
}

/// Until the guard is dropped, forks of this thread are counted apart from the program's own: they are made when something
/// happens not to be there yet, which must not change the seeds of what the program forks next.
pub(crate) fn enter_aside() -> Entered {
    enter(here(|branch| branch.next(Purpose::Aside)))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    /// Each bit of the seed and of the index changes each bit of what is derived in half of the cases.
    #[test]
    fn every_bit_depends_on_every_bit() {
        const SAMPLES: u64 = 4000;
        for input in 0..128 {
            let mut changed = [0_u64; 64];
            for n in 0..SAMPLES {
                // Small numbers, as people choose seeds and programs count.
                let (seed, index) = (n % 50, n / 50);
                let flip = 1 << (input % 64);
                let other = match input {
                    // The uppermost byte of the index is the purpose's.
                    120.. => continue,
                    64.. => derive(seed, Purpose::Fork, index ^ flip),
                    _ => derive(seed ^ flip, Purpose::Fork, index),
                };
                let difference = other ^ derive(seed, Purpose::Fork, index);
                (0..64).for_each(|bit| changed[bit] += difference >> bit & 1);
            }
            for (output, count) in changed.into_iter().enumerate().filter(|_| input < 120) {
                // Six standard deviations (32 each) for 7680 pairs of bits.
                assert!(count.abs_diff(SAMPLES / 2) < 190, "{input} to {output}: {count} of {SAMPLES}");
            }
        }
    }

    /// The bits of the seeds of one task's forks are ones as often as zeros, and so are those of neighbouring tasks.
    #[test]
    fn bits_are_balanced() {
        const SAMPLES: u64 = 100_000;
        let sequences: [fn(u64) -> u64; 3] = [
            |n| derive(1, Purpose::Fork, n),
            |n| derive(n, Purpose::Fork, 0),
            |n| derive(derive(0, Purpose::Fork, n), Purpose::Stream, 0),
        ];
        for sequence in sequences {
            for bit in 0..64 {
                let ones = (0..SAMPLES).filter(|&n| sequence(n) >> bit & 1 == 1).count() as u64;
                // Six standard deviations (158 each).
                assert!(ones.abs_diff(SAMPLES / 2) < 950, "bit {bit}: {ones} of {SAMPLES}");
            }
        }
    }

    #[test]
    fn what_is_derived_for_different_purposes_differs() {
        let mut all = Vec::new();
        for purpose in [Purpose::Fork, Purpose::Stream, Purpose::Aside, Purpose::Thread] {
            all.extend((0..25_000).map(|index| derive(7, purpose, index)));
        }
        // With the seeds of the first grandchildren, and those under the neighbouring seed.
        all.extend((0..25_000).map(|index| derive(derive(7, Purpose::Fork, 0), Purpose::Fork, index)));
        all.extend((0..25_000).map(|index| derive(8, Purpose::Fork, index)));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// A change here changes the results of every program that has noted its seed.
    #[test]
    fn seeds_stay_what_they_are() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        let _branch = enter(42);
        let (first, second) = (fork(), at(fork_position()));
        assert_eq!((first, second), (11025300667773846816, 8378288911969965707));
    }

    #[test]
    fn a_branch_that_is_left_goes_on_where_it_was() {
        let _outer = enter(1);
        let first = fork();
        {
            let _inner = enter(1);
            assert_eq!(fork(), first);
            let _aside = enter_aside();
            assert_ne!(fork(), first);
        }
        let second = fork();
        assert_ne!(second, first);
        assert_eq!(current(), 1);
        let _again = enter(1);
        assert_eq!((fork(), fork()), (first, second));
    }

    #[test]
    fn a_place_that_is_gone_to_gives_the_seed_of_that_place() {
        let _outer = enter(3);
        let position = Position { branch: 9, index: 4 };
        {
            let _there = enter_at(position);
            assert_eq!(fork(), at(position));
        }
        assert_eq!(fork(), at(Position { branch: 3, index: 0 }));
    }

    /// Row 50 of faults.md, for seeds: a bad environment is an error that says what is possible.
    #[test]
    fn a_seed_is_a_whole_number() {
        assert_eq!(parse(None), Ok(None));
        assert_eq!(parse(Some(" ")), Ok(None));
        assert_eq!(parse(Some(" 18446744073709551615 ")), Ok(Some(u64::MAX)));
        for bad in ["-1", "1.5", "0x10", "random", "18446744073709551616"] {
            assert_eq!(
                parse(Some(bad)).unwrap_err(),
                format!(
                    "XFORK_SEED={bad:?} is not a seed; it may be a number from 0 to 18446744073709551615"
                )
            );
        }
    }
}
