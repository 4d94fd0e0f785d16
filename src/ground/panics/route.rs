//! The way of a failure from where it happened to whoever reads it: forks, operators, tasks that were not run.
//!
//! Owns the steps of the way, in order, outwards. Promises: a way of any length is cheap to go on with and to keep: of each kind
//! of step only the first are kept, the others are counted, and ways that differ only in counts share their steps.
//! Leaves out: how a way is told (`report`), and what happened at its begin.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::frames::Frames;
use super::record::Place;

/// How many operators, and how many tasks that were not run, are kept. More is a page that nobody reads.
const FEW: u32 = 16;
/// How many forks are kept: those of a recursion that forks are still of use, and they are folded in the report.
const MANY: u32 = 256;

/// A place in the user's source where a task was forked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForkPlace {
    pub(crate) place: Place,
    pub(crate) task: String,
    /// How the thread that forked got there, if `RUST_BACKTRACE` asks.
    pub(crate) frames: Option<Frames>,
}

impl ForkPlace {
    /// Whether both are of the same task, forked at the same place.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.place == other.place && self.task == other.task
    }
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// The task that failed, or that passed the failure on, was forked here.
    Fork(ForkPlace),
    /// What failed is an operand of this.
    Operator { symbol: Cow<'static, str>, place: Place },
    /// What failed is an input of this task.
    NotRun(ForkPlace),
    /// Steps that are only counted.
    Skipped(Skipped),
}

/// How many steps of each kind were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) forks: u32,
    pub(crate) operators: u32,
    pub(crate) not_run: u32,
}

/// The whole way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Route {
    steps: Arc<Vec<Step>>,
    /// What came after the last step.
    skipped: Skipped,
}

impl Route {
    /// The steps, the nearest to the failure first.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Cow<'_, Step>> {
        let rest = (self.skipped != Skipped::default()).then_some(Cow::Owned(Step::Skipped(self.skipped)));
        self.steps.iter().map(Cow::Borrowed).chain(rest)
    }

    /// The places of the forks.
    pub(crate) fn forks(&self) -> impl Iterator<Item = &ForkPlace> {
        self.steps.iter().filter_map(|step| match step {
            Step::Fork(fork) => Some(fork),
            _ => None,
        })
    }

    /// Goes through a fork.
    pub(crate) fn fork(&mut self, fork: ForkPlace) {
        if self.count(|step| matches!(step, Step::Fork(_))) < MANY {
            self.push(Step::Fork(fork));
        } else {
            self.skipped.forks = self.skipped.forks.saturating_add(1);
        }
    }

    /// Ends a task that is not run.
    pub(crate) fn not_run(&mut self, fork: ForkPlace) {
        if self.count(|step| matches!(step, Step::NotRun(_))) < FEW {
            self.push(Step::NotRun(fork));
        } else {
            self.skipped.not_run = self.skipped.not_run.saturating_add(1);
        }
    }

    /// Goes through an operator. One that follows on itself, as in a loop, is one step.
    pub(crate) fn operator(&mut self, symbol: Cow<'static, str>, place: Place) {
        if self.skipped == Skipped::default()
            && matches!(self.steps.last(), Some(Step::Operator { symbol: last, place: at })
                if *last == symbol && *at == place)
        {
            return;
        }
        if self.count(|step| matches!(step, Step::Operator { .. })) < FEW {
            self.push(Step::Operator { symbol, place });
        } else {
            self.skipped.operators = self.skipped.operators.saturating_add(1);
        }
    }

    /// The way as a peer sent it, which need not keep to the limits.
    pub(crate) fn bounded(mut self) -> Self {
        // With what was skipped between them there can be twice as many.
        Arc::make_mut(&mut self.steps).truncate(2 * (MANY + 2 * FEW) as usize);
        self
    }

    fn count(&self, is_counted: impl Fn(&Step) -> bool) -> u32 {
        self.steps.iter().filter(|step| is_counted(step)).count() as u32
    }

    fn push(&mut self, step: Step) {
        let steps = Arc::make_mut(&mut self.steps);
        let skipped = std::mem::take(&mut self.skipped);
        if skipped != Skipped::default() {
            steps.push(Step::Skipped(skipped));
        }
        steps.push(step);
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn place(line: u32) -> Place {
        Place { file: Cow::Borrowed("src/main.rs"), line, column: 1 }
    }

    fn fork(line: u32) -> ForkPlace {
        ForkPlace { place: place(line), task: "app::f".into(), frames: None }
    }

    fn told(route: &Route) -> Vec<String> {
        let line = |step: Cow<'_, Step>| match &*step {
            Step::Fork(fork) => format!("fork {}", fork.place.line),
            Step::Operator { symbol, place } => format!("{symbol} {}", place.line),
            Step::NotRun(fork) => format!("not run {}", fork.place.line),
            Step::Skipped(Skipped { forks, operators, not_run }) => format!("{forks} {operators} {not_run}"),
        };
        route.steps().map(line).collect()
    }

    #[test]
    fn steps_are_kept_in_order_and_those_beyond_the_limit_counted_where_they_were() {
        let mut route = Route::default();
        route.fork(fork(1));
        for line in 0..20 {
            route.operator("+".into(), place(line));
        }
        route.not_run(fork(2));
        route.operator("*".into(), place(3));
        let told = told(&route);
        assert_eq!(told[..2], ["fork 1", "+ 0"]);
        assert_eq!(told[17..], ["0 4 0", "not run 2", "0 1 0"]);
    }

    #[test]
    fn an_operator_in_a_loop_is_one_step() {
        let mut route = Route::default();
        for _ in 0..1_000_000 {
            route.operator("+".into(), place(1));
        }
        assert_eq!(told(&route), ["+ 1"]);
    }

    #[test]
    fn a_way_of_a_million_steps_stays_small() {
        let mut route = Route::default();
        for line in 0..1_000_000 {
            route.operator("+".into(), place(line % 2));
        }
        route.fork(fork(1));
        for _ in 0..1_000_000 {
            route.not_run(fork(2));
        }
        let told = told(&route);
        assert_eq!(told.len(), 16 + 1 + 1 + 16 + 1);
        assert_eq!((&*told[16], &*told[34]), ("0 999984 0", "0 0 999984"));
        // The ways of a chain share their steps.
        let mut longer = route.clone();
        longer.not_run(fork(3));
        assert!(Arc::ptr_eq(&route.steps, &longer.steps));
    }

    #[test]
    fn row_100_a_way_of_a_peer_is_cut() {
        let steps = vec![Step::NotRun(fork(1)); 10_000];
        let sent = Route { steps: Arc::new(steps), skipped: Skipped::default() };
        let got: Route = postcard::from_bytes(&postcard::to_stdvec(&sent).unwrap()).unwrap();
        assert!(got.bounded().steps().count() < 1000);
    }
}
