//! Decoding that no bytes can make endless, or deeper than the stack.
//!
//! Owns a deserializer around another one. Promises: values nest only as deep as the thread's stack has room for, so that
//! what comes is an error and no overflow; and a list has no more elements than there are bytes, but for [`EMPTY`]: else
//! eight bytes could claim 2⁶³ elements that take none (`Vec<()>`), and keep a thread busy for centuries. Leaves out what
//! bytes mean.

use crate::ground::sys;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// How many elements that take no bytes a value may have, all its lists together.
const EMPTY: u64 = 1 << 22;
/// Stack that is left free for what is called between two looks.
const RESERVE: usize = 128 * 1024;

/// What is left to one decoding.
pub(super) struct Bounds {
    elements: Cell<u64>,
    /// No frame of the decoding may lie below this address.
    floor: usize,
    /// What was exceeded, as the deserializer below does not keep the words of an error.
    exceeded: Cell<Option<&'static str>>,
}

impl Bounds {
    pub(super) fn new(bytes: usize) -> Self {
        let here = here();
        let left = sys::stack_left().unwrap_or(here);
        let floor = here.saturating_sub(left) + RESERVE.min(left / 4);
        Self { elements: Cell::new(bytes as u64 + EMPTY), floor, exceeded: Cell::new(None) }
    }

    pub(super) fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get()
    }

    fn exceed<E: Error>(&self, what: &'static str) -> E {
        self.exceeded.set(Some(what));
        E::custom(what)
    }

    fn deepen<E: Error>(&self) -> Result<(), E> {
        if here() > self.floor {
            Ok(())
        } else {
            Err(self.exceed("the value nests deeper than the stack has room for"))
        }
    }

    fn count<E: Error>(&self, elements: usize) -> Result<(), E> {
        match self.elements.get().checked_sub(elements as u64) {
            Some(left) => {
                self.elements.set(left);
                Ok(())
            }
            None => Err(self.exceed("a list has more elements than there is data")),
        }
    }
}

/// About where the stack ends now.
#[inline(always)]
fn here() -> usize {
    let local = 0_u8;
    (&raw const local).addr()
}

/// A deserializer, visitor, seed or access, with the bounds of the decoding that it is part of.
pub(super) struct Bounded<'b, T> {
    pub(super) inner: T,
    pub(super) bounds: &'b Bounds,
}

impl<'b, T> Bounded<'b, T> {
    fn around<U>(&self, inner: U) -> Bounded<'b, U> {
        Bounded { inner, bounds: self.bounds }
    }
}

macro_rules! flat {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        })*
    };
}

macro_rules! nested {
    ($($method:ident($($name:ident: $type:ty),*) $counted:literal)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.bounds.deepen()?;
            let visitor = self.around(Visit { visitor, counted: $counted });
            self.inner.$method($($name,)* visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    flat! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    nested! {
        deserialize_option() false
        deserialize_newtype_struct(name: &'static str) false
        deserialize_seq() true
        deserialize_tuple(len: usize) false
        deserialize_tuple_struct(name: &'static str, len: usize) false
        deserialize_map() true
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) false
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) false
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A visitor of something that has parts; `counted` if it is the data that says how many.
struct Visit<V> {
    visitor: V,
    counted: bool,
}

impl<V> Bounded<'_, Visit<V>> {
    /// Counts all elements at once if their number is known; else each has to be counted.
    fn counts_each<E: Error>(&self, known: Option<usize>) -> Result<bool, E> {
        match known.filter(|_| self.inner.counted) {
            Some(elements) => self.bounds.count(elements).map(|()| false),
            None => Ok(self.inner.counted),
        }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, Visit<V>> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.around(inner);
        self.inner.visitor.visit_some(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.around(inner);
        self.inner.visitor.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let counted = self.counts_each(access.size_hint())?;
        let parts = self.around(Parts { access, counted });
        self.inner.visitor.visit_seq(parts)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let counted = self.counts_each(access.size_hint())?;
        let parts = self.around(Parts { access, counted });
        self.inner.visitor.visit_map(parts)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.around(access);
        self.inner.visitor.visit_enum(access)
    }
}

struct Parts<A> {
    access: A,
    counted: bool,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, Parts<A>> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.around(seed);
        let element = self.inner.access.next_element_seed(seed)?;
        if element.is_some() && self.inner.counted {
            self.bounds.count(1)?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.access.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, Parts<A>> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let seed = self.around(seed);
        let key = self.inner.access.next_key_seed(seed)?;
        if key.is_some() && self.inner.counted {
            self.bounds.count(1)?;
        }
        Ok(key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.access.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.access.size_hint()
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'b, A> {
    type Error = A::Error;
    type Variant = Bounded<'b, A::Variant>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Bounded { inner: variant, bounds: self.bounds }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.around(Visit { visitor, counted: false });
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.around(Visit { visitor, counted: false });
        self.inner.struct_variant(fields, visitor)
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        let inner = self.around(inner);
        self.inner.deserialize(inner)
    }
}
