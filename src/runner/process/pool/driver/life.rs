//! How workers begin and end.
//!
//! Promises: a worker is buried once, when it is dead and what it wrote before has been read; it costs what it was
//! running, with how it died, and nothing else.

use super::super::Link;
use super::super::link::{Hearing, Verdict};
use super::super::loans::Loans;
use super::{Driven, Driver, Flow, WAKE};
use crate::core::error::{Exit, Kind, TaskError};
use crate::core::output::{self, Output};
use crate::ground::panics::LastStack;
use crate::ground::sys::crash::{CrashPage, LastWords};
use crate::ground::sys::{self, Interest, Wait};
use crate::ground::wire::message::ToWorker;
use crate::runner::process::boot;
use crate::runner::process::captured::Captured;
use crate::runner::process::supervisor::{Action, Event, WorkerId};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

impl Driver {
    pub(super) fn spawn(&mut self, worker: WorkerId) {
        if let Err(error) = self.try_spawn(worker) {
            let reason = format!("starting this program again as a worker failed: {error}");
            if !self.driven.is_empty() && !std::mem::replace(&mut self.warned, true) {
                let (living, wanted) = (self.driven.len(), self.shared.settings.workers);
                // Where standard error is closed nobody is told.
                let _ = writeln!(
                    io::stderr(),
                    "xfork: the work goes on with {living} of {wanted} worker processes: {reason}"
                );
            }
            self.step(Event::SpawnFailed(worker, reason));
        }
    }

    fn try_spawn(&mut self, worker: WorkerId) -> io::Result<()> {
        let (ours, theirs) = sys::pair()?;
        let page = CrashPage::new().ok();
        let lanes = self.shared.rings_for(page.as_ref());
        let inherit: Vec<_> = [theirs.as_fd()].into_iter().chain(page.as_ref().map(AsFd::as_fd)).collect();
        let mut env: Vec<(OsString, OsString)> = vec![(boot::VARIABLE.into(), boot::names(&inherit).into())];
        // One worker per core is enough: libraries inside a task don't start threads for all cores again.
        for variable in THREADS_OF_LIBRARIES {
            if std::env::var_os(variable).is_none() {
                env.push((variable.into(), self.shared.settings.threads.to_string().into()));
            }
        }
        env.extend(self.shared.settings.cache.variables());
        let args: Vec<_> = std::env::args_os().collect();
        let captured = match self.shared.settings.output {
            Output::Inherited => None,
            Output::Captured => Some(Captured::new()?),
        };
        let streams = captured.as_ref().map(Captured::fds);
        let mut child = sys::respawn_self(&inherit, streams, &env, &args)?;
        drop(theirs);
        let link = Arc::new_cyclic(|link| Link {
            worker,
            pid: child.pid,
            socket: ours,
            out: Mutex::default(),
            inward: lanes.as_ref().map(|lanes| lanes.consumer.memory.clone()),
            heard: AtomicU64::new(0),
            hearing: Mutex::new(Hearing::new(lanes, self.shared.decoder())),
            said_there: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            captured: captured.map(Mutex::new),
            page,
            loans: Loans::new(self.shared.me.clone(), link.clone()),
        });
        if let Err(error) = self.watch(&link, &child) {
            let _ = child.kill();
            let _ = child.reap();
            return Err(error);
        }
        self.shared.state.lock().links.insert(worker, link.clone());
        self.shared.listen_to(|links| links.push(link.clone()));
        let decoder = self.shared.decoder();
        let driven = Driven {
            link,
            child,
            decoder,
            born: Instant::now(),
            kill_at: None,
            answers_by: None,
            has_hung_up: false,
        };
        self.driven.insert(worker.0, driven);
        Ok(())
    }

    fn watch(&self, link: &Link, child: &sys::Child) -> io::Result<()> {
        self.shared.poller.add(link.socket.as_fd(), link.token(), Interest::Read)?;
        match &child.pidfd {
            Some(pidfd) => self.shared.poller.add(pidfd.as_fd(), link.token() + 1, Interest::Read),
            None => Ok(()),
        }
    }

    /// The worker's end of the socket is closed: it is dead, dying, or has closed what isn't its own.
    pub(super) fn ended(&mut self, number: u64) {
        let Some(driven) = self.driven.get_mut(&number) else { return };
        let is_believed = driven.link.hearing.lock().verdict.is_none();
        if is_believed && driven.child.pidfd.is_some() && driven.link.has_ring() {
            // What it says comes through its ring all the same. It gets nothing more, and ends before its next task or when it has
            // none, so that nobody pays for what one of them has done. If it is still a worker, it answers.
            let _ = self.shared.poller.remove(driven.link.socket.as_fd());
            driven.has_hung_up = true;
            driven.answers_by = Some((Instant::now() + self.shared.settings.grace, driven.link.said()));
            let worker = driven.link.worker;
            self.step(Event::Grown(worker));
            return self.shared.tell(worker, &ToWorker::Recall { want: u32::MAX });
        }
        // It may have closed the socket and live on: it is of no use any more. One that is exiting keeps its code.
        let _ = driven.child.kill();
        if driven.child.pidfd.is_none() {
            self.bury(number);
        } else {
            // The process id's descriptor tells when it is dead; until then the socket must not wake us.
            let _ = self.shared.poller.remove(driven.link.socket.as_fd());
        }
    }

    /// The process is dead, and everything it wrote has been read.
    pub(super) fn bury(&mut self, number: u64) {
        let Some(mut driven) = self.driven.remove(&number) else { return };
        let exit = match driven.child.reap() {
            Ok(sys::Exit::Code(code)) => Exit::Code(code),
            Ok(sys::Exit::Signal { number, .. }) => Exit::Signal { number },
            Ok(sys::Exit::Unavailable) | Err(_) => Exit::Unavailable,
        };
        let link = &driven.link;
        self.shared.listen_to(|links| links.retain(|other| other.worker != link.worker));
        let mut hearing = link.hearing.lock();
        let consequences = self.shared.drain(link, &mut hearing);
        let unwritten = {
            let mut out = link.out.lock();
            link.dead.store(true, Ordering::Release);
            std::mem::take(&mut *out)
        };
        let _ = self.shared.poller.remove(link.socket.as_fd());
        if let Some(pidfd) = &driven.child.pidfd {
            let _ = self.shared.poller.remove(pidfd.as_fd());
        }
        let kind = match &hearing.verdict {
            Some(Verdict::Protocol(reason)) => Kind::Protocol { reason: reason.clone() },
            Some(Verdict::TooLarge { declared, limit }) => {
                Kind::TooLarge { what: Cow::Borrowed("result"), bytes: *declared, limit: *limit }
            }
            Some(Verdict::NoMemory { bytes }) => {
                Kind::NoMemory { what: Cow::Borrowed("message"), bytes: *bytes }
            }
            _ => Kind::crash(exit, hearing.last_panic.take(), last_stack(link.page.as_ref(), exit)),
        };
        // Of what it may have started, too, it says only that the worker is not to be believed.
        let doubt = match &hearing.verdict {
            Some(Verdict::TooLarge { declared, .. }) => {
                Kind::Protocol { reason: format!("a message of {declared} bytes") }
            }
            Some(Verdict::NoMemory { bytes }) => {
                Kind::Protocol { reason: format!("{bytes} bytes that there is no memory for") }
            }
            _ => kind.clone(),
        };
        let cause = match (&hearing.verdict, exit) {
            _ if hearing.unprepared.is_some() => {
                let error = hearing.unprepared.take().expect("just seen");
                format!("worker {} could not be prepared: {error}", link.pid)
            }
            (Some(Verdict::Slow), _) => {
                format!("worker {} did not say hello in {:?}", link.pid, self.shared.boot_limit)
            }
            (_, Exit::Code(code)) => format!("worker {} ended with exit code {code}", link.pid),
            (_, Exit::Signal { number }) => {
                format!("worker {} was killed by signal {number} ({})", link.pid, sys::signal_name(number))
            }
            (_, Exit::Unavailable) => format!("worker {} died, its exit status is unavailable", link.pid),
        };
        let (innermost, actions) = {
            let mut state = self.shared.state.lock();
            state.links.remove(&link.worker);
            let mut actions = Vec::new();
            // It need not have said that it had started a task, and if it has lied, what it has not said says nothing.
            if let Some(started) = link.page.as_ref().and_then(CrashPage::started) {
                let sent = state.supervisor.sent(link.worker);
                for &id in sent.iter().filter(|id| started.contains(id)) {
                    state.supervisor.note(Event::Started(link.worker, id)).expect("it was sent");
                }
                // The last first, as a worker gives them back.
                let unstarted = sent.into_iter().rev().filter(|id| !started.contains(id));
                for id in unstarted.filter(|_| hearing.verdict.is_some()) {
                    state.supervisor.note(Event::Returned(link.worker, id)).expect("it was sent");
                }
            }
            let innermost = state.supervisor.innermost(link.worker);
            let gone = Event::Gone(link.worker, cause);
            actions.append(&mut state.step(gone));
            (innermost, actions)
        };
        drop(hearing);
        // Both keep memory that may be large.
        drop(unwritten);
        link.loans.end();
        if let Some(consequences) = consequences {
            self.shared.conclude(consequences);
        }
        // What it had not told is that of the task on top.
        let mut rest = link.captured.as_ref().map(|captured| captured.lock().rest()).unwrap_or_default();
        let mut others = Vec::new();
        for action in actions {
            let (id, kind) = match (action, &kind) {
                (Action::Crashed(_, id), kind) => (id, kind),
                (Action::Doubtful(_, id), _) => (id, &doubt),
                (action, _) => {
                    others.push(action);
                    continue;
                }
            };
            let body = self.shared.state.lock().take(id);
            if let Some(body) = body {
                if Some(id) == innermost {
                    rest.drain(..).for_each(|part| body.printed(part));
                }
                let mut kind = kind.clone();
                if let Kind::Crash { memory, .. } = &mut kind {
                    *memory = body.core().limits().memory;
                }
                let error = TaskError::new(body.core().name(), Some(link.pid), kind);
                match body.chunk() {
                    // It said the end of each item before it started the next.
                    Some(chunk) if matches!(error.kind(), Kind::Crash { .. }) => chunk.crashed(error),
                    _ => body.fail(error),
                }
            }
        }
        // If the outcome of that was decided before, the text ends there.
        if innermost.is_none() {
            output::add_nobodys(rest);
        }
        self.shared.perform(others);
    }

    /// Ends the workers: nobody uses the pool any more.
    pub(super) fn close(mut self) {
        let mut bye = Vec::new();
        ToWorker::Bye.write(&mut bye);
        for driven in self.driven.values() {
            self.shared.post(&driven.link, bye.clone());
        }
        let end = Instant::now() + self.shared.settings.grace;
        let mut ready = Vec::new();
        self.reap_the_dead();
        while !self.driven.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let _ = self.shared.poller.wait(&mut ready, Some(left));
            for event in std::mem::take(&mut ready) {
                let number = event.token / 2;
                if event.token == WAKE {
                    self.shared.wake.clear();
                } else if event.token % 2 == 0 && self.driven.contains_key(&number) {
                    if event.writable {
                        self.shared.write_rest(&self.driven[&number].link);
                    }
                    if self.drain(number) == Flow::Ended {
                        let _ = self.shared.poller.remove(self.driven[&number].link.socket.as_fd());
                    }
                }
            }
            self.reap_the_dead();
        }
        for (_, mut driven) in self.driven.drain() {
            let _ = driven.child.kill();
            let _ = driven.child.reap();
        }
    }

    /// Reads without believing.
    fn drain(&mut self, number: u64) -> Flow {
        let mut buffer = [0; 4096];
        loop {
            match sys::receive(self.driven[&number].link.socket.as_fd(), &mut buffer, Wait::DontBlock) {
                Ok(0) => return Flow::Ended,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Open,
                Err(_) => return Flow::Ended,
            }
        }
    }

    fn reap_the_dead(&mut self) {
        self.driven.retain(|_, driven| !matches!(driven.child.try_reap(), Ok(Some(_)) | Err(_)));
    }
}

/// The variables by which libraries are told how many threads to start, lest those in each worker start as many as
/// there are cores.
const THREADS_OF_LIBRARIES: [&str; 7] = [
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
];

/// What a worker told of the signal that killed it.
fn last_stack(page: Option<&CrashPage>, exit: Exit) -> Option<LastStack> {
    let Exit::Signal { number } = exit else { return None };
    match page?.read() {
        // Another signal than the one that it told of may have been quicker (SIGKILL, say).
        LastWords::Told(dying) if dying.signal == number => Some(dying.into()),
        LastWords::Silent if sys::signal_name(number) == "SIGSEGV" => Some(LastStack::untold()),
        _ => None,
    }
}
