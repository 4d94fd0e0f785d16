//! The shape of a checked graph: who feeds whom, in both directions, and an order in which inputs come first.

/// Lists of numbers, one for each task, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    /// Where each list begins, and where the last one ends.
    begins: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    pub(super) fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.items[self.begins[task] as usize..self.begins[task + 1] as usize]
    }

    /// For each task those that list it, in order.
    fn inverted(&self) -> Self {
        let tasks = self.begins.len() - 1;
        let mut begins = vec![0_u32; tasks + 1];
        for &item in &self.items {
            begins[item as usize + 1] += 1;
        }
        for task in 0..tasks {
            begins[task + 1] += begins[task];
        }
        let mut next = begins.clone();
        let mut items = vec![0; self.items.len()];
        for task in 0..tasks as u32 {
            for &item in self.of(task) {
                let place = &mut next[item as usize];
                items[*place as usize] = task;
                *place += 1;
            }
        }
        Self { begins, items }
    }
}

/// Builds lists one after the other.
#[derive(Debug)]
pub(super) struct Builder(Lists);

impl Builder {
    pub(super) fn new(tasks: usize, items: usize) -> Self {
        let mut begins = Vec::with_capacity(tasks + 1);
        begins.push(0);
        Self(Lists { begins, items: Vec::with_capacity(items) })
    }

    pub(super) fn push(&mut self, item: u32) {
        self.0.items.push(item);
    }

    /// Ends the list of a task.
    ///
    /// # Panics
    ///
    /// If there are 2³² edges.
    pub(super) fn end(&mut self) {
        self.0.begins.push(self.0.items.len().try_into().expect("a graph has less than 2³² edges"));
    }
}

/// A graph without cycles.
#[derive(Clone, Debug)]
pub(super) struct Dag {
    /// What each task waits for; what is listed twice is waited for twice.
    pub(super) predecessors: Lists,
    pub(super) successors: Lists,
    /// None if that is the order of the numbers.
    order: Option<Vec<u32>>,
}

impl Dag {
    /// The graph in which tasks have these predecessors.
    ///
    /// # Errors
    ///
    /// Cycles, each as the path along which one task waits for the next, from the first to the last, which the first waits for:
    /// one for each set of tasks that wait for each other.
    pub(super) fn new(Builder(predecessors): Builder) -> Result<Self, Vec<Vec<u32>>> {
        let successors = predecessors.inverted();
        let tasks = predecessors.begins.len() as u32 - 1;
        let is_ordered = (0..tasks).all(|task| predecessors.of(task).iter().all(|&before| before < task));
        if is_ordered {
            return Ok(Self { predecessors, successors, order: None });
        }
        // Kahn 1962: what waits for nothing more is next.
        let mut missing: Vec<u32> = (0..tasks).map(|task| predecessors.of(task).len() as u32).collect();
        let mut order: Vec<u32> = (0..tasks).filter(|&task| missing[task as usize] == 0).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            for &after in successors.of(task) {
                missing[after as usize] -= 1;
                if missing[after as usize] == 0 {
                    order.push(after);
                }
            }
        }
        if order.len() < tasks as usize {
            return Err(cycles(&predecessors, &missing));
        }
        Ok(Self { predecessors, successors, order: Some(order) })
    }

    pub(super) fn len(&self) -> usize {
        self.predecessors.begins.len() - 1
    }

    /// All tasks, each after those that it waits for.
    pub(super) fn order(&self) -> impl DoubleEndedIterator<Item = u32> {
        let order = self.order.as_deref();
        (0..self.len()).map(move |place| order.map_or(place as u32, |order| order[place]))
    }
}

impl Builder {
    /// Marks what the marked tasks lead to, in a graph that may have cycles.
    pub(super) fn mark_descendants(&self, marked: &mut [bool]) {
        let successors = self.0.inverted();
        let mut open: Vec<u32> = (0..marked.len() as u32).filter(|&task| marked[task as usize]).collect();
        while let Some(task) = open.pop() {
            for &after in successors.of(task) {
                if !std::mem::replace(&mut marked[after as usize], true) {
                    open.push(after);
                }
            }
        }
    }
}

/// One cycle of each set of tasks that wait for each other, among those for which something is missing.
///
/// Strongly connected components by the algorithm of Tarjan (1972), with a stack of its own; the cycle in one is a shortest
/// way from its first task back to it.
fn cycles(predecessors: &Lists, missing: &[u32]) -> Vec<Vec<u32>> {
    const NEW: u32 = u32::MAX;
    let tasks = missing.len();
    let (mut index, mut low) = (vec![NEW; tasks], vec![0; tasks]);
    let mut component = vec![NEW; tasks];
    let (mut counter, mut components) = (0, Vec::<Vec<u32>>::new());
    let (mut open, mut calls) = (Vec::new(), Vec::<(u32, usize)>::new());
    for root in (0..tasks as u32).filter(|&task| missing[task as usize] > 0) {
        if index[root as usize] != NEW {
            continue;
        }
        calls.push((root, 0));
        while let Some((task, next)) = calls.last_mut() {
            let (task, at) = (*task, *task as usize);
            if *next == 0 {
                (index[at], low[at]) = (counter, counter);
                counter += 1;
                open.push(task);
            }
            let found = predecessors.of(task).get(*next).copied();
            *next += 1;
            match found {
                Some(before) if missing[before as usize] == 0 => {}
                Some(before) if index[before as usize] == NEW => calls.push((before, 0)),
                Some(before) if component[before as usize] == NEW => {
                    low[at] = low[at].min(index[before as usize]);
                }
                Some(_) => {}
                None => {
                    calls.pop();
                    if let Some(&(caller, _)) = calls.last() {
                        low[caller as usize] = low[caller as usize].min(low[at]);
                    }
                    if low[at] == index[at] {
                        let begin = open.iter().rposition(|&other| other == task).expect("it was opened");
                        let members: Vec<u32> = open.drain(begin..).collect();
                        for &member in &members {
                            component[member as usize] = components.len() as u32;
                        }
                        components.push(members);
                    }
                }
            }
        }
    }
    let waits_for_itself = |task: u32| predecessors.of(task).contains(&task);
    let mut found: Vec<_> = components
        .iter()
        .filter(|members| members.len() > 1 || waits_for_itself(members[0]))
        .map(|members| shortest(predecessors, &component, *members.iter().min().expect("none is empty")))
        .collect();
    found.sort_unstable();
    found
}

/// A shortest cycle through `first` in its component, by breadth.
fn shortest(predecessors: &Lists, component: &[u32], first: u32) -> Vec<u32> {
    let own = component[first as usize];
    let mut reached_from = rustc_hash::FxHashMap::default();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(task) = queue.pop_front() {
        for &before in predecessors.of(task) {
            if before == first {
                let mut path = vec![task];
                while let Some(&earlier) = reached_from.get(path.last().expect("it is never empty")) {
                    path.push(earlier);
                }
                path.reverse();
                return path;
            }
            if component[before as usize] == own && !reached_from.contains_key(&before) {
                reached_from.insert(before, task);
                queue.push_back(before);
            }
        }
    }
    unreachable!("each task of a component leads back to itself")
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dag(lists: &[&[u32]]) -> Result<Dag, Vec<Vec<u32>>> {
        let mut builder = Builder::new(lists.len(), 0);
        for list in lists {
            list.iter().for_each(|&item| builder.push(item));
            builder.end();
        }
        Dag::new(builder)
    }

    #[test]
    fn each_task_comes_after_those_that_it_waits_for() {
        let dag = dag(&[&[1, 2], &[2], &[], &[0, 0]]).unwrap();
        assert_eq!(dag.order().collect::<Vec<_>>(), [2, 1, 0, 3]);
        assert_eq!(dag.successors.of(2), [0, 1]);
        assert_eq!(dag.successors.of(0), [3, 3]);
    }

    #[test]
    fn each_cycle_is_told_with_its_whole_path() {
        assert_eq!(dag(&[&[0]]).unwrap_err(), [[0]]);
        assert_eq!(dag(&[&[1], &[0], &[0], &[4, 2], &[5], &[3]]).unwrap_err(), [vec![0, 1], vec![3, 4, 5]]);
        // Beside a longer one.
        assert_eq!(dag(&[&[1], &[2, 0], &[0]]).unwrap_err(), [[0, 1]]);
    }

    #[test]
    fn descendants_are_found_in_any_shape() {
        let mut builder = Builder::new(5, 0);
        for list in [&[1][..], &[0, 2], &[], &[2], &[]] {
            list.iter().for_each(|&item| builder.push(item));
            builder.end();
        }
        let mut marked = [false, false, true, false, false];
        builder.mark_descendants(&mut marked);
        assert_eq!(marked, [true, true, true, true, false]);
    }

    #[test]
    fn a_chain_of_a_million_needs_no_stack() {
        let tasks = 1_000_000;
        let chain = |first: Option<u32>| {
            let mut builder = Builder::new(tasks as usize, tasks as usize);
            for task in 0..tasks {
                // Backwards, so that the order of the numbers is of no use.
                if let Some(before) = if task + 1 < tasks { Some(task + 1) } else { first } {
                    builder.push(before);
                }
                builder.end();
            }
            Dag::new(builder)
        };
        let order: Vec<u32> = chain(None).unwrap().order().collect();
        assert!(order.iter().rev().copied().eq(0..tasks));
        let circle = chain(Some(0)).unwrap_err();
        assert_eq!((circle.len(), circle[0].len()), (1, tasks as usize));
    }

    proptest! {
        #[test]
        fn a_graph_has_an_order_or_cycles_that_are_there(edges in prop::collection::vec((0_u32..12, 0_u32..12), 0..30)) {
            let lists: Vec<Vec<u32>> =
                (0..12).map(|task| edges.iter().filter(|edge| edge.0 == task).map(|edge| edge.1).collect()).collect();
            let lists: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
            match dag(&lists) {
                Ok(dag) => {
                    let order: Vec<u32> = dag.order().collect();
                    let place = |task: u32| order.iter().position(|&other| other == task).unwrap();
                    prop_assert_eq!(order.len(), 12);
                    for (task, before) in edges {
                        prop_assert!(place(before) < place(task));
                    }
                }
                Err(cycles) => {
                    prop_assert!(!cycles.is_empty());
                    for cycle in cycles {
                        for (place, &task) in cycle.iter().enumerate() {
                            prop_assert!(lists[task as usize].contains(&cycle[(place + 1) % cycle.len()]));
                        }
                    }
                }
            }
        }
    }
}
