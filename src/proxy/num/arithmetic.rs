//! The operations of num-traits that give numbers for numbers; all of them are deferred.
//!
//! Owns powers, inverses, multiply-add, Euclidean division, and the arithmetic that wraps or saturates. The values
//! are those of `T`'s own implementations. Operations that may give no number are in `checked`.

use crate::proxy::deferred::{binary, plain_left, plain_right, ternary, unary};
use crate::proxy::steps::symbol;
use crate::proxy::{Operand, ResultProxy};
use num_traits::ops::saturating::{Saturating, SaturatingAdd, SaturatingMul, SaturatingSub};
use num_traits::ops::wrapping::{
    WrappingAdd, WrappingMul, WrappingNeg, WrappingShl, WrappingShr, WrappingSub,
};
use num_traits::{Euclid, Inv, MulAdd, MulAddAssign, Pow};

/// A power for each combination of `proxy` and `&proxy`.
macro_rules! powers {
    ($(($Base:ty) ($Exponent:ty);)*) => {$(
        impl<T, U> Pow<$Exponent> for $Base
        where
            T: Pow<U> + Clone + Send + Sync + 'static,
            U: Clone + Send + Sync + 'static,
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn pow(self, exponent: $Exponent) -> Self::Output {
                binary(symbol!("pow"), self.clone(), exponent.clone(), T::pow)
            }
        }
    )*};
}

powers! {
    (ResultProxy<T>) (ResultProxy<U>);
    (ResultProxy<T>) (&ResultProxy<U>);
    (&ResultProxy<T>) (ResultProxy<U>);
    (&ResultProxy<T>) (&ResultProxy<U>);
}

/// A power of a proxy with a plain exponent.
///
/// One implementation per type, as for the operators in `ops`.
macro_rules! plain_exponents {
    ($([$($bound:tt)*] $plain:ty),*) => {$(
        plain_exponents! { @base [$($bound)*] $plain, ResultProxy<T> }
        plain_exponents! { @base [$($bound)*] $plain, &ResultProxy<T> }
    )*};
    (@base [$($bound:tt)*] $plain:ty, $Base:ty) => {
        impl<$($bound)* T: Pow<$plain> + Clone + Send + Sync + 'static> Pow<$plain> for $Base
        where
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn pow(self, exponent: $plain) -> Self::Output {
                plain_right(symbol!("pow"), self.clone(), exponent, T::pow)
            }
        }
    };
}

plain_exponents! {
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize, [] u8, [] u16, [] u32, [] u64, [] u128, [] usize, [] f32,
    [] f64,
    // Of a user's own type; see `Operand`.
    [V: Operand,] V
}

/// A power of a plain number, with a proxy for the exponent.
///
/// The pairs of num-traits are listed. One implementation for all exponents with `$plain: Pow<T>` would ask for itself:
/// where the exponent's type is still open, the compiler would try proxies of proxies without end.
macro_rules! plain_bases {
    ($($bases:tt to the $exponents:tt;)*) => {$(plain_bases! { @bases $bases $exponents })*};
    (@bases [$($plain:ty)*] $exponents:tt) => {$(plain_bases! { @exponents $plain, $exponents })*};
    (@exponents $plain:ty, [$($exponent:ty)*]) => {$(
        plain_bases! { @pair $plain, $exponent, ResultProxy<$exponent> }
        plain_bases! { @pair $plain, $exponent, &ResultProxy<$exponent> }
    )*};
    (@pair $plain:ty, $exponent:ty, $Exponent:ty) => {
        impl Pow<$Exponent> for $plain {
            type Output = ResultProxy<$plain>;

            #[track_caller]
            fn pow(self, exponent: $Exponent) -> ResultProxy<$plain> {
                plain_left(symbol!("pow"), self, exponent.clone(), <$plain as Pow<$exponent>>::pow)
            }
        }
    };
}

plain_bases! {
    [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] to the [u8 u16 u32 usize];
    [f32 f64] to the [i8 u8 i16 u16 i32 f32];
    [f64] to the [f64];
}

macro_rules! inverses {
    ($($Number:ty),*) => {$(
        impl<T> Inv for $Number
        where
            T: Inv + Clone + Send + Sync + 'static,
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn inv(self) -> Self::Output {
                unary(symbol!("inv"), self.clone(), T::inv)
            }
        }
    )*};
}

inverses! { ResultProxy<T>, &ResultProxy<T> }

macro_rules! multiply_adds {
    ($(($This:ty) ($Factor:ty) ($Term:ty);)*) => {$(
        impl<T, A, B> MulAdd<$Factor, $Term> for $This
        where
            T: MulAdd<A, B> + Clone + Send + Sync + 'static,
            A: Clone + Send + Sync + 'static,
            B: Clone + Send + Sync + 'static,
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn mul_add(self, a: $Factor, b: $Term) -> Self::Output {
                ternary(symbol!("mul_add"), self.clone(), a.clone(), b.clone(), T::mul_add)
            }
        }
    )*};
}

multiply_adds! {
    (ResultProxy<T>) (ResultProxy<A>) (ResultProxy<B>);
    (ResultProxy<T>) (&ResultProxy<A>) (&ResultProxy<B>);
    (&ResultProxy<T>) (ResultProxy<A>) (ResultProxy<B>);
    (&ResultProxy<T>) (&ResultProxy<A>) (&ResultProxy<B>);
}

macro_rules! multiply_add_assigns {
    ($(($Factor:ty) ($Term:ty);)*) => {$(
        impl<T, A, B> MulAddAssign<$Factor, $Term> for ResultProxy<T>
        where
            T: MulAddAssign<A, B> + Clone + Send + Sync + 'static,
            A: Clone + Send + Sync + 'static,
            B: Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn mul_add_assign(&mut self, a: $Factor, b: $Term) {
                *self = ternary(symbol!("mul_add"), self.clone(), a.clone(), b.clone(), |mut value, a, b| {
                    value.mul_add_assign(a, b);
                    value
                });
            }
        }
    )*};
}

multiply_add_assigns! {
    (ResultProxy<A>) (ResultProxy<B>);
    (&ResultProxy<A>) (&ResultProxy<B>);
}

impl<T: Euclid + Clone + Send + Sync + 'static> Euclid for ResultProxy<T> {
    #[track_caller]
    fn div_euclid(&self, divisor: &Self) -> Self {
        binary(symbol!("div_euclid"), self.clone(), divisor.clone(), |left, right| left.div_euclid(&right))
    }

    #[track_caller]
    fn rem_euclid(&self, divisor: &Self) -> Self {
        binary(symbol!("rem_euclid"), self.clone(), divisor.clone(), |left, right| left.rem_euclid(&right))
    }

    /// One division, whichever of the two results is needed.
    #[track_caller]
    fn div_rem_euclid(&self, divisor: &Self) -> (Self, Self) {
        let both = binary(symbol!("div_rem_euclid"), self.clone(), divisor.clone(), |left, right| {
            left.div_rem_euclid(&right)
        });
        ResultProxy::unzip(both)
    }
}

/// Operations that take both operands by reference.
macro_rules! referring {
    ($($Op:ident::$op:ident;)*) => {$(
        impl<T: $Op + Clone + Send + Sync + 'static> $Op for ResultProxy<T> {
            #[track_caller]
            fn $op(&self, other: &Self) -> Self {
                binary(symbol!(stringify!($op)), self.clone(), other.clone(), |left, right| left.$op(&right))
            }
        }
    )*};
}

referring! {
    WrappingAdd::wrapping_add; WrappingSub::wrapping_sub; WrappingMul::wrapping_mul;
    SaturatingAdd::saturating_add; SaturatingSub::saturating_sub; SaturatingMul::saturating_mul;
}

impl<T: WrappingNeg + Clone + Send + Sync + 'static> WrappingNeg for ResultProxy<T> {
    #[track_caller]
    fn wrapping_neg(&self) -> Self {
        unary(symbol!("wrapping_neg"), self.clone(), |value| value.wrapping_neg())
    }
}

macro_rules! shifting {
    ($($Op:ident::$op:ident;)*) => {$(
        impl<T: $Op + Clone + Send + Sync + 'static> $Op for ResultProxy<T> {
            #[track_caller]
            fn $op(&self, distance: u32) -> Self {
                plain_right(symbol!(stringify!($op)), self.clone(), distance, |value, distance| value.$op(distance))
            }
        }
    )*};
}

shifting! { WrappingShl::wrapping_shl; WrappingShr::wrapping_shr; }

// The older trait, which generic code still asks for: its operands come by value.
impl<T: Saturating + Clone + Send + Sync + 'static> Saturating for ResultProxy<T> {
    #[track_caller]
    fn saturating_add(self, other: Self) -> Self {
        binary(symbol!("saturating_add"), self, other, T::saturating_add)
    }

    #[track_caller]
    fn saturating_sub(self, other: Self) -> Self {
        binary(symbol!("saturating_sub"), self, other, T::saturating_sub)
    }
}
