//! The tests and demonstrations of deco, from features.md, each both ways.

use crate::both::{both, same};
use crate::fixture::deadline;
use std::collections::BTreeMap;
use xfork::{concurrent, synchronized};

both! {
    #[concurrent]
    pub(crate) fn kwarg(a: i64, b: i64) -> i64 {
        a * 10 + b
    }

    /// Deco's README: a grid of results, by latitude and longitude.
    #[concurrent]
    pub(crate) fn process_lat_lon(lat: i32, lon: i32, data: &[f64]) -> f64 {
        data.iter().map(|value| value * f64::from(lat * 10 + lon)).sum()
    }

    #[synchronized]
    pub(crate) fn process_data_set(data: &[f64]) -> BTreeMap<i32, Vec<f64>> {
        let mut results: BTreeMap<i32, Vec<f64>> = (0..5).map(|lat| (lat, vec![0.0; 5])).collect();
        for lat in 0..5 {
            let mut row = vec![0.0; 5];
            for lon in 0..5 {
                row[lon as usize] = process_lat_lon(lat, lon, data);
            }
            results.insert(lat, row);
        }
        results
    }

    /// `body_cases`: assignments in `if`, `for`, and with other assignments around them.
    #[synchronized]
    pub(crate) fn body_cases() -> (Vec<i64>, i64) {
        let mut results = vec![0; 10];
        let mut count = 0;
        if results.len() == 10 {
            results[0] = kwarg(1, 2);
        }
        for index in 1..results.len() {
            results[index] = kwarg(index as i64, 3);
            count += 1;
        }
        results[3] = results[4] + 1;
        (results, count)
    }

    /// `tainted_return`: the value that is returned is what the calls gave.
    #[synchronized]
    pub(crate) fn tainted_return() -> i64 {
        let mut data = [0, 0];
        data[0] = kwarg(1, 2);
        return data[0];
    }

    /// `subscript_args`: an argument that reads what is pending waits for it.
    #[synchronized]
    pub(crate) fn subscript_args() -> Vec<i64> {
        let mut data = vec![2, 0, 0];
        data[1] = kwarg(data[0], 1);
        data[2] = kwarg(data[1], 1);
        let at = data[0] as usize;
        data[at] += kwarg(0, 1);
        data
    }

    /// `len_of_append`.
    #[synchronized]
    pub(crate) fn len_of_append() -> usize {
        let mut results = vec![];
        results.push(kwarg(1, 2));
        results.len()
    }

    /// `list_comp`, and one whose receiver is a variable.
    #[synchronized]
    pub(crate) fn list_comp() -> (Vec<i64>, Vec<i64>) {
        let ten: Vec<i64> = (0..10).map(|i| kwarg(i, 1)).collect();
        let again = ten.iter().map(|&i| kwarg(i, 2)).collect();
        (ten, again)
    }

    /// `for_loop` of 30, and `simple_loop2` with `append`.
    #[synchronized]
    pub(crate) fn for_loop() -> Vec<i64> {
        let mut results = Vec::new();
        for i in 0..30 {
            results.push(kwarg(i, 1));
        }
        results
    }

    /// What deco refuses (DE-12) and what its users asked for: a plain variable, `+=`, constant keys.
    #[synchronized]
    pub(crate) fn refused_by_deco() -> (i64, Vec<i64>, (i64, i64)) {
        let mut variable = 0;
        let mut constant_keys = vec![1, 1];
        let mut pair = (0, 0);
        for i in 0..4 {
            variable = kwarg(variable, i);
            constant_keys[0] += kwarg(i, 0);
            pair.1 = kwarg(i, 9);
        }
        constant_keys[1] = kwarg(5, 5);
        (variable, constant_keys, pair)
    }
}

/// DE-08 to DE-11 and the README's example.
#[test]
fn the_tests_of_deco_give_the_serial_result() {
    deadline(|| {
        same!(process_data_set(&[1.0, 2.5]));
        same!(body_cases());
        same!(tainted_return());
        same!(subscript_args());
        same!(len_of_append());
        same!(list_comp());
        same!(for_loop());
    });
}

/// DE-12: none of it is refused.
#[test]
fn what_deco_refuses_gives_the_serial_result() {
    deadline(|| {
        same!(refused_by_deco());
    });
}
