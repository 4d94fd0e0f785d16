//! What is shown of expressions of all sizes and states.

use super::look::{one_line, short_name};
use super::{Explanation, grouped};
use crate::fork::{fork, map, process, thread};
use crate::proxy::{ResultProxy, lazy, ready, wait};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn shown<T: Send + 'static>(proxy: &ResultProxy<T>) -> String {
    ResultProxy::explain(proxy).to_string().replace(file!(), "F")
}

/// The lines without the places, which follow a comma.
fn outline<T: Send + 'static>(proxy: &ResultProxy<T>) -> Vec<String> {
    shown(proxy).lines().map(|line| line.split(", ").next().unwrap().to_string()).collect()
}

/// Of each node, by their names.
type Attributes = HashMap<String, HashMap<String, String>>;

/// A graph read back: the attributes of each node, and the edges in their order.
fn parsed(dot: &str) -> (Attributes, Vec<(String, String)>) {
    let body = dot.strip_prefix("digraph explanation {\n").and_then(|dot| dot.strip_suffix("}\n"));
    let (mut nodes, mut edges) = (HashMap::new(), Vec::new());
    for line in body.expect("a graph").lines().skip(2) {
        let line = line.strip_prefix("  ").and_then(|line| line.strip_suffix(';')).expect("a statement");
        if let Some((from, to)) = line.split_once(" -> ") {
            edges.push((from.to_string(), to.to_string()));
            continue;
        }
        let (name, rest) = line.split_once(" [").expect("attributes");
        let mut attributes = HashMap::new();
        let mut rest = rest.strip_suffix(']').expect("an end");
        while !rest.is_empty() {
            let (key, value) = rest.split_once('=').expect("a value");
            let end = match value.strip_prefix('"') {
                None => value.find(", ").unwrap_or(value.len()),
                Some(inside) => {
                    let mut escaped = false;
                    let end = inside.find(|c| {
                        let ends = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        ends
                    });
                    end.expect("the string ends") + 2
                }
            };
            attributes.insert(key.to_string(), value[..end].to_string());
            rest = value[end..].strip_prefix(", ").unwrap_or(&value[end..]);
        }
        assert!(nodes.insert(name.to_string(), attributes).is_none(), "{name} is there twice");
    }
    for (from, to) in &edges {
        assert!(nodes.contains_key(from) && nodes.contains_key(to), "{from} -> {to}");
    }
    (nodes, edges)
}

fn held() -> (ResultProxy<u64>, std::sync::mpsc::Sender<()>) {
    let (go, gate) = channel();
    let (tell, began) = channel();
    let stop = move |gate: Receiver<()>| {
        tell.send(()).unwrap();
        gate.recv().unwrap();
        7_u64
    };
    let running = thread(move || stop(gate), ());
    began.recv().unwrap();
    (running, go)
}

#[test]
fn operators_are_shown_above_their_operands() {
    let line = line!() + 1;
    let sum = (ready(1_i32) + ready(2_i32)) * 3 - (4 / ready(2_i32));
    let expected = format!(
        "\
-  deferred, F:{line}:15
├─ *  deferred, F:{line}:15
│  ├─ +  deferred, F:{line}:15
│  │  ├─ ready 1
│  │  └─ ready 2
│  └─ 3
└─ /  deferred, F:{line}:51
   ├─ 4
   └─ ready 2
"
    );
    assert_eq!(shown(&sum), expected);
    assert_eq!(sum, 7);
}

#[test]
fn a_value_on_the_right_of_the_operator_is_shown_there() {
    let (sum, more) = (ready(1_i32) + ready(2), ready(9_i32));
    let difference = &more - (10 - sum);
    let lines = ["-  deferred", "├─ ready 9", "└─ -  deferred", "   ├─ 10", "   └─ +  deferred"];
    assert_eq!(outline(&difference)[..5], lines);
    let mut power = ready(2_i32) + 1;
    for _ in 0..3 {
        power = 5 - power;
    }
    let lines = ["- 3 times  deferred", "├─ 5", "├─ 5", "├─ 5", "└─ +  deferred", "   ├─ ready 2", "   └─ 1"];
    assert_eq!(outline(&power), lines);
    assert_eq!((*difference, *power), (2, 2));
}

#[test]
fn what_is_shared_is_shown_once_and_then_by_its_number() {
    let base = ready(2_i32) + 3;
    let square = &base * &base;
    let all = &square + &base + &square;
    // The place of both additions is where the first one begins, so they are one run.
    let expected = [
        "+ 2 times  deferred",
        "├─ #1 *  deferred",
        "│  ├─ #2 +  deferred",
        "│  │  ├─ ready 2",
        "│  │  └─ 3",
        "│  └─ #2 (as above)",
        "├─ #2 (as above)",
        "└─ #1 (as above)",
    ];
    assert_eq!(outline(&all), expected);
    let (nodes, edges) = parsed(&ResultProxy::explain(&all).to_dot());
    assert_eq!((nodes.len(), edges.len()), (5, 7));
    assert_eq!(all, 55);
}

#[test]
fn a_long_chain_is_one_node() {
    let mut sum = ready(0_u64);
    for n in 0..1_000_000 {
        sum += n;
    }
    let begin = Instant::now();
    let text = outline(&sum);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let expected =
        ["+ 1 000 000 times  deferred", "├─ ready 0", "├─ 0", "├─ 1", "├─ … 999 997 more", "└─ 999999"];
    assert_eq!(text, expected);
    assert_eq!(sum, 499_999_500_000);
}

#[test]
fn a_long_chain_of_different_operators_keeps_its_ends() {
    let mut sum = ready(1_i64);
    for n in 0..100_000 {
        sum += n;
        sum -= n;
    }
    let text = shown(&sum);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() <= 60 && lines[0].starts_with("-  deferred"), "{text}");
    assert!(lines[2].trim_start().starts_with("│  ├─ -  deferred"), "{text}");
    assert!(text.contains("─ … 199 978 more\n") && text.contains("─ ready 1\n"), "{text}");
    assert!(lines.last().unwrap().contains("└─ 99999"), "{text}");
    parsed(&ResultProxy::explain(&sum).to_dot());
    assert_eq!(sum, 1);
}

#[test]
fn many_operands_are_shown_by_the_first_and_the_last() {
    let sum: ResultProxy<u64> = (0..10_000_u64).map(|n| ready(n) * 2).sum();
    let text = outline(&sum);
    assert_eq!(text[0], "sum 10 000 operands  deferred");
    assert_eq!(text.len(), 1 + 5 + 4 * 2, "{text:#?}");
    assert_eq!(text[10], "├─ … 9 996 more");
    assert_eq!(text[12], "   ├─ ready 9999");
}

#[test]
fn a_deep_expression_needs_little_stack_and_few_lines() {
    let mut deep = ready(0_u64) + 1;
    let mut shared = Vec::new();
    for _ in 0..90_000 {
        // The pointer keeps the operators from joining into one run.
        shared.push(deep.clone());
        deep += 1;
    }
    let explain = move || (ResultProxy::explain(&deep), deep);
    let small = std::thread::Builder::new().stack_size(64 * 1024);
    let (explanation, deep) = small.spawn(explain).unwrap().join().unwrap();
    let text = explanation.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 60 && lines[0].starts_with("+  deferred"), "{text}");
    let of_all = 2 * 90_001;
    assert_eq!(lines[59], format!("… {} more", grouped(of_all + 1 - 59)), "{text}");
    assert_eq!(lines.iter().filter(|line| line.ends_with(" …")).count(), 1, "{text}");
    let (nodes, edges) = parsed(&explanation.to_dot());
    assert!(nodes.contains_key("cut") && edges.iter().any(|(_, to)| to == "cut"));
    assert_eq!(deep, 90_001);
}

#[test]
fn what_is_too_large_to_be_counted_is_more_than_some() {
    let mut deep = ready(0_u64) + 1;
    let mut shared = Vec::new();
    for _ in 0..110_000 {
        shared.push(deep.clone());
        deep += 1;
    }
    let text = shown(&deep);
    assert!(text.lines().last().unwrap().starts_with("… more than 200 "), "{text}");
}

#[test]
fn a_failed_operand_says_why() {
    let line = line!() + 1;
    let failed = thread(|| -> u64 { panic!("no\nluck") }, ());
    wait(&failed).unwrap_err();
    let sum = &failed + 1;
    let text = shown(&sum);
    let said = text.lines().nth(1).unwrap();
    let begin = format!("├─ closure in a_failed_operand_says_why  failed, forked at F:{line}:18: task `");
    assert!(said.starts_with(&begin), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    wait(&sum).unwrap_err();
    assert!(shown(&sum).starts_with("failed: task `"), "{}", shown(&sum));
}

#[test]
fn tasks_say_how_far_they_are() {
    fn twice(n: u64) -> u64 {
        2 * n
    }
    let (running, go) = held();
    let waits = process(twice, &running);
    let sum = &running + &waits;
    let expected = [
        "+  deferred",
        "├─ #1 closure in held  running",
        "└─ twice  waiting for inputs",
        "   └─ #1 (as above)",
    ];
    assert_eq!(outline(&sum), expected);
    let dot = ResultProxy::explain(&sum).to_dot();
    let (nodes, edges) = parsed(&dot);
    assert_eq!(nodes["n0"]["shape"], "circle");
    assert_eq!((&*nodes["n1"]["shape"], &*nodes["n1"]["fillcolor"]), ("box", "\"lightskyblue\""));
    let edge = |from: &str, to: &str| (from.to_string(), to.to_string());
    assert_eq!(edges, [edge("n0", "n1"), edge("n0", "n2"), edge("n2", "n1")]);
    go.send(()).unwrap();
    assert_eq!(sum, 21);
    assert_eq!(outline(&running), ["closure in held  ready 7"]);
}

#[test]
fn an_expression_that_is_being_evaluated_is_running() {
    let (tell, began) = channel();
    let (go, gate) = channel::<()>();
    let slow = lazy(move || {
        tell.send(()).unwrap();
        gate.recv().unwrap();
        1
    });
    let sum = &slow + 1;
    let same = slow.clone();
    let reader = std::thread::spawn(move || *same);
    began.recv().unwrap();
    assert_eq!(outline(&sum)[1], "├─ expression  running");
    go.send(()).unwrap();
    assert_eq!((reader.join().unwrap(), *sum), (1, 2));
}

#[test]
fn a_value_may_be_explained_while_it_is_evaluated() {
    for _ in 0..50 {
        let terms: Vec<_> = (0..200_u64).map(|n| ready(n) + 1).collect();
        let mut sum: ResultProxy<u64> = terms.iter().sum();
        for term in &terms {
            sum += term;
        }
        let other = sum.clone();
        let reader = std::thread::spawn(move || *other);
        for _ in 0..10 {
            let explanation = ResultProxy::explain(&sum);
            assert!(explanation.to_string().lines().count() <= 60);
            parsed(&explanation.to_dot());
        }
        assert_eq!(reader.join().unwrap(), 2 * (199 * 100 + 200));
        assert_eq!(sum, 2 * (199 * 100 + 200));
        assert_eq!(shown(&sum), "ready 40200\n");
    }
}

#[test]
fn nothing_is_evaluated_and_no_code_of_the_users_runs() {
    #[derive(Clone)]
    struct Loud;
    impl std::fmt::Debug for Loud {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("nobody asked for that")
        }
    }
    let never = lazy(|| -> Loud { panic!("nobody needs it") });
    let pair = ResultProxy::zip(ready(Loud), never);
    let line = outline(&pair);
    assert_eq!(line[..2], ["zip  deferred", "├─ ready Loud"]);
    assert!(line[2].starts_with("└─ lazy  deferred"), "{line:?}");
    drop(map(|n: u64| n, [1, 2]));
}

#[test]
fn the_same_state_gives_the_same_picture() {
    let terms: Vec<_> = (0..30_u64).map(|n| ready(n) + 1).collect();
    let sum = terms.iter().fold(ready(0), |sum, term| sum + term * &terms[0]);
    let pictures = |explanation: Explanation| (explanation.to_string(), explanation.to_dot());
    let first = pictures(ResultProxy::explain(&sum));
    assert_eq!(pictures(ResultProxy::explain(&sum).clone()), first);
    assert!(first.0.lines().count() <= 60);
}

#[test]
fn names_are_short_and_harmless() {
    for (name, short) in [
        ("app::tools::fib", "fib"),
        ("app::main::{{closure}}", "closure in main"),
        ("app::main::{{closure}}::{{closure}}", "closure in main"),
        ("app::f<alloc::vec::Vec<u8>, app::X>", "f<Vec<u8>, X>"),
        ("ResultProxy::on_ready", "on_ready"),
        ("a deferred argument", "a deferred argument"),
        ("fib\n\u{1b}[31m", "fib \\u{1b}[31m"),
    ] {
        assert_eq!(short_name(name), short);
    }
    assert_eq!(one_line(&"é".repeat(1000)).chars().count(), 161);
    assert_eq!(grouped(1_234_567), "1 234 567");
    let odd = fork(|text: String| text, "a\"b\\\n;]}");
    assert!(!odd.is_empty());
    let (nodes, _) = parsed(&ResultProxy::explain(&odd).to_dot());
    assert!(nodes["n0"]["label"].ends_with("a\\\\\\\"b\\\\\\\\\\\\n;]}\\\"\""), "{:?}", nodes["n0"]);
}
