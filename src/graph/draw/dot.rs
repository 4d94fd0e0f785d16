//! A picture in the language of Graphviz.
//!
//! Owns shapes, attributes and quoting. Each node is named by its number, so that its text may be anything.

use super::paint::INK;
use super::{DrawnNode, EdgeKind, Look, NodeKind, Picture, text};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Longer names are cut; the whole one is the tooltip. In characters.
const LONGEST: usize = 60;

/// The graph, its nodes filled by state.
pub(crate) fn dot(picture: &Picture) -> String {
    let mut out = head(picture);
    for (id, node) in picture.nodes.iter().enumerate() {
        write_node(&mut out, "  ", id, node);
    }
    write_edges(&mut out, picture);
    out.push_str("}\n");
    out
}

/// The graph with a box around the tasks of each worker. A task beyond the end of `worker_of`, or whose worker is
/// `u32::MAX`, stands outside of all boxes.
pub(crate) fn dot_of_schedule(picture: &Picture, worker_of: &[u32]) -> String {
    let mut out = head(picture);
    let mut by_worker: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for id in 0..picture.nodes.len() {
        by_worker.entry(worker_of.get(id).copied().unwrap_or(u32::MAX)).or_default().push(id);
    }
    for (worker, ids) in by_worker {
        let is_box = worker != u32::MAX;
        if is_box {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(out, "  subgraph cluster_{worker} {{");
            let _ = writeln!(out, "    label=\"worker {worker}\"; style=\"rounded\"; color=\"#8a92a0\";");
        }
        for id in ids {
            write_node(&mut out, if is_box { "    " } else { "  " }, id, &picture.nodes[id]);
        }
        if is_box {
            out.push_str("  }\n");
        }
    }
    write_edges(&mut out, picture);
    out.push_str("}\n");
    out
}

fn head(picture: &Picture) -> String {
    let mut out = String::from("digraph tasks {\n  graph [fontname=\"Helvetica\"");
    if let Some(title) = &picture.title {
        let _ = write!(out, ", labelloc=t, label={}", quoted(&text::plain(title)));
    }
    let _ = write!(
        out,
        "];\n  node [fontname=\"Helvetica\", fontsize=11, fontcolor=\"{INK}\"];\n  \
         edge [fontname=\"Helvetica\", fontsize=9, color=\"#6b7482\"];\n",
    );
    out
}

fn write_node(out: &mut String, indent: &str, id: usize, node: &DrawnNode) {
    let full = text::named(id, &node.name);
    let mut label = text::cut_to_chars(&full, LONGEST);
    if !node.detail.is_empty() {
        let _ = write!(label, "\n{}", text::cut_to_chars(&text::plain(&node.detail), LONGEST));
    }
    let paint = node.state.paint();
    let style = match (node.state, node.kind) {
        (Look::Skipped, _) => "filled,dashed",
        (_, NodeKind::Cpu) => "filled,rounded",
        _ => "filled",
    };
    let _ = writeln!(
        out,
        "{indent}n{id} [label={}, tooltip={}, shape={}, style=\"{style}\", fillcolor=\"{}\", color=\"{}\", penwidth={}];",
        quoted(&label),
        quoted(&format!("{full} ({})", node.state.words())),
        shape(node.kind),
        paint.fill,
        paint.stroke,
        paint.width,
    );
}

fn write_edges(out: &mut String, picture: &Picture) {
    for edge in picture.drawn_edges() {
        let _ = write!(out, "  n{} -> n{}", edge.from, edge.to);
        let label = (!edge.label.is_empty())
            .then(|| format!("label={}", quoted(&text::cut_to_chars(&text::plain(&edge.label), LONGEST))));
        let style = (edge.kind == EdgeKind::OrderOnly).then(|| String::from("style=dashed"));
        let attributes: Vec<String> = [label, style].into_iter().flatten().collect();
        if !attributes.is_empty() {
            let _ = write!(out, " [{}]", attributes.join(", "));
        }
        out.push_str(";\n");
    }
}

fn shape(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Cpu => "box",
        NodeKind::Io => "parallelogram",
        NodeKind::InPlace => "component",
        NodeKind::Operation => "hexagon",
        NodeKind::Input => "ellipse",
    }
}

/// As a string of the language. A backslash would begin one of its own escapes, and an ampersand an entity of HTML.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str("\\n"),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::DrawnEdge;
    use super::super::tests::{edge, node, picture};
    use super::*;
    use proptest::prelude::*;

    /// The strings of a text in the language, read by its rules, and what is left without them.
    fn strings(text: &str) -> (Vec<String>, String) {
        let (mut found, mut rest, mut inside) = (Vec::new(), String::new(), None::<String>);
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (&mut inside, letter) {
                (Some(string), '\\') => {
                    string.push('\\');
                    string.push(letters.next().expect("an escape is whole"));
                }
                (Some(_), '"') => found.extend(inside.take()),
                (Some(string), _) => string.push(letter),
                (None, '"') => inside = Some(String::new()),
                (None, _) => rest.push(letter),
            }
        }
        assert!(inside.is_none(), "every string ends");
        (found, rest)
    }

    #[test]
    fn quotes_backslashes_and_ampersands_are_escaped() {
        assert_eq!(quoted("a\"b\\N&lt;\n"), r#""a\"b\\N&amp;lt;\n""#);
    }

    #[test]
    fn order_only_edges_are_dashed() {
        let mut shown = picture(&["a", "b", "c"], &[(0, 1), (1, 2)]);
        shown.edges[1].kind = EdgeKind::OrderOnly;
        let text = dot(&shown);
        assert!(text.contains("n0 -> n1;"));
        assert!(text.contains("n1 -> n2 [style=dashed];"));
    }

    #[test]
    fn each_worker_is_a_cluster_and_the_rest_stands_outside() {
        let text = dot_of_schedule(&picture(&["a", "b", "c", "d"], &[(0, 1)]), &[1, 0, u32::MAX]);
        assert_eq!(text.matches("subgraph cluster_").count(), 2);
        assert!(text.contains("\n    n0 ["));
        assert!(text.contains("\n  n2 ["));
        assert!(text.contains("\n  n3 ["));
    }

    #[test]
    fn edges_without_both_ends_are_left_out() {
        let mut shown = picture(&["a"], &[]);
        shown.edges = vec![edge(0, 1), edge(7, 0), edge(0, 0)];
        assert!(!dot(&shown).contains("->"));
    }

    proptest! {
        #[test]
        fn any_name_stays_inside_its_string(name in any::<String>(), detail in any::<String>(), title in any::<String>()) {
            let mut shown = picture(&["a"], &[]);
            shown.title = Some(title);
            shown.nodes = vec![DrawnNode { detail, ..node(&name) }];
            shown.nodes.push(node("other"));
            shown.edges = vec![DrawnEdge { label: name, ..edge(0, 1) }];
            let text = dot(&shown);
            let (found, rest) = strings(&text);
            prop_assert!(found.iter().flat_map(|string| string.chars()).all(|letter| !letter.is_control()));
            prop_assert!(rest.is_ascii(), "{rest}");
            prop_assert_eq!(rest.matches("->").count(), 1);
            prop_assert!([3 + 2, 3 + 2 + 1].contains(&rest.matches('[').count()));
        }
    }
}
