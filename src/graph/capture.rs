//! Expressions of proxies as tasks: each part of one that has no value is a task, which computes it in its own place.
//!
//! A part is not called again and again as other tasks are: it has a slot, which is settled once, by whoever comes first, be it
//! the task or a reader of the proxy. So the task of a part is a fork that sees to its slot, with a result of its own, `()`: that
//! can be timed, cancelled and run again like any other, and the slot stays as it is.

use super::build::Graph;
use super::draw::NodeKind;
use super::error::{GraphError, GraphFault};
use super::node::Node;
use super::work::{Identity, Work, hand_over};
use crate::args::{Origin, Type};
use crate::callable::{Callable, Io};
use crate::core::limits::Limits;
use crate::core::series::Member;
use crate::core::slot::AnySlot;
use crate::place::{AnyPlace, Place};
use crate::plan;
use crate::proxy::{self, PartOperand, ResultProxy};
use crate::task::{Parts, Task, Where};
use rustc_hash::FxHashMap;
use std::any::{Any, TypeId};
use std::panic::Location;
use std::sync::Arc;

impl Graph {
    /// Adds what is still to be computed of a proxy as tasks, of which the last has this name and gives the value.
    ///
    /// Each deferred part of the expression becomes one task, however often it is used: an operation, a row of operations that
    /// nothing else takes part in, or a closure given to [`lazy`](crate::lazy) and its like. It starts as soon as its operands are
    /// there, on a thread, beside other parts. A fork among them that has not ended is a task, too, which only waits for it. Values
    /// that are there are no tasks. The parts are called by the name, a colon, and the operation or the function, with a number
    /// where there are several: `total: +`, `total: + #2`. A part that an expression added before has as well is a task of
    /// that one.
    ///
    /// This evaluates nothing and waits for nothing. Running the graph then computes the proxy itself, once, also if somebody
    /// reads it meanwhile. So nothing is computed again: after a [`reset`](Self::reset) the task gives the same value or the same
    /// failure again, and the graph holds the value as long as it has the task. Values of the parts are moved from one to the next;
    /// only the last can be looked up. No result is [saved](Self::save), and a part can't be [replaced](Self::replace). A
    /// run that is stopped leaves the proxy as it is, to be read or run later.
    ///
    /// ```
    /// use xfork::{Graph, ResultProxy, io_bound, lazy, task};
    ///
    /// let (a, b) = (lazy(|| 3), lazy(|| 4));
    /// let sum = &a * &a + &b * &b;
    ///
    /// let mut graph = Graph::new();
    /// let squares = graph.add_expression("squares", &sum)?;
    /// assert_eq!(
    ///     graph.names().collect::<Vec<_>>(),
    ///     ["squares: lazy", "squares: lazy #2", "squares: *", "squares"]
    /// );
    /// let root = graph.add("root", task(io_bound(|n: i32| n.isqrt()), &squares))?;
    /// let done = graph.run()?;
    /// assert_eq!((done[&squares], done[&root]), (25, 5));
    /// assert!(ResultProxy::is_ready(&sum));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is a task of that name already. The graph stays as it was.
    #[track_caller]
    pub fn add_expression<T: Send + Sync + 'static>(
        &mut self,
        name: impl AsRef<str>,
        proxy: &ResultProxy<T>,
    ) -> Result<Node<T>, GraphError> {
        let (name, caller) = (name.as_ref(), Location::caller());
        if let Some(first) = self.names.find(name) {
            let first = self.works[first as usize].added_at();
            return Err(GraphFault::DuplicateName { name: name.into(), first, second: caller }.into());
        }
        let mut parts = proxy::remaining(proxy.any_slot(), &|slot| self.captured_as(slot));
        let last = parts.pop().expect("the proxy itself is one");
        let before = self.works.len() as u32;
        let mut names = PartNames { of: name, counts: FxHashMap::default() };
        for part in parts {
            let (name, added_at) = (names.next(&part.name, self), part.place.unwrap_or(caller));
            let task = PartTask { is_given: part.is_given, ..PartTask::new(part.slot, added_at) };
            self.push_part(&name, task, &part.operands, before);
        }
        let place = Place::new();
        let whole = Whole { proxy: proxy.clone(), place: place.clone() };
        let task = PartTask {
            is_given: last.is_given,
            whole: Some(Box::new(whole)),
            ..PartTask::new(last.slot, last.place.unwrap_or(caller))
        };
        self.push_part(name, task, &last.operands, before);
        Ok(Node { place })
    }

    /// Adds a part, whose operands that are parts are counted from the task `before`.
    fn push_part(&mut self, name: &str, task: PartTask, operands: &[PartOperand], before: u32) {
        let address = address(&task.slot);
        let number = self.push(name, Arc::new(task));
        let origins: Vec<Origin> = operands
            .iter()
            .map(|operand| {
                let node = match *operand {
                    PartOperand::Part(part) => before + part,
                    PartOperand::Known(node) => node,
                };
                Origin { graph: self.id, node, transfer: 0.0, is_fed: true, is_whole: true }
            })
            .collect();
        self.edges.push(&origins);
        self.captured.0.entry(address).or_insert(number);
    }

    /// The task that is this part.
    fn captured_as(&self, slot: &Arc<dyn AnySlot>) -> Option<u32> {
        let number = *self.captured.0.get(&address(slot))?;
        // The task may have been replaced since, and the address be another part's.
        let part = self.works[number as usize].part()?;
        (address(part) == address(slot)).then_some(number)
    }
}

fn address(slot: &Arc<dyn AnySlot>) -> usize {
    Arc::as_ptr(slot).cast::<()>() as usize
}

/// The tasks that are parts of expressions, by the addresses of their slots.
#[derive(Default)]
pub(super) struct Captured(FxHashMap<usize, u32>);

impl Captured {
    pub(super) fn append(&mut self, other: &Self, by: u32) {
        for (&address, &number) in &other.0 {
            self.0.entry(address).or_insert(number + by);
        }
    }
}

/// What the parts of an expression are called.
struct PartNames<'a> {
    of: &'a str,
    /// How many parts have had each name.
    counts: FxHashMap<String, usize>,
}

impl PartNames<'_> {
    /// A name that no task of the graph has.
    fn next(&mut self, part: &str, graph: &Graph) -> String {
        let count = match self.counts.get_mut(part) {
            Some(count) => count,
            None => self.counts.entry(part.to_owned()).or_default(),
        };
        loop {
            *count += 1;
            let name = match *count {
                1 => format!("{}: {part}", self.of),
                number => format!("{}: {part} #{number}", self.of),
            };
            if graph.names.find(&name).is_none() && name != self.of {
                return name;
            }
        }
    }
}

/// The type of the results of parts that nobody can look up: their values go from part to part.
struct InExpression;

/// What each run forks for a part.
struct Finish(Arc<dyn AnySlot>);

impl Callable<()> for Finish {
    type Output = ();
    type Mark = Io;

    fn call(self, (): ()) {
        proxy::finish(&self.0);
    }
}

/// A part of an expression as a task.
struct PartTask {
    slot: Arc<dyn AnySlot>,
    /// Where the fork is found that sees to it.
    fork: Arc<Place<()>>,
    added_at: &'static Location<'static>,
    /// Whether it was computed or under way when it was captured.
    is_given: bool,
    /// If it is what the user asked for.
    whole: Option<Box<dyn AnyWhole>>,
}

impl PartTask {
    fn new(slot: Arc<dyn AnySlot>, added_at: &'static Location<'static>) -> Self {
        Self { slot, fork: Place::new(), added_at, is_given: false, whole: None }
    }
}

impl Work for PartTask {
    fn start(&self, member: Member) -> bool {
        if let Some(whole) = &self.whole {
            whole.publish();
        }
        let mut after = Vec::new();
        // While something runs elsewhere, no thread is to be blocked for it; who runs tasks in place can only wait in place.
        if self.is_given && !self.slot.is_settled() && !plan::runners().io.runs_in_place() {
            after.push(proxy::settled(&self.slot).any_slot());
        }
        let parts = Parts {
            function: Finish(self.slot.clone()),
            inputs: (),
            limits: Limits::new(),
            again: None,
            after,
            cost: None,
            origins: Vec::new(),
            codec: None,
            place: self.added_at,
        };
        let name = member.series.name(member.position.index as u32);
        hand_over(Task::in_series(parts, member.clone(), self.fork.clone()), &self.fork, name)
    }

    fn place(&self) -> &dyn AnyPlace {
        self
    }

    fn any_place(&self) -> Arc<dyn Any + Send + Sync> {
        self.whole.as_ref().map_or_else(|| Arc::new(InExpression) as _, |whole| whole.any_place())
    }

    fn runs(&self) -> Where {
        Where::Thread
    }

    fn added_at(&self) -> &'static Location<'static> {
        self.added_at
    }

    fn priority(&self) -> i32 {
        0
    }

    fn function(&self) -> &'static str {
        "a part of an expression"
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    fn parameters(&self) -> Option<Vec<Type>> {
        None
    }

    fn encode(&self) -> Option<Result<Vec<u8>, String>> {
        None
    }

    fn decode(&self, _: &[u8]) -> Result<(), String> {
        Err("parts of expressions are not saved".into())
    }

    fn link(&self, _: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>) {
        unreachable!("its inputs are not given by name")
    }

    fn part(&self) -> Option<&Arc<dyn AnySlot>> {
        Some(&self.slot)
    }

    fn drawn_as(&self) -> NodeKind {
        if self.is_given { NodeKind::Input } else { NodeKind::Operation }
    }
}

impl AnyPlace for PartTask {
    fn slot(&self) -> Option<Arc<dyn AnySlot>> {
        // Without a fork there is a value if somebody has given one.
        self.fork.slot().or_else(|| self.whole.as_ref()?.place().slot())
    }

    fn any_proxy(&self) -> Option<Box<dyn Any + Send + Sync>> {
        match &self.whole {
            Some(whole) => whole.place().any_proxy(),
            None => Some(Box::new(InExpression)),
        }
    }

    fn clear(&self) {
        self.fork.clear();
        if let Some(whole) = &self.whole {
            whole.place().clear();
        }
    }

    fn output(&self) -> Type {
        let part = Type { id: TypeId::of::<InExpression>(), name: "value inside an expression" };
        self.whole.as_ref().map_or(part, |whole| whole.place().output())
    }

    fn set_position(&self, graph: u64, node: u32) {
        if let Some(whole) = &self.whole {
            whole.place().set_position(graph, node);
        }
    }

    /// Nothing equals a part, so it takes nobody's result.
    fn share(&self, _: Arc<dyn Any + Send + Sync>) {}
}

/// What was captured, and where others find it when it is there.
struct Whole<T: Send + 'static> {
    proxy: ResultProxy<T>,
    place: Arc<Place<T>>,
}

/// The same of any type.
trait AnyWhole: Send + Sync {
    /// Puts the proxy where others find it.
    fn publish(&self);
    fn place(&self) -> &dyn AnyPlace;
    /// An `Arc<Place<T>>`.
    fn any_place(&self) -> Arc<dyn Any + Send + Sync>;
}

impl<T: Send + Sync + 'static> AnyWhole for Whole<T> {
    fn publish(&self) {
        self.place.set(self.proxy.clone());
    }

    fn place(&self) -> &dyn AnyPlace {
        &*self.place
    }

    fn any_place(&self) -> Arc<dyn Any + Send + Sync> {
        self.place.clone()
    }
}
