//! What `table.md` claims, and that the values are those of plain numbers.

use crate::proxy::{ProxyState, ResultProxy, lazy, ready};
use num_bigint::{BigInt, BigUint};
use num_traits::bounds::{LowerBounded, UpperBounded};
use num_traits::float::{FloatConst, TotalOrder};
use num_traits::ops::overflowing::{OverflowingAdd, OverflowingMul, OverflowingSub};
use num_traits::ops::saturating::{Saturating, SaturatingAdd, SaturatingMul, SaturatingSub};
use num_traits::{
    Bounded, CheckedAdd, CheckedDiv, CheckedEuclid, CheckedMul, CheckedNeg, CheckedRem, CheckedShl,
    CheckedShr, CheckedSub, Euclid, FromBytes, FromPrimitive, Inv, MulAdd, MulAddAssign, Num, NumAssign,
    NumAssignOps, NumAssignRef, NumCast, NumOps, NumRef, One, Pow, RefNum, Signed, ToBytes, ToPrimitive,
    Unsigned, WrappingAdd, WrappingMul, WrappingNeg, WrappingShl, WrappingShr, WrappingSub, Zero,
};
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::num::Wrapping;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Names of traits; compiles only if proxies implement every one of them.
macro_rules! implemented {
    ($($T:ty: $($Trait:ident)*;)*) => {{
        $($({
            fn bound<P: $Trait>() {}
            bound::<ResultProxy<$T>>();
        })*)*
        vec![$($(stringify!($Trait),)*)*]
    }};
}

/// Names of traits; compiles only if proxies implement none of them.
macro_rules! lacking {
    ($($Trait:ident $(<$Argument:ty>)?)*) => {{
        $({
            // With the trait there would be two answers, and `_` could not be inferred.
            trait Answers<A> {
                fn answer() {}
            }
            struct Second;
            impl<P> Answers<()> for P {}
            impl<P: $Trait $(<$Argument>)?> Answers<Second> for P {}
            <ResultProxy<f64> as Answers<_>>::answer();
            <ResultProxy<i64> as Answers<_>>::answer();
        })*
        vec![$(stringify!($Trait),)*]
    }};
}

/// The names in the first column of a table of `table.md`.
fn named(section: &str) -> Vec<&str> {
    let text = include_str!("table.md");
    let text = text.split("\n# ").find(|text| text.starts_with(section)).expect("the section is there");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut names: Vec<_> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    names.sort();
    names
}

#[test]
fn traits_are_implemented_as_the_table_claims() {
    let mut names = implemented! {
        i64: Zero One Num NumOps NumRef NumAssign NumAssignOps NumAssignRef Signed Bounded LowerBounded UpperBounded
            Euclid WrappingAdd WrappingSub WrappingMul WrappingNeg WrappingShl WrappingShr
            Saturating SaturatingAdd SaturatingSub SaturatingMul
            CheckedAdd CheckedSub CheckedMul CheckedDiv CheckedRem CheckedNeg CheckedShl CheckedShr CheckedEuclid
            OverflowingAdd OverflowingSub OverflowingMul
            FromPrimitive ToPrimitive NumCast FromBytes ToBytes MulAdd MulAddAssign;
        u8: Unsigned;
        f64: FloatConst TotalOrder Inv;
    };
    fn references<T: Clone + Num + Send + Sync + 'static>()
    where
        for<'a> &'a ResultProxy<T>: RefNum<ResultProxy<T>>,
    {
    }
    references::<BigInt>();
    fn powers<P: Pow<P> + Pow<u8> + for<'a> Pow<&'a P>>() {}
    powers::<ResultProxy<u8>>();
    names.extend(["RefNum", "Pow"]);
    names.sort();
    assert_eq!(names, named("What is deferred"));
}

#[test]
fn traits_that_ask_for_copies_or_constants_are_not_implemented() {
    use num_traits::float::{Float, FloatCore};
    use num_traits::ops::bytes::NumBytes;
    use num_traits::real::Real;
    use num_traits::{AsPrimitive, ConstOne, ConstZero, PrimInt};

    let mut names = lacking! {
        Float FloatCore Real PrimInt AsPrimitive<f64> ConstZero ConstOne NumBytes
    };
    names.sort();
    assert_eq!(names, named("What can't be implemented"));
}

/// Proxies of any number are numbers; those that can be assigned to are listed in `ops`.
#[expect(dead_code, reason = "that it compiles is the test")]
fn is_generic<T: Num + Signed + Clone + Send + Sync + 'static>() {
    fn is<P: Num + NumRef + Signed>() {}
    is::<ResultProxy<T>>();
}

/// Never evaluated.
fn unread<T: Send + 'static>() -> ResultProxy<T> {
    lazy(|| unreachable!("nobody reads it"))
}

fn deferred<T: Send + 'static>(proxy: &ResultProxy<T>) {
    assert_eq!(ResultProxy::state(proxy), ProxyState::Deferred);
}

fn failing<T: Send + 'static>() -> ResultProxy<T> {
    lazy(|| resume_unwind(Box::new("no")))
}

/// Runs `read`, which must rethrow the panic of [`failing`].
fn forces<R>(read: impl FnOnce() -> R) {
    let thrown = catch_unwind(AssertUnwindSafe(read)).err().expect("it waits for a value that failed");
    assert_eq!(*thrown.downcast::<&str>().unwrap(), "no");
}

#[test]
fn operations_that_give_numbers_do_not_evaluate() {
    let (p, q) = (unread::<i64>(), unread::<i64>());
    for value in [
        p.wrapping_add(&q),
        p.wrapping_sub(&q),
        p.wrapping_mul(&q),
        p.wrapping_neg(),
        p.wrapping_shl(70),
        p.wrapping_shr(70),
        SaturatingAdd::saturating_add(&p, &q),
        SaturatingSub::saturating_sub(&p, &q),
        SaturatingMul::saturating_mul(&p, &q),
        Saturating::saturating_add(p.clone(), q.clone()),
        Saturating::saturating_sub(p.clone(), q.clone()),
        Euclid::div_euclid(&p, &q),
        Euclid::rem_euclid(&p, &q),
        Euclid::div_rem_euclid(&p, &q).0,
        Euclid::div_rem_euclid(&p, &q).1,
        Signed::abs(&p),
        Signed::abs_sub(&p, &q),
        Signed::signum(&p),
        Pow::pow(&p, unread::<u32>()),
        Pow::pow(p.clone(), 2_u32),
        Pow::pow(2_i64, unread::<u32>()),
        MulAdd::mul_add(&p, &q, &p),
        num_traits::pow(p.clone(), 10),
        ResultProxy::abs(&p),
        ResultProxy::min(&p, 3),
        ResultProxy::clamp(&p, 1, &q),
        ResultProxy::pow(&p, 3),
    ] {
        deferred(&value);
    }
    let mut value = p;
    value.mul_add_assign(&q, &q);
    value.mul_add_assign(q.clone(), q);
    deferred(&value);
    deferred(&Inv::inv(unread::<f64>()));
    deferred(&ResultProxy::powf(&unread::<f64>(), unread::<f64>()));
    deferred(&ResultProxy::sin_cos(&unread::<f64>()).0);
}

#[test]
fn operations_that_answer_questions_wait() {
    let p = failing::<i64>;
    let one = ready(1_i64);
    forces(|| p().is_zero());
    forces(|| p().is_one());
    forces(|| p().is_positive());
    forces(|| p().is_negative());
    forces(|| p().checked_add(&one));
    forces(|| one.checked_sub(&p()));
    forces(|| p().checked_mul(&one));
    forces(|| p().checked_div(&one));
    forces(|| p().checked_rem(&one));
    forces(|| CheckedNeg::checked_neg(&p()));
    forces(|| CheckedShl::checked_shl(&p(), 1));
    forces(|| CheckedShr::checked_shr(&p(), 1));
    forces(|| CheckedEuclid::checked_div_euclid(&p(), &one));
    forces(|| CheckedEuclid::checked_rem_euclid(&p(), &one));
    forces(|| CheckedEuclid::checked_div_rem_euclid(&one, &p()));
    forces(|| p().overflowing_add(&one));
    forces(|| one.overflowing_sub(&p()));
    forces(|| p().overflowing_mul(&one));
    forces(|| p().to_i64());
    forces(|| p().to_f32());
    forces(|| ToBytes::to_be_bytes(&p()));
    forces(|| <ResultProxy<f64> as NumCast>::from(p()));
    forces(|| TotalOrder::total_cmp(&failing::<f64>(), &ready(1.0)));
}

#[test]
fn identities_bounds_and_conversions_have_their_values() {
    fn there<T: PartialEq + Debug + Send + 'static>(proxy: ResultProxy<T>, value: T) {
        assert_eq!(ResultProxy::state(&proxy), ProxyState::Ready);
        assert_eq!(*proxy, value);
    }
    there(Zero::zero(), 0_i64);
    there(One::one(), 1.0);
    there(Bounded::min_value(), i8::MIN);
    there(UpperBounded::max_value(), f64::MAX);
    there(FloatConst::PI(), std::f64::consts::PI);
    there(FloatConst::TAU(), std::f64::consts::TAU);
    there(FloatConst::LOG10_2(), std::f32::consts::LOG10_2);
    there(Num::from_str_radix("-ff", 16).unwrap(), -255_i16);
    assert!(<ResultProxy<i16> as Num>::from_str_radix("x", 16).is_err());
    there(FromPrimitive::from_u64(u64::MAX).unwrap(), u64::MAX);
    there(FromPrimitive::from_i128(i128::MIN).unwrap(), i128::MIN);
    there(FromPrimitive::from_f32(0.1).unwrap(), 0.1_f32);
    assert!(<ResultProxy<u8> as FromPrimitive>::from_i64(-1).is_none());
    there(NumCast::from(ready(7.9)).unwrap(), 7_u8);
    there(num_traits::cast(300_i32).unwrap(), 300_u64);
    there(FromPrimitive::from_i32(300).unwrap(), BigInt::from(300));
    there(FromBytes::from_be_bytes(&[1, 0]), 256_u16);
    there(FromBytes::from_le_bytes(&[1, 0]), 1_u16);
    assert_eq!(ToBytes::to_be_bytes(&lazy(|| 256_u16)), [1, 0]);
    assert_eq!(ToBytes::to_ne_bytes(&ready(1.5)), 1.5_f64.to_ne_bytes());
    let mut number = unread::<i64>();
    number.set_one();
    there(number, 1);
}

#[test]
fn conversions_to_plain_numbers_are_those_of_the_value() {
    let p = lazy(|| u128::MAX);
    assert_eq!((p.to_u128(), p.to_i128(), p.to_f64()), (Some(u128::MAX), None, Some(u128::MAX as f64)));
    let p = ready(-1.5_f64);
    assert_eq!((p.to_i8(), p.to_u8(), p.to_f64()), (Some(-1), None, Some(-1.5)));
}

#[test]
fn arithmetic_at_the_limits_gives_what_plain_arithmetic_gives() {
    for left in [i8::MIN, -3, 0, 1, i8::MAX] {
        for right in [i8::MIN, -1, 0, 3, i8::MAX] {
            let (p, q) = (ready(left), lazy(move || right));
            assert_eq!(WrappingAdd::wrapping_add(&p, &q), left.wrapping_add(right));
            assert_eq!(WrappingSub::wrapping_sub(&p, &q), left.wrapping_sub(right));
            assert_eq!(WrappingMul::wrapping_mul(&p, &q), left.wrapping_mul(right));
            assert_eq!(SaturatingAdd::saturating_add(&p, &q), left.saturating_add(right));
            assert_eq!(SaturatingSub::saturating_sub(&p, &q), left.saturating_sub(right));
            assert_eq!(SaturatingMul::saturating_mul(&p, &q), left.saturating_mul(right));
            assert_eq!(Saturating::saturating_add(p.clone(), q.clone()), left.saturating_add(right));
            assert_eq!(CheckedAdd::checked_add(&p, &q), left.checked_add(right).map(ready));
            assert_eq!(CheckedSub::checked_sub(&p, &q), left.checked_sub(right).map(ready));
            assert_eq!(CheckedMul::checked_mul(&p, &q), left.checked_mul(right).map(ready));
            assert_eq!(CheckedDiv::checked_div(&p, &q), left.checked_div(right).map(ready));
            assert_eq!(CheckedRem::checked_rem(&p, &q), left.checked_rem(right).map(ready));
            let euclid = CheckedEuclid::checked_div_rem_euclid(&p, &q);
            assert_eq!(euclid.is_some(), left.checked_div_euclid(right).is_some());
            if let Some((quotient, remainder)) = euclid {
                assert_eq!(
                    (&quotient, &remainder),
                    (&Euclid::div_euclid(&p, &q), &Euclid::rem_euclid(&p, &q))
                );
                assert_eq!((quotient, remainder), Euclid::div_rem_euclid(&p, &q));
                assert_eq!(ResultProxy::div_euclid(&p, &q), left.div_euclid(right));
                assert_eq!(ResultProxy::rem_euclid(&p, right), left.rem_euclid(right));
            }
            let (sum, overflowed) = OverflowingAdd::overflowing_add(&p, &q);
            assert_eq!((*sum, overflowed), left.overflowing_add(right));
            let (difference, overflowed) = OverflowingSub::overflowing_sub(&p, &q);
            assert_eq!((*difference, overflowed), left.overflowing_sub(right));
            let (product, overflowed) = OverflowingMul::overflowing_mul(&p, &q);
            assert_eq!((*product, overflowed), left.overflowing_mul(right));
            assert_eq!(ResultProxy::min(&p, &q), left.min(right));
            assert_eq!(ResultProxy::max(&p, right), left.max(right));
        }
        let p = ready(left);
        assert_eq!(WrappingNeg::wrapping_neg(&p), left.wrapping_neg());
        assert_eq!(WrappingShl::wrapping_shl(&p, 9), left.wrapping_shl(9));
        assert_eq!(WrappingShr::wrapping_shr(&p, 9), left.wrapping_shr(9));
        assert_eq!(CheckedNeg::checked_neg(&p), left.checked_neg().map(ready));
        assert_eq!(CheckedShl::checked_shl(&p, 8), None);
        assert_eq!(CheckedShr::checked_shr(&p, 7), Some(ready(left >> 7)));
        assert_eq!((p.is_positive(), p.is_negative(), p.is_zero()), (left > 0, left < 0, left == 0));
        assert_eq!(Signed::signum(&p), left.signum());
    }
}

#[test]
fn overflow_panics_when_it_is_evaluated() {
    let negated = -ready(Wrapping(i8::MIN));
    assert_eq!(*negated, Wrapping(i8::MIN));
    let power = ResultProxy::pow(&ready(10_u8), 3);
    assert!(ResultProxy::error(&power).unwrap().is_panic());
    let quotient = Euclid::div_euclid(&ready(1), &ready(0));
    let expected = "attempt to divide by zero";
    assert_eq!(ResultProxy::error(&quotient).unwrap().message(), expected);
}

#[test]
fn powers_and_products_take_proxies_and_plain_values() {
    let (p, q) = (lazy(|| 3_i64), lazy(|| 4_u32));
    let powers = [
        Pow::pow(&p, &q),
        Pow::pow(p.clone(), &q),
        Pow::pow(&p, q.clone()),
        Pow::pow(p.clone(), q.clone()),
        Pow::pow(&p, 4_u32),
        Pow::pow(p.clone(), 4_usize),
        Pow::pow(3_i64, &q),
        Pow::pow(3_i64, q.clone()),
        ResultProxy::pow(&p, &q),
        num_traits::pow(p.clone(), 4),
    ];
    assert_eq!(powers, [81; 10]);
    assert_eq!(num_traits::checked_pow(p.clone(), 100), None);
    assert_eq!(Pow::pow(ready(2.0), ready(-1_i32)), 0.5);
    let big = Pow::pow(&ready(BigInt::from(2)), ready(BigUint::from(100_u8)));
    assert_eq!(big, ready(BigInt::from(1) << 100));
    let products = [MulAdd::mul_add(&p, &p, &p), MulAdd::mul_add(p.clone(), p.clone(), p.clone())];
    assert_eq!(products, [12, 12]);
    let mut product = p.clone();
    product.mul_add_assign(&p, &p);
    assert_eq!(product, 12);
    assert_eq!(Inv::inv(&ready(4.0)) + Inv::inv(ready(4.0)), 0.5);
}

#[test]
fn failures_are_those_of_the_leftmost_operand() {
    let second = || lazy(|| -> i64 { resume_unwind(Box::new("second")) });
    forces(|| *MulAdd::mul_add(failing::<i64>(), second(), second()));
    forces(|| *MulAdd::mul_add(ready(1), failing(), second()));
    forces(|| *MulAdd::mul_add(ready(1), ready(1), failing()));
    forces(|| *ResultProxy::min(&failing::<i64>(), second()));
}

/// All functions of one float, with their plain twins.
macro_rules! same_as_plain {
    ($value:expr; $($function:ident)*) => {$(
        let (deferred, plain) = (ResultProxy::$function(&ready($value)), f64::$function($value));
        assert_eq!(deferred.to_bits(), plain.to_bits(), "{} of {}", stringify!($function), $value);
    )*};
}

#[test]
fn functions_of_floats_give_what_the_plain_ones_give() {
    for value in [-f64::INFINITY, -2.5, -0.0, 0.0, 0.3, 1.0, 2.5, f64::MAX, f64::INFINITY] {
        // Given at run time, as to the proxy: what the compiler computes may differ in the last digit.
        let value = std::hint::black_box(value);
        let numbers = [value.ln(), value.sqrt(), value.acos()];
        for number in [value].into_iter().chain(numbers.into_iter().filter(|number| !number.is_nan())) {
            same_as_plain! { number;
                sqrt cbrt sin cos tan atan sinh cosh tanh asinh exp exp2 exp_m1 recip floor ceil round
                trunc to_degrees to_radians abs
            }
        }
        for other in [-1.0, 0.5, f64::NAN] {
            let p = ready(value);
            let same = |deferred: ResultProxy<f64>, plain: f64| {
                assert!(*deferred == plain || deferred.is_nan() && plain.is_nan(), "{deferred} {plain}");
            };
            same(ResultProxy::powf(&p, other), value.powf(other));
            same(ResultProxy::atan2(&p, ready(other)), value.atan2(other));
            same(ResultProxy::hypot(&p, ready(other)), value.hypot(other));
            same(ResultProxy::log(&p, other), value.log(other));
            same(ResultProxy::copysign(&p, other), value.copysign(other));
            same(ResultProxy::rem_euclid(&p, other), value.rem_euclid(other));
            same(ResultProxy::min(&p, other), value.min(other));
            same(ResultProxy::max(&p, other), value.max(other));
            same(ResultProxy::min(&ready(other), value), other.min(value));
            same(ResultProxy::max(&ready(other), value), other.max(value));
            same(ResultProxy::mul_add(&p, other, 0.1), value.mul_add(other, 0.1));
            same(ResultProxy::powi(&p, -3), value.powi(-3));
            same(ResultProxy::asin(&p), value.asin());
            same(ResultProxy::ln_1p(&p), value.ln_1p());
            same(ResultProxy::fract(&p), value.fract());
            same(ResultProxy::signum(&p), value.signum());
        }
    }
    assert!(ResultProxy::sqrt(&ready(-1.0_f64)).is_nan());
    assert!(ResultProxy::signum(&ready(f64::NAN)).is_nan());
    assert!(ResultProxy::min(&ready(f64::NAN), f64::NAN).is_nan());
    assert_eq!(TotalOrder::total_cmp(&ready(-0.0), &ready(0.0)), Ordering::Less);
    let (sine, cosine) = ResultProxy::sin_cos(&ready(1.0_f32));
    assert_eq!((*sine, *cosine), 1.0_f32.sin_cos());
}

#[test]
fn clamp_is_that_of_plain_values() {
    assert_eq!(ResultProxy::clamp(&ready(7), 1, ready(5)), 5);
    assert_eq!(ResultProxy::clamp(&ready(0.5), 1.0, ready(5.0)), 1.0);
    assert!(ResultProxy::clamp(&ready(f64::NAN), 1.0, 5.0).is_nan());
    assert_eq!(ResultProxy::clamp(&ready("b".to_string()), "a".to_string(), "c".to_string()), "b");
    let error = ResultProxy::error(&ResultProxy::clamp(&ready(1), 5, 1)).unwrap();
    assert_eq!(error.message(), "assertion failed: min <= max");
    assert!(ResultProxy::error(&ResultProxy::clamp(&ready(1.0), f64::NAN, 1.0)).is_some());
}

mod without_num_traits {
    use crate::proxy::{ResultProxy, ready};

    #[test]
    fn methods_are_those_of_the_value_and_wait() {
        let root: f64 = ready(9.0_f64).sqrt();
        let power: i64 = ready(3_i64).pow(2);
        let sum: Option<u8> = ready(255_u8).checked_add(1);
        assert_eq!((root, power, sum), (3.0, 9, None));
    }

    #[test]
    fn arguments_infer_the_types_of_literals() {
        let (float, integer) = (ready(1.5_f32), ready(200_u8));
        let _: ResultProxy<f32> = ResultProxy::powf(&float, 2.0);
        let _: ResultProxy<u8> = ResultProxy::min(&integer, 3);
        assert_eq!(ResultProxy::mul_add(&float, 2.0, &float), 4.5);
        assert_eq!(ResultProxy::clamp(&integer, ready(1), 100), 100);
        assert_eq!(ResultProxy::max(&ResultProxy::abs(&ready(-3)), 2), 3);
    }
}

#[test]
fn methods_of_the_traits_in_scope_come_first() {
    let deferred: ResultProxy<i64> = ready(-3_i64).abs();
    assert_eq!(deferred, 3);
}

/// Newton's step for a root, generic over numbers that are cloned.
fn root<T: Num + Clone>(number: &T, first: T, steps: usize) -> T {
    let two = T::one() + T::one();
    (0..steps).fold(first, |x, _| (x.clone() + number.clone() / x) / two.clone())
}

#[test]
fn generic_code_is_deferred_and_gives_the_plain_values() {
    thread_local!(static READ: Cell<u32> = const { Cell::new(0) });
    let number = lazy(|| {
        READ.set(READ.get() + 1);
        2.0
    });
    let deferred = root(&number, ResultProxy::one(), 6);
    assert_eq!(READ.get(), 0);
    assert_eq!(deferred, root(&2.0, 1.0, 6));
    assert_eq!(READ.get(), 1);
    let big = || BigInt::from(10).pow(40_u32);
    assert_eq!(*root(&ready(big()), ready(big()), 200), root(&big(), big(), 200));
}
