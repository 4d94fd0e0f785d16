//! What a task threw, kept so that it can be thrown more than once.
//!
//! Owns the payload. Promises: a `&'static str` or a `String` is given out anew at each access; a value of another type
//! cannot be copied, so it is given out in the original once, and as a text until it is restored. Dropping a
//! payload never panics, whatever its destructor does. On the wire only the text travels, bounded.
//! Leaves out: where and how the panic happened (`record`).

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::intern::intern;
use super::record::bounded;
use super::scope;

/// std's text for a payload that is no text.
pub(super) const OTHER: &str = "Box<dyn Any>";
const TAKEN: &str = "a panic payload of another type, already taken";
const REMOTE: &str = "a panic payload of another type, left in the process that panicked";

/// The payload of a panic.
#[derive(Clone)]
pub(crate) struct Payload(Kind);

#[derive(Clone)]
enum Kind {
    Str(&'static str),
    String(Arc<str>),
    Other(Arc<Other>),
}

struct Other {
    original: Mutex<Option<Box<dyn Any + Send>>>,
    /// What is thrown while the original is not here.
    substitute: &'static str,
}

impl Payload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let payload = match payload.downcast::<&'static str>() {
            Ok(text) => return Self(Kind::Str(*text)),
            Err(payload) => payload,
        };
        match payload.downcast::<String>() {
            Ok(text) => Self::from(*text),
            Err(original) => Self::other(Some(original), TAKEN),
        }
    }

    fn other(original: Option<Box<dyn Any + Send>>, substitute: &'static str) -> Self {
        Self(Kind::Other(Arc::new(Other { original: Mutex::new(original), substitute })))
    }

    /// What to throw now.
    pub(crate) fn take(&self) -> Box<dyn Any + Send> {
        match &self.0 {
            Kind::Str(text) => Box::new(*text),
            Kind::String(text) => Box::new(String::from(&**text)),
            Kind::Other(other) => {
                let original = other.original.lock().take();
                original.unwrap_or_else(|| Box::new(String::from(other.substitute)))
            }
        }
    }

    /// Takes back what `take` gave out, so that the next access gets the original again.
    pub(super) fn restore(&self, thrown: Box<dyn Any + Send>) {
        let Kind::Other(other) = &self.0 else { return };
        if thrown.downcast_ref::<String>().is_none_or(|text| text != other.substitute) {
            let old = other.original.lock().replace(thrown);
            if let Some(old) = old {
                discard(old);
            }
        }
    }

    /// The text, or std's words for a payload without one.
    #[cfg(all(test, not(xfork_loom)))]
    pub(crate) fn message(&self) -> &str {
        match &self.0 {
            Kind::Str(text) => text,
            Kind::String(text) => text,
            Kind::Other(_) => OTHER,
        }
    }
}

/// A panic of which only the text is known, as when a process died of it.
impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(Kind::String(text.into()))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(original) = self.original.get_mut().take() {
            discard(original);
        }
    }
}

/// The text of a payload, as std's hook shows it.
pub(super) fn text_of(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<&'static str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or(OTHER, String::as_str),
    }
}

/// Drops a payload whose destructor may panic.
///
/// The panic of the destructor is silent, because the failure that the payload belongs to is reported, once. What the
/// destructor threw is leaked: to drop that may panic again, and so on.
pub(super) fn discard(payload: Box<dyn Any + Send>) {
    if let (Err(thrown), _) = scope::run(|| drop(payload)) {
        mem::forget(thrown);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Str(text) => fmt::Debug::fmt(text, f),
            Kind::String(text) => fmt::Debug::fmt(text, f),
            Kind::Other(_) => f.write_str(OTHER),
        }
    }
}

#[derive(Serialize, Deserialize)]
enum Sent<'a> {
    Str(Cow<'a, str>),
    String(Cow<'a, str>),
    Other,
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = match &self.0 {
            Kind::Str(text) => Sent::Str(bounded(text).into()),
            Kind::String(text) => Sent::String(bounded(text).into()),
            Kind::Other(_) => Sent::Other,
        };
        sent.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Sent::deserialize(deserializer)? {
            Sent::Str(text) => match intern(&bounded(&text)) {
                Some(text) => Self(Kind::Str(text)),
                None => Self::from(bounded(&text)),
            },
            Sent::String(text) => Self::from(bounded(&text)),
            Sent::Other => Self::other(None, REMOTE),
        })
    }
}
