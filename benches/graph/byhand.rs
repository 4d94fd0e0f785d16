//! The same graphs without xfork: calls one after the other, and what one writes with rayon.

use crate::nothing_after;
use crate::shapes::Shape;
use rayon::Scope;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// Calls in order, and gives what the last one gave.
pub(crate) fn calls(shape: &Shape, steps: u64) -> u32 {
    let mut values = Vec::with_capacity(shape.tasks() as usize);
    for task in 0..shape.tasks() {
        let value = |place: usize| values[shape.inputs(task)[place] as usize];
        values.push(match shape.inputs(task).len() {
            0 => black_box(none as fn(u64) -> u32)(steps),
            1 => black_box(one as fn(u64, u32) -> u32)(steps, value(0)),
            2 => black_box(two as fn(u64, u32, u32) -> u32)(steps, value(0), value(1)),
            _ => black_box(three as fn(u64, u32, u32, u32) -> u32)(steps, value(0), value(1), value(2)),
        });
    }
    values.last().copied().unwrap_or_default()
}

fn none(steps: u64) -> u32 {
    nothing_after(steps) + 1
}

fn one(steps: u64, a: u32) -> u32 {
    a.wrapping_add(none(steps))
}

fn two(steps: u64, a: u32, b: u32) -> u32 {
    a.wrapping_add(one(steps, b))
}

fn three(steps: u64, a: u32, b: u32, c: u32) -> u32 {
    a.wrapping_add(two(steps, b, c))
}

/// For rayon: each task counts the inputs that are missing, and is spawned when none is.
pub(crate) struct Dataflow<'a> {
    shape: &'a Shape,
    successors: &'a [Vec<u32>],
    missing: Vec<AtomicU32>,
    values: Vec<AtomicU32>,
    steps: u64,
}

impl<'a> Dataflow<'a> {
    pub(crate) fn new(shape: &'a Shape, successors: &'a [Vec<u32>], steps: u64) -> Self {
        let missing = (0..shape.tasks()).map(|task| AtomicU32::new(shape.inputs(task).len() as u32));
        let values = (0..shape.tasks()).map(|_| AtomicU32::new(0));
        Self { shape, successors, missing: missing.collect(), values: values.collect(), steps }
    }

    /// Runs it, and gives the result of the last task.
    pub(crate) fn run(&self) -> u32 {
        rayon::scope(|scope| {
            for task in (0..self.shape.tasks()).filter(|&task| self.shape.inputs(task).is_empty()) {
                scope.spawn(move |scope| self.task(scope, task));
            }
        });
        self.values.last().expect("there are tasks").load(Ordering::Relaxed)
    }

    fn task<'s>(&'s self, scope: &Scope<'s>, task: u32) {
        // Relaxed: the count below releases the values and acquires them.
        let inputs = self.shape.inputs(task).iter();
        let sum = inputs.map(|&input| self.values[input as usize].load(Ordering::Relaxed));
        let value = sum.fold(nothing_after(self.steps) + 1, u32::wrapping_add);
        self.values[task as usize].store(value, Ordering::Relaxed);
        for &after in &self.successors[task as usize] {
            if self.missing[after as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
                scope.spawn(move |scope| self.task(scope, after));
            }
        }
    }
}
