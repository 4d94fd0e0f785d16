//! Operators on proxies: arithmetic that builds expressions instead of waiting.
//!
//! Owns one table of operators and one of plain operand types, from which every combination of `proxy`, `&proxy` and
//! plain value is made, and the sums and products of many proxies. Promises that no operator blocks or computes, that
//! the value is what the same expression over plain values gives (with its panics, when it is evaluated), that the
//! left operand's failure is the one reported, and that an operand nobody else points to is moved, not cloned.
//! When and by whom an expression is evaluated is not decided here.

use super::ResultProxy;
use super::deferred::{assign, assign_plain, binary, folded, plain_left, plain_right, unary};
use crate::proxy::steps::symbol;
use std::iter::{Product, Sum};
use std::num::{Saturating, Wrapping};
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul,
    MulAssign, Neg, Not, Rem, RemAssign, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign,
};
use std::time::{Duration, Instant, SystemTime};

/// Joins values of a user's own type to the operators and comparisons of proxies, by one line.
///
/// Proxies of any type combine with each other by whatever operators the type has. For a plain value on the right
/// (`proxy * matrix`, `proxy += matrix`, `proxy == matrix`), and for `proxy += other_proxy`, the type says that it
/// is an operand: by [`#[derive(xfork::Operand)]`](macro@crate::Operand), or by `impl xfork::Operand for Matrix {}`. Numbers, `bool`, strings and times combine with proxies without it. [`operators`](crate::operators) shows
/// what holds for which types.
///
/// ```
/// use xfork::{Operand, ready};
///
/// #[derive(Clone, Debug, PartialEq, Operand)]
/// struct Vector(f64, f64);
///
/// impl std::ops::Add for Vector {
///     type Output = Self;
///     fn add(self, other: Self) -> Self { Self(self.0 + other.0, self.1 + other.1) }
/// }
///
/// let mut sum = ready(Vector(1.0, 2.0)) + Vector(3.0, 4.0);
/// sum += ready(Vector(0.5, 0.5));
/// assert_eq!(sum, Vector(4.5, 6.5));
/// ```
///
/// A plain value on the *left* (`vector + proxy`, `vector == proxy`) is beyond a trait: only the crate that owns the
/// type may implement an operator for it. The derive does, the line `impl Operand for Vector {}` does not.
///
/// ```
/// # use xfork::{Operand, ready};
/// # #[derive(Clone, Debug, PartialEq, Operand)]
/// # struct Vector(f64, f64);
/// # impl std::ops::Add for Vector {
/// #     type Output = Self;
/// #     fn add(self, other: Self) -> Self { Self(self.0 + other.0, self.1 + other.1) }
/// # }
/// let p = ready(Vector(3.0, 4.0));
/// assert_eq!(Vector(4.0, 6.0), Vector(1.0, 2.0) + &p);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operand of proxies",
    note = "if the type is yours, write `#[derive(xfork::Operand)]` before it, or \
            `impl xfork::Operand for {Self} {{}}`; else wrap the value: `ready(value)`"
)]
pub trait Operand: Clone + Send + Sync + 'static {}

/// The operators with a value of a user's type on the left, for the output of `#[derive(Operand)]`.
///
/// The traits are those of the *right* operand: `U: left::Add<Vector>` where `Vector: Add<U>`. An implementation for
/// `ResultProxy<U>` with a condition on `<Vector as Add<U>>::Output` has the compiler look for an
/// `Add<ResultProxy<ResultProxy<…>>>` without end (E0275) wherever it does not know the right operand yet, as in
/// `Add::add(v, w)`. Of a trait whose implementing type is unknown it asks nothing.
pub mod left {
    use super::{ResultProxy, plain_left, symbol};
    use std::ops;

    macro_rules! operators {
        ($($Op:ident::$op:ident $symbol:literal;)*) => {$(
            #[doc = concat!("What can be the right operand of `left ", $symbol, " right`.")]
            pub trait $Op<V>: Send + Sized + 'static {
                /// What the plain operator gives.
                type Output: Send + 'static;

                /// The deferred value.
                #[track_caller]
                fn $op(left: V, right: ResultProxy<Self>) -> ResultProxy<Self::Output>;
            }

            impl<V, U> $Op<V> for U
            where
                V: ops::$Op<U> + Send + 'static,
                U: Clone + Send + Sync + 'static,
                <V as ops::$Op<U>>::Output: Send + 'static,
            {
                type Output = <V as ops::$Op<U>>::Output;

                #[track_caller]
                fn $op(left: V, right: ResultProxy<U>) -> ResultProxy<<V as ops::$Op<U>>::Output> {
                    plain_left(symbol!($symbol), left, right, <V as ops::$Op<U>>::$op)
                }
            }
        )*};
    }

    operators! {
        Add::add "+"; Sub::sub "-"; Mul::mul "*"; Div::div "/"; Rem::rem "%";
        BitAnd::bitand "&"; BitOr::bitor "|"; BitXor::bitxor "^"; Shl::shl "<<"; Shr::shr ">>";
    }
}

/// Operators between proxies.
macro_rules! operators {
    ($($Op:ident::$op:ident $symbol:literal;)*) => {$(
        operators! { @pair $Op::$op $symbol, (ResultProxy<T>) (ResultProxy<U>), |left, right| (left, right) }
        operators! { @pair $Op::$op $symbol, (ResultProxy<T>) (&ResultProxy<U>), |left, right| (left, right.clone()) }
        operators! { @pair $Op::$op $symbol, (&ResultProxy<T>) (ResultProxy<U>), |left, right| (left.clone(), right) }
        operators! { @pair $Op::$op $symbol, (&ResultProxy<T>) (&ResultProxy<U>), |left, right| (left.clone(), right.clone()) }
    )*};
    (@pair $Op:ident::$op:ident $symbol:literal, ($Left:ty) ($Right:ty), |$left:ident, $right:ident| $proxies:expr) => {
        impl<T, U> $Op<$Right> for $Left
        where
            T: $Op<U> + Clone + Send + Sync + 'static,
            U: Clone + Send + Sync + 'static,
            <T as $Op<U>>::Output: Send + 'static,
        {
            type Output = ResultProxy<<T as $Op<U>>::Output>;

            #[track_caller]
            fn $op(self, right: $Right) -> Self::Output {
                let ($left, $right) = (self, right);
                let (left, right) = $proxies;
                binary(symbol!($symbol), left, right, T::$op)
            }
        }
    };
}

operators! {
    Add::add "+"; Sub::sub "-"; Mul::mul "*"; Div::div "/"; Rem::rem "%";
    BitAnd::bitand "&"; BitOr::bitor "|"; BitXor::bitxor "^"; Shl::shl "<<"; Shr::shr ">>";
}

/// Operators between a proxy and a value of a user's type.
macro_rules! operands {
    ($($Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal;)*) => {$(
        impl<T, V: Operand> $Op<V> for ResultProxy<T>
        where
            T: $Op<V> + Clone + Send + Sync + 'static,
            <T as $Op<V>>::Output: Send + 'static,
        {
            type Output = ResultProxy<<T as $Op<V>>::Output>;

            #[track_caller]
            fn $op(self, right: V) -> Self::Output {
                plain_right(symbol!($symbol), self, right, T::$op)
            }
        }

        impl<T, V: Operand> $Op<V> for &ResultProxy<T>
        where
            T: $Op<V> + Clone + Send + Sync + 'static,
            <T as $Op<V>>::Output: Send + 'static,
        {
            type Output = ResultProxy<<T as $Op<V>>::Output>;

            #[track_caller]
            fn $op(self, right: V) -> Self::Output {
                plain_right(symbol!($symbol), self.clone(), right, T::$op)
            }
        }

        impl<T, V: Operand> $Assign<V> for ResultProxy<T>
        where
            T: $Op<V, Output = T> + Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $assign(&mut self, right: V) {
                assign_plain(symbol!($symbol), self, right, T::$op);
            }
        }
    )*};
}

operands! {
    Add::add, AddAssign::add_assign "+";
    Sub::sub, SubAssign::sub_assign "-";
    Mul::mul, MulAssign::mul_assign "*";
    Div::div, DivAssign::div_assign "/";
    Rem::rem, RemAssign::rem_assign "%";
    BitAnd::bitand, BitAndAssign::bitand_assign "&";
    BitOr::bitor, BitOrAssign::bitor_assign "|";
    BitXor::bitxor, BitXorAssign::bitxor_assign "^";
}

/// What a proxy's value may be shifted by: an integer, or a value of a user's type.
pub(crate) trait Distance: Send + 'static {}

impl<V: Operand> Distance for V {}

macro_rules! distances {
    ($($integer:ty)*) => {$(impl Distance for $integer {})*};
}

distances! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// Shifts of a proxy by a plain value.
///
/// Every integer can be shifted by every integer, so the type of a literal distance stays open. That the result is a
/// `T` whatever the distance lets the compiler go on: `(proxy << 1) + 1`.
macro_rules! shifts {
    ($($Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal;)*) => {$(
        impl<T, V: Distance> $Op<V> for ResultProxy<T>
        where
            T: $Op<V, Output = T> + Clone + Send + Sync + 'static,
        {
            type Output = Self;

            #[track_caller]
            fn $op(self, distance: V) -> Self {
                plain_right(symbol!($symbol), self, distance, T::$op)
            }
        }

        impl<T, V: Distance> $Op<V> for &ResultProxy<T>
        where
            T: $Op<V, Output = T> + Clone + Send + Sync + 'static,
        {
            type Output = ResultProxy<T>;

            #[track_caller]
            fn $op(self, distance: V) -> ResultProxy<T> {
                self.clone().$op(distance)
            }
        }

        impl<T, V: Distance> $Assign<V> for ResultProxy<T>
        where
            T: $Op<V, Output = T> + Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $assign(&mut self, distance: V) {
                assign_plain(symbol!($symbol), self, distance, T::$op);
            }
        }
    )*};
}

shifts! {
    Shl::shl, ShlAssign::shl_assign "<<";
    Shr::shr, ShrAssign::shr_assign ">>";
}

/// `proxy op= other_proxy`, for the operators that have no say about text.
macro_rules! assignments {
    ($($Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal;)*) => {$(
        impl<T, U> $Assign<ResultProxy<U>> for ResultProxy<T>
        where
            T: $Op<U, Output = T> + Clone + Send + Sync + 'static,
            U: Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $assign(&mut self, right: ResultProxy<U>) {
                assign(symbol!($symbol), self, right, T::$op);
            }
        }

        impl<T, U> $Assign<&ResultProxy<U>> for ResultProxy<T>
        where
            T: $Op<U, Output = T> + Clone + Send + Sync + 'static,
            U: Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $assign(&mut self, right: &ResultProxy<U>) {
                assign(symbol!($symbol), self, right.clone(), T::$op);
            }
        }
    )*};
}

assignments! {
    Sub::sub, SubAssign::sub_assign "-";
    Mul::mul, MulAssign::mul_assign "*";
    Div::div, DivAssign::div_assign "/";
    Rem::rem, RemAssign::rem_assign "%";
    BitAnd::bitand, BitAndAssign::bitand_assign "&";
    BitOr::bitor, BitOrAssign::bitor_assign "|";
    BitXor::bitxor, BitXorAssign::bitxor_assign "^";
    Shl::shl, ShlAssign::shl_assign "<<";
    Shr::shr, ShrAssign::shr_assign ">>";
}

/// Operators between a proxy and a plain value of the types given, the value on the left, the right or both.
///
/// One implementation per type, where a trait over all of them would do, because then the compiler sees by `T`'s own
/// operators which type an integer literal has. `@N` introduces the parameter of a generic type.
macro_rules! plain_operands {
    ($($side:ident $operators:tt: $($(@$generic:ident)? $plain:ty),*;)*) => {$($(
        plain_operands! { @$side $operators [$($generic)?] $plain }
    )*)*};
    (@both $operators:tt $generic:tt $plain:ty) => {
        plain_operands! { @left $operators $generic $plain }
        plain_operands! { @right $operators $generic $plain }
    };
    (@right {$($Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal;)*} $generic:tt $plain:ty) => {$(
        plain_operands! { @one_right $Op::$op, $Assign::$assign $symbol, $generic $plain }
    )*};
    (@left {$($Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal;)*} $generic:tt $plain:ty) => {$(
        plain_operands! { @one_left $Op::$op $symbol, $generic $plain }
    )*};
    (
        @one_right $Op:ident::$op:ident, $Assign:ident::$assign:ident $symbol:literal,
        [$($generic:ident)?] $plain:ty
    ) => {
        impl<T $(, $generic)?> $Op<$plain> for ResultProxy<T>
        where
            T: $Op<$plain> + Clone + Send + Sync + 'static,
            <T as $Op<$plain>>::Output: Send + 'static,
            $($generic: Send + 'static,)?
        {
            type Output = ResultProxy<<T as $Op<$plain>>::Output>;

            #[track_caller]
            fn $op(self, right: $plain) -> Self::Output {
                plain_right(symbol!($symbol), self, right, T::$op)
            }
        }

        impl<T $(, $generic)?> $Op<$plain> for &ResultProxy<T>
        where
            T: $Op<$plain> + Clone + Send + Sync + 'static,
            <T as $Op<$plain>>::Output: Send + 'static,
            $($generic: Send + 'static,)?
        {
            type Output = ResultProxy<<T as $Op<$plain>>::Output>;

            #[track_caller]
            fn $op(self, right: $plain) -> Self::Output {
                plain_right(symbol!($symbol), self.clone(), right, T::$op)
            }
        }

        impl<T $(, $generic)?> $Assign<$plain> for ResultProxy<T>
        where
            T: $Op<$plain, Output = T> + Clone + Send + Sync + 'static,
            $($generic: Send + 'static,)?
        {
            #[track_caller]
            fn $assign(&mut self, right: $plain) {
                assign_plain(symbol!($symbol), self, right, T::$op);
            }
        }
    };
    (@one_left $Op:ident::$op:ident $symbol:literal, [$($generic:ident)?] $plain:ty) => {
        impl<T $(, $generic)?> $Op<ResultProxy<T>> for $plain
        where
            T: left::$Op<$plain>,
            $($generic: Send + 'static,)?
        {
            type Output = ResultProxy<<T as left::$Op<$plain>>::Output>;

            #[track_caller]
            fn $op(self, right: ResultProxy<T>) -> Self::Output {
                <T as left::$Op<$plain>>::$op(self, right)
            }
        }

        impl<T $(, $generic)?> $Op<&ResultProxy<T>> for $plain
        where
            T: left::$Op<$plain>,
            $($generic: Send + 'static,)?
        {
            type Output = ResultProxy<<T as left::$Op<$plain>>::Output>;

            #[track_caller]
            fn $op(self, right: &ResultProxy<T>) -> Self::Output {
                <T as left::$Op<$plain>>::$op(self, right.clone())
            }
        }
    };
}

plain_operands! {
    both {
        Add::add, AddAssign::add_assign "+";
        Sub::sub, SubAssign::sub_assign "-";
        Mul::mul, MulAssign::mul_assign "*";
        Div::div, DivAssign::div_assign "/";
        Rem::rem, RemAssign::rem_assign "%";
    }: i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64,
        @N Wrapping<N>, @N Saturating<N>;
    both {
        BitAnd::bitand, BitAndAssign::bitand_assign "&";
        BitOr::bitor, BitOrAssign::bitor_assign "|";
        BitXor::bitxor, BitXorAssign::bitxor_assign "^";
    }: i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, bool,
        @N Wrapping<N>, @N Saturating<N>;
    left {
        Shl::shl, ShlAssign::shl_assign "<<";
        Shr::shr, ShrAssign::shr_assign ">>";
    }: i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, @N Wrapping<N>;
    both {
        Add::add, AddAssign::add_assign "+";
        Sub::sub, SubAssign::sub_assign "-";
        Mul::mul, MulAssign::mul_assign "*";
        Div::div, DivAssign::div_assign "/";
    }: Duration;
    left {
        Add::add, AddAssign::add_assign "+";
        Sub::sub, SubAssign::sub_assign "-";
    }: Instant, SystemTime;
    // The time between two instants. Of system times there is none: `duration_since` may fail.
    right {
        Sub::sub, SubAssign::sub_assign "-";
    }: Instant;
    // Not on the left: `String + &string` compiles by a coercion that needs `Add<&str>` to be the only choice.
    right {
        Add::add, AddAssign::add_assign "+";
    }: &'static str;
}

macro_rules! unary {
    ($($Op:ident::$op:ident $symbol:literal;)*) => {$(
        impl<T> $Op for ResultProxy<T>
        where
            T: $Op + Clone + Send + Sync + 'static,
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn $op(self) -> Self::Output {
                unary(symbol!($symbol), self, T::$op)
            }
        }

        impl<T> $Op for &ResultProxy<T>
        where
            T: $Op + Clone + Send + Sync + 'static,
            T::Output: Send + 'static,
        {
            type Output = ResultProxy<T::Output>;

            #[track_caller]
            fn $op(self) -> Self::Output {
                unary(symbol!($symbol), self.clone(), T::$op)
            }
        }
    )*};
}

unary! {
    Neg::neg "-";
    Not::not "!";
}

/// What `proxy += other_proxy` does to the value.
///
/// For numbers it is `+`, but text that two tasks return has to be appended too, and `String: Add<String>` does not
/// hold; an implementation for `String` next to one for all `T: Add<U>` is refused, because `std` may add just that
/// one day. Hence a trait over listed types, which users' types join as [`Operand`]s.
#[diagnostic::on_unimplemented(
    message = "`+=` can't add a proxy of `{U}` to a proxy of `{Self}`",
    note = "if the type `{Self}` is yours and has `+`, write `#[derive(xfork::Operand)]` before it, or \
            `impl xfork::Operand for {Self} {{}}`; else write `a = a + b`"
)]
pub(crate) trait Accumulate<U> {
    fn accumulate(self, more: U) -> Self;
}

macro_rules! accumulates_by_addition {
    ($($(<$generic:ident>)? [$sum:ty])*) => {$(
        impl<U $(, $generic)?> Accumulate<U> for $sum
        where
            $sum: Add<U, Output = $sum>,
        {
            fn accumulate(self, more: U) -> Self {
                self + more
            }
        }
    )*};
}

accumulates_by_addition! {
    [i8] [i16] [i32] [i64] [i128] [isize] [u8] [u16] [u32] [u64] [u128] [usize] [f32] [f64]
    [Duration] [Instant] [SystemTime] <N> [Wrapping<N>] <N> [Saturating<N>]
}

impl<T: Operand + AddTo<U>, U> Accumulate<U> for T {
    fn accumulate(self, more: U) -> Self {
        self.add_to(more)
    }
}

/// `T: Add<U, Output = T>`, by another name.
///
/// Written out in the implementation above, the compiler would look at the output before it sees that a proxy is no
/// operand, and would follow proxies of proxies of proxies without end: generic code bounded by
/// `ResultProxy<T>: AddAssign<T> + AddAssign<ResultProxy<T>>` could not be called (E0275).
pub(crate) trait AddTo<U> {
    fn add_to(self, more: U) -> Self;
}

impl<T: Add<U, Output = T>, U> AddTo<U> for T {
    fn add_to(self, more: U) -> Self {
        self + more
    }
}

impl Accumulate<String> for String {
    fn accumulate(self, more: String) -> Self {
        self + &more
    }
}

impl Accumulate<&'static str> for String {
    fn accumulate(self, more: &'static str) -> Self {
        self + more
    }
}

impl Accumulate<char> for String {
    fn accumulate(mut self, more: char) -> Self {
        self.push(more);
        self
    }
}

/// Adds a result that is not there yet, without waiting for either.
///
/// ```
/// use xfork::{ready, thread};
///
/// let mut text = ready(String::new());
/// for n in 1..=3 {
///     text += thread(|n: u32| n.to_string(), n);
/// }
/// assert_eq!(text, "123");
/// ```
impl<T, U> AddAssign<ResultProxy<U>> for ResultProxy<T>
where
    T: Accumulate<U> + Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    #[track_caller]
    fn add_assign(&mut self, right: ResultProxy<U>) {
        assign(symbol!("+"), self, right, T::accumulate);
    }
}

impl<T, U> AddAssign<&ResultProxy<U>> for ResultProxy<T>
where
    T: Accumulate<U> + Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    #[track_caller]
    fn add_assign(&mut self, right: &ResultProxy<U>) {
        assign(symbol!("+"), self, right.clone(), T::accumulate);
    }
}

impl AddAssign<String> for ResultProxy<String> {
    #[track_caller]
    fn add_assign(&mut self, right: String) {
        assign_plain(symbol!("+"), self, right, |left, right| left + &right);
    }
}

impl Add<String> for ResultProxy<String> {
    type Output = Self;

    #[track_caller]
    fn add(self, right: String) -> Self {
        plain_right(symbol!("+"), self, right, |left, right| left + &right)
    }
}

impl Add<String> for &ResultProxy<String> {
    type Output = ResultProxy<String>;

    #[track_caller]
    fn add(self, right: String) -> ResultProxy<String> {
        self.clone() + right
    }
}

macro_rules! folds {
    ($($(#[$doc:meta])* $Fold:ident::$fold:ident;)*) => {$(
        $(#[$doc])*
        impl<T> $Fold<ResultProxy<T>> for ResultProxy<T>
        where
            T: $Fold<T> + Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $fold<I: Iterator<Item = ResultProxy<T>>>(proxies: I) -> Self {
                folded(symbol!(stringify!($fold)), proxies.collect(), |values| values.$fold())
            }
        }

        impl<'a, T> $Fold<&'a ResultProxy<T>> for ResultProxy<T>
        where
            T: $Fold<T> + Clone + Send + Sync + 'static,
        {
            #[track_caller]
            fn $fold<I: Iterator<Item = &'a ResultProxy<T>>>(proxies: I) -> Self {
                proxies.cloned().$fold()
            }
        }
    )*};
}

folds! {
    /// The deferred sum of results.
    ///
    /// ```
    /// use xfork::{ResultProxy, map_thread};
    /// let sum: ResultProxy<u64> = map_thread(|n: u64| n * n, 1..=3).into_iter().sum();
    /// assert_eq!(sum, 14);
    /// ```
    Sum::sum;
    /// The deferred product of results.
    ///
    /// ```
    /// use xfork::{ResultProxy, map_thread};
    /// let product: ResultProxy<u64> = map_thread(|n: u64| n + 1, 1..=3).iter().product();
    /// assert_eq!(product, 24);
    /// ```
    Product::product;
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::proxy::{ProxyState, lazy, ready, rethrow};
    use std::panic::{catch_unwind, resume_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Every combination of `proxy`, `&proxy` and plain value, with what the operator gives for plain values.
    macro_rules! all_combinations {
        ($op:tt: $($type:ty: $left:literal, $right:literal;)*) => {$({
            let (left, right): ($type, $type) = ($left, $right);
            let expected = left $op right;
            let proxies = || (ready(left), lazy(move || right));
            let (p, q) = proxies();
            let by_reference: [ResultProxy<$type>; 3] = [&p $op &q, &p $op right, left $op &q];
            assert_eq!(by_reference, [expected; 3]);
            let mixed: [ResultProxy<$type>; 2] = [p.clone() $op &q, &p $op q.clone()];
            assert_eq!(mixed, [expected; 2]);
            assert_eq!(p.clone() $op right, expected);
            assert_eq!(left $op q.clone(), expected);
            assert_eq!(p $op q, expected);
            // Literals take the type of the proxy's value.
            let (p, q) = proxies();
            assert_eq!([&p $op $right, p $op $right, $left $op &q, $left $op q], [expected; 4]);
        })*};
    }

    macro_rules! all_types {
        ($($op:tt)*) => {$(all_combinations! { $op:
            i8: 20, 3; i16: 20, 3; i32: 20, 3; i64: 20, 3; i128: 20, 3; isize: 20, 3;
            u8: 20, 3; u16: 20, 3; u32: 20, 3; u64: 20, 3; u128: 20, 3; usize: 20, 3;
            f32: 20.5, 3.25; f64: 20.5, 3.25;
        })*};
    }

    macro_rules! all_integers {
        ($($op:tt)*) => {$(all_combinations! { $op:
            i8: 20, 3; i16: 20, 3; i32: 20, 3; i64: 20, 3; i128: 20, 3; isize: 20, 3;
            u8: 20, 3; u16: 20, 3; u32: 20, 3; u64: 20, 3; u128: 20, 3; usize: 20, 3;
        })*};
    }

    #[test]
    fn every_combination_gives_what_plain_arithmetic_gives() {
        all_types!(+ - * / %);
    }

    #[test]
    fn every_combination_gives_what_plain_bit_operations_give() {
        all_integers!(& | ^);
        all_combinations!(&: bool: true, false;);
        all_combinations!(|: bool: true, false;);
        all_combinations!(^: bool: true, false;);
    }

    #[test]
    fn shifts_and_unary_operators_are_deferred() {
        let p = ready(20_u64);
        let shifted: [ResultProxy<u64>; 4] = [&p << 2_u8, &p >> 2_i64, &p << ready(2_u32), 1_u64 << &p];
        assert_eq!(shifted, [80, 5, 80, 1 << 20]);
        assert_eq!(!&p, !20);
        assert_eq!((&p << 1) + (p >> 1), 50);
        let mut p = ready(20_u64);
        p <<= 1;
        assert_eq!(p, 40);
        assert_eq!(-ready(3), -3);
        assert_eq!(-&ready(2.5), -2.5);
        assert_eq!(!ready(true), false);
    }

    #[test]
    fn every_assignment_gives_what_plain_arithmetic_gives() {
        macro_rules! all_assignments {
            ($($op:tt)*) => {$({
                let mut plain = 20_u32;
                let mut p = ready(plain);
                let q = ready(3_u32);
                plain $op 3;
                plain $op 3;
                plain $op 3;
                p $op 3_u32;
                p $op &q;
                p $op q;
                assert_eq!(p, plain, stringify!($op));
            })*};
        }
        all_assignments!(+= -= *= /= %= &= |= ^= <<= >>=);
        let mut p = ready(20_u64);
        p += 1;
        p -= 2;
        p *= 3;
        assert_eq!(p, 57);
    }

    #[test]
    fn types_that_differ_combine_as_they_do_plain() {
        let second = Duration::from_secs(1);
        assert_eq!(ready(second) * 3, second * 3);
        assert_eq!(3 * ready(second), second * 3);
        assert_eq!(second + ready(second) - second / 2, second * 3 / 2);
        let now = Instant::now();
        assert_eq!(*(ready(now) + second), now + second);
        assert_eq!(ready(now + second) - ready(now), second);
        assert_eq!([ready(now + second) - now, (now + second) - &ready(now)], [second; 2]);
        assert_eq!(now - ready(second) + second, now);
        let today = SystemTime::UNIX_EPOCH;
        assert_eq!(today + ready(second) - second, today);
        let mut later = ready(now);
        later += ready(second);
        assert_eq!(*later, now + second);
        let mut wrapping = ready(Wrapping(250_u8));
        wrapping += ready(Wrapping(10));
        assert_eq!(wrapping, Wrapping(4));
        wrapping -= Wrapping(5);
        assert_eq!(Wrapping(1) + wrapping * Wrapping(2), Wrapping(255_u8));
        assert_eq!(Saturating(1) - ready(Saturating(2_u8)), Saturating(0));
    }

    #[test]
    fn no_operator_evaluates() {
        let never = || lazy(|| -> u64 { unreachable!("nobody has asked for it") });
        let mut p = never() + &never() * 2 - 1 / never() % (never() << 1_u32);
        p += never();
        p &= !never();
        assert_eq!(ResultProxy::state(&p), ProxyState::Deferred);
        assert_eq!(ResultProxy::state(&(ready(1) + ready(2))), ProxyState::Deferred);
    }

    #[test]
    fn text_of_a_thousand_terms() {
        let mut text = ready(String::new());
        let mut plain = String::new();
        for n in 0..MANY.min(1000) {
            text += lazy(move || n.to_string());
            text += &ready(',');
            text += ready("-");
            text += " ";
            plain += &format!("{n},- ");
        }
        assert_eq!(text, plain);
    }

    #[test]
    fn text_combines_with_plain_text() {
        let middle = ready("b".to_string());
        assert_eq!(ready(String::from("a")) + "b" + ready("c") + String::from("d"), "abcd");
        assert_eq!(String::from("a") + &middle, "ab");
        let mut text = &middle + String::from("c");
        text += String::from("d");
        assert_eq!(text, "bcd");
        assert_eq!(middle, "b");
    }

    fn fails(with: &'static str) -> ResultProxy<u32> {
        lazy(move || resume_unwind(Box::new(with)))
    }

    fn message<T: Send + 'static>(proxy: &ResultProxy<T>) -> String {
        ResultProxy::error(proxy).expect("an operand has failed").message().into_owned()
    }

    #[test]
    fn the_left_operands_failure_is_the_one_reported() {
        assert_eq!(message(&(fails("left") + fails("right"))), "left");
        assert_eq!(message(&(ready(1) + fails("right"))), "right");
        assert_eq!(message(&(fails("left") / ready(0))), "left");
        assert_eq!(
            message(&[ready(1), fails("second"), fails("third")].iter().sum::<ResultProxy<_>>()),
            "second"
        );
    }

    #[test]
    fn a_failure_that_only_went_through_an_expression_is_not_seen() {
        let left = fails("left");
        let sum = &left + 1;
        crate::core::wait::wait(&sum.any_slot(), None).unwrap();
        assert!(!left.settled().unwrap_err().is_seen());
        ResultProxy::error(&sum);
        assert!(left.settled().unwrap_err().is_seen());
    }

    #[test]
    fn evaluation_panics_as_plain_arithmetic_does() {
        let zero = ready(0_i32);
        let quotient = 1 / &zero;
        let plain = catch_unwind(|| 1 / std::hint::black_box(0)).map(drop).unwrap_err();
        let ours = catch_unwind(|| quotient.abs()).map(drop).unwrap_err();
        let text = |payload: &Box<dyn std::any::Any + Send>| {
            let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
            literal.or_else(|| payload.downcast_ref::<String>().cloned())
        };
        assert_eq!(text(&ours), text(&plain));
        assert!(
            ResultProxy::error(&(&quotient + 1))
                .unwrap()
                .same_failure(&ResultProxy::error(&quotient).unwrap())
        );

        let overflowing = ready(u8::MAX) + 1;
        let plain = catch_unwind(|| std::hint::black_box(u8::MAX) + 1);
        match plain {
            Ok(wrapped) => assert_eq!(overflowing, wrapped),
            Err(payload) => assert_eq!(text(&catch_unwind(|| *overflowing).unwrap_err()), text(&payload)),
        }
    }

    /// Counts how often it is cloned.
    #[derive(Debug)]
    struct Counted(u64, Arc<AtomicUsize>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.1.fetch_add(1, Ordering::Relaxed);
            Self(self.0, self.1.clone())
        }
    }

    impl Add for Counted {
        type Output = Self;
        fn add(self, other: Self) -> Self {
            Self(self.0 + other.0, self.1)
        }
    }

    impl Sum for Counted {
        fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
            values.reduce(|a, b| a + b).expect("some values")
        }
    }

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Operand for Counted {}

    #[test]
    fn an_operand_that_nobody_else_holds_is_moved() {
        let clones = Arc::new(AtomicUsize::new(0));
        let counted = |n| ready(Counted(n, clones.clone()));
        let mut sum = counted(1)
            + counted(2)
            + lazy({
                let clones = clones.clone();
                move || Counted(3, clones)
            });
        sum += counted(4);
        sum += Counted(5, clones.clone());
        sum += [counted(6), counted(7)].into_iter().sum::<ResultProxy<_>>();
        assert_eq!(ResultProxy::into_inner(sum).0, 28);
        assert_eq!(clones.load(Ordering::Relaxed), 0);

        let shared = counted(1);
        assert_eq!((&shared + &shared).0, 2);
        assert_eq!(shared, Counted(1, clones.clone()));
        assert_eq!(clones.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_shared_term_is_evaluated_once() {
        let mut sum = ready(1_u64);
        for _ in 0..50 {
            sum = &sum + &sum;
        }
        assert_eq!(sum, 1 << 50);
    }

    const MANY: u64 = if cfg!(miri) { 200 } else { 1_000_000 };

    /// Too small a stack for even a thousand nested calls per frame of the real thing.
    fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new().stack_size(256 * 1024).spawn(test).unwrap().join().unwrap();
    }

    #[test]
    fn a_chain_of_one_million_evaluates_and_drops_without_recursion() {
        on_a_small_stack(|| {
            let chain = || (0..MANY).fold(lazy(|| 0_u64), |sum, _| sum + 1);
            assert_eq!(chain(), MANY);
            drop(chain());
        });
    }

    #[test]
    fn a_chain_to_the_right_evaluates_and_drops_without_recursion() {
        on_a_small_stack(|| {
            let chain = || (0..MANY).fold(lazy(|| 0_u64), |sum, _| ready(1) + sum);
            assert_eq!(chain(), MANY);
            drop(chain());
        });
    }

    #[test]
    fn a_sum_of_many_takes_linear_time() {
        let terms: Vec<_> = (0..MANY / 10).map(|n| lazy(move || n)).collect();
        let sum: ResultProxy<u64> = terms.iter().sum();
        let product: ResultProxy<u64> = terms.into_iter().skip(1).take(10).product();
        assert_eq!(ResultProxy::state(&sum), ProxyState::Deferred);
        assert_eq!(sum, (0..MANY / 10).sum::<u64>());
        assert_eq!(product, 3_628_800);
        assert_eq!(std::iter::empty::<ResultProxy<u8>>().sum::<ResultProxy<u8>>(), 0);
    }

    #[test]
    fn a_sum_of_floats_is_added_in_order() {
        let terms = [1e16, 1.0, -1e16, 1.0, 0.1];
        let sum: ResultProxy<f64> = terms.iter().map(|&term| ready(term)).sum();
        assert_eq!(sum.to_bits(), terms.iter().sum::<f64>().to_bits());
    }

    #[test]
    fn the_failure_of_a_term_is_rethrown_by_the_sum() {
        let sum = ready(1) + fails("no");
        let payload = catch_unwind(|| rethrow(&ResultProxy::error(&sum).unwrap())).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"no"));
        assert_eq!(*catch_unwind(|| *sum).unwrap_err().downcast::<&str>().unwrap(), "no");
    }
}
