//! [`CacheConfig`]: in which directory results are kept and how much of them; and [`OpenCache`], opened when it is first needed.

use super::cache::Cache;
use super::error::StoreError;
use crate::ground::sys;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Once, OnceLock};

/// The variables by which the person who runs the program chooses, and by which workers are told.
const DIRECTORY: &str = "XFORK_CACHE";
const LIMIT: &str = "XFORK_CACHE_LIMIT";

/// Bytes on the disk, where nobody says how many.
const DEFAULT_LIMIT: u64 = 5 << 30;

/// Where results are kept, and how much of them, as far as somebody has said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheConfig {
    pub(crate) directory: Option<PathBuf>,
    /// In bytes of the disk; with 0 nothing is kept or looked for.
    pub(crate) limit: Option<u64>,
}

impl CacheConfig {
    /// What the environment asks for.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is possible.
    pub(crate) fn from_environment() -> Result<Self, String> {
        // A program that runs with more rights than its caller does not listen to the caller's environment.
        if sys::is_secure_execution() {
            return Ok(Self { directory: None, limit: Some(0) });
        }
        Self::from_values(std::env::var_os(DIRECTORY), std::env::var(LIMIT).ok().as_deref())
    }

    fn from_values(directory: Option<OsString>, limit: Option<&str>) -> Result<Self, String> {
        // Now: a worker may be in another directory than the program, and the program in another one later.
        let directory = directory.and_then(|path| std::path::absolute(path).ok());
        let limit = limit.map(str::trim).filter(|text| !text.is_empty()).map(|text| {
            bytes(text).ok_or_else(|| {
                format!(
                    "{LIMIT}={text:?} is not a size; it may be a number of bytes, or one such as `512 MiB` or `5 GiB`, \
                     or `0` for no cache"
                )
            })
        });
        Ok(Self { directory, limit: limit.transpose()? })
    }

    /// The variables that tell a worker the same.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> + use<> {
        let directory = self.directory.clone().map(|path| (DIRECTORY.into(), path.into()));
        directory.into_iter().chain(self.limit.map(|limit| (LIMIT.into(), limit.to_string().into())))
    }
}

/// Where programs of this user keep what can be computed again. By the XDG Base Directory Specification (0.8), a path that is
/// not absolute is not meant.
fn of_user() -> Option<PathBuf> {
    if sys::is_secure_execution() {
        return None;
    }
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// The number in front of a unit, or alone.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The cache of one plan.
#[derive(Debug)]
pub(crate) struct OpenCache {
    config: CacheConfig,
    /// Whether to say, once, that it can't be opened: workers leave that to their program.
    tells: bool,
    opened: OnceLock<Result<Option<Cache>, StoreError>>,
}

impl OpenCache {
    pub(crate) fn new(config: CacheConfig, tells: bool) -> Self {
        Self { config, tells, opened: OnceLock::new() }
    }

    /// The cache, unless there is to be none.
    ///
    /// # Errors
    ///
    /// If it can't be opened, also when it was tried before.
    pub(crate) fn get(&self) -> Result<Option<&Cache>, &StoreError> {
        let opened = self.opened.get_or_init(|| {
            let opened = self.open();
            if let Err(error) = &opened
                && self.tells
            {
                self.tell(error);
            }
            opened
        });
        opened.as_ref().map(Option::as_ref)
    }

    fn open(&self) -> Result<Option<Cache>, StoreError> {
        let CacheConfig { directory, limit } = self.config.clone();
        let asked = match CacheConfig::from_environment() {
            Ok(asked) => asked,
            Err(bad) => {
                if self.tells {
                    self.tell(&bad);
                }
                return Ok(None);
            }
        };
        let limit = limit.or(asked.limit).unwrap_or(DEFAULT_LIMIT);
        if limit == 0 {
            return Ok(None);
        }
        let directory = match directory.or(asked.directory) {
            Some(directory) => directory,
            None => {
                let Some(parent) = of_user() else { return Ok(None) };
                // What can't be made is told when the directory in it can't be either.
                let _ = std::fs::create_dir_all(&parent);
                parent.join("xfork")
            }
        };
        Cache::open(directory, limit).map(Some)
    }

    /// Says that the work goes on without, once in a process: a cache is no reason to fail.
    pub(crate) fn tell(&self, why: &dyn fmt::Display) {
        static HAS_TOLD: Once = Once::new();
        HAS_TOLD.call_once(|| {
            let _ = writeln!(std::io::stderr(), "xfork: results are not kept for later: {why}");
        });
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    #[test]
    fn a_size_is_a_number_with_or_without_a_unit() {
        let sizes = [
            ("0", 0),
            ("4096", 4096),
            ("4096 B", 4096),
            ("512 MiB", 512 << 20),
            ("5GiB", 5 << 30),
            ("5 GB", 5_000_000_000),
        ];
        for (text, size) in sizes {
            assert_eq!(CacheConfig::from_values(None, Some(text)).unwrap().limit, Some(size), "{text}");
        }
        for text in ["", " "] {
            assert_eq!(CacheConfig::from_values(None, Some(text)), Ok(CacheConfig::default()));
        }
        for bad in ["-1", "many", "5 gb", "1.5 GiB", "99999999 TiB", "MiB"] {
            let error = CacheConfig::from_values(None, Some(bad)).unwrap_err();
            assert!(error.contains(bad) && error.contains("512 MiB"), "{error}");
        }
    }

    #[test]
    fn a_worker_is_told_what_its_program_was_told() {
        let config = CacheConfig { directory: Some("/a/b".into()), limit: Some(7) };
        let told: std::collections::HashMap<_, _> = config.variables().collect();
        let limit = told[std::ffi::OsStr::new(LIMIT)].to_str();
        let again = CacheConfig::from_values(told.get(std::ffi::OsStr::new(DIRECTORY)).cloned(), limit);
        assert_eq!(again, Ok(config));
    }

    #[test]
    fn a_limit_of_zero_opens_nothing_and_what_can_not_be_opened_is_an_error_each_time() {
        let scratch = Scratch::new();
        let directory = scratch.path("cache");
        let none = OpenCache::new(CacheConfig { directory: Some(directory.clone()), limit: Some(0) }, true);
        assert!(none.get().unwrap().is_none() && !directory.exists());
        let lost = CacheConfig { directory: Some(scratch.path("no/cache")), limit: None };
        let lost = OpenCache::new(lost, false);
        assert!(lost.get().is_err() && lost.get().is_err());
    }
}
