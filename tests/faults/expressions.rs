//! Section G: expressions that are deep, shared, broken, circular, or given up.

use crate::fixture::{Afterwards, alone, alone_for, alone_with, double, pool, pool_of};
use std::fmt::Write as _;
use std::ops::Add;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;
use xfork::{
    Plan, ProxyState, ResultProxy, Runnable, Runner, TaskError, fork, lazy, process, ready, thread, wait,
};

const MINUTES: Duration = Duration::from_secs(600);
/// More operators than any stack has room for, were evaluating or dropping recursive.
const MANY: u64 = 10_000_000;

/// Room for hardly a hundred calls.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    on_a_stack(64 * 1024, test);
}

fn on_a_stack(bytes: usize, test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(bytes).spawn(test).unwrap().join().unwrap();
}

/// The text of a panic.
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).map(drop).expect_err("it panics");
    let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a text")
}

/// Counts the values that are dropped, and copies of them that are made.
#[derive(Debug)]
struct Tracked {
    value: u64,
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Tracked {
    fn none() -> Self {
        let [made, dropped] = [1, 0].map(|count| Arc::new(AtomicUsize::new(count)));
        Self { value: 0, made, dropped }
    }

    fn another(&self, value: u64) -> Self {
        self.made.fetch_add(1, Ordering::SeqCst);
        Self { value, made: self.made.clone(), dropped: self.dropped.clone() }
    }

    /// Whether this is the last.
    fn is_alone(&self) -> bool {
        self.made.load(Ordering::SeqCst) == self.dropped.load(Ordering::SeqCst) + 1
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        self.another(self.value)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Add for Tracked {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self.value += other.value;
        self
    }
}

impl xfork::Operand for Tracked {}

/// Row 101: the same expression forced by 64 threads is computed once; a panic is seen by each.
#[test]
fn an_expression_that_64_threads_need_is_computed_once() {
    static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
    const BROKEN: u64 = 1_000_000;
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Noted(u64);
    impl Add for Noted {
        type Output = Self;
        fn add(self, other: Self) -> Self {
            OPERATIONS.fetch_add(1, Ordering::SeqCst);
            assert!(self.0 < BROKEN, "seen by all");
            Self(self.0 + other.0)
        }
    }
    alone(|| {
        pool(2, || {
            for first in [0, BROKEN] {
                OPERATIONS.store(0, Ordering::SeqCst);
                // A part that all threads need, and a last operator for each of them.
                let one = lazy(|| Noted(1));
                let mut common = thread(move || Noted(first), ());
                for _ in 0..100 {
                    common = &common + &one;
                }
                let barrier = Barrier::new(64);
                std::thread::scope(|scope| {
                    for n in 0..64 {
                        let (barrier, common, one) = (&barrier, &common, &one);
                        scope.spawn(move || {
                            let own = if n % 2 == 0 { common.clone() } else { common + one };
                            barrier.wait();
                            if first == BROKEN {
                                assert_eq!(panic_of(|| own.0), "seen by all");
                                assert_eq!(wait(&own).unwrap_err().message(), "seen by all");
                            } else {
                                assert_eq!(own.0, 100 + n % 2);
                            }
                        });
                    }
                });
                let computed = if first == BROKEN { 1 } else { 100 + 32 };
                assert_eq!(OPERATIONS.load(Ordering::SeqCst), computed);
            }
        });
    });
}

fn abort() -> u64 {
    std::process::abort()
}

/// Drops what it gets.
struct Dropper;

impl Runner for Dropper {
    fn run(&self, task: Runnable) {
        drop(task);
    }
}

/// The ways in which an operand can fail, each with what its error says.
type Way = (fn() -> ResultProxy<u64>, fn(&TaskError) -> bool);

const WAYS: [Way; 4] = [
    (|| lazy(|| panic!("no value")), |error| error.is_panic() && error.message() == "no value"),
    (
        || thread(|| panic!("no thread's value"), ()),
        |error| error.is_panic() && error.message().contains("thread"),
    ),
    (|| process(abort, ()), |error| error.is_crash() && error.signal() == Some(6)),
    (|| xfork::with_plan(Plan::runner(Arc::new(Dropper)), || fork(double, 1)), TaskError::is_cancelled),
];

/// Row 103: failing node: in whatever place, and in whatever way; the rest stays usable.
#[test]
fn an_operand_that_failed_in_any_way_fails_the_expression_in_any_place() {
    alone(|| {
        pool(2, || {
            for (broken, is_it) in WAYS {
                let (b, ok) = (&broken(), &(ready(1_u64) + 1));
                let mut assigned = [ok.clone(), ok.clone(), b.clone(), b.clone()];
                assigned[0] += b;
                assigned[1] *= b.clone();
                assigned[2] -= ok;
                assigned[3] /= 2;
                let deep = (0..1000).fold(b.clone(), |sum, _| ok - (sum + 1) * ok);
                let all = [ok.clone(), b.clone(), ok.clone()];
                let mapped = ResultProxy::map(b, |n| *n) + ok;
                let sums = [all.iter().sum(), all.into_iter().product()];
                let unary =
                    [!b, b + ok, ok + b, b - 1, 1 - b, b << 1, 1_u64 << b, b.clone() / ok.clone(), b & b];
                for bad in assigned.into_iter().chain([deep, mapped]).chain(sums).chain(unary) {
                    let error = ResultProxy::error(&bad).expect("an operand failed");
                    assert!(is_it(&error), "{error}");
                    assert_eq!(ResultProxy::state(&bad), ProxyState::Failed);
                }
                assert_eq!(*ok, 2);
                assert!(is_it(&ResultProxy::error(b).unwrap()));
            }
        });
    });
}

/// Row 103: of two operands that failed the left one is reported, whichever failed first.
#[test]
fn of_two_failed_operands_the_left_one_is_reported() {
    alone(|| {
        pool(2, || {
            for (left, is_left) in WAYS {
                for (right, _) in WAYS {
                    let (a, b) = (left(), right());
                    let settled_before = ResultProxy::error(&b).is_some();
                    let mut assigned = a.clone();
                    assigned += &b;
                    for bad in [&a + &b, (&a + 1) * (2 - &b), assigned, [&a, &b].into_iter().sum()] {
                        let error = ResultProxy::error(&bad).unwrap();
                        assert!(settled_before && is_left(&error), "{error}");
                    }
                }
            }
        });
    });
}

/// Row 105: operators: overflow, division by zero, shifts, NaN: same panic as plain Rust, at the consumer, with the
/// expression's origin.
#[test]
fn an_operators_panic_is_the_consumers_and_names_the_place_of_the_operator() {
    alone(|| {
        let (zero, shift) = (ready(0_u64), ready(64_u32));
        let (quotient, line) = (1 / &zero, line!());
        let sum = (0..100).fold(quotient.clone(), |sum, n| sum + n);
        let consumer = std::thread::spawn(move || panic_of(|| *sum));
        assert_eq!(consumer.join().unwrap(), "attempt to divide by zero");
        if cfg!(debug_assertions) {
            assert_eq!(panic_of(|| *(&zero - 1)), "attempt to subtract with overflow");
            assert_eq!(panic_of(|| *(ready(1_u64) << &shift)), "attempt to shift left with overflow");
        }
        let nan = ready(f64::NAN) * 0.0 + 1.0;
        assert!(nan.is_nan() && nan != nan);
        let error = ResultProxy::error(&quotient).unwrap();
        let (file, at, _) = error.location().unwrap();
        assert_eq!((file, at), (file!(), line), "{error}");
        let told = format!("the deferred `/` at {}:{line}:", file!());
        assert!(error.to_string().starts_with(&told), "{error}");
    });
}

/// Time enough to notice that an expression needs itself; a hang is what is looked for.
const SOON: Duration = Duration::from_secs(20);

/// What an expression is told before it needs itself.
type Knot = Arc<OnceLock<ResultProxy<u64>>>;

/// Reads what the knot holds.
fn pull(knot: &Knot) -> u64 {
    **knot.get().expect("the knot has been tied before anybody pulls")
}

fn tie(knot: &Knot, proxy: &ResultProxy<u64>) {
    assert!(knot.set(proxy.clone()).is_ok(), "a knot is tied once");
}

fn assert_names_the_cycle(text: &str) {
    let text_is_good = ["cycle", "circle", "itself"].iter().any(|word| text.contains(word));
    assert!(text_is_good, "nothing is said about a cycle: {text}");
}

/// Forces an expression that needs itself, twice.
fn assert_cyclic(proxy: &ResultProxy<u64>) {
    for _ in 0..2 {
        assert_names_the_cycle(&panic_of(|| **proxy));
        assert_names_the_cycle(&wait(proxy).unwrap_err().to_string());
    }
}

/// Row 101: a deferred function that needs its own value fails instead of waiting for ever.
#[test]
fn an_expression_that_needs_itself_fails_and_says_so() {
    alone_for(SOON, || {
        let knot = Knot::default();
        let inside = knot.clone();
        let proxy = lazy(move || pull(&inside) + 1);
        tie(&knot, &proxy);
        assert_cyclic(&proxy);
    });
}

/// Row 101: the same through a second deferred function.
#[test]
fn two_expressions_that_need_each_other_fail_and_say_so() {
    alone_for(SOON, || {
        let knot = Knot::default();
        let inside = knot.clone();
        let inner = lazy(move || pull(&inside) + 1);
        let outer = {
            let inner = inner.clone();
            lazy(move || *inner + 1)
        };
        tie(&knot, &outer);
        assert_cyclic(&outer);
        assert_cyclic(&inner);
    });
}

/// Row 101: the same through operators on top of it.
#[test]
fn an_expression_that_needs_an_operator_on_itself_fails_and_says_so() {
    alone_for(SOON, || {
        let knot = Knot::default();
        let inside = knot.clone();
        let operand = lazy(move || pull(&inside));
        let sum = (&operand + 1) * ready(2);
        tie(&knot, &sum);
        assert_cyclic(&sum);
        assert_cyclic(&operand);
    });
}

/// Row 101: a cycle that two threads close together: neither waits for ever.
#[test]
fn two_threads_that_wait_for_each_others_expressions_fail_and_say_so() {
    alone_for(SOON, || {
        for _ in 0..20 {
            let (left, right) = (Knot::default(), Knot::default());
            let both_run = Arc::new(Barrier::new(2));
            let [a, b] = [(&left, &right), (&right, &left)].map(|(own, other)| {
                let (other, both_run) = (other.clone(), both_run.clone());
                let proxy = lazy(move || {
                    both_run.wait();
                    pull(&other) + 1
                });
                tie(own, &proxy);
                proxy
            });
            std::thread::scope(|scope| {
                for proxy in [&a, &b] {
                    scope.spawn(move || assert_names_the_cycle(&wait(proxy).unwrap_err().to_string()));
                }
            });
        }
    });
}

/// Row 101: a cycle through a task on a thread.
#[test]
fn an_expression_that_waits_for_a_task_that_needs_it_fails_and_says_so() {
    alone_for(SOON, || {
        pool_of(Plan::processes(1), || {
            let knot = Knot::default();
            let inside = knot.clone();
            let proxy = lazy(move || *thread(move || pull(&inside), ()) + 1);
            tie(&knot, &proxy);
            assert_cyclic(&proxy);
        });
    });
}

/// Row 101: what looks like a cycle to a thread that helps others, and is none.
#[test]
fn many_threads_that_need_each_others_parts_are_no_cycle() {
    // The forks of the threads below go to the program's own pool.
    alone_with(MINUTES, Afterwards::ItsPool, || {
        pool_of(Plan::processes(1).io_threads(2), || {
            for _ in 0..50 {
                let leaf = lazy(|| *thread(|| 1_u64, ()));
                let left = lazy({
                    let leaf = leaf.clone();
                    move || *leaf + *thread(|| 2_u64, ())
                });
                let right = lazy({
                    let (left, leaf) = (left.clone(), leaf.clone());
                    move || *leaf + *(left + 1)
                });
                std::thread::scope(|scope| {
                    for n in 0..16 {
                        let (left, right) = (&left, &right);
                        scope.spawn(move || match n % 2 {
                            0 => assert_eq!(left + right, 8),
                            _ => assert_eq!(right + left, 8),
                        });
                    }
                });
            }
        });
    });
}

/// Row 104: deferred functions that make and need others.
#[test]
fn deferred_functions_nest() {
    fn nested(depth: u64) -> ResultProxy<u64> {
        lazy(move || if depth == 0 { 0 } else { *nested(depth - 1) + 1 })
    }
    fn mapped(depth: u64) -> ResultProxy<u64> {
        (0..depth).fold(lazy(|| 0), |proxy, _| ResultProxy::map(&proxy, |n| n + 1))
    }
    alone(|| {
        assert_eq!(nested(100), 100);
        on_a_small_stack(|| {
            assert_eq!(*lazy(|| *mapped(100_000)), 100_000);
            drop(mapped(100_000));
        });
    });
}

/// Row 104: built, evaluated and dropped without recursion, for one shape.
fn evaluates_and_drops(name: &str, build: fn(ResultProxy<u64>, u64) -> ResultProxy<u64>, value: u64) {
    let text = name.to_string();
    on_a_small_stack(move || {
        assert_eq!(build(lazy(|| 1), MANY), value, "{text}");
        drop(build(lazy(|| unreachable!("nobody needs it")), MANY));
        let kept = build(lazy(|| 1), MANY);
        let outer = &kept + 1;
        drop(kept);
        assert_eq!(outer, value + 1);
    });
}

/// Row 104: chain of 10^7 operators that assign: evaluated and dropped without recursion.
#[test]
fn a_chain_of_ten_million_operators_needs_no_stack() {
    fn build(mut sum: ResultProxy<u64>, many: u64) -> ResultProxy<u64> {
        for _ in 0..many {
            sum += 1;
        }
        sum
    }
    alone_for(MINUTES, || evaluates_and_drops("chain", build, MANY + 1));
}

/// Row 104: the same to the left, by reference.
#[test]
fn a_tree_of_ten_million_operators_to_the_left_needs_no_stack() {
    fn build(first: ResultProxy<u64>, many: u64) -> ResultProxy<u64> {
        let leaf = ready(1);
        (0..many).fold(first, |sum, _| &sum + &leaf)
    }
    alone_for(MINUTES, || evaluates_and_drops("left", build, MANY + 1));
}

/// Row 104: the same to the right.
#[test]
fn a_tree_of_ten_million_operators_to_the_right_needs_no_stack() {
    fn build(last: ResultProxy<u64>, many: u64) -> ResultProxy<u64> {
        let leaf = ready(1);
        (0..many).fold(last, |sum, _| &leaf + &sum)
    }
    alone_for(MINUTES, || evaluates_and_drops("right", build, MANY + 1));
}

/// Row 104: the same to the left and the right in turns.
#[test]
fn a_zigzag_of_ten_million_operators_needs_no_stack() {
    fn build(last: ResultProxy<u64>, many: u64) -> ResultProxy<u64> {
        let leaf = ready(1);
        (0..many).fold(last, |sum, n| if n % 2 == 0 { &leaf + &sum } else { sum + &leaf })
    }
    alone_for(MINUTES, || evaluates_and_drops("zigzag", build, MANY + 1));
}

/// Row 104: the same in balance.
#[test]
fn a_balanced_tree_of_ten_million_operators_needs_no_stack() {
    fn build(first: ResultProxy<u64>, many: u64) -> ResultProxy<u64> {
        let leaf = ready(1);
        let leaves = std::iter::once(first).chain((0..many).map(|_| leaf.clone()));
        let mut nodes: std::collections::VecDeque<_> = leaves.collect();
        loop {
            let left = nodes.pop_front().expect("some leaves");
            let Some(right) = nodes.pop_front() else { return left };
            nodes.push_back(left + right);
        }
    }
    alone_for(MINUTES, || evaluates_and_drops("balanced", build, MANY + 1));
}

/// Row 104: fan-in 10^5; diamond evaluated once.
#[test]
fn a_hundred_thousand_operands_and_a_million_diamonds_need_no_stack() {
    static COMPUTED: AtomicUsize = AtomicUsize::new(0);
    alone_for(MINUTES, || {
        on_a_small_stack(|| {
            let leaf = lazy(|| COMPUTED.fetch_add(1, Ordering::SeqCst) as u64 + 1);
            let sum: ResultProxy<u64> = (0..100_000).map(|n| &leaf + n % 2).sum();
            assert_eq!(sum, 150_000);
            let half = &leaf * 2;
            let diamonds = (0..1_000_000).fold(leaf.clone(), |top, _| (&top + &top) / &half);
            assert_eq!(diamonds, 1);
            assert_eq!(COMPUTED.load(Ordering::SeqCst), 1);
        });
    });
}

/// Row 104: what is shown of a failure does not depend on how much lies above it.
#[test]
fn a_deep_failed_expression_is_shown_on_a_small_stack() {
    alone_for(MINUTES, || {
        // Room for the report of a panic with its stack, which takes much of it, but for no recursion.
        on_a_stack(512 * 1024, || {
            let origin = lazy(|| -> u64 { panic!("the origin") });
            let sum = (0..100_000).fold(origin, |sum, n| if n % 2 == 0 { sum + 1 } else { 1 + &sum });
            let error = wait(&sum).unwrap_err();
            assert!(error.to_string().contains("the origin"));
            assert!(format!("{error:?}").len() < 100_000);
            let mut text = String::new();
            assert_eq!(panic_of(|| write!(text, "{sum}")), "the origin");
            text = format!("{sum:?}");
            assert!(text.contains("the origin") && text.len() < 100_000);
        });
    });
}

/// Needs an expression when it is dropped.
struct Needs(ResultProxy<u64>, Result<u64, &'static str>, Arc<AtomicUsize>);

impl Drop for Needs {
    fn drop(&mut self) {
        match self.1 {
            Ok(value) => assert_eq!(*self.0, value),
            Err(text) => {
                assert_eq!(wait(&self.0).unwrap_err().message(), text);
                assert_eq!(panic_of(|| *self.0), text);
            }
        }
        self.2.fetch_add(1, Ordering::SeqCst);
    }
}

/// Row 109: get() inside a Drop during unwinding: the value or the failure, as anywhere.
#[test]
fn an_expression_can_be_needed_while_a_panic_unwinds() {
    alone(|| {
        pool(1, || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let outer = catch_unwind(AssertUnwindSafe(|| {
                let sum = thread(double, 4) + process(double, 5) * lazy(|| 2);
                let bad = lazy(|| -> u64 { panic!("inner") }) + 1;
                let _needs = [
                    Needs(sum.clone() + 1, Ok(29), dropped.clone()),
                    Needs(bad.clone(), Err("inner"), dropped.clone()),
                    Needs(bad / 0, Err("inner"), dropped.clone()),
                    Needs(sum / 0, Err("attempt to divide by zero"), dropped.clone()),
                ];
                panic!("outer");
            }));
            assert_eq!(panic_of(|| std::panic::resume_unwind(outer.unwrap_err())), "outer");
            assert_eq!(dropped.load(Ordering::SeqCst), 4);
            // Inside an expression that fails.
            let counter = dropped.clone();
            let failing = lazy(move || -> u64 {
                let _needs = Needs(ready(1) + lazy(|| 2_u64), Ok(3), counter);
                panic!("outer")
            });
            assert_eq!(wait(&failing).unwrap_err().message(), "outer");
            assert_eq!(dropped.load(Ordering::SeqCst), 5);
        });
    });
}

/// Row 109: get() inside a panic hook, and inside rayon.
#[test]
fn an_expression_can_be_needed_in_a_panic_hook_and_on_rayons_threads() {
    alone(|| {
        static EXPRESSION: OnceLock<ResultProxy<u64>> = OnceLock::new();
        let expression = EXPRESSION.get_or_init(|| (0..1000).fold(lazy(|| 0), |sum, _| sum + 1));
        std::panic::set_hook(Box::new(|_| assert_eq!(**EXPRESSION.get().unwrap(), 1000)));
        assert_eq!(panic_of(|| panic!("hooked")), "hooked");
        assert_eq!(ResultProxy::state(expression), ProxyState::Ready);
        drop(std::panic::take_hook());

        let shared = (0..1000).fold(lazy(|| 0), |sum, _| sum + 1);
        let (left, right) = rayon::join(
            || (0..100_u64).map(|n| *(&shared + n)).sum::<u64>(),
            || (0..100_u64).map(|n| *(n + &shared)).sum::<u64>(),
        );
        assert_eq!((left, right), (104_950, 104_950));
    });
}

/// Row 102: expressions that are given up while what they wait for completes.
#[test]
fn expressions_may_be_dropped_while_their_operands_complete() {
    alone_for(MINUTES, || {
        let root = Tracked::none();
        pool_of(Plan::processes(1).io_threads(2), || {
            for round in 0..300 {
                let begin = Arc::new(Barrier::new(2));
                let mut sum = ready(root.another(0));
                for n in 0..10 {
                    let (begin, value) = (begin.clone(), root.another(n));
                    sum += thread(
                        move || {
                            if n == 0 {
                                begin.wait();
                            }
                            value
                        },
                        (),
                    );
                    let value = root.another(n);
                    sum += lazy(move || value);
                }
                let follower = thread(|tracked: Tracked| tracked.value, &sum);
                begin.wait();
                // Half of the rounds leave nobody who needs the sum.
                if round % 2 == 0 {
                    drop((sum, follower));
                } else {
                    drop(sum);
                    assert_eq!(follower, 90);
                }
            }
        });
        let is_alone = crate::fixture::within(Duration::from_secs(10), || root.is_alone());
        assert!(is_alone, "{root:?}");
    });
}

/// Row 102: a deferred expression dropped unforced never runs, nothing leaks.
#[test]
fn an_expression_that_nobody_needed_runs_nothing_and_leaks_nothing() {
    alone(|| {
        let root = Tracked::none();
        let never = || {
            let value = root.another(1);
            lazy(move || -> Tracked { unreachable!("nobody needs {value:?}") })
        };
        let shared = never();
        let mut sum = never() + root.another(2) + ready(root.another(3)) + &shared;
        for _ in 0..1000 {
            sum += never();
            sum += &shared;
            sum += root.another(4);
            sum += ready(root.another(5));
        }
        let double = &sum + &sum;
        let last = ResultProxy::map(&double, |_| -> u8 { unreachable!("nobody needs it") });
        assert_eq!(ResultProxy::state(&last), ProxyState::Deferred);
        drop((sum, double));
        assert!(!root.is_alone());
        drop(last);
        drop(shared);
        assert!(root.is_alone(), "{root:?}");

        // What is needed of an expression is freed when the rest of it is.
        let part = ready(root.another(1)) + ready(root.another(2));
        let whole = &part + never();
        assert_eq!(part.value, 3);
        drop((part, whole));
        assert!(root.is_alone(), "{root:?}");

        // The operands of an operator that failed.
        let broken = ready(root.another(1)) + lazy(|| panic!("no value")) + ready(root.another(2));
        assert!(ResultProxy::error(&broken).is_some());
        drop(broken);
        assert!(root.is_alone(), "{root:?}");
    });
}

/// Row 102: one thread needs what another one is dropping.
#[test]
fn an_expression_may_be_forced_while_another_thread_drops_it() {
    alone_for(MINUTES, || {
        let root = Tracked::none();
        for round in 0..2000 {
            let shared = ready(root.another(1)) + ready(root.another(2));
            let left = (0..10).fold(shared.clone(), |sum, _| sum + root.another(1));
            let right = (0..10).fold(shared.clone(), |sum, _| &sum + ready(root.another(1)));
            let begin = Barrier::new(3);
            std::thread::scope(|scope| {
                let copy = left.clone();
                let begin = &begin;
                scope.spawn(move || {
                    begin.wait();
                    drop((copy, shared));
                });
                scope.spawn(move || {
                    begin.wait();
                    if round % 2 == 0 {
                        drop(right);
                    } else {
                        assert_eq!(ResultProxy::into_inner(right).value, 13);
                    }
                });
                begin.wait();
                assert_eq!(left.value, 13);
            });
            drop(left);
            assert!(root.is_alone(), "round {round}: {root:?}");
        }
    });
}
