//! The stream between a parent and one worker: a pair of Unix sockets.
//!
//! Owns making the pair and moving bytes. Promises that no call raises SIGPIPE, that a signal never shows as
//! an error, and that descriptors which a peer slips in (SCM_RIGHTS) are closed by the kernel and reported.
//! Leaves out what the bytes mean (`wire`) and when to send (`runner`). `ECONNRESET` is handed on as such,
//! because it is how the kernel says "the peer died with our bytes unread"; what the peer wrote before is
//! delivered first.

#![expect(unsafe_code, reason = "the C functions for sockets take pointers and plain numbers")]

use super::call::{check, retry};
use super::fd;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Room in the kernel for one burst of tasks, so that a sender need not wait for a worker that computes. The
/// kernel cuts it down to `net.core.wmem_max` without an error.
const SEND_BUFFER: libc::c_int = 1 << 20;

/// Whether a call may wait for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Returns when something was moved.
    Block,
    /// Gives `WouldBlock` at once if nothing can be moved now.
    DontBlock,
}

impl Wait {
    pub(super) fn flags(self) -> libc::c_int {
        match self {
            Wait::Block => 0,
            Wait::DontBlock => libc::MSG_DONTWAIT,
        }
    }
}

/// Makes two connected ends, both close-on-exec and away from standard input, output and error (faults.md,
/// row 70).
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that the kernel writes.
    check(unsafe {
        libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr())
    })?;
    // Both are adopted before either result is looked at: a failure of the first must not leak the second.
    // SAFETY: the kernel has just made both for us.
    let (left, right) = unsafe { (fd::adopt(ends[0]), fd::adopt(ends[1])) };
    let (left, right) = (left?, right?);
    let size = SEND_BUFFER;
    for end in [&left, &right] {
        // SAFETY: the pointer and the length describe the local `size`, which outlives the call. The result
        // is of no interest: a smaller buffer is slower, not wrong.
        unsafe {
            libc::setsockopt(
                end.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
    Ok((left, right))
}

/// Sends as many of the bytes as the kernel takes, at least one. A closed peer is `BrokenPipe`, never a
/// signal.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | wait.flags();
    loop {
        // SAFETY: `bytes` is readable for its length during the call, and the borrow keeps `fd` open.
        let sent = retry(|| unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) });
        match sent {
            Err(error) if wait == Wait::Block && error.kind() == io::ErrorKind::WouldBlock => {
                poll(fd, libc::POLLOUT)?;
            }
            other => return other.map(|count| count as usize),
        }
    }
}

/// Sends all the bytes, however long the peer takes.
pub(crate) fn send_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(fd, bytes, Wait::Block)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Receives into `buffer`; 0 means that the peer has closed its end. `InvalidData` means that the peer sent
/// descriptors along with bytes: the kernel has closed them, and the peer cannot be trusted (faults.md, row
/// 97). The bytes are in `buffer` all the same, together with what came before them: see
/// [`came_with_descriptors`].
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    if buffer.is_empty() {
        // The kernel would answer 0, which a caller would take for the end of the stream.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to receive into"));
    }
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    loop {
        // SAFETY: all-zero is the empty message header: null pointers with zero lengths.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        // SAFETY: `message` points at `part`, `part` at `buffer`; all three outlive the call, `buffer` is
        // borrowed mutably and writable for its length. There is no control buffer, so no descriptor can come
        // in.
        let received = retry(|| unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, wait.flags()) });
        match received {
            Err(error) if wait == Wait::Block && error.kind() == io::ErrorKind::WouldBlock => {
                poll(fd, libc::POLLIN)?;
            }
            Err(error) => return Err(error),
            Ok(_) if message.msg_flags & libc::MSG_CTRUNC != 0 => {
                let bytes = received? as usize;
                return Err(io::Error::new(io::ErrorKind::InvalidData, WithDescriptors { bytes }));
            }
            Ok(count) => return Ok(count as usize),
        }
    }
}

/// What [`receive`] has against a peer that sent descriptors.
#[derive(Debug)]
struct WithDescriptors {
    bytes: usize,
}

impl std::fmt::Display for WithDescriptors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer sent file descriptors")
    }
}

impl std::error::Error for WithDescriptors {}

/// How many bytes came into the buffer, if that is why [`receive`] failed. One call takes what was sent before the
/// descriptors together with them, and a task that has been said to have started there must never be run again.
pub(crate) fn came_with_descriptors(error: &io::Error) -> Option<usize> {
    error.get_ref()?.downcast_ref().map(|&WithDescriptors { bytes }| bytes)
}

/// Waits for one descriptor. Only reached when somebody made our socket non-blocking behind our back, for
/// instance a task that sets O_NONBLOCK on every descriptor it finds: `Wait::Block` must still not spin or
/// fail.
pub(super) fn poll(fd: BorrowedFd<'_>, events: libc::c_short) -> io::Result<()> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: `entry` is the one entry announced, and outlives the call.
    retry(|| unsafe { libc::poll(&raw mut entry, 1, -1) })?;
    Ok(())
}

/// Whether the peer has closed its end; what it wrote before may still be there to be read.
pub(crate) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: `entry` is the one entry announced, and outlives the call.
    let count = retry(|| unsafe { libc::poll(&raw mut entry, 1, 0) });
    count.is_ok_and(|count| count > 0)
}

/// The process that made the other end, as the kernel recorded it when the pair was made: no peer can forge
/// it. For both ends of [`pair`] that is the process that called `pair`. 0 stands for a process outside our
/// pid namespace. Anything that is not a Unix stream socket is an error.
pub(crate) fn peer_pid(fd: BorrowedFd<'_>) -> io::Result<u32> {
    if !is_unix_stream(fd) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a Unix stream socket"));
    }
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `credentials` is writable for `length` bytes, and SO_PEERCRED writes a `ucred` and nothing
    // longer.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    })?;
    Ok(credentials.pid.unsigned_abs())
}

/// Whether a descriptor is the kind of socket that [`pair`] makes. A number from the environment may name
/// anything.
pub(crate) fn is_unix_stream(fd: BorrowedFd<'_>) -> bool {
    option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX) && option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}

fn option(fd: BorrowedFd<'_>, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is writable for `length` bytes, and the kernel writes no more than `length`.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    (result == 0).then_some(value)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::thread;

    #[test]
    fn both_ends_are_above_standard_error() {
        let (left, right) = pair().unwrap();
        assert!(left.as_raw_fd() >= fd::FIRST && right.as_raw_fd() >= fd::FIRST);
    }

    #[test]
    fn a_full_socket_refuses_without_blocking_and_takes_more_after_it_was_drained() {
        let (left, right) = pair().unwrap();
        let block = vec![7u8; 1 << 16];
        let mut sent = 0;
        let full = loop {
            match send(left.as_fd(), &block, Wait::DontBlock) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let mut buffer = vec![0; 1 << 16];
        let mut received = 0;
        while received < sent {
            received += receive(right.as_fd(), &mut buffer, Wait::DontBlock).unwrap();
        }
        assert_eq!(received, sent);
        assert_eq!(
            receive(right.as_fd(), &mut buffer, Wait::DontBlock).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(send(left.as_fd(), &block, Wait::DontBlock).is_ok());
    }

    #[test]
    fn ten_megabytes_arrive_whole_even_if_someone_made_the_socket_nonblocking() {
        let (left, right) = pair().unwrap();
        for end in [&left, &right] {
            // SAFETY: F_SETFL takes an integer; `end` is open.
            check(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).unwrap();
        }
        let bytes: Vec<u8> = (0..10_000_000u32).map(|i| (i % 251) as u8).collect();
        let expected = bytes.clone();
        let sender = thread::spawn(move || send_all(left.as_fd(), &bytes));
        let mut got = Vec::new();
        let mut buffer = vec![0; 100_000];
        loop {
            match receive(right.as_fd(), &mut buffer, Wait::Block).unwrap() {
                0 => break,
                count => got.extend_from_slice(&buffer[..count]),
            }
        }
        sender.join().unwrap().unwrap();
        assert!(got == expected);
    }

    #[test]
    fn a_closed_peer_is_an_error_to_send_to_and_no_signal() {
        let (left, right) = pair().unwrap();
        drop(right);
        assert_eq!(send(left.as_fd(), b"x", Wait::Block).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(receive(left.as_fd(), &mut [0], Wait::Block).unwrap(), 0);
    }

    /// faults.md, trap 9: what was sent before the end is readable first, and the end shows as a reset.
    #[test]
    fn bytes_sent_before_a_reset_are_delivered_first() {
        let (left, right) = pair().unwrap();
        send_all(left.as_fd(), b"unread").unwrap();
        send_all(right.as_fd(), b"Ok(4)").unwrap();
        drop(right);
        let mut buffer = [0; 16];
        assert_eq!(receive(left.as_fd(), &mut buffer, Wait::Block).unwrap(), 5);
        assert_eq!(&buffer[..5], b"Ok(4)");
        let end = receive(left.as_fd(), &mut buffer, Wait::Block).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    }

    /// faults.md, row 97: "sends unsolicited fds (SCM_RIGHTS): closed, Protocol error, no fd growth".
    #[test]
    fn unsolicited_descriptors_are_closed_and_reported() {
        let (left, right) = pair().unwrap();
        let (gift, witness) = pair().unwrap();
        let mut byte = *b"x";
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut control = [0u64; 8];
        // SAFETY: a test; `message` points at `part` and `control`, both large enough (CMSG_SPACE of one
        // number is 24 bytes) and alive, and the header written is within `control`.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(4) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(gift.as_raw_fd());
            assert_eq!(libc::sendmsg(left.as_raw_fd(), &raw const message, 0), 1);
        }
        drop(gift);
        let error = receive(right.as_fd(), &mut [0; 8], Wait::Block).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        // Had the descriptor come in, the witness would still have a peer and would block here.
        assert_eq!(receive(witness.as_fd(), &mut [0], Wait::DontBlock).unwrap(), 0);
    }

    #[test]
    fn the_peer_of_a_pair_is_its_maker() {
        let (left, _right) = pair().unwrap();
        assert_eq!(peer_pid(left.as_fd()).unwrap(), std::process::id());
    }

    /// faults.md, row 85: "marker set by a user by hand (fd 0, a file, a wrong socket, stale value)".
    #[test]
    fn a_file_and_an_internet_socket_have_no_peer_pid() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let internet = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(peer_pid(file.as_fd()).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(peer_pid(internet.as_fd()).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn an_empty_buffer_is_not_taken_for_the_end_of_the_stream() {
        let (left, _right) = pair().unwrap();
        assert_eq!(
            receive(left.as_fd(), &mut [], Wait::DontBlock).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
