//! Expressions of proxies as tasks: each part of one that has no value is a task, which computes it in its own place.
//!
//! A part is not called again and again as other tasks are: it has a slot, which is settled once, by whoever comes first, be it
//! the task or a reader of the proxy. So the task of a part is a fork that sees to its slot, with a result of its own, `()`: that
//! can be timed, cancelled and run again like any other, and the slot stays as it is. A part that has a value is not forked.

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
use crate::proxy::{self, PartOperand, ResultProxy, ready};
use crate::task::{Parts, Task, Where, drop_quietly};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::any::{Any, TypeId};
use std::panic::Location;
use std::sync::{Arc, Weak};

impl Graph {
    /// Adds what is still to be computed of a proxy as tasks, of which the last has this name and gives the value.
    ///
    /// Each deferred part of the expression becomes one task, however often it is used: an operation, a row of operations that
    /// nothing else takes part in, or a closure given to [`lazy`](crate::lazy) and its like. It starts as soon as its operands are
    /// there, on a thread, beside other parts. A fork among them that has not ended is a task, too, which only waits for it, without
    /// a thread unless the plan runs everything in place. Values that are there are no tasks. The parts are called by the name, a colon, and the operation or the function, with a number
    /// where there are several: `total: +`, `total: + #2`. A part that an expression added before has as well is a task of
    /// that one.
    ///
    /// This evaluates nothing, and waits for nothing but an operator that another thread carries out at the moment. Running the graph then computes the proxy itself, once, also if somebody
    /// reads it meanwhile. So nothing is computed again: after a [`reset`](Self::reset) the task gives the same value or the same
    /// failure again, and is not measured again if it has a value. The graph holds that value as long as it has the task, also if
    /// it is none of its [`outputs`](Self::outputs). Values of the other parts are moved from one to the next, or dropped when the
    /// last part or proxy that needs them is gone; they can't be looked up. No result and no failure is [saved](Self::save). A
    /// part that others contain can't be [replaced](Self::replace) or [given a value](Self::mark_done). A part with an operand
    /// that has failed is skipped, unless it has a value without it.
    ///
    /// A run that is stopped leaves the proxy as it is, to be read or run later, and does not cancel what it waits for: forks, and
    /// what others compute. What it leaves in wait there is small and stays until they end.
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
            let task = PartTask { is_given: part.is_given, ..PartTask::new(&part.slot, added_at) };
            self.push_part(&name, task, &part.operands, before);
        }
        let place = Place::new();
        let whole = Whole { proxy: proxy.clone(), place: place.clone() };
        let task = PartTask {
            is_given: last.is_given,
            whole: Some(Box::new(whole)),
            ..PartTask::new(&last.slot, last.place.unwrap_or(caller))
        };
        self.push_part(name, task, &last.operands, before);
        Ok(Node { place })
    }

    /// Adds a part, whose operands that are parts are counted from the task `before`.
    fn push_part(&mut self, name: &str, task: PartTask, operands: &[PartOperand], before: u32) {
        let address = address(&task.part);
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
        if self.task_at(address).is_none() {
            self.captured.0.insert(address, number);
        }
    }

    /// The task that is this part.
    fn captured_as(&self, slot: &Arc<dyn AnySlot>) -> Option<u32> {
        self.task_at(Arc::as_ptr(slot).cast::<()>() as usize)
    }

    /// The task that computes the part at this address, which nothing else can have while there is the task.
    fn task_at(&self, part: usize) -> Option<u32> {
        let number = *self.captured.0.get(&part)?;
        // The task may have been replaced since, and the address be another part's; or it has been given another value.
        let is_it = address(self.works[number as usize].part()?) == part;
        (is_it && !self.given_values.contains(&number)).then_some(number)
    }

    /// Refuses to give a task another value if it is a part that others contain: they are computed from the proxy.
    pub(super) fn check_unused(&self, task: u32, what: &'static str) -> Result<(), GraphError> {
        let work = &self.works[task as usize];
        if work.part().is_none() {
            return Ok(());
        }
        // What contains a part comes after it.
        let user = (task + 1..self.len() as u32).find(|&user| {
            self.works[user as usize].part().is_some()
                && self.edges.of(user).any(|(link, _)| link.node() == task)
        });
        user.map_or(Ok(()), |user| {
            let [task, user] = [task, user].map(|task| self.names.get(task).to_owned());
            Err(GraphFault::UsedPart { task, what, user, place: work.added_at() }.into())
        })
    }
}

fn address(part: &Weak<dyn AnySlot>) -> usize {
    part.as_ptr().cast::<()>() as usize
}

/// Whether a part has a value or an error, or is not needed any more.
pub(super) fn is_settled(part: &Weak<dyn AnySlot>) -> bool {
    look_at(part, |slot| slot.is_settled()).unwrap_or(true)
}

fn look_at<R>(part: &Weak<dyn AnySlot>, look: impl FnOnce(&Arc<dyn AnySlot>) -> R) -> Option<R> {
    let slot = part.upgrade()?;
    let seen = look(&slot);
    // Perhaps the last pointer to it by now, whose value is the user's.
    drop_quietly(slot);
    Some(seen)
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

const NOT_SAVED: &str = "it is a part of an expression, which is captured anew in each process";

/// The type of the results of parts that nobody can look up: their values go from part to part.
struct InExpression;

/// What each run forks for a part.
struct Finish(Arc<dyn AnySlot>);

impl Callable<()> for Finish {
    type Output = ();
    type Mark = Io;

    fn call(self, (): ()) {
        proxy::finish(&self.0);
        // Perhaps somebody else has used it meanwhile.
        drop_quietly(self.0);
    }
}

/// A part of an expression as a task.
struct PartTask {
    /// Kept alive by what needs it: the parts that contain it, or the proxy that was captured. After that, its value is
    /// nobody's, and there is nothing to do.
    part: Weak<dyn AnySlot>,
    /// Where the fork is found that sees to it.
    fork: Arc<Place<()>>,
    added_at: &'static Location<'static>,
    limits: Mutex<Limits>,
    /// Whether it was computed or under way when it was captured.
    is_given: bool,
    /// If it is what the user asked for.
    whole: Option<Box<dyn AnyWhole>>,
}

impl PartTask {
    fn new(slot: &Arc<dyn AnySlot>, added_at: &'static Location<'static>) -> Self {
        let (part, limits) = (Arc::downgrade(slot), Mutex::new(Limits::new()));
        Self { part, fork: Place::new(), added_at, limits, is_given: false, whole: None }
    }
}

impl Work for PartTask {
    fn start(&self, member: Member) -> bool {
        if let Some(whole) = &self.whole {
            whole.publish();
        }
        let name = member.series.name(member.position.index as u32);
        let Some(slot) = self.part.upgrade() else {
            // Since it was looked for.
            self.fork.set(ready(()));
            return false;
        };
        let mut after = Vec::new();
        // While something runs elsewhere, no thread is to be blocked for it; who runs tasks in place can only wait in place.
        if self.is_given && !slot.is_settled() && !plan::runners().io.runs_in_place() {
            after.push(proxy::settled(&slot).any_slot());
        }
        let parts = Parts {
            function: Finish(slot),
            inputs: (),
            limits: *self.limits.lock(),
            // What has failed can't be computed again.
            again: None,
            after,
            cost: None,
            origins: Vec::new(),
            codec: None,
            place: self.added_at,
        };
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
        self.limits.lock().priority.unwrap_or(0)
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
        Err(NOT_SAVED.into())
    }

    fn set_limits(&self, limits: Limits) {
        let mut own = self.limits.lock();
        *own = limits.or(*own);
    }

    fn set_saved(&self, _: &dyn Any) -> Result<(), String> {
        Err(NOT_SAVED.into())
    }

    fn link(&self, _: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>) {
        unreachable!("its inputs are not given by name")
    }

    fn part(&self) -> Option<&Weak<dyn AnySlot>> {
        Some(&self.part)
    }

    fn finds_result(&self) -> bool {
        let is_there =
            look_at(&self.part, |slot| slot.is_settled() && slot.error().is_none()).unwrap_or(true);
        if is_there && let Some(whole) = &self.whole {
            whole.publish();
        }
        is_there
    }

    fn drawn_as(&self) -> NodeKind {
        if self.is_given { NodeKind::Input } else { NodeKind::Operation }
    }
}

impl AnyPlace for PartTask {
    fn slot(&self) -> Option<Arc<dyn AnySlot>> {
        // Without a fork there is a value, or none: what is not settled is the user's, and no run's to cancel.
        self.fork.slot().or_else(|| {
            let slot = self.whole.as_ref().map_or_else(|| self.part.upgrade(), |whole| whole.place().slot());
            slot.filter(|slot| slot.is_settled())
        })
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

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::proxy::lazy;

    /// Between the moment in which the task is given its proxy and the one in which it has a fork of its own, a run that is
    /// stopped finds nothing to cancel.
    #[test]
    fn what_the_user_reads_is_no_runs_to_cancel() {
        let proxy = lazy(|| 3);
        let mut graph = Graph::new();
        graph.add_expression("all", &proxy).unwrap();
        graph.place_of::<i32>(0).unwrap().set(proxy.clone());
        let work = &graph.works[0];
        assert!(work.place().slot().is_none());
        assert_eq!(*proxy, 3);
        assert!(work.place().slot().is_some() && work.finds_result());
    }
}
