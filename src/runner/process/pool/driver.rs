//! The thread that does what callers don't: it waits for every worker at once.
//!
//! It reads every worker's socket, writes what did not fit, starts workers (it lives as long as the pool, and the kernel ties a
//! child's life to the thread that made it) and sees them die. `hear` is what is done about their messages, `life` their
//! begin and end. A panic here ends the program with a message, since everybody would wait for ever.

mod hear;
mod life;

use super::{End, Link, Shared};
use crate::core::error::TaskError;
use crate::ground::panics::PanicRecord;
use crate::ground::sys::{self, Interest, Ready, Wait};
use crate::ground::wire::frame::{self, Decoder};
use crate::runner::process::captured::{self};
use crate::runner::process::supervisor::{Event, Violation, WorkerId};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKE: u64 = 0;

struct Driver {
    shared: Arc<Shared>,
    driven: HashMap<u64, Driven>,
    /// It has been said that there are fewer workers than wanted.
    warned: bool,
}

/// What only the driver knows of a worker.
struct Driven {
    link: Arc<Link>,
    child: sys::Child,
    decoder: Decoder,
    born: Instant,
    ready: bool,
    /// When it last said something.
    heard: Instant,
    /// When to kill it, if it is to end.
    kill_at: Option<Instant>,
    last_panic: Option<PanicRecord>,
    /// Why it could not be prepared.
    unprepared: Option<TaskError>,
    /// Why the driver killed it, if it did.
    verdict: Option<Verdict>,
}

enum Verdict {
    Protocol(String),
    TooLarge { declared: u64, limit: u64 },
    Slow,
}

#[derive(Clone, Copy, PartialEq)]
enum HowMuch {
    Once,
    All,
}

#[derive(PartialEq)]
enum Flow {
    Open,
    Ended,
}

/// Starts the driver thread of a pool.
pub(super) fn drive(shared: Arc<Shared>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("xfork-driver".into());
    thread.spawn(move || Driver { shared, driven: HashMap::new(), warned: false }.run())?;
    Ok(())
}

/// Turns a panic of the driver, which would leave everybody waiting, into an abort with a message.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("xfork: the driver of the process pool panicked; this is a bug in xfork");
            std::process::abort();
        }
    }
}

impl Driver {
    fn run(mut self) {
        let _guard = AbortOnPanic;
        let shared = self.shared.clone();
        shared.poller.add(shared.wake.as_fd(), WAKE, Interest::Read).expect("a new poller takes an eventfd");
        let mut ready = Vec::new();
        loop {
            let timeout = self.next_deadline();
            shared.poller.wait(&mut ready, timeout).expect("the poller is ours");
            let events = std::mem::take(&mut ready);
            for event in &events {
                self.handle(event);
            }
            ready = events;
            self.kill_slow();
            self.send_home();
            self.trim();
            let (spawns, ends, close) = {
                let mut state = shared.state.lock();
                let close = state.closing && state.supervisor.is_idle();
                (std::mem::take(&mut state.spawns), std::mem::take(&mut state.ends), close)
            };
            for (worker, how) in ends {
                self.begin_to_end(worker, how);
            }
            if close {
                break;
            }
            for worker in spawns {
                self.spawn(worker);
            }
        }
        self.close();
    }

    fn handle(&mut self, ready: &Ready) {
        if ready.token == WAKE {
            self.shared.wake.clear();
            return;
        }
        let number = ready.token / 2;
        if !self.driven.contains_key(&number) {
            return;
        }
        if ready.token % 2 == 1 {
            // The process is dead: what it wrote before is still to be read.
            self.read(number, HowMuch::All);
            self.bury(number);
            return;
        }
        if ready.writable {
            self.write(number);
        }
        if (ready.readable || ready.hangup) && self.read(number, HowMuch::Once) == Flow::Ended {
            self.ended(number);
        }
    }

    fn write(&self, number: u64) {
        let link = &self.driven[&number].link;
        let mut out = link.out.lock();
        link.flush(&mut out);
        if out.bytes.is_empty() {
            let _ = self.shared.poller.modify(link.socket.as_fd(), link.token(), Interest::Read);
        }
    }

    /// Reads and handles what a worker has written: all of it, or what one call to the system gives.
    fn read(&mut self, number: u64, how_much: HowMuch) -> Flow {
        loop {
            let Some(driven) = self.driven.get_mut(&number) else { return Flow::Ended };
            driven.heard = Instant::now();
            let buffer = driven.decoder.buffer();
            let room = buffer.len();
            let received = sys::receive(driven.link.socket.as_fd(), buffer, Wait::DontBlock);
            let mut lie = None;
            let emptied = match received {
                Ok(0) => return Flow::Ended,
                Ok(count) => {
                    driven.decoder.advance(count);
                    count < room
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Open,
                Err(error) if let Some(count) = sys::came_with_descriptors(&error) => {
                    driven.decoder.advance(count);
                    lie = Some(error.to_string());
                    false
                }
                Err(_) => return Flow::Ended,
            };
            loop {
                let Some(driven) = self.driven.get_mut(&number) else { return Flow::Ended };
                if driven.verdict.is_some() {
                    // Nothing that a condemned worker says is believed any more.
                    break;
                }
                match driven.decoder.next() {
                    Ok(Some(frame)) => {
                        if let Err(reason) = self.message(number, &frame) {
                            self.condemn(number, Verdict::Protocol(reason));
                        }
                    }
                    Ok(None) => break,
                    Err(frame::FrameError::TooLarge { declared, limit }) => {
                        self.condemn(number, Verdict::TooLarge { declared, limit });
                    }
                }
            }
            if let Some(reason) = lie {
                self.condemn(number, Verdict::Protocol(reason));
            }
            if self.driven.get(&number).is_some_and(|driven| driven.verdict.is_some()) {
                return Flow::Ended;
            }
            // The poller tells if there is more.
            if emptied && how_much == HowMuch::Once {
                return Flow::Open;
            }
        }
    }

    fn condemn(&mut self, number: u64, verdict: Verdict) {
        let Some(driven) = self.driven.get_mut(&number) else { return };
        let has_lied = !matches!(verdict, Verdict::Slow);
        driven.verdict.get_or_insert(verdict);
        let _ = driven.child.kill();
        if has_lied {
            let worker = driven.link.worker;
            self.step(Event::Lied(worker)).expect("not a worker's message");
        }
    }

    fn step(&self, event: Event) -> Result<(), String> {
        let actions =
            self.shared.state.lock().supervisor.step(event).map_err(|Violation(what)| what.to_string())?;
        self.shared.perform(actions);
        Ok(())
    }

    /// How long until a worker has to be looked at.
    fn next_deadline(&self) -> Option<Duration> {
        let boots = self
            .driven
            .values()
            .filter(|driven| !driven.ready)
            .map(|driven| driven.born + self.shared.boot_limit);
        let kills = self.driven.values().filter_map(|driven| driven.kill_at);
        let rests = self.shared.settings.idle.into_iter().flat_map(|idle| {
            let state = self.shared.state.lock();
            let resting =
                self.driven.values().filter(|driven| state.supervisor.is_resting(driven.link.worker));
            resting.map(|driven| driven.heard + idle).collect::<Vec<_>>()
        });
        let next = boots.chain(kills).chain(rests).min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        next.into_iter().chain(self.trim_deadline()).min()
    }

    /// Has workers leave that have had nothing to do for long.
    fn send_home(&mut self) {
        let Some(idle) = self.shared.settings.idle else { return };
        let rested = self.driven.values().filter(|driven| driven.ready && driven.heard.elapsed() >= idle);
        for worker in rested.map(|driven| driven.link.worker).collect::<Vec<_>>() {
            self.step(Event::Rested(worker)).expect("not a worker's message");
        }
    }

    /// Sees whether a worker that has finished a task has grown too large for another.
    fn look_at_size(&self, number: u64) -> Result<(), String> {
        let Some(limit) = self.shared.settings.max_rss else { return Ok(()) };
        let link = &self.driven[&number].link;
        if sys::resident_bytes_of(link.pid).is_some_and(|bytes| bytes > limit) {
            self.step(Event::Grown(link.worker))?;
        }
        Ok(())
    }

    fn begin_to_end(&mut self, worker: WorkerId, how: End) {
        let Some(driven) = self.driven.get_mut(&worker.0) else { return };
        match how {
            End::Terminate => _ = driven.child.terminate(),
            End::Spare => return driven.kill_at = None,
            End::Leave | End::Warn => {}
        }
        driven.kill_at.get_or_insert(Instant::now() + self.shared.settings.grace);
    }

    /// When to look again whether a task prints without end.
    fn trim_deadline(&self) -> Option<Duration> {
        let is_busy = self.driven.values().any(|driven| driven.link.captured.is_some())
            && !self.shared.state.lock().supervisor.is_idle();
        is_busy.then_some(captured::TRIMMED_EVERY)
    }

    fn trim(&mut self) {
        for driven in self.driven.values() {
            if let Some(captured) = &driven.link.captured {
                captured.lock().trim();
            }
        }
    }

    fn kill_slow(&mut self) {
        let slow: Vec<_> = self
            .driven
            .iter()
            .filter(|(_, driven)| !driven.ready && driven.born.elapsed() >= self.shared.boot_limit)
            .map(|(&number, _)| number)
            .collect();
        for number in slow {
            self.condemn(number, Verdict::Slow);
        }
        for driven in self.driven.values_mut() {
            if driven.kill_at.is_some_and(|time| Instant::now() >= time) {
                driven.kill_at = None;
                let _ = driven.child.kill();
            }
        }
    }
}
