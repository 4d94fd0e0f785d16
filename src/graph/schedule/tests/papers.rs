//! The examples that the papers work through.

use super::super::peft::optimistic_costs;
use super::super::ranks::upward;
use super::super::{Cpop, Heft, Peft, Problem, Scheduler, TaskCost};
use super::{assert_near, heft_example, placements, scheduled};

#[test]
fn heft_ranks_its_papers_example_as_published() {
    let expected = [108.0, 77.0, 80.0, 80.0, 69.0, 63.333, 42.667, 35.667, 44.333, 14.667];
    assert_near(&Heft::new(3).ranks(&heft_example()), &expected, 5e-4);
}

#[test]
fn heft_schedules_its_papers_example_as_published() {
    let problem = heft_example();
    let found = Heft::new(3).place(&problem);
    let expected = placements(&[
        (0, 2, 0.0, 9.0),
        (1, 0, 27.0, 40.0),
        (2, 2, 9.0, 28.0),
        (3, 1, 18.0, 26.0),
        (4, 2, 28.0, 38.0),
        (5, 1, 26.0, 42.0),
        (6, 2, 38.0, 49.0),
        (7, 0, 57.0, 62.0),
        (8, 1, 56.0, 68.0),
        (9, 1, 73.0, 80.0),
    ]);
    assert_eq!(found, expected);
    let schedule = scheduled(&Heft::new(3), problem);
    assert_eq!(schedule.makespan(), 80.0);
    assert_eq!(schedule.task_lists(), [vec![1, 7], vec![3, 5, 8, 9], vec![0, 2, 4, 6]]);
}

#[test]
fn cpop_schedules_its_papers_example_in_86() {
    let schedule = scheduled(&Cpop::new(3), heft_example());
    assert_eq!(schedule.makespan(), 86.0);
    // The critical path n1, n2, n9, n10 takes 66, 54 and 63; the second processor gets it.
    for task in [0, 1, 8, 9] {
        assert_eq!(schedule.placement(task).unwrap().worker, 1);
    }
}

/// The example of Arabnejad and Barbosa (IEEE TPDS 25(3), 2014), Fig. 1, as the tests of the program
/// github.com/mackncheesiest/peft have it. Task 0 here is their T1.
fn peft_example() -> Problem {
    let costs = [
        [22.0, 21.0, 36.0],
        [22.0, 18.0, 18.0],
        [32.0, 27.0, 43.0],
        [7.0, 10.0, 4.0],
        [29.0, 27.0, 35.0],
        [26.0, 17.0, 24.0],
        [14.0, 25.0, 30.0],
        [29.0, 23.0, 36.0],
        [15.0, 21.0, 8.0],
        [13.0, 16.0, 33.0],
    ];
    let edges = [
        (0, 1, 17.0),
        (0, 2, 31.0),
        (0, 3, 29.0),
        (0, 4, 13.0),
        (0, 5, 7.0),
        (1, 7, 3.0),
        (1, 8, 30.0),
        (2, 6, 16.0),
        (3, 7, 11.0),
        (3, 8, 7.0),
        (4, 8, 57.0),
        (5, 7, 5.0),
        (6, 9, 9.0),
        (7, 9, 42.0),
        (8, 9, 7.0),
    ];
    Problem::new(3, None, costs.map(|row| TaskCost::from(row.to_vec())), &edges).unwrap()
}

#[test]
fn peft_foretells_its_papers_example_as_published() {
    #[rustfmt::skip]
    let expected = [
        64.0, 68.0, 86.0,
        42.0, 39.0, 42.0,
        27.0, 41.0, 43.0,
        42.0, 39.0, 50.0,
        28.0, 37.0, 28.0,
        42.0, 39.0, 44.0,
        13.0, 16.0, 22.0,
        13.0, 16.0, 33.0,
        13.0, 16.0, 20.0,
        0.0, 0.0, 0.0,
    ];
    assert_eq!(optimistic_costs(&peft_example()), expected);
}

#[test]
fn peft_schedules_its_papers_example_in_122_and_heft_in_133() {
    let found = Peft::new(3).place(&peft_example());
    let expected = placements(&[
        (0, 0, 0.0, 22.0),
        (1, 0, 29.0, 51.0),
        (2, 0, 51.0, 83.0),
        (3, 0, 22.0, 29.0),
        (4, 2, 35.0, 70.0),
        (5, 1, 29.0, 46.0),
        (6, 0, 83.0, 97.0),
        (7, 1, 54.0, 77.0),
        (8, 2, 81.0, 89.0),
        (9, 1, 106.0, 122.0),
    ]);
    assert_eq!(found, expected);
    assert_eq!(scheduled(&Peft::new(3), peft_example()).makespan(), 122.0);
    assert_eq!(scheduled(&Heft::new(3), peft_example()).makespan(), 133.0);
}

#[test]
fn upward_ranks_of_the_peft_example_are_as_published() {
    let expected = [169.0, 114.3, 102.7, 110.0, 129.7, 119.3, 52.7, 92.0, 42.3, 20.7];
    assert_near(&upward(&peft_example()), &expected, 0.05);
}
