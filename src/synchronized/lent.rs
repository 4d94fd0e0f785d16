//! What a call borrows: made and serialised once for all calls that borrow the same, and kept by the worker.
//!
//! [`Lent`] is what the task gets instead of a reference, [`Lend`] what stands beside a variable while calls borrow it. Promises: a
//! large value is cloned and serialised once as long as the variable is not mentioned as something that may change; values whose
//! bytes are equal are one piece of shared memory, which a worker maps and reads once. Small ones travel as bytes with each call.

use super::later::Plain;
use crate::ground::memory::{Held, Memory, SMALL};
use crate::ground::wire::{codec, parcel};
use parking_lot::Mutex;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};

/// What a task has of an argument that its function borrows.
pub struct Lent<T>(Arc<Made<T>>);

struct Made<T> {
    value: T,
    /// Made when the first task with it goes to a worker.
    encoded: OnceLock<Result<Encoded, String>>,
}

enum Encoded {
    Small(Vec<u8>),
    Large(Arc<Held>),
}

impl<T> Lent<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(Made { value, encoded: OnceLock::new() }))
    }

    /// The value, to be changed: a clone of its own if others have it, too.
    pub(super) fn make_mut(&mut self) -> &mut T
    where
        T: Clone,
    {
        if Arc::get_mut(&mut self.0).is_none() {
            *self = Self::new(self.0.value.clone());
        }
        let made = Arc::get_mut(&mut self.0).expect("nobody else has it now");
        made.encoded.take();
        &mut made.value
    }

    /// The value itself, or a clone of it if others have it, too.
    pub(super) fn into_inner(self) -> T
    where
        T: Clone,
    {
        Arc::try_unwrap(self.0).map_or_else(|made| made.value.clone(), |made| made.value)
    }
}

impl<T> Clone for Lent<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

impl<T: Serialize + 'static> Made<T> {
    fn encoded(&self) -> &Result<Encoded, String> {
        self.encoded.get_or_init(|| {
            let mut bytes = Vec::new();
            let encoded = {
                // It is read on its own, too.
                let _aside = parcel::aside();
                codec::encode(&self.value, &mut bytes)
            };
            encoded.map_err(|error| error.to_string())?;
            if bytes.len() < SMALL {
                return Ok(Encoded::Small(bytes));
            }
            held(&bytes).map(Encoded::Large).ok_or_else(|| "there is no memory for its bytes".to_string())
        })
    }
}

/// What is held of values that were lent, by the hash of their bytes.
static KNOWN: Mutex<Option<HashMap<[u8; 32], Weak<Held>>>> = Mutex::new(None);

/// The bytes where they can be lent; in the same place as equal ones that are still held.
fn held(bytes: &[u8]) -> Option<Arc<Held>> {
    let hash = *blake3::hash(bytes).as_bytes();
    let find = || KNOWN.lock().as_ref()?.get(&hash)?.upgrade();
    if let Some(known) = find() {
        return Some(known);
    }
    let held = Held::new(Arc::new(Memory::copy_of(bytes)?));
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if known.len() == known.capacity() {
        known.retain(|_, held| held.strong_count() > 0);
    }
    known.insert(hash, Arc::downgrade(&held));
    Some(held)
}

/// How a value travels with a task.
#[derive(Serialize, Deserialize)]
enum Sent<B> {
    Bytes(B),
    Held(u32),
}

impl<T: Serialize + 'static> Serialize for Lent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() || !parcel::is_packing() {
            return self.0.value.serialize(serializer);
        }
        let sent = match self.0.encoded() {
            Ok(Encoded::Small(bytes)) => Sent::Bytes(&bytes[..]),
            Ok(Encoded::Large(held)) => Sent::Held(parcel::pack(held).expect("a value is being packed")),
            Err(reason) => return Err(S::Error::custom(reason)),
        };
        sent.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Deserialize<'de> for Lent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() || !parcel::is_unpacking() {
            return T::deserialize(deserializer).map(Self::new);
        }
        let decode = |mut bytes: &[u8]| {
            let _aside = parcel::aside();
            codec::decode(&mut bytes).map(|value| Made { value, encoded: OnceLock::new() })
        };
        let made = match Sent::<Vec<u8>>::deserialize(deserializer)? {
            Sent::Bytes(bytes) => decode(&bytes).map(Arc::new),
            Sent::Held(number) => {
                let held = parcel::unpack(number);
                let held = held.ok_or_else(|| D::Error::custom("there is no such shared memory"))?;
                held.value(decode)
            }
        };
        made.map(Self).map_err(D::Error::custom)
    }
}

/// What calls have borrowed of a variable since it may have changed.
///
/// It stands behind the variable and ends with it, and is emptied before each statement that may change the variable: so a value of the
/// same type at the same address is the same value, unless it can change behind a shared reference, of which a task would get a
/// copy in any case.
///
/// Of a variable that is a shared reference only such types are kept then as nobody can change behind one, as far as is known
/// ([`Plain`]).
#[derive(Debug, Default)]
pub struct Lend(Mutex<Vec<Part>>);

/// What is borrowed by one of its addresses.
#[derive(Debug)]
struct Part {
    address: usize,
    bytes: usize,
    is_plain: bool,
    lent: Box<dyn Any + Send + Sync>,
}

impl Lend {
    pub fn new() -> Self {
        Self::default()
    }

    /// The variable may be another value from now on.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    /// Other fields of it are changed, which may overlap with what is lent.
    pub fn forget_if(&self, may_overlap: bool) {
        if may_overlap {
            self.forget();
        }
    }

    /// It is mentioned, and is a shared reference.
    pub fn forget_unless_plain(&self) {
        self.0.lock().retain(|part| part.is_plain);
    }

    fn find<T: 'static>(&self, address: usize, bytes: usize) -> Option<Lent<T>> {
        // Of different parts without bytes the addresses may be the same.
        if bytes == 0 {
            return None;
        }
        let parts = self.0.lock();
        let mut same = parts.iter().filter(|part| (part.address, part.bytes) == (address, bytes));
        same.find_map(|part| part.lent.downcast_ref::<Lent<T>>()).cloned()
    }
}

/// What a task owns of an argument that its function borrows. Its own trait, so that what can't be cloned is one error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is borrowed by a concurrent function, but can't be cloned",
    label = "each call takes a clone of this",
    note = "derive `Clone` for it, or have the function take it by value"
)]
pub trait Owned {
    type Value: Send + Sync + 'static;
    fn owned(&self) -> Self::Value;
}

#[diagnostic::do_not_recommend]
impl<T> Owned for T
where
    T: ToOwned + ?Sized,
    T::Owned: Send + Sync + 'static,
{
    type Value = T::Owned;

    fn owned(&self) -> T::Owned {
        self.to_owned()
    }
}

/// What is borrowed, to ask whether it is [`Plain`].
#[derive(Debug)]
pub struct Borrowed<'a, T: ?Sized>(pub &'a T);

impl<T: Plain + ?Sized> Borrowed<'_, T> {
    pub fn __xfork_is_plain(&self) -> bool {
        true
    }
}

/// Any other.
pub trait MayChange {
    fn __xfork_is_plain(&self) -> bool {
        false
    }
}

impl<T: ?Sized> MayChange for Borrowed<'_, T> {}

/// What a task gets for this argument; `lend` stands beside the variable that is borrowed.
pub fn lent<T: Owned + ?Sized>(borrowed: &T, lend: Option<&Lend>, is_plain: bool) -> Lent<T::Value> {
    let Some(lend) = lend else { return Lent::new(borrowed.owned()) };
    let (address, bytes) = (std::ptr::from_ref(borrowed).addr(), size_of_val(borrowed));
    lend.find(address, bytes).unwrap_or_else(|| {
        let lent = Lent::new(borrowed.owned());
        lend.0.lock().push(Part { address, bytes, is_plain, lent: Box::new(lent.clone()) });
        lent
    })
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::ground::wire::parcel::Parcel;

    fn sent<T: Serialize + DeserializeOwned + Send + Sync + 'static>(lent: &Lent<T>) -> (usize, Lent<T>) {
        let mut parcel = Parcel::default();
        parcel.put(lent).unwrap();
        (parcel.bytes.len(), parcel.reader().take().unwrap())
    }

    #[test]
    fn a_small_value_travels_as_bytes_and_a_large_one_is_read_once() {
        let (bytes, small) = sent(&Lent::new("small".to_string()));
        assert!(bytes < 30 && *small == "small", "{bytes} bytes");
        let large = Lent::new(vec![1_u32; SMALL]);
        let ((bytes, one), (_, other)) = (sent(&large), sent(&large));
        assert!(bytes < 30 && *one == *large, "{bytes} bytes");
        assert!(Arc::ptr_eq(&one.0, &other.0), "read once");
        let (_, equal) = sent(&Lent::new(vec![1_u32; SMALL]));
        assert!(Arc::ptr_eq(&one.0, &equal.0), "equal bytes are one piece of memory");
        let (_, unequal) = sent(&Lent::new(vec![2_u32; SMALL]));
        assert_eq!(unequal[0], 2);
    }

    #[test]
    fn elsewhere_it_is_written_as_its_value() {
        let lent = Lent::new((1_u8, "two".to_string()));
        assert_eq!(serde_json::to_string(&lent).unwrap(), r#"[1,"two"]"#);
        let plain = postcard::to_allocvec(&lent).unwrap();
        assert_eq!(plain, postcard::to_allocvec(&(1_u8, "two")).unwrap());
        assert_eq!(*postcard::from_bytes::<Lent<(u8, String)>>(&plain).unwrap(), *lent);
    }

    #[test]
    fn what_is_borrowed_again_is_the_same_until_it_may_have_changed() {
        let mut table = vec![1, 2, 3];
        let lend = Lend::new();
        let (one, other) = (lent(&table, Some(&lend), true), lent(&table, Some(&lend), true));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let slice: Lent<Vec<i32>> = lent(&table[..], Some(&lend), true);
        assert_eq!(*slice, table, "a slice of it is another value");
        lend.forget();
        table[0] = 5;
        assert_eq!(lent(&table, Some(&lend), true)[0], 5);
        let plain = lent(&table, Some(&lend), true);
        lend.forget_unless_plain();
        assert!(Arc::ptr_eq(&plain.0, &lent(&table, Some(&lend), true).0));
        lend.forget();
        let other = lent(&table, Some(&lend), false);
        lend.forget_unless_plain();
        assert!(!Arc::ptr_eq(&other.0, &lent(&table, Some(&lend), false).0));
        assert!(Borrowed(&table).__xfork_is_plain() && !Borrowed(&lend).__xfork_is_plain());
        let nothing = [(); 3];
        let lengths = [&nothing[..2], &nothing].map(|part| lent(part, Some(&lend), true).len());
        assert_eq!(lengths, [2, 3], "without bytes");
    }

    #[test]
    fn a_value_that_is_changed_is_written_anew() {
        let mut lent = Lent::new(vec![1_u8]);
        let (_, before) = sent(&lent);
        let kept = lent.clone();
        lent.make_mut()[0] = 2;
        assert_eq!((before[0], kept[0], sent(&lent).1[0]), (1, 1, 2));
        assert_eq!((lent.into_inner(), kept.into_inner()), (vec![2], vec![1]));
    }
}
