//! Makes thumbnails of a folder of photographs: first sequentially, then in parallel, and compares.
//!
//! ```text
//! cargo run --release --example thumbnails                   # the photographs in examples/photos, and two bad files
//! cargo run --release --example thumbnails -- FOLDER [OUT]   # your own
//! XFORK_WORKERS=2 cargo run --release --example thumbnails   # on two worker processes
//! ```
//!
//! What xfork asks of the program is in `sequential` and `parallel`, side by side: `f(x)` becomes `fork(f, x)`, and
//! each of the three functions has a mark that says whether it waits or computes.
//!
//! The second job finds the photographs in memory where the first had to read a disk: for a fair comparison of a large
//! folder, run the program twice.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader};
use std::ffi::OsString;
use std::io::{Cursor, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs, io};
use xfork::{ResultProxy, as_completed, cpu_bound, fork, io_bound, ready, wait};

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 256;
/// The quality of a thumbnail's JPEG, out of 100.
const QUALITY: u8 = 85;
const USAGE: &str = "usage: thumbnails [FOLDER [OUT]]";
/// How many photographs the parallel job may hold in memory at once.
const AT_ONCE: usize = 256;

/// A file's contents, or why there are none. The next step takes it as it is and hands the reason on.
type Contents = Result<Vec<u8>, String>;

// Waits for the disk, so it runs on a thread.
#[io_bound]
fn read(photo: &Path) -> Contents {
    fs::read(photo).map_err(|error| error.to_string())
}

// Computes, so it runs in a worker process: should a decoder crash on a bad file, only that file is lost.
#[cpu_bound]
fn shrink(photo: Contents) -> Contents {
    shrunk(&photo?).map_err(|error| error.to_string())
}

// Waits for the disk again.
#[io_bound]
fn write(thumbnail: &Path, jpeg: Contents) -> Result<i64, String> {
    let jpeg = jpeg?;
    fs::write(thumbnail, &jpeg).map_err(|error| format!("{}: {error}", thumbnail.display()))?;
    Ok(jpeg.len() as i64)
}

/// A photograph, and the size of its file in bytes.
struct Photo {
    path: PathBuf,
    bytes: i64,
}

/// What a job gives: for each photograph the size of its thumbnail or what went wrong, and the bytes saved in all.
#[derive(PartialEq)]
struct Done {
    thumbnails: Vec<Result<i64, String>>,
    saved: i64,
}

/// The job as anybody would write it.
fn sequential(photos: &[Photo], out: &Path) -> Done {
    let mut thumbnails = Vec::new();
    let mut saved = 0;
    for photo in photos {
        let thumbnail = write(&inside(out, photo), shrink(read(&photo.path)));
        saved += gain(photo.bytes, &thumbnail);
        thumbnails.push(thumbnail);
    }
    Done { thumbnails, saved }
}

/// The same job with xfork: the calls are forked, and each takes the proxy of what the previous one will give.
fn parallel(photos: &[Photo], out: &Path) -> Done {
    let mut thumbnails = Vec::new();
    let mut saved = ready(0);
    let mut bar = Bar::new(photos.len());
    // One group after the other, because reading is faster than shrinking: it would fill the memory.
    for photos in photos.chunks(AT_ONCE) {
        let mut group = Vec::new();
        // Nothing in this loop waits for anything: `+=` on a proxy is worked out when the sum is needed.
        for photo in photos {
            let thumbnail = fork(write, (inside(out, photo), fork(shrink, fork(read, &photo.path))));
            let bytes = photo.bytes;
            saved += ResultProxy::map(&thumbnail, move |thumbnail| gain(bytes, thumbnail));
            group.push(thumbnail);
        }
        for _ in as_completed(group.iter().cloned()) {
            bar.step();
        }
        thumbnails.append(&mut group);
    }
    // `wait` gives an error where reading the proxy would panic: when a decoder panicked or its worker was killed.
    let outcome = |thumbnail| wait(thumbnail).map_or_else(|error| Err(error.to_string()), Clone::clone);
    let saved = ResultProxy::into_result(saved).unwrap_or_default();
    Done { thumbnails: thumbnails.iter().map(outcome).collect(), saved }
}

// From here on there is nothing about xfork.

fn gain(photo: i64, thumbnail: &Result<i64, String>) -> i64 {
    thumbnail.as_ref().map_or(0, |thumbnail| photo - thumbnail)
}

/// Decodes a photograph, turns it as its camera was held, makes it small and encodes it.
fn shrunk(photo: &[u8]) -> image::ImageResult<Vec<u8>> {
    if is_cut_off(photo) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut off").into());
    }
    let mut decoder = ImageReader::new(Cursor::new(photo)).with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    if image.width().max(image.height()) > SIDE {
        image = image.resize(SIDE, SIDE, FilterType::Lanczos3);
    }
    let mut jpeg = Vec::new();
    image.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

/// Whether a JPEG's picture has no end; the decoder would paint what is missing grey.
fn is_cut_off(photo: &[u8]) -> bool {
    let Some(mut rest) = photo.strip_prefix(b"\xff\xd8") else { return false };
    loop {
        rest = match *rest {
            // The picture begins, and nothing in it looks like the mark of its end. A camera may put more after it.
            [0xff, 0xda, ..] => return !rest.windows(2).rev().any(|mark| mark == b"\xff\xd9"),
            [0xff, 0xff, ..] => &rest[1..],
            [0xff, _, high, low, ..] => {
                rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default()
            }
            // Not a JPEG's order: the decoder knows better what to say.
            _ => return false,
        };
    }
}

/// Where a thumbnail goes; the photograph's whole name is kept, since there may be a `cat.png` beside a `cat.jpg`.
fn inside(out: &Path, photo: &Photo) -> PathBuf {
    let mut name = photo.path.file_name().unwrap_or_default().to_os_string();
    name.push(".thumbnail.jpg");
    out.join(name)
}

fn photos_in(folder: &Path) -> Result<Vec<Photo>, String> {
    let list = || -> io::Result<Vec<Photo>> {
        let mut photos = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let file = fs::metadata(&path);
            if let Ok(file) = file
                && file.is_file()
                && ["png", "jpg", "jpeg"].contains(&&*extension)
            {
                photos.push(Photo { path, bytes: file.len() as i64 });
            }
        }
        photos.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(photos)
    };
    list().map_err(|error| format!("{}: {error}", folder.display()))
}

/// Two files that are no photographs, to show that the job goes on past them.
fn bad_photos(good: &[Photo], folder: &Path) -> Result<Vec<Photo>, String> {
    let make = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("text.jpg"), "This is not a photograph.")?;
        if let Some(photo) = good.last() {
            let whole = fs::read(&photo.path)?;
            fs::write(folder.join("truncated.jpg"), &whole[..whole.len() / 2])?;
        }
        Ok(())
    };
    make().map_err(|error| format!("{}: {error}", folder.display()))?;
    photos_in(folder)
}

/// A bar on the terminal, which shows how much is done; nothing where there is no terminal.
struct Bar {
    done: usize,
    of: usize,
    shown: bool,
}

impl Bar {
    fn new(of: usize) -> Self {
        Self { done: 0, of, shown: io::stderr().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.shown {
            let width = 40 * self.done / self.of;
            eprint!("\r[{:<40}] {}/{}", "#".repeat(width), self.done, self.of);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            eprintln!();
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let (folder, out, rest) = (arguments.next(), arguments.next(), arguments.next());
    if folder.as_ref().is_some_and(|folder| folder == "--help" || folder == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    if rest.is_some() {
        return Err(format!("too many arguments; {USAGE}"));
    }
    let out = out.map_or_else(
        || env::temp_dir().join(format!("xfork-thumbnails-{}", std::process::id())),
        PathBuf::from,
    );
    let photos = match &folder {
        Some(folder) => photos_in(folder.as_ref())?,
        None => {
            let mut photos = photos_in(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/photos").as_ref())?;
            photos.extend(bad_photos(&photos, &out.join("bad"))?);
            photos
        }
    };
    if photos.is_empty() {
        println!("no photographs (.png, .jpg, .jpeg) in {}", folder.unwrap_or_default().display());
        return Ok(());
    }
    let (first_out, second_out) = (out.join("sequential"), out.join("parallel"));
    for folder in [&first_out, &second_out] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }

    let start = Instant::now();
    let first = sequential(&photos, &first_out);
    let sequential_time = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let second = parallel(&photos, &second_out);
    let parallel_time = start.elapsed().as_secs_f64();

    let mut failures = 0;
    for (photo, thumbnail) in photos.iter().zip(&second.thumbnails) {
        match thumbnail {
            Ok(_) => {
                let files = (fs::read(inside(&first_out, photo)), fs::read(inside(&second_out, photo)));
                assert!(
                    matches!(&files, (Ok(first), Ok(second)) if first == second),
                    "the thumbnails of {} differ",
                    photo.path.display()
                );
            }
            Err(error) => {
                eprintln!("{}: {}", photo.path.display(), error.trim().replace('\n', " "));
                failures += 1;
            }
        }
    }
    assert!(first == second, "the two jobs differ in what failed or in the bytes saved");

    println!("sequential   {sequential_time:.3} s");
    println!("parallel     {parallel_time:.3} s");
    println!("speed-up     {:.2}", sequential_time / parallel_time);
    println!("photographs  {}, of which {failures} could not be read", photos.len());
    println!("bytes saved  {}", second.saved);
    println!("thumbnails   {}", second_out.display());
    Ok(())
}

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thumbnails: {error}");
            ExitCode::FAILURE
        }
    }
}
