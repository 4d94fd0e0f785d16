//! The stack of a panic: taken as addresses, named when somebody reads it.
//!
//! Owns the addresses. Promises: taking costs some microseconds and no names; at most [`LIMIT`] frames are kept; what goes to
//! another process is (module, offset) pairs, and what comes from one is only ever looked up, never followed.
//! Leaves out: the layout of a trace (`report`), the meaning of a name (`names`), and the modules (`sys`).
//!
//! Names come from the `backtrace` crate, whose cache is process-wide: the first resolution reads the debug information
//! (about 80 ms), later ones are quick, and go on working when the program's file has been deleted (trap 7).

use std::env;
use std::fmt;
use std::hint;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names;
use crate::ground::sys::{CodeAddress, address, locate};

/// Enough for real programs; a recursion of a million frames would otherwise cost seconds and megabytes.
const LIMIT: usize = 128;

/// Whether `RUST_BACKTRACE` asks for the stacks of forks; read once, since a fork must not cost a look at the environment.
static FORKS: OnceLock<bool> = OnceLock::new();

/// The innermost frames of a thread.
#[derive(Clone, Default)]
pub(crate) struct Frames {
    code: Code,
    is_cut: bool,
}

#[derive(Clone)]
enum Code {
    /// Return addresses of this process.
    Here(Vec<usize>),
    /// From another process of the same binary.
    Sent(Vec<CodeAddress>),
}

/// A function in a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `None` if the program has no symbols.
    pub(crate) name: Option<String>,
    /// Relative to the current directory, where it lies below it.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

/// Marks in the stack where a task begins: what lies below is ours, not the user's.
#[inline(never)]
pub(crate) fn __xfork_task_boundary<R>(f: impl FnOnce() -> R) -> R {
    let result = f();
    // Something must follow the call, or the optimiser makes it a jump, and this frame is gone.
    hint::black_box(());
    result
}

impl Default for Code {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

impl Frames {
    /// The stack of a thread that forks, if `RUST_BACKTRACE` is `1` or `full`; else `None`, for the price of a load.
    #[inline]
    pub(crate) fn of_fork() -> Option<Self> {
        let asks = || env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "1" || value == "full");
        FORKS.get_or_init(asks).then(Self::capture)
    }

    /// The stack of this thread.
    #[inline(never)]
    pub(super) fn capture() -> Self {
        let mut addresses = Vec::with_capacity(LIMIT);
        let mut is_cut = false;
        backtrace::trace(|frame| {
            is_cut = addresses.len() == LIMIT;
            if !is_cut {
                addresses.push(frame.ip().addr());
            }
            !is_cut
        });
        // That of a fork is kept as long as its task.
        addresses.shrink_to_fit();
        Self { code: Code::Here(addresses), is_cut }
    }

    /// Those of another process of the same binary; as many as are kept.
    pub(super) fn sent(mut code: Vec<CodeAddress>, is_cut: bool) -> Self {
        let is_cut = is_cut || code.len() > LIMIT;
        code.truncate(LIMIT);
        Self { code: Code::Sent(code), is_cut }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        match &self.code {
            Code::Here(addresses) => addresses.len(),
            Code::Sent(addresses) => addresses.len(),
        }
    }

    /// Whether the stack was deeper than what is kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The frames of the task, innermost first: without the machinery of the panic and what runs tasks.
    pub(crate) fn resolve(&self) -> Vec<Frame> {
        trim(self.resolve_all())
    }

    /// The frames of code that forks, innermost first: without what this library does at a fork.
    pub(super) fn resolve_fork(&self) -> Vec<Frame> {
        let mut frames = trim(self.resolve_all());
        let ours = frames.iter().take_while(|frame| frame.is_runtime()).count();
        frames.drain(..ours);
        frames
    }

    /// Every frame.
    pub(crate) fn resolve_all(&self) -> Vec<Frame> {
        let here = env::current_dir().unwrap_or_default();
        let mut frames = Vec::new();
        match &self.code {
            Code::Here(addresses) => addresses.iter().for_each(|code| resolve(*code, &here, &mut frames)),
            Code::Sent(sent) => {
                sent.iter()
                    .filter_map(|code| address(*code))
                    .for_each(|code| resolve(code, &here, &mut frames));
            }
        }
        frames
    }
}

/// One address may be several functions, where some were inlined.
fn resolve(code: usize, here: &Path, frames: &mut Vec<Frame>) {
    let before = frames.len();
    // Miri knows no addresses that have been numbers.
    if cfg!(miri) {
        return frames.push(Frame::default());
    }
    backtrace::resolve(std::ptr::without_provenance_mut(code), |symbol| {
        let file = symbol.filename().map(PathBuf::from);
        let name = symbol.name().map(|name| names::clean(&format!("{name:#}")));
        frames.push(Frame {
            name: name.map(|name| names::with_owner(name, file.as_deref())),
            file: file.map(|file| file.strip_prefix(here).unwrap_or(&file).display().to_string()),
            line: symbol.lineno(),
            column: symbol.colno(),
        });
    });
    if frames.len() == before {
        frames.push(Frame::default());
    }
}

fn trim(frames: Vec<Frame>) -> Vec<Frame> {
    let is = |test: fn(&str) -> bool| move |frame: &Frame| frame.name.as_deref().is_some_and(test);
    let after_hook = frames.iter().position(is(names::is_end_of_machinery)).map_or(0, |index| index + 1);
    let mut task: Vec<_> = frames.into_iter().skip(after_hook).skip_while(is(names::is_machinery)).collect();
    if let Some(boundary) = task.iter().position(is(names::is_boundary)) {
        task.truncate(boundary);
    }
    task
}

impl Frame {
    /// Whether it is of the runtime or the standard library, not of somebody's program.
    pub(crate) fn is_runtime(&self) -> bool {
        const SOURCES: [&str; 2] = ["/rustc/", "/lib/rustlib/src/rust/library/"];
        let file = self.file.as_deref().unwrap_or_default();
        self.name.as_deref().is_some_and(names::is_runtime) || SOURCES.iter().any(|path| file.contains(path))
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the names: an error that is only printed with `{:?}` must not read the debug information.
        write!(f, "[{} frames]", self.len())
    }
}

#[derive(Serialize, Deserialize)]
struct SentFrames {
    is_cut: bool,
    code: Vec<(u32, u64)>,
}

impl Serialize for Frames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pair = |code: CodeAddress| (code.module, code.offset);
        // An address outside all modules (code made at run time) says nothing to another process.
        let code = match &self.code {
            Code::Here(addresses) => addresses.iter().filter_map(|code| locate(*code)).map(pair).collect(),
            Code::Sent(addresses) => addresses.iter().copied().map(pair).collect(),
        };
        SentFrames { is_cut: self.is_cut, code }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SentFrames { is_cut, mut code } = SentFrames::deserialize(deserializer)?;
        code.truncate(LIMIT);
        let code = code.into_iter().map(|(module, offset)| CodeAddress { module, offset }).collect();
        Ok(Self { code: Code::Sent(code), is_cut })
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Frame> {
        names.iter().map(|name| Frame { name: Some((*name).to_owned()), ..Frame::default() }).collect()
    }

    #[test]
    fn trimming_leaves_the_frames_of_the_task() {
        let all = named(&[
            "backtrace::backtrace::trace",
            "xfork::ground::panics::hook::on_panic",
            "std::panicking::panic_with_hook",
            "std::sys::backtrace::__rust_end_short_backtrace",
            "__rustc::rust_begin_unwind",
            "core::panicking::panic_fmt",
            "core::option::unwrap_failed",
            "app::inner",
            "std::panicking::catch_unwind",
            "app::outer",
            "xfork::ground::panics::frames::__xfork_task_boundary",
            "app::waiter",
            "xfork::ground::panics::frames::__xfork_task_boundary",
            "main",
        ]);
        let task =
            ["core::option::unwrap_failed", "app::inner", "std::panicking::catch_unwind", "app::outer"];
        assert_eq!(trim(all), named(&task));
    }

    #[test]
    fn a_stack_without_marks_or_names_is_left_whole() {
        assert_eq!(trim(named(&["app::f", "main"])), named(&["app::f", "main"]));
        assert_eq!(trim(vec![Frame::default(); 3]).len(), 3);
    }

    #[test]
    fn deep_stacks_are_cut() {
        fn deep(n: u32) -> Frames {
            let frames = if n == 0 { Frames::capture() } else { deep(n - 1) };
            hint::black_box(frames)
        }
        let frames = deep(1000);
        assert_eq!((frames.len(), frames.is_cut()), (LIMIT, true));
        let shallow = std::thread::spawn(Frames::capture).join().unwrap();
        assert!(!shallow.is_cut() && !shallow.is_empty());
    }

    #[test]
    fn more_frames_than_the_limit_from_a_peer_are_dropped() {
        let sent = SentFrames { is_cut: false, code: vec![(u32::MAX, u64::MAX); 1000] };
        let frames: Frames = postcard::from_bytes(&postcard::to_stdvec(&sent).unwrap()).unwrap();
        assert_eq!(frames.len(), LIMIT);
        let _ = frames.resolve();
    }
}
