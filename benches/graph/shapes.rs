//! Graphs as lists of numbers: who needs whose result. Each task comes after those that it needs.

/// A graph without functions.
pub(crate) struct Shape {
    /// Where the inputs of each task begin, and where the last ones end.
    begins: Vec<u32>,
    inputs: Vec<u32>,
}

/// A pattern of as many tasks as one likes; `width` is that of those patterns which have one.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) name: &'static str,
    pub(crate) make: fn(tasks: usize, width: usize) -> Shape,
    /// How many tasks can run at once, if that does not grow with their number.
    pub(crate) parallelism: Option<usize>,
}

/// Those of Task Bench (Slaughter et al., SC20) that differ most.
pub(crate) const PATTERNS: [Pattern; 6] = [
    Pattern { name: "trivial", make: |tasks, _| Shape::new(tasks, |_, _| ()), parallelism: None },
    Pattern { name: "chain", make: |tasks, _| chain(tasks), parallelism: Some(1) },
    Pattern { name: "stencil", make: stencil, parallelism: None },
    Pattern { name: "FFT", make: butterfly, parallelism: None },
    Pattern { name: "tree", make: |tasks, _| tree(tasks), parallelism: None },
    Pattern { name: "random", make: |tasks, _| random(tasks), parallelism: None },
];

impl Shape {
    /// `inputs` adds those of a task.
    fn new(tasks: usize, mut inputs: impl FnMut(u32, &mut Vec<u32>)) -> Self {
        let mut shape = Self { begins: vec![0], inputs: Vec::new() };
        for task in 0..tasks as u32 {
            inputs(task, &mut shape.inputs);
            shape.begins.push(shape.inputs.len() as u32);
        }
        shape
    }

    pub(crate) fn tasks(&self) -> u32 {
        self.begins.len() as u32 - 1
    }

    pub(crate) fn edges(&self) -> usize {
        self.inputs.len()
    }

    pub(crate) fn inputs(&self, task: u32) -> &[u32] {
        &self.inputs[self.begins[task as usize] as usize..self.begins[task as usize + 1] as usize]
    }

    /// For each task those that need it.
    pub(crate) fn successors(&self) -> Vec<Vec<u32>> {
        let mut successors = vec![Vec::new(); self.tasks() as usize];
        for task in 0..self.tasks() {
            self.inputs(task).iter().for_each(|&input| successors[input as usize].push(task));
        }
        successors
    }
}

fn chain(tasks: usize) -> Shape {
    Shape::new(tasks, |task, inputs| inputs.extend(task.checked_sub(1)))
}

/// Rows; each task needs the three nearest of the row before, whose ends meet.
fn stencil(tasks: usize, width: usize) -> Shape {
    let width = width as u32;
    Shape::new(tasks, |task, inputs| {
        if let Some(row_before) = (task / width).checked_sub(1) {
            let near = [width - 1, 0, 1].map(|step| row_before * width + (task % width + step) % width);
            inputs.extend(near);
        }
    })
}

/// Rows of the greatest power of two up to `width`; from one to the next the distance of the partner doubles, and begins again.
fn butterfly(tasks: usize, width: usize) -> Shape {
    let stages = width.ilog2();
    let width = 1 << stages;
    Shape::new(tasks, |task, inputs| {
        if let Some(row_before) = (task / width).checked_sub(1) {
            let place = task % width;
            inputs
                .extend([place, place ^ 1 << (row_before % stages)].map(|place| row_before * width + place));
        }
    })
}

/// Each task feeds two.
fn tree(tasks: usize) -> Shape {
    Shape::new(tasks, |task, inputs| inputs.extend(task.checked_sub(1).map(|before| before / 2)))
}

/// Three different ones among the last thousand.
pub(crate) fn random(tasks: usize) -> Shape {
    let mut random = Random(1);
    Shape::new(tasks, |task, inputs| {
        let begin = inputs.len();
        while inputs.len() - begin < task.min(3) as usize {
            let input = task - 1 - random.below(task.min(1000));
            if !inputs[begin..].contains(&input) {
                inputs.push(input);
            }
        }
    })
}

/// Layers as wide as there are layers; each task needs one to six of the layer before, 3.5 on average.
pub(crate) fn layered(tasks: usize, random: &mut Random) -> Shape {
    let width = tasks.isqrt().max(6) as u32;
    Shape::new(tasks, |task, inputs| {
        let Some(layer_before) = (task / width).checked_sub(1) else { return };
        let (begin, count) = (inputs.len(), 1 + random.below(6) as usize);
        while inputs.len() - begin < count {
            let input = layer_before * width + random.below(width);
            if !inputs[begin..].contains(&input) {
                inputs.push(input);
            }
        }
    })
}

/// The same numbers in each run (xorshift64*, Vigna 2016).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32 % bound
    }
}
