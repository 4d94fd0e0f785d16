//! The thread that does what callers don't: it waits for every worker at once.
//!
//! It hears workers that nobody else hears, writes what did not fit, starts workers (it lives as long as the pool, and the
//! kernel ties a child's life to the thread that made it) and sees them die. `life` is their begin and end. A panic here
//! ends the program with a message, since everybody would wait for ever.

mod life;

use super::hear::Consequences;
use super::link::Verdict;
use super::{End, Link, Shared, end_spent};
use crate::ground::ring::Broken;
use crate::ground::sys::{self, Interest, Ready, Wait};
use crate::ground::wire::frame::Decoder;
use crate::runner::process::captured::{self};
use crate::runner::process::supervisor::{Event, WorkerId};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const WAKE: u64 = 0;
/// How often to look at a worker that can't knock any more, until it has ended what it runs.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(10);

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
    /// For what comes through the socket.
    decoder: Decoder,
    born: Instant,
    /// When to kill it, if it is to end.
    kill_at: Option<Instant>,
    /// When to kill it if it has said no more than this through its ring, its socket being closed.
    answers_by: Option<(Instant, u64)>,
    /// Its socket is closed: it can't wake anybody.
    has_hung_up: bool,
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
            let is_asked = shared.ask_for_knocks();
            let timeout = if is_asked { self.next_deadline() } else { Some(Duration::ZERO) };
            shared.poller.wait(&mut ready, timeout).expect("the poller is ours");
            let events = std::mem::take(&mut ready);
            for event in &events {
                self.handle(event);
            }
            ready = events;
            shared.hear_rings();
            shared.write_rests();
            // Not each time: a worker that can't be started would be tried again at once.
            if shared.is_stirred.swap(false, Ordering::AcqRel) {
                shared.conclude(shared.decide(Consequences::default()));
            }
            self.kill_slow();
            self.send_home();
            self.trim();
            let (spawns, ends, close, spent) = {
                let mut state = shared.state.lock();
                let close = state.closing && state.is_idle();
                (
                    state.take_spawns(),
                    std::mem::take(&mut state.ends),
                    close,
                    std::mem::take(&mut state.spent),
                )
            };
            end_spent(spent);
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
            self.shared.write_rest(&self.driven[&number].link);
        }
        if (ready.readable || ready.hangup) && self.read(number, HowMuch::Once) == Flow::Ended {
            self.ended(number);
        }
    }

    /// Reads and handles what a worker has written into its socket: all of it, or what one call to the system gives.
    fn read(&mut self, number: u64, how_much: HowMuch) -> Flow {
        loop {
            let Some(driven) = self.driven.get_mut(&number) else { return Flow::Ended };
            let buffer = driven.decoder.buffer();
            let room = buffer.len();
            let received = sys::receive(driven.link.socket.as_fd(), buffer, Wait::DontBlock);
            let mut lie = None;
            let emptied = match received {
                Ok(0) => return Flow::Ended,
                Ok(count) => {
                    driven.decoder.advance(count);
                    driven.link.said_there.fetch_add(count as u64, Ordering::Relaxed);
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
            let (shared, link) = (&self.shared, &driven.link);
            let mut hearing = link.hearing.lock();
            // It has said first what is in the ring.
            let mut consequences = shared.drain(link, &mut hearing).unwrap_or_default();
            shared.hear(link, &mut hearing, &mut driven.decoder, &mut consequences);
            if let Some(reason) = lie {
                shared.condemn(link, &mut hearing, Verdict::Protocol(reason));
            }
            let is_condemned = hearing.verdict.is_some();
            drop(hearing);
            shared.conclude(shared.decide(consequences));
            if is_condemned {
                return Flow::Ended;
            }
            // The poller tells if there is more.
            if emptied && how_much == HowMuch::Once {
                return Flow::Open;
            }
        }
    }

    fn step(&self, event: Event) {
        let actions = self.shared.state.lock().step(event);
        self.shared.perform(actions);
    }

    /// How long until a worker has to be looked at.
    fn next_deadline(&self) -> Option<Duration> {
        let boots = self
            .driven
            .values()
            .filter(|driven| !driven.link.hearing.lock().ready)
            .map(|driven| driven.born + self.shared.boot_limit);
        let answers = |driven: &Driven| driven.answers_by.map(|(time, _)| time);
        let kills = self.driven.values().flat_map(|driven| driven.kill_at.into_iter().chain(answers(driven)));
        let rests = self.shared.settings.idle.into_iter().flat_map(|idle| {
            let heard =
                self.driven.values().map(|driven| (driven.link.worker, driven.link.hearing.lock().heard));
            let heard: Vec<_> = heard.collect();
            let state = self.shared.state.lock();
            let resting = heard.into_iter().filter(|(worker, _)| state.supervisor.is_resting(*worker));
            resting.map(|(_, heard)| heard + idle).collect::<Vec<_>>()
        });
        let next = boots.chain(kills).chain(rests).min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let look = self.driven.values().any(|driven| driven.has_hung_up).then_some(LOOKED_AT_EVERY);
        next.into_iter().chain(look).chain(self.trim_deadline()).min()
    }

    /// Has workers leave that have had nothing to do for long.
    fn send_home(&mut self) {
        let Some(idle) = self.shared.settings.idle else { return };
        let has_rested = |link: &Link| {
            let hearing = link.hearing.lock();
            hearing.ready && hearing.heard.elapsed() >= idle
        };
        let rested = self.driven.values().filter(|driven| has_rested(&driven.link));
        for worker in rested.map(|driven| driven.link.worker).collect::<Vec<_>>() {
            self.step(Event::Rested(worker));
        }
    }

    fn begin_to_end(&mut self, worker: WorkerId, how: End) {
        let Some(driven) = self.driven.get_mut(&worker.0) else { return };
        match how {
            End::Terminate => _ = driven.child.terminate(),
            End::Kill => {
                let _ = driven.child.kill();
                return;
            }
            End::Spare => return driven.kill_at = None,
            End::Answer(said) => {
                let limit = Instant::now() + self.shared.settings.grace;
                driven.answers_by.get_or_insert((limit, said));
                return;
            }
            End::Leave | End::Warn => {}
        }
        driven.kill_at.get_or_insert(Instant::now() + self.shared.settings.grace);
    }

    /// When to look again whether a task prints without end.
    fn trim_deadline(&self) -> Option<Duration> {
        let is_busy = self.driven.values().any(|driven| driven.link.captured.is_some())
            && !self.shared.state.lock().is_idle();
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
            .values()
            .filter(|driven| {
                !driven.link.hearing.lock().ready && driven.born.elapsed() >= self.shared.boot_limit
            })
            .map(|driven| driven.link.clone())
            .collect();
        for link in slow {
            self.shared.condemn(&link, &mut link.hearing.lock(), Verdict::Slow);
        }
        for driven in self.driven.values().filter(|driven| driven.link.is_broken.load(Ordering::Acquire)) {
            let link = &driven.link;
            let mut hearing = link.hearing.lock();
            if hearing.verdict.is_none() {
                self.shared.condemn(link, &mut hearing, Verdict::Protocol(Broken.to_string()));
            }
        }
        for driven in self.driven.values_mut() {
            if let Some((time, said)) = driven.answers_by.filter(|(time, _)| Instant::now() >= *time) {
                driven.answers_by = None;
                if driven.link.said() == said {
                    driven.kill_at = Some(time);
                }
            }
            if driven.kill_at.is_some_and(|time| Instant::now() >= time) {
                driven.kill_at = None;
                let _ = driven.child.kill();
            }
        }
    }
}
