//! What of a value is still to be computed: its parts that have none, each once, operands before what needs them.
//!
//! Unlike a picture it has no limits: who wants to run the parts needs all of them. Memory and time follow their number,
//! the stack does not. What is settled is no part, and neither is what only such a part is made of.

use super::grouped;
use super::look::short_name;
use crate::core::cycle;
use crate::core::expression::{Note, Place, Seen};
use crate::core::slot::{AnySlot, State};
use crate::ground::cell::Phase;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::thread::yield_now;

/// How often a closure that somebody has claimed is tried again: who only looks at it gives it back at once.
const TRIES: usize = 100;

/// How many different operations of one part its name tells from the first on; also the last is told.
const TOLD: usize = 3;

/// A part of a value: an expression, a closure, or a result that comes from elsewhere.
pub(crate) struct Part {
    pub(crate) slot: Arc<dyn AnySlot>,
    /// Its operations, or the task that brings it; shortly, and not unique.
    pub(crate) name: String,
    /// Where its last operation stands in the user's source, if it is an expression.
    pub(crate) place: Option<Place>,
    /// Whether nothing of it is left to whoever needs it: a task that has been forked brings it, or it is there.
    pub(crate) is_given: bool,
    /// What it needs, each once.
    pub(crate) operands: Vec<Operand>,
}

/// What a part needs.
#[derive(Clone, Copy)]
pub(crate) enum Operand {
    /// A part with a smaller number.
    Part(u32),
    /// What the asker knows by this number.
    Known(u32),
}

/// The parts of `root` that are to be computed, of which itself is the last, also if it is settled. What `known` has a number
/// for is not looked into.
pub(crate) fn remaining(
    root: Arc<dyn AnySlot>,
    known: &dyn Fn(&Arc<dyn AnySlot>) -> Option<u32>,
) -> Vec<Part> {
    let mut found = Found::default();
    match known(&root) {
        Some(number) => {
            let operands = vec![Operand::Known(number)];
            found.parts.push(Part { operands, ..Part::new(root) });
        }
        None => {
            found.number(root);
        }
    }
    let mut next = 0;
    while next < found.parts.len() {
        found.open(next, known);
        next += 1;
    }
    found.in_order()
}

impl Part {
    fn new(slot: Arc<dyn AnySlot>) -> Self {
        let is_given = !matches!(slot.phase(), Phase::Deferred | Phase::Claimed);
        let name = match slot.origin() {
            Some(origin) => short_name(&origin.task),
            None if is_given => "value".into(),
            None => "expression".into(),
        };
        Self { slot, name, place: None, is_given, operands: Vec::new() }
    }
}

/// The parts while they are being found: what needs others first.
#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    /// By their addresses, which the parts keep from being used again.
    numbers: FxHashMap<*const (), u32>,
}

impl Found {
    fn number(&mut self, slot: Arc<dyn AnySlot>) -> u32 {
        let parts = &mut self.parts;
        *self.numbers.entry(Arc::as_ptr(&slot).cast()).or_insert_with(|| {
            parts.push(Part::new(slot));
            (parts.len() - 1).try_into().expect("there is no memory for 2³² parts")
        })
    }

    /// Finds what a part needs.
    fn open(&mut self, part: usize, known: &dyn Fn(&Arc<dyn AnySlot>) -> Option<u32>) {
        let mut look = Look::default();
        if !self.parts[part].operands.is_empty() || !look_into(&self.parts[part].slot, &mut look) {
            return;
        }
        let mut operands = Vec::with_capacity(look.operands.len());
        for operand in std::mem::take(&mut look.operands) {
            operands.push(match known(&operand) {
                Some(number) => Operand::Known(number),
                None => Operand::Part(self.number(operand)),
            });
        }
        let part = &mut self.parts[part];
        (part.name, part.place, part.operands) = (look.name(), look.place, operands);
    }

    /// The parts, operands first.
    fn in_order(self) -> Vec<Part> {
        let mut numbers = vec![u32::MAX; self.parts.len()];
        let mut is_entered = vec![false; self.parts.len()];
        let mut order = Vec::with_capacity(self.parts.len());
        let mut stack = vec![(0, 0)];
        is_entered[0] = true;
        while let Some((part, next)) = stack.last_mut() {
            let operand = self.parts[*part].operands.get(*next);
            *next += 1;
            match operand {
                Some(&Operand::Part(operand)) => {
                    let operand = operand as usize;
                    if !std::mem::replace(&mut is_entered[operand], true) {
                        stack.push((operand, 0));
                    }
                }
                Some(Operand::Known(_)) => {}
                None => {
                    numbers[*part] = order.len() as u32;
                    order.push(*part);
                    stack.pop();
                }
            }
        }
        let mut parts: Vec<Option<Part>> = self.parts.into_iter().map(Some).collect();
        let mut take = |part: usize| {
            let mut part = parts[part].take().expect("each is entered once");
            for operand in &mut part.operands {
                if let Operand::Part(number) = operand {
                    *number = numbers[*number as usize];
                }
            }
            part
        };
        order.into_iter().map(&mut take).collect()
    }
}

/// Looks at the expression of a part; false if there is none, or somebody is computing it: then it is one thing, and what it
/// needs is somebody else's matter.
fn look_into(slot: &Arc<dyn AnySlot>, look: &mut Look) -> bool {
    let mut tries = 0;
    while !slot.inspect(look) {
        // Others look at it, too. A walk holds its claim for a moment only; code of the user, for as long as it likes.
        tries += usize::from(slot.is_closure());
        if slot.state() != State::Deferred || tries > TRIES || cycle::is_own(slot) {
            return false;
        }
        yield_now();
    }
    true
}

/// A look at an expression: its operands that are not settled, and its operations.
#[derive(Default)]
struct Look {
    operands: Vec<Arc<dyn AnySlot>>,
    seen: FxHashSet<usize>,
    place: Option<Place>,
    /// Runs of equal operations: the first ones.
    first: Vec<(&'static str, usize)>,
    /// The last, if it is none of those.
    last: Option<(&'static str, usize)>,
    /// Whether there are others between them.
    is_cut: bool,
}

impl Look {
    fn name(&self) -> String {
        let told = |&(symbol, steps): &(&str, usize)| match steps {
            1 => symbol.to_string(),
            _ => format!("{symbol} {} times", grouped(steps)),
        };
        let mut names: Vec<String> = self.first.iter().map(told).collect();
        names.extend(self.is_cut.then(|| "…".into()));
        names.extend(self.last.as_ref().map(told));
        names.join(", ")
    }
}

impl Seen for Look {
    fn operand(
        &mut self,
        operand: &(dyn AnySlot + 'static),
        share: &dyn Fn() -> Arc<dyn AnySlot>,
        _: &dyn Fn() -> Option<String>,
    ) {
        let address = std::ptr::from_ref(operand).cast::<()>() as usize;
        if !operand.is_settled() && self.seen.insert(address) {
            self.operands.push(share());
        }
    }

    fn operation(&mut self, note: Note, count: usize) {
        self.place = Some(note.place);
        if let Some((symbol, steps)) = self.last.as_mut().or(self.first.last_mut())
            && *symbol == note.symbol
        {
            *steps += count;
        } else if self.first.len() < TOLD {
            self.first.push((note.symbol, count));
        } else {
            self.is_cut |= self.last.replace((note.symbol, count)).is_some();
        }
    }
}
