//! Checking a graph as a whole, before anything runs: every fault is found, not only the first.

use super::build::Graph;
use super::dag::{Builder, Dag};
use super::error::{GraphError, GraphFault};
use super::rerun::State;
use crate::args::Type;
use crate::task::Cost;
use std::any::TypeId;
use std::sync::Arc;

impl Graph {
    /// Finds everything that is wrong with the graph: names that don't exist or are there twice, tasks that wait for each
    /// other, results that don't fit parameters, costs that are none. [`run`](Self::run) and [`schedule`](Self::schedule) do it,
    /// too.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|n: i32| n), ["b"]);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// let error = graph.check().unwrap_err();
    /// assert_eq!(error.to_string(), "tasks wait for each other: `a` needs `b` needs `a`");
    /// ```
    ///
    /// # Errors
    ///
    /// All faults that were found; see [`GraphError::faults`].
    pub fn check(&mut self) -> Result<(), GraphError> {
        self.shape().map(drop)
    }

    /// The shape of the graph, checked.
    pub(super) fn shape(&mut self) -> Result<Arc<Dag>, GraphError> {
        if let Some(dag) = &self.checked {
            return Ok(dag.clone());
        }
        let mut faults = self.faults_of_names();
        let (builder, fed) = self.predecessors(&mut faults);
        for (task, inputs) in &fed {
            self.compare_types(*task, inputs, &mut faults);
        }
        self.check_costs(&mut faults);
        let dag = Dag::new(builder);
        match dag {
            Ok(dag) if faults.is_empty() => {
                for (task, inputs) in fed {
                    self.link(task, &inputs);
                }
                let dag = Arc::new(dag);
                self.checked = Some(dag.clone());
                Ok(dag)
            }
            Ok(_) => Err(GraphError::new(faults)),
            Err(cycles) => {
                faults.extend(cycles.into_iter().map(|path| GraphFault::Cycle {
                    path: path.into_iter().map(|task| self.names.get(task).to_owned()).collect(),
                }));
                Err(GraphError::new(faults))
            }
        }
    }

    fn faults_of_names(&self) -> Vec<GraphFault> {
        let twice = self.duplicates.iter().map(|&(first, second)| GraphFault::DuplicateName {
            name: self.names.get(first).into(),
            first: self.works[first as usize].added_at(),
            second: self.works[second as usize].added_at(),
        });
        let outputs = self.outputs.iter().flatten().filter(|name| self.names.find(name).is_none());
        twice.chain(outputs.map(|name| self.unknown(name, "give the result of"))).collect()
    }

    /// Who waits for whom, as far as the names exist; and for each task given by name, whose results it is fed.
    pub(super) fn predecessors(&self, faults: &mut Vec<GraphFault>) -> (Builder, Vec<(u32, Vec<u32>)>) {
        let mut builder = Builder::new(self.len(), self.edges.count());
        let mut fed = Vec::new();
        let has_names = !self.named.is_empty() || !self.after.is_empty();
        for task in 0..self.len() as u32 {
            if let Some(&first) = self.twins.get(&task) {
                builder.push(first);
                builder.end();
                continue;
            }
            self.edges.of(task).for_each(|(link, _)| builder.push(link.node()));
            if has_names {
                let mut find = |names: &[String], builder: &mut Builder| {
                    let found = names.iter().filter_map(|input| {
                        let found = self.names.find(input);
                        match found {
                            Some(found) => builder.push(found),
                            None => faults.push(self.unknown_input(task, input)),
                        }
                        found
                    });
                    found.collect::<Vec<u32>>()
                };
                if let Some(names) = self.named.get(&task) {
                    let found = find(names, &mut builder);
                    // What is done is not run, so it may lack values that it would be fed.
                    let is_run = !(self.may_lack_values && self.states[task as usize].is_done());
                    // With one missing, the others stand in the wrong places.
                    if found.len() == names.len() && is_run {
                        fed.push((task, self.fed(found)));
                    }
                }
                if let Some(names) = self.after.get(&task) {
                    find(names, &mut builder);
                }
            }
            builder.end();
        }
        (builder, fed)
    }

    fn unknown_input(&self, task: u32, input: &str) -> GraphFault {
        GraphFault::UnknownInput {
            task: self.names.get(task).into(),
            input: input.into(),
            similar: self.names.most_like(input).map(str::to_owned),
            place: self.works[task as usize].added_at(),
        }
    }

    /// Those of the inputs given by name that are arguments: not what has no value.
    fn fed(&self, mut inputs: Vec<u32>) -> Vec<u32> {
        inputs.retain(|&input| {
            let is_unit = self.works[input as usize].place().output().id == TypeId::of::<()>();
            !is_unit && self.states[input as usize] != State::Valueless
        });
        inputs
    }

    fn compare_types(&self, task: u32, inputs: &[u32], faults: &mut Vec<GraphFault>) {
        let work = &self.works[task as usize];
        let parameters = work.parameters().expect("its inputs are given by name");
        let result = |input: u32| self.works[input as usize].place().output();
        let name = |task: u32| self.names.get(task).to_owned();
        if inputs.len() != parameters.len() {
            faults.push(GraphFault::InputCount {
                task: name(task),
                function: work.function(),
                parameters: parameters.iter().map(|parameter| parameter.name).collect(),
                inputs: inputs.iter().map(|&input| (name(input), result(input).name)).collect(),
                place: work.added_at(),
            });
            return;
        }
        for (position, (&input, parameter)) in inputs.iter().zip(&parameters).enumerate() {
            let Type { id, name: result } = result(input);
            if id != parameter.id {
                faults.push(GraphFault::InputType {
                    task: name(task),
                    position: position + 1,
                    parameter: parameter.name,
                    input: name(input),
                    result,
                    place: work.added_at(),
                    input_place: self.works[input as usize].added_at(),
                });
            }
        }
    }

    fn check_costs(&self, faults: &mut Vec<GraphFault>) {
        let is_bad = |cost: f64| !(cost >= 0.0 && cost.is_finite());
        let mut fault = |task: u32, of: String, cost: f64| {
            faults.push(GraphFault::Cost { of, cost, place: self.works[task as usize].added_at() });
        };
        if !self.given.is_empty() {
            for task in 0..self.len() as u32 {
                let costs = match self.given.of(task) {
                    None => continue,
                    Some(Cost::Same(cost)) => [cost].into(),
                    Some(Cost::PerWorker(costs)) => costs,
                };
                for &cost in costs.iter().filter(|cost| is_bad(**cost)) {
                    fault(task, format!("`{}`", self.names.get(task)), cost);
                }
            }
        }
        let between = |from, to| {
            format!("bringing the result of `{}` to `{}`", self.names.get(from), self.names.get(to))
        };
        if self.edges.has_costs() {
            for task in 0..self.len() as u32 {
                for (link, cost) in self.edges.of(task).filter(|(_, cost)| is_bad(*cost)) {
                    fault(task, between(link.node(), task), cost);
                }
            }
        }
        for (&(from, to), &cost) in self.given.transfers.iter().filter(|(_, cost)| is_bad(**cost)) {
            fault(to, between(from, to), cost);
        }
    }

    fn link(&self, task: u32, inputs: &[u32]) {
        let mut places = inputs.iter().map(|&input| self.works[input as usize].any_place());
        self.works[task as usize].link(&mut || places.next().expect("they were counted"));
    }
}
