//! Conversions of num-traits from and to plain numbers and bytes.
//!
//! Promises that what is made from a plain number has its value, and that what gives a plain number waits. Each
//! conversion is `T`'s own, so that none loses digits by way of another type.

use crate::proxy::ResultProxy;
use crate::proxy::deferred::ready;
use num_traits::{FromBytes, FromPrimitive, NumCast, ToBytes, ToPrimitive};

macro_rules! primitives {
    ($($plain:ty: $from:ident $to:ident;)*) => {
        impl<T: FromPrimitive + Send + 'static> FromPrimitive for ResultProxy<T> {
            $(fn $from(number: $plain) -> Option<Self> {
                T::$from(number).map(ready)
            })*
        }

        impl<T: ToPrimitive + Send + 'static> ToPrimitive for ResultProxy<T> {
            $(fn $to(&self) -> Option<$plain> {
                self.force().$to()
            })*
        }
    };
}

primitives! {
    i8: from_i8 to_i8; i16: from_i16 to_i16; i32: from_i32 to_i32; i64: from_i64 to_i64;
    i128: from_i128 to_i128; isize: from_isize to_isize;
    u8: from_u8 to_u8; u16: from_u16 to_u16; u32: from_u32 to_u32; u64: from_u64 to_u64;
    u128: from_u128 to_u128; usize: from_usize to_usize;
    f32: from_f32 to_f32; f64: from_f64 to_f64;
}

impl<T: NumCast + Send + 'static> NumCast for ResultProxy<T> {
    fn from<N: ToPrimitive>(number: N) -> Option<Self> {
        T::from(number).map(ready)
    }
}

macro_rules! bytes {
    ($($from:ident $to:ident)*) => {
        impl<T: FromBytes + Send + 'static> FromBytes for ResultProxy<T> {
            type Bytes = T::Bytes;

            $(fn $from(bytes: &T::Bytes) -> Self {
                ready(T::$from(bytes))
            })*
        }

        impl<T: ToBytes + Send + 'static> ToBytes for ResultProxy<T> {
            type Bytes = T::Bytes;

            $(fn $to(&self) -> T::Bytes {
                self.force().$to()
            })*
        }
    };
}

bytes! { from_be_bytes to_be_bytes from_le_bytes to_le_bytes from_ne_bytes to_ne_bytes }
