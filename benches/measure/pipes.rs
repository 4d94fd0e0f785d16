//! A process that gives every byte back: nothing is faster through pipes.

use crate::again::again;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub(crate) struct Pipes {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Pipes {
    pub(crate) fn start() -> Self {
        let mut command = again("pipes");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts again");
        let to = child.stdin.take().expect("piped");
        let from = child.stdout.take().expect("piped");
        Self { child, to, from }
    }

    pub(crate) fn round_trip(&mut self) {
        let mut byte = [7];
        self.to.write_all(&byte).expect("the echo lives");
        self.from.read_exact(&mut byte).expect("the echo answers");
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of [`Pipes`], without the buffers that standard input and output have.
pub(crate) fn answer() {
    let unbuffered =
        |fd: std::os::fd::BorrowedFd<'_>| File::from(fd.try_clone_to_owned().expect("a descriptor"));
    let mut from = unbuffered(std::io::stdin().as_fd());
    let mut to = unbuffered(std::io::stdout().as_fd());
    let mut byte = [0];
    while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
}
