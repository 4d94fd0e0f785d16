//! A picture as a Mermaid flowchart.
//!
//! Owns shapes, classes and escaping. What isn't a letter, a digit or a harmless sign is written as `#number;`, the
//! language's own escape, since it knows no other. Viewers draw at most 500 edges and 50 000 letters unless their
//! page says otherwise (`maxEdges`, `maxTextSize`), which a text can't change; a comment says so where it applies.

use super::paint::INK;
use super::{EdgeKind, Look, NodeKind, Picture, text};
use std::fmt::Write as _;

/// Longer names are cut, in characters: there are no tooltips.
const LONGEST: usize = 60;
const MOST_EDGES: usize = 500;
const MOST_LETTERS: usize = 50_000;

/// The flowchart, from the top down, with a class for each state.
pub(crate) fn mermaid(picture: &Picture) -> String {
    let mut out = String::from("flowchart TD\n");
    for (id, node) in picture.nodes.iter().enumerate() {
        let mut label = shown(&text::named(id, &node.name));
        if !node.detail.is_empty() {
            let _ = write!(label, "<br/>{}", shown(&text::plain(&node.detail)));
        }
        let (open, close) = brackets(node.kind);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "  n{id}{open}\"{label}\"{close}:::{}", node.state.word());
    }
    for edge in picture.drawn_edges() {
        let arrow = match edge.kind {
            EdgeKind::Value => "-->",
            EdgeKind::OrderOnly => "-.->",
        };
        let _ = write!(out, "  n{} {arrow}", edge.from);
        if !edge.label.is_empty() {
            let _ = write!(out, "|\"{}\"|", shown(&text::plain(&edge.label)));
        }
        let _ = writeln!(out, " n{}", edge.to);
    }
    for look in Look::ALL.into_iter().filter(|look| picture.nodes.iter().any(|node| node.state == *look)) {
        let paint = look.paint();
        let _ = write!(
            out,
            "  classDef {} fill:{},stroke:{},stroke-width:{}px,color:{INK}",
            look.word(),
            paint.fill,
            paint.stroke,
            paint.width
        );
        if !paint.dashes.is_empty() {
            let _ = write!(out, ",stroke-dasharray:{}", paint.dashes);
        }
        out.push('\n');
    }
    let mut front = String::new();
    if let Some(title) = &picture.title {
        let title = text::plain(title).replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(front, "---\ntitle: \"{title}\"\n---\n");
    }
    let edges = picture.drawn_edges().count();
    if edges > MOST_EDGES || out.len() > MOST_LETTERS {
        let _ = writeln!(out, "%% needs maxEdges {edges} and maxTextSize {}", out.len());
    }
    front + &out
}

fn brackets(kind: NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::Cpu => ("[", "]"),
        NodeKind::Io => ("[/", "/]"),
        NodeKind::InPlace => ("[[", "]]"),
        NodeKind::Operation => ("{{", "}}"),
        NodeKind::Input => ("([", "])"),
    }
}

/// As the content of a quoted label.
fn shown(text: &str) -> String {
    let text = text::cut_to_chars(text, LONGEST);
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for letter in text.chars() {
        match letter {
            // A list or a heading of Markdown, of which only "unsupported" would be drawn, needs a plain space.
            ' ' if is_start => out.push('\u{a0}'),
            ' ' | '_' | ',' | '-' | '+' | '.' | '(' | ')' | '…' => out.push(letter),
            _ if letter.is_alphanumeric() => out.push(letter),
            _ => {
                let _ = write!(out, "#{};", letter as u32);
            }
        }
        is_start = is_start && letter != ' ';
    }
    out
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::tests::{edge, node, picture};
    use super::super::{DrawnEdge, DrawnNode};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shapes_states_and_edges_have_their_signs() {
        let mut drawn = picture(&["a", "b"], &[(0, 1)]);
        drawn.nodes[1].state = Look::Failed;
        drawn.nodes[1].kind = NodeKind::Io;
        drawn.edges[0].kind = EdgeKind::OrderOnly;
        drawn.edges[0].label = String::from("3");
        let text = mermaid(&drawn);
        assert!(text.starts_with(
            "flowchart TD\n  n0[\"a\"]:::notRun\n  n1[/\"b\"/]:::failed\n  n0 -.->|\"3\"| n1\n"
        ));
        assert!(text.contains("classDef failed fill:#"));
        assert!(!text.contains("classDef done"));
    }

    #[test]
    fn signs_of_the_language_are_numbers() {
        assert_eq!(shown("a\"#;<b>"), "a#34;#35;#59;#60;b#62;");
        assert_eq!(shown("1. two three"), "1.\u{a0}two three");
    }

    #[test]
    fn more_than_viewers_draw_is_said() {
        let pairs: Vec<(u32, u32)> = (1..=501).map(|to| (0, to)).collect();
        let names = vec!["x"; 502];
        assert!(mermaid(&picture(&names, &pairs)).contains("%% needs maxEdges 501"));
        assert!(!mermaid(&picture(&names, &pairs[1..])).contains("%%"));
    }

    proptest! {
        #[test]
        fn any_name_stays_inside_its_label(name in any::<String>(), detail in any::<String>(), title in any::<String>()) {
            let mut drawn = picture(&["a", "b"], &[]);
            drawn.title = Some(title);
            drawn.nodes[0] = DrawnNode { detail, ..node(&name) };
            drawn.edges = vec![DrawnEdge { label: name, ..edge(0, 1) }];
            let text = mermaid(&drawn);
            let lines: Vec<&str> = text.lines().collect();
            prop_assert_eq!(lines.len(), 3 + 1 + 2 + 1 + 1);
            prop_assert!(lines[4].starts_with("  n0[\"") && lines[4].ends_with("\"]:::notRun"));
            prop_assert_eq!(lines[4].matches('"').count(), 2);
            prop_assert!([0, 2].contains(&lines[6].matches('"').count()));
        }
    }
}
