//! How a C function says that it failed.
//!
//! Owns the reading of "-1 and errno", and the rule that a signal in between is no failure: a program may
//! take a thousand signals a second through handlers without SA_RESTART, and none of them may reach a caller
//! of ours. Leaves out the functions that return an error number directly (`posix_spawn`, `pthread_*`).

use std::io;

/// Reads a result in which -1 stands for an error in `errno`.
pub(crate) fn check<T: From<i8> + PartialEq>(result: T) -> io::Result<T> {
    if result == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls again as long as a signal handler interrupted the call.
pub(crate) fn retry<T: From<i8> + PartialEq>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    /// As a system call would: leaves ENOENT behind and returns -1.
    fn fail() -> i32 {
        assert!(std::fs::metadata("/nonexistent/xfork").is_err());
        -1
    }

    #[test]
    fn minus_one_is_the_error_and_everything_else_a_value() {
        assert_eq!(check(0i32).unwrap(), 0);
        assert_eq!(check(-2i64).unwrap(), -2);
        assert_eq!(check(fail()).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn an_error_that_is_no_interruption_is_returned_at_the_first_call() {
        let mut calls = 0;
        let failed = retry(|| {
            calls += 1;
            fail()
        });
        assert_eq!((failed.unwrap_err().kind(), calls), (io::ErrorKind::NotFound, 1));
    }
}
