//! A picture as SVG, for browsers, editors and pages.
//!
//! Owns boxes, text, curves and the frame. Has its own background, so that it can be read on a page of any colour; no
//! scripts, style sheets or references, so that it may stand inside another document. A node is the group with the
//! id `task-` and its number; its `<title>` has the whole text.

use super::coarse::coarse;
use super::layout::{Layout, Link, Route, layout};
use super::legend::{self, Legend};
use super::text::{self, escaped, pixels};
use super::{DrawnNode, EdgeKind, Look, NodeKind, Picture, paint};
use std::fmt::Write as _;

const NAME: f64 = 13.0;
const DETAIL: f64 = 11.0;
const LABEL: f64 = 10.0;
const TITLE: f64 = 16.0;
/// The widest text in a node; what is longer is cut.
const WIDEST_TEXT: f64 = 220.0;
const MARGIN: f64 = 20.0;
const ARROW: f64 = 7.0;
/// Of the mark of a state beside the name.
const MARK: f64 = 16.0;
/// By how much the sheets of a stack are shifted.
const SHEET: f64 = 3.0;
pub(super) const FONT: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// The picture as a whole document.
pub(crate) fn svg(picture: &Picture) -> String {
    let coarse = coarse(picture);
    let drawn = &coarse.picture;
    let boxes: Vec<Label> = drawn.nodes.iter().enumerate().map(|(id, node)| Label::new(id, node)).collect();
    let sizes: Vec<(f64, f64)> =
        boxes
            .iter()
            .zip(&coarse.stands_for)
            .map(|(label, count)| {
                if *count > 1 { (label.size.0 + 2.0 * SHEET, label.size.1 + 2.0 * SHEET) } else { label.size }
            })
            .collect();
    let links: Vec<Link> = drawn
        .edges
        .iter()
        .map(|edge| Link { from: edge.from, to: edge.to, label: label_width(&edge.label) })
        .collect();
    let layout = layout(&sizes, &links);

    let title = drawn.title.as_deref().map(text::plain).unwrap_or_default();
    let legend = Legend {
        states: Look::ALL.into_iter().filter(|look| picture.nodes.iter().any(|n| n.state == *look)).collect(),
        kinds: NodeKind::ALL
            .into_iter()
            .filter(|kind| picture.nodes.iter().any(|n| n.kind == *kind))
            .collect(),
        edges: [EdgeKind::Value, EdgeKind::OrderOnly]
            .into_iter()
            .filter(|kind| drawn.edges.iter().any(|edge| edge.kind == *kind))
            .collect(),
    };
    let note = if drawn.nodes.is_empty() { "There are no tasks." } else { coarse.note.as_str() };
    let mut width = layout.width.max(legend.width().min(560.0)).max(text::width(note, DETAIL)).max(160.0);
    width = width.max((text::width(&title, TITLE) * 1.2).min(480.0));
    let mut frame = Frame::new(width, &title, note);
    let (left, top) = (MARGIN + (width - layout.width) / 2.0, frame.top);
    write_edges(&mut frame.body, drawn, &layout, (left, top));
    for (id, label) in boxes.iter().enumerate() {
        let at = (left + layout.nodes[id].0, top + layout.nodes[id].1);
        label.write(&mut frame.body, id, &drawn.nodes[id], coarse.stands_for[id], at);
    }
    let mut height = layout.height;
    let lines = legend.lines(width);
    if lines > 0 {
        height += 18.0;
        legend.write(&mut frame.body, MARGIN, top + height, width);
        height += legend::HEIGHT * lines as f64;
    }
    let about =
        format!("{} tasks, {} edges", text::grouped(picture.nodes.len()), text::grouped(picture.edges.len()));
    frame.finish(height, if title.is_empty() { "Task graph" } else { &title }, &about)
}

/// Background and heading of a document, and room for what is drawn.
pub(super) struct Frame {
    pub(super) body: String,
    /// Where the free room begins.
    pub(super) top: f64,
    width: f64,
}

impl Frame {
    /// The width is that of the free room.
    pub(super) fn new(width: f64, title: &str, note: &str) -> Self {
        let (mut body, mut top) = (String::new(), MARGIN);
        for (text, size, weight, ink) in
            [(title, TITLE, "bold", paint::INK), (note, DETAIL, "normal", paint::FAINT_INK)]
        {
            if !text.is_empty() {
                // Bold letters are wider.
                let shown = text::cut(text, size * if weight == "bold" { 1.2 } else { 1.0 }, width);
                let _ = writeln!(
                    body,
                    "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{ink}\">{}</text>",
                    pixels(top + size * 0.8),
                    escaped(&shown)
                );
                top += size + 8.0;
            }
        }
        Self { body, top: if top > MARGIN { top + 8.0 } else { top }, width }
    }

    /// The document; the height is that of the room that was used.
    pub(super) fn finish(self, height: f64, title: &str, about: &str) -> String {
        let (width, height) = (pixels(self.width + 2.0 * MARGIN), pixels(self.top + height + MARGIN));
        let mut out = String::with_capacity(self.body.len() + 600);
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONT}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
            escaped(title),
            escaped(about),
            paint::PAPER
        );
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }
}

/// The text of a node, and how big its box is.
struct Label {
    full: String,
    name: String,
    detail: String,
    size: (f64, f64),
}

impl Label {
    fn new(id: usize, node: &DrawnNode) -> Self {
        let full = text::named(id, &node.name);
        let name = text::cut(&full, NAME, WIDEST_TEXT).into_owned();
        let detail = text::cut(&text::plain(&node.detail), DETAIL, WIDEST_TEXT).into_owned();
        let mark = if node.state.mark().is_some() { MARK } else { 0.0 };
        let wide = (text::width(&name, NAME) + mark).max(text::width(&detail, DETAIL));
        let tall = if detail.is_empty() { 30.0 } else { 44.0 };
        // Slanted and round sides take room from the text.
        let sides = match node.kind {
            NodeKind::Cpu => 24.0,
            NodeKind::InPlace | NodeKind::Input => 32.0,
            NodeKind::Io | NodeKind::Operation => 24.0 + SLANT * 2.0,
        };
        Self { full, name, detail, size: ((wide + sides).max(48.0).ceil(), tall) }
    }

    fn write(&self, out: &mut String, id: usize, node: &DrawnNode, count: usize, (x, y): (f64, f64)) {
        let _ = write!(out, "<g id=\"task-{id}\"><title>{}", escaped(&self.full));
        if !node.detail.is_empty() {
            let _ = write!(out, ", {}", escaped(&text::plain(&node.detail)));
        }
        let _ = write!(out, " ({})</title>", node.state.words());
        let shift = if count > 1 { SHEET } else { 0.0 };
        if count > 1 {
            for shift in [SHEET, 0.0] {
                out.push_str(&outline(node.kind, node.state, (x + shift, y + shift), self.size));
            }
        }
        let (x, y) = (x - shift, y - shift);
        out.push_str(&outline(node.kind, node.state, (x, y), self.size));
        let mark = if node.state.mark().is_some() { MARK } else { 0.0 };
        let baseline = if self.detail.is_empty() { y + NAME * 0.36 } else { y - 3.0 };
        let left = x - (text::width(&self.name, NAME) + mark) / 2.0;
        write_mark(out, node.state, (left + 5.0, baseline - NAME * 0.36));
        write_text(out, &self.name, NAME, paint::INK, (x + mark / 2.0, baseline));
        if !self.detail.is_empty() {
            write_text(out, &self.detail, DETAIL, paint::FAINT_INK, (x, y + 13.0));
        }
        out.push_str("</g>\n");
    }
}

/// Text around a point on its baseline. Where its width is a guess, the viewer is told to keep to the guess.
pub(super) fn write_text(out: &mut String, text: &str, size: f64, ink: &str, (x, y): (f64, f64)) {
    let (x, y) = (pixels(x), pixels(y));
    let _ =
        write!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{ink}\" text-anchor=\"middle\"");
    if !text::is_measured(text) {
        let width = pixels(text::width(text, size));
        let _ = write!(out, " textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"");
    }
    let _ = write!(out, ">{}</text>", escaped(text));
}

/// By how much the sides of a parallelogram lean.
const SLANT: f64 = 8.0;

/// The box of a node around a point.
pub(super) fn outline(kind: NodeKind, look: Look, (x, y): (f64, f64), (wide, tall): (f64, f64)) -> String {
    let paint = look.paint();
    let mut style =
        format!("fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"", paint.fill, paint.stroke, paint.width);
    if !paint.dashes.is_empty() {
        let _ = write!(style, " stroke-dasharray=\"{}\"", paint.dashes);
    }
    let (left, right, top, bottom) =
        (pixels(x - wide / 2.0), pixels(x + wide / 2.0), pixels(y - tall / 2.0), pixels(y + tall / 2.0));
    let rect = |radius: f64| {
        format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"{radius}\" {style}/>",
            pixels(wide),
            pixels(tall)
        )
    };
    match kind {
        NodeKind::Cpu => rect(5.0),
        NodeKind::Input => rect(tall / 2.0),
        NodeKind::Io => {
            let slant = SLANT.min(tall / 3.0);
            let (in_left, in_right) = (pixels(x - wide / 2.0 + slant), pixels(x + wide / 2.0 - slant));
            format!(
                "<path d=\"M{in_left} {top}H{right}L{in_right} {bottom}H{left}Z\" stroke-linejoin=\"round\" {style}/>"
            )
        }
        NodeKind::Operation => {
            let slant = SLANT.min(tall / 3.0);
            let (in_left, in_right) = (pixels(x - wide / 2.0 + slant), pixels(x + wide / 2.0 - slant));
            let middle = pixels(y);
            format!(
                "<path d=\"M{in_left} {top}H{in_right}L{right} {middle}L{in_right} {bottom}H{in_left}L{left} {middle}Z\" \
                 stroke-linejoin=\"round\" {style}/>"
            )
        }
        NodeKind::InPlace => {
            let bar = (5.0_f64).min(wide / 6.0);
            let (bar_left, bar_right) = (pixels(x - wide / 2.0 + bar), pixels(x + wide / 2.0 - bar));
            format!(
                "{}<path d=\"M{bar_left} {top}V{bottom}M{bar_right} {top}V{bottom}\" stroke=\"{}\" fill=\"none\"/>",
                rect(0.0),
                paint.stroke
            )
        }
    }
}

/// The mark of a state around a point, if it has one.
pub(super) fn write_mark(out: &mut String, look: Look, (x, y): (f64, f64)) {
    if let Some(path) = look.mark() {
        let _ = write!(
            out,
            "<path transform=\"translate({} {})\" d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\"/>",
            pixels(x),
            pixels(y),
            look.paint().stroke
        );
    }
}

fn label_width(label: &str) -> f64 {
    if label.is_empty() { 0.0 } else { text::width(&shown_label(label), LABEL) + 6.0 }
}

fn shown_label(label: &str) -> String {
    let plain = text::plain(label);
    match text::cut(plain.trim(), LABEL, 120.0) {
        cut if cut.is_empty() => String::from("…"),
        cut => cut.into_owned(),
    }
}

fn write_edges(out: &mut String, drawn: &Picture, layout: &Layout, shift: (f64, f64)) {
    let mut heads = String::new();
    for (kind, dashes) in [(EdgeKind::Value, ""), (EdgeKind::OrderOnly, " stroke-dasharray=\"5 4\"")] {
        let _ = writeln!(out, "<g fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"{dashes}>", paint::EDGE);
        for (edge, route) in drawn.edges.iter().zip(&layout.routes).filter(|(edge, _)| edge.kind == kind) {
            let _ = writeln!(out, "<path d=\"{}\"/>", curve(route, shift));
            let tip = if route.is_upward { route.stops.first() } else { route.stops.last() };
            if let Some(tip) = tip {
                let (y, back) = if route.is_upward { (tip.top, ARROW) } else { (tip.bottom, -ARROW) };
                let (x, y) = (pixels(tip.x + shift.0), pixels(y + shift.1));
                let head = format!("M{x} {y}l-3.5 {back}h7z");
                // Edges to the same node share their head.
                if edge.kind == EdgeKind::OrderOnly || !heads.ends_with(&head) {
                    heads.push_str(&head);
                }
            }
        }
        out.push_str("</g>\n");
    }
    if !heads.is_empty() {
        let _ = writeln!(out, "<path d=\"{heads}\" fill=\"{}\"/>", paint::EDGE);
    }
    for (edge, route) in drawn.edges.iter().zip(&layout.routes) {
        if let Some((x, y)) = route.label {
            let (label, at) = (shown_label(&edge.label), (x + shift.0, y + shift.1));
            let wide = text::width(&label, LABEL) + 4.0;
            let (left, top) = (pixels(at.0 - wide / 2.0), pixels(at.1 - 7.0));
            let wide = pixels(wide);
            let _ = write!(
                out,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"14\" fill=\"{}\"/>",
                paint::PAPER
            );
            write_text(out, &label, LABEL, paint::FAINT_INK, (at.0, at.1 + LABEL * 0.36));
            out.push('\n');
        }
    }
}

/// Straight down through layers, and between them a cubic curve that starts and ends straight down.
fn curve(route: &Route, (dx, dy): (f64, f64)) -> String {
    let mut path = String::new();
    let Some(first) = route.stops.first() else { return path };
    let last = route.stops.len() - 1;
    let (start, end) = if route.is_upward { (ARROW - 1.0, 0.0) } else { (0.0, ARROW - 1.0) };
    let _ = write!(path, "M{} {}", pixels(first.x + dx), pixels(first.top + start + dy));
    for (at, stop) in route.stops.iter().enumerate() {
        if at > 0 {
            let before = &route.stops[at - 1];
            if (before.x - stop.x).abs() >= 0.05 {
                let end = if at == last { end } else { 0.0 };
                let from = if at == 1 { before.bottom.max(first.top + start) } else { before.bottom };
                let to = stop.top - end;
                let middle = pixels((from + to) / 2.0 + dy);
                let (x, y) = (pixels(stop.x + dx), pixels(to + dy));
                let _ = write!(
                    path,
                    "V{}C{} {middle} {x} {middle} {x} {y}",
                    pixels(from + dy),
                    pixels(before.x + dx)
                );
            }
        }
        if at == last {
            let _ = write!(path, "V{}", pixels(stop.bottom - end + dy));
        }
    }
    path
}
