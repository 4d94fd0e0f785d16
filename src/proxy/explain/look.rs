//! How the graph of an explanation is found: level by level from the root, within limits.
//!
//! Owns the limits and the texts of the nodes. An expression is looked at twice: the first time its runs of equal operations
//! and their operands are counted, the second time those that are near an end are kept; so no look keeps more than a
//! few, however long the tape is, and touches no other operand. Whoever needs the value meanwhile waits for a look, not
//! for more.

use super::{Explanation, Kind, Node, State, grouped};
use crate::core::expression::{Note, Seen};
use crate::core::slot::AnySlot;
use crate::ground::cell::Phase;
use crate::ground::panics::escape;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;

/// When there are this many nodes, no further expression is looked into.
const NODES: usize = 500;
/// How many runs of one expression are shown: the last ones, which are nearest to its value, and the first.
const LAST_RUNS: usize = 20;
const FIRST_RUNS: usize = 2;
/// How many operands of one run are shown: all if they are few, else the first ones and the last.
const OPERANDS: usize = 8;
const FIRST_OPERANDS: usize = 3;
/// How many expressions and operands that are not shown are counted.
const COUNTED: usize = 100_000;
/// How long an error may be, in characters.
const ERROR: usize = 160;

/// A run of equal operations, or of several that differ in nothing but how they are stored.
#[derive(Clone, Copy)]
struct Run {
    note: Note,
    steps: usize,
    operands: usize,
    /// Whether the value of the runs before stands right of the operands.
    is_right: bool,
}

/// Tells apart the runs that a tape shows.
#[derive(Default)]
struct Runs {
    current: Option<Run>,
    /// How many there were before.
    before: usize,
    /// Steps of the current run that have been announced last.
    announced: usize,
    /// Whether the operands that come are left of the value so far.
    is_right: bool,
}

impl Runs {
    /// Begins a run, or goes on with one; gives the run that is over, if one is.
    fn operation(&mut self, note: Note, count: usize) -> Option<Run> {
        (self.announced, self.is_right) = (count, false);
        match &mut self.current {
            Some(run) if run.note == note => {
                run.steps += count;
                None
            }
            _ => self.begin(note, count),
        }
    }

    /// Counts an operand; gives the run that is over, if the operand stands on the other side than those before.
    fn operand(&mut self) -> Option<Run> {
        let (is_right, announced) = (self.is_right, self.announced);
        let run = self.current.as_mut()?;
        if run.operands == 0 {
            run.is_right = is_right;
        }
        let mut over = None;
        if run.is_right != is_right {
            run.steps -= announced;
            let note = run.note;
            over = self.begin(note, announced);
        }
        let run = self.current.as_mut()?;
        (run.is_right, run.operands) = (is_right, run.operands + 1);
        over
    }

    fn begin(&mut self, note: Note, steps: usize) -> Option<Run> {
        let over = self.current.replace(Run { note, steps, operands: 0, is_right: false });
        self.before += usize::from(over.is_some());
        over
    }
}

/// The first look at an expression.
#[derive(Default)]
struct Outline {
    runs: Runs,
    first: Vec<Run>,
    last: VecDeque<Run>,
    operands: usize,
}

impl Outline {
    fn keep(&mut self, over: Option<Run>) {
        let Some(run) = over else { return };
        self.operands += run.operands;
        if self.first.len() < FIRST_RUNS {
            return self.first.push(run);
        }
        if self.last.len() == LAST_RUNS {
            self.last.pop_front();
        }
        self.last.push_back(run);
    }

    /// The runs that are shown, with their numbers.
    fn chosen(mut self) -> Vec<(usize, Run)> {
        let over = self.runs.current.take();
        self.keep(over);
        let count = self.runs.before + 1;
        let last = count - self.last.len();
        self.first.into_iter().enumerate().chain((last..).zip(self.last)).collect()
    }
}

impl Seen for Outline {
    fn operand(&mut self, _: &dyn AnySlot, _: &dyn Fn() -> Arc<dyn AnySlot>, _: &dyn Fn() -> Option<String>) {
        let over = self.runs.operand();
        self.keep(over);
    }

    fn plain(&mut self, _: &dyn Fn() -> String) {
        let over = self.runs.operand();
        self.keep(over);
    }

    fn carried_right(&mut self) {
        self.runs.is_right = true;
    }

    fn operation(&mut self, note: Note, count: usize) {
        let over = self.runs.operation(note, count);
        self.keep(over);
    }
}

enum Operand {
    Slot(Arc<dyn AnySlot>, Option<String>),
    Plain(String),
}

/// The second look: the operands that are shown, each with the number of its run.
struct Detail {
    runs: Runs,
    /// What is left of the runs that are shown, the next one last.
    chosen: Vec<(usize, Run)>,
    kept: Vec<(usize, Operand)>,
}

impl Detail {
    /// The run of the next operand, if the operand is shown.
    fn shown(&mut self) -> Option<usize> {
        self.runs.operand();
        let (now, current) = (self.runs.before, self.runs.current.as_ref()?);
        while self.chosen.last().is_some_and(|(number, _)| *number < now) {
            self.chosen.pop();
        }
        let (number, run) = self.chosen.last()?;
        let at = current.operands - 1;
        let is_kept = run.operands <= OPERANDS || at < FIRST_OPERANDS || at + 1 == run.operands;
        (*number == now && is_kept).then_some(now)
    }
}

impl Seen for Detail {
    fn operand(
        &mut self,
        _: &dyn AnySlot,
        share: &dyn Fn() -> Arc<dyn AnySlot>,
        preview: &dyn Fn() -> Option<String>,
    ) {
        if let Some(run) = self.shown() {
            self.kept.push((run, Operand::Slot(share(), preview())));
        }
    }

    fn plain(&mut self, preview: &dyn Fn() -> String) {
        if let Some(run) = self.shown() {
            self.kept.push((run, Operand::Plain(preview())));
        }
    }

    fn carried_right(&mut self) {
        self.runs.is_right = true;
    }

    fn operation(&mut self, note: Note, count: usize) {
        self.runs.operation(note, count);
    }
}

/// Looks for what is below the nodes, to count it.
#[derive(Default)]
struct Count {
    /// Operands and operations.
    entries: usize,
    operations: usize,
    /// How many operands have been asked whether there is something below.
    asked: usize,
    below: Vec<Arc<dyn AnySlot>>,
}

impl Seen for Count {
    fn operand(
        &mut self,
        operand: &(dyn AnySlot + 'static),
        share: &dyn Fn() -> Arc<dyn AnySlot>,
        _: &dyn Fn() -> Option<String>,
    ) {
        self.entries += 1;
        self.asked += 1;
        if self.asked <= COUNTED && operand.phase() == Phase::Deferred {
            self.below.push(share());
        }
    }

    fn plain(&mut self, _: &dyn Fn() -> String) {
        self.entries += 1;
    }

    fn operation(&mut self, _: Note, _: usize) {
        self.operations += 1;
    }
}

/// The graph while it grows.
struct Graph {
    nodes: Vec<Node>,
    known: HashMap<*const (), usize>,
    /// Nodes whose slots have not been looked into. They also keep the addresses in `known` from being used again.
    queue: VecDeque<(usize, Arc<dyn AnySlot>)>,
    looked: Vec<Arc<dyn AnySlot>>,
}

pub(super) fn look(root: Arc<dyn AnySlot>, preview: Option<String>) -> Explanation {
    let (nodes, known) = (Vec::new(), HashMap::new());
    let mut graph = Graph { nodes, known, queue: VecDeque::new(), looked: Vec::new() };
    graph.slot(root, preview);
    while graph.nodes.len() < NODES
        && let Some((id, slot)) = graph.queue.pop_front()
    {
        graph.open(id, &slot);
        graph.looked.push(slot);
    }
    graph.count()
}

impl Graph {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The node of a slot, which is looked into later.
    fn slot(&mut self, slot: Arc<dyn AnySlot>, preview: Option<String>) -> usize {
        let address = Arc::as_ptr(&slot).cast();
        if let Some(id) = self.known.get(&address) {
            return *id;
        }
        let id = self.add(describe(&*slot, preview));
        self.known.insert(address, id);
        self.queue.push_back((id, slot));
        id
    }

    /// Gives a node its children.
    fn open(&mut self, id: usize, slot: &Arc<dyn AnySlot>) {
        if let Some(task) = slot.task() {
            if let Some(input) = task.next_unready() {
                let input = self.slot(input, None);
                self.nodes[id].children.push(input);
            }
            return;
        }
        let mut outline = Outline::default();
        if !slot.inspect(&mut outline) {
            return self.describe_again(id, slot);
        }
        let chosen = outline.chosen();
        let mut detail = Detail {
            runs: Runs::default(),
            chosen: chosen.iter().rev().copied().collect(),
            kept: Vec::new(),
        };
        if !slot.inspect(&mut detail) {
            return self.describe_again(id, slot);
        }
        let mut kept = detail.kept.into_iter().peekable();
        let mut below: Option<(usize, usize)> = None;
        let last = chosen.last().map_or(0, |(number, _)| *number);
        for (number, run) in chosen {
            let mut operands = Vec::new();
            while let Some((_, operand)) = kept.next_if(|(of, _)| *of == number) {
                operands.push(match operand {
                    Operand::Slot(slot, preview) => self.slot(slot, preview),
                    Operand::Plain(text) => self.add(Node::plain(text)),
                });
            }
            if operands.len() < run.operands && !operands.is_empty() {
                let more = self.add(Node::more(run.operands - operands.len()));
                operands.insert(operands.len() - 1, more);
            }
            if let Some((before, mut value)) = below {
                if before + 1 < number {
                    let more = Node { children: vec![value], ..Node::more(number - before - 1) };
                    value = self.add(more);
                }
                operands.insert(if run.is_right { operands.len() } else { 0 }, value);
            }
            let node = Node { children: operands, ..operation(&run) };
            if number == last {
                self.nodes[id] = node;
            } else {
                below = Some((number, self.add(node)));
            }
        }
    }

    /// For a slot that is no expression, or that somebody evaluates meanwhile.
    fn describe_again(&mut self, id: usize, slot: &Arc<dyn AnySlot>) {
        if self.nodes[id].state == State::Deferred {
            self.nodes[id] = describe(&**slot, None);
        }
    }

    /// Counts what is left in the queue.
    fn count(mut self) -> Explanation {
        let mut counted = HashSet::new();
        let mut count = Count::default();
        let (mut unseen, mut is_unseen_cut) = (0, false);
        for (id, slot) in std::mem::take(&mut self.queue) {
            if slot.phase() == Phase::Deferred {
                self.nodes[id].is_cut = true;
                count.below.push(slot);
            }
        }
        while let Some(slot) = count.below.pop() {
            let address: *const () = Arc::as_ptr(&slot).cast();
            if counted.len() == COUNTED {
                is_unseen_cut = true;
                break;
            }
            if counted.insert(address) && slot.inspect(&mut count) {
                // The last operation is the expression itself, which its user has counted.
                unseen += count.entries + count.operations.saturating_sub(1);
                (count.entries, count.operations) = (0, 0);
            }
        }
        is_unseen_cut |= count.asked > COUNTED;
        Explanation { nodes: self.nodes, unseen, is_unseen_cut }
    }
}

/// The node of a run of operations, without its operands.
fn operation(run: &Run) -> Node {
    let symbol = run.note.symbol;
    let name = if run.steps > 1 {
        format!("{symbol} {} times", grouped(run.steps))
    } else if run.operands > OPERANDS {
        format!("{symbol} {} operands", grouped(run.operands))
    } else {
        symbol.to_string()
    };
    let place: &Location<'_> = run.note.place;
    Node { name, place: Some(place.to_string()), ..Node::new(Kind::Operation, State::Deferred) }
}

/// The node of a slot as long as nothing is known of what is below.
fn describe(slot: &(dyn AnySlot + 'static), preview: Option<String>) -> Node {
    // The task comes first: a slot has one until it is settled.
    let (task, phase) = (slot.task(), slot.phase());
    let state = match (phase, &task) {
        (Phase::Full | Phase::Encoded, _) => State::Ready,
        (Phase::Failed, _) => State::Failed,
        (Phase::Deferred, _) => State::Deferred,
        (Phase::Claimed, _) => State::Running,
        (Phase::Empty, None) => State::Pending,
        (Phase::Empty, Some(task)) if task.core().is_claimed() => State::Running,
        (Phase::Empty, Some(task)) if task.core().is_queued() => State::Queued,
        (Phase::Empty, Some(_)) => State::Waiting,
    };
    let detail = match (state, slot.error()) {
        (State::Failed, Some(error)) => one_line(&error.to_string()),
        (State::Ready, _) => preview.unwrap_or_default(),
        _ => String::new(),
    };
    match slot.origin() {
        Some(origin) => {
            let place = Some(origin.place.to_string());
            Node { name: short_name(&origin.task), detail, place, ..Node::new(Kind::Task, state) }
        }
        None => {
            let is_expression = matches!(state, State::Deferred | State::Running);
            let name = if is_expression { "expression".to_string() } else { String::new() };
            Node { name, detail, ..Node::new(Kind::Value, state) }
        }
    }
}

/// The name of a task without the paths of its parts: `app::tools::fib` is `fib`.
pub(super) fn short_name(name: &str) -> String {
    let (name, closure) = match name.strip_suffix("::{{closure}}") {
        Some(outside) => (outside.trim_end_matches("::{{closure}}"), "closure in "),
        None => (name, ""),
    };
    let parts = name.split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']', '&']);
    let short: String = parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect();
    one_line(&format!("{closure}{short}"))
}

/// The text, which may come from a peer, on one line of bounded length.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String =
        text.chars().take(ERROR).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    if text.chars().nth(ERROR).is_some() {
        line.push('…');
    }
    escape(&line).into_owned()
}
