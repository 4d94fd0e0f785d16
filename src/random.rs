//! Random numbers that don't depend on who runs a task: [`seed()`], and the generators of [`rng()`].
//!
//! Which seed a task has is decided in `core/seed`; here is what users are told of it, and the generator.

use crate::core::seed;

/// The seed of the task that calls it: the same in every run of the program, wherever and when the task runs.
///
/// The seed of a task follows from that of the task that forked it and from how many that one had forked before. So a program
/// whose tasks take their random numbers from [`seed()`] or [`rng()`](crate::rng()) gives the same results under every plan,
/// with any number of workers, and when a task is tried again.
///
/// * Outside tasks it is the seed of the plan: [`Plan::seed`](crate::Plan::seed) for [`plan()`](crate::plan()) or
///   [`with_plan`](crate::with_plan()), else `XFORK_SEED` in the environment, else another in every run. A program that
///   prints it in `main` can be run again with `XFORK_SEED=` that number.
/// * A plan with a seed begins anew: the same forks in two scopes with the same seed have the same seeds. A plan for a scope
///   that has no seed goes on with the one around it.
/// * The closures of [`lazy`](crate::lazy) and [`ResultProxy::map`](crate::ResultProxy::map) have seeds of their own,
///   like forks, whoever evaluates them.
///
/// What the program does not decide alone can't be repeated: which of two branches a task takes because another one happened to
/// be ready, and in which order threads of the program's own begin. Such threads, outside tasks and scopes with a seed, have
/// seeds by the order in which they first ask; in one that begins with `with_plan(plan.seed(n), || …)` all is as
/// in the main thread. Threads that a *task* starts are outside that task: hand them numbers made from its seed. Code that
/// xfork calls between tasks (`Serialize`, `Drop`, operators of one's own types) has the seed of whoever needs it.
///
/// ```
/// use xfork::{Plan, fork, seed, with_plan};
///
/// fn program() -> (u64, u64) {
///     let (a, b) = (fork(seed, ()), fork(|| *fork(seed, ()), ()));
///     (*a, *b)
/// }
/// let here = with_plan(Plan::sequential().seed(1), program);
/// assert_eq!(with_plan(Plan::processes(2).seed(1), program), here);
/// assert_ne!(with_plan(Plan::sequential().seed(2), program), here);
/// ```
///
/// # Panics
///
/// If `XFORK_SEED` is asked and is not a number from 0 to 2⁶⁴ − 1.
pub fn seed() -> u64 {
    seed::current()
}

#[cfg(feature = "rand")]
pub use generator::{TaskRng, rng};

#[cfg(feature = "rand")]
mod generator {
    use crate::core::seed;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{SeedableRng, TryRng};
    use std::convert::Infallible;

    /// A generator of random numbers for one task, for use with the `rand` crate; made by [`rng()`]. Needs the feature `rand`.
    ///
    /// It is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021), its
    /// state filled by SplitMix64 as the authors say: fast, of good quality, and **not** for secrets. Its numbers don't
    /// change between versions of xfork without a word in the changelog.
    ///
    /// It implements [`Rng`](rand_xoshiro::rand_core::Rng) and [`SeedableRng`] of `rand_core` 0.10, which is that of `rand` 0.10.
    ///
    /// ```
    /// use rand::{RngExt, SeedableRng};
    /// use xfork::TaskRng;
    ///
    /// let (mut one, mut other) = (TaskRng::seed_from_u64(3), TaskRng::seed_from_u64(3));
    /// assert_eq!(one.random_range(0..1000), other.random_range(0..1000));
    /// ```
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TaskRng(Xoshiro256PlusPlus);

    /// A generator of random numbers for the current task, the same wherever and when the task runs. Needs the feature `rand`.
    ///
    /// Each call gives another one: the n-th generator of a task has the n-th of its streams, which have nothing in common with
    /// each other nor with those of other tasks. So take one and keep it, or take them in an order that the program decides.
    /// [`seed()`](crate::seed()) says what a task is, and what holds outside tasks.
    ///
    /// ```
    /// use rand::RngExt;
    /// use xfork::{Plan, map, rng, with_plan};
    ///
    /// #[xfork::cpu_bound]
    /// fn dice(count: usize) -> Vec<u8> {
    ///     let mut rng = rng();
    ///     (0..count).map(|_| rng.random_range(1..=6)).collect()
    /// }
    ///
    /// let throws = |plan: Plan| with_plan(plan.seed(2026), || xfork::block_map(dice, [3, 3]).unwrap());
    /// let here = throws(Plan::sequential());
    /// assert_eq!(throws(Plan::processes(2)), here);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`seed()`](crate::seed()).
    pub fn rng() -> TaskRng {
        TaskRng::seed_from_u64(seed::stream())
    }

    impl TryRng for TaskRng {
        type Error = Infallible;

        #[inline]
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.0.try_next_u32()
        }

        #[inline]
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0.try_next_u64()
        }

        #[inline]
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            self.0.try_fill_bytes(bytes)
        }
    }

    impl SeedableRng for TaskRng {
        type Seed = <Xoshiro256PlusPlus as SeedableRng>::Seed;

        fn from_seed(seed: Self::Seed) -> Self {
            Self(Xoshiro256PlusPlus::from_seed(seed))
        }

        fn seed_from_u64(seed: u64) -> Self {
            Self(Xoshiro256PlusPlus::seed_from_u64(seed))
        }
    }
}
