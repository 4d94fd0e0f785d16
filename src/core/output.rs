//! What tasks printed in workers, kept until the value of the task is used: [`Output`], and who prints what when.
//!
//! Owns the texts, by task, with the tasks whose results each has taken and the one that forked it. Promises: a text is
//! printed once; before it come those of the task's inputs, after it those of its own forks that nobody has used; what
//! is kept of one task is bounded. Nothing is locked while text is printed, because a user's thread may hold the lock of
//! the stream while it waits for us. Leaves out how text is captured (`runner/process/worker/record.rs`).

use crate::core::ids::TaskId;
use crate::core::slot::when_nothing_is_claimed;
pub(crate) use crate::ground::sys::Stream;
use crate::ground::{panics, sys};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What becomes of the text that tasks in worker processes print.
///
/// [`Inherited`](Self::Inherited): it goes where the program's own text goes, at once, in the order in which tasks happen
/// to run. [`Captured`](Self::Captured): it is kept with the task and printed where the task's value is first used, so that
/// a parallel run prints what the sequential one prints. Chosen by [`Plan::output`](crate::Plan::output), or
/// `XFORK_OUTPUT=captured` in the environment.
///
/// ```
/// use xfork::{Output, Plan, fork, wait, with_plan};
///
/// #[xfork::cpu_bound]
/// fn halve(n: u32) -> u32 {
///     println!("halving {n}");
///     assert!(n % 2 == 0, "{n} is odd");
///     n / 2
/// }
///
/// with_plan(Plan::processes(2).output(Output::Captured), || {
///     let halves = [fork(halve, 8), fork(halve, 6), fork(halve, 5)];
///     assert_eq!(halves[0], 4);                            // prints "halving 8"
///     assert_eq!(halves[1], 3);                            // prints "halving 6"
///     let error = wait(&halves[2]).unwrap_err();           // prints "halving 5"
///     assert_eq!(error.output(), Some("halving 5\n"));
/// });
/// ```
///
/// What is captured:
///
/// * All that a worker process writes to its standard output and error while it serves a task, by `println!`, by C code,
///   or by processes that the task starts. A task on a thread or in place prints as it always does.
/// * Each stream keeps its order; which stream a text came from is kept, but not the order between the two: of each
///   stretch of text, what went to standard output comes first.
/// * Of one task 16 MiB, and the last 64 KiB; how much was left out in between is said in its place.
/// * A worker's output is then no terminal, and programs that ask say so.
///
/// When it is printed:
///
/// * When the value is first read, before that use returns: by `*p`, [`wait()`](crate::wait()), a method, an operator that is
///   evaluated. It is printed by `print!` and `eprint!`, so that the capture of tests sees it. Of several threads
///   that read at the same time, one prints and the others don't wait for that.
/// * The result of a task that goes into another task is not used by that: its text comes right before the other's.
///   A deferred expression that goes into a task is evaluated when its operands are there, and prints then.
/// * The text of a task that failed comes before the report of the failure, and is in [`TaskError::output`]. Of one that is
///   tried again, that is the text of all its tries; of one whose time is over or that is cancelled, what it had printed by then.
/// * What a task's own forks printed belongs to the task: where it used their values, or else at the end of its own text.
/// * Text of tasks whose values nobody uses comes at the end of the program, in the order of forking.
///
/// So `println!("{p}")` prints the task's text in the middle of the line, since it reads the value while it prints;
/// `println!("{}", *p)` reads it before. The former also has the stream locked: two threads that do so, one with each
/// stream, for tasks that print to the other one, wait for each other.
///
/// What a worker prints outside any task (threads that a task left behind, destructors of results) comes with the next task
/// that runs there, and so does text that C code keeps back when its task ends by another way than its return.
/// What a task prints while it is being ended is lost, and of one that is cancelled from within another task in a worker
/// all that its worker had not told yet. A worker that dies loses the text of forks that had ended there and whose values the dying task had not used.
///
/// [`TaskError::output`]: crate::TaskError::output
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Output {
    /// Workers print where the program prints.
    #[default]
    Inherited,
    /// What a task prints is printed where its value is used.
    Captured,
}

/// How much of the beginning of a task's text is kept.
pub(crate) const HEAD: u64 = 16 << 20;
/// How much of its end, where it is longer.
pub(crate) const TAIL: u64 = 64 << 10;

/// A stretch of text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) stream: Stream,
    /// How many bytes before it have been left out.
    pub(crate) left_out: u64,
    pub(crate) text: Vec<u8>,
}

impl Part {
    /// What a file of the capture gives.
    pub(crate) fn of(stream: Stream, ends: sys::Ends) -> impl Iterator<Item = Self> {
        let head = Self { stream, left_out: 0, text: ends.head };
        let tail = Self { stream, left_out: ends.left_out, text: ends.tail };
        [head, tail].into_iter().filter(|part| !part.text.is_empty() || part.left_out > 0)
    }
}

#[derive(Default)]
struct Entry {
    parent: Option<TaskId>,
    inputs: Vec<TaskId>,
    parts: Vec<Part>,
    /// The sum of the lengths of `parts`.
    length: u64,
    /// The last of what is too much.
    tail: Option<Part>,
}

impl Entry {
    fn push(&mut self, mut part: Part) {
        if self.length + part.text.len() as u64 <= HEAD && self.tail.is_none() {
            self.length += part.text.len() as u64;
            match self.parts.last_mut() {
                Some(last) if last.stream == part.stream && part.left_out == 0 => {
                    last.text.append(&mut part.text)
                }
                _ => self.parts.push(part),
            }
            return;
        }
        match self.tail.take() {
            Some(mut before) if before.stream == part.stream && part.left_out == 0 => {
                before.text.append(&mut part.text);
                part = before;
            }
            Some(before) => part.left_out += before.left_out + before.text.len() as u64,
            None => {}
        }
        let too_much = part.text.len().saturating_sub(TAIL as usize);
        part.text.drain(..too_much);
        part.left_out += too_much as u64;
        self.tail = Some(part);
    }

    fn into_parts(self) -> impl Iterator<Item = Part> {
        self.parts.into_iter().chain(self.tail)
    }
}

#[derive(Default)]
struct Kept {
    entries: HashMap<TaskId, Entry>,
    /// The entries by the task that forked theirs.
    children: HashMap<TaskId, BTreeSet<TaskId>>,
}

impl Kept {
    fn entry(&mut self, id: TaskId, parent: Option<TaskId>) -> &mut Entry {
        self.entries.entry(id).or_insert_with(|| {
            if let Some(parent) = parent {
                self.children.entry(parent).or_default().insert(id);
            }
            Entry { parent, ..Entry::default() }
        })
    }

    /// Takes out the text of a task, after that of its inputs.
    fn take(&mut self, id: TaskId) -> Vec<Part> {
        enum Step {
            Enter(TaskId),
            Leave(Entry),
        }
        let (mut parts, mut steps) = (Vec::new(), vec![Step::Enter(id)]);
        while let Some(step) = steps.pop() {
            match step {
                Step::Leave(entry) => parts.extend(entry.into_parts()),
                Step::Enter(id) => {
                    let Some(mut entry) = self.entries.remove(&id) else { continue };
                    if let Some(parent) = entry.parent
                        && let Some(children) = self.children.get_mut(&parent)
                    {
                        children.remove(&id);
                        if children.is_empty() {
                            self.children.remove(&parent);
                        }
                    }
                    let inputs = std::mem::take(&mut entry.inputs);
                    steps.push(Step::Leave(entry));
                    steps.extend(inputs.into_iter().rev().map(Step::Enter));
                }
            }
        }
        parts
    }

    fn take_children(&mut self, id: TaskId) -> Vec<Part> {
        let children = self.children.remove(&id).unwrap_or_default();
        children.into_iter().flat_map(|child| self.take(child)).collect()
    }
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Says that texts are captured from now on.
pub(crate) fn begin() {
    IN_USE.store(true, Ordering::Release);
}

/// Whether there may be texts at all.
#[inline]
pub(crate) fn is_in_use() -> bool {
    // Acquire: a task whose text is kept was started after `begin`.
    IN_USE.load(Ordering::Acquire)
}

/// Keeps what a task has printed, behind what it printed before.
pub(crate) fn add(id: TaskId, parent: Option<TaskId>, part: Part) {
    KEPT.lock().entry(id, parent).push(part);
}

/// Keeps what nobody has printed, for the end of the program.
pub(crate) fn add_nobodys(parts: Vec<Part>) {
    let id = TaskId::next();
    for part in parts {
        add(id, None, part);
    }
}

/// The end of what a task has printed.
pub(crate) fn tail(id: TaskId) -> Option<String> {
    let kept = KEPT.lock();
    let entry = kept.entries.get(&id)?;
    let (mut length, mut ends) = (TAIL as usize, Vec::new());
    for part in entry.parts.iter().chain(&entry.tail).rev() {
        let end = &part.text[part.text.len() - part.text.len().min(length)..];
        length -= end.len();
        ends.push(end);
    }
    ends.reverse();
    let text = ends.concat();
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The end of a task, and of all that it forked; says whether there is text to be relayed when its value is used.
/// `inputs` are tasks whose results it took.
pub(crate) fn end(id: TaskId, parent: Option<TaskId>, inputs: impl Iterator<Item = TaskId>) -> bool {
    let mut kept = KEPT.lock();
    let inputs: Vec<_> = inputs.filter(|input| kept.entries.contains_key(input)).collect();
    let forks = kept.take_children(id);
    if inputs.is_empty() && forks.is_empty() && !kept.entries.contains_key(&id) {
        return false;
    }
    let entry = kept.entry(id, parent);
    entry.inputs = inputs;
    forks.into_iter().for_each(|part| entry.push(part));
    true
}

/// Takes what the forks of a task printed and nobody has used.
pub(crate) fn take_of_forks(id: TaskId) -> Vec<Part> {
    KEPT.lock().take_children(id)
}

/// Prints the text of a task whose value is used, if that has not been done.
pub(crate) fn relay(id: TaskId) {
    let parts = KEPT.lock().take(id);
    if !parts.is_empty() {
        when_nothing_is_claimed(move || print(parts));
    }
}

/// Prints what is left, in the order of forking.
pub(crate) fn relay_all() {
    let parts: Vec<_> = {
        let mut kept = KEPT.lock();
        let mut ids: Vec<_> = kept.entries.keys().copied().collect();
        ids.sort();
        ids.into_iter().flat_map(|id| kept.take(id)).collect()
    };
    print(parts);
}

fn print(parts: Vec<Part>) {
    for Part { stream, left_out, text } in parts {
        if left_out > 0 {
            panics::print_to(stream, format!("\n[… {left_out} bytes left out …]\n").as_bytes());
        }
        panics::print_to(stream, &text);
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        Part { stream: Stream::Out, left_out: 0, text: text.as_bytes().to_vec() }
    }

    fn text(parts: Vec<Part>) -> String {
        parts.into_iter().map(|part| String::from_utf8(part.text).unwrap()).collect()
    }

    #[test]
    fn inputs_come_first_and_unused_forks_last_each_once() {
        let [outer, dependent, input, fork] = [(); 4].map(|()| TaskId::next());
        add(fork, Some(outer), part("fork "));
        assert!(end(fork, Some(outer), [].into_iter()));
        add(input, None, part("input "));
        add(outer, None, part("outer "));
        assert!(end(outer, None, [input].into_iter()));
        assert!(end(dependent, None, [outer, input].into_iter()), "it has none of its own");
        let mut kept = KEPT.lock();
        assert_eq!(text(kept.take(dependent)), "input outer fork ");
        assert_eq!(text(kept.take(input)), "");
        assert_eq!(text(kept.take(outer)), "");
        assert!(!kept.children.contains_key(&outer));
    }

    #[test]
    fn a_chain_of_a_million_inputs_needs_no_stack() {
        let mut last = TaskId::next();
        add(last, None, part("first"));
        for _ in 0..1_000_000 {
            let next = TaskId::next();
            assert!(end(next, None, [last].into_iter()));
            last = next;
        }
        assert_eq!(text(KEPT.lock().take(last)), "first");
    }

    #[test]
    fn of_a_long_text_the_beginning_and_the_end_are_kept() {
        let id = TaskId::next();
        let mega = "m".repeat(1 << 20);
        for _ in 0..20 {
            add(id, None, part(&mega));
        }
        add(id, None, part("end"));
        assert_eq!(tail(id).unwrap().len(), TAIL as usize);
        let parts = KEPT.lock().take(id);
        let length: u64 = parts.iter().map(|part| part.text.len() as u64 + part.left_out).sum();
        assert_eq!(length, (20 << 20) + 3);
        assert_eq!(parts[0].text.len() as u64, HEAD);
        assert!(parts.last().unwrap().text.ends_with(b"mend"));
    }
}
