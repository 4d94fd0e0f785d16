//! A program that loads a library and calls it.

use std::ffi::CString;

fn main() {
    let file = CString::new(std::env::args().nth(1).unwrap()).unwrap();
    // SAFETY: the strings end with a NUL; the symbol is a function of this type, and the library stays.
    unsafe {
        let library = libc::dlopen(file.as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let run = libc::dlsym(library, c"run".as_ptr());
        assert!(!run.is_null());
        std::mem::transmute::<*mut libc::c_void, extern "C" fn()>(run)();
    }
    println!("host goes on");
}
