//! What a worker does between the signal that kills it and its death.
//!
//! The handler fills the page: first what the kernel says, then the stack, frame by frame, and then it lets the signal end the
//! process. It runs in a process of which nothing can be relied upon, so:
//!
//! * It allocates nothing, takes no lock of ours, and calls only what POSIX or the kernel allows in a handler. The unwinder is
//!   the exception. libgcc's allocates nothing, and takes the loader's lock only before glibc 2.35; the modules of frames outside
//!   the main program are looked up under that lock, when all else is written.
//! * If it gets stuck nevertheless, a timer sends the same signal again after [`PATIENCE`], and whichever thread gets it ends the
//!   process. If it crashes, the second signal comes to it too (SA_NODEFER), and it ends the process with the first.
//! * To end the process it puts the default action back, sends itself the same signal with all that the kernel said of it, blocked,
//!   and returns: the return unblocks it. So the process dies of that signal, at the instruction that caused it, and a core dump
//!   shows what it would have shown without us.
//! * In a process that a task forked it does no more than that: the page is the worker's.

#![expect(
    unsafe_code,
    reason = "a signal handler, what the kernel gives it, and system calls that libc does not wrap"
)]

use super::super::cpu;
use super::super::image::{self, CodeAddress};
use super::page::{FRAMES, Facts, TakenPage, Written};
use std::mem;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// The signals that say that a process has gone wrong.
const FATAL: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP];

/// How long the handler may take, in seconds.
const PATIENCE: libc::time_t = 2;

/// How far below a stack an access still is one of that stack: a function may skip the guard, if it was compiled without
/// probes.
const BELOW: usize = 64 * 1024;

/// How many frames may lie between the unwinder and the function that the signal hit.
const OF_HANDLER: usize = 32;

static STATE: State = State {
    pid: AtomicU32::new(0),
    page: AtomicPtr::new(ptr::null_mut()),
    dying: AtomicI32::new(0),
    signal: AtomicI32::new(0),
    main_base: AtomicUsize::new(0),
    main_code: [AtomicUsize::new(0), AtomicUsize::new(0)],
};

/// Relaxed everywhere but at `dying`: written before the handlers are installed, which is a system call.
struct State {
    /// The process that installed the handlers; 0 if none did.
    pid: AtomicU32,
    /// The [`Written`].
    page: AtomicPtr<u8>,
    /// The thread that is writing its last words; 0 if none is.
    dying: AtomicI32,
    /// The signal that it died of.
    signal: AtomicI32,
    /// Where the main program lies, and its code, so that its frames need no loader's lock.
    main_base: AtomicUsize,
    main_code: [AtomicUsize; 2],
}

pub(super) fn is_fatal(signal: i32) -> bool {
    FATAL.contains(&signal)
}

pub(super) fn is_installed() -> bool {
    STATE.pid.load(Ordering::Relaxed) != 0
}

/// Has this process tell on `page` when a signal kills it. Once per process.
///
/// A signal that has a handler already keeps it: a sanitizer's or a library's tells more than ours would.
pub(crate) fn install(page: &TakenPage) {
    let (base, code) = image::main_code().unwrap_or((0, 0..0));
    STATE.main_base.store(base, Ordering::Relaxed);
    STATE.main_code[0].store(code.start, Ordering::Relaxed);
    STATE.main_code[1].store(code.end, Ordering::Relaxed);
    STATE.page.store(page.0.address(), Ordering::Relaxed);
    STATE.pid.store(std::process::id(), Ordering::Relaxed);
    page.0.arm();
    // The unwinder may have something to load or to allocate when it is first used.
    backtrace::trace(|_| false);
    for signal in FATAL {
        // SAFETY: all-zero is a valid `sigaction` with an empty mask, to be overwritten and to be filled in; the handler has
        // the type that SA_SIGINFO asks for and is a function, hence alive for ever.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
            {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fatal;
                action = mem::zeroed();
                action.sa_sigaction = handler as libc::sighandler_t;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    }
}

extern "C" fn on_fatal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO both, valid until it returns.
    let (facts, place) = unsafe { (&*info, Place::of(&*context.cast())) };
    if STATE.pid.load(Ordering::Relaxed) != std::process::id() {
        return die(signal, facts);
    }
    let me = thread_id();
    // Acquire and release: whoever loses sees the signal of the one who came first, below.
    if let Err(first) = STATE.dying.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        if first != me && facts.si_code != libc::SI_TIMER {
            // Another thread came first, and ends the process, or its timer does.
            loop {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            }
        }
        let first = STATE.signal.load(Ordering::Relaxed);
        die_at_once(if first == 0 { signal } else { first });
    }
    STATE.signal.store(signal, Ordering::Relaxed);
    end_later(signal);
    // SAFETY: only `install` writes it, before this function can be called.
    if let Some(page) = unsafe { Written::at(STATE.page.load(Ordering::Relaxed)) } {
        tell(page, signal, facts, place);
    }
    die(signal, facts);
}

fn tell(page: Written, signal: libc::c_int, info: &libc::siginfo_t, place: Option<Place>) {
    let was_sent = info.si_code <= 0;
    // SAFETY: of a signal that was sent by a process the kernel fills in who; of the others of ours it fills in where.
    // Both fields are numbers in a structure that is all there, so a wrong one would be a wrong number.
    let (address, sender) = unsafe { (info.si_addr().addr(), info.si_pid()) };
    let is_foreign = matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE)
        && sender.cast_unsigned() != std::process::id();
    page.begin(Facts {
        signal,
        code: info.si_code,
        address: if was_sent { 0 } else { address as u64 },
        sender: if is_foreign { sender.cast_unsigned() } else { 0 },
        is_overflow: !was_sent && is_overflow(signal, address, place),
    });
    // Which thread gets a signal from outside is chance: its stack explains nothing.
    if !is_foreign {
        trace(page, place);
    }
}

/// Whether the thread ran into the end of its stack.
fn is_overflow(signal: libc::c_int, address: usize, place: Option<Place>) -> bool {
    let Some(stack) = cpu::known_stack() else { return false };
    let below = stack.start.saturating_sub(BELOW)..stack.start;
    // A large frame may lie whole below the stack, far from its end.
    let sp_is_out = place.is_some_and(|place| place.sp < stack.start && address.abs_diff(place.sp) < BELOW);
    matches!(signal, libc::SIGSEGV | libc::SIGBUS) && (below.contains(&address) || sp_is_out)
}

/// Writes the stack that the signal hit.
fn trace(page: Written, place: Option<Place>) {
    let mut trace = Trace { page, place, hit: place.is_none(), skipped: 0, raw: [0; FRAMES], count: 0 };
    if let Some(place) = place {
        // Others are return addresses, so the reader takes one off.
        trace.push(place.ip.wrapping_add(1));
    }
    // SAFETY: the function asks that nobody else uses the crate's symbol cache meanwhile, which a trace does not touch.
    unsafe { backtrace::trace_unsynchronized(|frame| trace.take(frame.ip().addr())) };
    if trace.count == 1
        && let Some(caller) = place.and_then(|place| place.caller())
    {
        trace.push(caller);
    }
    // Those in libraries, for which the loader is asked.
    for index in 0..trace.count {
        if main_place(trace.raw[index]).is_none() {
            page.frame(index, image::locate(trace.raw[index]));
        }
    }
}

struct Trace {
    page: Written,
    place: Option<Place>,
    /// The unwinder has passed the handler and the kernel's call of it.
    hit: bool,
    skipped: usize,
    raw: [usize; FRAMES],
    count: usize,
}

impl Trace {
    /// Whether to go on.
    fn take(&mut self, ip: usize) -> bool {
        if !self.hit {
            self.hit = self.place.is_some_and(|place| place.ip == ip);
            self.skipped += 1;
            return self.skipped < OF_HANDLER;
        }
        self.push(ip)
    }

    fn push(&mut self, ip: usize) -> bool {
        // The page notes that there was one too many.
        self.page.frame(self.count, main_place(ip));
        let Some(room) = self.raw.get_mut(self.count) else { return false };
        *room = ip;
        self.count += 1;
        true
    }
}

/// The place of an instruction of the main program.
fn main_place(ip: usize) -> Option<CodeAddress> {
    let [start, end] = [0, 1].map(|bound| STATE.main_code[bound].load(Ordering::Relaxed));
    let offset = ip.wrapping_sub(STATE.main_base.load(Ordering::Relaxed)) as u64;
    (start..end).contains(&ip).then_some(CodeAddress { module: 0, offset })
}

/// What the registers were when the signal hit.
#[derive(Clone, Copy)]
struct Place {
    ip: usize,
    sp: usize,
    /// Where the function returns to, where a register says so.
    link: usize,
}

impl Place {
    #[cfg(target_arch = "x86_64")]
    fn of(context: &libc::ucontext_t) -> Option<Place> {
        let [ip, sp] =
            [libc::REG_RIP, libc::REG_RSP].map(|name| context.uc_mcontext.gregs[name as usize] as usize);
        Some(Place { ip, sp, link: 0 })
    }

    #[cfg(target_arch = "aarch64")]
    fn of(context: &libc::ucontext_t) -> Option<Place> {
        let registers = &context.uc_mcontext;
        Some(Place {
            ip: registers.pc as usize,
            sp: registers.sp as usize,
            link: registers.regs[30] as usize,
        })
    }

    /// Elsewhere the frames of the handler are kept, and the reader cuts them off by their names.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn of(_: &libc::ucontext_t) -> Option<Place> {
        None
    }

    /// Who called, when the program went to where there is no code (a null function, say), from which nothing unwinds.
    fn caller(self) -> Option<usize> {
        if image::locate(self.ip).is_some() {
            return None;
        }
        let word = self.sp..self.sp.checked_add(size_of::<usize>())?;
        let is_on = |stack: Range<usize>| stack.start <= word.start && word.end <= stack.end;
        match self.link {
            // SAFETY: the word lies on the stack of this thread, above the stack pointer; if it can't be read all the
            // same, that is a crash in the handler, which ends the process.
            0 if cpu::known_stack().is_some_and(is_on) => unsafe {
                Some(ptr::with_exposed_provenance::<usize>(self.sp).read_unaligned())
            },
            0 => None,
            link => Some(link),
        }
    }
}

/// The kernel's number of this thread.
fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing.
    unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t }
}

/// Has the signal sent to this process once more after [`PATIENCE`].
fn end_later(signal: libc::c_int) {
    // SAFETY: all-zero are valid values of both; the kernel reads them and writes a number. The calls are the kernel's own,
    // because glibc's may allocate.
    unsafe {
        let mut event: libc::sigevent = mem::zeroed();
        (event.sigev_notify, event.sigev_signo) = (libc::SIGEV_SIGNAL, signal);
        let mut time: libc::itimerspec = mem::zeroed();
        time.it_value.tv_sec = PATIENCE;
        let mut timer: libc::c_int = 0;
        if libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw const event, &raw mut timer) == 0
        {
            libc::syscall(
                libc::SYS_timer_settime,
                timer,
                0,
                &raw const time,
                ptr::null_mut::<libc::itimerspec>(),
            );
        } else {
            // A filter denies it. What counts then is that it ends.
            libc::signal(libc::SIGALRM, libc::SIG_DFL);
            libc::alarm(PATIENCE as libc::c_uint);
        }
    }
}

/// Has `signal` end this process as soon as the handler returns.
fn die(signal: libc::c_int, info: &libc::siginfo_t) {
    let me = (std::process::id().cast_signed(), thread_id());
    // SAFETY: SIG_DFL runs no code; the set is initialised before it is read; `info` is the kernel's own, given back to it.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        if libc::syscall(libc::SYS_rt_tgsigqueueinfo, me.0, me.1, signal, ptr::from_ref(info)) != 0 {
            libc::syscall(libc::SYS_tgkill, me.0, me.1, signal);
        }
    }
}

/// Ends this process by `signal` here and now.
fn die_at_once(signal: libc::c_int) -> ! {
    // SAFETY: as in `die`.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        libc::syscall(libc::SYS_tgkill, std::process::id(), thread_id(), signal);
        libc::_exit(128 + signal)
    }
}
