//! What makes a proxy a number: `Num`, `Signed`, `Unsigned`, the identities, the bounds and the constants.
//!
//! Promises that numbers made out of nothing are there at once, that functions from number to number are deferred,
//! and that questions answered by a `bool` or an `Ordering` wait for the value.

use crate::proxy::ResultProxy;
use crate::proxy::deferred::{binary, ready, unary};
use crate::proxy::steps::symbol;
use num_traits::float::{FloatConst, TotalOrder};
use num_traits::{Bounded, Num, One, Signed, Unsigned, Zero};
use std::cmp::Ordering;
use std::ops::{Add, Div};

impl<T: Zero + Clone + Send + Sync + 'static> Zero for ResultProxy<T> {
    fn zero() -> Self {
        ready(T::zero())
    }

    fn is_zero(&self) -> bool {
        self.force().is_zero()
    }
}

impl<T: One + Clone + Send + Sync + 'static> One for ResultProxy<T> {
    fn one() -> Self {
        ready(T::one())
    }
}

impl<T: Num + Clone + Send + Sync + 'static> Num for ResultProxy<T> {
    type FromStrRadixErr = T::FromStrRadixErr;

    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        T::from_str_radix(text, radix).map(ready)
    }
}

impl<T: Signed + Clone + Send + Sync + 'static> Signed for ResultProxy<T> {
    #[track_caller]
    fn abs(&self) -> Self {
        unary(symbol!("abs"), self.clone(), |value| value.abs())
    }

    #[track_caller]
    fn abs_sub(&self, other: &Self) -> Self {
        binary(symbol!("abs_sub"), self.clone(), other.clone(), |left, right| left.abs_sub(&right))
    }

    #[track_caller]
    fn signum(&self) -> Self {
        unary(symbol!("signum"), self.clone(), |value| value.signum())
    }

    fn is_positive(&self) -> bool {
        self.force().is_positive()
    }

    fn is_negative(&self) -> bool {
        self.force().is_negative()
    }
}

impl<T: Unsigned + Clone + Send + Sync + 'static> Unsigned for ResultProxy<T> {}

/// Numbers that the type itself knows.
macro_rules! constants {
    ($($constant:ident)*) => {$(
        fn $constant() -> Self {
            ready(T::$constant())
        }
    )*};
}

impl<T: Bounded + Send + 'static> Bounded for ResultProxy<T> {
    constants! { min_value max_value }
}

// `LowerBounded` and `UpperBounded` follow from `Bounded`.

impl<T> FloatConst for ResultProxy<T>
where
    T: FloatConst + Add<Output = T> + Div<Output = T> + Send + 'static,
{
    constants! {
        E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8
        LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2 TAU LOG10_2 LOG2_10
    }
}

impl<T: TotalOrder + Send + 'static> TotalOrder for ResultProxy<T> {
    fn total_cmp(&self, other: &Self) -> Ordering {
        self.force().total_cmp(other.force())
    }
}
