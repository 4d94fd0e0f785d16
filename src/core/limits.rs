//! What a task may take, and how often it may be tried: the metadata that marks, [`task()`](crate::task()) and the plan share.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The back-off where none is said.
const BACKOFF: Duration = Duration::from_millis(100);
/// No back-off grows beyond this: it is added to clocks, which end somewhere.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 3600);

/// What a task may take: time, memory, tries; and how urgent it is.
///
/// The same settings stand on marks (`#[cpu_bound(timeout = "30s")]`), on a single task ([`Task::timeout`](crate::Task::timeout)
/// and its neighbours) and on the plan ([`Plan::limits`](crate::Plan::limits)); what is said more closely to the task wins.
/// Nothing limits what runs in place, by [`#[sequential]`](macro@crate::sequential).
///
/// ```
/// use std::time::Duration;
/// use xfork::{Limits, Plan, fork, wait, with_plan};
///
/// #[xfork::cpu_bound]
/// fn forever() { loop { std::hint::spin_loop() } }
///
/// let plan = Plan::processes(1).limits(Limits::new().timeout(Duration::from_millis(50)));
/// with_plan(plan, || assert!(wait(&fork(forever, ())).unwrap_err().is_timeout()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) cpu_time: Option<Duration>,
    pub(crate) memory: Option<u64>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<Duration>,
    pub(crate) priority: Option<i32>,
}

/// How soon a task is to run: by priority, and then by rank.
pub(crate) type Urgency = i64;

impl Limits {
    /// No limits: a task takes what it needs, is tried once, and has priority 0.
    ///
    /// ```
    /// assert_eq!(xfork::Limits::new(), xfork::Limits::default());
    /// ```
    pub const fn new() -> Self {
        Self { timeout: None, cpu_time: None, memory: None, retries: None, backoff: None, priority: None }
    }

    /// How long a task may run, counted from when it starts; then it fails with [`is_timeout`](crate::TaskError::is_timeout).
    ///
    /// A worker process that runs it is ended and replaced. A thread can't be ended: the task's result is the error, and
    /// what it does goes on without anybody listening.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let limits = xfork::Limits::new().timeout(Duration::from_secs(30));
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How much processor time a task may use in a worker process, all threads together; then it is ended like one that
    /// has run too long, and fails with [`is_timeout`](crate::TaskError::is_timeout). On threads it means nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let limits = xfork::Limits::new().cpu_time(Duration::from_secs(10));
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn cpu_time(mut self, limit: Duration) -> Self {
        self.cpu_time = Some(limit);
        self
    }

    /// How many bytes of memory a task may add to what its worker process has; an allocation beyond fails, which ends the
    /// task with [`is_out_of_memory`](crate::TaskError::is_out_of_memory). On threads it means nothing.
    ///
    /// ```
    /// let limits = xfork::Limits::new().memory(512 << 20);
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How many more times a task is tried when it fails, be it by a panic, a crash or a limit. To say so is to say that it
    /// may run twice: without it no task that has started ever is. A failed dependency is not tried again, nor what depends
    /// on it.
    ///
    /// On a thread only a panic can be survived. Each try there takes clones of the arguments, which marks and
    /// [`Task::retries`](crate::Task::retries) ask for; said here or for the plan, retries hold for cpu-bound tasks,
    /// whose arguments can be copied in any case, for those whose mark has retries, and for tasks of a graph of which
    /// [`Graph::set_limits`](crate::Graph::set_limits) says it.
    ///
    /// ```
    /// let limits = xfork::Limits::new().retries(2);
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn retries(mut self, times: u32) -> Self {
        self.retries = Some(times);
        self
    }

    /// How long to wait before the first further try; twice as long before each next, up to a day. 100 ms unless said
    /// otherwise. A task on a thread sleeps in it meanwhile.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let limits = xfork::Limits::new().retries(5).backoff(Duration::from_secs(1));
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn backoff(mut self, first: Duration) -> Self {
        self.backoff = Some(first);
        self
    }

    /// How urgent a task is: of those that wait for a worker or thread, the one with the greatest number is next, and of
    /// equals the oldest. 0 unless said otherwise.
    ///
    /// ```
    /// let limits = xfork::Limits::new().priority(10);
    /// # assert_ne!(limits, xfork::Limits::new());
    /// ```
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// These, and where they say nothing, `others`.
    #[doc(hidden)]
    pub const fn or(self, others: Self) -> Self {
        macro_rules! first {
            ($($field:ident)*) => {
                Self { $($field: match self.$field { Some(_) => self.$field, None => others.$field }),* }
            };
        }
        first!(timeout cpu_time memory retries backoff priority)
    }

    /// How soon a task of this rank is to run.
    pub(crate) fn urgency(&self, rank: u32) -> Urgency {
        (Urgency::from(self.priority.unwrap_or(0)) << 32) + Urgency::from(rank)
    }

    /// How long to wait before a further try, the first being number 1.
    pub(crate) fn pause_before(&self, retry: u32) -> Duration {
        let doublings = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        self.backoff.unwrap_or(BACKOFF).saturating_mul(doublings).min(LONGEST_BACKOFF)
    }

    /// Whether a task has to have a process of its own to be held to them.
    pub(crate) fn need_a_process(&self) -> bool {
        self.timeout.is_some()
            || self.cpu_time.is_some()
            || self.memory.is_some()
            || self.retries.is_some_and(|times| times > 0)
    }
}

/// What a task takes along to wherever it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    /// The seed of its random numbers and of its forks.
    pub(crate) seed: u64,
    /// Whether somebody wants to know at once that it runs.
    pub(crate) is_watched: bool,
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_more_closely_to_the_task_wins() {
        let plan = Limits::new().retries(1).priority(3).timeout(Duration::from_secs(9));
        let mark = Limits::new().timeout(Duration::from_secs(5)).memory(7);
        let task = Limits::new().priority(-1);
        let expected = Limits::new().retries(1).priority(-1).timeout(Duration::from_secs(5)).memory(7);
        assert_eq!(task.or(mark).or(plan), expected);
    }

    #[test]
    fn a_rank_decides_between_equal_priorities_only() {
        let urgency = |priority, rank| Limits::new().priority(priority).urgency(rank);
        assert_eq!(Limits::new().urgency(0), 0);
        assert!(urgency(0, 1) > urgency(0, 0) && urgency(1, 0) > urgency(0, u32::MAX));
        assert!(urgency(-1, u32::MAX) < 0 && urgency(i32::MIN, 0) < urgency(i32::MIN, 1));
        assert!(urgency(i32::MAX, u32::MAX) > urgency(i32::MAX, 0));
    }

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_a_day() {
        let limits = Limits::new().backoff(Duration::from_millis(30));
        let pauses: Vec<_> = (1..=4).map(|retry| limits.pause_before(retry).as_millis()).collect();
        assert_eq!(pauses, [30, 60, 120, 240]);
        assert_eq!(Limits::new().pause_before(1), BACKOFF);
        for long in [limits.pause_before(40), Limits::new().backoff(Duration::MAX).pause_before(u32::MAX)] {
            assert_eq!(long, LONGEST_BACKOFF);
        }
        assert_eq!(Limits::new().backoff(Duration::ZERO).pause_before(u32::MAX), Duration::ZERO);
    }
}
