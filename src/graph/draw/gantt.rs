//! Who did what and when, as SVG: a row for each worker, a bar for each task.
//!
//! Charts share one axis of time if their lengths are within a factor of ten of each other, so that a plan can be held
//! against the run; otherwise each has its own. Tasks of one worker that overlap, as when one runs another while it
//! waits, stand under each other. Neighbours narrower than 1.5 pixels become one bar, whose tooltip says of how many.

use super::axis::{Axis, time_text};
use super::hues::Hues;
use super::svg::{Frame, write_mark, write_text};
use super::text::{self, escaped, grouped, pixels};
use super::{Bar, Gantt, GanttChart, GanttRow, Look, TimeUnit, paint};
use std::fmt::Write as _;

/// Of the part in which time passes, in pixels.
const PLOT: f64 = 960.0;
const BAR: f64 = 22.0;
const ROW_GAP: f64 = 6.0;
const NAME: f64 = 12.0;
const SMALL: f64 = 10.5;
/// Room on the right for how busy a worker was.
const SHARE: f64 = 84.0;
const NARROW: f64 = 1.5;
/// Overlapping bars of a worker stand in at most so many lines.
const MOST_LANES: usize = 6;
/// What a bar must at least show of its name to show anything, in pixels.
const LEAST_NAME: f64 = 16.0;

/// The charts as a whole document.
pub(crate) fn gantt(gantt: &Gantt) -> String {
    let bars = || {
        gantt
            .charts
            .iter()
            .flat_map(|chart| &chart.rows)
            .flat_map(|row| &row.bars)
            .filter(|bar| is_timed(bar))
    };
    let hues = Hues::new(bars().map(|bar| bar.name.as_str()));
    let axes = axes(gantt);
    let left = gantt
        .charts
        .iter()
        .flat_map(|chart| &chart.rows)
        .map(|row| text::width(&row_name(row), NAME))
        .fold(40.0, f64::max)
        + 12.0;
    let title = gantt.title.as_deref().map(text::plain).unwrap_or_default();
    let left_out = gantt.charts.iter().flat_map(|chart| &chart.rows).map(|row| row.bars.len()).sum::<usize>()
        - bars().count();
    let note = match (left_out, bars().count()) {
        (0, 0) => String::from("There are no tasks."),
        (0, _) => String::new(),
        (count, _) => format!("{} tasks without a valid time are left out", grouped(count)),
    };
    let mut frame = Frame::new(left + PLOT + SHARE, &title, &note);
    let origin = frame.top;
    let mut y = frame.top;
    for (chart, axis) in gantt.charts.iter().zip(&axes) {
        let mut drawing =
            Drawing { out: &mut frame.body, unit: gantt.unit, hues: &hues, axis, left: MARGIN + left };
        y = drawing.chart(chart, y) + 26.0;
    }
    let states: Vec<Look> = [Look::Running, Look::Failed, Look::Skipped]
        .into_iter()
        .filter(|look| bars().any(|bar| bar.look == *look))
        .collect();
    y = write_legend(&mut frame.body, &hues, &states, MARGIN, y, left + PLOT);
    let about = format!("{} tasks in {} charts", grouped(bars().count()), gantt.charts.len());
    frame.finish((y - origin).max(0.0), if title.is_empty() { "Schedule" } else { &title }, &about)
}

const MARGIN: f64 = 20.0;

fn is_timed(bar: &Bar) -> bool {
    // Longer spans than a quarter of what numbers hold could not be divided.
    let is_number = |time: f64| time.abs() < f64::MAX / 4.0;
    is_number(bar.start) && is_number(bar.finish) && bar.start <= bar.finish
}

fn row_name(row: &GanttRow) -> String {
    text::cut(&text::plain(&row.name), NAME, 140.0).into_owned()
}

/// The first start, but at most zero, and the last finish.
fn span(chart: &GanttChart) -> (f64, f64) {
    let bars = chart.rows.iter().flat_map(|row| &row.bars).filter(|bar| is_timed(bar));
    bars.fold((0.0, 0.0), |(start, finish), bar| (bar.start.min(start), bar.finish.max(finish)))
}

/// Of each chart.
fn axes(gantt: &Gantt) -> Vec<Axis> {
    let spans: Vec<(f64, f64)> = gantt.charts.iter().map(span).collect();
    let axis = |(start, finish)| Axis::new(start, finish, gantt.unit, 9.0);
    let lengths = || spans.iter().map(|(start, finish)| finish - start).filter(|length| *length > 0.0);
    let (least, most) = (lengths().fold(f64::INFINITY, f64::min), lengths().fold(0.0, f64::max));
    if most <= least * 10.0 {
        let all = spans.iter().fold((0.0, 0.0), |all: (f64, f64), one| (all.0.min(one.0), all.1.max(one.1)));
        return vec![axis(all); spans.len()];
    }
    spans.into_iter().map(axis).collect()
}

/// One or more bars that are drawn as one, in pixels from the left of the plot.
struct Piece<'a> {
    left: f64,
    right: f64,
    bar: &'a Bar,
    look: Look,
    count: usize,
    finish: f64,
    is_of_one_hue: bool,
    lane: usize,
}

struct Drawing<'a> {
    out: &'a mut String,
    unit: TimeUnit,
    hues: &'a Hues,
    axis: &'a Axis,
    /// Where the plot begins.
    left: f64,
}

impl Drawing<'_> {
    /// Writes the chart and says where it ends.
    fn chart(&mut self, chart: &GanttChart, top: f64) -> f64 {
        let (_, makespan) = span(chart);
        let heading = text::plain(&chart.heading);
        let mut y = top;
        let _ = write!(
            self.out,
            "<g><text x=\"{MARGIN}\" y=\"{}\" font-size=\"13\" font-weight=\"bold\" fill=\"{}\">{}</text>",
            pixels(y + 12.0),
            paint::INK,
            escaped(&text::cut(&heading, 14.0, PLOT))
        );
        y += 26.0;
        let rows: Vec<(&GanttRow, Vec<Piece<'_>>)> =
            chart.rows.iter().map(|row| (row, self.pieces(row))).collect();
        let lanes =
            |pieces: &[Piece<'_>]| pieces.iter().map(|piece| piece.lane + 1).max().unwrap_or(1) as f64;
        let height = rows.iter().map(|(_, pieces)| lanes(pieces) * BAR + ROW_GAP).sum::<f64>();
        self.grid(y, height);
        for (row, pieces) in &rows {
            let tall = lanes(pieces) * BAR;
            self.row(row, pieces, y + ROW_GAP / 2.0, tall, makespan);
            y += tall + ROW_GAP;
        }
        self.makespan(makespan, y - height, height);
        self.out.push_str("</g>\n");
        y + 20.0
    }

    fn x(&self, time: f64) -> f64 {
        self.left + self.axis.part(time) * PLOT
    }

    fn grid(&mut self, top: f64, height: f64) {
        let mut lines = String::new();
        for tick in self.axis.ticks() {
            let x = self.x(tick);
            let _ = write!(lines, "M{} {}v{}", pixels(x), pixels(top), pixels(height + 4.0));
            write_text(
                self.out,
                &self.axis.tick_text(tick),
                SMALL,
                paint::FAINT_INK,
                (x, top + height + 15.0),
            );
        }
        let _ = writeln!(self.out, "<path d=\"{lines}\" stroke=\"#dfe2e8\" fill=\"none\"/>");
    }

    fn row(&mut self, row: &GanttRow, pieces: &[Piece<'_>], top: f64, tall: f64, makespan: f64) {
        let middle = top + tall / 2.0;
        let _ = write!(
            self.out,
            "<g><title>{}</title><text x=\"{}\" y=\"{}\" font-size=\"{NAME}\" fill=\"{}\" text-anchor=\"end\">{}</text>",
            escaped(&text::plain(&row.name)),
            pixels(self.left - 10.0),
            pixels(middle + NAME * 0.36),
            paint::INK,
            escaped(&row_name(row))
        );
        // Idle time is what stays visible of this.
        let wide = self.x(makespan) - self.left;
        let _ = writeln!(
            self.out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#eceef2\"/></g>",
            pixels(self.left),
            pixels(top),
            pixels(wide),
            pixels(tall)
        );
        for piece in pieces {
            self.piece(piece, top + BAR * piece.lane as f64);
        }
        if makespan > 0.0 {
            let share = format!("{:.0} % busy", busy(row) / makespan * 100.0);
            let _ = writeln!(
                self.out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{SMALL}\" fill=\"{}\">{share}</text>",
                pixels(self.left + PLOT + 10.0),
                pixels(middle + SMALL * 0.36),
                paint::FAINT_INK
            );
        }
    }

    /// The bars of a row, narrow ones put together, those that overlap in different lanes.
    fn pieces<'b>(&self, row: &'b GanttRow) -> Vec<Piece<'b>> {
        let mut bars: Vec<&Bar> = row.bars.iter().filter(|bar| is_timed(bar)).collect();
        // Of two that start together, the one around the other comes first.
        bars.sort_by(|a, b| a.start.total_cmp(&b.start).then(b.finish.total_cmp(&a.finish)));
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        let mut ends: Vec<f64> = Vec::new();
        // The last piece of each lane, if another bar may still be put to it.
        let mut open: Vec<Option<usize>> = Vec::new();
        for bar in bars {
            let (left, right) = (self.x(bar.start), self.x(bar.finish));
            let lane =
                ends.iter().position(|end| *end <= left + 0.5).unwrap_or(ends.len().min(MOST_LANES - 1));
            if lane == ends.len() {
                ends.push(0.0);
                open.push(None);
            }
            ends[lane] = ends[lane].max(right);
            let is_narrow = right - left < NARROW;
            if let Some(piece) = open[lane].filter(|_| is_narrow).map(|at| &mut pieces[at])
                && left - piece.right < 0.5
                && right - piece.left < 2.0 * NARROW
            {
                piece.right = piece.right.max(right);
                piece.finish = piece.finish.max(bar.finish);
                piece.look = piece.look.max(bar.look);
                piece.is_of_one_hue &= self.hues.number(&piece.bar.name) == self.hues.number(&bar.name);
                piece.count += 1;
                continue;
            }
            open[lane] = is_narrow.then_some(pieces.len());
            let (look, finish) = (bar.look, bar.finish);
            pieces.push(Piece { left, right, bar, look, count: 1, finish, is_of_one_hue: true, lane });
        }
        pieces
    }

    fn piece(&mut self, piece: &Piece<'_>, top: f64) {
        let bar = piece.bar;
        let name = if bar.name.trim().is_empty() { String::from("task") } else { text::plain(&bar.name) };
        let wide = (piece.right - piece.left).max(0.8);
        let paint = piece.look.paint();
        let (fill, stroke, width) = match piece.look {
            Look::Failed | Look::Skipped => (String::from(paint.fill), paint.stroke, 1.6),
            Look::Running => (self.hues.colour(&bar.name), paint.stroke, 1.6),
            Look::NotRun | Look::Done if piece.is_of_one_hue => (self.hues.colour(&bar.name), "#ffffff", 0.8),
            Look::NotRun | Look::Done => (String::from("#b9bfca"), "#ffffff", 0.8),
        };
        // The outline of a narrow bar would hide it.
        let inset = if wide > 4.0 { width / 2.0 } else { 0.0 };
        let _ = write!(
            self.out,
            "<g><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"",
            pixels(piece.left + inset),
            pixels(top + 1.0 + inset),
            pixels((wide - 2.0 * inset).max(0.8)),
            pixels(BAR - 2.0 - 2.0 * inset),
            if inset == 0.0 && matches!(piece.look, Look::Failed | Look::Skipped) {
                paint.stroke
            } else {
                &fill
            }
        );
        if inset > 0.0 {
            let _ = write!(self.out, " rx=\"2\" stroke=\"{stroke}\" stroke-width=\"{width}\"");
            if !paint.dashes.is_empty() {
                let _ = write!(self.out, " stroke-dasharray=\"{}\"", paint.dashes);
            }
        }
        let what = if piece.count > 1 {
            format!("{} tasks from {name} on", grouped(piece.count))
        } else {
            name.clone()
        };
        let time = |time| time_text(time, self.unit);
        let _ = write!(
            self.out,
            "><title>{}: {} to {}, takes {}{}</title></rect>",
            escaped(&what),
            time(bar.start),
            time(piece.finish),
            time(piece.finish - bar.start),
            match piece.look {
                Look::NotRun | Look::Done => String::new(),
                look => format!(" ({})", look.words()),
            }
        );
        let has_mark = matches!(piece.look, Look::Running | Look::Failed | Look::Skipped) && wide > 14.0;
        let mark = if has_mark { 14.0 } else { 0.0 };
        if has_mark {
            write_mark(self.out, piece.look, (piece.left + 9.0, top + BAR / 2.0));
        }
        let shown = text::cut(&name, SMALL, wide - mark - 6.0);
        if text::width(&shown, SMALL) >= LEAST_NAME.min(text::width(&name, SMALL))
            && !shown.is_empty()
            && piece.count == 1
        {
            let x = piece.left + (wide + mark) / 2.0;
            write_text(self.out, &shown, SMALL, paint::INK, (x, top + BAR / 2.0 + SMALL * 0.36));
        }
        self.out.push_str("</g>\n");
    }

    fn makespan(&mut self, makespan: f64, top: f64, height: f64) {
        if makespan <= 0.0 {
            return;
        }
        let x = self.x(makespan);
        let words = format!("finished after {}", time_text(makespan - self.axis.start.min(0.0), self.unit));
        let _ = write!(
            self.out,
            "<path d=\"M{} {}v{}\" stroke=\"{}\" stroke-width=\"1.2\" stroke-dasharray=\"3 3\"/>\
             <text x=\"{}\" y=\"{}\" font-size=\"{SMALL}\" fill=\"{}\" text-anchor=\"{}\">{words}</text>",
            pixels(x),
            pixels(top - 4.0),
            pixels(height + 8.0),
            paint::INK,
            pixels(x),
            pixels(top - 8.0),
            paint::INK,
            if x < self.left + 80.0 { "start" } else { "end" }
        );
    }
}

/// How long at least one bar of the row lasts.
fn busy(row: &GanttRow) -> f64 {
    let mut spans: Vec<(f64, f64)> =
        row.bars.iter().filter(|bar| is_timed(bar)).map(|bar| (bar.start, bar.finish)).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut total, mut until) = (0.0, f64::NEG_INFINITY);
    for (start, finish) in spans {
        total += (finish - start.max(until)).max(0.0);
        until = until.max(finish);
    }
    total
}

/// Writes which colour stands for what, if that fits on a line or two, and says where it ends.
fn write_legend(out: &mut String, hues: &Hues, states: &[Look], left: f64, top: f64, width: f64) -> f64 {
    const MOST_NAMES: usize = 12;
    let mut items: Vec<(String, String, Option<Look>)> = Vec::new();
    if hues.all().count() <= MOST_NAMES {
        items.extend(
            hues.all().map(|(name, colour)| {
                (text::cut(&text::plain(name), SMALL, 160.0).into_owned(), colour, None)
            }),
        );
    }
    items.extend(
        states.iter().map(|look| (String::from(look.words()), String::from(look.paint().fill), Some(*look))),
    );
    let (mut x, mut y) = (left, top);
    for (words, colour, look) in &items {
        let wide = 22.0 + 6.0 + text::width(words, SMALL) + 18.0;
        if x > left && x + wide > left + width {
            (x, y) = (left, y + 22.0);
        }
        let stroke = look.map_or("none", |look| look.paint().stroke);
        let _ = write!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"22\" height=\"14\" rx=\"2\" fill=\"{colour}\" stroke=\"{stroke}\"/>",
            pixels(x),
            pixels(y)
        );
        if let Some(look) = look {
            write_mark(out, *look, (x + 11.0, y + 7.0));
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" font-size=\"{SMALL}\" fill=\"{}\">{}</text>",
            pixels(x + 28.0),
            pixels(y + 7.0 + SMALL * 0.36),
            paint::FAINT_INK,
            escaped(words)
        );
        x += wide;
    }
    if items.is_empty() { y - 12.0 } else { y + 18.0 }
}
