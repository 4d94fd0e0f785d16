//! An explanation as a graph in the language of Graphviz.
//!
//! Owns shapes, colours and quoting. Promises a well-formed graph whatever the names and values are, the same one each time, in
//! which each node is named by its number.

use super::{Explanation, Kind, Node, State, grouped};
use std::fmt::Write as _;

pub(super) fn graph(explanation: &Explanation) -> String {
    let mut text = String::from(
        "digraph explanation {\n  graph [ordering=out];\n  node [style=filled, fontname=\"monospace\"];\n",
    );
    for (id, node) in explanation.nodes.iter().enumerate() {
        let (label, shape, colour) = (quoted(&label(node)), shape(node), colour(node));
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "  n{id} [label={label}, shape={shape}, fillcolor=\"{colour}\"");
        if let Some(place) = &node.place {
            let _ = write!(text, ", tooltip={}", quoted(place));
        }
        text.push_str("];\n");
        for child in &node.children {
            let _ = writeln!(text, "  n{id} -> n{child};");
        }
        if node.is_cut {
            let _ = writeln!(text, "  n{id} -> cut;");
        }
    }
    if explanation.unseen > 0 || explanation.is_unseen_cut {
        let than = if explanation.is_unseen_cut { "more than " } else { "" };
        let label = quoted(&format!("… {than}{} more", grouped(explanation.unseen)));
        let _ = writeln!(text, "  cut [label={label}, shape=plaintext, fillcolor=\"white\"];");
    }
    text.push_str("}\n");
    text
}

/// What stands inside a node; of an operation, only the operator.
fn label(node: &Node) -> String {
    match node.kind {
        Kind::Operation => node.name.clone(),
        Kind::Plain | Kind::More(_) => node.text(),
        Kind::Task | Kind::Value => {
            let mut text = node.text().replace("  ", "\n");
            if !node.detail.is_empty() {
                text.push('\n');
                text.push_str(&node.detail);
            }
            text
        }
    }
}

fn shape(node: &Node) -> &'static str {
    match node.kind {
        Kind::Task => "box",
        Kind::Operation => "circle",
        Kind::Value | Kind::Plain | Kind::More(_) => "plaintext",
    }
}

fn colour(node: &Node) -> &'static str {
    match (node.kind, node.state) {
        (Kind::Plain | Kind::More(_), _) | (_, State::Deferred) => "white",
        (_, State::Ready) => "palegreen",
        (_, State::Running) => "lightskyblue",
        (_, State::Queued | State::Waiting | State::Pending) => "lightgrey",
        (_, State::Failed) => "salmon",
    }
}

/// As a string of the language. A backslash would begin one of its own escapes, and is doubled.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
