//! How the kernel backs memory of this process.
//!
//! Owns one piece of advice, which changes nothing but the time that things take.

#![expect(unsafe_code, reason = "advice is given by address")]

use std::sync::OnceLock;

/// Asks the kernel to back the memory of a vector with large pages as it is used; it may not.
pub(crate) fn prefer_large_pages<T>(vector: &mut Vec<T>) {
    if cfg!(miri) {
        return;
    }
    let page = page();
    // Outwards, to whole pages: where the allocator has mapped it for this vector only, the mapping stays one, which it can
    // move when the vector grows.
    let begin = vector.as_ptr().addr() / page * page;
    let end = (vector.as_ptr().addr() + vector.capacity() * size_of::<T>()).next_multiple_of(page);
    // SAFETY: the advice changes no memory and what is mapped, whatever lies beside the vector on its first and last page;
    // the address is not read through.
    unsafe {
        libc::madvise(
            vector.as_mut_ptr().cast::<libc::c_void>().with_addr(begin),
            end - begin,
            libc::MADV_HUGEPAGE,
        )
    };
}

/// The size of a page in bytes.
fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    // SAFETY: takes a number.
    *PAGE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_no_bytes() {
        for length in [0, 1, 5000, 9 << 20] {
            let mut vector: Vec<u8> = (0..length).map(|at| at as u8).collect();
            vector.reserve(3 * length);
            let before = vector.clone();
            prefer_large_pages(&mut vector);
            assert!(vector == before);
        }
    }
}
