//! The edges of a graph as they were said: from typed arguments, by number; and what is told from them later.

use crate::args::Origin;
use rustc_hash::FxHashMap;

/// What tasks wait for by number, as it was said.
#[derive(Clone, Default)]
pub(super) struct Edges {
    /// Where the edges of each task begin, and how many there are.
    ranges: Vec<(u32, u32)>,
    edges: Vec<Link>,
    /// By the number of the edge.
    transfers: FxHashMap<u32, f64>,
}

/// A task that another waits for, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(u32);

const FED: u32 = 1 << 31;
const WHOLE: u32 = 1 << 30;
/// The most tasks that a graph may have.
pub(super) const MOST: usize = (WHOLE - 1) as usize;

impl Link {
    fn new(origin: &Origin) -> Self {
        Self(origin.node | if origin.is_fed { FED } else { 0 } | if origin.is_whole { WHOLE } else { 0 })
    }

    pub(super) fn node(self) -> u32 {
        self.0 & (WHOLE - 1)
    }

    pub(super) fn is_fed(self) -> bool {
        self.0 & FED != 0
    }

    /// Whether the result itself is an argument, by itself.
    pub(super) fn is_whole_argument(self) -> bool {
        self.0 & FED != 0 && self.0 & WHOLE != 0
    }

    fn moved(self, by: u32) -> Self {
        Self(self.0 + by)
    }
}

impl Edges {
    pub(super) fn push(&mut self, origins: &[Origin]) {
        let begin = self.add(origins);
        self.ranges.push((begin, origins.len() as u32));
    }

    pub(super) fn replace(&mut self, task: u32, origins: &[Origin]) {
        let begin = self.add(origins);
        self.ranges[task as usize] = (begin, origins.len() as u32);
    }

    fn add(&mut self, origins: &[Origin]) -> u32 {
        let begin = self.edges.len() as u32;
        for origin in origins {
            // Zero is what it costs where nothing is said; NaN is told by the check.
            if origin.transfer != 0.0 {
                self.transfers.insert(self.edges.len() as u32, origin.transfer);
            }
            self.edges.push(Link::new(origin));
        }
        begin
    }

    /// What a task waits for, each with what it costs to bring.
    pub(super) fn of(&self, task: u32) -> impl Iterator<Item = (Link, f64)> {
        let (begin, count) = self.ranges[task as usize];
        let costs = !self.transfers.is_empty();
        (begin..begin + count).map(move |edge| {
            let transfer = costs.then(|| self.transfers.get(&edge).copied()).flatten();
            (self.edges[edge as usize], transfer.unwrap_or(0.0))
        })
    }

    pub(super) fn count(&self) -> usize {
        self.edges.len()
    }

    pub(super) fn has_costs(&self) -> bool {
        !self.transfers.is_empty()
    }

    pub(super) fn append(&mut self, other: &Self, by: u32) {
        let base = self.edges.len() as u32;
        self.ranges.extend(other.ranges.iter().map(|&(begin, count)| (begin + base, count)));
        self.edges.extend(other.edges.iter().map(|edge| edge.moved(by)));
        self.transfers.extend(other.transfers.iter().map(|(edge, &transfer)| (edge + base, transfer)));
    }
}
