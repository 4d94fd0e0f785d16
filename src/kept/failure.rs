//! Whether a value is an `Err`, asked through serde because a generic type says nothing else of itself.

use serde::Serialize;
use serde::ser::{Impossible, Serializer};
use std::fmt;

/// Whether the value is an `Err` of a `Result`. Looks at the outermost type only, so it costs nothing.
pub(super) fn is_err<T: Serialize>(value: &T) -> bool {
    value.serialize(Outermost) == Ok(true)
}

/// Ends at once, with whether it has met an `Err`.
struct Outermost;

macro_rules! others {
    ($($method:ident($($given:ty),*))*) => {
        $(fn $method(self, $(_: $given),*) -> Result<bool, fmt::Error> {
            Ok(false)
        })*
    };
}

macro_rules! compound {
    ($($method:ident($($given:ty),*) $kind:ident)*) => {
        $(fn $method(self, $(_: $given),*) -> Result<Self::$kind, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

impl Serializer for Outermost {
    type Ok = bool;
    type Error = fmt::Error;
    type SerializeSeq = Impossible<bool, fmt::Error>;
    type SerializeTuple = Impossible<bool, fmt::Error>;
    type SerializeTupleStruct = Impossible<bool, fmt::Error>;
    type SerializeTupleVariant = Impossible<bool, fmt::Error>;
    type SerializeMap = Impossible<bool, fmt::Error>;
    type SerializeStruct = Impossible<bool, fmt::Error>;
    type SerializeStructVariant = Impossible<bool, fmt::Error>;

    others! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char) serialize_str(&str)
        serialize_bytes(&[u8]) serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    compound! {
        serialize_seq(Option<usize>) SerializeSeq
        serialize_tuple(usize) SerializeTuple
        serialize_tuple_struct(&'static str, usize) SerializeTupleStruct
        serialize_tuple_variant(&'static str, u32, &'static str, usize) SerializeTupleVariant
        serialize_map(Option<usize>) SerializeMap
        serialize_struct(&'static str, usize) SerializeStruct
        serialize_struct_variant(&'static str, u32, &'static str, usize) SerializeStructVariant
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<bool, fmt::Error> {
        Ok(name == "Result" && variant == "Err")
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<bool, fmt::Error> {
        Ok(false)
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::is_err;

    #[test]
    fn an_err_is_told_from_everything_else() {
        assert!(is_err(&Err::<u8, _>("no")) && is_err(&Err::<Vec<u8>, ()>(())));
        assert!(
            !is_err(&Ok::<_, String>(1))
                && !is_err(&Some(Err::<u8, _>(1)))
                && !is_err(&vec![Err::<u8, _>(1)])
        );
        assert!(!is_err(&"Err") && !is_err(&()) && !is_err(&std::net::Ipv4Addr::LOCALHOST));
    }
}
