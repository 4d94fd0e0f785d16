//! The call of a function whose results are kept: looked up by whoever runs it, and computed if it is not there.

use super::identity::Identity;
use crate::args::{Portable, PortableArgs};
use crate::callable::Callable;
use crate::core::context;
use crate::ground::panics;
use crate::kept::Codec;
use crate::plan;
use crate::store::Key;

/// The result of `call` with these arguments: the one that is kept, or a new one, which is kept then.
///
/// What can't be kept or read again is computed; a cache is no reason to fail.
#[doc(hidden)]
pub fn remembered<A: PortableArgs, R: Portable>(
    identity: Option<Identity>,
    args: A,
    call: impl FnOnce(A) -> R,
) -> R {
    let runners = plan::runners();
    let Ok(Some(cache)) = runners.cache.get() else { return call(args) };
    let Some(key) = identity.and_then(|identity| key::<A, R>(identity, &args)) else { return call(args) };
    let codec = Codec::<R>::new();
    if let Some(bytes) = cache.get(&key)
        && let Some(Ok(value)) = quietly(|| (codec.decode)(&bytes))
    {
        return value;
    }
    let result = call(args);
    if let Some(Ok(bytes)) = quietly(|| (codec.encode)(&result)) {
        cache.put(&key, &bytes);
        if let Some(trouble) = cache.trouble() {
            runners.cache.tell(&trouble);
        }
    }
    result
}

/// Under which key the result is kept; `None` if that can't be said, because the arguments can't be serialised.
pub(super) fn key<A: PortableArgs, R>(identity: Identity, args: &A) -> Option<Key> {
    let version = identity.version()?;
    // A function's text names types without saying which.
    let mut what = format!("{} -> {}\0", std::any::type_name::<A>(), std::any::type_name::<R>()).into_bytes();
    quietly(|| args.keep(&mut what))?.ok()?;
    Some(Key::new(identity.name, &version, &what))
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
