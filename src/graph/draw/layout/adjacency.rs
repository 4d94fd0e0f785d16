//! The neighbours of each vertex, in two vectors: a graph of a million vertices is two allocations.

#[derive(Debug, Default)]
pub(super) struct Adjacency {
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Adjacency {
    /// The second of each pair becomes a neighbour of the first, in the order of the pairs.
    pub(super) fn new(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0; count + 1];
        for (from, _) in pairs.clone() {
            starts[from as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut ends = vec![0; starts[count] as usize];
        for (from, to) in pairs {
            ends[next[from as usize] as usize] = to;
            next[from as usize] += 1;
        }
        Self { starts, ends }
    }

    pub(super) fn of(&self, vertex: u32) -> &[u32] {
        &self.ends[self.range(vertex)]
    }

    pub(super) fn of_mut(&mut self, vertex: u32) -> &mut [u32] {
        let range = self.range(vertex);
        &mut self.ends[range]
    }

    fn range(&self, vertex: u32) -> std::ops::Range<usize> {
        self.starts[vertex as usize] as usize..self.starts[vertex as usize + 1] as usize
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}
