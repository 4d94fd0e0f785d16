//! The operations of num-traits whose answer is not only a number; all of them wait.
//!
//! Whether there is a number (`Option`), or whether it overflowed (`bool`), is known only when both operands are.
//! The numbers in the answers are proxies that have their values.

use crate::proxy::ResultProxy;
use crate::proxy::deferred::ready;
use num_traits::ops::overflowing::{OverflowingAdd, OverflowingMul, OverflowingSub};
use num_traits::{
    CheckedAdd, CheckedDiv, CheckedEuclid, CheckedMul, CheckedNeg, CheckedRem, CheckedShl, CheckedShr,
    CheckedSub,
};

macro_rules! checked {
    ($($Op:ident::$op:ident;)*) => {$(
        impl<T: $Op + Clone + Send + Sync + 'static> $Op for ResultProxy<T> {
            fn $op(&self, other: &Self) -> Option<Self> {
                self.force().$op(other.force()).map(ready)
            }
        }
    )*};
}

checked! {
    CheckedAdd::checked_add; CheckedSub::checked_sub; CheckedMul::checked_mul;
    CheckedDiv::checked_div; CheckedRem::checked_rem;
}

impl<T: CheckedNeg + Send + 'static> CheckedNeg for ResultProxy<T> {
    fn checked_neg(&self) -> Option<Self> {
        self.force().checked_neg().map(ready)
    }
}

macro_rules! shifting {
    ($($Op:ident::$op:ident;)*) => {$(
        impl<T: $Op + Clone + Send + Sync + 'static> $Op for ResultProxy<T> {
            fn $op(&self, distance: u32) -> Option<Self> {
                self.force().$op(distance).map(ready)
            }
        }
    )*};
}

shifting! { CheckedShl::checked_shl; CheckedShr::checked_shr; }

impl<T: CheckedEuclid + Clone + Send + Sync + 'static> CheckedEuclid for ResultProxy<T> {
    fn checked_div_euclid(&self, divisor: &Self) -> Option<Self> {
        self.force().checked_div_euclid(divisor.force()).map(ready)
    }

    fn checked_rem_euclid(&self, divisor: &Self) -> Option<Self> {
        self.force().checked_rem_euclid(divisor.force()).map(ready)
    }

    fn checked_div_rem_euclid(&self, divisor: &Self) -> Option<(Self, Self)> {
        let (quotient, remainder) = self.force().checked_div_rem_euclid(divisor.force())?;
        Some((ready(quotient), ready(remainder)))
    }
}

macro_rules! overflowing {
    ($($Op:ident::$op:ident;)*) => {$(
        impl<T: $Op + Clone + Send + Sync + 'static> $Op for ResultProxy<T> {
            fn $op(&self, other: &Self) -> (Self, bool) {
                let (value, overflowed) = self.force().$op(other.force());
                (ready(value), overflowed)
            }
        }
    )*};
}

overflowing! {
    OverflowingAdd::overflowing_add; OverflowingSub::overflowing_sub; OverflowingMul::overflowing_mul;
}
