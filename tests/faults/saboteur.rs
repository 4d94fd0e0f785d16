//! A worker that lies: it takes the place of an honest one before that is one, and speaks the protocol wrongly.
//!
//! Written from the sections "Bytes" and "The ring" of `src/runner/process/README.md` and nothing else, so that it is a second
//! opinion on those, too. Owns the constructor that takes over, and writing and reading frames by hand. Promises that as many
//! workers lie as were ordered, and that all later ones are honest. What they do is in `f_peer.rs`.

use crate::fixture::Dir;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// What to do, the build to claim, and a directory with a permission for each worker that is to do it.
const ORDER: &str = "XFORK_FAULTS_SABOTEUR";

/// What becomes of a worker that has done its worst.
pub(crate) enum Then {
    /// It goes on as an honest worker: nothing must have been read from the socket or written to it.
    Honest,
    /// It waits to be killed.
    Waits,
    Ends,
}

/// Runs before the hook that makes a process a worker.
extern "C" fn take_over() {
    let (Ok(socket), Ok(order)) = (std::env::var("XFORK_WORKER"), std::env::var(ORDER)) else { return };
    let [way, build, permissions] = order.splitn(3, ':').collect::<Vec<_>>()[..] else { return };
    let is_permitted = |number: &u32| fs::remove_file(format!("{permissions}/permission-{number}")).is_ok();
    if !(0..16).any(|number| is_permitted(&number)) {
        return;
    }
    // SAFETY: the first number is the worker's socket, which nobody has adopted yet; it is never closed here.
    let stream = unsafe { UnixStream::from_raw_fd(socket.split(':').next().unwrap().parse().unwrap()) };
    let memory = socket.split(':').nth(1).and_then(|number| Memory::of(number.parse().unwrap()));
    let (build, dir) = (build.parse().unwrap(), permissions.into());
    let mut peer =
        Peer { stream: ManuallyDrop::new(stream), build, dir, memory, has_rings: false, unread: vec![] };
    // A write to a socket whose other end is closed must not kill it, as it would before `main`.
    // SAFETY: runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // An error is what being killed or left alone looks like from here.
    match crate::f_peer::misbehave(way, &mut peer) {
        Ok(Then::Honest) => return,
        Ok(Then::Waits) => _ = io::copy(&mut *peer.stream, &mut io::sink()),
        Ok(Then::Ends) | Err(_) => {}
    }
    // SAFETY: takes a number.
    unsafe { libc::_exit(78) };
}

// SAFETY: a section of functions without arguments, and this is one; it needs nothing of std that is set up by `main`.
#[used]
#[unsafe(link_section = ".init_array.00002")]
static AT_LOAD: extern "C" fn() = take_over;

/// Has the next `count` workers misbehave in some way while `scope` runs.
pub(crate) fn sabotage<R>(way: &str, build: u64, count: u32, scope: impl FnOnce(&Dir) -> R) -> R {
    let dir = Dir::new();
    for number in 0..count {
        fs::write(dir.path(&format!("permission-{number}")), "").unwrap();
    }
    // SAFETY: no other thread of this process touches the environment now: workers are started by a driver thread, but
    // the pool of `scope` is made after this and has ended, or has started all that it will, before the next call.
    unsafe { std::env::set_var(ORDER, format!("{way}:{build}:{}", dir.path(""))) };
    let result = scope(&dir);
    // SAFETY: as above.
    unsafe { std::env::remove_var(ORDER) };
    result
}

/// The program's other end, as the liar sees it.
pub(crate) struct Peer {
    pub(crate) stream: ManuallyDrop<UnixStream>,
    /// The number of this build.
    pub(crate) build: u64,
    /// Where the test and the liar leave each other notes.
    pub(crate) dir: String,
    pub(crate) memory: Option<Memory>,
    /// The program has said that the rings are used.
    has_rings: bool,
    /// What has been taken out of the ring and not been looked at.
    unread: Vec<u8>,
}

/// The rings: that to the worker, and that from it.
pub(crate) struct Memory(&'static [AtomicU64]);

const RING: usize = 64 + DATA;
const DATA: usize = 16384;
const TO_WORKER: usize = 512;
pub(crate) const FROM_WORKER: usize = TO_WORKER + RING;
pub(crate) const TAIL: usize = 0;
const HEAD: usize = 16;
const BELL_OF_CONSUMER: usize = 32;
pub(crate) const FIRST: usize = 64;

impl Memory {
    fn of(fd: i32) -> Option<Self> {
        let words = TO_WORKER + 2 * RING;
        let mode = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, never unmapped, of a file that can't become shorter; only ever seen as atomic numbers.
        unsafe {
            let address = libc::mmap(std::ptr::null_mut(), words * 8, mode, libc::MAP_SHARED, fd, 0);
            (address != libc::MAP_FAILED).then(|| Self(std::slice::from_raw_parts(address.cast(), words)))
        }
    }

    pub(crate) fn word(&self, word: usize) -> &AtomicU64 {
        &self.0[word]
    }

    /// Puts a piece of at most half a ring into the ring from the worker, when there is room.
    fn put(&self, bytes: &[u8]) {
        let (tail, head) = (self.word(FROM_WORKER + TAIL), self.word(FROM_WORKER + HEAD));
        let begin = tail.load(SeqCst);
        let words = 1 + bytes.len().div_ceil(8);
        while begin + words as u64 - head.load(SeqCst) > DATA as u64 {
            std::thread::yield_now();
        }
        let data = |number: u64| self.word(FROM_WORKER + FIRST + number as usize % DATA);
        data(begin).store(bytes.len() as u64, SeqCst);
        for (number, bytes) in (begin + 1..).zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            data(number).store(u64::from_le_bytes(eight), SeqCst);
        }
        tail.store(begin + words as u64, SeqCst);
    }

    /// Takes a piece out of the ring to the worker, asleep until there is one.
    fn take(&self) -> Vec<u8> {
        let (tail, head) = (self.word(TO_WORKER + TAIL), self.word(TO_WORKER + HEAD));
        let bell = self.word(TO_WORKER + BELL_OF_CONSUMER);
        let begin = head.load(SeqCst);
        loop {
            bell.store(1, SeqCst);
            if tail.load(SeqCst) != begin {
                break;
            }
            // SAFETY: a futex of this process's memory, without a limit of time.
            unsafe { libc::syscall(libc::SYS_futex, bell.as_ptr(), libc::FUTEX_WAIT, 1, 0) };
        }
        let data = |number: u64| self.word(TO_WORKER + FIRST + number as usize % DATA).load(SeqCst);
        let length = data(begin) as usize;
        let words = length.div_ceil(8) as u64;
        let mut bytes: Vec<u8> = (0..words).flat_map(|word| data(begin + 1 + word).to_le_bytes()).collect();
        bytes.truncate(length);
        head.store(begin + 1 + words, SeqCst);
        bytes
    }
}

/// What the program sent.
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) entry: u32,
    pub(crate) terms: Vec<u8>,
}

const WELCOME: u8 = 1;
pub(crate) const HELLO: u8 = 65;
pub(crate) const STARTED: u8 = 66;
pub(crate) const DONE: u8 = 67;
pub(crate) const FAILED: u8 = 68;
pub(crate) const RETURNED: u8 = 69;
pub(crate) const SURPLUS: u8 = 70;
pub(crate) const CHILD: u8 = 71;
pub(crate) const STOLEN: u8 = 72;
pub(crate) const RECALLED: u8 = 73;
pub(crate) const BLOCKED: u8 = 74;
pub(crate) const UNBLOCKED: u8 = 75;
pub(crate) const LAST_PANIC: u8 = 76;
pub(crate) const UNSEEN: u8 = 77;
pub(crate) const TEXT: u8 = 82;
pub(crate) const WITH: u8 = 84;
pub(crate) const LET_GO: u8 = 85;
pub(crate) const REFUSED: u8 = 86;
pub(crate) const ITEM: u8 = 87;
pub(crate) const ITEM_FAILED: u8 = 88;
pub(crate) const DIVIDED: u8 = 89;
const KNOCK: u8 = 83;

/// A frame with the length that it has.
pub(crate) fn frame(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let payload = fields.concat();
    [&[kind][..], &(payload.len() as u64).to_le_bytes(), &payload].concat()
}

impl Peer {
    /// Writes where the program expects it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.memory.as_ref().filter(|_| self.has_rings) {
            Some(memory) => {
                for piece in bytes.chunks(DATA * 4) {
                    memory.put(piece);
                    self.stream.write_all(&frame(KNOCK, &[]))?;
                }
                Ok(())
            }
            None => self.stream.write_all(bytes),
        }
    }

    /// Reads from where the program writes.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self.memory.as_ref().filter(|_| self.has_rings) {
            Some(memory) => {
                while self.unread.len() < bytes.len() {
                    self.unread.append(&mut memory.take());
                }
                bytes.copy_from_slice(&self.unread.drain(..bytes.len()).collect::<Vec<_>>());
                Ok(())
            }
            None => self.stream.read_exact(bytes),
        }
    }

    pub(crate) fn say(&mut self, kind: u8, fields: &[&[u8]]) -> io::Result<()> {
        self.write(&frame(kind, fields))
    }

    pub(crate) fn hello_of(&mut self, protocol: u32, build: u64) -> io::Result<()> {
        let pid = std::process::id().to_le_bytes();
        let rings = u32::from(self.memory.is_some()).to_le_bytes();
        self.say(HELLO, &[&protocol.to_le_bytes(), &build.to_le_bytes(), &pid, &rings])
    }

    /// What an honest worker says first.
    pub(crate) fn hello(&mut self) -> io::Result<()> {
        self.hello_of(PROTOCOL, self.build)
    }

    fn hear(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut header = [0; 9];
        self.read(&mut header)?;
        let [kind, length @ ..] = header;
        let mut payload = vec![0; u64::from_le_bytes(length) as usize];
        self.read(&mut payload)?;
        if kind == WELCOME {
            self.has_rings = payload.ends_with(&1_u32.to_le_bytes());
        }
        Ok((kind, payload))
    }

    /// Waits for a task; says nothing.
    pub(crate) fn task(&mut self) -> io::Result<Task> {
        loop {
            let (kind, payload) = self.hear()?;
            // A task, or a chunk.
            if kind == 2 || kind == 20 {
                let number = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
                let id = u64::from_le_bytes(payload[..8].try_into().unwrap());
                let terms = 24 + number(20) as usize;
                let terms = payload[terms + 4..][..number(terms) as usize].to_vec();
                return Ok(Task { id, entry: number(16), terms });
            }
        }
    }

    /// Waits for a task and says that it has started it.
    pub(crate) fn start(&mut self) -> io::Result<Task> {
        let task = self.task()?;
        self.say(STARTED, &[&task.id.to_le_bytes()])?;
        Ok(task)
    }

    /// Sends bytes with three descriptors.
    pub(crate) fn send_descriptors(&mut self, bytes: &[u8]) -> io::Result<()> {
        let numbers = [0, 1, 2_i32];
        let size = size_of_val(&numbers);
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = [0_u64; 8];
        // SAFETY: `message` points at `part` and `control`, which outlive the call; `control` is aligned and has room for the
        // header and three numbers, which are open.
        let sent = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size as u32) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size as u32) as usize;
            libc::CMSG_DATA(header).cast::<[i32; 3]>().write_unaligned(numbers);
            libc::sendmsg(self.stream.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has the program look into the ring.
    pub(crate) fn knock(&mut self) -> io::Result<()> {
        self.stream.write_all(&frame(KNOCK, &[]))
    }

    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

/// The version that section describes.
pub(crate) const PROTOCOL: u32 = 6;

/// A message whose values mention one piece of shared memory, by its number or as bytes.
pub(crate) fn with(piece: Result<u64, &[u8]>, message: &[u8]) -> Vec<u8> {
    let piece = match piece {
        Ok(number) => [&[0; 5][..], &number.to_le_bytes()].concat(),
        Err(bytes) => [&[0, 0, 0, 0, 1][..], &(bytes.len() as u64).to_le_bytes(), bytes].concat(),
    };
    frame(WITH, &[&(piece.len() as u64).to_le_bytes(), &piece, message])
}

/// The frame of a blob has this kind, or one of the next four.
pub(crate) const BLOB: u8 = 40;

/// A message whose values mention blobs, by their numbers.
pub(crate) fn with_blobs(numbers: &[u64], message: &[u8]) -> Vec<u8> {
    let pieces: Vec<u8> =
        numbers.iter().flat_map(|number| [&[0, 0, 0, 0, 2][..], &number.to_le_bytes()].concat()).collect();
    frame(WITH, &[&(pieces.len() as u64).to_le_bytes(), &pieces, message])
}

/// Numbers, texts and errors as postcard writes them.
pub(crate) fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len() as u64), bytes].concat()
}

/// A panic without place, frames and thread.
pub(crate) fn panic(message: &[u8]) -> Vec<u8> {
    [text(message), vec![0, 0, 0, 0]].concat()
}

/// The error of a task that panicked.
pub(crate) fn panic_error(message: &[u8]) -> Vec<u8> {
    let payload = [number(1), text(message)].concat();
    [text(b"task"), vec![0, 0], panic(message), payload, vec![0; 8]].concat()
}
