//! The shape of a value: 64 bits that differ where its type is built differently, as far as serde sees it.
//!
//! A serializer that writes nothing: of each part of the value it notes where it stands and what it is. Where, is the
//! path from the value's root, by the names of types, fields and variants, and by positions; what, is a kind of
//! number, or the name of a struct, and so on. The shape is the sum of the different notes, so neither the order nor
//! the number of a list's elements, or of a map's, is in it, while an element that is another variant than those
//! before is. No element is passed over.
//!
//! What is inside a type that is inside itself, as in lists and trees, has the path that it has in the outer one: so
//! there are as many notes as types have parts, and not as values have. (Where types nest in themselves without a
//! name, as transparent newtypes may, there are as many as the value has parts.) The walk nests as deep as the
//! codec's, whose calls it repeats.
//!
//! A shape lies in files, so nothing in it may depend on a build ([`notes`](super::notes)).

use super::notes::{Names, Notes, mix};
use serde::Serialize;
use serde::ser::{self, Serializer};
use std::fmt;

/// The shape of a value; an error is that of its `Serialize`.
pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Result<u64, String> {
    let mut walk = Walk {
        place: Place { context: 0, depth: 0 },
        entered: "",
        around: Vec::new(),
        notes: Notes::default(),
        names: Names::default(),
    };
    walk.enter(value).map_err(|Refused(why)| why)?;
    Ok(walk.notes.sum())
}

/// What a part of a value is. The numbers are in files: no number may ever get another meaning.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    Unit,
    None,
    Some,
    Seq,
    Map,
    Tuple,
    UnitStruct,
    NewtypeStruct,
    TupleStruct,
    Struct,
    Enum,
    UnitVariant,
    NewtypeVariant,
    TupleVariant,
    StructVariant,
}

const KEY: u64 = 0;
const VALUE: u64 = 1;
/// From this position on the elements of a tuple are all taken for the same place: that many are an array.
const ALIKE: u64 = 64;

/// Where a part stands.
#[derive(Clone, Copy)]
struct Place {
    /// The path to it.
    context: u64,
    /// How many named types are around it.
    depth: usize,
}

struct Around {
    kind: u64,
    /// What Rust calls it, for serde calls different types by one name: `Pair<Pair<A, B>, C>`. It is compared and never noted.
    entered: &'static str,
    context: u64,
}

struct Walk {
    /// Of the part that comes next. What has several parts sets it before each, so nothing has to be done after a
    /// part, and what nests deep takes about the stack here that it takes where it is encoded.
    place: Place,
    /// The type of the part that is entered.
    entered: &'static str,
    /// The named types around the place, as many as its depth says, and the path to what is in each.
    around: Vec<Around>,
    notes: Notes,
    names: Names,
}

impl Walk {
    #[inline]
    fn note(&mut self, kind: u64) {
        self.notes.add(mix(self.place.context, kind));
    }

    /// A kind with a name and a number of parts.
    #[inline]
    fn named(&mut self, kind: Kind, name: &'static str, parts: usize) -> u64 {
        self.names.number(name, kind as u64 | (parts as u64) << 8)
    }

    /// Where the parts of what stands here are.
    #[inline]
    fn inside(&self, kind: u64) -> Place {
        Place { context: mix(self.place.context, kind), ..self.place }
    }

    /// The same of a type that has a name: if it is inside itself, where the parts of the outer one are.
    #[inline]
    fn inside_named(&mut self, kind: u64) -> Place {
        let (Place { context, depth }, entered) = (self.place, self.entered);
        let is_this = |around: &&Around| around.kind == kind && around.entered == entered;
        if let Some(around) = self.around[..depth].iter().find(is_this) {
            return Place { context: around.context, depth };
        }
        let context = mix(context, kind);
        self.around.truncate(depth);
        self.around.push(Around { kind, entered, context });
        Place { context, depth: depth + 1 }
    }

    /// Notes a variant, and says where its parts are.
    #[inline]
    fn variant(
        &mut self,
        (name, index, variant): (&'static str, u32, &'static str),
        form: Kind,
        parts: usize,
    ) -> Place {
        let kind = self.named(Kind::Enum, name, 0);
        let variant = self.names.number(variant, form as u64 | u64::from(index) << 8 | (parts as u64) << 40);
        self.note(mix(kind, variant));
        if let Kind::UnitVariant = form {
            return self.place;
        }
        let Place { context, depth } = self.inside_named(kind);
        Place { context: mix(context, variant), depth }
    }

    #[inline]
    fn enter<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.entered = std::any::type_name::<T>();
        value.serialize(self)
    }

    fn parts(&mut self, inside: Place) -> Parts<'_> {
        Parts { walk: self, inside, next: 0 }
    }
}

macro_rules! simple {
    ($($method:ident($type:ty) $kind:ident)*) => {
        $(#[inline]
        fn $method(self, _: $type) -> Result<(), Refused> {
            self.note(Kind::$kind as u64);
            Ok(())
        })*
    };
}

impl<'w> Serializer for &'w mut Walk {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Parts<'w>;
    type SerializeTuple = Parts<'w>;
    type SerializeTupleStruct = Parts<'w>;
    type SerializeTupleVariant = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeStructVariant = Parts<'w>;

    simple! {
        serialize_bool(bool) Bool
        serialize_i8(i8) I8 serialize_i16(i16) I16 serialize_i32(i32) I32 serialize_i64(i64) I64
        serialize_i128(i128) I128
        serialize_u8(u8) U8 serialize_u16(u16) U16 serialize_u32(u32) U32 serialize_u64(u64) U64
        serialize_u128(u128) U128
        serialize_f32(f32) F32 serialize_f64(f64) F64 serialize_char(char) Char serialize_str(&str) Str
        serialize_bytes(&[u8]) Bytes
    }

    /// As in the codec: a type that writes itself in two ways is to be described as it is written.
    fn is_human_readable(&self) -> bool {
        false
    }

    /// The text itself is of no interest, and one that can't be made was an error where it was encoded.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Refused> {
        self.serialize_str("")
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.note(Kind::Unit as u64);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.note(Kind::None as u64);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.note(Kind::Some as u64);
        self.place = self.inside(Kind::Some as u64);
        self.enter(value)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Refused> {
        let kind = self.named(Kind::UnitStruct, name, 0);
        self.note(kind);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        let kind = self.named(Kind::NewtypeStruct, name, 1);
        self.note(kind);
        self.place = self.inside_named(kind);
        self.enter(value)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.variant((name, index, variant), Kind::UnitVariant, 0);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.place = self.variant((name, index, variant), Kind::NewtypeVariant, 1);
        self.enter(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>, Refused> {
        self.note(Kind::Seq as u64);
        let inside = self.inside(Kind::Seq as u64);
        Ok(self.parts(inside))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>, Refused> {
        self.note(Kind::Map as u64);
        let inside = self.inside(Kind::Map as u64);
        Ok(self.parts(inside))
    }

    fn serialize_tuple(self, parts: usize) -> Result<Parts<'w>, Refused> {
        let kind = mix(Kind::Tuple as u64, parts as u64);
        self.note(kind);
        let inside = self.inside(kind);
        Ok(self.parts(inside))
    }

    fn serialize_tuple_struct(self, name: &'static str, parts: usize) -> Result<Parts<'w>, Refused> {
        let kind = self.named(Kind::TupleStruct, name, parts);
        self.note(kind);
        let inside = self.inside_named(kind);
        Ok(self.parts(inside))
    }

    fn serialize_struct(self, name: &'static str, parts: usize) -> Result<Parts<'w>, Refused> {
        let kind = self.named(Kind::Struct, name, parts);
        self.note(kind);
        let inside = self.inside_named(kind);
        Ok(self.parts(inside))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        parts: usize,
    ) -> Result<Parts<'w>, Refused> {
        let inside = self.variant((name, index, variant), Kind::TupleVariant, parts);
        Ok(self.parts(inside))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        parts: usize,
    ) -> Result<Parts<'w>, Refused> {
        let inside = self.variant((name, index, variant), Kind::StructVariant, parts);
        Ok(self.parts(inside))
    }
}

/// What has several parts, in the middle of them.
struct Parts<'w> {
    walk: &'w mut Walk,
    inside: Place,
    /// The position of the next, where positions matter.
    next: u64,
}

impl Parts<'_> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, which: u64, value: &T) -> Result<(), Refused> {
        self.walk.place = Place { context: mix(self.inside.context, which), ..self.inside };
        self.walk.enter(value)
    }

    #[inline]
    fn positioned<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let position = self.next.min(ALIKE);
        self.next += 1;
        self.part(position, value)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
        let which = self.walk.names.number(name, self.next);
        self.next += 1;
        self.part(which, value)
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident($($name:ident: $type:ty)?) $as:ident)*) => {
        $(impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<(), Refused> {
                self.$as($($name,)? value)
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeTuple serialize_element() positioned
    SerializeTupleStruct serialize_field() positioned
    SerializeTupleVariant serialize_field() positioned
    SerializeStruct serialize_field(name: &'static str) field
    SerializeStructVariant serialize_field(name: &'static str) field
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.walk.place = self.inside;
        self.walk.enter(value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.part(KEY, key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.part(VALUE, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Why a value has no shape: the words of its `Serialize`.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests;
