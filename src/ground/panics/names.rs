//! What the name of a symbol says: who wrote the function, and what people call it.
//!
//! Pure functions over demangled names, for both manglings of rustc. Promises nothing about names of other languages: they
//! stay as they are. Leaves out: finding names (`frames`).

use std::path::Path;

/// The name as the person who wrote the function knows it.
///
/// A marked function `fib` is a unit struct, and the real function has another name beside it or in its `Deref`; and
/// older manglings end in a hash.
pub(super) fn clean(name: &str) -> String {
    const MARKED: &str = " as core::ops::deref::Deref>::deref::__xfork_";
    let name = without_hash(name);
    if let Some(inner) = name.strip_prefix('<')
        && let Some((path, rest)) = inner.split_once(MARKED)
    {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        return format!("{path}{}", &rest[end..]);
    }
    name.replace("::_::__xfork_", "::")
}

/// The name with the crate that it is of, where only the file tells: debug information of lines alone (`line-tables-only`)
/// calls some functions by their last name.
pub(super) fn with_owner(name: String, file: Option<&Path>) -> String {
    const OWN_SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let has_path = name.split('<').next().is_none_or(|path| path.is_empty() || path.contains("::"));
    let Some(file) = file.filter(|_| !has_path) else { return name };
    if file.starts_with(OWN_SOURCES) {
        format!("{}::{name}", env!("CARGO_CRATE_NAME"))
    } else if file.components().any(|part| part.as_os_str().to_string_lossy().starts_with("backtrace-0.")) {
        format!("backtrace::{name}")
    } else {
        name
    }
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

/// Whether the function belongs to Rust's runtime or to this library, so that a short trace can do without it.
pub(super) fn is_runtime(name: &str) -> bool {
    const OWNERS: [&str; 8] =
        ["core::", "std::", "alloc::", "__rust", "rust_", "_Unwind_", "backtrace::", "rayon_core::"];
    let mut owner = owner(name);
    // `<i32 as core::ops::Add>::add`: a built-in type has no owner, so it is the trait's.
    if let Some((built_in, implemented)) = owner.split_once(" as ")
        && !built_in.contains("::")
    {
        owner = implemented;
    }
    OWNERS.iter().any(|prefix| owner.starts_with(prefix)) || is_own(owner) || is_of_a_mark(name)
}

/// Whether a mark wrote it: the call of a marked function with arguments that have come out of a tuple.
fn is_of_a_mark(name: &str) -> bool {
    name.contains("xfork::callable::Callable<") && name.ends_with("::call")
}

/// In this library's unit tests the "user" is the library.
fn is_own(owner: &str) -> bool {
    !cfg!(test) && owner.starts_with(concat!(env!("CARGO_CRATE_NAME"), "::"))
}

/// The name from its first path on: `<&mut app::X as core::fmt::Write>::write_str` belongs to `app`.
fn owner(name: &str) -> &str {
    let mut rest = name;
    loop {
        let shorter = rest.trim_start_matches(['<', '&', '(', '[', '*', ' ']);
        let shorter =
            ["mut ", "const ", "dyn "].iter().fold(shorter, |s, word| s.strip_prefix(word).unwrap_or(s));
        if shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

/// Whether all frames above and including this one belong to the hook; std calls hooks through it.
pub(super) fn is_end_of_machinery(name: &str) -> bool {
    name.contains("__rust_end_short_backtrace")
}

/// Whether the function is part of raising a panic or a signal: what stands between the user's code and the hook or handler.
pub(super) fn is_machinery(name: &str) -> bool {
    // The C library's way to send a signal to the thread itself, with and without its debug symbols.
    const RAISES: [&str; 7] =
        ["raise", "gsignal", "abort", "__GI_raise", "__GI_abort", "pthread_kill", "__pthread_kill"];
    let in_c = name.split(['@', '.']).next().unwrap_or_default();
    if RAISES.contains(&in_c) || in_c.starts_with("__pthread_kill_") {
        return true;
    }
    let is_catching = ["::catch_unwind", "::try", "::do_call"].iter().any(|part| name.contains(part));
    let raises = ["core::panicking::", "std::panicking::", "std::panic::panic_any", "backtrace::"];
    is_end_of_machinery(name)
        || name.contains("rust_begin_unwind")
        // The same in the words of the source, as a std that was built with line tables alone has it.
        || name == "panic_handler"
        || name.contains("::panics::hook::")
        || name.contains("::panics::frames::Frames")
        || !is_catching && raises.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the task begins here, or the thread.
pub(super) fn is_boundary(name: &str) -> bool {
    name.contains("__xfork_task_boundary") || name.contains("__rust_begin_short_backtrace")
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (mangled, shown) in [
            ("app::fib::h0123456789abcdef", "app::fib"),
            ("app::fib::help", "app::fib::help"),
            ("app::h::h0123456789abcdeg", "app::h::h0123456789abcdeg"),
            ("<app::fib as core::ops::deref::Deref>::deref::__xfork_fib", "app::fib"),
            ("<app::fib as core::ops::deref::Deref>::deref::__xfork_fib::h0123456789abcdef", "app::fib"),
            (
                "<app::fib as core::ops::deref::Deref>::deref::__xfork_fib::{{closure}}",
                "app::fib::{{closure}}",
            ),
            ("<app::fib as core::ops::deref::Deref>::deref::__xfork_fib::<u64>", "app::fib::<u64>"),
            ("<app::P as core::ops::deref::Deref>::deref", "<app::P as core::ops::deref::Deref>::deref"),
            ("app::_::__xfork_fib", "app::fib"),
            ("app::_::__xfork_fib::{{closure}}", "app::fib::{{closure}}"),
            ("main", "main"),
            ("", ""),
        ] {
            assert_eq!(clean(mangled), shown);
        }
    }

    #[test]
    fn a_last_name_is_completed_by_its_file() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/task.rs");
        for (name, file, shown) in [
            ("invoke<app::f, (app::T,)>", own, "xfork::invoke<app::f, (app::T,)>"),
            ("app::f", own, "app::f"),
            ("<app::T>::f", own, "<app::T>::f"),
            ("trace", "/home/me/.cargo/registry/backtrace-0.3.77/src/lib.rs", "backtrace::trace"),
            ("number", "/home/me/app/src/main.rs", "number"),
        ] {
            assert_eq!(with_owner(name.into(), Some(Path::new(file))), shown);
        }
        assert_eq!(with_owner("f".into(), None), "f");
    }

    #[test]
    fn runtime_is_told_from_user_code() {
        for (name, expected) in [
            ("core::ops::function::FnOnce::call_once{{vtable.shim}}", true),
            ("<alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once", true),
            ("<&mut core::iter::Map<I, F> as core::iter::Iterator>::next", true),
            ("__rust_try", true),
            ("<i32 as core::ops::arith::Add>::add", true),
            ("<i32 as app::Doubled>::doubled", false),
            ("<&mut app::X as core::fmt::Write>::write_str", false),
            ("<app::X>::method", false),
            ("<[app::X]>::first", false),
            ("standard::thing", false),
            ("app::_::<impl xfork::callable::Callable<(u64,)> for app::fib>::call", true),
            ("<app::fib as xfork::callable::Callable<(u64,)>>::call", true),
            ("main", false),
        ] {
            assert_eq!(is_runtime(name), expected, "{name}");
        }
    }

    #[test]
    fn machinery_is_what_raises_not_what_catches() {
        for (name, expected) in [
            ("__rustc::rust_begin_unwind", true),
            ("panic_handler", true),
            ("app::panic_handler", false),
            ("core::panicking::panic_fmt", true),
            ("std::panicking::begin_panic", true),
            ("std::panic::panic_any", true),
            ("std::panicking::catch_unwind::do_call", false),
            ("std::panicking::try", false),
            ("std::panic::catch_unwind", false),
            ("app::core::panicking", false),
            ("__pthread_kill_implementation", true),
            ("pthread_kill@@GLIBC_2.34", true),
            ("__GI_abort", true),
            ("abort", true),
            ("app::abort", false),
            ("abort_handler", false),
        ] {
            assert_eq!(is_machinery(name), expected, "{name}");
        }
    }
}
