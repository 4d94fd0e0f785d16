//! A proxy where a value is wanted: every use waits if it must, and acts on the value.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::mpsc::channel;

use crate::fixture::{Gate, MINUTE, deadline, fail, map_values, panic_of, square, stop_at};
use xfork::{ResultProxy, fork, process, ready, thread};

/// Uses a proxy of `value` whose task is still running, lets the task end, and compares with the use of the value.
fn forces<T, U>(value: T, of_proxy: fn(ResultProxy<T>) -> U, of_value: fn(T) -> U)
where
    T: Clone + Send + Sync + 'static,
    U: PartialEq + Debug + Send + 'static,
{
    let gate = Gate::new();
    let (path, given) = (gate.path(), value.clone());
    let proxy = thread(
        move || {
            stop_at(&path, 0);
            given
        },
        (),
    );
    let stopped = gate.next();
    assert!(!ResultProxy::is_ready(&proxy));
    let (sender, used) = channel();
    let using = std::thread::spawn(move || sender.send(of_proxy(proxy)));
    assert!(used.try_recv().is_err(), "there is no value yet");
    stopped.let_go();
    assert_eq!(used.recv().unwrap(), of_value(value));
    using.join().unwrap().unwrap();
}

/// XF-20: `repr str format`: force, and act on the value.
#[test]
fn formatting_forces() {
    deadline(MINUTE, || {
        forces(
            255_u64,
            |p| format!("{p} {p:?} {p:>5} {p:x} {p:#b}"),
            |v| format!("{v} {v:?} {v:>5} {v:x} {v:#b}"),
        );
        forces(vec!["a"], |p| format!("{p:?} {p:#?}"), |v| format!("{v:?} {v:#?}"));
        forces(
            1.5,
            |p| format!("{p:.3} {p:e}") + &p.to_string(),
            |v| format!("{v:.3} {v:e}") + &v.to_string(),
        );
    });
}

/// XF-20: `< <= == != > >=`: force, and act on the value; with plain values on either side, and with proxies.
#[test]
fn comparing_forces() {
    deadline(MINUTE, || {
        forces(
            3_u64,
            |p| [p < 4, p <= 3, p == 3, p != 3, p > 2, p >= 4],
            |v| [v < 4, v <= 3, v == 3, v != 3, v > 2, v >= 4],
        );
        forces(3_u64, |p| [4 > p, 3 == p, 3 < p], |v| [4 > v, 3 == v, 3 < v]);
        forces(3_u64, |p| [p < ready(4), p == ready(4), ready(4) > p], |v| [v < 4, v == 4, 4 > v]);
        forces(
            "b".to_string(),
            |p| (p == "b", p > ready("a".to_string()), p.cmp(&ready("c".into()))),
            |v| (v == "b", *v > *"a", v.cmp(&"c".to_string())),
        );
    });
}

/// XF-20: `hash`, and the proxy as a dict key.
#[test]
fn a_proxy_is_a_key_of_maps_and_sets() {
    deadline(MINUTE, || {
        forces(
            "key".to_string(),
            |p| HashMap::from([(p, 1)])[&"key".to_string()],
            |v| HashMap::from([(v, 1)])["key"],
        );
        forces(3_u64, |p| HashSet::from([p, ready(3)]).len(), |v| HashSet::from([v, 3]).len());
        forces(
            3_u64,
            |p| BTreeSet::from([ready(1), p]).pop_last().map(|p| *p),
            |v| BTreeSet::from([1, v]).pop_last(),
        );
    });
}

/// XF-20: `bool len x[k] iter reversed in`.
#[test]
fn using_a_collection_forces() {
    deadline(MINUTE, || {
        let list = || vec![3_u64, 1, 2];
        forces(
            list(),
            |p| (p.len(), p.is_empty(), p[1], p[1..].to_vec()),
            |v| (v.len(), v.is_empty(), v[1], v[1..].to_vec()),
        );
        forces(
            list(),
            |p| p.iter().rev().copied().collect::<Vec<_>>(),
            |v| v.iter().rev().copied().collect(),
        );
        forces(list(), |p| (&p).into_iter().sum::<u64>(), |v| v.iter().sum());
        forces(list(), |p| p.into_iter().max(), |v| v.into_iter().max());
        forces(list(), |p| p.contains(&2), |v| v.contains(&2));
        forces(list(), |p| p == [3, 1, 2], |v| v == [3, 1, 2]);
        forces(HashMap::from([("a", 1)]), |p| p["a"], |v| v["a"]);
        forces(true, |p| if *p { 1 } else { 2 }, |v| if v { 1 } else { 2 });
    });
}

/// XF-20: proxy usable as list index and range bound.
#[test]
fn a_proxy_is_an_index_and_a_range_bound() {
    deadline(MINUTE, || {
        forces(
            2_usize,
            |p| ([5, 6, 7][*p], (0..*p).sum::<usize>()),
            |v| ([5, 6, 7][v], (0..v).sum::<usize>()),
        );
    });
}

/// XF-20: `x() float int round abs`: calls, conversions and methods act on the value.
#[test]
fn conversions_and_calls_force() {
    deadline(MINUTE, || {
        forces(-2.6_f64, |p| (p.round(), p.abs(), *p as i32), |v| (v.round(), v.abs(), v as i32));
        forces(u64::pow as fn(u64, u32) -> u64, |p| p(2, 10), |v| v(2, 10));
        forces("12".to_string(), |p| p.parse::<u8>().unwrap(), |v| v.parse().unwrap());
        fn length(text: impl AsRef<str>) -> usize {
            text.as_ref().len()
        }
        forces("four".to_string(), |p| length(&p), length);
        forces("four".to_string(), |p| str::len(&p), |v| str::len(&v));
    });
}

/// XF-20: `-x abs ~`: of a proxy is a proxy, and its use forces.
#[test]
fn the_use_of_an_expression_forces() {
    deadline(MINUTE, || {
        forces(3_i64, |p| (*-&p, *!&p, *(&p + 1), *(2 * p)), |v| (-v, !v, v + 1, 2 * v));
    });
}

/// XF-20, XF-21: `x[k]=v`, `del x[k]`: on the value that one takes out; what others see does not change.
#[test]
fn a_value_is_changed_once_it_is_taken_out() {
    deadline(MINUTE, || {
        let p = process(|| vec![1, 2, 3], ());
        let mut list = ResultProxy::into_inner(p.clone());
        list[0] = 9;
        list.remove(1);
        assert_eq!(list, [9, 3]);
        assert_eq!(p, [1, 2, 3]);
    });
}

/// XF-21: attribute access and methods are forwarded (`fork(.., 'abc').upper()`).
#[test]
fn methods_and_fields_are_the_values() {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Point {
        x: i32,
        y: i32,
    }
    impl Point {
        fn norm(&self) -> i32 {
            self.x.abs() + self.y.abs()
        }
        // Names that the proxy's own functions have are the value's.
        fn wait(&self) -> &'static str {
            "the value's"
        }
        fn map(&self, f: fn(i32) -> i32) -> Self {
            Self { x: f(self.x), y: f(self.y) }
        }
    }
    deadline(MINUTE, || {
        let point = fork(|x: i32, y: i32| Point { x, y }, (3, -4));
        assert_eq!((point.x, point.y, point.norm()), (3, -4, 7));
        assert_eq!(point.wait(), "the value's");
        assert_eq!(point.map(|n| n * 2), Point { x: 6, y: -8 });
        assert_eq!(*fork(|| "abc".to_string(), ()).to_uppercase(), *"ABC");
    });
}

/// XF-21: `isinstance(p, int)`: a proxy goes wherever a reference to the value, or something that reads as one, goes.
#[test]
fn a_proxy_goes_where_the_value_goes() {
    fn takes_reference(n: &u64) -> u64 {
        *n
    }
    fn takes_display(value: impl std::fmt::Display) -> String {
        value.to_string()
    }
    fn takes_iterator<'a>(values: impl IntoIterator<Item = &'a u64>) -> u64 {
        values.into_iter().sum()
    }
    deadline(MINUTE, || {
        let nine = fork(square, 3);
        assert_eq!(takes_reference(&nine), 9);
        assert_eq!(takes_display(&nine), "9");
        assert_eq!(takes_iterator(&map_values()), 14);
        let [small, large] = [ready(1), ready(2)];
        assert_eq!(*std::cmp::max(&small, &large), 2);
        let error = thread(|| std::io::Error::other("inner"), ());
        let error: &dyn std::error::Error = &error;
        assert_eq!(error.to_string(), "inner");
    });
}

/// XF-20, XF-53: each of these uses of a failed result is the task's panic.
#[test]
fn every_use_of_a_failed_result_is_the_tasks_panic() {
    deadline(MINUTE, || {
        let p = fork(fail, "no value");
        let list = ResultProxy::map(&p, |n| vec![*n]);
        let uses: [&dyn Fn() -> bool; 8] = [
            &|| p.to_string().is_empty(),
            &|| p == 3,
            &|| p < 3,
            &|| p.count_ones() == 0,
            &|| HashSet::from([p.clone()]).is_empty(),
            &|| list[0] == 3,
            &|| list.iter().max() == Some(&3),
            &|| *(&p + 1) == 3,
        ];
        for read in uses {
            assert_eq!(panic_of(read), "no value");
        }
        // Debug is how one looks for what went wrong: it shows the error.
        assert!(format!("{p:?}").contains("no value"));
    });
}
