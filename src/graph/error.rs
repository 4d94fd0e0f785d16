//! [`GraphError`]: everything that is wrong with a graph, or with what it was asked for.

use super::names::Names;
use super::outcome::Outcome;
use super::schedule::ScheduleError;
use crate::store::StoreError;
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;

/// Where in the program something was said about a graph.
type Place = &'static Location<'static>;

/// Why a graph can't be built, run or scheduled: all [faults](GraphFault) that were found, not only the first.
///
/// ```
/// use xfork::{Graph, GraphFault, io_bound};
///
/// let mut graph = Graph::new();
/// graph.add_named("sum", io_bound(|a: i32, b: i32| a + b), ["one", "two"]);
/// graph.add_named("one", io_bound(|n: i32| n), ["sum"]);
/// let error = graph.check().unwrap_err();
/// let faults = error.faults();
/// assert!(matches!(&faults[0], GraphFault::UnknownInput { input, .. } if input == "two"));
/// assert!(matches!(&faults[1], GraphFault::Cycle { path } if path.len() == 2));
/// ```
#[derive(Clone, Debug)]
pub struct GraphError {
    faults: Vec<GraphFault>,
}

impl GraphError {
    pub(super) fn new(faults: Vec<GraphFault>) -> Self {
        debug_assert!(!faults.is_empty());
        Self { faults }
    }

    /// The faults, at least one: of names first, then of inputs and their types, of costs, and of cycles, each in the order of the
    /// tasks.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// let error = graph.reset(["no such task"]).unwrap_err();
    /// assert_eq!(error.faults().len(), 1);
    /// ```
    pub fn faults(&self) -> &[GraphFault] {
        &self.faults
    }
}

impl From<GraphFault> for GraphError {
    fn from(fault: GraphFault) -> Self {
        Self { faults: vec![fault] }
    }
}

impl std::error::Error for GraphError {}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// What is said of more faults than these, their number.
        const SHOWN: usize = 20;
        if let [fault] = &self.faults[..] {
            return fault.fmt(f);
        }
        write!(f, "the graph has {} faults:", self.faults.len())?;
        for fault in self.faults.iter().take(SHOWN) {
            write!(f, "\n  - {fault}")?;
        }
        match self.faults.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
    }
}

/// One thing that is wrong with a graph; see [`GraphError`].
///
/// ```
/// use xfork::{Graph, GraphFault, io_bound, task};
///
/// let mut graph = Graph::new();
/// graph.add("one", task(io_bound(|| 1), ()))?;
/// let error = graph.add("one", task(io_bound(|| 2), ())).unwrap_err();
/// assert!(matches!(&error.faults()[0], GraphFault::DuplicateName { name, .. } if name == "one"));
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GraphFault {
    /// Two tasks have the same name.
    DuplicateName {
        /// The name.
        name: String,
        /// Where the first was added.
        first: Place,
        /// Where the second was.
        second: Place,
    },
    /// A task wants the result of one that does not exist.
    UnknownInput {
        /// The task.
        task: String,
        /// The name that it gives.
        input: String,
        /// A name that exists and is nearly the same.
        similar: Option<String>,
        /// Where the task was added.
        place: Place,
    },
    /// There is no task of this name.
    UnknownTask {
        /// The name.
        name: String,
        /// What was to be done with it.
        what: &'static str,
        /// A name that exists and is nearly the same.
        similar: Option<String>,
    },
    /// Tasks wait for each other.
    Cycle {
        /// Their names; each needs the result of the next, and the last that of the first.
        path: Vec<String>,
    },
    /// A task gets more or fewer results than its function has parameters.
    InputCount {
        /// The task.
        task: String,
        /// The function.
        function: &'static str,
        /// The types of its parameters.
        parameters: Vec<&'static str>,
        /// The names of the tasks whose results it gets, and their types.
        inputs: Vec<(String, &'static str)>,
        /// Where the task was added.
        place: Place,
    },
    /// A task gets a result of another type than its function's parameter has.
    InputType {
        /// The task.
        task: String,
        /// The number of the parameter, counted from 1.
        position: usize,
        /// Its type.
        parameter: &'static str,
        /// The task that brings the result.
        input: String,
        /// The type of that.
        result: &'static str,
        /// Where the task was added.
        place: Place,
        /// Where the one that brings the result was.
        input_place: Place,
    },
    /// A task has an argument from another graph.
    ForeignNode {
        /// The task.
        task: String,
        /// Where it was to be added.
        place: Place,
    },
    /// A cost is negative, infinite or no number.
    Cost {
        /// Whose, in words.
        of: String,
        /// The cost.
        cost: f64,
        /// Where the task was added.
        place: Place,
    },
    /// A value of another type than the task's result.
    ResultType {
        /// The task.
        task: String,
        /// The type of its result.
        result: &'static str,
        /// The type that was given.
        given: &'static str,
        /// Where the task was added.
        place: Place,
    },
    /// A task needs the result of one that is marked as done, but has no value.
    NoValue {
        /// The task.
        task: String,
        /// The one that it needs.
        input: String,
    },
    /// A task can't have another value: it is a part of an expression, and other parts are computed from that.
    UsedPart {
        /// The task.
        task: String,
        /// What was to be done with it.
        what: &'static str,
        /// A task whose part of an expression contains it.
        user: String,
        /// Where the task was added.
        place: Place,
    },
    /// A task has no result to be given.
    NoResult {
        /// The task.
        task: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// A schedule is for another graph, or for this one before it was changed.
    ForeignSchedule {
        /// What is different.
        what: String,
    },
    /// There can be no schedule.
    Schedule {
        /// Why.
        error: ScheduleError,
        /// The same in words, with the names of tasks.
        text: String,
    },
    /// A result can't be written down for a later process.
    Unsavable {
        /// The task.
        task: String,
        /// What serialising it says.
        why: String,
        /// Where the task was added.
        place: Place,
    },
    /// A result in a file can't be the one of the task.
    StoredResult {
        /// The task.
        task: String,
        /// The type of its result.
        result: &'static str,
        /// The file.
        file: PathBuf,
        /// What is different.
        why: String,
        /// Where the task was added.
        place: Place,
    },
    /// A file can't be read or written.
    Store(StoreError),
    /// The log of a run can't be opened.
    Log {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
}

impl GraphFault {
    pub(super) fn unknown_task(names: &Names, name: &str, what: &'static str) -> Self {
        Self::UnknownTask { name: name.into(), what, similar: names.most_like(name).map(str::to_owned) }
    }
}

impl fmt::Display for GraphFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName { name, first, second } => write!(
                f,
                "two tasks are called `{name}`, added at {first} and at {second}: give each a name of its own, or use \
                 `replace` to have another task in the place of the first"
            ),
            Self::UnknownInput { task, input, similar, place } => {
                write!(
                    f,
                    "`{task}`, added at {place}, needs the result of `{input}`, but there is no such task"
                )?;
                did_you_mean(f, similar.as_deref())
            }
            Self::UnknownTask { name, what, similar } => {
                write!(f, "{what} `{name}`: there is no such task")?;
                did_you_mean(f, similar.as_deref())
            }
            Self::Cycle { path } => match &path[..] {
                [task] => write!(f, "`{task}` needs its own result"),
                path => {
                    write!(f, "tasks wait for each other: `{}`", path[0])?;
                    for (place, task) in path[1..].iter().chain(&path[..1]).enumerate() {
                        // Of a long one both ends are shown.
                        match (place, path.len().saturating_sub(place)) {
                            (10, 8..) => write!(f, " needs … ({} more)", path.len() - 17)?,
                            (11.., 8..) => {}
                            _ => write!(f, " needs `{task}`")?,
                        }
                    }
                    Ok(())
                }
            },
            Self::InputCount { task, function, parameters, inputs, place } => {
                write!(
                    f,
                    "`{task}`, added at {place}, calls `{function}`, which has {}, with {}",
                    listed(parameters.len(), "parameter", parameters.iter().map(|name| format!("`{name}`"))),
                    listed(
                        inputs.len(),
                        "result",
                        inputs.iter().map(|(name, result)| format!("`{result}` of `{name}`"))
                    ),
                )
            }
            Self::InputType { task, position, parameter, input, result, place, input_place } => write!(
                f,
                "parameter {position} of `{task}`, added at {place}, is a `{parameter}`, but the result of `{input}`, added at \
                 {input_place}, is a `{result}`"
            ),
            Self::ForeignNode { task, place } => write!(
                f,
                "an argument of `{task}`, at {place}, is a node of another graph: add that task to this graph, too, or `merge` \
                 the other graph into it"
            ),
            Self::Cost { of, cost, place } => write!(
                f,
                "the cost of {of}, added at {place}, is {cost}: costs are zero or greater, and finite"
            ),
            Self::ResultType { task, result, given, place } => {
                write!(f, "the result of `{task}`, added at {place}, is a `{result}`, and not a `{given}`")
            }
            Self::NoValue { task, input } => write!(
                f,
                "`{task}` needs the result of `{input}`, which is marked as done but has none: give it one by \
                 `mark_done(\"{input}\", value)`, or have it run by `reset([\"{input}\"])`"
            ),
            Self::UsedPart { task, what, user, place } => write!(
                f,
                "{what} `{task}`, added at {place}: it can't have another value, since the expression that `{user}` was captured \
                 from contains its proxy and is computed from that: give `{user}` a value instead, or make it a task that gets \
                 the node of `{task}`"
            ),
            Self::NoResult { task, outcome: Outcome::Done } => {
                write!(f, "the result of `{task}` was dropped, since it is no output: name it in `outputs`")
            }
            Self::NoResult { task, outcome } => write!(f, "`{task}` has no result: {outcome}"),
            Self::ForeignSchedule { what } => {
                write!(
                    f,
                    "the schedule is not for this graph as it is now ({what}): make a new one by `schedule`"
                )
            }
            Self::Schedule { text, .. } => f.write_str(text),
            Self::Unsavable { task, why, place } => {
                write!(f, "the result of `{task}`, added at {place}, can't be saved: {why}")
            }
            Self::StoredResult { task, result, file, why, place } => write!(
                f,
                "the result of `{task}`, added at {place}, is a `{result}`, and what {file:?} has for it can't be read as that: \
                 {why}; the graph is as it was: use another file, or another name for the task"
            ),
            Self::Store(error) => error.fmt(f),
            Self::Log { file, why } => write!(
                f,
                "opening the log of the run, {file:?}: {why}; nothing has run: give another file to `RunOptions::log`, or none"
            ),
        }
    }
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, similar: Option<&str>) -> fmt::Result {
    similar.map_or(Ok(()), |similar| write!(f, "; did you mean `{similar}`?"))
}

/// Such as "2 results (`i32` of `a`, `u8` of `b`)".
fn listed(count: usize, what: &str, items: impl Iterator<Item = String>) -> String {
    let plural = if count == 1 { "" } else { "s" };
    match count {
        0 => format!("no {what}"),
        _ => format!("{count} {what}{plural} ({})", items.collect::<Vec<_>>().join(", ")),
    }
}
