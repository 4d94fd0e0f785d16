//! [`Identity`]: which function a result is of, and of which version of its code.

use crate::ground::sys;
use std::any::TypeId;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// Which function a result is of, in every program and every build that has it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The package that has it, since crates of different programs may have equal names.
    package: &'static str,
    /// Its path, which stays the same from build to build.
    path: &'static str,
    version: Version,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    /// What somebody has written down, and changes by hand.
    Said(&'static str),
    /// A hash of the tokens of a function.
    Code(u64),
    /// Nothing is known but the whole program, and which of its functions it is.
    Build(TypeId),
}

impl Identity {
    /// Of a function with a mark: its type, and a hash of its tokens.
    #[doc(hidden)]
    pub fn of_code<F>(package: Option<&'static str>, tokens: u64) -> Self {
        Self::new::<F>(package, Version::Code(tokens))
    }

    /// Of a function whose mark says the version.
    #[doc(hidden)]
    pub fn of_version<F>(package: Option<&'static str>, version: &'static str) -> Self {
        Self::new::<F>(package, Version::Said(version))
    }

    /// Of a function of which only the build is known.
    pub(super) fn of_build<F: 'static>() -> Self {
        Self::new::<F>(None, Version::Build(TypeId::of::<F>()))
    }

    fn new<F>(package: Option<&'static str>, version: Version) -> Self {
        Self { package: package.unwrap_or_default(), path: std::any::type_name::<F>(), version }
    }

    /// Which function it is, of any version.
    pub(super) fn name(self) -> String {
        format!("{} {}", self.package, self.path)
    }

    /// The version as a text, different for each; `None` if the program can't be read.
    pub(super) fn version(self) -> Option<String> {
        Some(match self.version {
            Version::Said(text) => format!("said {text}"),
            Version::Code(tokens) => format!("code {tokens:016x}"),
            // Closures in one function have equal names, but not equal types.
            Version::Build(function) => format!("build {} {:032x}", program()?, number(function)),
        })
    }
}

/// A hash of this program's file. Its fingerprint, which tells workers of other builds, takes samples of the code only.
fn program() -> Option<&'static str> {
    static PROGRAM: OnceLock<Option<String>> = OnceLock::new();
    let hash = || {
        // What is part of a library that another program has loaded is not in the program's file.
        if !sys::is_main_image(program as *const ()) {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open("/proc/self/exe").ok()?).ok()?;
        Some(hasher.finalize().to_hex().to_string())
    };
    PROGRAM.get_or_init(hash).as_deref()
}

/// What a type's id says to a hasher, which within one build is always the same.
fn number(id: TypeId) -> u128 {
    struct Words(u128);
    impl Hasher for Words {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u128::from(*byte);
            }
        }
        fn finish(&self) -> u64 {
            self.0 as u64
        }
    }
    let mut words = Words(0);
    id.hash(&mut words);
    words.0
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn of<F: 'static>(_: F) -> Option<String> {
        Identity::of_build::<F>().version()
    }

    #[test]
    fn versions_differ_when_the_code_may() {
        let versions = [
            of(|n: u32| n + 1),
            of(|n: u32| n + 2),
            Identity::of_code::<u8>(None, 1).version(),
            Identity::of_code::<u8>(None, 2).version(),
            Identity::of_version::<u8>(None, "1").version(),
            Identity::of_version::<u8>(None, "code 0000000000000001").version(),
        ];
        for (at, version) in versions.iter().enumerate() {
            assert!(version.is_some() && !versions[..at].contains(version), "{version:?}");
        }
        let names = [None, Some("a"), Some("b")].map(|package| Identity::of_code::<u8>(package, 1).name());
        assert!(names[0] != names[1] && names[1] != names[2]);
        assert_eq!(Identity::of_build::<u8>().version(), Identity::of_build::<u8>().version());
    }
}
