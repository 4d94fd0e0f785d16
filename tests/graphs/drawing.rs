//! Pictures: names, states and edges are in them, whatever the names are.

use crate::fixture::{plus, square};
use crate::within;
use xfork::{Graph, Heft, Plan, io_bound, task, with_plan};

/// A graph of which one task is done, one fails, one is skipped and one follows in time only.
fn small() -> Graph {
    let mut graph = Graph::new();
    let number = graph.add("number", task(square, 3).cost(2.5)).unwrap();
    let fails =
        graph.add("fails", task(io_bound(|_: i64| -> i64 { panic!("no") }), number.comm_cost(7.5))).unwrap();
    graph.add("skipped", task(plus, (&number, &fails))).unwrap();
    graph.add("later", task(xfork::r#unsafe(|| 1), ()).after(&number)).unwrap();
    graph
}

/// AM-22: DOT has a node for each task and an edge for each result, dashed where only the order matters.
#[test]
fn dot_has_names_edges_and_costs() {
    within(60, || {
        let text = small().to_dot().unwrap();
        assert!(text.starts_with("digraph") && text.ends_with("}\n"), "{text}");
        for part in ["label=\"number", "label=\"fails", "cost 2.5", "n0 -> n1", "n0 -> n2", "n1 -> n2", "7.5"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let dashed = text.lines().find(|line| line.contains("n0 -> n3")).unwrap();
        assert!(dashed.contains("dashed"), "{text}");
        assert!(!text.lines().find(|line| line.contains("n0 -> n2")).unwrap().contains("dashed"), "{text}");
        assert_eq!(text.matches("(not run)").count(), 4, "{text}");
    });
}

/// AM-22: after a run the states are shown, in every language.
#[test]
fn states_are_shown_after_a_run() {
    within(60, || {
        let mut graph = small();
        let done = with_plan(Plan::threads(), || graph.run().unwrap());
        assert_eq!((done.failed().count(), done.skipped().count()), (1, 1));
        let dot = graph.to_dot().unwrap();
        let mermaid = graph.to_mermaid().unwrap();
        let svg = graph.to_svg().unwrap();
        let picture = roxmltree::Document::parse(&svg).unwrap();
        let words: Vec<&str> = picture.descendants().filter_map(|node| node.text()).collect();
        for (number, (name, state)) in
            [("number", "done"), ("fails", "failed"), ("skipped", "skipped"), ("later", "done")]
                .iter()
                .enumerate()
        {
            assert!(dot.contains(&format!("tooltip=\"{name} ({state})\"")), "{dot}");
            let line = mermaid.lines().find(|line| line.starts_with(&format!("  n{number}"))).unwrap();
            assert!(line.contains(name) && line.ends_with(&format!(":::{state}")), "{mermaid}");
            assert!(words.iter().any(|word| word == name), "{svg}");
            assert!(words.iter().any(|word| word.contains(name) && word.contains(state)), "{words:?}");
        }
        // What is measured stands in the place of what was said.
        assert!(!dot.contains("cost 2.5"), "{dot}");
    });
}

/// AM-22: the edges of Mermaid.
#[test]
fn mermaid_has_names_and_edges() {
    within(60, || {
        let text = small().to_mermaid().unwrap();
        assert!(text.starts_with("flowchart TD\n"));
        for part in
            ["n0[\"number", "n1[/\"fails", "n3[[\"later", "n0 -->|\"7.5\"| n1", "n0 --> n2", "n0 -.-> n3"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}

/// AM-22: the tasks of each worker of a schedule have a box of their own.
#[test]
fn a_schedule_is_drawn_with_a_box_for_each_worker() {
    within(60, || {
        let mut graph = Graph::new();
        for name in ["a", "b", "c"] {
            graph.add(name, task(square, 1).cost(1.0)).unwrap();
        }
        let plan = graph.schedule(Heft::new(2)).unwrap();
        let text = graph.to_dot_on(&plan).unwrap();
        for (worker, list) in plan.task_lists().iter().enumerate() {
            let (_, rest) = text.split_once(&format!("subgraph cluster_{worker} {{")).unwrap();
            let (inside, _) = rest.split_once('}').unwrap();
            for task in 0..3 {
                assert_eq!(inside.contains(&format!("n{task} [")), list.contains(&task), "{text}");
            }
        }
        let gantt = plan.gantt_svg();
        roxmltree::Document::parse(&gantt).unwrap();
        assert!(["worker 0", "worker 1", ">a<"].iter().all(|part| gantt.contains(part)), "{gantt}");
    });
}

/// AM-22: names may be anything: pictures stay well-formed, and no name gets out of its place.
#[test]
fn hostile_names_stay_where_they_belong() {
    let names = [
        "\"]; n9 [label=\"gotcha",
        "</text><script>alert(1)</script>",
        "a\nb\r\nc\td",
        "n1 --> n2",
        "end",
        "subgraph x",
        "-->|\"x\"|",
        "\\\" \\n {|} <b>",
        "]]>&amp;&#0;",
        "\u{202e}\u{0}\u{fffe}",
        "",
        "  ",
        "🦀 ünïcödé",
        "%%{init: {}}%%",
    ];
    within(60, || {
        let mut graph = Graph::new();
        let mut last = None;
        for name in names {
            let node = match &last {
                None => graph.add(name, task(square, 1)),
                Some(before) => graph.add(name, task(square, before)),
            };
            last = Some(node.unwrap());
        }
        graph.add("long ".repeat(1000), task(square, 2)).unwrap();
        let plan = graph.schedule(Heft::new(2)).unwrap();
        let svg = graph.to_svg().unwrap();
        let picture = roxmltree::Document::parse(&svg).unwrap();
        assert!(!picture.descendants().any(|node| node.has_tag_name("script")));
        let dot = graph.to_dot().unwrap();
        // One line for each task and edge, whatever its name.
        let nodes = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('n')).count();
        assert_eq!(nodes(&dot), 1 + names.len() + 1 + names.len() - 1, "{dot}");
        let mermaid = graph.to_mermaid().unwrap();
        assert_eq!(nodes(&mermaid), names.len() + 1 + names.len() - 1, "{mermaid}");
        assert!(!mermaid.contains("<b>"), "{mermaid}");
        graph.to_dot_on(&plan).unwrap();
        let done = with_plan(Plan::threads(), || graph.run_schedule(&plan).unwrap());
        for chart in [done.gantt_svg(), plan.gantt_svg(), plan.gantt_svg_beside(&done)] {
            let picture = roxmltree::Document::parse(&chart).unwrap();
            assert!(!picture.descendants().any(|node| node.has_tag_name("script")));
        }
        // A task without a name is one all the same.
        assert!(done.value::<i64>("").is_ok() && done.value::<i64>("  ").is_ok());
    });
}

/// AM-22: a run is drawn as it was, beside the schedule that it was to follow.
#[test]
fn a_run_is_drawn_beside_its_schedule() {
    within(60, || {
        let mut graph = small();
        let plan = graph.schedule(Heft::new(2)).unwrap();
        let done = with_plan(Plan::threads(), || graph.run_schedule(&plan).unwrap());
        assert_eq!(done.failed().count(), 1);
        let both = plan.gantt_svg_beside(&done);
        roxmltree::Document::parse(&both).unwrap();
        assert!(
            ["planned", "measured", "worker 0", "number"].iter().all(|part| both.contains(part)),
            "{both}"
        );
        let run = done.gantt_svg();
        assert!(run.contains("fails") && run.contains("failed") && !run.contains("planned"), "{run}");
    });
}

/// Regression j: a large graph is drawn in a time and a size that can be looked at.
#[test]
fn a_large_graph_is_drawn() {
    within(60, || {
        let mut graph = Graph::new();
        let source = graph.add("source", task(square, 1)).unwrap();
        for n in 0..3_000_i64 {
            graph.add(format!("task {n}"), task(plus, (&source, n))).unwrap();
        }
        let svg = graph.to_svg().unwrap();
        roxmltree::Document::parse(&svg).unwrap();
        assert!(graph.to_dot().unwrap().contains("n0 -> n3000"));
        assert!(graph.to_mermaid().unwrap().contains("maxEdges 3000"));
    });
}
