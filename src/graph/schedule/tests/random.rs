//! Random graphs.

use super::super::{Problem, TaskCost};

/// The output function of SplitMix64 over a counter.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// From 0 on, below `bound`.
    pub(super) fn real(&mut self, bound: f64) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * bound
    }

    pub(super) fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }
}

/// The parameters of Topcuoglu, Hariri and Wu (IEEE TPDS 13(3), 2002, §5.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) tasks: usize,
    pub(super) workers: usize,
    /// The mean height is √tasks / α, the mean width of a level α √tasks.
    pub(super) alpha: f64,
    pub(super) out_degree: usize,
    /// The mean communication cost in mean computation costs.
    pub(super) ccr: f64,
    /// A task's costs are spread over this part of their mean, half of it to each side.
    pub(super) beta: f64,
}

impl Shape {
    /// Any from the paper's sets, with numbers of tasks and workers of one's own.
    pub(super) fn any(random: &mut Random, tasks: usize, workers: usize) -> Self {
        Self {
            tasks,
            workers,
            alpha: random.one_of(&[0.5, 1.0, 2.0]),
            out_degree: random.one_of(&[1, 2, 3, 4, 5]),
            ccr: random.one_of(&[0.1, 0.5, 1.0, 5.0, 10.0]),
            beta: random.one_of(&[0.1, 0.25, 0.5, 0.75, 1.0]),
        }
    }

    /// Levels of random width; each task but those of the last level feeds random ones of later levels.
    pub(super) fn problem(&self, random: &mut Random) -> Problem {
        let width = (self.alpha * (self.tasks as f64).sqrt()).max(1.0);
        let mut levels = vec![0];
        while *levels.last().unwrap() < self.tasks {
            let next = levels.last().unwrap() + 1 + random.below((2.0 * width) as usize);
            levels.push(next.min(self.tasks));
        }
        let mean = 40.0;
        let mut costs = Vec::new();
        for _ in 0..self.tasks {
            let task = random.real(2.0 * mean);
            let cost = |_| task * (1.0 - self.beta / 2.0) + random.real(task * self.beta);
            costs.push(TaskCost::from((0..self.workers).map(cost).collect::<Vec<_>>()));
        }
        let mut edges = Vec::new();
        for level in levels.windows(2) {
            for task in level[0]..level[1] {
                let later = self.tasks - level[1];
                for _ in 0..self.out_degree.min(later) {
                    // The nearest levels are the likeliest, so that the graph is as high as its levels.
                    let reach = later.min((2.0 * width) as usize + 1);
                    let to = level[1] + random.below(reach);
                    edges.push((task as u32, to as u32, random.real(2.0 * self.ccr * mean)));
                }
            }
        }
        Problem::new(self.workers, None, costs, &edges).unwrap()
    }
}
