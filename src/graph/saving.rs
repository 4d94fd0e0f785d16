//! Results and states that survive the process: saved to a file and loaded, or kept in a file as soon as they are there.

use super::build::Graph;
use super::dag::Dag;
use super::error::{GraphError, GraphFault};
use super::rerun::{Reason, State};
use super::running::Running;
use crate::core::error::{TaskError, WireError};
use crate::ground::wire::codec;
use crate::store::{Change, Outcome, Record, Store, StoreError, Writer, write_whole};
use std::path::Path;
use std::time::SystemTime;

/// A task that had been started and not ended when somebody looked: its program died then, or goes on with it now.
///
/// Started means that its inputs were there and it was handed to the worker processes or threads: it runs, or is queued there
/// for a free one.
///
/// ```
/// let file = std::env::temp_dir().join(format!("xfork-doc-unfinished-{}", std::process::id()));
/// let mut graph = xfork::Graph::new();
/// graph.keep_in(&file)?;
/// graph.run()?;
/// assert!(xfork::graph::in_progress(&file).unwrap().is_empty());
/// # std::fs::remove_file(file).unwrap();
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Its name.
    pub name: String,
    /// When it began to run, or was queued, by the clock on the wall.
    pub since: SystemTime,
    /// The process that ran the graph.
    pub pid: u32,
    /// Whether it ran, as far as the file knows: it is written within about a millisecond. Otherwise it was queued.
    pub is_running: bool,
}

/// Which tasks a file in which a graph is [kept](Graph::keep_in) says to have started and not ended. The file is only read, also
/// while a program is writing it.
///
/// ```
/// # let file = std::env::temp_dir().join(format!("xfork-doc-progress-{}", std::process::id()));
/// let mut graph = xfork::Graph::new();
/// graph.add_named("a", xfork::io_bound(|| 5), []);
/// graph.keep_in(&file)?;
/// graph.run()?;
/// assert!(xfork::graph::in_progress(&file).unwrap().is_empty());
/// # std::fs::remove_file(file).unwrap();
/// # Ok::<(), xfork::GraphError>(())
/// ```
///
/// # Errors
///
/// If there is no such file, or it is damaged, of another version, or no file of a graph.
pub fn in_progress(path: impl AsRef<Path>) -> Result<Vec<Unfinished>, StoreError> {
    let unfinished =
        Store::peek(path)?.in_progress().into_iter().map(|(name, mark, is_running)| Unfinished {
            name: String::from_utf8_lossy(&name).into_owned(),
            since: mark.time,
            pid: mark.pid,
            is_running,
        });
    Ok(unfinished.collect())
}

impl Graph {
    /// Writes what is done and what failed to a file, which [`load`](Self::load) reads in a later process. A file of that name is
    /// replaced at once: whatever happens, it is the old one or the new one.
    ///
    /// Results are saved of cpu-bound functions, and where [`Task::saved`](crate::Task::saved) or [`set_saved`](Self::set_saved)
    /// asks for it; other tasks are run again in the later process. Gives the names of those that are done and not saved.
    ///
    /// ```
    /// use xfork::{Graph, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn square(n: i64) -> i64 { n * n }
    ///
    /// let file = std::env::temp_dir().join(format!("xfork-doc-save-{}", std::process::id()));
    /// let mut graph = Graph::new();
    /// graph.add("nine", task(square, 3))?;
    /// graph.run()?;
    /// assert!(graph.save(&file)?.is_empty());
    ///
    /// let mut later = Graph::new();                  // perhaps in another process
    /// let nine = later.add("nine", task(square, 3))?;
    /// assert_eq!(later.load(&file)?, 1);
    /// assert_eq!(later.results()[&nine], 9);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file can't be written, is in use by another graph, or is something else than the file of a graph: it is left as it
    /// was then. Also if a result can't be serialised.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<Vec<&str>, GraphError> {
        let (mut records, mut left) = (Vec::new(), Vec::new());
        for task in 0..self.len() as u32 {
            match self.record(task).map_err(|why| self.unsavable((task, why)))? {
                Some(record) => records.push((self.names.get(task).as_bytes(), record)),
                None if self.states[task as usize] == State::Done => left.push(self.names.get(task)),
                None => {}
            }
        }
        write_whole(path.as_ref(), records).map_err(GraphFault::Store)?;
        Ok(left)
    }

    /// Takes the results and states of tasks of the same names from a file that [`save`](Self::save) or
    /// [`keep_in`](Self::keep_in) has written; tasks that are done already stay as they are. Says how many it took.
    ///
    /// ```
    /// let file = std::env::temp_dir().join(format!("xfork-doc-load-{}", std::process::id()));
    /// xfork::Graph::new().save(&file)?;
    /// assert_eq!(xfork::Graph::new().load(&file)?, 0);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file can't be read, or the result of a task has another type there than here, or can't be read as its type: all
    /// of these. The graph stays as it was.
    ///
    /// Another type is also one of the same name that was built differently when the result was saved: that fields or variants,
    /// in it or in a type within it, were added, removed, renamed, moved or given another type, is noticed wherever the saved value
    /// has them. What only its own `Serialize` knows is not, nor is a change of what the task computes.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<usize, GraphError> {
        let store = Store::peek(path.as_ref()).map_err(GraphFault::Store)?;
        self.take(&store, 0)
    }

    /// Has the results be kept in a file from now on, each as soon as it is there, and takes those that are there already: a
    /// program that was killed in the middle of a run goes on where it was when it is started again, and runs nothing again
    /// whose result was written.
    ///
    /// Results are written by a thread of their own, many at a time, so no task waits for the disk. What was written when the
    /// program is killed, is there. When the machine loses its power, what was written in about the last second may be lost.
    /// At the end of each run everything is on the disk. Which results can be kept, [`save`](Self::save) says.
    ///
    /// ```
    /// use xfork::{Graph, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn square(n: i64) -> i64 { n * n }
    ///
    /// fn run(file: &std::path::Path) -> Result<usize, xfork::GraphError> {
    ///     let mut graph = Graph::new();
    ///     graph.add("nine", task(square, 3))?;
    ///     let known = graph.keep_in(file)?;
    ///     assert!(graph.run()?.is_done());
    ///     Ok(known)
    /// }
    ///
    /// let file = std::env::temp_dir().join(format!("xfork-doc-keep-{}", std::process::id()));
    /// assert_eq!(run(&file)?, 0);
    /// assert_eq!(run(&file)?, 1);                    // nothing is run again
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); also if another graph, in this or another process, keeps its results in that file.
    pub fn keep_in(&mut self, path: impl AsRef<Path>) -> Result<usize, GraphError> {
        let store = Store::open(path.as_ref()).map_err(GraphFault::Store)?;
        let before = std::mem::take(&mut self.is_written);
        let taken = self.take_added(&store);
        match taken {
            Ok(_) => self.store = Some(store),
            Err(_) => self.is_written = before,
        }
        taken
    }

    /// What is to be written of a task, or why that can't be.
    fn record(&self, task: u32) -> Result<Option<Record>, String> {
        let work = &self.works[task as usize];
        // What a part is called depends on what was there when it was captured, so what is written of a name may be another's.
        if work.part().is_some() {
            return Ok(None);
        }
        let fingerprint = || work.place().output().name.into();
        Ok(match self.states[task as usize] {
            State::Done => match work.encode() {
                Some(Ok(bytes)) => Some(Record { fingerprint: fingerprint(), outcome: Outcome::Done, bytes }),
                Some(Err(why)) => return Err(why),
                None => None,
            },
            State::Valueless => {
                Some(Record { fingerprint: fingerprint(), outcome: Outcome::Marked, bytes: Vec::new() })
            }
            State::Failed => match self.reasons.get(&task) {
                Some(Reason::Failed(error)) => Some(failure(error, fingerprint())),
                _ => None,
            },
            State::New | State::Skipped => None,
        })
    }

    /// Takes what a file has of the tasks from this number on.
    fn take(&mut self, store: &Store, first: u32) -> Result<usize, GraphError> {
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for entry in store.entries() {
            let Some((outcome, fingerprint, _)) = entry.result else { continue };
            let name = std::str::from_utf8(&entry.name).ok();
            let Some(task) = name.and_then(|name| self.names.find(name)) else { continue };
            let work = &self.works[task as usize];
            if task < first || self.states[task as usize].is_done() || work.part().is_some() {
                continue;
            }
            let expected = work.place().output().name;
            if outcome == Outcome::Done && *fingerprint != *expected {
                faults.push(self.stored(task, store, format!("there it is a `{fingerprint}`")));
            }
            found.push((task, outcome, entry.name));
        }
        // Nothing is taken unless all can be.
        let mut taken = Vec::new();
        for (task, outcome, name) in found {
            if !faults.is_empty() {
                break;
            }
            let record = match store.get(&name) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    faults.push(GraphFault::Store(error));
                    break;
                }
            };
            match outcome {
                Outcome::Done => match self.works[task as usize].decode(&record.bytes) {
                    Ok(()) => taken.push((task, State::Done, None)),
                    Err(why) => faults.push(self.stored(task, store, why)),
                },
                Outcome::Marked => taken.push((task, State::Valueless, None)),
                Outcome::Failed => {
                    let read = codec::decode::<WireError>(&mut &record.bytes[..]);
                    match read {
                        Ok(wire) => {
                            let error = TaskError::from(wire);
                            taken.push((task, State::Failed, Some(Reason::Failed(error))));
                        }
                        Err(error) => faults.push(self.stored(task, store, error.to_string())),
                    }
                }
            }
        }
        if !faults.is_empty() {
            taken.iter().for_each(|(task, ..)| self.works[*task as usize].place().clear());
            return Err(GraphError::new(faults));
        }
        let count = taken.len();
        for (task, state, reason) in taken {
            self.set_state(task, state);
            self.reasons.extend(reason.map(|reason| (task, reason)));
        }
        Ok(count)
    }

    fn stored(&self, task: u32, store: &Store, why: String) -> GraphFault {
        let work = &self.works[task as usize];
        GraphFault::StoredResult {
            task: self.names.get(task).into(),
            result: work.place().output().name,
            file: store.path().to_owned(),
            why,
            place: work.added_at(),
        }
    }

    /// Takes what the file has of tasks that it has not been asked for; says of how many.
    fn take_added(&mut self, store: &Store) -> Result<usize, GraphError> {
        let first = self.is_written.len();
        let was_done: Vec<bool> = self.states[first..].iter().map(|state| state.is_done()).collect();
        let taken = self.take(store, first as u32)?;
        self.is_written.extend(was_done.into_iter().map(|was_done| !was_done));
        Ok(taken)
    }

    /// The same, for tasks that were added since the file was opened.
    pub(super) fn take_added_since(&mut self) -> Result<(), GraphError> {
        match self.store.clone() {
            Some(store) if self.is_written.len() < self.len() => self.take_added(&store).map(drop),
            _ => Ok(()),
        }
    }

    /// Starts to write what a run brings, and first what has changed since the last one; gives those of which the results can't
    /// be written, and why.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    pub(super) fn start_writing(
        &mut self,
        dag: &Dag,
    ) -> Result<(Option<Writer>, Vec<(u32, String)>), GraphError> {
        let mut unsavable = Vec::new();
        let Some(store) = &self.store else { return Ok((None, unsavable)) };
        let writer = Writer::start(store.clone()).map_err(GraphFault::Store)?;
        let mut is_known = vec![false; self.len()];
        for entry in store.entries() {
            let name = std::str::from_utf8(&entry.name).ok();
            if let Some(task) = name.and_then(|name| self.names.find(name)) {
                is_known[task as usize] = entry.result.is_some();
            }
        }
        // What needs others first: a kill in between must not leave what was made of something that is gone.
        for task in dag.order().rev() {
            let name = self.names.get(task).as_bytes();
            let is_known = is_known[task as usize];
            match self.states[task as usize] {
                State::New | State::Skipped if is_known => writer.remove(name),
                State::New | State::Skipped => {}
                _ if is_known && self.is_written[task as usize] => {}
                _ => match self.record(task) {
                    Ok(Some(record)) => writer.bring(Change::Put(name.into(), record)),
                    Ok(None) if is_known => writer.remove(name),
                    Ok(None) => {}
                    Err(why) => {
                        unsavable.push((task, why));
                        if is_known {
                            writer.remove(name);
                        }
                    }
                },
            }
        }
        self.is_written.fill(true);
        Ok((Some(writer), unsavable))
    }

    pub(super) fn unsavable(&self, (task, why): (u32, String)) -> GraphFault {
        GraphFault::Unsavable {
            task: self.names.get(task).into(),
            why,
            place: self.works[task as usize].added_at(),
        }
    }
}

fn failure(error: &TaskError, fingerprint: std::sync::Arc<str>) -> Record {
    let mut bytes = Vec::new();
    // An error consists of texts and numbers, which can always be encoded.
    let _ = codec::encode(&WireError::from(error).without_stacks(), &mut bytes);
    Record { fingerprint, outcome: Outcome::Failed, bytes }
}

impl Running {
    /// Has the start of a task be noted.
    pub(super) fn write_start(&self, task: u32) {
        if let Some(writer) = &*self.writer.read() {
            writer.started(self.names.get(task).as_bytes());
        }
    }

    /// Has it be noted that a task runs.
    pub(super) fn write_begun(&self, task: u32) {
        if let Some(writer) = &*self.writer.read() {
            writer.began(self.names.get(task).as_bytes());
        }
    }

    /// Has it be noted that a task was ended before it had a result.
    pub(super) fn write_stop(&self, task: u32) {
        if let Some(writer) = &*self.writer.read() {
            writer.ended(self.names.get(task).as_bytes());
        }
    }

    /// Has the result of a task, or how it failed, be written.
    pub(super) fn write_end(&self, task: u32, failed: Option<&TaskError>) {
        let writer = self.writer.read();
        let Some(writer) = &*writer else { return };
        let work = &self.works[task as usize];
        let name = self.names.get(task).as_bytes();
        let fingerprint = || work.place().output().name.into();
        match failed {
            _ if work.part().is_some() => writer.ended(name),
            Some(error) if error.is_cancelled() => writer.ended(name),
            Some(error) => writer.put(name, failure(error, fingerprint())),
            None => match work.encode() {
                Some(Ok(bytes)) => {
                    writer.put(name, Record { fingerprint: fingerprint(), outcome: Outcome::Done, bytes });
                }
                Some(Err(why)) => {
                    writer.ended(name);
                    self.unsavable.lock().push((task, why));
                }
                None => writer.ended(name),
            },
        }
    }

    /// Brings to the disk what was written.
    pub(super) fn finish_writing(&self) -> Result<(), StoreError> {
        let writer = self.writer.write().take();
        writer.map_or(Ok(()), |writer| writer.flush())
    }
}
