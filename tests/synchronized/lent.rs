//! What calls borrow: serialised once, and never as it was before a change.

use crate::both::{both, same};
use crate::fixture::deadline;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use xfork::{concurrent, synchronized};

both! {
    #[concurrent]
    pub(crate) fn sum(n: i64, data: &[i64]) -> i64 {
        data.iter().sum::<i64>() * 10 + n
    }

    #[concurrent]
    pub(crate) fn first(n: usize, data: &Vec<i64>) -> i64 {
        data[n]
    }

    pub(crate) fn double(data: &mut [i64]) {
        data.iter_mut().for_each(|value| *value *= 2);
    }

    /// Every way to change a variable between two calls that borrow it.
    #[synchronized]
    pub(crate) fn changed_between() -> Vec<i64> {
        let mut data = vec![1, 2, 3];
        let mut other = vec![9];
        let mut out = vec![0; 20];
        out[0] = sum(0, &data);
        data.push(4);
        out[1] = sum(1, &data);
        data[0] = 7;
        out[2] = sum(2, &data);
        double(&mut data);
        out[3] = sum(3, &data);
        {
            let reference = &mut data;
            reference.push(1);
            out[4] = sum(4, reference);
            reference[0] = 5;
            out[5] = sum(5, reference);
        }
        out[6] = sum(6, &data);
        std::mem::swap(&mut data, &mut other);
        out[7] = sum(7, &data);
        out[8] = sum(8, &other);
        let mut add = |n| data.push(n);
        add(3);
        add(4);
        out[9] = sum(9, &data);
        data = vec![100];
        out[10] = sum(10, &data);
        for value in data.iter_mut() {
            *value += 1;
        }
        out[11] = sum(11, &data);
        assert_eq!(data.pop(), Some(101));
        out[12] = sum(12, &data);
        if let Some(last) = other.last_mut() {
            *last = 0;
        }
        out[13] = sum(13, &other);
        [data, other] = [other, data];
        out[14] = sum(14, &data);
        out[15] = sum(15, &other);
        out
    }

    /// In loops what is changed in one round is seen in the next.
    #[synchronized]
    pub(crate) fn changed_in_rounds(n: usize) -> Vec<i64> {
        let mut data = vec![1, 2];
        let mut out = Vec::new();
        for i in 0..n {
            out.push(sum(i as i64, &data));
            if i % 2 == 0 {
                data.push(i as i64);
            }
        }
        while let Some(value) = data.pop() {
            out.push(sum(value, &data));
        }
        loop {
            data.push(1);
            out.push(sum(0, &data));
            if data.len() == 3 {
                break;
            }
        }
        for i in 0..n {
            // Another one in each round, in the same place.
            let fresh = vec![i as i64; 3];
            out.push(sum(1, &fresh));
            let data = [i as i64; 2];
            out.push(sum(2, &data));
        }
        let all: Vec<i64> = (0..3).map(|n| first(n, &data)).collect();
        out.extend(all);
        out
    }

    /// What is put in place later changes it, too.
    #[synchronized]
    pub(crate) fn changed_by_results() -> Vec<i64> {
        let mut data = vec![1, 2, 3];
        for i in 0..6 {
            data[i % 3] = sum(i as i64, &data);
        }
        data.push(sum(0, &data.clone()));
        let total = sum(0, &data);
        data.push(total);
        data.push(sum(1, &[1]));
        data[0] += sum(2, &data);
        data
    }

    #[derive(Clone, Default)]
    pub(crate) struct Grid {
        pub(crate) table: Vec<i64>,
        pub(crate) rows: Vec<i64>,
        pub(crate) count: i64,
    }

    impl Grid {
        pub(crate) fn grow(&mut self) {
            self.table.push(self.count);
        }

        #[synchronized]
        pub(crate) fn fill(&mut self) {
            for i in 0..5 {
                self.rows.push(sum(i, &self.table));
                self.count += 1;
            }
            self.table[0] = 50;
            self.rows[0] = sum(5, &self.table);
            self.grow();
            self.rows[1] = sum(6, &self.table);
            self.table[1] = sum(7, &self.table);
            self.rows[2] = sum(8, &self.table);
            self.table = vec![self.count];
            self.rows[3] = sum(9, &self.table);
            let Self { table, .. } = self;
            table.push(3);
            self.rows[4] = sum(10, &self.table);
        }
    }

    #[concurrent(io)]
    pub(crate) fn length(text: &String) -> usize {
        text.len()
    }

    #[concurrent(io)]
    pub(crate) fn height(of: &Level) -> i64 {
        of.0.load(Ordering::Relaxed)
    }

    #[concurrent(io)]
    pub(crate) fn plus(n: i64, of: &Level) -> i64 {
        of.0.load(Ordering::Relaxed) + n
    }

    pub(crate) fn step(data: &mut Vec<i64>) -> bool {
        data[0] += 1;
        data[0] < 5
    }

    pub(crate) fn raise(level: &Level) -> i64 {
        level.0.fetch_add(3, Ordering::Relaxed)
    }

    /// Changes that are hard to see: in arguments of macros, in conditions, in the same statement, and in macros of one's own.
    #[synchronized]
    pub(crate) fn changed_in_passing() -> (Vec<usize>, Vec<i64>) {
        let mut log = String::new();
        let mut lengths = vec![0; 3];
        writeln!(log, "one").unwrap();
        lengths[0] = length(&log);
        writeln!(log, "two").unwrap();
        lengths[1] = length(&log);
        let text = format!("{:?}", log.pop());
        lengths[2] = length(&log);
        lengths.push(text.len());
        let mut data = vec![0, 1];
        let mut out = Vec::new();
        while step(&mut data) {
            out.push(sum(0, &data));
        }
        let last = sum(1, &data);
        out.push(last);
        let mut map = std::collections::BTreeMap::new();
        map.insert(data.len(), 0);
        let mut pairs = Vec::new();
        pairs.insert(0, sum(2, &data));
        out.insert(data.pop().unwrap() as usize, sum(3, &[1]));
        out.push(sum(4, &data));
        macro_rules! bump {
            () => {
                data[0] += 10
            };
        }
        let before = sum(5, &data);
        bump!();
        let behind = sum(6, &data);
        out.extend([before, behind, pairs[0], map[&2]]);
        (lengths, out)
    }

    /// What is changed behind a shared reference.
    #[synchronized]
    pub(crate) fn changed_behind_references(shared: &Level) -> Vec<i64> {
        let own = Level(AtomicI64::new(0));
        let mut out = vec![0; 6];
        out[0] = height(shared);
        shared.0.store(5, Ordering::Relaxed);
        out[1] = height(shared);
        raise(shared);
        out[2] = height(shared);
        out[3] = height(&own);
        raise(&own);
        out[4] = height(&own);
        let before = raise(&own);
        out[5] = height(&own);
        out.push(before);
        out.push(height(&own));
        let mut pairs = std::collections::BTreeMap::new();
        pairs.insert(height(&own), raise(&own));
        out.extend(pairs.into_iter().flat_map(|(key, value)| [key, value]));
        out.push(height(&own));
        out[0] = plus(raise(&own), &own);
        out[1] = height(&own);
        let value = match before {
            0 => 1,
            _ => raise(&own),
        };
        out.push(value);
        out.push(height(&own));
        #[cfg(unix)]
        raise(&own);
        out.push(height(&own));
        let all: Vec<i64> = (0..2).map(|_| raise(&own)).collect();
        out.extend(all);
        out.push(height(&own));
        if raise(&own) > 0 {
            out.push(height(&own));
        }
        out
    }

    #[derive(Default)]
    pub(crate) struct Inner {
        pub(crate) total: i64,
        pub(crate) table: Vec<i64>,
    }

    /// Its fields are behind a `Deref`.
    #[derive(Default)]
    pub(crate) struct Outer {
        pub(crate) inner: Inner,
    }

    impl std::ops::Deref for Outer {
        type Target = Inner;
        fn deref(&self) -> &Inner {
            &self.inner
        }
    }

    impl std::ops::DerefMut for Outer {
        fn deref_mut(&mut self) -> &mut Inner {
            &mut self.inner
        }
    }

    impl Outer {
        #[synchronized]
        pub(crate) fn fill(&mut self) -> Vec<i64> {
            let mut seen = Vec::new();
            self.total = sum(1, &self.table);
            let total = self.inner.total;
            seen.push(total);
            self.inner.table.push(7);
            let next = sum(2, &self.table);
            seen.push(next);
            seen
        }
    }

    #[concurrent(io)]
    pub(crate) fn count(of: &[()]) -> usize {
        of.len()
    }

    pub(crate) fn score(n: i64, weights: &[i64]) -> i64 {
        n * weights[0]
    }

    #[concurrent(io)]
    pub(crate) fn plus_all(n: i64, data: &Vec<i64>) -> i64 {
        data.iter().sum::<i64>() * 10 + n
    }

    pub(crate) fn fail(data: &[i64], of: usize) -> ! {
        panic!("{of} of {data:?}")
    }

    macro_rules! reset {
        ($variable:ident . $field:ident) => {
            $variable.items.clear();
            $variable.$field += 1;
        };
    }

    /// The iterator runs between the calls.
    #[synchronized]
    pub(crate) fn changed_by_the_iterator() -> Vec<i64> {
        let level = Level(AtomicI64::new(0));
        (0..3)
            .inspect(|_| {
                level.0.fetch_add(1, Ordering::Relaxed);
            })
            .map(|_| height(&level))
            .collect()
    }

    /// What is hidden in macros, in closures that are called many times, and in fields.
    #[synchronized]
    pub(crate) fn changed_out_of_sight(given: Option<i64>) -> Vec<i64> {
        let mut stack = vec![2_i64, 1, 0, 1, 2];
        let names = ["a", "b", "c"];
        let mut out = Vec::new();
        out.push(plus_all(0, &stack));
        let text = format!("<{}>", names[stack.pop().unwrap() as usize]);
        out.push(plus_all(text.len() as i64, &stack));
        macro_rules! bump {
            () => {{
                stack.push(1);
                stack.len()
            }};
        }
        assert!(bump!() == 5);
        out.push(plus_all(0, &stack));
        let popped: Vec<i64> = (0..3).map(|_| plus_all(stack.pop().unwrap(), &stack)).collect();
        out.extend(popped);
        let mut world = World { items: vec![1, 2], total: 0, name: String::new() };
        out.push(plus_all(0, &world.items));
        reset!(world.total);
        out.push(plus_all(1, &world.items));
        let fixed = World { items: vec![5], total: 2, name: String::new() };
        for i in 0..fixed.total {
            out.push(plus_all(i, &fixed.items));
        }
        let value: i64 = match given {
            Some(value) => value,
            None => {
                fail(&stack, stack.len());
            }
        };
        out.push(value);
        out
    }

    impl World {
        /// What is put off keeps another field borrowed.
        #[synchronized]
        pub(crate) fn keep(&mut self, table: &mut std::collections::BTreeMap<i64, i64>) -> i64 {
            let at = self.name.len();
            self.items.insert(at, sum(1, &[2]));
            self.name.push('x');
            self.total += 1;
            for i in 0..self.items.len() {
                self.items[i] = sum(i as i64, &[1]);
                self.total += 2;
            }
            table.insert(self.total, sum(self.total, &self.items));
            self.total
        }
    }

    pub(crate) struct World {
        pub(crate) items: Vec<i64>,
        pub(crate) total: i64,
        pub(crate) name: String,
    }

    pub(crate) fn add_to(total: &mut i64, n: i64) {
        *total += n;
    }

    pub(crate) fn find_mut(items: &mut [i64], at: usize) -> &mut i64 {
        &mut items[at]
    }

    /// Ordinary functions may be called with parts of anything.
    #[synchronized]
    pub(crate) fn ordinary(weights: &[i64]) -> (Vec<i64>, usize, usize, i64, String) {
        use rayon::prelude::*;
        let parallel: Vec<i64> = vec![1, 2, 3].into_par_iter().map(|n| score(n, weights)).collect();
        let (units, more) = (vec![(); 3], vec![(); 5]);
        let one = count(&units);
        let other = count(&more);
        let mut world = World { items: vec![1, 2], total: 0, name: "world".to_string() };
        for item in &world.items {
            add_to(&mut world.total, *item);
        }
        let item = find_mut(&mut world.items, 1);
        *item += 40;
        let name = world.name;
        add_to(&mut world.items[0], 1);
        let total = sum(world.total, &world.items);
        #[cfg(unix)]
        let table = vec![1];
        #[cfg(not(unix))]
        let table = vec![2];
        let last = sum(0, &table);
        (parallel, one, other, total + last, name)
    }

    #[concurrent]
    pub(crate) fn times_read(_call: usize, table: &Counted) -> (usize, u64, u32) {
        let total = table.0.iter().map(|value| u64::from(*value)).sum();
        (READ.load(Ordering::Relaxed), total, std::process::id())
    }

    #[synchronized]
    pub(crate) fn many(calls: usize, table: &Counted) -> Vec<(usize, u64, u32)> {
        let mut results = vec![(0, 0, 0); calls];
        for i in 0..calls {
            results[i] = times_read(i, table);
        }
        let local = table.clone();
        for i in 0..calls {
            // Another value of the same content.
            results.push(times_read(i, &local));
        }
        results
    }
}

/// Changes behind a shared reference.
pub(crate) struct Level(AtomicI64);

impl Clone for Level {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

static READ: AtomicUsize = AtomicUsize::new(0);

/// Counts how often this process has read it.
#[derive(Clone, Serialize)]
pub(crate) struct Counted(Vec<u32>);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::Relaxed);
        Vec::deserialize(deserializer).map(Self)
    }
}

#[test]
fn what_is_borrowed_is_what_it_is_when_the_call_is_made() {
    deadline(|| {
        same!(changed_between());
        same!(changed_in_rounds(6));
        same!(changed_by_results());
        let (mut forked, mut serial) = (
            forked::Grid { table: vec![1, 2], ..Default::default() },
            serial::Grid { table: vec![1, 2], ..Default::default() },
        );
        forked.fill();
        serial.fill();
        same!(changed_in_passing());
        let level = || Level(AtomicI64::new(1));
        same!(changed_behind_references(&level()));
        assert_eq!(forked::Outer::default().fill(), serial::Outer::default().fill());
        same!(ordinary(&[3]));
        same!(changed_out_of_sight(Some(3)));
        same!(changed_by_the_iterator());
        let (mut tables, items) = ([(); 2].map(|()| std::collections::BTreeMap::new()), vec![1, 2]);
        let mut one = forked::World { items: items.clone(), total: 0, name: String::new() };
        let mut other = serial::World { items, total: 0, name: String::new() };
        let [a, b] = &mut tables;
        assert_eq!(one.keep(a), other.keep(b));
        assert_eq!((one.items, one.total, one.name), (other.items, other.total, other.name));
        assert_eq!(tables[0], tables[1]);
        assert_eq!((forked.rows, forked.table), (serial.rows, serial.table));
    });
}

#[test]
fn a_large_value_is_read_once_by_each_worker_however_many_calls_borrow_it() {
    deadline(|| {
        let table = Counted((0..200_000).collect());
        let sum = table.0.iter().map(|value| u64::from(*value)).sum();
        let results = xfork::with_plan(xfork::Plan::processes(2), || forked::many(500, &table));
        assert_eq!(results.len(), 1000);
        assert!(
            results.iter().all(|result| (result.0, result.1) == (1, sum)),
            "read {:?}",
            results.iter().max()
        );
        assert!(results.iter().all(|result| result.2 != std::process::id()));
    });
}
