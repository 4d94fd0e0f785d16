//! Shapes as graphs of xfork, whose tasks add up what they need, and one.

use crate::shapes::Shape;
use std::fmt::Write as _;
use xfork::{Graph, Node};

/// A graph, and the nodes of its tasks.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) nodes: Vec<Node<u32>>,
}

impl Built {
    fn new(shape: &Shape, mut add: impl FnMut(&mut Graph, &str, &[u32], &[Node<u32>]) -> Node<u32>) -> Self {
        let mut graph = Graph::new();
        let mut nodes = Vec::with_capacity(shape.tasks() as usize);
        let mut name = String::new();
        for task in 0..shape.tasks() {
            name.clear();
            write!(name, "{task}").expect("memory");
            let node = add(&mut graph, &name, shape.inputs(task), &nodes);
            nodes.push(node);
        }
        Self { graph, nodes }
    }

    pub(crate) fn checked(mut self) -> Self {
        self.graph.check().expect("the shape has no faults");
        self
    }

    /// Runs the graph, and gives the result of the last task.
    pub(crate) fn run(&mut self) -> (xfork::Outcomes, u32) {
        let outcomes = self.graph.run().expect("it has been checked");
        let last = outcomes[self.nodes.last().expect("there are tasks")];
        (outcomes, last)
    }
}

macro_rules! tasks {
    ($(#[$doc:meta])* $name:ident, $mark:ident, ($($given:ident: $type:ty)?), $work:expr) => {
        $(#[$doc])*
        pub(crate) fn $name(shape: &Shape $(, $given: $type)?) -> Built {
            use xfork::{$mark, task};
            #[$mark]
            fn none($($given: $type)?) -> u32 {
                $work + 1
            }
            #[$mark]
            fn one($($given: $type,)? a: u32) -> u32 {
                a.wrapping_add($work + 1)
            }
            #[$mark]
            fn two($($given: $type,)? a: u32, b: u32) -> u32 {
                a.wrapping_add(b).wrapping_add($work + 1)
            }
            #[$mark]
            fn three($($given: $type,)? a: u32, b: u32, c: u32) -> u32 {
                a.wrapping_add(b).wrapping_add(c).wrapping_add($work + 1)
            }
            Built::new(shape, |graph, name, inputs, nodes| {
                let node = |input: u32| &nodes[input as usize];
                match *inputs {
                    [] => graph.add(name, task(none, ($($given)?))),
                    [a] => graph.add(name, task(one, ($($given,)? node(a)))),
                    [a, b] => graph.add(name, task(two, ($($given,)? node(a), node(b)))),
                    [a, b, c] => graph.add(name, task(three, ($($given,)? node(a), node(b), node(c)))),
                    _ => unreachable!("no pattern has more"),
                }
                .expect("names and nodes are right")
            })
        }
    };
}

tasks! {
    /// Tasks on threads that do nothing else.
    doing_nothing, io_bound, (), 0
}
tasks! {
    /// Tasks on threads that first do so many steps of arithmetic.
    on_threads, io_bound, (steps: u64), crate::nothing_after(steps)
}
tasks! {
    /// The same in other processes.
    on_processes, cpu_bound, (steps: u64), crate::nothing_after(steps)
}
