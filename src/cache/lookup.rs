//! The call of a function whose results are kept: looked up by whoever runs it, and computed if it is not there.

use super::identity::Identity;
use crate::args::Portable;
use crate::callable::Callable;
use crate::core::context::{self, Runners};
use crate::ground::panics;
use crate::kept::Codec;
use crate::plan;
use crate::store::Key;
use std::marker::PhantomData;
use std::sync::Arc;

/// An argument or result of a function whose results are kept.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an argument or the result of a function with `cache`, but can't be written down",
    label = "results are found by this, or are this",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it (and own its data: no references), or leave `cache` out"
)]
pub trait Kept: Portable {}

#[diagnostic::do_not_recommend]
impl<T: Portable> Kept for T {}

/// Appends an argument to what a result is found by.
#[doc(hidden)]
pub fn argument<T: Kept>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    out.append(&mut (Codec::new().encode)(value)?);
    Ok(())
}

/// How results of a type are kept.
#[doc(hidden)]
pub fn result<T: Kept>() -> Codec<T> {
    Codec::new()
}

/// What is looked for; made before the call takes its arguments.
#[doc(hidden)]
#[derive(Debug)]
pub struct Lookup<R> {
    /// `None` where nothing is kept, or the arguments can't be serialised.
    place: Option<(Arc<Runners>, Key)>,
    result: PhantomData<fn() -> R>,
}

/// Looks for the result of a function of the arguments `A`, which `arguments` writes so that equal ones give equal bytes.
#[doc(hidden)]
pub fn look_up<A, R>(
    identity: Option<Identity>,
    arguments: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Lookup<R> {
    // In a worker nobody may have asked for the plan yet, and one that the environment describes wrongly is no reason to fail.
    let place = quietly(plan::runners).and_then(|runners| match runners.cache.get() {
        Ok(Some(_)) => Some((runners.clone(), key::<A, R>(identity?, arguments)?)),
        _ => None,
    });
    Lookup { place, result: PhantomData }
}

impl<R> Lookup<R> {
    /// The result that is kept, or that of `call`, which is kept then. What can't be kept or read again is computed: a cache
    /// is no reason to fail.
    #[doc(hidden)]
    pub fn or(self, codec: Codec<R>, call: impl FnOnce() -> R) -> R {
        let Some((runners, key)) = &self.place else { return call() };
        let Ok(Some(cache)) = runners.cache.get() else { return call() };
        if let Some(bytes) = cache.get(key)
            && let Some(Ok(value)) = quietly(|| (codec.decode)(&bytes))
        {
            return value;
        }
        let result = call();
        if quietly(|| (codec.is_err)(&result)) == Some(true) {
            return result;
        }
        if let Some(Ok(bytes)) = quietly(|| (codec.encode)(&result)) {
            cache.put(key, &bytes);
            if let Some(trouble) = cache.trouble() {
                runners.cache.tell(&trouble);
            }
            if let Some(room) = cache.room() {
                // Where no thread can be started, the next one tries again.
                let _ = std::thread::Builder::new().name("xfork-cache".into()).spawn(move || room.make());
            }
        }
        result
    }
}

/// Under which key the result is kept; `None` if that can't be said, because the arguments can't be serialised.
pub(super) fn key<A, R>(
    identity: Identity,
    arguments: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Option<Key> {
    let version = identity.version()?;
    // A function's text names types without saying which.
    let mut what = format!("{} -> {}\0", std::any::type_name::<A>(), std::any::type_name::<R>()).into_bytes();
    quietly(|| arguments(&mut what))?.ok()?;
    Some(Key::new(&identity.name(), &version, &what))
}

/// Runs serialisation of the user's; a panic of it is as good as an error here.
fn quietly<R>(code: impl FnOnce() -> R) -> Option<R> {
    let _for_a_task = context::for_a_task();
    panics::catch(code).ok()
}

/// Opens the cache for a function that will be called by workers, so that a failure is said once, by the program.
pub(crate) fn prepare<F: Callable<A>, A>() {
    if F::identity().is_some() {
        let _ = plan::runners().cache.get();
    }
}
