//! Building: what tasks can be given, by types and by name, and graphs out of graphs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::fixture::{Count, Notes, every_plan, panic_of, plus, plus_io, square, told, total, total_io};
use crate::within;
use xfork::graph::Edge;
use xfork::{
    Graph, GraphError, GraphFault, Heft, Monitor, Node, Outcome, Outcomes, Plan, RunOptions, cpu_bound, fork,
    io_bound, lazy, process, ready, task, wait, with_plan,
};

/// AM-01, AM-03, AM-23: whole results and values are arguments, under every plan, of functions of every mark, and of
/// closures.
#[test]
fn results_go_along_typed_edges() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let two = graph.add("two", task(|| 2, ())).unwrap();
            let four = graph.add("four", task(square, &two)).unwrap();
            let six = graph.add("six", task(plus_io, (&two, four.clone()))).unwrap();
            let seven = graph.add("seven", task(xfork::r#unsafe(|n: i64| n + 1), &six)).unwrap();
            let sum = graph.add("sum", task(plus, (&seven, 100))).unwrap();
            let offset = 1000;
            let far = graph.add("far", task(io_bound(move |n: i64| n + offset), &sum)).unwrap();
            let done = graph.run().unwrap();
            assert!(done.is_done(), "{plan}: {done:?}");
            assert_eq!((done[&two], done[&four], done[&six], done[&seven]), (2, 4, 6, 7), "{plan}");
            assert_eq!((done[&sum], done[&far]), (107, 1107), "{plan}");
        });
    });
}

/// AM-01, AM-24: the same graph gives the same under every number of workers, and an empty one gives nothing.
#[test]
fn a_graph_of_many_shapes_gives_the_sequential_result_under_every_plan() {
    within(120, || {
        let expected = with_plan(Plan::sequential(), || lattice().1);
        every_plan(|plan| assert_eq!(lattice().1, expected, "{plan}"));
    });
}

/// Eight layers of eight tasks, each of which needs three of the layer before.
fn lattice() -> (usize, i64) {
    let mut graph = Graph::new();
    let mut layer: Vec<Node<i64>> =
        (0..8).map(|n| graph.add(format!("0/{n}"), task(square, n)).unwrap()).collect();
    for depth in 1..8 {
        let mut next = Vec::new();
        for place in 0..8 {
            let inputs: Vec<_> = [0, 1, 3].map(|step| layer[(place + step) % 8].clone()).into();
            let name = format!("{depth}/{place}");
            let node = match place % 2 {
                0 => graph.add(name, task(total, inputs)),
                _ => graph.add(name, task(total_io, inputs)),
            };
            next.push(node.unwrap());
        }
        layer = next;
    }
    let sum = graph.add("sum", task(total, &layer)).unwrap();
    let count = graph.len();
    (count, graph.run().unwrap()[&sum])
}

/// AM-05: a key is any way from a result to a part of it: a field, an index, a range, a path of several, or the whole.
#[test]
fn a_part_of_a_result_goes_along_an_edge() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Answer {
        values: BTreeMap<String, Vec<i64>>,
        scale: i64,
    }

    fn answer() -> Answer {
        Answer { values: BTreeMap::from([("values".into(), vec![1, 3, 5, 7])]), scale: 10 }
    }

    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let answer = graph.add("answer", task(answer, ())).unwrap();
            let values = answer.key(|answer| answer.values["values"].clone());
            let scaled = (values.key(|values| values[2]), answer.key(|answer| answer.scale));
            let item = graph.add("item", task(plus, scaled.clone())).unwrap();
            let range = graph.add("range", task(total, values.key(|values| values[1..3].to_vec()))).unwrap();
            let whole = graph.add("whole", task(total_io, &values)).unwrap();
            let rank = |answer: Answer| answer.values.len() as i64 + answer.scale;
            let itself = answer.key(Answer::clone).comm_cost(1.0);
            let empty_path = graph.add("empty path", task(rank, itself)).unwrap();
            let done = graph.run().unwrap();
            let found = (done[&item], done[&range], done[&whole], done[&empty_path]);
            assert_eq!(found, (15, 8, 16, 11), "{plan}");
        });
    });
}

/// AM-06, AM-20: a key that does not fit, or selects what failed, fails the task that was to get the part, and no other.
#[test]
fn a_key_that_does_not_fit_fails_only_the_task_that_gets_it() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let list =
                graph.add("list", task(|| vec![Ok(1), Err("the second failed".to_string())], ())).unwrap();
            let part = |place: usize| list.key(move |list| list[place].clone().unwrap());
            let first = graph.add("first", task(square, part(0))).unwrap();
            let second = graph.add("second", task(square, part(1))).unwrap();
            let third = graph.add("third", task(square, part(2))).unwrap();
            graph.add("after third", task(square, &third)).unwrap();
            let done = graph.run().unwrap();
            assert_eq!(done[&first], 1, "{plan}");
            let Outcome::Failed(error) = done.of_node(&second) else { panic!("{plan}: {done:?}") };
            assert!(error.is_panic() && error.message().contains("the second failed"), "{plan}: {error}");
            let Outcome::Failed(error) = done.of_node(&third) else { panic!("{plan}: {done:?}") };
            assert!(error.message().contains("index out of bounds"), "{plan}: {error}");
            let expected = [
                "list: done",
                "first: done",
                "second: failed",
                "third: failed",
                "after third: skipped: its ancestor `third` failed",
            ];
            assert_eq!(told(&done), expected, "{plan}");
        });
    });
}

/// AM-02, AM-04: arguments are collections of results, of each kind that a fork takes, of any length.
#[test]
fn collections_of_nodes_arrive_as_collections_of_values() {
    fn by_name(all: HashMap<String, i64>) -> i64 {
        all["one"] + 10 * all["two"]
    }
    fn sorted(all: BTreeMap<u8, i64>) -> Vec<i64> {
        all.into_values().collect()
    }
    fn or_zero(one: Option<i64>) -> i64 {
        one.unwrap_or(0)
    }

    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let nodes = [1, 2, 3].map(|n| graph.add(format!("n{n}"), task(square, n)).unwrap());
            let [one, two, three] = &nodes;
            let list = graph.add("list", task(total, nodes.to_vec())).unwrap();
            let slice = graph.add("slice", task(total_io, &nodes[1..])).unwrap();
            let nothing = graph.add("nothing", task(total, Vec::<Node<i64>>::new())).unwrap();
            let edges = vec![one.key(|n| n + 1), Edge::from(two.clone()), three.comm_cost(2.0)];
            let parts = graph.add("parts", task(total, &edges)).unwrap();
            let map = HashMap::from([("one".to_string(), one.clone()), ("two".to_string(), two.clone())]);
            let map = graph.add("map", task(by_name, map)).unwrap();
            let tree = BTreeMap::from([(3, three.clone()), (1, one.clone())]);
            let tree = graph.add("tree", task(sorted, tree)).unwrap();
            let some = graph.add("some", task(or_zero, Some(three.clone()))).unwrap();
            let none = graph.add("none", task(or_zero, None::<Node<i64>>)).unwrap();
            let tree_of_edges = BTreeMap::from([(1, two.key(|n| -n))]);
            let tree_of_edges = graph.add("tree of edges", task(io_bound(sorted), tree_of_edges)).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&list], done[&slice], done[&nothing]), (14, 13, 0), "{plan}");
            assert_eq!((done[&parts], done[&map]), (15, 41), "{plan}");
            assert_eq!((&done[&tree], &done[&tree_of_edges]), (&vec![1, 9], &vec![-4]), "{plan}");
            assert_eq!((done[&some], done[&none]), (9, 0), "{plan}");
        });
    });
}

/// AM-02: no argument, a bare value, a tuple of several, a tuple that is one value, a list that is one value.
#[test]
fn values_are_arguments_as_those_of_a_fork_are() {
    within(60, || {
        let mut graph = Graph::new();
        let none = graph.add("none", task(io_bound(|| 1), ())).unwrap();
        let bare = graph.add("bare", task(io_bound(|n: i64| n), 2)).unwrap();
        let tuple = graph.add("tuple", task(plus, (1, 2))).unwrap();
        let pair = graph.add("pair", task(io_bound(|pair: (i64, i64)| pair.0 - pair.1), (6, 2))).unwrap();
        let list = graph.add("list", task(total, vec![1, 2, 3, 4])).unwrap();
        let text = graph.add("text", task(io_bound(|text: String| text.len()), "five!")).unwrap();
        let done = graph.run().unwrap();
        assert_eq!((done[&none], done[&bare], done[&tuple], done[&pair]), (1, 2, 3, 4));
        assert_eq!((done[&list], done[&text]), (10, 5));
    });
}

/// AM-02, PM-05: the proxy of a fork that is still running is an argument like a node, and keeps no other task waiting.
#[test]
fn a_running_proxy_is_an_argument() {
    within(60, || {
        for plan in [Plan::processes(1), Plan::threads()] {
            with_plan(plan, || {
                let (go, gone) = channel::<i64>();
                let pending = xfork::thread(move || gone.recv().unwrap(), ());
                let mut graph = Graph::new();
                let uses = graph.add("uses", task(plus, (&pending, fork(square, 3)))).unwrap();
                let deferred = &pending * 2 + fork(square, 2);
                let expression = graph.add("expression", task(plus_io, (deferred, lazy(|| 1)))).unwrap();
                let list = vec![pending.clone(), ready(1)];
                let list = graph.add("list", task(total, list)).unwrap();
                // Were a task that waits for the proxy started first, in place, this one would never come.
                let go = Arc::new(Mutex::new(go));
                graph
                    .add("release", task(io_bound(move || go.lock().unwrap().send(5).unwrap()), ()))
                    .unwrap();
                let done = graph.run().unwrap();
                assert_eq!((done[&uses], done[&expression], done[&list]), (14, 15, 6));
                // Nor is what the proxy gives used up by the first run.
                graph.reset(["uses", "expression", "list"]).unwrap();
                let done = graph.run().unwrap();
                assert_eq!((done[&uses], done[&expression], done[&list]), (14, 15, 6));
            });
        }
    });
}

/// AM-19, PM-04, PM-12: what gets a proxy that fails, fails with the original failure, without being run.
#[test]
fn a_failed_proxy_fails_the_task_that_gets_it() {
    within(60, || {
        every_plan(|plan| {
            let runs = Count::default();
            let counter = runs.clone();
            let mut graph = Graph::new();
            let failed = fork(|| -> i64 { panic!("outside the graph") }, ());
            let uses = io_bound(move |n: i64| n + counter.add() as i64);
            let direct = graph.add("direct", task(uses.clone(), &failed)).unwrap();
            let part_of_sum = graph.add("part of a sum", task(uses, &failed + 1)).unwrap();
            graph.add("after", task(square, &direct)).unwrap();
            graph.add("after the proxy", task(square, 3).after(&failed)).unwrap();
            graph.add("alone", task(square, 3)).unwrap();
            let done = graph.run().unwrap();
            let expected = [
                "direct: failed",
                "part of a sum: failed",
                "after: skipped: its ancestor `direct` failed",
                "after the proxy: failed",
                "alone: done",
            ];
            assert_eq!(told(&done), expected, "{plan}");
            for node in [&direct, &part_of_sum] {
                let Outcome::Failed(error) = done.of_node(node) else { unreachable!() };
                assert!(error.is_dependency() && error.is_panic(), "{plan}: {error}");
                assert_eq!(error.message(), "outside the graph", "{plan}");
            }
            assert_eq!(runs.get(), 0, "{plan}");
        });
    });
}

/// TM-05, PM-10: a task may only wait for another, whose result it does not get; for a node or for a proxy.
#[test]
fn a_task_starts_after_what_it_was_told_to_follow() {
    within(60, || {
        every_plan(|plan| {
            let notes = Notes::default();
            let note = |name: &'static str| {
                let notes = notes.clone();
                io_bound(move || notes.add(name))
            };
            let mut graph = Graph::new();
            let outside = fork(note("outside"), ());
            let first = graph.add("first", task(note("first"), ())).unwrap();
            let second = task(note("second"), ()).after(&first).after(&outside);
            let second = graph.add("second", second).unwrap();
            graph.add("third", task(note("third"), ()).after(&second)).unwrap();
            graph.add_named("fourth", note("fourth"), []);
            graph.put_before("third", "fourth").unwrap();
            assert!(graph.run().unwrap().is_done());
            let order = ["first", "second", "third", "fourth"].map(|name| notes.place(name));
            assert!(order.is_sorted() && notes.place("outside") < order[1], "{plan}: {:?}", notes.take());
        });
    });
}

/// TM-09: what follows a task only in time is skipped, too, if that failed.
#[test]
fn a_task_is_skipped_if_what_it_follows_failed() {
    within(60, || {
        let mut graph = Graph::new();
        let fails = graph.add("fails", task(io_bound(|| -> () { panic!("no") }), ())).unwrap();
        graph.add("typed", task(square, 3).after(&fails)).unwrap();
        graph.add_named("named", io_bound(|| 1), []);
        graph.put_before("fails", "named").unwrap();
        graph.add_named("fed nothing", io_bound(|| 1), ["fails"]);
        let skipped = "skipped: its ancestor `fails` failed";
        let expected = ["typed", "named", "fed nothing"].map(|name| format!("{name}: {skipped}"));
        assert_eq!(told(&graph.run().unwrap())[1..], expected);
    });
}

/// TM-01, DG-01: tasks are added by name in any order, with names that are known at run time only.
#[test]
fn a_graph_is_built_from_a_table_by_name_in_any_order() {
    let text = "total = add left right\nleft = add three three\nright = square left\nthree = number 3";
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            for line in text.lines() {
                let (name, rest) = line.split_once(" = ").unwrap();
                let mut words = rest.split(' ');
                match words.next().unwrap() {
                    "add" => graph.add_named(name, plus, words),
                    "square" => graph.add_named(name, square, words),
                    "number" => {
                        let number: i64 = words.next().unwrap().parse().unwrap();
                        graph.add_named(name, io_bound(move || number), [])
                    }
                    other => panic!("{other}"),
                };
            }
            let done = graph.run().unwrap();
            assert_eq!(done.value::<i64>("total").unwrap(), &42, "{plan}");
            assert_eq!(graph.names().collect::<Vec<_>>(), ["total", "left", "right", "three"]);
        });
    });
}

/// TM-05: results come in the order of the names; those without a value are left out; a name that is listed twice is two
/// arguments.
#[test]
fn results_by_name_are_fed_in_order_without_those_of_no_value() {
    within(60, || {
        every_plan(|plan| {
            let prepared = Count::default();
            let prepare = prepared.clone();
            let mut graph = Graph::new();
            let all = |a: i64, b: i64, again: i64, c: String| format!("{a} {b} {again} {c}");
            graph.add_named("all", io_bound(all), ["one", "prepare", "two", "one", "text"]);
            graph.add_named("prepare", io_bound(move || _ = prepare.add()), []);
            graph.add_named("one", io_bound(|| 1_i64), ["prepare"]);
            graph.add_named("two", io_bound(|| 2_i64), []);
            graph.add_named("text", io_bound(|| "text".to_string()), []);
            let done = graph.run().unwrap();
            assert_eq!(done.value::<String>("all").unwrap(), "1 2 1 text", "{plan}");
            assert_eq!(prepared.get(), 1, "{plan}");
        });
    });
}

/// AM-01: graphs by types and by name are the same thing: a node of one is a name of the other.
#[test]
fn typed_and_named_tasks_mix() {
    within(60, || {
        let mut graph = Graph::new();
        let named = graph.add_named("named", square, ["typed"]);
        let sum = graph.add("sum", task(plus, (&named, 1))).unwrap();
        graph.add("typed", task(square, 2)).unwrap();
        graph.add_named("last", plus, ["sum", "typed"]);
        let done = graph.run().unwrap();
        assert_eq!((done[&sum], done.value::<i64>("last").unwrap()), (17, &21));
    });
}

/// AM-12: a prefix stands before all names, also where tasks are wanted, waited for or fed by name.
#[test]
fn a_prefix_stands_before_all_names() {
    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 1)).unwrap();
        graph.add_named("two", plus, ["one", "one"]);
        graph.put_before("one", "two").unwrap();
        graph.outputs(["two"]);
        graph.prefix("left");
        graph.prefix("outer");
        assert_eq!(graph.names().collect::<Vec<_>>(), ["outer/left/one", "outer/left/two"]);
        assert_eq!(graph.name(&one), "outer/left/one");
        let done = graph.run().unwrap();
        assert_eq!(done.value::<i64>("outer/left/two").unwrap(), &2);
        assert!(done.get(&one).is_none());
    });
}

/// AM-12, AM-19: a prefix after a failure leaves its story as it is.
#[test]
fn a_prefix_after_a_failure_still_leads_to_the_ancestor() {
    within(60, || {
        let mut graph = Graph::new();
        let fails = graph.add("fails", task(io_bound(|| -> i64 { panic!("the root") }), ())).unwrap();
        let skipped = graph.add("skipped", task(square, &fails)).unwrap();
        graph.run().unwrap().failed().count();
        graph.prefix("left");
        let results = graph.results();
        let expected = ["left/fails: failed", "left/skipped: skipped: its ancestor `left/fails` failed"];
        assert_eq!(told(&results), expected);
        assert_eq!(panic_of(|| results[&skipped]), "the root");
    });
}

/// AM-12: merged graphs are one: nodes, names, costs, results and outputs of both.
#[test]
fn merged_graphs_are_one() {
    within(60, || {
        let build = |n: i64| {
            let mut graph = Graph::new();
            let base = graph.add("base", task(square, n).cost(2.0)).unwrap();
            graph.add_named("twice", plus, ["base", "base"]);
            graph.set_cost("twice", 3.0).unwrap();
            graph.set_comm_cost("base", "twice", 1.0).unwrap();
            (graph, base)
        };
        let ((mut left, two), (mut right, three)) = (build(2), build(3));
        left.prefix("left");
        right.prefix("right");
        right.run().unwrap();
        left.merge(right).unwrap();
        let sum = left.add("sum", task(plus, (&two, &three)).cost(1.0)).unwrap();
        left.add_named("all", plus, ["left/twice", "right/twice"]);
        left.set_cost("all", 1.0).unwrap();
        assert_eq!(left.schedule(Heft::new(1)).unwrap().makespan(), 12.0);
        assert_eq!(left.done(), ["right/base", "right/twice"]);
        let done = left.run().unwrap();
        assert_eq!((done[&sum], done.value::<i64>("all").unwrap()), (13, &26));
    });
}

/// AM-12, AM-13: of merged graphs those outputs are wanted that were wanted before.
#[test]
fn merged_graphs_keep_their_outputs() {
    within(60, || {
        for (left_wants, right_wants) in [(true, true), (true, false), (false, true)] {
            let build = |side: &str, wants: bool| {
                let mut graph = Graph::new();
                graph.add_named("a", io_bound(|| 1_i64), []);
                graph.add_named("b", io_bound(|n: i64| n + 1), ["a"]);
                if wants {
                    graph.outputs(["b"]);
                }
                graph.prefix(side);
                graph
            };
            let mut graph = build("left", left_wants);
            graph.merge(build("right", right_wants)).unwrap();
            let done = graph.run().unwrap();
            for (name, is_wanted) in
                [("left/a", !left_wants), ("right/a", !right_wants), ("left/b", true), ("right/b", true)]
            {
                assert_eq!(done.value::<i64>(name).is_ok(), is_wanted, "{name} {left_wants} {right_wants}");
            }
        }
    });
}

/// AM-12: graphs with tasks of the same name can't be merged, and all such names are told.
#[test]
fn graphs_with_equal_names_are_not_merged() {
    within(60, || {
        let build = || {
            let mut graph = Graph::new();
            for name in ["a", "b"] {
                graph.add_named(name, io_bound(|| 1_i64), []);
            }
            graph
        };
        let (mut left, right) = (build(), build());
        left.add_named("c", io_bound(|| 1_i64), []);
        let error = left.merge(right).unwrap_err();
        let names = error.faults().iter().map(|fault| match fault {
            GraphFault::DuplicateName { name, .. } => name.as_str(),
            other => panic!("{other}"),
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(left.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(left.run().unwrap().is_done());
    });
}

/// How often `counted` was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// Held by the tests that count those calls.
static COUNTING: Mutex<()> = Mutex::new(());

#[cpu_bound]
fn counted(n: i64) -> i64 {
    CALLS.fetch_add(1, Ordering::SeqCst);
    n * n
}

fn calls(body: impl FnOnce()) -> usize {
    let _counting = COUNTING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = CALLS.load(Ordering::SeqCst);
    with_plan(Plan::threads(), body);
    CALLS.load(Ordering::SeqCst) - before
}

fn owned(pairs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let text = |text: &&str| text.to_string();
    pairs.iter().map(|(first, others)| (first.to_string(), others.iter().map(text).collect())).collect()
}

/// AM-11: equal tasks are computed once, and what needs equal results is equal, too; every name has its result.
#[test]
fn equal_tasks_are_computed_once() {
    within(60, || {
        let calls = calls(|| {
            let mut graph = Graph::new();
            let nodes: Vec<_> =
                (0..3).map(|n| graph.add(format!("square {n}"), task(counted, 3)).unwrap()).collect();
            let other = graph.add("other", task(counted, 4)).unwrap();
            let next: Vec<_> = nodes
                .iter()
                .enumerate()
                .map(|(n, node)| graph.add(format!("next {n}"), task(counted, node)).unwrap())
                .collect();
            let sums = [(0, 1), (2, 0)]
                .map(|(a, b)| graph.add(format!("sum {a}{b}"), task(plus, (&next[a], &next[b]))).unwrap());
            let mixed = graph.add("mixed", task(plus, (&next[1], &other))).unwrap();
            let expected: &[(&str, &[&str])] = &[
                ("square 0", &["square 1", "square 2"]),
                ("next 0", &["next 1", "next 2"]),
                ("sum 01", &["sum 20"]),
            ];
            assert_eq!(graph.remove_duplicates().unwrap(), owned(expected));
            // Once more changes nothing.
            assert_eq!(graph.remove_duplicates().unwrap(), owned(expected));
            let done = graph.run().unwrap();
            assert!(done.is_done());
            assert!(nodes.iter().all(|node| done[node] == 9) && next.iter().all(|node| done[node] == 81));
            assert_eq!((done[&sums[0]], done[&sums[1]], done[&mixed]), (162, 162, 97));
        });
        assert_eq!(calls, 3);
    });
}

/// AM-11: the greatest of their costs counts, and the others cost nothing.
#[test]
fn equal_tasks_cost_as_much_as_the_dearest() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("a", task(counted, 3).cost(2.0)).unwrap();
        graph.add("b", task(counted, 3).cost(5.0)).unwrap();
        graph.remove_duplicates().unwrap();
        assert_eq!(graph.schedule(Heft::new(1)).unwrap().makespan(), 5.0);
    });
}

/// AM-11: tasks of which nobody knows what they do, or what they get, are left alone.
#[test]
fn tasks_that_can_not_be_compared_are_left_alone() {
    within(60, || {
        let mut graph = Graph::new();
        let base = graph.add("base", task(square, 3)).unwrap();
        let offset = 1_i64;
        for n in 0..2 {
            graph.add(format!("captures {n}"), task(io_bound(move |n: i64| n + offset), &base)).unwrap();
            graph.add(format!("part {n}"), task(square, base.key(move |value| value + n))).unwrap();
            graph.add(format!("list {n}"), task(total, vec![base.clone(); n as usize + 1])).unwrap();
            graph.add(format!("proxy {n}"), task(square, ready(n))).unwrap();
            graph.add(format!("in place {n}"), task(xfork::r#unsafe(|n: i64| n), &base)).unwrap();
            graph.add(format!("value on a thread {n}"), task(io_bound(|n: i64| n), n)).unwrap();
            graph.add(format!("after {n}"), task(square, 7).after(&ready(n))).unwrap();
        }
        graph.add("two args", task(plus, (&base, 1))).unwrap();
        graph.add("swapped", task(plus, (1, &base))).unwrap();
        graph.add("other function", task(counted, 3)).unwrap();
        graph.add("follows", task(counted, 3).after(&base)).unwrap();
        assert_eq!(graph.remove_duplicates().unwrap(), owned(&[]));
        assert!(graph.run().unwrap().is_done());
    });
}

/// AM-11, regression b: outputs are those asked for, also where another task computes them.
#[test]
fn outputs_of_equal_tasks_are_all_there() {
    within(60, || {
        let calls = calls(|| {
            let mut graph = Graph::new();
            for name in ["('a', 0)", "('a', 1)", "('b', 0)"] {
                graph.add(name, task(counted, 3)).unwrap();
            }
            graph.add_named("sum", plus, ["('a', 1)", "('b', 0)"]);
            graph.outputs(["('a', 1)", "sum"]);
            graph.remove_duplicates().unwrap();
            let done = graph.run().unwrap();
            assert!(done.is_done());
            assert_eq!(done.value::<i64>("('a', 1)").unwrap(), &9);
            assert_eq!(done.value::<i64>("sum").unwrap(), &18);
            assert!(done.value::<i64>("('a', 0)").is_err() && done.value::<i64>("('b', 0)").is_err());
        });
        assert_eq!(calls, 1);
    });
}

/// AM-11, AM-13: what was dropped since nobody wanted it is computed again when an equal task is needed.
#[test]
fn a_dropped_result_of_equal_tasks_is_computed_again_when_it_is_needed() {
    within(60, || {
        let calls = calls(|| {
            let mut graph = Graph::new();
            let a = graph.add("a", task(counted, 3)).unwrap();
            let b = graph.add("b", task(counted, 3)).unwrap();
            let uses = graph.add("uses", task(plus, (&b, 1))).unwrap();
            graph.remove_duplicates().unwrap();
            graph.outputs(["uses"]);
            assert_eq!(graph.run().unwrap()[&uses], 10);
            graph.reset(["uses"]).unwrap();
            let done = graph.run().unwrap();
            assert_eq!(told(&done), ["a: done", "b: done", "uses: done"]);
            assert_eq!(done[&uses], 10);
            // Wanted itself only now.
            graph.outputs(["a", "b", "uses"]);
            graph.reset(["b"]).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done.get(&b), done.get(&uses)), (Some(&9), Some(&10)));
            graph.reset(["a"]).unwrap();
            assert_eq!(graph.run().unwrap()[&a], 9);
        });
        assert!(calls >= 2, "{calls}");
    });
}

/// AM-11, TM-13: a task that is replaced does what it is told from then on, and so do those that were equal to it.
#[test]
fn a_replaced_task_is_equal_to_none_any_more() {
    within(60, || {
        for replaced in ["a", "b"] {
            let mut graph = Graph::new();
            let a = graph.add("a", task(square, 3)).unwrap();
            let b = graph.add("b", task(square, 3)).unwrap();
            let c = graph.add("c", task(square, 3)).unwrap();
            graph.remove_duplicates().unwrap();
            graph.run().unwrap();
            graph.replace(replaced, task(square, 5)).unwrap();
            let done = graph.run().unwrap();
            let expected = if replaced == "a" { (25, 9, 9) } else { (9, 25, 9) };
            assert_eq!((done[&a], done[&b], done[&c]), expected, "{replaced} was replaced");
        }
    });
}

/// AM-11, TM-14: a task that shares the result of one marked as done without a value is told to lack it.
#[test]
fn a_task_equal_to_one_without_a_value_is_not_done_without_one() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("a", task(square, 3)).unwrap();
        let b = graph.add("b", task(square, 3)).unwrap();
        graph.remove_duplicates().unwrap();
        graph.mark_done_except(["b"]).unwrap();
        match graph.run() {
            Ok(done) => assert_eq!(done[&b], 9),
            Err(error) => assert!(matches!(&error.faults()[0], GraphFault::NoValue { .. }), "{error}"),
        }
    });
}

/// TM-13: a replaced task is run, and so is everything that needs it; what it waits for and costs is new as well.
#[test]
fn a_replaced_task_is_run_with_its_descendants() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let one = graph.add("one", task(square, 1).cost(5.0)).unwrap();
            let two = graph.add("two", task(plus, (&one, 1))).unwrap();
            graph.add_named("three", plus, ["two", "one"]);
            let alone = graph.add("alone", task(square, 2)).unwrap();
            graph.run().unwrap();
            let again = graph.replace("two", task(plus_io, (&alone, 6))).unwrap();
            assert_eq!(graph.done(), ["one", "alone"], "{plan}");
            let done = graph.run().unwrap();
            // Both handles are of the task as it is now.
            assert_eq!((done[&two], done[&again]), (10, 10), "{plan}");
            assert_eq!(done.value::<i64>("three").unwrap(), &11, "{plan}");
            graph.replace("three", task(square, &one).cost(1.0)).unwrap();
            assert_eq!(graph.run().unwrap().value::<i64>("three").unwrap(), &1, "{plan}");
        });
    });
}

/// TM-13: a task is replaced by one with the same type of result only; otherwise the graph stays as it was.
#[test]
fn a_replacement_must_have_the_same_type() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("one", task(square, 1)).unwrap();
        let error = graph.replace("one", task(io_bound(|| "text"), ())).unwrap_err();
        assert!(
            matches!(&error.faults()[0], GraphFault::ResultType { task, result: "i64", given: "&str", .. } if task == "one"),
            "{error}"
        );
        let error = graph.replace("ones", task(square, 2)).unwrap_err();
        assert_eq!(error.to_string(), "replace `ones`: there is no such task; did you mean `one`?");
        assert_eq!(graph.run().unwrap().value::<i64>("one").unwrap(), &1);
    });
}

/// AM-14, TM-07: a task runs where its function's mark says: in a worker process, on a thread, or in the calling thread.
#[test]
fn tasks_run_where_their_marks_say() {
    type Place = (u32, thread::ThreadId);
    fn place() -> Place {
        (std::process::id(), thread::current().id())
    }

    within(60, || {
        let caller = place();
        with_plan(Plan::processes(1), || {
            let mut graph = Graph::new();
            let computes = graph.add("computes", task(cpu_bound(std::process::id), ())).unwrap();
            let waits = graph.add("waits", task(io_bound(place), ())).unwrap();
            let after = |_: u32, _: Place| place();
            let inputs = (&computes, &waits);
            let in_place = graph.add("in place", task(xfork::r#unsafe(after), inputs)).unwrap();
            graph.add_named("in place by name", xfork::r#unsafe(after), ["computes", "waits"]);
            let done = graph.run().unwrap();
            assert_ne!(done[&computes], caller.0);
            assert_eq!(done[&waits].0, caller.0);
            assert_ne!(done[&waits].1, caller.1);
            assert_eq!(done[&in_place], caller);
            assert_eq!(done.value::<Place>("in place by name").unwrap(), &caller);
        });
        every_plan(|plan| {
            let mut graph = Graph::new();
            let first = graph.add("first", task(square, 2)).unwrap();
            let here = graph.add("here", task(xfork::r#unsafe(|_: i64| place()), &first)).unwrap();
            let next = graph.add("next", task(io_bound(|_: Place| 1), &here)).unwrap();
            let last = graph.add("last", task(xfork::r#unsafe(|_: i32| place()), &next)).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&here], done[&last]), (caller, caller), "{plan}");
        });
    });
}

/// A graph, built and run.
fn sum_of_squares(n: i64) -> i64 {
    let mut graph = Graph::new();
    let squares: Vec<_> = (0..n).map(|n| graph.add(n.to_string(), task(square, n)).unwrap()).collect();
    let sum = graph.add("sum", task(total, squares)).unwrap();
    graph.run().unwrap()[&sum]
}

#[cpu_bound]
fn graph_in_a_worker(n: i64) -> i64 {
    sum_of_squares(n)
}

/// AM-14: a graph is run inside a task, on a thread and in a worker process, and inside a task of another graph.
#[test]
fn a_graph_is_run_inside_a_task() {
    within(120, || {
        every_plan(|plan| {
            assert_eq!(xfork::thread(|| sum_of_squares(5), ()), 30, "{plan}");
            assert_eq!(process(graph_in_a_worker, 5), 30, "{plan}");
            let mut graph = Graph::new();
            let inner = graph.add("in a worker", task(graph_in_a_worker, 4)).unwrap();
            let thread = graph.add("on a thread", task(io_bound(sum_of_squares), &inner)).unwrap();
            let here = graph.add("in place", task(xfork::r#unsafe(sum_of_squares), 3)).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&inner], done[&thread], done[&here]), (14, 819, 5), "{plan}");
        });
    });
}

/// XF-45 for graphs: threads that know nothing of each other run graphs at once, on the same workers.
#[test]
fn graphs_are_run_by_several_threads_at_once() {
    within(120, || {
        thread::scope(|scope| {
            let threads: Vec<_> = (1..=8)
                .map(|n| scope.spawn(move || (0..5).map(|_| sum_of_squares(n)).sum::<i64>()))
                .collect();
            for (n, thread) in (1..=8).zip(threads) {
                assert_eq!(thread.join().unwrap(), 5 * (n - 1) * n * (2 * n - 1) / 6);
            }
        });
    });
}

/// AM-23: values that only have to be `Send` go to threads, also from worker processes; only what is computed travels.
#[test]
fn what_runs_on_threads_need_not_travel() {
    within(60, || {
        let notes = Notes::default();
        let mut graph = Graph::new();
        let keeper = notes.clone();
        let shared = graph.add("shared", task(io_bound(move || keeper.clone()), ())).unwrap();
        let number = graph.add("number", task(square, 3)).unwrap();
        let writes = io_bound(|notes: Notes, n: i64| notes.add(&n.to_string()));
        graph.add("writes", task(writes, (&shared, &number))).unwrap();
        assert!(graph.run().unwrap().is_done());
        assert_eq!(notes.take(), ["9"]);
    });
}

/// TM-01: a graph, its errors and its results go from thread to thread.
#[test]
fn graphs_and_their_results_go_from_thread_to_thread() {
    fn sends<T: Send>() {}
    fn shares<T: Send + Sync>() {}
    sends::<Graph>();
    shares::<Outcomes>();
    shares::<Node<i64>>();
    shares::<Edge<i64>>();
    shares::<GraphError>();
    shares::<Monitor>();
    shares::<RunOptions>();
    within(60, || {
        let mut graph = Graph::new();
        let nine = graph.add("nine", task(square, 3)).unwrap();
        let done = thread::spawn(move || graph.run().unwrap()).join().unwrap();
        assert_eq!(done[&nine], 9);
    });
}

/// AM-14: results outlive the graph, and stay what they were when it is run again.
#[test]
fn results_stay_as_they_were() {
    within(60, || {
        let mut graph = Graph::new();
        let calls = Count::default();
        let count = calls.clone();
        let number = graph.add("number", task(io_bound(move || count.add()), ())).unwrap();
        let before = graph.results();
        let first = graph.run().unwrap();
        graph.reset(["number"]).unwrap();
        let second = graph.run().unwrap();
        drop(graph);
        assert_eq!((before.get(&number), first[&number], second[&number]), (None, 1, 2));
        assert!(matches!(before.of_node(&number), Outcome::NotRun));
    });
}

/// XF-41 for graphs: a task of a graph forks, and its forks are finished before what needs it starts.
#[test]
fn a_task_of_a_graph_may_fork() {
    within(60, || {
        every_plan(|plan| {
            let ended = Count::default();
            let count = ended.clone();
            let forks = move || {
                for _ in 0..5 {
                    let count = count.clone();
                    fork(io_bound(move || _ = count.add()), ());
                }
            };
            let count = ended.clone();
            let mut graph = Graph::new();
            let forks = graph.add("forks", task(io_bound(forks), ())).unwrap();
            let seen = graph.add("seen", task(io_bound(move || count.get()), ()).after(&forks)).unwrap();
            assert_eq!(graph.run().unwrap()[&seen], 5, "{plan}");
        });
    });
}

/// XF-48 for graphs: a node means nothing outside of its graph, and says so.
#[test]
fn a_node_is_no_argument_of_a_fork() {
    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 1)).unwrap();
        let failed = task(plus_io, (&one, 1)).fork();
        let text = wait(&failed).unwrap_err().message().into_owned();
        assert!(text.contains("add the task to that graph, by `Graph::add`"), "{text}");
    });
}
