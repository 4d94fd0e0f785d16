//! Colours and marks of states, the same in every language.
//!
//! The strokes of done, running and failed are bluish green, blue and vermillion of the palette by Okabe and Ito ("Color
//! universal design", 2008), which people with any of the usual kinds of colour blindness can tell apart; the fills are
//! tints of them. A state is also told by its outline or its mark, never by colour alone.

use super::{Look, NodeKind};

pub(super) const INK: &str = "#1f2430";
pub(super) const FAINT_INK: &str = "#5b6472";
pub(super) const PAPER: &str = "#ffffff";
pub(super) const EDGE: &str = "#6b7482";

pub(super) struct Paint {
    pub(super) fill: &'static str,
    pub(super) stroke: &'static str,
    /// In pixels.
    pub(super) width: f64,
    /// Lengths of dashes and gaps in pixels; solid if empty.
    pub(super) dashes: &'static str,
}

impl Look {
    pub(super) const ALL: [Self; 5] = [Self::NotRun, Self::Running, Self::Done, Self::Failed, Self::Skipped];

    pub(super) fn paint(self) -> Paint {
        let (fill, stroke, width, dashes) = match self {
            Self::NotRun => ("#f3f4f7", "#8a92a0", 1.2, ""),
            Self::Running => ("#d9eaf7", "#0072b2", 2.0, ""),
            Self::Done => ("#dcf1ea", "#009e73", 1.2, ""),
            Self::Failed => ("#fbe2d5", "#d55e00", 2.4, ""),
            Self::Skipped => ("#ffffff", "#8a92a0", 1.4, "5 3"),
        };
        Paint { fill, stroke, width, dashes }
    }

    /// As people read it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// As a name in a language.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotRun => "notRun",
            _ => self.words(),
        }
    }

    /// A small picture in a square from -4 to 4, as an SVG path that is stroked, if the state has one.
    pub(super) fn mark(self) -> Option<&'static str> {
        match self {
            Self::NotRun => None,
            Self::Running => Some("M-2.5 -3.5L3.5 0L-2.5 3.5Z"),
            Self::Done => Some("M-3.5 0.5L-1 3L3.5 -3"),
            Self::Failed => Some("M-3 -3L3 3M-3 3L3 -3"),
            Self::Skipped => Some("M-3.5 0H3.5"),
        }
    }
}

impl NodeKind {
    pub(super) const ALL: [Self; 5] = [Self::Cpu, Self::Io, Self::InPlace, Self::Operation, Self::Input];

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Cpu => "computes",
            Self::Io => "waits for input or output",
            Self::InPlace => "changes its argument in place",
            Self::Operation => "part of an expression",
            Self::Input => "given value",
        }
    }
}
