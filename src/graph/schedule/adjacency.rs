//! The edges of a graph, found by their end, in compressed sparse rows.
//!
//! Owns the layout and the passes that build it, all of them counting sorts: linear, and without hashing.

use super::problem::Edge;

/// For every task its edges, in order of the task at the other end, one for each.
#[derive(Clone, Debug)]
pub(super) struct Adjacency {
    /// Those of task `t` are `edges[starts[t]..starts[t + 1]]`.
    starts: Vec<usize>,
    edges: Vec<Edge>,
}

impl Adjacency {
    /// Predecessors and successors. All ends must be less than `tasks`. Of several edges between the same two tasks the
    /// greatest cost counts.
    pub(super) fn both(tasks: usize, edges: &[(u32, u32, f64)]) -> (Self, Self) {
        let by_source = Self::sorted(tasks, edges.iter().map(|&(from, to, cost)| (from, to, cost)));
        let mut predecessors = Self::sorted(tasks, by_source.triples());
        drop(by_source);
        predecessors.merge_parallel();
        let successors = Self::sorted(tasks, predecessors.triples());
        (predecessors, successors)
    }

    pub(super) fn of(&self, task: u32) -> &[Edge] {
        let task = task as usize;
        &self.edges[self.starts[task]..self.starts[task + 1]]
    }

    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }

    /// Rows by the first number; within a row in the order in which they come.
    fn sorted(tasks: usize, triples: impl Iterator<Item = (u32, u32, f64)> + Clone) -> Self {
        let mut starts = vec![0_usize; tasks + 1];
        for (row, ..) in triples.clone() {
            starts[row as usize + 1] += 1;
        }
        for row in 0..tasks {
            starts[row + 1] += starts[row];
        }
        let mut edges = vec![Edge { task: 0, cost: 0.0 }; starts[tasks]];
        let mut next = starts.clone();
        for (row, task, cost) in triples {
            let place = &mut next[row as usize];
            edges[*place] = Edge { task, cost };
            *place += 1;
        }
        Self { starts, edges }
    }

    /// The other way round: (task at the other end, row, cost), by row.
    fn triples(&self) -> impl Iterator<Item = (u32, u32, f64)> + Clone {
        let rows = 0..u32::try_from(self.starts.len() - 1).expect("tasks are counted in 32 bits");
        rows.flat_map(|row| self.of(row).iter().map(move |edge| (edge.task, row, edge.cost)))
    }

    /// Makes one of neighbouring edges to the same task.
    fn merge_parallel(&mut self) {
        let mut kept = 0;
        for row in 0..self.starts.len() - 1 {
            let (from, to) = (self.starts[row], self.starts[row + 1]);
            let first = kept;
            // What has been passed is free to be written over: `kept` never overtakes `at`.
            for at in from..to {
                let edge = self.edges[at];
                if kept > first && self.edges[kept - 1].task == edge.task {
                    let cost = &mut self.edges[kept - 1].cost;
                    *cost = cost.max(edge.cost);
                } else {
                    self.edges[kept] = edge;
                    kept += 1;
                }
            }
            self.starts[row] = first;
        }
        let last = self.starts.len() - 1;
        self.starts[last] = kept;
        self.edges.truncate(kept);
        self.edges.shrink_to_fit();
    }
}
