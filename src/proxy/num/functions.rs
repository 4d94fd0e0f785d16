//! Functions of numbers as associated functions of the proxy, deferred: `ResultProxy::sqrt(&p)`.
//!
//! Owns one table of functions, and the trait by which their other arguments are plain or proxies. They are not
//! methods, because `p.sqrt()` goes on meaning the method of the value, which waits for it. Each gives what the same
//! function of the plain values gives, NaN and panics included, when it is evaluated.

use crate::proxy::ResultProxy;
use crate::proxy::deferred::{binary, ready, ternary, unary};
use crate::proxy::steps::symbol;
use num_traits::{Euclid, Float, MulAdd, Pow, Signed};

/// A plain value, or a proxy of one, owned or borrowed: what deferred functions take besides the proxy.
///
/// ```
/// use xfork::{ResultProxy, ready};
///
/// let (base, exponent) = (ready(2.0), ready(3.0));
/// assert_eq!(ResultProxy::powf(&base, 3.0), 8.0);
/// assert_eq!(ResultProxy::powf(&base, &exponent), 8.0);
/// assert_eq!(ResultProxy::powf(&base, exponent), 8.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `{T}` nor a proxy of one",
    label = "expected `{T}`, `ResultProxy<{T}>` or `&ResultProxy<{T}>`"
)]
pub trait ValueOrProxy<T: Send + 'static> {
    /// The value as a proxy.
    ///
    /// ```
    /// use xfork::numbers::ValueOrProxy;
    /// assert_eq!(ValueOrProxy::<u8>::into_proxy(7), 7);
    /// ```
    fn into_proxy(self) -> ResultProxy<T>;
}

impl<T: Send + 'static> ValueOrProxy<T> for T {
    fn into_proxy(self) -> ResultProxy<T> {
        ready(self)
    }
}

impl<T: Send + 'static> ValueOrProxy<T> for ResultProxy<T> {
    fn into_proxy(self) -> Self {
        self
    }
}

impl<T: Send + 'static> ValueOrProxy<T> for &ResultProxy<T> {
    fn into_proxy(self) -> ResultProxy<T> {
        self.clone()
    }
}

/// Deferred functions: the name, further arguments, what is applied, and an example over plain values.
///
/// Every function is one per name for all `T`, by a bound and not by a list of types, so that
/// `ResultProxy::sqrt(&p)` is found before the type of `p` is known.
macro_rules! functions {
    ($([$($bound:tt)*] {$(
        $(#[$doc:meta])*
        $name:ident($($argument:ident: $Argument:ty),*) = $apply:expr, ($first:expr $(, $rest:expr)*) => $value:expr;
    )*})*) => {$(
        impl<T: $($bound)* + Clone + Send + Sync + 'static> ResultProxy<T> {$(
            $(#[$doc])*
            ///
            /// ```
            /// use xfork::{ResultProxy, ready};
            #[doc = concat!(
                "assert_eq!(ResultProxy::", stringify!($name), "(&ready(", stringify!($first), ")",
                $(", ", stringify!($rest),)* "), ", stringify!($value), ");",
            )]
            /// ```
            #[track_caller]
            pub fn $name(this: &Self, $($argument: impl ValueOrProxy<$Argument>),*) -> Self {
                functions! { @defer $name, $apply, this.clone() $(, $argument.into_proxy())* }
            }
        )*}
    )*};
    (@defer $name:ident, $apply:expr, $this:expr) => {
        unary(symbol!(stringify!($name)), $this, $apply)
    };
    (@defer $name:ident, $apply:expr, $this:expr, $other:expr) => {
        binary(symbol!(stringify!($name)), $this, $other, $apply)
    };
    (@defer $name:ident, $apply:expr, $this:expr, $second:expr, $third:expr) => {
        ternary(symbol!(stringify!($name)), $this, $second, $third, $apply)
    };
}

functions! {
    [Float] {
        /// The square root, deferred.
        sqrt() = Float::sqrt, (9.0) => 3.0;
        /// The cube root, deferred.
        cbrt() = Float::cbrt, (8.0) => 2.0;
        /// The sine of an angle in radians, deferred.
        sin() = Float::sin, (std::f64::consts::FRAC_PI_2) => 1.0;
        /// The cosine of an angle in radians, deferred.
        cos() = Float::cos, (std::f64::consts::PI) => -1.0;
        /// The tangent of an angle in radians, deferred.
        tan() = Float::tan, (0.0) => 0.0;
        /// The arcsine in radians, deferred.
        asin() = Float::asin, (1.0) => std::f64::consts::FRAC_PI_2;
        /// The arccosine in radians, deferred.
        acos() = Float::acos, (-1.0) => std::f64::consts::PI;
        /// The arctangent in radians, deferred.
        atan() = Float::atan, (1.0) => std::f64::consts::FRAC_PI_4;
        /// The angle in radians of the point whose ordinate this is, deferred.
        atan2(abscissa: T) = Float::atan2, (0.0, -1.0) => std::f64::consts::PI;
        /// The hyperbolic sine, deferred.
        sinh() = Float::sinh, (f64::INFINITY) => f64::INFINITY;
        /// The hyperbolic cosine, deferred.
        cosh() = Float::cosh, (0.0) => 1.0;
        /// The hyperbolic tangent, deferred.
        tanh() = Float::tanh, (f64::INFINITY) => 1.0;
        /// The inverse hyperbolic sine, deferred.
        asinh() = Float::asinh, (f64::INFINITY) => f64::INFINITY;
        /// The inverse hyperbolic cosine, deferred.
        acosh() = Float::acosh, (1.0) => 0.0;
        /// The inverse hyperbolic tangent, deferred.
        atanh() = Float::atanh, (1.0) => f64::INFINITY;
        /// *e* to the power of the value, deferred.
        exp() = Float::exp, (0.0) => 1.0;
        /// 2 to the power of the value, deferred.
        exp2() = Float::exp2, (3.0) => 8.0;
        /// *e* to the power of the value, less 1, deferred; exact near 0.
        exp_m1() = Float::exp_m1, (1e-20) => 1e-20;
        /// The natural logarithm, deferred.
        ln() = Float::ln, (std::f64::consts::E) => 1.0;
        /// The natural logarithm of the value and 1, deferred; exact near 0.
        ln_1p() = Float::ln_1p, (1e-20) => 1e-20;
        /// The logarithm to any base, deferred.
        log(base: T) = Float::log, (9.0, 3.0) => 2.0;
        /// The logarithm to base 2, deferred.
        log2() = Float::log2, (8.0) => 3.0;
        /// The logarithm to base 10, deferred.
        log10() = Float::log10, (100.0) => 2.0;
        /// A power with a float for an exponent, deferred.
        powf(exponent: T) = Float::powf, (2.0, 3.0) => 8.0;
        /// A power of a float with an integer for an exponent, deferred.
        powi(exponent: i32) = Float::powi, (2.0, -1) => 0.5;
        /// The length of the hypotenuse over two legs, deferred.
        hypot(other: T) = Float::hypot, (3.0, 4.0) => 5.0;
        /// One divided by the value, deferred.
        recip() = Float::recip, (4.0) => 0.25;
        /// The largest integer that is not larger, deferred.
        floor() = Float::floor, (-1.5) => -2.0;
        /// The smallest integer that is not smaller, deferred.
        ceil() = Float::ceil, (-1.5) => -1.0;
        /// The nearest integer, halves away from 0, deferred.
        round() = Float::round, (2.5) => 3.0;
        /// The integer part, deferred.
        trunc() = Float::trunc, (-1.5) => -1.0;
        /// The fractional part, deferred.
        fract() = Float::fract, (1.5) => 0.5;
        /// The value with the sign of another, deferred.
        copysign(sign: T) = Float::copysign, (1.0, -2.0) => -1.0;
        /// An angle given in radians, in degrees, deferred.
        to_degrees() = Float::to_degrees, (std::f64::consts::PI) => 180.0;
        /// An angle given in degrees, in radians, deferred.
        to_radians() = Float::to_radians, (180.0) => std::f64::consts::PI;
    }
    [Signed] {
        /// The absolute value, deferred.
        abs() = |value: T| value.abs(), (-3) => 3;
        /// 1, 0 or -1 by the sign of an integer, and 1.0 or -1.0 by that of a float, deferred.
        signum() = |value: T| value.signum(), (-3) => -1;
    }
    [Euclid] {
        /// The quotient of the division whose remainder is not negative, deferred.
        div_euclid(divisor: T) = |left: T, right: T| left.div_euclid(&right), (-7, 3) => -3;
        /// The remainder that is not negative, deferred.
        rem_euclid(divisor: T) = |left: T, right: T| left.rem_euclid(&right), (-7, 3) => 2;
    }
    [MulAdd<Output = T>] {
        /// The value times a factor, plus a term, deferred; floats are rounded once.
        mul_add(factor: T, term: T) = MulAdd::mul_add, (2.0, 3.0, 4.0) => 10.0;
    }
    [Pow<u32, Output = T>] {
        /// A power of an integer, deferred.
        ///
        /// Floats have [`powi`](Self::powi) and [`powf`](Self::powf); for other exponents there is
        /// `num_traits::Pow`, which proxies implement.
        pow(exponent: u32) = Pow::pow, (2, 10) => 1024;
    }
    [PartialOrd] {
        /// The smaller of two values, deferred; the other one if one is NaN.
        min(other: T) = smaller, (3, 4) => 3;
        /// The larger of two values, deferred; the other one if one is NaN.
        max(other: T) = larger, (3, 4) => 4;
        /// The value within limits, deferred.
        ///
        /// Evaluating it panics, as for plain values, when the lower limit is above the upper one, or one is NaN.
        clamp(min: T, max: T) = within, (7, 1, 5) => 5;
    }
}

impl<T: Float + Send + Sync + 'static> ResultProxy<T> {
    /// The sine and the cosine of an angle in radians, deferred.
    ///
    /// ```
    /// use xfork::{ResultProxy, ready};
    /// let (sine, cosine) = ResultProxy::sin_cos(&ready(0.0));
    /// assert_eq!(sine, 0.0);
    /// assert_eq!(cosine, 1.0);
    /// ```
    #[track_caller]
    pub fn sin_cos(this: &Self) -> (Self, Self) {
        ResultProxy::unzip(unary(symbol!("sin_cos"), this.clone(), Float::sin_cos))
    }
}

/// As `Ord::min` and `f64::min`, for which there is no common trait but the order.
fn smaller<T: PartialOrd>(left: T, right: T) -> T {
    if right < left || is_nan(&left) { right } else { left }
}

fn larger<T: PartialOrd>(left: T, right: T) -> T {
    if right >= left || is_nan(&left) { right } else { left }
}

fn within<T: PartialOrd>(value: T, min: T, max: T) -> T {
    assert!(min <= max);
    if value < min {
        min
    } else if value > max {
        max
    } else {
        value
    }
}

/// Whether a value has no place in the order of its type.
fn is_nan<T: PartialOrd>(value: &T) -> bool {
    value.partial_cmp(value).is_none()
}
