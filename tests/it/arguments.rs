//! What may be given as arguments, and in which forms.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::fixture::{MINUTE, deadline, square};
use xfork::{ResultProxy, cpu_bound, fork, io_bound, map, ready, thread};

#[cpu_bound]
fn text_length(text: &str) -> usize {
    text.len()
}

#[cpu_bound]
fn total(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[cpu_bound]
fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_string())
}

#[cpu_bound]
fn norm(point: &(i64, i64)) -> i64 {
    point.0.abs() + point.1.abs()
}

#[io_bound]
fn os_length(text: &OsStr) -> usize {
    text.len()
}

/// XF-29: a parameter `&str` is given as text in whatever form one has it.
#[test]
fn a_str_parameter_takes_text_owned_borrowed_or_later() {
    deadline(MINUTE, || {
        let owned = String::from("four");
        let later = ready(owned.clone());
        let lengths = [
            fork(text_length, "four"),
            fork(text_length, &owned),
            fork(text_length, owned.as_str()),
            fork(text_length, &later),
            fork(text_length, later),
            fork(text_length, owned),
        ];
        assert!(lengths.iter().all(|length| **length == 4));
    });
}

/// XF-29: a parameter `&[T]` is given as a vector or slice, or as a proxy of a vector.
#[test]
fn a_slice_parameter_takes_vectors_slices_and_proxies() {
    deadline(MINUTE, || {
        let numbers = vec![1, 2, 3];
        let later = ready(numbers.clone());
        let totals = [
            fork(total, &numbers[..]),
            fork(total, &numbers),
            fork(total, &later),
            fork(total, later),
            fork(total, numbers),
        ];
        assert!(totals.iter().all(|p| **p == 6));
    });
}

/// XF-29: a parameter `&Path` is given as a path, a path buffer or text.
#[test]
fn a_path_parameter_takes_paths_and_text() {
    deadline(MINUTE, || {
        let path = PathBuf::from("a.png");
        let extensions = [
            fork(extension, "a.png"),
            fork(extension, path.as_path()),
            fork(extension, &path),
            fork(extension, thread(|| PathBuf::from("a.png"), ())),
            fork(extension, path),
        ];
        assert!(extensions.iter().all(|p| p.as_deref() == Some("png")));
        assert_eq!(*fork(os_length, OsStr::new("four")), 4);
    });
}

/// XF-29: a parameter `&T` is given as a `T`, or a proxy of it.
#[test]
fn a_reference_parameter_takes_the_value_or_its_proxy() {
    deadline(MINUTE, || {
        assert_eq!(*fork(norm, ((3, -4),)), 7);
        assert_eq!(*fork(norm, ready((3, -4))), 7);
        assert_eq!(*fork(norm, (&thread(|| (3, -4), ()),)), 7);
    });
}

/// XF-01: `()` for no argument, a bare value or a tuple of one for one, a tuple for more.
#[test]
fn arguments_are_unit_a_bare_value_or_a_tuple() {
    fn none() -> u32 {
        0
    }
    deadline(MINUTE, || {
        assert_eq!(*fork(none, ()), 0);
        assert_eq!(*fork(square, 3), 9);
        assert_eq!(*fork(square, (3,)), 9);
        assert_eq!(*fork(|a: u32, b: u32| a - b, (3, 2)), 1);
        assert_eq!(*fork(|_: ()| 5, ((),)), 5);
    });
}

/// XF-01: a function of one parameter that is a tuple takes it bare.
#[test]
fn one_tuple_parameter_takes_a_bare_tuple() {
    fn sum(pair: (u32, u32)) -> u32 {
        pair.0 + pair.1
    }
    deadline(MINUTE, || {
        assert_eq!(*fork(sum, (3, 4)), 7);
        assert_eq!(*fork(sum, ((3, 4),)), 7);
        assert_eq!(*fork(sum, ready((3, 4))), 7);
        assert_eq!(*fork(|(a, b): (u32, u32)| a * b, (3, 4)), 12);
    });
}

#[cpu_bound]
#[expect(clippy::too_many_arguments, reason = "that is the test")]
fn twelve(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: &str) -> String {
    format!("{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}")
}

/// XF-01: up to twelve parameters, values and proxies mixed, in order.
#[test]
fn up_to_twelve_parameters_arrive_in_order() {
    deadline(MINUTE, || {
        let p = |n: u8| thread(move || n, ());
        let text = fork(twelve, (1, p(2), 3, &p(4), 5, 6, 7, 8, 9, p(0), 1, "end"));
        assert_eq!(*text, "12345678901end");
        let sum = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8| {
            [a, b, c, d, e, f, g, h, i, j, k, l].iter().sum::<u8>()
        };
        assert_eq!(*fork(sum, (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), 12);
    });
}

/// XF-29: nested in containers: the callee gets the values (list of proxies).
#[test]
fn a_list_of_proxies_arrives_as_a_list_of_values() {
    deadline(MINUTE, || {
        let squares = map(square, [1, 2, 3]);
        assert_eq!(*fork(total, &squares), 14);
        assert_eq!(*fork(total, &squares[1..]), 13);
        assert_eq!(*fork(total, squares.clone()), 14);
        assert_eq!(*fork(total, Vec::<ResultProxy<u64>>::new()), 0);
        // On a thread too, where nothing is serialised.
        assert_eq!(*thread(|numbers: Vec<u64>| numbers, squares), [1, 4, 9]);
    });
}

/// XF-29: nested in containers: options and maps.
#[test]
fn options_and_maps_of_proxies_arrive_as_those_of_values() {
    deadline(MINUTE, || {
        let maybe = |n: Option<u64>| n.map_or(0, |n| n + 1);
        assert_eq!(*fork(maybe, Some(fork(square, 3))), 10);
        assert_eq!(*fork(maybe, None::<ResultProxy<u64>>), 0);
        let hashed: HashMap<String, _> =
            [("a".to_string(), fork(square, 2)), ("b".to_string(), fork(square, 3))].into();
        assert_eq!(*fork(|map: HashMap<String, u64>| (map["a"], map["b"]), hashed), (4, 9));
        let sorted: BTreeMap<u8, _> = [(1, fork(square, 4)), (2, fork(square, 5))].into();
        assert_eq!(*fork(|map: BTreeMap<u8, u64>| map.into_values().collect::<Vec<_>>(), sorted), [16, 25]);
    });
}

/// XF-29, XF-01: a proxy stays the caller's when it is lent, and several tasks may take the same one.
#[test]
fn one_proxy_feeds_many_tasks() {
    deadline(MINUTE, || {
        let three = thread(|| 3_u64, ());
        let squares: Vec<_> = (0..50).map(|_| fork(square, &three)).collect();
        assert!(squares.iter().all(|p| **p == 9));
        assert_eq!(*three, 3);
    });
}

/// XF-29: large arguments and results arrive whole.
#[test]
fn eight_megabytes_arrive_whole() {
    deadline(MINUTE, || {
        let bytes: Vec<u8> = (0..8 << 20).map(|n: u32| (n % 251) as u8).collect();
        let reversed = fork(
            |mut bytes: Vec<u8>| {
                bytes.reverse();
                bytes
            },
            bytes.clone(),
        );
        assert!(reversed.iter().rev().eq(&bytes));
    });
}
