//! When one worker is free: the gaps between the tasks that it has been given.
//!
//! Owns the search that the insertion policy needs: the first gap after a time that is long enough. Promises to find
//! exactly what looking at every gap would find. A gap is kept only if the shortest task of the worker fits into it,
//! which leaves nothing out: no task could use the others.
//!
//! Gaps stand in order, in chunks. A tree of maxima over the chunks says where the next gap long enough may be, so a
//! search costs O(log n) and the look at a chunk or two, however many short gaps lie in between.

/// So many gaps at most stand in one chunk.
const CHUNK: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Gap {
    start: f64,
    end: f64,
}

impl Gap {
    fn holds(self, cost: f64) -> bool {
        self.start + cost <= self.end
    }

    /// No task that is longer fits. `start + cost <= end` is decided after rounding, therefore both roundings are
    /// taken upwards here.
    fn room(self) -> f64 {
        (self.end.next_up() - self.start).next_up()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// From here on the worker is free.
    tail: f64,
    /// The least cost of any task on this worker.
    shortest: f64,
    chunks: Vec<Vec<Gap>>,
    /// For each chunk, a time that none of its gaps exceeds, and that no gap of the next one starts before.
    ends: Vec<f64>,
    /// For each chunk, the room of its longest gap.
    rooms: Maxima,
}

impl Timeline {
    pub(super) fn new(shortest: f64) -> Self {
        Self { tail: 0.0, shortest, chunks: Vec::new(), ends: Vec::new(), rooms: Maxima::default() }
    }

    /// The earliest start, not before `ready`, of something that takes `cost`.
    pub(super) fn earliest(&self, ready: f64, cost: f64) -> f64 {
        if ready >= self.tail {
            return ready;
        }
        if self.rooms.greatest() < cost {
            return self.tail;
        }
        let first = self.ends.partition_point(|end| *end < ready);
        let Some(chunk) = self.chunks.get(first) else { return self.tail };
        let skipped = chunk.partition_point(|gap| gap.end < ready);
        if let Some(start) = fitting(&chunk[skipped..], ready, cost) {
            return start;
        }
        let mut next = first + 1;
        while let Some(found) = self.rooms.first_at_least(next, cost) {
            if let Some(start) = fitting(&self.chunks[found], ready, cost) {
                return start;
            }
            next = found + 1;
        }
        self.tail
    }

    /// Takes the time from `start` to `finish`, which [`earliest`](Self::earliest) has found free.
    pub(super) fn take(&mut self, start: f64, finish: f64) {
        if start >= self.tail {
            // Something without length at the tail leaves all as it was; so equal gaps don't pile up.
            if finish == self.tail {
                return;
            }
            let gap = Gap { start: self.tail, end: start };
            self.tail = finish;
            if gap.holds(self.shortest) {
                self.append(gap);
            }
            return;
        }
        let mut number = self.ends.partition_point(|end| *end < start);
        let mut index = self.chunks[number].partition_point(|gap| gap.end < start);
        // Gaps that only touch at `start` may stand before the one that was meant.
        let gap = loop {
            match self.chunks[number].get(index) {
                Some(gap) if gap.start <= start && finish <= gap.end => break *gap,
                Some(_) => index += 1,
                None => (number, index) = (number + 1, 0),
            }
        };
        if start == finish && (start == gap.start || finish == gap.end) {
            return;
        }
        let before = Gap { start: gap.start, end: start };
        let after = Gap { start: finish, end: gap.end };
        let chunk = &mut self.chunks[number];
        match (before.holds(self.shortest), after.holds(self.shortest)) {
            (true, true) => {
                chunk[index] = before;
                chunk.insert(index + 1, after);
            }
            (true, false) => chunk[index] = before,
            (false, true) => chunk[index] = after,
            // An empty chunk keeps its place; its end still divides its neighbours.
            (false, false) => drop(chunk.remove(index)),
        }
        if chunk.len() > CHUNK {
            self.split(number);
        } else {
            self.rooms.set(number, longest(&self.chunks[number]));
        }
    }

    fn append(&mut self, gap: Gap) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(gap),
            _ => {
                self.chunks.push(vec![gap]);
                self.ends.push(gap.end);
                self.rooms.push(gap.room());
                return;
            }
        }
        let last = self.chunks.len() - 1;
        self.ends[last] = gap.end;
        self.rooms.set(last, longest(&self.chunks[last]));
    }

    fn split(&mut self, number: usize) {
        let second = self.chunks[number].split_off(CHUNK / 2);
        let end = self.chunks[number].last().expect("half of a full chunk").end;
        self.chunks.insert(number + 1, second);
        self.ends.insert(number, end);
        self.rooms = self.chunks.iter().map(|chunk| longest(chunk)).collect();
    }
}

fn fitting(gaps: &[Gap], ready: f64, cost: f64) -> Option<f64> {
    gaps.iter().find_map(|gap| {
        let start = gap.start.max(ready);
        (start + cost <= gap.end).then_some(start)
    })
}

fn longest(gaps: &[Gap]) -> f64 {
    gaps.iter().map(|gap| gap.room()).fold(f64::NEG_INFINITY, f64::max)
}

/// Numbers, and a complete binary tree of the maxima over them.
#[derive(Clone, Debug, Default)]
struct Maxima {
    len: usize,
    /// The children of node `i` are `2 i` and `2 i + 1`; the second half are the numbers.
    tree: Vec<f64>,
}

impl Maxima {
    fn greatest(&self) -> f64 {
        self.tree.get(1).copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn leaves(&self) -> usize {
        self.tree.len() / 2
    }

    fn set(&mut self, index: usize, value: f64) {
        let mut node = self.leaves() + index;
        self.tree[node] = value;
        while node > 1 {
            node /= 2;
            let greater = self.tree[2 * node].max(self.tree[2 * node + 1]);
            if self.tree[node] == greater {
                return;
            }
            self.tree[node] = greater;
        }
    }

    fn push(&mut self, value: f64) {
        if self.len == self.leaves() {
            let first = self.leaves();
            let values = self.tree.drain(first..).chain([value]).collect::<Vec<_>>();
            *self = values.into_iter().collect();
        } else {
            self.len += 1;
            self.set(self.len - 1, value);
        }
    }

    /// The first place from `from` on with a number of at least `value`.
    fn first_at_least(&self, from: usize, value: f64) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let mut node = self.leaves() + from;
        while self.tree[node] < value {
            // On to what lies right of this subtree; the root has nothing there.
            node >>= node.trailing_ones();
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves() {
            node *= 2;
            if self.tree[node] < value {
                node += 1;
            }
        }
        Some(node - self.leaves())
    }
}

impl FromIterator<f64> for Maxima {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut tree: Vec<f64> = values.into_iter().collect();
        let len = tree.len();
        let leaves = len.next_power_of_two();
        tree.splice(0..0, std::iter::repeat_n(f64::NEG_INFINITY, leaves));
        tree.resize(2 * leaves, f64::NEG_INFINITY);
        for node in (1..leaves).rev() {
            tree[node] = tree[2 * node].max(tree[2 * node + 1]);
        }
        Self { len, tree }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::{Gap, Maxima, Timeline};
    use proptest::prelude::*;

    /// All gaps, looked at one after the other.
    struct Plain {
        gaps: Vec<Gap>,
    }

    impl Plain {
        fn earliest(&self, ready: f64, cost: f64) -> f64 {
            let fits = |gap: &&Gap| gap.start.max(ready) + cost <= gap.end;
            self.gaps.iter().find(fits).expect("the last gap has no end").start.max(ready)
        }

        fn take(&mut self, start: f64, finish: f64) {
            let fits = |gap: &Gap| gap.start <= start && finish <= gap.end;
            let index = self.gaps.iter().position(fits).expect("free");
            let gap = self.gaps[index];
            let pieces = [Gap { start: gap.start, end: start }, Gap { start: finish, end: gap.end }];
            self.gaps.splice(index..=index, pieces);
        }
    }

    fn requests(zero: bool) -> impl Strategy<Value = Vec<(f64, f64)>> {
        let cost = if zero { prop_oneof![Just(0.0), 0.01..9.0_f64].boxed() } else { (0.01..9.0_f64).boxed() };
        // Whole numbers make gaps touch, fractions make roundings differ.
        let request = (prop_oneof![(0..3000_u32).prop_map(f64::from), 0.0..3000.0_f64], cost);
        prop::collection::vec(request.prop_map(|(ready, cost)| (ready, cost)), 1..1500)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn the_search_finds_what_looking_at_every_gap_finds(
            requests in any::<bool>().prop_flat_map(requests),
            round in any::<bool>(),
        ) {
            let requests: Vec<_> = requests
                .into_iter()
                .map(|(ready, cost)| if round { (ready.round(), cost.round()) } else { (ready, cost) })
                .collect();
            let shortest = requests.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
            let mut timeline = Timeline::new(shortest);
            let mut plain = Plain { gaps: vec![Gap { start: 0.0, end: f64::INFINITY }] };
            for (ready, cost) in requests {
                let start = timeline.earliest(ready, cost);
                prop_assert_eq!(start, plain.earliest(ready, cost));
                timeline.take(start, start + cost);
                plain.take(start, start + cost);
            }
        }

        #[test]
        fn the_tree_finds_the_first_number_that_is_great_enough(
            numbers in prop::collection::vec(0..50_u32, 0..70),
            wanted in 0..50_u32,
        ) {
            let mut maxima = Maxima::default();
            for number in &numbers {
                maxima.push(f64::from(*number));
            }
            for from in 0..=numbers.len() {
                let expected = (from..numbers.len()).find(|index| numbers[*index] >= wanted);
                prop_assert_eq!(maxima.first_at_least(from, f64::from(wanted)), expected);
            }
        }
    }

    #[test]
    fn a_gap_of_exactly_the_right_length_is_used() {
        let mut timeline = Timeline::new(0.1);
        timeline.take(0.3, 1.0);
        assert_eq!(timeline.earliest(0.0, 0.3), 0.0);
        timeline.take(0.0, 0.1);
        // 0.1 + 0.2 is more than 0.3 after rounding, so this one has to wait.
        assert_eq!(timeline.earliest(0.0, 0.2), 1.0);
        assert_eq!(timeline.earliest(0.0, 0.19), 0.1);
    }

    #[test]
    fn a_gap_too_short_for_any_task_is_not_kept() {
        let mut timeline = Timeline::new(1.0);
        for step in 0..1000 {
            timeline.take(f64::from(step) * 2.0 + 0.9, f64::from(step) * 2.0 + 2.0);
        }
        assert!(timeline.chunks.is_empty());
        assert_eq!(timeline.earliest(0.0, 1.0), 2000.0);
    }
}
