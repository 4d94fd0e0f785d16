//! The forms of statements that are forked, and those around them.

use crate::both::{both, same};
use crate::fixture::deadline;
use std::collections::{BTreeMap, VecDeque};
use xfork::{concurrent, synchronized};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grid {
    cells: Vec<Vec<i64>>,
    total: i64,
}

both! {
    #[concurrent(io)]
    pub(crate) fn add(a: i64, b: i64) -> i64 {
        a + b
    }

    #[concurrent(io)]
    pub(crate) fn divide(a: i64, b: i64) -> Result<i64, String> {
        a.checked_div(b).ok_or(format!("{a} by {b}"))
    }

    #[concurrent(io)]
    pub(crate) fn parts(text: &str) -> (usize, String) {
        (text.len(), text.to_uppercase())
    }

    pub(crate) fn ordinary(a: i64) -> i64 {
        a * 3
    }

    pub(crate) fn zeros(count: usize) -> Vec<i64> {
        vec![0; count]
    }

    #[synchronized]
    pub(crate) fn places(grid: &mut Grid) -> i64 {
        let mut point = (0, [0; 3]);
        let mut boxed = Box::new(1);
        for i in 0..3 {
            for j in 0..3 {
                grid.cells[i][j] = add(i as i64, j as i64);
            }
            point.1[i] = add(1, i as i64);
            grid.total += add(0, i as i64);
        }
        point.0 = add(5, 5);
        *boxed = add(6, 6);
        grid.total -= ordinary(2);
        point.0 + point.1[2] + *boxed
    }

    #[synchronized]
    pub(crate) fn containers() -> (BTreeMap<String, i64>, VecDeque<i64>, Vec<i64>, Option<i64>) {
        let mut map = BTreeMap::new();
        let mut queue = VecDeque::new();
        let mut list = zeros(2);
        let mut last = None;
        for name in ["a", "b", "c"] {
            map.insert(name.to_string(), add(1, name.len() as i64));
            queue.push_front(add(2, 2));
            list.insert(0, add(3, 3));
            last.replace(add(4, 4));
        }
        (map, queue, list, last)
    }

    #[synchronized]
    pub(crate) fn values(text: &str) -> (usize, String, i64, i64) {
        let (length, upper) = parts(text);
        let mut a = add(1, 2);
        let b: i64 = add(3, 4);
        let c = ordinary(5);
        a += 1;
        (length, upper, a * b, c)
    }

    #[synchronized]
    pub(crate) fn tried(by: i64) -> Result<i64, String> {
        let a = divide(8, by)?;
        let b = divide(a, by - 1)?;
        let c = divide(9, by)?;
        let mut list = vec![0];
        list[0] = divide(c, 1)?;
        Ok(a + b + list[0])
    }

    #[synchronized]
    pub(crate) fn flow(count: i64) -> Vec<i64> {
        let mut out = Vec::new();
        let mut k = 0;
        'outer: while k < count {
            k += 1;
            match k % 4 {
                0 => continue,
                1 if k > 2 => out.push(add(k, 0)),
                2 => {
                    let mut inner = zeros(2);
                    inner[0] = add(k, 1);
                    if inner[0] > 90 {
                        break 'outer;
                    }
                    out.push(inner[0]);
                }
                _ => out.push(add(k, 3)),
            }
            if out.len() > 8 {
                return out;
            }
        }
        let mut stack = vec![1, 2, 3];
        while let Some(top) = stack.pop() {
            out.push(add(top, 100));
            if top == 2 {
                stack.push(add(4, 4));
            }
        }
        let chosen = if count > 3 {
            out[0] = add(-1, -1);
            7
        } else {
            8
        };
        out.push(chosen);
        out
    }

    #[synchronized]
    pub(crate) fn references() -> (Vec<Vec<i64>>, i64) {
        let mut table = vec![zeros(2), zeros(2)];
        for row in table.iter_mut() {
            row[0] = add(1, 1);
            row[1] = add(row[0], 1);
        }
        let first = &mut table[0];
        first[0] = add(9, 9);
        first[1] = ordinary(9);
        if let Some(row) = table.get_mut(1) {
            row.push(add(5, 5));
        }
        let sum = |at: usize| table[at].iter().sum::<i64>();
        let both = sum(0) + sum(1);
        let table = table;
        (table, both)
    }

    #[synchronized]
    pub(crate) fn texts() -> Vec<String> {
        let mut lines = Vec::new();
        let mut sum = 0;
        let mut list = zeros(2);
        for i in 0..3 {
            sum += add(i, i);
            list[1] = add(i, 7);
            lines.push(format!("{i} {sum:>4} {0}", list[1]));
        }
        lines
    }

    #[synchronized]
    pub(crate) fn early(list: &mut Vec<i64>, text: &str) -> Result<i64, std::num::ParseIntError> {
        list.push(add(1, 1));
        list[0] = add(2, 2);
        let number: i64 = text.parse()?;
        list.push(add(number, 3));
        Ok(number)
    }
}

#[test]
fn assignments_to_parts_of_anything() {
    deadline(|| {
        let grid = Grid { cells: vec![vec![0; 3]; 3], total: 100 };
        let (mut a, mut b) = (grid.clone(), grid);
        assert_eq!(forked::places(&mut a), serial::places(&mut b));
        assert_eq!(a, b);
    });
}

#[test]
fn calls_of_containers_with_one_concurrent_argument() {
    deadline(|| {
        same!(containers());
    });
}

#[test]
fn values_that_are_bound_to_names() {
    deadline(|| {
        same!(values("four"));
    });
}

#[test]
fn values_that_may_be_errors() {
    deadline(|| {
        for by in 0..4 {
            same!(tried(by));
        }
    });
}

#[test]
fn loops_and_branches() {
    deadline(|| {
        for count in [0, 1, 2, 3, 7, 12, 100] {
            same!(flow(count));
        }
    });
}

#[test]
fn references_into_what_is_pending() {
    deadline(|| {
        same!(references());
    });
}

#[test]
fn names_in_format_strings_are_uses() {
    deadline(|| {
        same!(texts());
    });
}

/// What was called before an early return is done by then.
#[test]
fn an_early_return_settles() {
    deadline(|| {
        for text in ["12", "no"] {
            let (mut a, mut b) = (vec![5], vec![5]);
            assert_eq!(forked::early(&mut a, text), serial::early(&mut b, text));
            assert_eq!(a, b);
        }
    });
}
