//! Collections that concurrent functions change by index: rows DE-05 and DE-06 of features.md, each both ways.

use crate::both::both;
use crate::fixture::deadline;
use std::collections::{BTreeMap, HashMap};
use xfork::{Conflict, Tracked, concurrent, synchronized};

both! {
    #[concurrent]
    pub(crate) fn fill(i: usize, n: i64, list: &mut Tracked<Vec<i64>>) {
        list[i] = n * n;
    }

    #[concurrent]
    pub(crate) fn add(i: usize, n: i64, list: &mut Tracked<Vec<i64>>) -> i64 {
        list[i] += n;
        list[i]
    }

    /// Reads what the call before it has written.
    #[concurrent]
    pub(crate) fn next(i: usize, list: &mut Tracked<Vec<i64>>) {
        list[i] = list[i - 1] * 2 + 1;
    }

    #[concurrent]
    pub(crate) fn count(word: &str, counts: &mut Tracked<HashMap<String, u32>>) {
        let before = counts.get(word).copied().unwrap_or(0);
        counts.insert(word.to_string(), before + 1);
    }

    #[concurrent]
    pub(crate) fn mark(n: u32, seen: &mut Tracked<BTreeMap<u32, String>>) -> bool {
        let is_new = !seen.contains_key(&n);
        seen.set(n, format!("{n}!"));
        if n % 5 == 4 {
            seen.remove(&(n - 1));
        }
        is_new
    }

    #[concurrent]
    pub(crate) fn grow(n: i64, list: &mut Tracked<Vec<i64>>) {
        let length = list.len() as i64;
        list.push(n + length);
    }

    #[concurrent]
    pub(crate) fn swap(i: usize, pair: &mut Tracked<[i64; 4]>) {
        let (one, other) = (pair[i], pair[3 - i]);
        pair.set(i, other);
        pair.set(3 - i, one);
    }

    #[concurrent]
    pub(crate) fn sum(list: &Tracked<Vec<i64>>) -> i64 {
        list.iter().sum()
    }

    pub(crate) fn plain(i: usize, list: &mut Tracked<Vec<i64>>) {
        list[i] = -list[i];
    }

    /// DE-05: what is assigned by index in a task comes back.
    #[synchronized]
    pub(crate) fn by_index() -> Vec<i64> {
        let mut list = Tracked::new(vec![0; 20]);
        for i in 0..20 {
            fill(i, i as i64, &mut list);
        }
        list.into_inner()
    }

    /// DE-06: a task reads what it has written itself.
    #[synchronized]
    pub(crate) fn own_writes() -> (Vec<i64>, Vec<i64>) {
        let mut list = Tracked::new(vec![1; 6]);
        let mut results = vec![0; 6];
        for i in 0..6 {
            results[i] = add(i, i as i64, &mut list);
        }
        (results, list.into_inner())
    }

    #[synchronized]
    pub(crate) fn each_depends_on_the_one_before() -> Vec<i64> {
        let mut list = Tracked::new(vec![0; 12]);
        for i in 1..12 {
            next(i, &mut list);
        }
        list.into_inner()
    }

    #[synchronized]
    pub(crate) fn words(text: &str) -> BTreeMap<String, u32> {
        let mut counts: Tracked<HashMap<String, u32>> = Tracked::default();
        for word in text.split(' ') {
            count(word, &mut counts);
        }
        counts.into_inner().into_iter().collect()
    }

    #[synchronized]
    pub(crate) fn maps() -> (Vec<bool>, BTreeMap<u32, String>) {
        let mut seen = Tracked::new(BTreeMap::from([(3, "three".to_string())]));
        let mut new = Vec::new();
        for n in 0..12 {
            let is_new = mark(n * 7 % 11, &mut seen);
            new.push(is_new);
        }
        (new, seen.into_inner())
    }

    #[synchronized]
    pub(crate) fn whole() -> Vec<i64> {
        let mut list = Tracked::new(Vec::new());
        for n in 0..5 {
            grow(n, &mut list);
            if n % 2 == 0 {
                fill(0, n + 3, &mut list);
            }
        }
        list.into_inner()
    }

    #[synchronized]
    pub(crate) fn arrays() -> [i64; 4] {
        let mut list = Tracked::new([1, 2, 3, 4]);
        swap(0, &mut list);
        swap(1, &mut list);
        swap(0, &mut list);
        list[2] += 5;
        swap(2, &mut list);
        list.into_inner()
    }

    /// What is read between calls is what they have written; an ordinary function is called in its turn.
    #[synchronized]
    pub(crate) fn mixed(list: &mut Tracked<Vec<i64>>) -> (i64, Vec<i64>) {
        let mut sums = Vec::new();
        for i in 0..list.len() {
            fill(i, i as i64, list);
            if i % 3 == 2 {
                sums.push(sum(list));
                plain(i, list);
            }
            add(i, 1, list);
        }
        let last = add(0, 5, list);
        list[1] = 100;
        let total = last + list[1];
        (total, sums)
    }

    #[concurrent(io)]
    pub(crate) fn reset(n: usize, list: &mut Tracked<Vec<i64>>) {
        *list = Tracked::new(vec![3; n]);
    }

    #[concurrent(io)]
    pub(crate) fn advance(cursor: &mut Tracked<Vec<usize>>) -> i64 {
        cursor[0] += 1;
        7
    }

    /// Calls whose place or arguments are the collection itself.
    #[synchronized]
    pub(crate) fn around() -> (Vec<i64>, Vec<i64>, Vec<i64>) {
        let mut cursor = Tracked::new(vec![0_usize]);
        let mut out = vec![0; 4];
        out[cursor[0]] = advance(&mut cursor);
        out[cursor[0]] += advance(&mut cursor);
        let mut list: Tracked<Vec<i64>> = initial(3);
        fill(0, 4, &mut list);
        list[1] = add(0, 1, &mut list);
        list[0] += add(1, 1, &mut list);
        let mut results = Vec::new();
        results.push(add(2, 3, &mut list));
        reset(2, &mut list);
        results.push(sum(&list));
        fill(1, 5, &mut list);
        let sums: Vec<i64> = (0..2).map(|i| add(i, 1, &mut list)).collect();
        results.extend(sums);
        (out, results, list.into_inner())
    }

    #[concurrent(io)]
    pub(crate) fn initial(n: usize) -> Tracked<Vec<i64>> {
        Tracked::new(vec![1; n])
    }

    pub(crate) fn report(pair: &mut (Tracked<Vec<i64>>, i64)) -> i64 {
        pair.0[0] + pair.1
    }

    /// A part of a variable, and all of it.
    #[synchronized]
    pub(crate) fn parts(pair: &mut (Tracked<Vec<i64>>, i64)) -> i64 {
        fill(0, 3, &mut pair.0);
        let first = report(pair);
        pair.1 = add(0, 2, &mut pair.0);
        let second = report(pair);
        first * 1000 + second
    }

    /// A variable of the same name inside a loop.
    #[synchronized]
    pub(crate) fn shadowed(list: &mut Tracked<Vec<i64>>, other: &mut Tracked<Vec<i64>>) -> Vec<i64> {
        let mut seen = Vec::new();
        for i in 0..3 {
            seen.push(other[0]);
            let list = i;
            add(list % 2, 5, other);
        }
        add(0, 1, list);
        seen
    }

    /// The panic is the function's own, and not that of a call that would not have panicked.
    #[synchronized]
    pub(crate) fn ends_with_its_own_panic(results: &mut Vec<i64>) {
        let mut list = Tracked::new(vec![0; 2]);
        results[0] = add(0, 1, &mut list);
        expects_one(&mut list);
        panic!("mine");
    }

    /// What each call gives depends on the one before, and the collection has ended when the results are put in place.
    #[synchronized]
    pub(crate) fn ends_behind_calls_that_depend(results: &mut [i64], last: i64) {
        let mut list = Tracked::new(vec![0; 2]);
        for i in 0..3 {
            results[i] = add(0, 1, &mut list);
        }
        expects(last, &mut list);
        results[3] = add(0, 1, &mut list);
        panic!("mine");
    }

    /// It panics where a serial program does not come to, as a call before it has panicked.
    #[synchronized]
    pub(crate) fn ends_behind_a_call_that_panicked(results: &mut [i64], at: usize) {
        let mut list = Tracked::new(vec![0; 2]);
        expects(1, &mut list);
        results[at] = add(0, results[at], &mut list);
    }

    #[synchronized]
    pub(crate) fn put_by_a_redirected_reference<'a>(mut results: &'a mut [i64], other: &'a mut [i64]) {
        results[0] = same(4);
        if results.len() < other.len() {
            results = other;
        }
        results[0] = same(5);
    }

    #[synchronized]
    pub(crate) fn put_by_a_variable_reference(mut results: &mut [i64]) {
        let all = &mut results;
        all[1] = 7;
        results[0] = same(5);
        panic!("mine");
    }

    #[concurrent(io)]
    pub(crate) fn same(number: i64) -> i64 {
        number
    }

    #[concurrent(io)]
    pub(crate) fn expects(number: i64, list: &mut Tracked<Vec<i64>>) {
        assert!(list[0] == number, "it is not {number}");
    }

    #[concurrent(io)]
    pub(crate) fn expects_one(list: &mut Tracked<Vec<i64>>) {
        assert_eq!(list[0], 1);
    }

    pub(crate) struct World {
        pub(crate) heights: Tracked<Vec<i64>>,
        pub(crate) steps: usize,
        pub(crate) sums: Vec<i64>,
    }

    impl World {
        #[synchronized]
        pub(crate) fn step(&mut self) {
            for i in 1..self.heights.len() {
                let heights: &mut Tracked<_> = &mut self.heights;
                add(i, self.steps as i64, heights);
                self.steps += 1;
            }
            self.sums.push(sum(&self.heights));
            let heights: &mut Tracked<_> = &mut self.heights;
            next(2, heights);
        }
    }
}

#[test]
fn de_05_what_a_task_writes_by_index_is_put_in_place_in_the_order_of_the_calls() {
    deadline(|| {
        assert_eq!(forked::by_index(), serial::by_index());
        assert_eq!(forked::by_index()[19], 361);
        assert_eq!(forked::arrays(), serial::arrays());
        assert_eq!(forked::maps(), serial::maps());
    });
}

#[test]
fn de_06_a_task_reads_what_it_has_written_itself() {
    deadline(|| assert_eq!(forked::own_writes(), serial::own_writes()));
}

#[test]
fn a_call_that_has_read_what_an_earlier_one_wrote_is_made_again() {
    deadline(|| {
        assert_eq!(forked::each_depends_on_the_one_before(), serial::each_depends_on_the_one_before());
        let text = "one two one three two one";
        assert_eq!(forked::words(text), serial::words(text));
        assert_eq!(forked::whole(), serial::whole());
    });
}

#[test]
fn what_is_read_between_calls_is_what_they_have_written() {
    deadline(|| {
        assert_eq!(forked::around(), serial::around());
        let lists = || (Tracked::new(vec![1, 2]), Tracked::new(vec![3, 4]));
        let ((mut a, mut b), (mut c, mut d)) = (lists(), lists());
        assert_eq!(forked::shadowed(&mut a, &mut b), serial::shadowed(&mut c, &mut d));
        assert_eq!((a, b), (c, d));
        let (mut forked, mut serial) = [(); 2].map(|()| (Tracked::new(vec![1, 2]), 5)).into();
        assert_eq!(forked::parts(&mut forked), serial::parts(&mut serial));
        assert_eq!(forked, serial);
        let (mut forked, mut serial) = (vec![0], vec![0]);
        let texts = [
            message(|| forked::ends_with_its_own_panic(&mut forked)),
            message(|| serial::ends_with_its_own_panic(&mut serial)),
        ];
        assert_eq!((texts, forked), (["mine".to_string(), "mine".to_string()], serial));
        for last in [0, 3] {
            let (mut forked, mut serial) = ([0; 4], [0; 4]);
            let texts = [
                message(|| forked::ends_behind_calls_that_depend(&mut forked, last)),
                message(|| serial::ends_behind_calls_that_depend(&mut serial, last)),
            ];
            assert_eq!(texts[0], texts[1]);
            assert_eq!(forked, serial);
        }
        let (mut forked, mut serial) = ([0; 4], [0; 4]);
        let texts = [
            message(|| forked::ends_behind_a_call_that_panicked(&mut forked, 7)),
            message(|| serial::ends_behind_a_call_that_panicked(&mut serial, 7)),
        ];
        assert_eq!((&texts[0], forked), (&texts[1], serial));
        assert_eq!(texts[0], "it is not 1");
        let texts = [
            message(|| forked::put_by_a_variable_reference(&mut forked)),
            message(|| serial::put_by_a_variable_reference(&mut serial)),
        ];
        assert_eq!((&texts[0], forked), (&texts[1], serial));
        let ((mut a, mut b), (mut c, mut d)) = (([0], [0; 2]), ([0], [0; 2]));
        forked::put_by_a_redirected_reference(&mut a, &mut b);
        serial::put_by_a_redirected_reference(&mut c, &mut d);
        assert_eq!((a, b), (c, d));
        let (mut forked, mut serial) = (Tracked::new(vec![7; 9]), Tracked::new(vec![7; 9]));
        assert_eq!(forked::mixed(&mut forked), serial::mixed(&mut serial));
        assert_eq!(forked, serial);
        let mut serial = serial::World { heights: Tracked::new(vec![1; 8]), steps: 3, sums: vec![] };
        let mut forked = forked::World { heights: Tracked::new(vec![1; 8]), steps: 3, sums: vec![] };
        for _ in 0..3 {
            serial.step();
            forked.step();
        }
        assert_eq!(
            (&*forked.heights, forked.steps, forked.sums),
            (&*serial.heights, serial.steps, serial.sums)
        );
    });
}

#[concurrent(io)]
fn bump(i: usize, by: i64, list: &mut Tracked<Vec<i64>>) -> i64 {
    assert_ne!(by, 13, "unlucky");
    list[i] += by;
    list[i]
}

#[concurrent]
fn put(i: usize, value: i64, list: &mut Tracked<Vec<i64>>) {
    list.set(i, value);
}

#[synchronized]
fn bump_all(list: &mut Tracked<Vec<i64>>, calls: &[(usize, i64)]) {
    for &(i, by) in calls {
        bump(i, by, list);
    }
}

#[synchronized]
fn put_all(list: &mut Tracked<Vec<i64>>, calls: &[(usize, i64)]) {
    for &(i, value) in calls {
        put(i, value, list);
    }
}

fn message(run: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    payload
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
}

#[test]
fn where_the_last_writer_wins_nothing_is_called_again() {
    deadline(|| {
        let mut list = Tracked::new(vec![0; 2]).conflicts(Conflict::Last);
        bump_all(&mut list, &[(0, 1), (0, 2), (0, 4), (1, 8)]);
        assert_eq!(*list, [4, 8]);
        let mut list = Tracked::new(vec![0; 2]);
        bump_all(&mut list, &[(0, 1), (0, 2), (0, 4), (1, 8)]);
        assert_eq!(*list, [7, 8]);
    });
}

#[test]
fn conflicts_are_errors_that_name_both_calls_where_that_is_asked_for() {
    deadline(|| {
        let mut list = Tracked::new(vec![0; 3]).conflicts(Conflict::Error);
        bump_all(&mut list, &[(0, 1), (1, 2), (2, 4)]);
        assert_eq!(*list, [1, 2, 4], "each its own element");
        let text = message(|| bump_all(&mut list, &[(0, 1), (2, 2), (0, 4)]));
        for part in ["two calls", "the element 0", "bump", "tracked.rs:", "has written before"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(*list, [2, 2, 6], "what came before is in place");
        let mut list = Tracked::new(vec![0; 3]).conflicts(Conflict::Error);
        let text = message(|| put_all(&mut list, &[(1, 1), (1, 2)]));
        assert!(text.contains("the element 1") && text.contains("put"), "{text}");
    });
}

#[test]
fn a_panic_of_a_task_comes_in_its_turn_and_what_was_called_before_is_in_place() {
    deadline(|| {
        let mut list = Tracked::new(vec![0; 3]);
        let text = message(|| bump_all(&mut list, &[(0, 1), (1, 2), (2, 13), (0, 5)]));
        assert!(text.contains("unlucky"), "{text}");
        assert_eq!(*list, [1, 2, 0]);
        let text = message(|| bump_all(&mut list, &[(0, 1), (3, 1)]));
        assert!(text.contains("the len is 3 but the index is 3"), "{text}");
        assert_eq!(*list, [2, 2, 0]);
    });
}

#[test]
fn a_list_reads_and_changes_as_what_it_holds() {
    let mut list = Tracked::new(vec![3, 1, 2]);
    list.sort();
    list.push(4);
    assert_eq!((list.len(), list.first(), list.get(9)), (4, Some(&1), None));
    *list.get_mut(0).unwrap() += 10;
    assert_eq!(list.iter().sum::<i32>(), 20);
    assert_eq!((&list).into_iter().count(), 4);
    let mut map: Tracked<HashMap<String, u32>> = Tracked::default();
    map.set("one".to_string(), 1);
    map["one"] += 1;
    assert_eq!((map["one"], map.remove("one"), map.is_empty()), (2, Some(2), true));
    assert_eq!(serde_json::to_string(&list).unwrap(), "[11,2,3,4]");
    assert_eq!(serde_json::from_str::<Tracked<Vec<i32>>>("[11,2,3,4]").unwrap(), list);
    assert!(message(|| list[4] = 1).contains("the len is 4 but the index is 4"));
    assert!(message(|| list.set(4, 1)).contains("the len is 4 but the index is 4"));
    assert!(message(|| map["two"] = 1).contains("no entry found for key"));
}
