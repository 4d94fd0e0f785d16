//! The functions of `native.c`.

#![expect(unsafe_code, reason = "they are C")]

unsafe extern "C" {
    fn native_writes_to(address: usize) -> i32;
    fn native_calls_nothing(number: i32) -> i32;
    fn native_recurses(depth: i32) -> i32;
    fn native_crashes_in_a_thread(address: usize) -> i32;
}

/// Writes to an address, such as one where nothing is.
pub fn writes_to(address: usize) -> i32 {
    // SAFETY: none, if there is memory; the callers pass addresses in the first page.
    unsafe { native_writes_to(address) }
}

/// Calls a function pointer that is null.
pub fn calls_nothing(number: i32) -> i32 {
    // SAFETY: takes a number, and ends the process.
    unsafe { native_calls_nothing(number) }
}

/// Calls itself until the stack is used up.
pub fn recurses(depth: i32) -> i32 {
    // SAFETY: takes a number, and ends the process.
    unsafe { native_recurses(depth) }
}

/// As [`writes_to`], in a thread that C has made.
pub fn crashes_in_a_thread(address: usize) -> i32 {
    // SAFETY: as in `writes_to`.
    unsafe { native_crashes_in_a_thread(address) }
}
