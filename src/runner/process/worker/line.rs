//! The worker's end of its line to the program: the socket at first, the rings as soon as both sides have them; loans always come
//! through the socket.
//!
//! Owns what has been read of the next message, and what the program has not been told yet. Promises: messages leave whole and in
//! order; the program knows that a task has started before it hears anything of it but its end; nobody waits for a
//! knock for longer than [`OWED`] while there is another task to do, unless that is long, and never while there is none.
//! README.md of `runner/process`, "The ring", says why.

use super::{BROKEN, Local};
use crate::ground::memory::{Held, HeldId};
use crate::ground::ring::{self, Consumer, Producer, Wish};
use crate::ground::sys::lanes::{self, Lane, Lanes};
use crate::ground::sys::{self, Spin, Wait};
use crate::ground::wire::frame::Decoder;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::{FromWorker, ToWorker};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a result lies in the ring before the program is woken for it, as long as there are further tasks here.
const OWED: Duration = Duration::from_micros(500);
/// After how many items of a chunk a worker looks whether that is over.
const ITEMS: u32 = 16;
/// How often a worker looks whether the program lives, if the kernel doesn't tell it.
const ORPHANED: Duration = Duration::from_millis(500);

/// What is read.
pub(super) struct Inlet {
    /// For what comes through the socket: everything at first, and nothing but loans as soon as there is a ring.
    socket: Decoder,
    /// Not in use yet.
    lanes: Option<Lanes>,
    ring: Option<(Consumer<Lane>, Decoder)>,
    spin: Spin,
    /// How long to sleep at most.
    limit: Option<Duration>,
}

impl Inlet {
    pub(super) fn new(lanes: Option<Lanes>) -> Self {
        let limit = (!sys::dies_with_parent()).then_some(ORPHANED);
        Self { socket: Decoder::new(u64::MAX), lanes, ring: None, spin: Spin::new(), limit }
    }

    pub(super) fn has_rings(&self) -> bool {
        self.lanes.is_some()
    }

    /// Where messages are read.
    fn decoder(&mut self) -> &mut Decoder {
        self.ring.as_mut().map_or(&mut self.socket, |(_, decoder)| decoder)
    }
}

/// What is written.
#[derive(Default)]
pub(super) struct Outlet {
    ring: Option<Producer<Lane>>,
    /// What the follower reads, to wake it.
    inlet: Option<Lane>,
    /// Tasks that have started, of which the program has not been told.
    untold: Vec<u64>,
    /// Since when there is something in the ring for which the program has not been woken.
    owed: Option<Instant>,
    /// When it was last woken for a result.
    woken: Option<Instant>,
    /// How many items of chunks have ended.
    items: u32,
    /// The program can't be woken any more, and looks now and then. This process ends before the next task: that is not to pay for
    /// what another has done to our socket.
    is_mute: bool,
}

/// Whether a reader of the line looks for a moment before it sleeps.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Patience {
    Looks,
    Sleeps,
}

/// What comes after a result.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Next {
    Task,
    /// A task with none behind it: while that runs, the program may send others.
    LastTask,
    Nothing,
    /// Another thread than the executor has brought it: by now the executor may sleep, and has settled up before.
    Unknown,
}

impl Local {
    /// Reads once, and does what the program says.
    pub(super) fn read(self: &Arc<Self>, inlet: &mut Inlet, patience: Patience) {
        self.fill(inlet, patience);
        let has_ring = inlet.ring.is_some();
        // Aside, since what a message mentions may have to be read from the socket.
        let mut decoder = std::mem::replace(inlet.decoder(), Decoder::new(0));
        // What comes in the ring is found there.
        while inlet.ring.is_some() == has_ring
            && let Ok(Some(frame)) = decoder.next()
        {
            self.hear_frame(frame, inlet);
        }
        *(if has_ring { inlet.decoder() } else { &mut inlet.socket }) = decoder;
    }

    /// From the next message on both sides use the rings.
    pub(super) fn use_rings(&self, inlet: &mut Inlet) {
        if let Some(Lanes { producer, consumer }) = inlet.lanes.take() {
            let mut outlet = self.writing.lock();
            outlet.inlet = Some(consumer.memory.clone());
            outlet.ring = Some(producer);
            inlet.ring = Some((consumer, Decoder::new(u64::MAX)));
        }
    }

    /// What the program has lent by this number, which a message has just mentioned; `None` if this worker could not take it.
    pub(super) fn borrowed_by(&self, id: HeldId, inlet: &mut Inlet) -> Option<Arc<Held>> {
        // A loan is written before what mentions it: if that has come through the ring, the loan is in the socket, or the program
        // keeps it until there is room.
        while inlet.ring.is_some() && !self.borrowed.has_come(id) {
            if let Ok(Some(frame)) = inlet.socket.next() {
                match ToWorker::read(&frame) {
                    Ok(ToWorker::Lend { id, bytes, inode }) => self.borrow(id, bytes, inode),
                    Ok(_) => self.hear_nonsense("what is no loan, beside the ring"),
                    Err(error) => self.hear_nonsense(error),
                }
            } else if !self.receive(&mut inlet.socket, Wait::DontBlock) {
                self.settle_up();
                self.receive(&mut inlet.socket, Wait::Block);
            }
        }
        self.borrowed.find(id)
    }

    /// Waits for bytes, and takes them; without any if the follower is called back.
    fn fill(&self, inlet: &mut Inlet, patience: Patience) {
        let Inlet { socket, ring, spin, limit, .. } = inlet;
        let Some((ring, decoder)) = ring else {
            self.receive(socket, Wait::Block);
            return;
        };
        loop {
            match ring.pull(decoder.buffer()) {
                Ok(0) => {}
                Ok(count) => {
                    decoder.advance(count);
                    if ring.has_to_tell_of_room() && self.knock().is_err() {
                        sys::exit_now(BROKEN);
                    }
                    return;
                }
                Err(broken) => {
                    eprintln!("xfork: worker {}: {broken}", std::process::id());
                    sys::exit_now(BROKEN);
                }
            }
            if patience == Patience::Looks && spin.until(|| !ring.is_empty()) {
                continue;
            }
            self.settle_up();
            if patience == Patience::Looks {
                self.end_if_mute();
            }
            if limit.is_some() && sys::is_hung_up(self.socket.as_fd()) {
                sys::exit_now(0);
            }
            if ring.ask_to_be_woken(Wish::Soon) {
                // Between the wish and the sleep: who calls it back from now on finds the bell set.
                if patience == Patience::Sleeps && !self.follow.is_to_read() {
                    ring.is_awake();
                    return;
                }
                lanes::sleep_on(ring::bell_of_consumer(&ring.memory), *limit);
                ring.is_awake();
            }
        }
    }

    /// Takes bytes out of the socket, and the descriptors that came along; false if there are none, and it was not to wait.
    fn receive(&self, decoder: &mut Decoder, wait: Wait) -> bool {
        let mut gifts = Vec::new();
        match sys::receive_with(self.socket.as_fd(), decoder.buffer(), &mut gifts, wait) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // The program is gone without a word: whatever is running here is of no use to anybody.
            Ok(0) | Err(_) => sys::exit_now(0),
            Ok(count) => decoder.advance(count),
        }
        if !gifts.is_empty() {
            self.borrowed.arrived(gifts);
        }
        true
    }

    pub(super) fn say(&self, message: &FromWorker<'_>) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        self.write(&bytes);
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        self.write_holding(&mut self.writing.lock(), bytes);
    }

    pub(super) fn write_holding(&self, outlet: &mut Outlet, bytes: &[u8]) {
        self.tell_of_starts(outlet);
        self.put(outlet, bytes);
        self.wake_program(outlet);
    }

    pub(super) fn write_letter_holding(&self, outlet: &mut Outlet, mut letter: Letter) {
        self.tell_of_starts(outlet);
        self.put_letter(outlet, &mut letter);
        self.wake_program(outlet);
    }

    /// To be called when no task is running.
    pub(super) fn end_if_mute(&self) {
        if self.writing.lock().is_mute {
            sys::exit_now(BROKEN);
        }
    }

    /// Says that a task is about to start: at once, or with whatever is said next but its end.
    pub(super) fn say_started(&self, id: u64, at_once: bool) {
        let mut outlet = self.writing.lock();
        if at_once || outlet.ring.is_none() || self.page.is_none() {
            let mut bytes = Vec::new();
            FromWorker::Started { id }.write(&mut bytes);
            self.write_holding(&mut outlet, &bytes);
        } else {
            outlet.untold.push(id);
            self.call_follower_back(&outlet);
        }
    }

    /// Writes the end of a task.
    pub(super) fn write_end(&self, id: u64, mut letter: Letter, next: Next) {
        let mut outlet = self.writing.lock();
        // Its end says that it had started.
        outlet.untold.retain(|&untold| untold != id);
        self.tell_of_starts(&mut outlet);
        self.put_letter(&mut outlet, &mut letter);
        self.wake_if_late(&mut outlet, next);
    }

    /// Writes the end of one of many items.
    pub(super) fn write_item(&self, letter: &mut Letter) {
        let mut outlet = self.writing.lock();
        self.tell_of_starts(&mut outlet);
        self.put_letter(&mut outlet, letter);
        outlet.items = outlet.items.wrapping_add(1);
        // Who looks at the clock for each would do little else. What is owed is settled when the chunk ends, or when the
        // follower sees that an item takes long.
        if outlet.items.is_multiple_of(ITEMS) {
            self.wake_if_late(&mut outlet, Next::Task);
        } else {
            self.call_follower_back(&outlet);
        }
    }

    fn wake_if_late(&self, outlet: &mut Outlet, next: Next) {
        let Some(wish) = outlet.ring.as_ref().and_then(Producer::wish) else {
            outlet.owed = None;
            return;
        };
        let now = Instant::now();
        let is_long_ago = |then: Instant| now.duration_since(then) >= OWED;
        let is_late = is_long_ago(*outlet.owed.get_or_insert(now));
        let has_rested = outlet.woken.is_none_or(is_long_ago);
        let is_wanted = match next {
            Next::Task => wish == Wish::Now && has_rested,
            Next::LastTask => has_rested,
            Next::Nothing => wish == Wish::Now,
            Next::Unknown => true,
        };
        if is_late || is_wanted {
            outlet.woken = Some(now);
            self.wake_program(outlet);
        } else {
            self.call_follower_back(outlet);
        }
    }

    /// Something is left for the follower to tell, should the executor take long: it sees that only when it doesn't read.
    fn call_follower_back(&self, outlet: &Outlet) {
        if self.follow.call_back()
            && let Some(lane) = &outlet.inlet
            && ring::rings(ring::bell_of_consumer(lane))
        {
            lanes::wake_on(ring::bell_of_consumer(lane));
        }
    }

    /// Tells the program what it has not been told, and wakes it if it is owed that.
    pub(super) fn settle_up(&self) {
        let mut outlet = self.writing.lock();
        self.tell_of_starts(&mut outlet);
        self.wake_program(&mut outlet);
    }

    fn tell_of_starts(&self, outlet: &mut Outlet) {
        if outlet.untold.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        for id in outlet.untold.drain(..) {
            FromWorker::Started { id }.write(&mut bytes);
        }
        self.put(outlet, &bytes);
    }

    fn put_letter(&self, outlet: &mut Outlet, letter: &mut Letter) {
        while !letter.next().is_empty() {
            let count = letter.next().len();
            self.put(outlet, letter.next());
            letter.advance(count);
        }
    }

    fn put(&self, outlet: &mut Outlet, bytes: &[u8]) {
        self.end_if_copy();
        let Some(ring) = &mut outlet.ring else {
            if sys::send_all(self.socket.as_fd(), bytes).is_err() {
                // The program is gone, or a task has closed what isn't its own. Whatever was started from now on would be unknown.
                sys::exit_now(BROKEN);
            }
            return;
        };
        let mut rest = bytes;
        loop {
            let Ok(count) = ring.push(rest) else { sys::exit_now(BROKEN) };
            ring.publish();
            rest = &rest[count..];
            if rest.is_empty() {
                return;
            }
            if ring.has_to_wake() && self.knock().is_err() {
                sys::exit_now(BROKEN);
            }
            if ring.ask_for_room() {
                lanes::sleep_on(ring::bell_of_producer(&ring.memory), Some(ORPHANED));
                if sys::is_hung_up(self.socket.as_fd()) {
                    sys::exit_now(0);
                }
            }
        }
    }

    /// Wakes the program if it has asked for that.
    fn wake_program(&self, outlet: &mut Outlet) {
        outlet.owed = None;
        if let Some(ring) = &outlet.ring
            && ring.wish().is_some()
            && ring.has_to_wake()
        {
            outlet.is_mute |= self.knock().is_err();
        }
    }

    /// Ends a copy of this process, made by a task with the system's `fork`, that has come back from the task: it must not answer
    /// for the worker, whose ring it shares.
    pub(super) fn end_if_copy(&self) {
        if sys::generation() != self.generation {
            sys::exit_now(BROKEN);
        }
    }

    /// Has the program look at the rings.
    fn knock(&self) -> io::Result<()> {
        let mut bytes = Vec::new();
        FromWorker::Knock.write(&mut bytes);
        match sys::send(self.socket.as_fd(), &bytes, Wait::DontBlock) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            // There is so much to be read there that the program will look by itself.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
