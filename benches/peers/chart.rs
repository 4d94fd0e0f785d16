//! The drawing of what `--scaling` has measured: panels side by side, with the number of workers from left to right.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What is drawn, and what it was made from.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chart {
    pub(crate) header: String,
    pub(crate) panels: Vec<Panel>,
    /// The medians behind the curves.
    pub(crate) rows: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// Of the values.
    pub(crate) unit: String,
    /// A value that is marked: what is to be reached.
    pub(crate) reach: Option<f64>,
    /// Name and points, from few workers to many.
    pub(crate) series: Vec<(String, Vec<Point>)>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) workers: usize,
    pub(crate) value: f64,
}

/// Pixels.
const PANEL: f64 = 480.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 70.0;
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 270.0;
const COLOURS: [&str; 4] = ["#0b62a8", "#c8501e", "#5a5a5a", "#2c8a3c"];

impl Chart {
    /// An SVG.
    pub(crate) fn draw(&self) -> String {
        let width = PANEL * self.panels.len() as f64;
        let lines = |panel: &Panel| panel.series.len() + usize::from(panel.reach.is_some());
        let legend = self.panels.iter().map(lines).max().unwrap_or(0);
        let height = TOP + HEIGHT + 60.0 + 20.0 * legend as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        text(&mut svg, (LEFT, 24.0), "start", &self.header);
        for (place, panel) in self.panels.iter().enumerate() {
            let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", PANEL * place as f64);
            panel.draw(&mut svg);
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let mut counts: Vec<_> = points().map(|point| point.workers).collect();
        counts.sort_unstable();
        counts.dedup();
        let most = points().map(|point| point.value).chain(self.reach).fold(0.0, f64::max);
        let step = step(most);
        let top = (most / step).ceil().max(1.0) * step;
        // Twice as many workers are as far to the right, wherever that is.
        let last = (counts.last().copied().unwrap_or(2) as f64).log2().max(1.0);
        let x = |workers: usize| LEFT + 20.0 + (WIDTH - 40.0) * (workers as f64).log2() / last;
        let y = |value: f64| TOP + HEIGHT * (1.0 - value / top);

        text(svg, (LEFT, TOP - 14.0), "start", &format!("{}; {}", self.title, self.unit));
        let mut value = 0.0;
        while value <= top * 1.001 {
            line(svg, (LEFT, y(value)), (LEFT + WIDTH, y(value)), "stroke=\"#dddddd\"");
            let digits = (-step.log10().floor()).max(0.0) as usize;
            text(svg, (LEFT - 8.0, y(value) + 4.0), "end", &format!("{value:.digits$}"));
            value += step;
        }
        for workers in &counts {
            line(svg, (x(*workers), TOP + HEIGHT), (x(*workers), TOP + HEIGHT + 5.0), "stroke=\"black\"");
            text(svg, (x(*workers), TOP + HEIGHT + 20.0), "middle", &workers.to_string());
        }
        line(svg, (LEFT, TOP + HEIGHT), (LEFT + WIDTH, TOP + HEIGHT), "stroke=\"black\"");
        text(svg, (LEFT + WIDTH / 2.0, TOP + HEIGHT + 40.0), "middle", "workers");
        for (place, ((name, points), colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let path: Vec<_> =
                points.iter().map(|point| format!("{:.1},{:.1}", x(point.workers), y(point.value))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for point in points {
                let (x, y) = (x(point.workers), y(point.value));
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
            }
            legend(svg, place, &format!("stroke=\"{colour}\" stroke-width=\"2\""), name);
        }
        if let Some(reach) = self.reach {
            let style = "stroke=\"#b00020\" stroke-dasharray=\"6 4\"";
            line(svg, (LEFT, y(reach)), (LEFT + WIDTH, y(reach)), style);
            legend(svg, self.series.len(), style, &format!("to reach: {reach}"));
        }
    }
}

/// Says under the panel what a line is.
fn legend(svg: &mut String, place: usize, style: &str, name: &str) {
    let height = TOP + HEIGHT + 62.0 + 20.0 * place as f64;
    line(svg, (LEFT, height), (LEFT + 30.0, height), style);
    text(svg, (LEFT + 38.0, height + 4.0), "start", name);
}

/// The distance of marks on an axis that goes to `most`: 1, 2 or 5 times a power of ten, and about five of them.
fn step(most: f64) -> f64 {
    let rough = (most / 5.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
}
