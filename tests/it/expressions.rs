//! Deferred arithmetic: the same values, the same panics and no more copies than the plain program.

use std::cell::Cell;
use std::fmt::Debug;
use std::hint::black_box;
use std::iter::Sum;
use std::num::{Saturating, Wrapping};
use std::ops::{Add, Mul, Sub};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::fixture::{Gate, MINUTE, MINUTES, deadline, fail, fib, panic_of, pass, text_of};
use xfork::{
    Operand, Plan, ProxyState, ResultProxy, TaskError, as_completed, cpu_bound, fork, io_bound, lazy, ready,
    thread, wait, wait_all, wait_all_timeout, wait_any, with_plan,
};

/// Calls `test` with values of a strategy.
fn for_all<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// What an operator came to: a value or the text of its panic.
type Outcome<T> = Result<T, String>;

/// What a plain operator does. Its panics are expected by the thousand, so they are not printed.
fn plainly<T>(operate: impl FnOnce() -> T) -> Outcome<T> {
    thread_local! {
        static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                others(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(operate));
    IS_QUIET.set(false);
    outcome.map_err(|payload| text_of(&*payload))
}

/// What an expression does, once it has been built without any panic.
fn deferred<T: Clone + Send + 'static>(expression: ResultProxy<T>) -> Outcome<T> {
    wait(&expression).cloned().map_err(|error| {
        assert!(error.is_panic(), "{error}");
        error.message().into_owned()
    })
}

/// Whether two results are the same, as far as Rust promises it: every NaN is as good as any other.
trait Alike {
    fn is_alike(&self, other: &Self) -> bool;
}

macro_rules! alike {
    ($($type:ty)*) => {$(
        impl Alike for $type {
            fn is_alike(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

alike! {
    i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize bool String Duration Instant SystemTime
    Wrapping<i8> Wrapping<u64> Saturating<i8> Saturating<u64>
}

impl Alike for f32 {
    fn is_alike(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
    }
}

impl Alike for f64 {
    fn is_alike(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
    }
}

#[track_caller]
fn assert_alike<T: Alike + Debug>(form: &str, plain: &Outcome<T>, deferred: Outcome<T>) {
    let is_alike = match (plain, &deferred) {
        (Ok(plain), Ok(deferred)) => plain.is_alike(deferred),
        (Err(plain), Err(deferred)) => plain == deferred,
        _ => false,
    };
    assert!(is_alike, "{form}: {plain:?} became {deferred:?}");
}

/// A proxy that has the value already, or will compute it.
fn proxy<T: Clone + Send + 'static>(value: &T, is_lazy: bool) -> ResultProxy<T> {
    let value = value.clone();
    if is_lazy { lazy(move || value) } else { ready(value) }
}

/// All combinations of proxies, references to them and plain values around each operator.
macro_rules! assert_combinations {
    ($a:expr, $b:expr, $lazy:expr, [$($op:tt $assign:tt)*]) => {$({
        let (a, b) = (black_box($a), black_box($b));
        let (p, q) = (|| proxy(&a, $lazy.0), || proxy(&b, $lazy.1));
        let plain = plainly(|| a $op b);
        assert_alike(concat!("p ", stringify!($op), " q"), &plain, deferred(p() $op q()));
        assert_alike(concat!("p ", stringify!($op), " &q"), &plain, deferred(p() $op &q()));
        assert_alike(concat!("&p ", stringify!($op), " q"), &plain, deferred(&p() $op q()));
        assert_alike(concat!("&p ", stringify!($op), " &q"), &plain, deferred(&p() $op &q()));
        assert_alike(concat!("p ", stringify!($op), " b"), &plain, deferred(p() $op b));
        assert_alike(concat!("&p ", stringify!($op), " b"), &plain, deferred(&p() $op b));
        assert_alike(concat!("a ", stringify!($op), " q"), &plain, deferred(a $op q()));
        assert_alike(concat!("a ", stringify!($op), " &q"), &plain, deferred(a $op &q()));
        assert_assignments!(a, b, $lazy, [$assign]);
    })*};
}

macro_rules! assert_assignments {
    ($a:expr, $b:expr, $lazy:expr, [$($assign:tt)*]) => {$({
        let (a, b) = (black_box($a), black_box($b));
        let (p, q) = (|| proxy(&a, $lazy.0), || proxy(&b, $lazy.1));
        let plain = plainly(|| {
            let mut plain = a;
            plain $assign b;
            plain
        });
        let mut sums = [p(), p(), p()];
        sums[0] $assign b;
        sums[1] $assign q();
        sums[2] $assign &q();
        for (form, sum) in ["b", "q", "&q"].into_iter().zip(sums) {
            assert_alike(&format!("p {} {form}", stringify!($assign)), &plain, deferred(sum));
        }
    })*};
}

macro_rules! assert_unary {
    ($a:expr, $lazy:expr, [$($op:tt)*]) => {$({
        let a = black_box($a);
        let plain = plainly(|| $op a);
        assert_alike(concat!(stringify!($op), "p"), &plain, deferred($op proxy(&a, $lazy)));
        assert_alike(concat!(stringify!($op), "&p"), &plain, deferred($op &proxy(&a, $lazy)));
    })*};
}

/// XF-22, XF-23, XF-51: what an operator on proxies gives, a module of tests with one for each type.
mod every_operator_gives_what_the_plain_one_gives {
    use super::*;

    const CASES: u32 = 60;

    macro_rules! integers {
        ($($type:ident $unary:tt)*) => {$(
            #[test]
            fn $type() {
                deadline(MINUTE, || {
                    let number = || prop_oneof![
                        3 => any::<$type>(), 1 => Just(0), 1 => Just(1), 1 => Just($type::MIN), 1 => Just($type::MAX),
                        // -1, or the largest number.
                        1 => Just(!0), 2 => (0..100 as $type),
                    ];
                    for_all(CASES, (number(), number(), any::<(bool, bool)>()), |(a, b, lazy)| {
                        assert_combinations!(a, b, lazy, [+ += - -= * *= / /= % %= & &= | |= ^ ^=]);
                        assert_unary!(a, lazy.0, $unary);
                    });
                    let few = (number(), any::<(i8, u8, bool, bool)>());
                    for_all(CASES, few, |(a, (signed, unsigned, first, second))| {
                        let lazy = (first, second);
                        // Distances by which the type can be shifted, and others.
                        let near = unsigned % 10;
                        assert_combinations!(a, near, lazy, [<< <<= >> >>=]);
                        assert_combinations!(a, u32::from(unsigned), lazy, [<< <<= >> >>=]);
                        assert_combinations!(a, i64::from(signed), lazy, [<< <<= >> >>=]);
                    });
                });
            }
        )*};
    }

    integers! {
        i8 [- !] i16 [- !] i32 [- !] i64 [- !] i128 [- !] isize [- !]
        u8 [!] u16 [!] u32 [!] u64 [!] u128 [!] usize [!]
    }

    macro_rules! floats {
        ($($type:ident)*) => {$(
            #[test]
            fn $type() {
                deadline(MINUTE, || {
                    let number = || prop_oneof![
                        4 => proptest::num::$type::ANY, 1 => Just(0.0), 1 => Just(-0.0), 1 => Just($type::NAN),
                        1 => Just($type::INFINITY), 1 => Just($type::NEG_INFINITY), 1 => Just($type::MAX),
                        1 => Just($type::MIN_POSITIVE), 3 => -10.0..10.0 as $type,
                    ];
                    for_all(4 * CASES, (number(), number(), any::<(bool, bool)>()), |(a, b, lazy)| {
                        assert_combinations!(a, b, lazy, [+ += - -= * *= / /= % %=]);
                        assert_unary!(a, lazy.0, [-]);
                    });
                });
            }
        )*};
    }

    floats! { f32 f64 }

    #[test]
    fn bool() {
        deadline(MINUTE, || {
            for_all(CASES, any::<(bool, bool, bool, bool)>(), |(a, b, first, second)| {
                assert_combinations!(a, b, (first, second), [& &= | |= ^ ^=]);
                assert_unary!(a, first, [!]);
            });
        });
    }

    #[test]
    fn duration() {
        deadline(MINUTE, || {
            let time = || {
                prop_oneof![
                    Just(Duration::ZERO),
                    Just(Duration::MAX),
                    (0_u64..10, 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
                    any::<u64>().prop_map(Duration::from_secs),
                ]
            };
            let factor = prop_oneof![Just(0), 1_u32..10, any::<u32>()];
            for_all(4 * CASES, (time(), time(), factor, any::<(bool, bool)>()), |(a, b, n, lazy)| {
                assert_combinations!(a, b, lazy, [+ += - -=]);
                let (p, q) = (|| proxy(&a, lazy.0), || proxy(&n, lazy.1));
                let plain = plainly(|| a * n);
                for product in
                    [p() * n, &p() * n, n * p(), n * &p(), p() * q(), q() * p(), &q() * &p(), a * q()]
                {
                    assert_alike("product", &plain, deferred(product));
                }
                let plain = plainly(|| a / n);
                for quotient in [p() / n, &p() / n, p() / q(), &p() / &q(), a / q(), a / &q()] {
                    assert_alike("quotient", &plain, deferred(quotient));
                }
                assert_assignments!(a, n, lazy, [*= /=]);
            });
        });
    }

    #[test]
    fn instant_and_system_time() {
        let (now, today) = (Instant::now(), SystemTime::UNIX_EPOCH);
        deadline(MINUTE, move || {
            let time = || {
                let seconds = prop_oneof![3 => 0_u64..10, 1 => any::<u64>()];
                (seconds, 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
            };
            let short = || (0_u64..1000, 0_u32..1000).prop_map(|(secs, nanos)| Duration::new(secs, nanos));
            for_all(
                2 * CASES,
                (short(), short(), time(), any::<(bool, bool)>()),
                |(first, second, step, lazy)| {
                    let (a, b) = (now + first, now + second);
                    assert_combinations!(a, step, lazy, [+ += - -=]);
                    assert_combinations!(today + first, step, lazy, [+ += - -=]);
                    let (p, q) = (|| proxy(&a, lazy.0), || proxy(&b, lazy.1));
                    let plain = plainly(|| a - b);
                    let references = [&p() - &q(), &p() - q(), &p() - b, a - &q()];
                    for between in references.into_iter().chain([p() - &q(), p() - q(), p() - b, a - q()]) {
                        assert_alike("time between", &plain, deferred(between));
                    }
                },
            );
        });
    }

    macro_rules! wrapped {
        ($($name:ident: $Wrapped:ident, [$($type:ident $negation:tt)*], $operators:tt;)*) => {$(
            #[test]
            fn $name() {
                deadline(MINUTE, || {$({
                    let number = || prop_oneof![
                        4 => any::<$type>(), 1 => Just(0), 1 => Just($type::MIN), 1 => Just($type::MAX), 1 => Just(!0)
                    ];
                    for_all(CASES, (number(), number(), 0_usize..300, any::<(bool, bool)>()), |(a, b, n, lazy)| {
                        let (a, b) = ($Wrapped(a), $Wrapped(b));
                        assert_combinations!(a, b, lazy, $operators);
                        assert_unary!(a, lazy.0, $negation);
                        wrapped!(@shifts $Wrapped a, n, lazy);
                    });
                })*});
            }
        )*};
        (@shifts Wrapping $a:expr, $n:expr, $lazy:expr) => {
            assert_combinations!($a, $n, $lazy, [<< <<= >> >>=]);
        };
        (@shifts Saturating $a:expr, $n:expr, $lazy:expr) => {
            let _ = $n;
        };
    }

    wrapped! {
        wrapping: Wrapping, [i8 [- !] u64 [- !]], [+ += - -= * *= / /= % %= & &= | |= ^ ^=];
        saturating: Saturating, [i8 [- !] u64 [!]], [+ += - -= * *= / /= % %= & &= | |= ^ ^=];
    }

    /// A user's type with all operators, those of the number in it.
    #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Operand)]
    struct Own(i32);

    macro_rules! own_operators {
        ($($Op:ident::$op:ident, $Assign:ident::$assign:ident $Right:ty, |$right:ident| $number:expr;)*) => {$(
            impl std::ops::$Op<$Right> for Own {
                type Output = Self;
                fn $op(self, $right: $Right) -> Self {
                    Self(std::ops::$Op::$op(self.0, $number))
                }
            }

            impl std::ops::$Assign<$Right> for Own {
                fn $assign(&mut self, right: $Right) {
                    *self = std::ops::$Op::$op(*self, right);
                }
            }
        )*};
    }

    own_operators! {
        Add::add, AddAssign::add_assign Own, |other| other.0;
        Sub::sub, SubAssign::sub_assign Own, |other| other.0;
        Mul::mul, MulAssign::mul_assign Own, |other| other.0;
        Div::div, DivAssign::div_assign Own, |other| other.0;
        Rem::rem, RemAssign::rem_assign Own, |other| other.0;
        BitAnd::bitand, BitAndAssign::bitand_assign Own, |other| other.0;
        BitOr::bitor, BitOrAssign::bitor_assign Own, |other| other.0;
        BitXor::bitxor, BitXorAssign::bitxor_assign Own, |other| other.0;
        Shl::shl, ShlAssign::shl_assign Own, |other| other.0;
        Shr::shr, ShrAssign::shr_assign Own, |other| other.0;
        Mul::mul, MulAssign::mul_assign i32, |factor| factor;
        Shl::shl, ShlAssign::shl_assign u8, |distance| distance;
    }

    alike! { Own }

    #[test]
    fn own_type() {
        deadline(MINUTE, || {
            let number = || prop_oneof![any::<i32>(), -40..40, Just(i32::MIN), Just(0)];
            for_all(
                4 * CASES,
                (number(), number(), any::<(u8, bool, bool)>()),
                |(a, b, (n, first, second))| {
                    let (a, lazy) = (Own(a), (first, second));
                    assert_combinations!(a, Own(b), lazy, [+ += - -= * *= / /= % %= & &= | |= ^ ^= << <<= >> >>=]);
                    assert_combinations!(a, b, lazy, [* *=]);
                    assert_combinations!(a, n, lazy, [<< <<=]);
                    let (b, q) = (Own(b), || proxy(&Own(b), second));
                    assert_eq!((a == b, a < b, a >= b), (a == q(), a < q(), a >= q()));
                    assert_eq!(a.partial_cmp(&b), a.partial_cmp(&q()));
                },
            );
        });
    }

    #[test]
    fn string() {
        deadline(MINUTE, || {
            let literal = prop::sample::select(vec!["", "a", "größer", "two words", "\0"]);
            for_all(4 * CASES, (".*", ".*", literal, any::<(bool, bool)>()), |(a, b, literal, lazy)| {
                let (p, q) = (|| proxy(&a, lazy.0), || proxy(&b, lazy.1));
                let plain = Ok(a.clone() + &b);
                assert_alike("p + b", &plain, deferred(p() + b.clone()));
                assert_alike("&p + b", &plain, deferred(&p() + b.clone()));
                let mut sums = [p(), p(), p()];
                sums[0] += b.clone();
                sums[1] += q();
                sums[2] += &q();
                sums.into_iter().for_each(|sum| assert_alike("p +=", &plain, deferred(sum)));
                let plain = Ok(a.clone() + literal);
                let mut sums = [
                    p() + literal,
                    &p() + literal,
                    p() + ready(literal),
                    &p() + &ready(literal),
                    p(),
                    p(),
                    p(),
                ];
                sums[4] += literal;
                sums[5] += ready(literal);
                sums[6] += &ready(literal);
                sums.into_iter().for_each(|sum| assert_alike("p + literal", &plain, deferred(sum)));
                let mut letters = p();
                b.chars().for_each(|letter| letters += proxy(&letter, lazy.1));
                assert_alike("p += letters", &Ok(a.clone() + &b), deferred(letters));
            });
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Add,
    Sub,
    Mul,
    Xor,
    Neg,
}

/// How the operands of an operator are given.
#[derive(Clone, Copy, Debug)]
enum How {
    References,
    Values,
    PlainLeft,
    PlainRight,
    AssignPlain,
    AssignReference,
    AssignValue,
}

/// One operator of a graph, with any two earlier nodes as operands.
#[derive(Clone, Debug)]
struct Step {
    op: Op,
    how: How,
    left: Index,
    right: Index,
    /// Whether its value is read before the next one is built.
    is_read: bool,
    /// Whether its proxy is kept until all is built.
    is_kept: bool,
}

#[derive(Clone, Copy, Debug)]
enum Leaf {
    Ready,
    Lazy,
    Thread,
    Cpu,
    LazyOverThread,
}

#[cpu_bound]
fn same(n: i64) -> i64 {
    n
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop::sample::select(vec![Op::Add, Op::Sub, Op::Mul, Op::Xor, Op::Neg]);
    let how = prop::sample::select(vec![
        How::References,
        How::Values,
        How::PlainLeft,
        How::PlainRight,
        How::AssignPlain,
        How::AssignReference,
        How::AssignValue,
    ]);
    let (read, kept) = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.7));
    (op, how, any::<Index>(), any::<Index>(), read, kept)
        .prop_map(|(op, how, left, right, is_read, is_kept)| Step { op, how, left, right, is_read, is_kept })
}

fn leaf() -> impl Strategy<Value = (Leaf, i64)> {
    let kind =
        prop::sample::select(vec![Leaf::Ready, Leaf::Lazy, Leaf::Thread, Leaf::Cpu, Leaf::LazyOverThread]);
    (kind, -1000_i64..1000)
}

fn planted((kind, n): (Leaf, i64)) -> ResultProxy<i64> {
    match kind {
        Leaf::Ready => ready(n),
        Leaf::Lazy => lazy(move || n),
        Leaf::Thread => thread(same, n),
        Leaf::Cpu => fork(same, n),
        Leaf::LazyOverThread => lazy(move || *thread(same, n)),
    }
}

/// The operator that is used instead of one that would overflow, and its value.
fn bounded(op: Op, a: i64, b: i64) -> (Op, i64) {
    let value = match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Xor => a ^ b,
        Op::Neg => -a,
    };
    if value.abs() < 1 << 31 { (op, value) } else { (Op::Xor, a ^ b) }
}

macro_rules! operate {
    ($how:expr, ($p:expr, $a:expr), ($q:expr, $b:expr), $op:tt $assign:tt) => {{
        let mut assigned = $p.clone();
        match $how {
            How::References => $p $op $q,
            How::Values => assigned $op $q.clone(),
            How::PlainLeft => $a $op $q,
            How::PlainRight => $p $op $b,
            How::AssignPlain => { assigned $assign $b; assigned }
            How::AssignReference => { assigned $assign $q; assigned }
            How::AssignValue => { assigned $assign $q.clone(); assigned }
        }
    }};
}

/// XF-22, XF-25, XF-26: graphs of operators over tasks and values, with shared parts, of which any part may be read by
/// anybody at any time.
#[test]
fn a_graph_of_any_shape_gives_what_the_plain_program_gives() {
    deadline(MINUTES, || {
        let graphs = (
            prop::collection::vec(leaf(), 1..8),
            prop::collection::vec(step(), 1..60),
            prop::collection::vec(any::<u64>(), 3),
        );
        with_plan(Plan::processes(2), || {
            for_all(100, graphs, |(leaves, steps, orders)| {
                let mut plain: Vec<i64> = leaves.iter().map(|leaf| leaf.1).collect();
                let mut nodes: Vec<_> = leaves.into_iter().map(planted).collect();
                let mut kept = Vec::new();
                for step in steps {
                    let (left, right) = (step.left.index(nodes.len()), step.right.index(nodes.len()));
                    let (p, q, a, b) = (&nodes[left], &nodes[right], plain[left], plain[right]);
                    let (op, value) = bounded(step.op, a, b);
                    let node = match op {
                        Op::Add => operate!(step.how, (p, a), (q, b), + +=),
                        Op::Sub => operate!(step.how, (p, a), (q, b), - -=),
                        Op::Mul => operate!(step.how, (p, a), (q, b), * *=),
                        Op::Xor => operate!(step.how, (p, a), (q, b), ^ ^=),
                        Op::Neg if matches!(step.how, How::Values) => -p.clone(),
                        Op::Neg => -p,
                    };
                    if step.is_read {
                        assert_eq!(*node, value);
                    }
                    if step.is_kept {
                        kept.push(nodes.len());
                    }
                    nodes.push(node);
                    plain.push(value);
                }
                // The last is always read; those that nobody keeps are parts of others only.
                kept.push(nodes.len() - 1);
                let kept: Vec<_> =
                    kept.into_iter().map(|place| (nodes[place].clone(), plain[place])).collect();
                drop(nodes);
                std::thread::scope(|scope| {
                    for order in &orders {
                        let kept = &kept;
                        scope.spawn(move || {
                            let mut places: Vec<_> = (0..kept.len() as u64).collect();
                            places.sort_by_key(|place| (place ^ order).wrapping_mul(order | 1));
                            for place in places {
                                let (node, value) = &kept[place as usize];
                                assert_eq!(**node, *value);
                            }
                        });
                    }
                });
            });
        });
    });
}

/// XF-22: values without plain operators of their own in the table take part as proxies.
#[test]
fn wrapping_numbers_give_what_the_plain_program_gives() {
    deadline(MINUTE, || {
        for_all(100, prop::collection::vec((any::<i64>(), 0..6), 0..100), |steps| {
            let (mut deferred, mut plain) = (ready(Wrapping(1_i64)), Wrapping(1));
            for (n, op) in steps {
                let n = Wrapping(n);
                match op {
                    0 => (deferred, plain) = (deferred + ready(n), plain + n),
                    1 => (deferred, plain) = (ready(n) - &deferred, n - plain),
                    2 => (deferred, plain) = (&deferred * &deferred, plain * plain),
                    3 => (deferred += ready(n), plain += n).1,
                    4 => (deferred -= &ready(n), plain -= n).1,
                    _ => (deferred *= lazy(move || n), plain *= n).1,
                }
            }
            assert_eq!(*deferred, plain);
        });
    });
}

/// Upstream test_comparison (1.5): 1000 `+=` of ints via fib(20); "results are equal".
#[test]
fn a_sum_of_a_thousand_cpu_bound_forks_is_the_sequential_sum() {
    deadline(MINUTES, || {
        let (mut deferred, mut sequential) = (ready(0), 0);
        for _ in 0..1000 {
            deferred += fork(fib, 20);
            sequential += fib(20);
        }
        assert_eq!(deferred, sequential, "results are equal");
    });
}

/// Upstream test_comparison (1.5): 30 and 1000 io string concatenations.
#[test]
fn a_concatenation_of_io_bound_forks_is_the_sequential_text() {
    #[io_bound]
    fn page(n: u32) -> String {
        std::thread::sleep(Duration::from_micros(100));
        format!("<{n}>")
    }
    deadline(MINUTE, || {
        for count in [30, 1000] {
            let pages: Vec<_> = (0..count).map(|n| fork(page, n)).collect();
            let mut by_reference = ready(String::new());
            let mut by_value = ready(String::new());
            for text in &pages {
                by_reference += text;
                by_reference += "\n";
            }
            for text in pages {
                by_value += text;
                by_value += String::from("\n");
            }
            let sequential: String = (0..count).map(|n| page(n) + "\n").collect();
            assert_eq!(by_reference, sequential, "results are equal");
            assert_eq!(by_value, sequential, "results are equal");
        }
    });
}

/// XF-12: await_all and await_any over operator proxies must work like on task proxies.
#[test]
fn waiting_for_several_takes_expressions_and_tasks_alike() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let slow = fork(pass, (gate.path(), 7));
        let stopped = gate.next();
        let waits = &slow * 2_u32 + 1;
        let error = wait_all_timeout(&[ready(1), waits.clone()], Duration::from_millis(20)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let both = [waits.clone(), ready(20) + lazy(|| 1_u32)];
        assert_eq!(wait_any(&both), Some(1));
        stopped.let_go();
        assert_eq!(wait_all(&both).unwrap(), [&15, &21]);
        let mut values: Vec<_> = as_completed(both).map(ResultProxy::into_inner).collect();
        values.sort();
        assert_eq!(values, [15, 21]);
    });
}

/// XF-20, XF-21: a use of an expression is a use of its value.
#[test]
fn every_use_of_an_expression_is_a_use_of_its_value() {
    deadline(MINUTE, || {
        let number = || fork(fib, 10) * 2 - 10;
        assert_eq!(format!("{} {:?} {:>4}", number(), number(), number()), "100 100  100");
        assert!(number() < 101 && number() >= ready(100) && number() == number());
        assert_eq!(number().pow(2), 10_000);
        let text = thread(|| String::from("b,a"), ()) + ",c";
        assert_eq!((text.len(), text.to_uppercase(), &text[..1]), (5, "B,A,C".to_string(), "b"));
        assert!(text.contains('a') && text.split(',').eq(["b", "a", "c"]));
        let list = [1, 2, 3];
        assert_eq!(list[*(lazy(|| 1_usize) + 1)], 3);
    });
}

/// XF-22, XF-23: every operator's result is again a proxy, and nothing blocks.
#[test]
fn no_operator_waits_for_its_operands() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 6));
        let stopped = gate.next();
        let q = lazy(|| -> u32 { unreachable!("nobody has asked for it") });
        drop([
            &p + &q,
            &p - &q,
            &p * &q,
            &p / &q,
            &p % &q,
            &p & &q,
            &p | &q,
            &p ^ &q,
            &p << &q,
            &p >> &q,
            !&q,
        ]);
        let mut all =
            [&p + 1, 10 - &p, &p * 2, 12 / &p, &p % 4, &p & 2, 1 | &p, &p ^ 1, &p << 1, 1_u32 << &p, !&p];
        for expression in &mut all {
            *expression += &p;
            *expression += 1;
            assert_ne!(ResultProxy::state(expression), ProxyState::Ready);
        }
        assert!(!ResultProxy::is_ready(&p));
        stopped.let_go();
        // `!6 + 6 + 1` is zero again, after an overflow.
        let plain = [7, 4, 12, 2, 2, 2, 7, 7, 12, 64].map(|n| n + 7);
        assert_eq!(all[..10], plain);
    });
}

/// XF-24: a 100 000-term chain evaluates, whatever its terms are.
#[test]
fn a_chain_of_a_hundred_thousand_terms_evaluates() {
    deadline(MINUTES, || {
        let (mut sum, mut plain) = (ready(0_u64), 0);
        for n in 0..100_000 {
            match n % 4 {
                0 => sum += n,
                1 => sum = n + sum,
                2 => sum += lazy(move || n),
                _ => sum = &sum + &ready(n),
            }
            plain += n;
        }
        assert_eq!(sum, plain);
        let (mut sum, mut plain) = (ready(0_u64), 0);
        for n in 0..10_000 {
            sum += thread(move || n, ());
            plain += n;
        }
        assert_eq!(sum, plain);
    });
}

/// XF-25, XF-26: a node is evaluated once, however often it is part of others and however often these are read.
#[test]
fn a_node_that_many_others_contain_is_evaluated_once() {
    static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Noted(u64);
    impl Add for Noted {
        type Output = Self;
        fn add(self, other: Self) -> Self {
            OPERATIONS.fetch_add(1, Ordering::SeqCst);
            Self(self.0 + other.0)
        }
    }
    deadline(MINUTE, || {
        // What took the original half a million operations.
        let mut sum = ready(Noted(1));
        for _ in 0..19 {
            sum = &sum + &sum;
        }
        let users: Vec<_> = (0..10).map(|_| &sum + &sum).collect();
        assert_eq!(OPERATIONS.load(Ordering::SeqCst), 0);
        for user in users.iter().chain(&users) {
            assert_eq!(user.0, 1 << 20);
        }
        assert_eq!(sum.0, 1 << 19);
        assert_eq!(OPERATIONS.load(Ordering::SeqCst), 19 + 10);
    });
}

/// XF-27: a timeout is not cached, by no node on the way either.
#[test]
fn a_timeout_leaves_every_node_of_an_expression_as_it_was() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 6));
        let stopped = gate.next();
        let inner = &p + 1;
        let outer = (&inner * 2) + &inner;
        for _ in 0..3 {
            for expression in [&outer, &inner] {
                let error = ResultProxy::wait_timeout(expression, Duration::from_millis(1)).unwrap_err();
                assert!(error.is_timeout(), "{error}");
            }
        }
        stopped.let_go();
        assert_eq!((*outer, *inner), (21, 7));
    });
}

/// XF-28: in `a+b` with both failing, left operand's error is reported, at any depth and for every form.
#[test]
fn of_several_failures_that_of_the_leftmost_operand_is_reported() {
    deadline(MINUTE, || {
        let broken = |text: &'static str| lazy(move || -> u64 { panic!("{text}") });
        let (a, b, c) = (broken("a"), broken("b"), fork(fail, "c"));
        let mut assigned = &a + 1;
        assigned *= &b;
        let sum: ResultProxy<u64> = [&a, &b, &c].into_iter().sum();
        for expression in
            [&a + &b, &a + &b + &c, (&a + 1) - (&b * &c), &a / 0, ready(1) + &a * &c, assigned, sum]
        {
            assert_eq!(wait(&expression).unwrap_err().message(), "a");
        }
        assert_eq!(wait(&((1 + &c) + (&b + &a))).unwrap_err().message(), "c");
        assert_eq!(wait(&(1 / ready(0_u64) + &a)).unwrap_err().message(), "attempt to divide by zero");
    });
}

/// The place that an error tells.
fn place(error: &TaskError) -> (String, u32) {
    let (file, line, _) = error.location().expect("a panic has a place");
    (file.to_string(), line)
}

#[track_caller]
fn assert_fails_at<T: Send + 'static>(expression: &ResultProxy<T>, line: u32, message: &str) {
    let error = ResultProxy::error(expression).expect("it fails");
    assert_eq!((place(&error), &*error.message()), ((file!().to_string(), line), message), "{error}");
}

const BY_ZERO: &str = "attempt to divide by zero";

/// XF-51: an operator's error tells the line that built the expression.
#[test]
fn a_panic_of_an_operator_has_the_place_of_the_operator() {
    deadline(MINUTE, || {
        let (one, zero) = (ready(1_i32), ready(0_i32));
        let (bad, line) = (&one / &zero, line!());
        assert_fails_at(&bad, line, BY_ZERO);
        let (bad, line) = (one.clone() / zero.clone(), line!());
        assert_fails_at(&bad, line, BY_ZERO);
        let (bad, line) = (&one / 0, line!());
        assert_fails_at(&bad, line, BY_ZERO);
        let (bad, line) = (1 % &zero, line!());
        assert_fails_at(&bad, line, "attempt to calculate the remainder with a divisor of zero");
        let (bad, line) = (ready(i32::MIN) / -1, line!());
        assert_fails_at(&bad, line, "attempt to divide with overflow");
        if cfg!(debug_assertions) {
            let (a, b) = (ready(i32::MAX), ready(1));
            let (bad, line) = (&a + &b, line!());
            assert_fails_at(&bad, line, "attempt to add with overflow");
            let (bad, line) = (-ready(i32::MIN), line!());
            assert_fails_at(&bad, line, "attempt to negate with overflow");
            let (bad, line) = (&a << 32, line!());
            assert_fails_at(&bad, line, "attempt to shift left with overflow");
        }
        let (bad, line) = (ready(Duration::ZERO) - Duration::from_secs(1), line!());
        assert_fails_at(&bad, line, "overflow when subtracting durations");
    });
}

/// XF-51: the same for the operators that assign.
#[test]
fn a_panic_of_an_assigning_operator_has_the_place_of_the_operator() {
    deadline(MINUTE, || {
        let zero = ready(0_i32);
        let assigned = || [ready(1_i32), ready(2), ready(3)];
        let mut bad = assigned();
        let line = line!() + 1;
        bad[0] /= 0;
        bad[1] /= &zero;
        bad[2] /= zero.clone();
        for (line, bad) in (line..).zip(&bad) {
            assert_fails_at(bad, line, BY_ZERO);
        }
        if cfg!(debug_assertions) {
            let mut bad = assigned();
            let line = line!() + 1;
            bad[0] += i32::MAX;
            bad[1] += ready(i32::MAX);
            bad[2] += &ready(i32::MAX);
            for (line, bad) in (line..).zip(&bad) {
                assert_fails_at(bad, line, "attempt to add with overflow");
            }
        }
    });
}

/// XF-51: of many operators on many lines, the one that failed.
#[test]
fn in_a_chain_of_many_operators_the_place_is_that_of_the_one_that_failed() {
    deadline(MINUTE, || {
        let zero = lazy(|| 0_i64);
        let mut sum = ready(100_i64);
        for n in 1..1000 {
            sum += n;
        }
        sum *= 2;
        sum -= &zero;
        let line = line!() + 1;
        sum /= &zero;
        sum += 7;
        sum %= &zero;
        for n in 1..1000 {
            sum -= n;
        }
        let outer = (&sum + 1) * (2 - &sum);
        assert_fails_at(&outer, line, BY_ZERO);
        assert_fails_at(&sum, line, BY_ZERO);
    });
}

/// XF-51: an operator of a user's type that panics by itself says where, as it does in the plain program.
#[test]
fn a_panic_inside_an_operator_of_ones_own_has_its_own_place() {
    #[derive(Clone, Debug)]
    struct Picky;
    const LINE: u32 = line!() + 5;
    impl Add for Picky {
        type Output = Self;
        fn add(self, _: Self) -> Self {
            // The line that is counted from the constant.
            panic!("not that one")
        }
    }
    deadline(MINUTE, || {
        let sum = ready(Picky) + ready(Picky);
        assert_fails_at(&sum, LINE, "not that one");
        assert_fails_at(&(&sum + ready(Picky)), LINE, "not that one");
    });
}

/// XF-52: a failure passes through outer operators unchanged.
#[test]
fn the_failure_of_an_operand_keeps_its_own_place() {
    deadline(MINUTE, || {
        let (origin, line) = (lazy(|| -> u64 { panic!("the origin") }), line!());
        let mut sum = &origin + 1;
        sum /= 0;
        assert_fails_at(&sum, line, "the origin");
    });
}

/// XF-53: forcing twice raises twice; an operator that fails takes nothing from those who hold its operands.
#[test]
fn what_was_computed_before_an_operator_failed_stays_usable() {
    deadline(MINUTE, || {
        let text = lazy(|| vec![1_u64, 2, 3]);
        let length = ResultProxy::map(&text, |list| list.len() as u64);
        let more = &length + 1;
        let bad = &more / (&length - 3);
        let after = &bad * 2;
        for _ in 0..3 {
            assert_eq!(panic_of(|| *after), BY_ZERO);
            assert_eq!(panic_of(|| *bad), BY_ZERO);
            assert_eq!((*length, *more, &**text), (3, 4, &[1, 2, 3][..]));
            assert_eq!(&more * 2, 8);
        }
    });
}

/// Counts how often it is cloned.
#[derive(Debug)]
struct Counted(u64, Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.1.fetch_add(1, Ordering::SeqCst);
        Self(self.0, self.1.clone())
    }
}

macro_rules! counted_operators {
    ($($Op:ident::$op:ident)*) => {$(
        impl $Op for Counted {
            type Output = Self;
            fn $op(self, other: Self) -> Self {
                Self(self.0.$op(other.0), self.1)
            }
        }
    )*};
}

counted_operators! { Add::add Sub::sub Mul::mul }

impl Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.reduce(|a, b| a + b).expect("some values")
    }
}

impl Operand for Counted {}

/// What the operators of a test do with values that count their clones.
struct Clones(Arc<AtomicUsize>);

impl Clones {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn plain(&self, n: u64) -> Counted {
        Counted(n, self.0.clone())
    }

    /// Proxies of each kind in turn.
    fn proxy(&self, n: u64) -> ResultProxy<Counted> {
        let value = self.plain(n);
        match n % 3 {
            0 => ready(value),
            1 => lazy(move || value),
            _ => thread(move || value, ()),
        }
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// XF-21: values move where nobody else can see them, as in the plain program.
#[test]
fn operands_that_nobody_else_holds_are_not_cloned() {
    deadline(MINUTE, || {
        let clones = Clones::new();
        let by_value = (1..=100).map(|n| clones.proxy(n)).reduce(|sum, term| sum + term).unwrap();
        assert_eq!((by_value.0, clones.count()), (5050, 0), "a chain by value");

        let mut assigned = clones.proxy(0);
        for n in 1..=100 {
            assigned += clones.proxy(n);
            assigned += clones.plain(n);
            assigned -= clones.proxy(n);
        }
        assert_eq!((assigned.0, clones.count()), (5050, 0), "op=");

        let sum: ResultProxy<Counted> = (1..=100).map(|n| clones.proxy(n)).sum();
        assert_eq!((sum.0, clones.count()), (5050, 0), "a sum");

        let mut level: Vec<_> = (1..=64).map(|n| clones.proxy(n)).collect();
        while level.len() > 1 {
            let mut nodes = level.into_iter();
            level = std::iter::from_fn(|| Some(nodes.next()? + nodes.next()?)).collect();
        }
        assert_eq!((level[0].0, clones.count()), (2080, 0), "a tree");

        let mut by_reference = clones.proxy(0);
        for n in 1..=100 {
            let next = &by_reference + &clones.proxy(n);
            by_reference = next;
        }
        assert_eq!(
            (by_reference.0, clones.count()),
            (5050, 0),
            "a chain by reference, of which the end is kept"
        );

        assert_eq!(ResultProxy::into_inner(by_reference + assigned).0, 10_100);
        assert_eq!(clones.count(), 0, "the value itself");
    });
}

/// XF-21: a value is cloned only for a user that is not its last.
#[test]
fn shared_operands_are_cloned_only_where_both_need_a_value() {
    deadline(MINUTE, || {
        let clones = Clones::new();
        let shared = clones.proxy(3);
        let sum = &shared + clones.proxy(4);
        assert_eq!((sum.0, clones.count()), (7, 1), "its holder may read it later");
        assert_eq!(shared.0, 3);

        let clones = Clones::new();
        let shared = clones.proxy(3);
        let (first, second) = (&shared + clones.proxy(4), &shared * clones.proxy(5));
        drop(shared);
        assert_eq!((first.0, clones.count()), (7, 1), "the second needs it too");
        assert_eq!((second.0, clones.count()), (15, 1), "nobody else needs it");

        let clones = Clones::new();
        let shared = clones.proxy(3);
        let (first, second) = (&shared + clones.proxy(4), &shared * clones.proxy(5));
        drop((shared, first));
        assert_eq!((second.0, clones.count()), (15, 0), "the other use is gone");

        let clones = Clones::new();
        let mut square = clones.proxy(3);
        square = &square * &square;
        assert_eq!((square.0, clones.count()), (9, 1), "both sides of one operator");

        let clones = Clones::new();
        let mut sum = clones.proxy(1);
        let kept = clones.proxy(10);
        for _ in 0..10 {
            sum += &kept;
        }
        assert_eq!((sum.0, clones.count()), (101, 10), "what is held outside, once for each use");
    });
}

/// Plain arithmetic goes on meaning what it means, where a crate has proxies in scope: the compiler must not look for
/// operators on proxies of proxies without end.
#[test]
fn operators_of_plain_numbers_are_still_found_by_their_traits() {
    fn sum(left: i32, right: i32) -> i32 {
        Add::add(left, right)
    }
    assert_eq!(sum(1, 2), 3);
    assert_eq!((1..4).reduce(Add::add), Some(6));
    assert_eq!([0.5, 4.0].into_iter().reduce(Mul::mul), Some(2.0));
}
