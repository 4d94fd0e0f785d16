//! Waiting for many descriptors at once, and waking the thread that waits.
//!
//! Owns [`Poller`] (epoll, level-triggered, so a descriptor that was not drained shows again) and
//! [`EventFd`]. Promises that a wait ends no earlier than its timeout without an event, that signals do not
//! end it, that more than 1024 descriptors are no problem, and that waking never blocks, however often it is
//! done (faults.md, rows 56, 66, 71). Leaves out what a token stands for.

#![expect(unsafe_code, reason = "the C functions for epoll and eventfd take pointers and plain numbers")]

use super::call::{check, retry};
use super::fd;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A bell: any thread rings it, one thread has it in its [`Poller`].
#[derive(Debug)]
pub(crate) struct EventFd {
    listen: OwnedFd,
    /// The other end, where a filter of system calls forbids eventfd and a pipe stands in (faults.md, row
    /// 83).
    ring: Option<OwnedFd>,
}

impl EventFd {
    /// Makes a silent bell.
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: takes integers, returns a new descriptor or -1.
        match check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }) {
            // SAFETY: the kernel has just made it for us.
            Ok(raw) => Ok(EventFd { listen: unsafe { fd::adopt(raw) }?, ring: None }),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                EventFd::from_pipe()
            }
            Err(error) => Err(error),
        }
    }

    fn from_pipe() -> io::Result<EventFd> {
        let mut ends = [-1; 2];
        // SAFETY: `ends` has room for the two numbers that the kernel writes.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: the kernel has just made both for us.
        let (listen, ring) = unsafe { (fd::adopt(ends[0]), fd::adopt(ends[1])) };
        Ok(EventFd { listen: listen?, ring: Some(ring?) })
    }

    /// Rings. A bell that rings already, or a full counter, is as good: the listener will see it, so nothing
    /// is lost by not waiting and there is no error to report.
    pub(crate) fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        let ring = self.ringing_end();
        // SAFETY: `one` is readable for its eight bytes; `self` keeps the descriptor open. A pipe cannot
        // raise SIGPIPE here, because `self` owns its reading end too.
        let _ = retry(|| unsafe { libc::write(ring.as_raw_fd(), one.as_ptr().cast(), one.len()) });
    }

    /// Waits until it rings.
    pub(crate) fn wait(&self) {
        let mut poll = libc::pollfd { fd: self.listen.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one entry and outlives the call; `self` keeps the descriptor open.
        while retry(|| unsafe { libc::poll(&raw mut poll, 1, -1) }).is_ok_and(|count| count == 0) {}
    }

    /// What is written to to ring it.
    pub(super) fn ringing_end(&self) -> &OwnedFd {
        self.ring.as_ref().unwrap_or(&self.listen)
    }

    /// Silences. Whoever wants to miss nothing clears first and looks for work afterwards.
    pub(crate) fn clear(&self) {
        let mut buffer = [0u8; 512];
        // An eventfd is empty after one read, a pipe after one that did not fill the buffer.
        loop {
            // SAFETY: `buffer` is writable for its length; `self` keeps the descriptor open.
            let count = retry(|| unsafe {
                libc::read(self.listen.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
            });
            if !matches!(count, Ok(count) if count as usize == buffer.len()) {
                return;
            }
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listen.as_fd()
    }
}

/// What to be told about a descriptor. The end of the peer is told with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Only that the peer is gone, for one from whom nothing more is to be taken for now.
    HangupOnly,
    /// That bytes can be read.
    Read,
    /// That bytes can be read, and that bytes can be written.
    ReadWrite,
}

impl Interest {
    fn bits(self) -> u32 {
        // EPOLLRDHUP only with reading: a peer that shut down its writing half stays so, and a
        // level-triggered report of that to one who does not read would be a busy loop.
        let read = libc::EPOLLIN | libc::EPOLLRDHUP;
        let bits = match self {
            Interest::HangupOnly => 0,
            Interest::Read => read,
            Interest::ReadWrite => read | libc::EPOLLOUT,
        };
        bits as u32
    }
}

/// One descriptor about which there is something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The number given to [`Poller::add`].
    pub(crate) token: u64,
    /// Reading gives bytes, the end, or an error, but does not wait.
    pub(crate) readable: bool,
    /// Writing takes bytes or gives an error, but does not wait.
    pub(crate) writable: bool,
    /// The peer has closed, or the descriptor has failed. There may still be bytes to read: drain, then
    /// decide. It is told at every wait until the descriptor is removed.
    pub(crate) hangup: bool,
}

/// A set of descriptors to wait for.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// As many events as one call brings. The rest shows at the next call, so this bounds the stack and nothing
/// else.
const AT_ONCE: usize = 64;

impl Poller {
    /// Makes an empty set.
    pub(crate) fn new() -> io::Result<Poller> {
        // SAFETY: takes an integer, returns a new descriptor or -1.
        let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just made it for us.
        Ok(Poller { epoll: unsafe { fd::adopt(raw) }? })
    }

    /// Puts a descriptor into the set. Remove it before it is closed: while a copy of it is open elsewhere,
    /// for instance in a child, the kernel would go on reporting it under its token.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes the interest, or the token, of a descriptor in the set.
    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Takes a descriptor out of the set.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::HangupOnly)
    }

    fn control(
        &self,
        what: libc::c_int,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: token };
        // SAFETY: `event` is alive for the call and the kernel copies it; both descriptors are open, one by
        // `self`, the other by the borrow.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, fd.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Waits until something is ready or the time is over; `ready` is emptied first and stays empty at a
    /// time-out. The clock is the monotonic one. `None` waits for ever.
    pub(crate) fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        ready.clear();
        // A time-out beyond what the clock can express is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // SAFETY: `events` has room for the AT_ONCE entries announced; `self` keeps the descriptor open.
            let count = check(unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    AT_ONCE as libc::c_int,
                    left.map_or(-1, milliseconds),
                )
            });
            match count {
                // Not `retry`: after a signal only the time that is left must be waited for.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                // A very long time-out is waited for in pieces.
                Ok(0) if left.is_none_or(|left| !left.is_zero()) => {}
                Ok(count) => {
                    ready.extend(events[..count as usize].iter().map(Ready::from_event));
                    return Ok(());
                }
            }
        }
    }
}

/// Rounded up: a caller whose timer is due in 0.4 ms must not spin until then.
fn milliseconds(left: Duration) -> libc::c_int {
    libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

impl Ready {
    fn from_event(event: &libc::epoll_event) -> Ready {
        // Copied out by value, because the struct is packed on x86-64.
        let (bits, token) = (event.events as libc::c_int, event.u64);
        let hangup = bits & (libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLERR) != 0;
        Ready { token, readable: bits & libc::EPOLLIN != 0, writable: bits & libc::EPOLLOUT != 0, hangup }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::socket::{Wait, pair, receive, send_all};
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    const NOW: Option<Duration> = Some(Duration::ZERO);
    const LONG: Option<Duration> = Some(Duration::from_secs(30));

    fn waited(poller: &Poller, timeout: Option<Duration>) -> Vec<Ready> {
        let mut ready = vec![Ready { token: 99, readable: true, writable: true, hangup: true }];
        poller.wait(&mut ready, timeout).unwrap();
        ready
    }

    /// faults.md, row 56: "wake-up channel saturated by 10^6 submits: submit never blocks (eventfd)".
    #[test]
    fn a_bell_rung_a_million_times_rings_once_and_is_silent_after_clear() {
        for (bell, rings) in [(EventFd::new().unwrap(), 1_000_000), (EventFd::from_pipe().unwrap(), 100_000)]
        {
            let poller = Poller::new().unwrap();
            poller.add(bell.as_fd(), 5, Interest::Read).unwrap();
            assert!(waited(&poller, NOW).is_empty());
            for _ in 0..rings {
                bell.signal();
            }
            assert_eq!(
                waited(&poller, LONG),
                [Ready { token: 5, readable: true, writable: false, hangup: false }]
            );
            bell.clear();
            assert!(waited(&poller, NOW).is_empty());
            bell.signal();
            assert_eq!(waited(&poller, LONG).len(), 1);
        }
    }

    #[test]
    fn a_bell_wakes_a_thread_that_waits_for_ever() {
        let bell = EventFd::new().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(bell.as_fd(), 1, Interest::Read).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| waited(&poller, None));
            bell.signal();
            assert_eq!(waiter.join().unwrap()[0].token, 1);
        });
    }

    #[test]
    fn interest_decides_what_is_told_and_the_end_is_always_told() {
        let poller = Poller::new().unwrap();
        let (left, right) = pair().unwrap();
        poller.add(left.as_fd(), 7, Interest::ReadWrite).unwrap();
        send_all(right.as_fd(), b"x").unwrap();
        assert_eq!(waited(&poller, NOW), [Ready { token: 7, readable: true, writable: true, hangup: false }]);
        poller.modify(left.as_fd(), 8, Interest::Read).unwrap();
        assert_eq!(
            waited(&poller, NOW),
            [Ready { token: 8, readable: true, writable: false, hangup: false }]
        );
        poller.modify(left.as_fd(), 8, Interest::HangupOnly).unwrap();
        assert!(waited(&poller, NOW).is_empty());
        drop(right);
        assert!(waited(&poller, NOW)[0].hangup);
        // The byte sent before the end is still there: drain, then decide.
        assert_eq!(receive(left.as_fd(), &mut [0; 4], Wait::DontBlock).unwrap(), 1);
        poller.remove(left.as_fd()).unwrap();
        assert!(waited(&poller, NOW).is_empty());
    }

    #[test]
    fn a_timeout_is_never_early() {
        let poller = Poller::new().unwrap();
        let before = Instant::now();
        assert!(waited(&poller, Some(Duration::from_micros(2_400))).is_empty());
        assert!(before.elapsed() >= Duration::from_micros(2_400));
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::MAX), libc::c_int::MAX);
    }

    #[test]
    fn more_descriptors_than_one_call_brings_are_all_seen() {
        let poller = Poller::new().unwrap();
        let bells: Vec<_> = (0..3 * AT_ONCE).map(|_| EventFd::new().unwrap()).collect();
        for (token, bell) in bells.iter().enumerate() {
            poller.add(bell.as_fd(), token as u64, Interest::Read).unwrap();
            bell.signal();
        }
        let mut seen = std::collections::HashSet::new();
        while seen.len() < bells.len() {
            for ready in waited(&poller, LONG) {
                seen.insert(ready.token);
                bells[ready.token as usize].clear();
            }
        }
    }

    /// faults.md, row 66: "SIGCHLD/SIGALRM storm (1 kHz, no SA_RESTART): no EINTR failure anywhere".
    #[test]
    fn a_storm_of_signals_neither_ends_a_wait_nor_prolongs_it() {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: an all-zero `sigaction` is a valid one; the handler does nothing, so it is
        // async-signal-safe. No other test uses SIGURG, whose default is to be ignored.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
            assert_eq!(libc::sigaction(libc::SIGURG, &raw const action, std::ptr::null_mut()), 0);
        }
        // SAFETY: takes nothing and cannot fail.
        let waiter = unsafe { libc::pthread_self() };
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    // SAFETY: `waiter` runs the body of this scope, which outlives this thread.
                    unsafe { libc::pthread_kill(waiter, libc::SIGURG) };
                    thread::yield_now();
                }
            });
            let poller = Poller::new().unwrap();
            let before = Instant::now();
            let ready = waited(&poller, Some(Duration::from_millis(50)));
            over.store(true, SeqCst);
            assert!(ready.is_empty());
            assert!(
                before.elapsed() >= Duration::from_millis(50) && before.elapsed() < Duration::from_secs(20)
            );
        });
    }
}
