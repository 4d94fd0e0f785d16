//! What deferred arithmetic costs: building an expression over proxies, evaluating it, and giving it up.
//!
//! ```sh
//! cargo bench --bench expressions               # a few minutes
//! cargo bench --bench expressions -- --quick    # a hundredth of the sizes, for orders of magnitude
//! ```
//!
//! | case | what is measured |
//! | --- | --- |
//! | chain | `sum += …` many times: the loop that collects results |
//! | tree | expressions of other shapes, in which every operator is a node with two proxies |
//! | field | operators on values so large that only the operators themselves should count |
//! | readers | one expression that 64 threads need at once, against one that needs it alone |
//!
//! Rows of one case take turns, forwards and backwards: other load on the machine hits all of them alike. The tables
//! show medians in nanoseconds for each operation: to build the expression, to evaluate it, to drop it afterwards,
//! these three together, and to drop it when nobody has needed it. `held` is what the heap holds for each pending
//! operation, operands that only the expression holds included; `peak` is the most that it held at any time between
//! the first operand and the value. Memory is counted in a run of its own, since counting takes time. Compare within
//! one run only. The tables are also written to `target/bench/expressions.json`, unless the bench runs as a test.
//!
//! The rivals of the chain are what one would write without xfork. The quoted rows are not measured here.

#[path = "measure/heap.rs"]
mod heap;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hint::black_box;
use std::ops::{Add, AddAssign, Mul};
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use xfork::{Operand, ResultProxy, ready, thread};

const CHAIN: usize = 10_000_000;
const TREE: usize = 1_000_000;
const READERS: usize = 64;
/// The elements of a large value.
const ELEMENTS: usize = 1_000_000;

fn main() {
    let asked = |option: &str| std::env::args().any(|given| given == option);
    if asked("--list") {
        return;
    }
    let is_test = !asked("--bench") || asked("--test");
    let quick = is_test || asked("--quick");
    let (scale, rounds) = if quick { (100, 3) } else { (1, 5) };
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |case: &str| only.as_deref().is_none_or(|only| case.contains(only));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    println!("{cores} cores, {rounds} rounds, sizes divided by {scale}");

    let mut rows = Vec::new();
    if wanted("chain") {
        let mut field = chains(scale);
        take_turns(&mut field, rounds);
        rows.extend(report(&field, "chain", 30.0, Some(32.0)));
        quote();
    }
    if wanted("tree") {
        let mut field = trees(scale);
        take_turns(&mut field, rounds);
        rows.extend(report(&field, "tree", 130.0, None));
        let totals: Vec<_> = field.iter().map(|row| row.median(Timing::total)).collect();
        let spread =
            totals.iter().copied().fold(0.0, f64::max) / totals.iter().copied().fold(f64::MAX, f64::min);
        println!("the slowest shape takes {spread:.2} times as long as the fastest (target: 2)");
    }
    if wanted("field") {
        rows.extend(fields(scale, if quick { 3 } else { 40 }));
    }
    if wanted("readers") {
        rows.extend(readers(scale, if quick { 3 } else { 9 }));
    }
    if is_test {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    let text = serde_json::to_string_pretty(&rows).expect("strings and numbers");
    let path = folder.join("expressions.json");
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text)) {
        Ok(()) => println!("\nwritten to {}", path.display()),
        Err(error) => println!("\nnot written to {}: {error}", path.display()),
    }
}

/// What one turn took.
#[derive(Clone, Copy)]
struct Timing {
    build: Duration,
    evaluate: Duration,
    drop: Duration,
    give_up: Duration,
}

impl Timing {
    fn total(&self) -> Duration {
        self.build + self.evaluate + self.drop
    }
}

/// Bytes.
#[derive(Clone, Copy, Default)]
struct Memory {
    held: isize,
    peak: isize,
}

/// One row of a table.
struct Row<'a> {
    name: &'static str,
    /// How many in one turn.
    operations: usize,
    time: Box<dyn Fn() -> Timing + 'a>,
    count: Box<dyn Fn() -> Memory + 'a>,
    timings: Vec<Timing>,
    memory: Memory,
    /// Whether it is there to be compared with, and has no target.
    is_rival: bool,
}

impl<'a> Row<'a> {
    /// `prepare` makes operands, which is not part of the time; `evaluate` must give `expected`.
    fn new<O: 'a, E: 'a, V: PartialEq + Debug + 'a>(
        name: &'static str,
        operations: usize,
        prepare: impl Fn() -> O + Clone + 'a,
        build: impl Fn(O) -> E + Clone + 'a,
        evaluate: impl Fn(&mut E) -> V + Clone + 'a,
        expected: V,
    ) -> Self {
        let counted = (prepare.clone(), build.clone(), evaluate.clone());
        let time = move || {
            let operands = black_box(prepare());
            let (expression, taken) = timed(|| build(operands));
            let mut expression = black_box(expression);
            let (value, evaluated) = timed(|| evaluate(&mut expression));
            assert_eq!(value, expected, "{name}");
            let ((), dropped) = timed(|| drop(expression));
            let expression = black_box(build(black_box(prepare())));
            let ((), given_up) = timed(|| drop(expression));
            Timing { build: taken, evaluate: evaluated, drop: dropped, give_up: given_up }
        };
        let count = move || {
            let (prepare, build, evaluate) = &counted;
            heap::start();
            let mut expression = black_box(build(prepare()));
            let [held, ..] = heap::counted();
            black_box(evaluate(&mut expression));
            let [_, peak, _] = heap::counted();
            drop(expression);
            // What is kept for the next expression has been counted as held by this one.
            heap::stop();
            Memory { held, peak }
        };
        Self {
            name,
            operations,
            time: Box::new(time),
            count: Box::new(count),
            timings: Vec::new(),
            memory: Memory::default(),
            is_rival: false,
        }
    }

    fn rival(self) -> Self {
        Self { is_rival: true, ..self }
    }

    /// The median of a part of the time, in nanoseconds for each operation.
    fn median(&self, part: impl Fn(&Timing) -> Duration) -> f64 {
        median(self.timings.iter().map(|timing| part(timing).as_nanos() as f64).collect())
            / self.operations as f64
    }

    fn bytes(&self, bytes: isize) -> f64 {
        bytes as f64 / self.operations as f64
    }
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn take_turns(field: &mut [Row<'_>], rounds: usize) {
    // Memory first: what a library keeps for later must not have been counted by somebody else.
    for row in &mut *field {
        row.memory = (row.count)();
    }
    for round in 0..rounds {
        for place in 0..field.len() {
            let turn = if round % 2 == 0 { place } else { field.len() - 1 - place };
            let timing = (field[turn].time)();
            field[turn].timings.push(timing);
        }
    }
}

/// The value of an expression: what every evaluation comes to.
fn value<T: Copy + Send + 'static>(proxy: &mut ResultProxy<T>) -> T {
    **black_box(proxy)
}

/// The eager sum first: all rows are compared with it.
fn chains<'a>(scale: usize) -> Vec<Row<'a>> {
    let n = CHAIN / scale;
    let eager = move |()| (0..n).fold(0.0, |sum, _| black_box(sum + black_box(1.0)));
    let mut field =
        vec![Row::new("eager loop over plain values", n, || (), eager, |sum| *sum, n as f64).rival()];
    let names = ["f64 += plain value", "f64 += &ready", "f64 += ready made before", "f64 += ready(x)"];
    field.extend(sums::<f64>(names, n, (0.0, 1.0), n as f64));
    let names = ["u64 += plain value", "u64 += &ready", "u64 += ready made before", "u64 += ready(x)"];
    field.extend(sums::<u64>(names, n, (0_u64, 1), n as u64));
    let n = n / 20;
    let in_turns = move |()| {
        repeat(n, 0.0, |sum| {
            *sum += black_box(1.0);
            *sum *= black_box(0.5);
        })
    };
    let expected = (0..n).fold(0.0, |sum, _| (sum + 1.0) * 0.5);
    field.push(Row::new("f64 += and *= in turns", 2 * n, || (), in_turns, value, expected));
    let forks = move |()| repeat(1000, 0.0, |sum| *sum += thread(|| black_box(1.0), ()));
    field.push(Row::new("f64 += io fork", 1000, || (), forks, value, 1000.0).rival());
    field.extend(rivals(scale));
    field
}

fn repeat<T: Send>(n: usize, zero: T, mut step: impl FnMut(&mut ResultProxy<T>)) -> ResultProxy<T> {
    let mut sum = ready(zero);
    for _ in 0..n {
        step(&mut sum);
    }
    sum
}

/// A sum for each kind of operand.
fn sums<'a, T>(names: [&'static str; 4], n: usize, (zero, one): (T, T), expected: T) -> [Row<'a>; 4]
where
    T: Copy + PartialEq + Debug + Send + Sync + 'static,
    ResultProxy<T>: AddAssign<T> + AddAssign<ResultProxy<T>> + for<'p> AddAssign<&'p ResultProxy<T>>,
{
    let plain = move |()| repeat(n, zero, |sum| *sum += black_box(one));
    let shared = move |one| repeat(n, zero, |sum| *sum += black_box(&one));
    let owned = move |terms: Vec<ResultProxy<T>>| {
        let mut sum = ready(zero);
        for term in terms {
            sum += term;
        }
        sum
    };
    let made = move |()| repeat(n, zero, |sum| *sum += ready(black_box(one)));
    let terms = move || (0..n).map(|_| ready(one)).collect();
    let [first, second, third, fourth] = names;
    [
        Row::new(first, n, || (), plain, value, expected),
        Row::new(second, n, move || ready(one), shared, value, expected),
        Row::new(third, n, terms, owned, value, expected),
        Row::new(fourth, n, || (), made, value, expected),
    ]
}

/// What one would write instead: a box for each step, or a node with a lock for each operator.
fn rivals<'a>(scale: usize) -> Vec<Row<'a>> {
    let n = CHAIN / scale;
    type Step = Box<dyn FnOnce(f64) -> f64 + Send>;
    let build = move |()| {
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..n {
            let term = black_box(1.0);
            steps.push(Box::new(move |sum| sum + term));
        }
        steps
    };
    let run = |steps: &mut Vec<Step>| steps.drain(..).fold(0.0, |sum, step| step(sum));
    let steps = Row::new("Vec<Box<dyn FnOnce>>", n, || (), build, run, n as f64);
    let n = n / 10;
    let build = move |()| {
        let one = Node::of(Work::Value(1.0));
        let first = Node::of(Work::Value(0.0));
        Root((0..n).fold(first, |sum, _| Node::of(Work::Sum(sum, one.clone()))))
    };
    let name = "Arc<Mutex<node>> for each operator";
    let nodes = Row::new(name, n, || (), build, |root| root.0.value(), n as f64);
    vec![steps.rival(), nodes.rival()]
}

/// A deferred sum as one writes it first, but for the stacks that keep evaluation and dropping from recursion.
struct Node(Mutex<Work>);

enum Work {
    Sum(Arc<Node>, Arc<Node>),
    Value(f64),
}

struct Root(Arc<Node>);

impl Node {
    fn of(step: Work) -> Arc<Self> {
        Arc::new(Self(Mutex::new(step)))
    }

    fn known(&self) -> Option<f64> {
        match *self.0.lock().expect("nothing panics") {
            Work::Value(value) => Some(value),
            Work::Sum(..) => None,
        }
    }

    fn value(self: &Arc<Self>) -> f64 {
        let mut needed = vec![self.clone()];
        while let Some(top) = needed.last().cloned() {
            let (left, right) = match &*top.0.lock().expect("nothing panics") {
                Work::Value(_) => {
                    needed.pop();
                    continue;
                }
                Work::Sum(left, right) => (left.clone(), right.clone()),
            };
            match (left.known(), right.known()) {
                (Some(a), Some(b)) => {
                    *top.0.lock().expect("nothing panics") = Work::Value(a + b);
                    needed.pop();
                }
                (None, _) => needed.push(left),
                (_, None) => needed.push(right),
            }
        }
        self.known().expect("it has been computed")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut dropped = vec![std::mem::replace(&mut self.0, Node::of(Work::Value(0.0)))];
        while let Some(node) = dropped.pop() {
            if let Some(Node(step)) = Arc::into_inner(node)
                && let Work::Sum(left, right) = step.into_inner().expect("nothing panics")
            {
                dropped.extend([left, right]);
            }
        }
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// One operator of a graph: the numbers of its operands, and whether it is a subtraction.
type Planned = (usize, usize, bool);

/// Operators over operands chosen among the last `window` nodes, and what each comes to. Of sum and difference it is
/// the one that keeps values small.
fn plan(leaves: usize, operators: usize, window: usize) -> (Vec<Planned>, Vec<f64>) {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut values: Vec<f64> = (0..leaves).map(|n| n as f64).collect();
    let plan = (0..operators).map(|_| {
        let reach = window.min(values.len());
        let mut choose = || values.len() - 1 - random.below(reach);
        let (left, right) = (choose(), choose());
        let (a, b) = (values[left], values[right]);
        let subtracts = (a + b).abs() > 1e6;
        values.push(if subtracts { a - b } else { a + b });
        (left, right, subtracts)
    });
    (plan.collect(), values)
}

fn leaves(count: usize) -> Vec<ResultProxy<f64>> {
    (0..count).map(|n| ready(n as f64)).collect()
}

fn trees<'a>(scale: usize) -> Vec<Row<'a>> {
    let n = TREE / scale;
    let triangle = (0..=n).map(|n| n as f64).sum::<f64>();
    let terms = move || leaves(n + 1);
    // Each step is two operators, so that the value stays what it is.
    let diamonds = move |half| {
        (0..n / 2).fold(ready(1.0), |sum, _| {
            let doubled = &sum + &sum;
            &doubled * &half
        })
    };
    let mut field = vec![
        Row::new("balanced", n, terms, balanced, value, triangle),
        Row::new("left-deep by reference", n, terms, left_deep, value, triangle),
        Row::new(
            "left-deep by value",
            n,
            terms,
            |terms| joined(terms, |sum, term| sum + term),
            value,
            triangle,
        ),
        Row::new(
            "right-deep by reference",
            n,
            terms,
            |terms| joined(terms, |sum, term| &term + &sum),
            value,
            triangle,
        ),
        Row::new("diamonds", n, || ready(0.5), diamonds, value, 1.0),
    ];
    for (name, window) in [("random graph", usize::MAX), ("random graph, operands nearby", 1000)] {
        let few = 1000.min(n);
        let (plan, values) = plan(few, n, window);
        let plan = Arc::new(plan);
        let expected: f64 = values.iter().sum();
        let build = move |mut nodes: Vec<ResultProxy<f64>>| {
            nodes.reserve_exact(plan.len());
            for &(left, right, subtracts) in &*plan {
                let (left, right) = (&nodes[left], &nodes[right]);
                nodes.push(if subtracts { left - right } else { left + right });
            }
            nodes
        };
        // All of them, since few are part of any one; the last first, so that the others are evaluated for it.
        let evaluate = |nodes: &mut Vec<ResultProxy<f64>>| {
            black_box(**nodes.last().expect("some nodes"));
            nodes.iter().map(|node| **node).sum::<f64>()
        };
        field.push(Row::new(name, n, move || leaves(few), build, evaluate, expected));
    }
    field
}

fn balanced(terms: Vec<ResultProxy<f64>>) -> ResultProxy<f64> {
    let mut terms = VecDeque::from(terms);
    loop {
        let first = terms.pop_front().expect("some terms");
        let Some(second) = terms.pop_front() else { return first };
        terms.push_back(&first + &second);
    }
}

fn left_deep(terms: Vec<ResultProxy<f64>>) -> ResultProxy<f64> {
    joined(terms, |sum, term| &sum + &term)
}

fn joined(
    terms: Vec<ResultProxy<f64>>,
    join: impl FnMut(ResultProxy<f64>, ResultProxy<f64>) -> ResultProxy<f64>,
) -> ResultProxy<f64> {
    terms.into_iter().reduce(join).expect("some terms")
}

/// A large value with operators that reuse the left one's memory.
#[derive(Clone, Debug, PartialEq)]
struct Field(Vec<f64>);

impl Add for Field {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a += b;
        }
        self
    }
}

impl Mul<f64> for Field {
    type Output = Self;

    fn mul(mut self, factor: f64) -> Self {
        for a in &mut self.0 {
            *a *= factor;
        }
        self
    }
}

impl Operand for Field {}

/// Twenty operators, for plain values and for proxies.
fn smooth<T: Add<Output = T> + Mul<f64, Output = T>>(mut terms: impl Iterator<Item = T>) -> T {
    let first = terms.next().expect("some terms");
    terms.fold(first, |sum, term| sum * 0.5 + term)
}

/// Operators on large values, against the same on plain ones.
fn fields(scale: usize, rounds: usize) -> Vec<serde_json::Value> {
    let field = |n: usize| Field((0..ELEMENTS / scale).map(|k| (n * k % 97) as f64).collect());
    let terms: Vec<Field> = (0..11).map(field).collect();
    let proxies = || terms.iter().map(|term| ready(term.clone())).collect::<Vec<_>>();
    let shared = proxies();
    let expected = smooth(terms.iter().cloned()).0[..100].to_vec();
    let (mut noise, mut owned, mut by_reference) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let plain = || {
            let terms = black_box(terms.clone());
            timed(|| black_box(smooth(terms.into_iter())))
        };
        let deferred = || {
            let terms = black_box(proxies());
            timed(|| black_box(ResultProxy::into_inner(smooth(terms.into_iter()))))
        };
        // What several hold has to be copied by both.
        let plain_copies = || timed(|| black_box(smooth(terms.iter().cloned())));
        let deferred_copies = || timed(|| black_box(ResultProxy::into_inner(smooth(shared.iter().cloned()))));
        // Whoever comes after the other finds memory in another state, so that each comes first once. Results are
        // gone before the next turn, for the same reason.
        let turn = |work: &dyn Fn() -> (Field, Duration)| {
            let (result, time) = work();
            assert_eq!(result.0[..100], expected);
            time.as_secs_f64()
        };
        let both = |plain: &dyn Fn() -> (Field, Duration), deferred: &dyn Fn() -> (Field, Duration)| {
            let (first, second) = if round % 2 == 0 { (plain, deferred) } else { (deferred, plain) };
            let outer = turn(first);
            let inner = turn(second) + turn(second);
            let outer = outer + turn(first);
            let ratio = if round % 2 == 0 { inner / outer } else { outer / inner };
            (ratio - 1.0) * 100.0
        };
        noise.push(both(&plain, &plain));
        owned.push(both(&plain, &deferred));
        by_reference.push(both(&plain_copies, &deferred_copies));
    }
    println!(
        "\nfield: 20 operators on values of {} elements, against plain values; target: 1 %",
        ELEMENTS / scale
    );
    let mut rows = Vec::new();
    let all = [
        ("plain values against themselves: noise", noise),
        ("operands that nobody else holds", owned),
        ("operands that are shared", by_reference),
    ];
    for (name, overheads) in all {
        let overhead = median(overheads);
        println!("{name:<40}{overhead:>9.2} %  {}", verdict(overhead, 1.0));
        rows.push(serde_json::json!({ "case": "field", "name": name, "overhead_percent": overhead }));
    }
    rows
}

/// From the moment at which all threads are let go until all have the value.
fn time_of_readers(count: usize, expression: ResultProxy<f64>, expected: f64) -> Duration {
    let (begin, end) = (Barrier::new(count + 1), Barrier::new(count + 1));
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                begin.wait();
                assert_eq!(black_box(*expression), expected);
                end.wait();
            });
        }
        begin.wait();
        timed(|| end.wait()).1
    })
}

fn readers(scale: usize, rounds: usize) -> Vec<serde_json::Value> {
    let n = TREE / scale;
    let expected = (0..=n).map(|n| n as f64).sum::<f64>();
    type Build = fn(Vec<ResultProxy<f64>>) -> ResultProxy<f64>;
    let shapes: [(&str, Build); 2] = [("balanced", balanced), ("left-deep by reference", left_deep)];
    println!(
        "\nreaders: an expression of {n} operators that {READERS} threads need, against one thread; target: 1"
    );
    println!("{:<40}{:>12}{:>12}{:>9}", "name", "one, ms", "all, ms", "ratio");
    let mut rows = Vec::new();
    for (name, build) in shapes {
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            alone.push(time_of_readers(1, build(leaves(n + 1)), expected).as_secs_f64() * 1e3);
            together.push(time_of_readers(READERS, build(leaves(n + 1)), expected).as_secs_f64() * 1e3);
        }
        let (alone, together) = (median(alone), median(together));
        println!("{name:<40}{alone:>12.2}{together:>12.2}{:>9.3}", together / alone);
        rows.push(serde_json::json!({
            "case": "readers", "name": name, "one_ms": alone, "all_ms": together, "ratio": together / alone,
        }));
    }
    rows
}

fn verdict(measured: f64, target: f64) -> &'static str {
    if measured <= target { "within" } else { "MISSED" }
}

/// Prints a table; ratios are to its first row.
fn report(field: &[Row<'_>], case: &str, target: f64, held: Option<f64>) -> Vec<serde_json::Value> {
    let bytes = held.map_or(String::new(), |bytes| format!(" and {bytes} bytes held"));
    println!("\n{case}: medians in ns for each operation; target: {target} ns in total{bytes}\n");
    println!(
        "{:<36}{:>9}{:>9}{:>9}{:>9}{:>9}{:>13}{:>9}{:>9}{:>9}",
        "name", "n", "build", "evaluate", "drop", "total", "drop unread", "held B", "peak B", "ratio"
    );
    let first = field[0].median(Timing::total);
    let mut rows = Vec::new();
    for row in field {
        let name = row.name;
        let parts = [
            row.median(|timing| timing.build),
            row.median(|timing| timing.evaluate),
            row.median(|timing| timing.drop),
            row.median(Timing::total),
            row.median(|timing| timing.give_up),
        ];
        let [build, evaluate, dropped, total, given_up] = parts;
        let (held_bytes, peak) = (row.bytes(row.memory.held), row.bytes(row.memory.peak));
        let ratio = total / first;
        println!(
            "{name:<36}{:>9}{build:>9.1}{evaluate:>9.1}{dropped:>9.1}{total:>9.1}{given_up:>13.1}\
             {held_bytes:>9.1}{peak:>9.1}{ratio:>9.1}  {}",
            row.operations,
            if row.is_rival {
                ""
            } else if held.is_some_and(|held| held_bytes > held) {
                "MISSED"
            } else {
                verdict(total, target)
            },
        );
        rows.push(serde_json::json!({
            "case": case, "name": name, "operations": row.operations, "build_ns": build, "evaluate_ns": evaluate,
            "drop_ns": dropped, "total_ns": total, "drop_unread_ns": given_up, "held_bytes": held_bytes,
            "peak_bytes": peak, "ratio_to_first": ratio,
        }));
    }
    rows
}

/// What others were measured to take for one deferred addition; not part of this run.
fn quote() {
    const QUOTED: [(&str, &str, &str); 5] = [
        ("xfork for Python", "44 to 48 µs to build, 7 µs to evaluate", "measured on a 2-core machine"),
        (
            "dask.delayed, chain of 1 000",
            "391 µs to build, 494 µs to compute",
            "measured on a 2-core machine",
        ),
        ("dask.delayed, chain of 10 000", "3.7 ms for each operation", "measured on a 2-core machine"),
        ("dask.delayed, chain of 100 000", "no result in 55 s", "measured on a 2-core machine"),
        ("dask.distributed, chain of 1 000", "fails: RecursionError", "also dask/distributed issue 7188"),
    ];
    println!("\nquoted, not measured in this run\n");
    for (name, figure, source) in QUOTED {
        println!("{name:<36}{figure:<42}{source}");
    }
}
