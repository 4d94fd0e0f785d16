//! Who listens to the workers, and when: whoever forks or waits, and the driver when nobody else does.
//!
//! Owns when a worker is asked to knock. Promises: what a worker has put into its ring is heard by a thread that looks
//! there anyway, or the worker knocks and the driver hears it; a thread looks without sleeping only while a core is
//! free for that. README.md of `runner/process`, "The ring", says why nothing is left lying.

use super::{Link, Shared};
use crate::core::runner::{Haste, Sleep, Until};
use crate::ground::ring::Wish;
use crate::ground::sys::crash::CrashPage;
use crate::ground::sys::lanes::Lanes;
use crate::ground::wire::frame::Decoder;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::Ordering;

/// Says whether workers get rings (`rings`, as without it) or not (`socket`).
const VARIABLE: &str = "XFORK_TRANSPORT";

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Rings,
    Socket,
}

impl Transport {
    pub(super) fn from_environment() -> Self {
        match std::env::var(VARIABLE).as_deref().map(str::trim) {
            Ok("socket") => Self::Socket,
            Ok("rings") | Err(_) => Self::Rings,
            Ok(other) => panic!("xfork: {VARIABLE}={other:?} is no transport; it may be `rings` or `socket`"),
        }
    }
}

impl Shared {
    /// A decoder for what a worker says.
    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.settings.max_message.saturating_add(1 << 16))
    }

    /// The rings of a new worker, if there are to be any and the system has the memory.
    pub(super) fn rings_for(&self, page: Option<&CrashPage>) -> Option<Lanes> {
        static SAID: Once = Once::new();
        if self.transport == Transport::Socket {
            return None;
        }
        let reason = match page.map(CrashPage::lanes) {
            Some(Ok(lanes)) => return Some(lanes),
            Some(Err(error)) => error.to_string(),
            None => "there are no memory files".into(),
        };
        SAID.call_once(|| {
            // Where standard error is closed nobody is told.
            let _ = writeln!(
                io::stderr(),
                "xfork: no shared memory for the worker processes ({reason}): tasks travel through sockets, \
                 which takes longer; {VARIABLE}=socket says that this is meant"
            );
        });
        None
    }

    fn links(&self) -> Arc<[Arc<Link>]> {
        self.speakers.read().clone()
    }

    /// Changes which workers are listened to.
    pub(super) fn listen_to(&self, change: impl FnOnce(&mut Vec<Arc<Link>>)) {
        let mut speakers = self.speakers.write();
        let mut links = speakers.to_vec();
        change(&mut links);
        *speakers = links.into();
    }

    /// Hears what is in the rings, once each; says whether there was anything. Of what is left nobody needs to be told: either a
    /// knock has been asked for, or somebody is about to ask.
    pub(super) fn hear_rings(&self) -> bool {
        let mut any = false;
        for link in self.links().iter().filter(|link| link.has_news()) {
            any |= self.hear_ring(link);
        }
        any
    }

    /// Writes what did not fit into the rings before.
    pub(super) fn write_rests(&self) {
        for link in self.links().iter() {
            self.write_rest(link);
        }
    }

    /// Has every worker knock from now on, after hearing what there is; false if one says so much that the caller has to
    /// come again.
    pub(super) fn ask_for_knocks(&self) -> bool {
        let wish = if self.sleepers.load(Ordering::SeqCst) > 0 { Wish::Now } else { Wish::Soon };
        let mut all = true;
        for link in self.links().iter() {
            let mut hearing = link.hearing.lock();
            if hearing.ask_for_knock(wish) {
                continue;
            }
            let consequences = self.drain(link, &mut hearing);
            // One that isn't believed any more needn't knock.
            all &= hearing.ask_for_knock(wish) || hearing.verdict.is_some();
            drop(hearing);
            consequences.into_iter().for_each(|consequences| self.conclude(consequences));
        }
        all
    }

    /// As [`ask_for_knocks`](Self::ask_for_knocks), or has the driver go on with that.
    fn leave_it_to_the_driver(&self) {
        if !self.ask_for_knocks() {
            self.wake.signal();
        }
    }

    /// Hears the workers for a thread that waits for one of them.
    pub(super) fn help(&self, until: &Until<'_>) {
        while self.hear_rings() {
            if until.is_over() {
                return;
            }
        }
        let Some(mut spin) = self.spin.try_lock() else { return };
        if until.is_over() || self.state.lock().supervisor.busy() >= self.cores {
            return;
        }
        let links = self.links();
        links.iter().for_each(|link| link.hearing.lock().needs_no_knock());
        while spin.until(|| until.is_over() || links.iter().any(|link| link.has_news())) {
            if until.is_over() || !self.hear_rings() {
                break;
            }
        }
        drop(spin);
        self.leave_it_to_the_driver();
    }

    /// A thread is about to sleep until a result is there, or has slept.
    pub(super) fn sleeps(&self, how: Sleep) {
        match how {
            Sleep::Begins(haste) => {
                if haste == Haste::Now {
                    self.sleepers.fetch_add(1, Ordering::SeqCst);
                }
                self.leave_it_to_the_driver();
            }
            Sleep::Ends(Haste::Now) => {
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
            Sleep::Ends(Haste::Soon) => {}
        }
    }
}
