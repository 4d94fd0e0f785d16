//! loom models of the slot and of evaluation: what several threads may do to one result at the same time.
//!
//! `RUSTFLAGS="--cfg xfork_loom" cargo test --lib --release core::models` runs them. Each explores every interleaving of the
//! atomics of a few threads (with at most three preemptions, or one where there are three threads), and checks the accesses to what a cell holds for races.

use crate::core::error::{Kind, TaskError};
use crate::core::expression::{Carry, Expression, Gather, Progress, Seen, evaluate};
use crate::core::slot::{AnySlot, Reader, Slot, settled};
use crate::ground::tape::Step;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::panic::Location;
use std::sync::Arc;

fn model(run: impl Fn() + Send + Sync + 'static) {
    model_with(3, run);
}

fn model_with(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

/// Adds two operands, and counts how often.
struct Add(Reader<u64>, Reader<u64>, Arc<AtomicUsize>);

impl Step for Add {
    type Carry = Carry<u64>;
    type Seen = dyn Seen;
    type Needs = Gather;
    const NAME: &'static str = "+";

    fn apply(self, _: Carry<u64>) -> Carry<u64> {
        self.2.fetch_add(1, Ordering::Relaxed);
        let left = settled(&self.0).cloned();
        Some(left.and_then(|left| Ok(left + settled(&self.1)?)))
    }

    fn gather(steps: &[Self], operands: &mut Gather) {
        for Self(left, right, _) in steps {
            for operand in [left, right].into_iter().filter(|operand| !operand.is_settled()) {
                operands.add(operand.cell().clone());
            }
        }
    }

    fn show(_: &[Self], _: &mut (dyn Seen + 'static)) {}
}

fn sum(left: &Reader<u64>, right: &Reader<u64>, count: &Arc<AtomicUsize>) -> Reader<u64> {
    let step = Add(left.clone(), right.clone(), count.clone());
    Slot::expression(Expression::begin(Location::caller(), step))
}

/// What `wait` does, without tasks to run and without the table of sleepers.
fn force(reader: &Reader<u64>) -> Result<u64, TaskError> {
    let slot: Arc<dyn AnySlot> = reader.cell().clone();
    while !slot.is_settled() {
        match slot.phase() {
            crate::ground::cell::Phase::Empty => slot.park(None),
            _ => match evaluate(&slot) {
                Progress::Settled => {}
                Progress::Busy => slot.park(None),
                Progress::Blocked(blockers) => blockers.iter().for_each(|blocker| blocker.park(None)),
            },
        }
    }
    settled(reader).copied()
}

fn count() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

#[test]
fn an_expression_that_two_threads_force_is_computed_once() {
    model(|| {
        let count = count();
        let inner = sum(&Slot::ready(1), &Slot::ready(2), &count);
        let outer = sum(&inner, &inner, &count);
        drop(inner);
        let other = outer.clone();
        let there = thread::spawn(move || force(&other).unwrap());
        assert_eq!(force(&outer).unwrap(), 6);
        assert_eq!(there.join().unwrap(), 6);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn two_expressions_with_a_common_part_are_forced_by_two_threads() {
    model(|| {
        let count = count();
        let common = sum(&Slot::ready(1), &Slot::ready(2), &count);
        let (left, right) = (sum(&common, &Slot::ready(1), &count), sum(&Slot::ready(1), &common, &count));
        drop(common);
        let there = thread::spawn(move || force(&left).unwrap());
        assert_eq!(force(&right).unwrap(), 4);
        assert_eq!(there.join().unwrap(), 4);
        assert_eq!(count.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn an_expression_is_forced_while_its_operand_is_completed() {
    model(|| {
        let count = count();
        let pending = Slot::pending();
        let expression = sum(&pending, &Slot::ready(1), &count);
        let filled = pending.cell().clone();
        drop(pending);
        let there = thread::spawn(move || filled.fulfil(Ok(1)));
        assert_eq!(force(&expression).unwrap(), 2);
        there.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_threads_force_an_expression_while_its_operand_is_completed() {
    // With three threads, more take hours.
    model_with(1, || {
        let count = count();
        let pending = Slot::pending();
        let expression = sum(&pending, &Slot::ready(1), &count);
        let (filled, other) = (pending.cell().clone(), expression.clone());
        drop(pending);
        let there = thread::spawn(move || force(&other).unwrap());
        let completer = thread::spawn(move || filled.fulfil(Ok(1)));
        assert_eq!(force(&expression).unwrap(), 2);
        assert_eq!(there.join().unwrap(), 2);
        completer.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_expression_is_forced_while_somebody_looks_at_it_and_gives_it_back() {
    struct Nothing;
    impl Seen for Nothing {
        fn operand(
            &mut self,
            _: &(dyn AnySlot + 'static),
            _: &dyn Fn() -> Arc<dyn AnySlot>,
            _: &dyn Fn() -> Option<String>,
        ) {
        }
    }
    model(|| {
        let expression = sum(&Slot::ready(1), &Slot::ready(2), &count());
        let slot: Arc<dyn AnySlot> = expression.cell().clone();
        let there = thread::spawn(move || slot.inspect(&mut Nothing));
        assert_eq!(force(&expression).unwrap(), 3);
        there.join().unwrap();
    });
}

#[test]
fn an_expression_is_forced_while_its_operand_is_cancelled() {
    model(|| {
        let pending = Slot::pending();
        let expression = sum(&Slot::ready(1), &pending, &count());
        let failed = pending.cell().clone();
        drop(pending);
        let there = thread::spawn(move || failed.fulfil(Err(TaskError::new("task", None, Kind::Dropped))));
        assert!(force(&expression).unwrap_err().is_cancelled());
        there.join().unwrap();
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_proxy_is_dropped_while_its_task_completes() {
    model(|| {
        let drops = count();
        let pending = Slot::pending();
        let (filled, value) = (pending.cell().clone(), Dropped(drops.clone()));
        let there = thread::spawn(move || filled.fulfil(Ok(value)));
        drop(pending);
        there.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_value_is_moved_out_by_the_last_of_two_readers() {
    model(|| {
        let drops = count();
        let reader = Slot::ready(Dropped(drops.clone()));
        let other = reader.clone();
        let there = thread::spawn(move || {
            assert!(other.get().is_some());
            other.take().is_ok()
        });
        let here = reader.take().is_ok();
        let there = there.join().unwrap();
        assert!(!(here && there));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_call_for_the_result_comes_once_when_it_races_with_the_result() {
    model(|| {
        let calls = count();
        let pending = Slot::pending();
        let filled = pending.cell().clone();
        let there = thread::spawn(move || filled.fulfil(Ok(1_u64)));
        let (slot, called) = (pending.cell().clone() as Arc<dyn AnySlot>, calls.clone());
        slot.when_settled(move || {
            called.fetch_add(1, Ordering::Relaxed);
        });
        there.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}
