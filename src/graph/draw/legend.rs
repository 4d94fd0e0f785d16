//! The line below a picture that says what its colours and shapes mean: those that occur, no others.

use super::svg::{outline, write_mark};
use super::text::{self, pixels};
use super::{EdgeKind, Look, NodeKind, paint};
use std::fmt::Write as _;

const SIZE: f64 = 11.0;
/// Of one line, in pixels.
pub(super) const HEIGHT: f64 = 22.0;
const SWATCH: f64 = 22.0;

/// What the legend has to say.
pub(super) struct Legend {
    pub(super) states: Vec<Look>,
    pub(super) kinds: Vec<NodeKind>,
    pub(super) edges: Vec<EdgeKind>,
}

enum Item {
    State(Look),
    Kind(NodeKind),
    Edge(EdgeKind),
}

impl Legend {
    /// States if there is more to see than "not run", kinds and edges if there is more than one.
    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if self.states.iter().any(|look| *look != Look::NotRun) {
            items.extend(self.states.iter().copied().map(Item::State));
        }
        if self.kinds.len() > 1 {
            items.extend(self.kinds.iter().copied().map(Item::Kind));
        }
        if self.edges.contains(&EdgeKind::OrderOnly) {
            items.extend(self.edges.iter().copied().map(Item::Edge));
        }
        items
    }

    /// The width of the whole on one line, in pixels.
    pub(super) fn width(&self) -> f64 {
        self.items().iter().map(|item| item.width()).sum()
    }

    /// How many lines it takes in this width.
    pub(super) fn lines(&self, width: f64) -> usize {
        self.placed(width).last().map_or(0, |(_, _, line)| line + 1)
    }

    fn placed(&self, width: f64) -> Vec<(Item, f64, usize)> {
        let (mut x, mut line) = (0.0, 0);
        self.items()
            .into_iter()
            .map(|item| {
                if x > 0.0 && x + item.width() > width {
                    (x, line) = (0.0, line + 1);
                }
                let at = x;
                x += item.width();
                (item, at, line)
            })
            .collect()
    }

    /// Writes it, its top left corner at this point.
    pub(super) fn write(&self, out: &mut String, left: f64, top: f64, width: f64) {
        for (item, x, line) in self.placed(width) {
            let (x, y) = (left + x, top + HEIGHT * line as f64 + HEIGHT / 2.0);
            let centre = (x + SWATCH / 2.0, y);
            match item {
                Item::State(look) => {
                    let _ = write!(out, "{}", outline(NodeKind::Cpu, look, centre, (SWATCH, 14.0)));
                    write_mark(out, look, centre);
                }
                Item::Kind(kind) => {
                    let _ = write!(out, "{}", outline(kind, Look::NotRun, centre, (SWATCH, 14.0)));
                }
                Item::Edge(kind) => {
                    let dashes = if kind == EdgeKind::OrderOnly { " stroke-dasharray=\"5 4\"" } else { "" };
                    let _ = write!(
                        out,
                        "<path d=\"M{} {}h{SWATCH}\" stroke=\"{}\" stroke-width=\"1.4\" fill=\"none\"{dashes}/>",
                        pixels(x),
                        pixels(y),
                        paint::EDGE
                    );
                }
            }
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{SIZE}\" fill=\"{}\">{}</text>",
                pixels(x + SWATCH + 6.0),
                pixels(y + SIZE * 0.36),
                paint::FAINT_INK,
                item.words()
            );
        }
    }
}

impl Item {
    fn words(&self) -> &'static str {
        match self {
            Self::State(look) => look.words(),
            Self::Kind(kind) => kind.words(),
            Self::Edge(EdgeKind::Value) => "result",
            Self::Edge(EdgeKind::OrderOnly) => "order only",
        }
    }

    fn width(&self) -> f64 {
        SWATCH + 6.0 + text::width(self.words(), SIZE) + 18.0
    }
}
