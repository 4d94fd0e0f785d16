//! Builds the functions in C. A C compiler is there wherever Rust can link.

fn main() {
    println!("cargo:rerun-if-changed=src/native.c");
    // What is tested is the unwinding through functions as people build them, in frames that are not optimised away.
    cc::Build::new().file("src/native.c").debug(true).opt_level(0).compile("native");
}
