//! A picture of the Mandelbrot set, computed by one serial function with two attributes, and without the second.
//!
//! ```text
//! cargo run --release --example mandelbrot                  # writes mandelbrot.png to the system's temporary folder
//! cargo run --release --example mandelbrot -- picture.png   # or there
//! XFORK_WORKERS=1 cargo run --release --example mandelbrot  # on one worker process
//! ```
//!
//! `serial` and `parallel` have the same text: a call of a `#[concurrent]` function is an ordinary call, until the function around
//! it is `#[synchronized]`. The program compares the two pictures, says how long a row takes, and how much faster it is.

use image::RgbImage;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use xfork::{concurrent, synchronized};

/// In pixels.
const WIDTH: u32 = 900;
const HEIGHT: u32 = 600;
/// After so many steps a point counts as one of the set.
const STEPS: u32 = 1500;
/// How often each way is measured, in turn.
const ROUNDS: usize = 7;

/// The colours of one row of pixels, three bytes each.
#[concurrent]
fn row(y: u32) -> Vec<u8> {
    (0..WIDTH).flat_map(|x| colour(escape(x, y))).collect()
}

/// How many steps a pixel's point takes to leave the circle of radius 2, if it does.
fn escape(x: u32, y: u32) -> Option<u32> {
    let scale = 3.0 / f64::from(WIDTH);
    let re = f64::from(x) * scale - 2.2;
    let im = (f64::from(y) - f64::from(HEIGHT) / 2.0) * scale;
    let (mut a, mut b) = (0.0, 0.0);
    (0..STEPS).find(|_| {
        (a, b) = (a * a - b * b + re, 2.0 * a * b + im);
        a * a + b * b > 4.0
    })
}

fn colour(steps: Option<u32>) -> [u8; 3] {
    let Some(steps) = steps else { return [8, 8, 24] };
    let phase = (f64::from(steps) + 1.0).ln() * 1.8;
    [0.0, 0.6, 1.2].map(|shift| ((phase + shift).sin() * 110.0 + 130.0) as u8)
}

fn serial() -> Vec<Vec<u8>> {
    let mut rows = vec![Vec::new(); HEIGHT as usize];
    for y in 0..HEIGHT {
        rows[y as usize] = row(y);
    }
    rows
}

#[synchronized]
fn parallel() -> Vec<Vec<u8>> {
    let mut rows = vec![Vec::new(); HEIGHT as usize];
    for y in 0..HEIGHT {
        rows[y as usize] = row(y);
    }
    rows
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (run(), begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() -> ExitCode {
    let file =
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("mandelbrot.png"), PathBuf::from);
    // The workers start with the first picture.
    let rows = parallel();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (by_one, time) = timed(serial);
        one.push(time);
        let (by_many, time) = timed(parallel);
        other.push(time);
        if by_one != by_many || by_many != rows {
            eprintln!("the pictures differ");
            return ExitCode::FAILURE;
        }
    }
    let picture = RgbImage::from_raw(WIDTH, HEIGHT, rows.concat()).expect("three bytes for each pixel");
    if let Err(error) = picture.save(&file) {
        eprintln!("can't write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    let (one, other) = (median(one), median(other));
    println!("{HEIGHT} rows of {:.2} ms each on average", one.as_secs_f64() * 1e3 / f64::from(HEIGHT));
    println!(
        "serial {one:.2?}, synchronized {other:.2?}: {:.2} times as fast",
        one.as_secs_f64() / other.as_secs_f64()
    );
    println!("the same picture, in {}", file.display());
    ExitCode::SUCCESS
}
