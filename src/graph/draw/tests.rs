//! Makers of pictures, and what holds of every SVG.

use super::*;
use proptest::prelude::*;

pub(super) fn node(name: &str) -> DrawnNode {
    DrawnNode { name: name.into(), detail: String::new(), state: Look::NotRun, kind: NodeKind::Cpu }
}

pub(super) fn edge(from: u32, to: u32) -> DrawnEdge {
    DrawnEdge { from, to, kind: EdgeKind::Value, label: String::new() }
}

pub(super) fn picture(names: &[&str], pairs: &[(u32, u32)]) -> Picture {
    Picture {
        title: None,
        nodes: names.iter().map(|name| node(name)).collect(),
        edges: pairs.iter().map(|(from, to)| edge(*from, *to)).collect(),
    }
}

pub(super) fn chain(length: u32) -> Picture {
    let nodes = (0..length).map(|at| node(&format!("step {at}"))).collect();
    Picture { title: None, nodes, edges: (1..length).map(|to| edge(to - 1, to)).collect() }
}

/// Edges lead at most 100 nodes on.
pub(super) fn random_dag(count: u32, edges: usize, seed: u64) -> Picture {
    let mut state = seed | 1;
    let mut next = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % u64::from(below)) as u32
    };
    let nodes = (0..count).map(|at| node(&format!("t{at}"))).collect();
    let edges = (0..edges)
        .map(|_| {
            let to = 1 + next(count - 1);
            edge(to - 1 - next(to.min(100)), to)
        })
        .collect();
    Picture { title: None, nodes, edges }
}

fn parsed(svg: &str) -> roxmltree::Document<'_> {
    roxmltree::Document::parse(svg).expect("the picture is well-formed XML")
}

type Rect = (f64, f64, f64, f64);

/// Where the boxes of the tasks are: left, top, right, bottom.
fn boxes(svg: &str) -> Vec<Rect> {
    let document = parsed(svg);
    let number = |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    document
        .descendants()
        .filter(|node| node.attribute("id").is_some_and(|id| id.starts_with("task-")))
        .map(|task| {
            let rect = task.children().rfind(|child| child.has_tag_name("rect")).expect("a box");
            let (x, y) = (number(rect, "x"), number(rect, "y"));
            (x, y, x + number(rect, "width"), y + number(rect, "height"))
        })
        .collect()
}

/// The points of each edge's path, control points of curves among them.
fn paths(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let document = parsed(svg);
    let groups =
        document.descendants().filter(|node| node.has_tag_name("g") && node.attribute("stroke").is_some());
    let edges = groups.flat_map(|group| group.children().filter(|child| child.has_tag_name("path")));
    edges.map(|edge| points(edge.attribute("d").unwrap())).collect()
}

fn points(path: &str) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for part in path.split(['M', 'C', 'V']).filter(|part| !part.is_empty()) {
        let numbers: Vec<f64> = part.split(' ').map(|number| number.parse().unwrap()).collect();
        match numbers.as_slice() {
            [y] => points.push((points.last().map_or(0.0, |at: &(f64, f64)| at.0), *y)),
            more => points.extend(more.chunks(2).map(|pair| (pair[0], pair[1]))),
        }
    }
    points
}

fn acyclic() -> impl Strategy<Value = Picture> {
    (1_u32..40).prop_flat_map(|count| {
        prop::collection::vec((0..count, 0..count, any::<bool>(), 0_usize..3), 0..80).prop_map(move |pairs| {
            Picture {
                title: Some("any".into()),
                nodes: (0..count).map(|at| node(&"name ".repeat(at as usize % 5))).collect(),
                edges: pairs
                    .into_iter()
                    .filter(|(a, b, ..)| a != b)
                    .map(|(a, b, is_value, label)| DrawnEdge {
                        kind: if is_value { EdgeKind::Value } else { EdgeKind::OrderOnly },
                        label: "9 ms ".repeat(label),
                        ..edge(a.min(b), a.max(b))
                    })
                    .collect(),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_two_boxes_overlap(picture in acyclic()) {
        let boxes = boxes(&svg(&picture));
        prop_assert_eq!(boxes.len(), picture.nodes.len());
        for (at, a) in boxes.iter().enumerate() {
            for b in &boxes[at + 1..] {
                prop_assert!(a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1, "{:?} {:?}", a, b);
            }
        }
    }

    #[test]
    fn every_edge_leads_down_from_its_node_to_its_node(picture in acyclic()) {
        let text = svg(&picture);
        let (boxes, paths) = (boxes(&text), paths(&text));
        let by_kind = |kind| picture.edges.iter().filter(move |edge| edge.kind == kind);
        let edges: Vec<&DrawnEdge> = by_kind(EdgeKind::Value).chain(by_kind(EdgeKind::OrderOnly)).collect();
        prop_assert_eq!(edges.len(), paths.len());
        for (edge, path) in edges.iter().zip(&paths) {
            let (from, to) = (boxes[edge.from as usize], boxes[edge.to as usize]);
            let (first, last) = (path[0], path[path.len() - 1]);
            prop_assert!(path.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", path);
            prop_assert!((first.1 - from.3).abs() < 0.2 && from.0 < first.0 && first.0 < from.2);
            // The arrow's head stands between.
            prop_assert!((to.1 - last.1 - 6.0).abs() < 0.2 && to.0 < last.0 && last.0 < to.2);
        }
    }

    #[test]
    fn no_edge_touches_a_node_that_is_not_its_own(picture in acyclic()) {
        let text = svg(&picture);
        let boxes = boxes(&text);
        for path in paths(&text) {
            for pair in path.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
                for (left, top, right, bottom) in &boxes {
                    let (x, y0, y1) = (pair[0].0, pair[0].1 + 0.2, pair[1].1 - 0.2);
                    prop_assert!(x < *left || x > *right || y1 < *top || y0 > *bottom || y0 >= y1);
                }
            }
        }
    }

    #[test]
    fn the_same_picture_gives_the_same_text(picture in acyclic()) {
        prop_assert_eq!(svg(&picture), svg(&picture.clone()));
    }

    #[test]
    fn any_text_gives_well_formed_pictures(
        texts in prop::collection::vec(any::<String>(), 1..6), looks in prop::collection::vec(0_usize..5, 6), cyclic: bool
    ) {
        let kinds = NodeKind::ALL;
        let nodes: Vec<DrawnNode> = texts.iter().enumerate().map(|(at, text)| DrawnNode {
            name: text.clone(), detail: text.clone(), state: Look::ALL[looks[at]], kind: kinds[at % 5],
        }).collect();
        let count = nodes.len() as u32;
        let mut edges: Vec<DrawnEdge> = (0..count).map(|at| DrawnEdge { label: texts[0].clone(), ..edge(at, at + 1) }).collect();
        if cyclic {
            edges.push(edge(count - 1, 0));
        }
        parsed(&svg(&Picture { title: Some(texts[0].clone()), nodes, edges }));
        let bars = texts.iter().enumerate().map(|(at, text)| Bar {
            name: text.clone(), start: at as f64, finish: at as f64 + 1.5, look: Look::ALL[looks[at]],
        });
        let row = GanttRow { name: texts[0].clone(), bars: bars.collect() };
        let chart = GanttChart { heading: texts[0].clone(), rows: vec![row] };
        parsed(&gantt(&Gantt { title: texts.last().cloned(), unit: TimeUnit::Seconds, charts: vec![chart] }));
    }
}

#[test]
fn an_empty_graph_says_so() {
    let text = svg(&Picture::default());
    parsed(&text);
    assert!(text.contains("There are no tasks."));
}

#[test]
fn a_chain_of_a_hundred_thousand_tasks_is_drawn() {
    let text = svg(&chain(100_000));
    assert_eq!(boxes(&text).len(), 40);
    assert!(text.contains("100\u{a0}000 tasks"));
}

#[test]
fn an_edge_over_a_long_chain_is_drawn() {
    let mut long = chain(50_000);
    long.edges.push(edge(0, 49_999));
    assert_eq!(boxes(&svg(&long)).len(), 40);
}

#[test]
fn parts_stand_side_by_side() {
    let boxes = boxes(&svg(&picture(&["a", "b", "c", "d"], &[(0, 1), (2, 3)])));
    assert_eq!(boxes[0].1, boxes[2].1);
    assert!(boxes[0].2 < boxes[2].0 && boxes[1].2 < boxes[3].0);
}

#[test]
fn states_are_told_by_more_than_colour() {
    let mut states = picture(&["a", "b"], &[]);
    (states.nodes[0].state, states.nodes[1].state) = (Look::Failed, Look::Skipped);
    let text = svg(&states);
    assert!(text.contains(Look::Failed.mark().unwrap()) && text.contains("stroke-dasharray=\"5 3\""));
    assert!(
        text.contains(">failed</text>") && text.contains(">skipped</text>") && !text.contains(">done</text>")
    );
}

fn bar(name: &str, start: f64, finish: f64) -> Bar {
    Bar { name: name.into(), start, finish, look: Look::Done }
}

fn one_chart(bars: Vec<Bar>) -> Gantt {
    let rows = vec![GanttRow { name: "worker 0".into(), bars }];
    Gantt {
        title: None,
        unit: TimeUnit::Seconds,
        charts: vec![GanttChart { heading: "measured".into(), rows }],
    }
}

fn fill_of<'a>(document: &'a roxmltree::Document<'_>, name: &str) -> Vec<&'a str> {
    let titles = document.descendants().filter(|node| node.has_tag_name("title"));
    let named = titles.filter(|title| title.text().is_some_and(|text| text.starts_with(&format!("{name}:"))));
    named.filter_map(|title| title.parent().unwrap().attribute("fill")).collect()
}

#[test]
fn a_task_has_the_same_colour_in_plan_and_run() {
    let mut both = one_chart(vec![bar("a", 0.0, 1.0), bar("b", 1.0, 2.0), bar("c", 2.0, 2.5)]);
    let mut run = one_chart(vec![bar("b", 0.0, 1.5), bar("c", 1.5, 2.0), bar("a", 2.0, 3.0)]).charts;
    both.charts.append(&mut run);
    let text = gantt(&both);
    let document = parsed(&text);
    for name in ["a", "b", "c"] {
        let fills = fill_of(&document, name);
        assert!(fills.len() == 2 && fills[0] == fills[1], "{fills:?}");
    }
    assert_ne!(fill_of(&document, "a"), fill_of(&document, "b"));
}

#[test]
fn tooltips_say_name_start_finish_and_duration() {
    let text = gantt(&one_chart(vec![bar("count", 0.001, 0.0035)]));
    assert!(text.contains("<title>count: 1\u{a0}ms to 3.5\u{a0}ms, takes 2.5\u{a0}ms</title>"), "{text}");
    assert!(text.contains("finished after 3.5\u{a0}ms"));
    assert!(text.contains("71 % busy"));
}

#[test]
fn narrow_neighbours_are_one_bar_and_failures_among_them_show() {
    let mut bars: Vec<Bar> = (0..10_000).map(|at| bar("t", f64::from(at), f64::from(at) + 1.0)).collect();
    bars[500].look = Look::Failed;
    let text = gantt(&one_chart(bars));
    let document = parsed(&text);
    let pieces = document.descendants().filter(|node| node.has_tag_name("rect")).count();
    assert!(pieces < 1_000, "{pieces}");
    assert!(text.contains("(failed)"));
}

#[test]
fn overlapping_tasks_of_a_worker_stand_under_each_other() {
    let text = gantt(&one_chart(vec![bar("outer", 0.0, 10.0), bar("inner", 2.0, 5.0)]));
    let document = parsed(&text);
    let top = |name: &str| {
        let titles = document.descendants().filter(|node| node.has_tag_name("title"));
        let title =
            titles.into_iter().find(|title| title.text().is_some_and(|text| text.starts_with(name))).unwrap();
        title.parent().unwrap().attribute("y").unwrap().parse::<f64>().unwrap()
    };
    assert!((top("inner:") - top("outer:") - 22.0).abs() < 1e-6);
}

#[test]
fn times_that_are_no_times_are_left_out_and_counted() {
    let text = gantt(&one_chart(vec![bar("a", 0.0, 1.0), bar("b", f64::NAN, 1.0), bar("c", 2.0, 1.0)]));
    parsed(&text);
    assert!(text.contains("2 tasks without a valid time are left out"));
    assert!(!text.contains("NaN"));
}

#[test]
fn charts_of_different_lengths_have_axes_of_their_own() {
    let mut both = one_chart(vec![bar("a", 0.0, 1.0)]);
    both.charts.append(&mut one_chart(vec![bar("a", 0.0, 50.0)]).charts);
    assert!(gantt(&both).contains(">50\u{a0}s<") && gantt(&both).contains(">0.2\u{a0}s<"));
    both.charts[1].rows[0].bars[0].finish = 5.0;
    assert!(!gantt(&both).contains(">0.2\u{a0}s<"));
}
