//! What the attributes refuse, word for word, and a program of everything that they accept.
//!
//! The texts are ours alone (no message of the compiler is in them), so they hold for every version of it. After
//! a change of words, `TRYBUILD=overwrite cargo test --test ui` writes them anew.

/// Row 79 of faults.md: "generic/async/const/unsafe/extern/self-method/impl-Trait/borrowing fn under #[cpu_bound]: one clear
/// compile error at the token"; and row 37 for results that borrow.
#[test]
#[cfg_attr(miri, ignore = "starts cargo")]
fn each_refusal_is_a_sentence_at_the_offending_token() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
