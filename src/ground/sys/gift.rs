//! Descriptors that one process hands to another over their socket (SCM_RIGHTS).
//!
//! Owns sending bytes with one descriptor, and receiving bytes with whatever descriptors come along. Promises: what comes in is
//! closed on exec, and owned at once, so that none is lost; bytes come in order even where the kernel can't give a descriptor
//! (then it is missing, and no error). Only a worker receives so: the program takes no descriptor from anybody (`socket`).

#![expect(unsafe_code, reason = "control messages are pointers and plain numbers")]

use super::call::retry;
use super::fd;
use super::socket::{Wait, poll};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Descriptors in one control message; what we send has one.
const MOST: usize = 8;

/// Room for a control message with so many descriptors, aligned as its header has to be.
#[repr(C, align(16))]
struct Control([u8; 64]);

const _: () = assert!(
    // SAFETY: a calculation.
    unsafe { libc::CMSG_SPACE((MOST * size_of::<RawFd>()) as u32) } as usize <= size_of::<Control>()
);

/// Sends as many of the bytes as the kernel takes, at least one, and the descriptor along with the first; never waits.
pub(crate) fn send_with(to: BorrowedFd<'_>, bytes: &[u8], gift: BorrowedFd<'_>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; 64]);
    let length = size_of::<RawFd>() as u32;
    // SAFETY: all-zero is the empty message header. It points at `part` and `control`, which outlive the call; `part` points at
    // `bytes`, which the call only reads. `control` has room for a header and one number, which stand where the macros say.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = libc::CMSG_SPACE(length) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(length) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(gift.as_raw_fd());
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        retry(|| libc::sendmsg(to.as_raw_fd(), &raw const message, flags)).map(|count| count as usize)
    }
}

/// Receives into `buffer`, and adds the descriptors that came along to `gifts`. 0 is the end.
pub(crate) fn receive_with(
    from: BorrowedFd<'_>,
    buffer: &mut [u8],
    gifts: &mut impl Extend<OwnedFd>,
    wait: Wait,
) -> io::Result<usize> {
    if buffer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to receive into"));
    }
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; 64]);
    let flags = libc::MSG_CMSG_CLOEXEC | wait.flags();
    loop {
        // SAFETY: all-zero is the empty message header.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        // SAFETY: `message` points at `part` and `control`, `part` at `buffer`; all outlive the call and are writable for the
        // lengths that they are said to have.
        let received = retry(|| unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, flags) });
        match received {
            // Somebody has made the socket non-blocking.
            Err(error) if wait == Wait::Block && error.kind() == io::ErrorKind::WouldBlock => {
                poll(from, libc::POLLIN)?;
            }
            Err(error) => return Err(error),
            Ok(count) => {
                // SAFETY: the kernel has just filled `control`, which `message` points at, up to the length that it noted there.
                let came = unsafe { descriptors(&message) };
                // One that can't be moved up, as there are too many, is closed.
                gifts.extend(came.into_iter().flatten());
                return Ok(count as usize);
            }
        }
    }
}

/// The descriptors of a message, each adopted once.
///
/// # Safety
///
/// The kernel has just received `message`, whose control buffer is alive.
unsafe fn descriptors(message: &libc::msghdr) -> Vec<io::Result<OwnedFd>> {
    let mut found = Vec::new();
    // SAFETY: as the caller upholds, the headers lie in the buffer, and each is followed by what its length says: the numbers of
    // descriptors that belong to nobody yet.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                let length = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                for at in 0..length / size_of::<RawFd>() {
                    found.push(fd::adopt(data.add(at).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    found
}

#[cfg(all(test, not(miri), not(xfork_loom)))]
mod tests {
    use super::super::socket::{self, pair};
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_come_with_the_bytes_that_they_were_sent_with() {
        let (left, right) = pair().unwrap();
        let (gift, witness) = pair().unwrap();
        socket::send_all(left.as_fd(), b"before").unwrap();
        assert_eq!(send_with(left.as_fd(), b"with", gift.as_fd()).unwrap(), 4);
        socket::send_all(left.as_fd(), b"after").unwrap();
        drop((left, gift));
        let (mut gifts, mut text, mut buffer) = (Vec::new(), Vec::new(), [0; 64]);
        loop {
            match receive_with(right.as_fd(), &mut buffer, &mut gifts, Wait::Block).unwrap() {
                0 => break,
                count => text.extend_from_slice(&buffer[..count]),
            }
            assert_eq!(!gifts.is_empty(), text.len() > 6, "with the first byte, and not before");
        }
        assert_eq!(text, b"beforewithafter");
        let [gift] = &gifts[..] else { panic!("{gifts:?}") };
        assert!(gift.as_raw_fd() >= fd::FIRST);
        // SAFETY: takes numbers; the descriptor is open.
        assert_eq!(unsafe { libc::fcntl(gift.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        socket::send_all(gift.as_fd(), b"!").unwrap();
        assert_eq!(socket::receive(witness.as_fd(), &mut buffer, Wait::Block).unwrap(), 1);
    }

    #[test]
    fn a_full_socket_takes_neither_bytes_nor_descriptor() {
        let (left, right) = pair().unwrap();
        while socket::send(left.as_fd(), &[0; 4096], Wait::DontBlock).is_ok() {}
        let (gift, witness) = pair().unwrap();
        let error = send_with(left.as_fd(), b"x", gift.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop((gift, right));
        assert_eq!(socket::receive(witness.as_fd(), &mut [0], Wait::DontBlock).unwrap(), 0);
    }
}
