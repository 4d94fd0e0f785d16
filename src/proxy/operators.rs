//! What `operators.md` claims: every cell of its tables is asked of the compiler, those that say "no" as well.

use crate::proxy::{Operand, ProxyState, ResultProxy, lazy, ready, wait};
use nalgebra::DMatrix;
use ndarray::Array1;
use std::marker::PhantomData;
use std::num::{Saturating, Wrapping};
use std::ops;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

type P<T> = ResultProxy<T>;
type R<T> = &'static ResultProxy<T>;

#[allow(dead_code, reason = "a bound of other implementations")]
trait IsProxy {}

impl<T: Send + 'static> IsProxy for P<T> {}

/// Which operators there are between an `L` and an `R`: constants of the names of the traits.
struct Ask<L, R>(PhantomData<(L, R)>);

impl<L, R> Otherwise for Ask<L, R> {}

/// The constants of [`Ask`]: true in an implementation that asks for the operator, which goes before the trait's.
macro_rules! asks {
    ($($Op:ident $Assign:ident)*; $($Unary:ident)*; $($Compare:ident)*) => {
        #[allow(non_upper_case_globals, dead_code, reason = "the names are those of the traits")]
        trait Otherwise {
            $(
                const $Op: bool = false;
                const $Assign: bool = false;
            )*
            $(const $Unary: bool = false;)*
            $(const $Compare: bool = false;)*
        }
        $(
            #[allow(non_upper_case_globals, reason = "as above")]
            impl<L: ops::$Op<R, Output: IsProxy>, R> Ask<L, R> {
                const $Op: bool = true;
            }
            #[allow(non_upper_case_globals, reason = "as above")]
            impl<L: ops::$Assign<R>, R> Ask<L, R> {
                const $Assign: bool = true;
            }
        )*
        $(
            #[allow(non_upper_case_globals, reason = "as above")]
            impl<L: ops::$Unary<Output: IsProxy>, R> Ask<L, R> {
                const $Unary: bool = true;
            }
        )*
        $(
            #[allow(non_upper_case_globals, reason = "as above")]
            impl<L: $Compare<R>, R> Ask<L, R> {
                const $Compare: bool = true;
            }
        )*
    };
}

asks! {
    Add AddAssign Sub SubAssign Mul MulAssign Div DivAssign Rem RemAssign
    BitAnd BitAndAssign BitOr BitOrAssign BitXor BitXorAssign Shl ShlAssign Shr ShrAssign;
    Neg Not;
    PartialEq PartialOrd
}

/// One row of answers, which must be the same for all types and operators of the row.
fn agree(row: &str, answers: &[Vec<bool>]) -> String {
    let mut cells = row.to_string();
    for column in 0..answers[0].len() {
        let answer = answers[0][column];
        assert!(
            answers.iter().all(|answers| answers[column] == answer),
            "not the same for all: {row}, {column}"
        );
        cells.push_str(if answer { " | yes" } else { " | no" });
    }
    cells
}

fn one(of: &[bool]) -> bool {
    assert!(of.iter().all(|answer| *answer == of[0]), "it depends on who is borrowed: {of:?}");
    of[0]
}

macro_rules! binary_row {
    ($row:literal; $operators:tt $($L:ty, $R:ty;)*) => {
        agree($row, &[$(binary_row! { @each $operators $L, $R }),*].concat())
    };
    (@each [$($Op:ident $Assign:ident)*] $L:ty, $R:ty) => {
        [$(vec![
            one(&[
                Ask::<P<$L>, P<$R>>::$Op, Ask::<P<$L>, R<$R>>::$Op,
                Ask::<R<$L>, P<$R>>::$Op, Ask::<R<$L>, R<$R>>::$Op,
            ]),
            one(&[Ask::<P<$L>, $R>::$Op, Ask::<R<$L>, $R>::$Op]),
            one(&[Ask::<$L, P<$R>>::$Op, Ask::<$L, R<$R>>::$Op]),
            one(&[Ask::<P<$L>, P<$R>>::$Assign, Ask::<P<$L>, R<$R>>::$Assign]),
            Ask::<P<$L>, $R>::$Assign,
        ]),*]
    };
}

macro_rules! unary_row {
    ($row:literal; $($T:ty)*) => {
        agree($row, &[$(vec![
            one(&[Ask::<P<$T>, ()>::Neg, Ask::<R<$T>, ()>::Neg]),
            one(&[Ask::<P<$T>, ()>::Not, Ask::<R<$T>, ()>::Not]),
        ]),*])
    };
}

macro_rules! compare_row {
    ($row:literal; $($T:ty),*) => {
        agree($row, &[$(
            vec![
                Ask::<P<$T>, P<$T>>::PartialEq,
                Ask::<P<$T>, $T>::PartialEq,
                Ask::<$T, P<$T>>::PartialEq,
            ],
            vec![
                Ask::<P<$T>, P<$T>>::PartialOrd,
                Ask::<P<$T>, $T>::PartialOrd,
                Ask::<$T, P<$T>>::PartialOrd,
            ]
        ),*]) + " | as `==`"
    };
}

/// The rows of the table whose head begins with `head`.
fn rows(head: &str) -> Vec<String> {
    let mut lines = include_str!("operators.md").lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some(), "there is a table {head}");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches(['|', ' ']).replace("\\|", "or"))
        .collect()
}

/// A user's types: an operand by the derive, two by the line, and one that is none.
#[derive(Clone, Debug, PartialEq, PartialOrd, xfork_macros::Operand)]
struct Derived(f64);
#[derive(Clone, Debug, PartialEq, PartialOrd)]
struct Vector(f64);
#[derive(Clone)]
struct Shift;
#[derive(Clone, Debug, PartialEq, PartialOrd)]
struct Stranger(f64);

impl Operand for Vector {}
impl Operand for Shift {}

macro_rules! combines {
    ($($Op:ident::$op:ident $L:ty, $R:ty => $Output:ident;)*) => {$(
        impl ops::$Op<$R> for $L {
            type Output = $Output;
            fn $op(self, _: $R) -> $Output {
                $Output(0.0)
            }
        }
    )*};
}

combines! {
    Add::add Derived, Derived => Derived; Sub::sub Derived, Derived => Derived; Mul::mul Derived, Derived => Derived;
    Div::div Derived, Derived => Derived; Rem::rem Derived, Derived => Derived;
    BitAnd::bitand Derived, Derived => Derived; BitOr::bitor Derived, Derived => Derived;
    BitXor::bitxor Derived, Derived => Derived; Shl::shl Derived, Derived => Derived;
    Shr::shr Derived, Derived => Derived;
    Add::add Derived, Shift => Derived; Mul::mul Derived, f64 => Derived; Div::div Derived, f64 => Derived;
    Mul::mul f64, Derived => Derived;
    Add::add Vector, Vector => Vector; Sub::sub Vector, Vector => Vector; Mul::mul Vector, Vector => Vector;
    Add::add Vector, Shift => Vector; Mul::mul Vector, f64 => Vector; Mul::mul f64, Vector => Vector;
    Div::div Vector, f64 => Vector; Add::add Vector, f64 => Vector; Add::add f64, Vector => Vector;
    Add::add Stranger, Stranger => Stranger; Sub::sub Stranger, Stranger => Stranger;
    Add::add Stranger, f64 => Stranger; Mul::mul Stranger, f64 => Stranger; Mul::mul f64, Stranger => Stranger;
}

impl ops::Neg for Stranger {
    type Output = Self;
    fn neg(self) -> Self {
        self
    }
}

impl ops::Not for Stranger {
    type Output = Self;
    fn not(self) -> Self {
        self
    }
}

macro_rules! shifted {
    ($($L:ty)*) => {
        [$(binary_row! { "integer | `<<` `>>` | any integer"; [Shl ShlAssign Shr ShrAssign]
            $L, i8; $L, i16; $L, i32; $L, i64; $L, i128; $L, isize;
            $L, u8; $L, u16; $L, u32; $L, u64; $L, u128; $L, usize;
        }),*]
    };
}

macro_rules! integers {
    ($callback:ident $($first:tt)*) => {
        $callback! { $($first)* i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }
    };
}

macro_rules! same_types {
    ([$row:literal; $operators:tt] $($T:ty)*) => { binary_row! { $row; $operators $($T, $T;)* } };
}

macro_rules! wrapped_types {
    ([$row:literal; $operators:tt] $($T:ty)*) => {
        binary_row! { $row; $operators $(Wrapping<$T>, Wrapping<$T>; Saturating<$T>, Saturating<$T>;)* }
    };
}

macro_rules! wrapped_by_distance {
    ([$row:literal; $operators:tt] $($T:ty)*) => { binary_row! { $row; $operators $(Wrapping<$T>, usize;)* } };
}

#[test]
fn operators_hold_for_the_combinations_that_the_table_says() {
    let shifts = integers!(shifted);
    assert!(shifts.iter().all(|row| *row == shifts[0]));
    let held = [
        integers!(same_types ["integer, float | `+` `-` `*` `/` `%` | the same";
            [Add AddAssign Sub SubAssign Mul MulAssign Div DivAssign Rem RemAssign]] f32 f64),
        integers!(same_types ["integer, `bool` | `&` `or` `^` | the same";
            [BitAnd BitAndAssign BitOr BitOrAssign BitXor BitXorAssign]] bool),
        shifts[0].clone(),
        integers!(wrapped_types ["`Wrapping`, `Saturating` | `+` `-` `*` `/` `%` `&` `or` `^` | the same";
            [Add AddAssign Sub SubAssign Mul MulAssign Div DivAssign Rem RemAssign
             BitAnd BitAndAssign BitOr BitOrAssign BitXor BitXorAssign]]),
        integers!(wrapped_by_distance ["`Wrapping` | `<<` `>>` | `usize`"; [Shl ShlAssign Shr ShrAssign]]),
        binary_row! { "`Duration` | `+` `-` | `Duration`"; [Add AddAssign Sub SubAssign] Duration, Duration; },
        binary_row! { "`Duration` | `*` `/` | `u32`"; [Mul MulAssign Div DivAssign] Duration, u32; },
        binary_row! { "`u32` | `*` | `Duration`"; [Mul MulAssign] u32, Duration; },
        binary_row! { "`Instant`, `SystemTime` | `+` `-` | `Duration`"; [Add AddAssign Sub SubAssign]
        Instant, Duration; SystemTime, Duration; },
        binary_row! { "`Instant` | `-` | `Instant`"; [Sub SubAssign] Instant, Instant; },
        binary_row! { "`String` | `+` | `&'static str`"; [Add AddAssign] String, &'static str; },
        binary_row! { "`String` | `+` | `String`"; [Add AddAssign] String, String; },
        binary_row! { "`String` | `+` | `char`"; [Add AddAssign] String, char; },
        // The first for every operator that the type has, the others for each kind of operand.
        {
            let same = binary_row! { "your `derive(Operand)` | its own | the same, a number, another `Operand`";
            [Add AddAssign Sub SubAssign Mul MulAssign Div DivAssign Rem RemAssign
             BitAnd BitAndAssign BitOr BitOrAssign BitXor BitXorAssign Shl ShlAssign Shr ShrAssign]
            Derived, Derived; };
            let others = [
                binary_row! { "your `derive(Operand)` | its own | the same, a number, another `Operand`";
                [Mul MulAssign Div DivAssign] Derived, f64; },
                binary_row! { "your `derive(Operand)` | its own | the same, a number, another `Operand`";
                [Add AddAssign] Derived, Shift; },
            ];
            assert!(others.iter().all(|row| *row == same));
            same
        },
        {
            let same = binary_row! { "your `impl Operand` | its own | the same, a number, another `Operand`";
            [Add AddAssign Sub SubAssign Mul MulAssign] Vector, Vector; };
            let others = [
                binary_row! { "your `impl Operand` | its own | the same, a number, another `Operand`";
                [Mul MulAssign Div DivAssign Add AddAssign] Vector, f64; },
                binary_row! { "your `impl Operand` | its own | the same, a number, another `Operand`";
                [Add AddAssign] Vector, Shift; },
            ];
            assert!(others.iter().all(|row| *row == same));
            same
        },
        binary_row! { "number | that of the type | your `Operand`"; [Mul MulAssign] f64, Vector; f64, Derived; },
        binary_row! { "any other type | `+` | the same"; [Add AddAssign]
        Stranger, Stranger; DMatrix<f64>, DMatrix<f64>; Array1<f64>, Array1<f64>; },
        binary_row! { "any other type | its own but `+` | the same"; [Sub SubAssign]
        Stranger, Stranger; DMatrix<f64>, DMatrix<f64>; Array1<f64>, Array1<f64>; },
        binary_row! { "any other type | `+` | a number"; [Add AddAssign] Stranger, f64; Array1<f64>, f64; },
        binary_row! { "any other type | its own but `+` | a number"; [Mul MulAssign]
        Stranger, f64; DMatrix<f64>, f64; Array1<f64>, f64; },
        binary_row! { "number | that of the type | any other type"; [Mul MulAssign]
        f64, Stranger; f64, DMatrix<f64>; f64, Array1<f64>; },
    ];
    assert_eq!(held.as_slice(), rows("| left | operators"));
}

#[test]
fn operators_with_one_operand_hold_as_the_table_says() {
    let held = [
        unary_row! { "signed integer"; i8 i16 i32 i64 i128 isize },
        unary_row! { "unsigned integer"; u8 u16 u32 u64 u128 usize },
        unary_row! { "float"; f32 f64 },
        unary_row! { "`bool`"; bool },
        unary_row! { "`Wrapping`, `Saturating`"; Wrapping<i8> Wrapping<u64> Saturating<i32> },
        unary_row! { "any other type with the operator"; Stranger },
    ];
    assert_eq!(held.as_slice(), rows("| type | `-proxy`"));
}

#[test]
fn comparisons_hold_as_the_table_says() {
    let held = [
        compare_row! { "integer, float, `bool`, `char`, `()`";
        i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64, bool, char, () },
        compare_row! { "`Wrapping`, `Saturating`, `Duration`, `Instant`, `SystemTime`";
        Wrapping<i8>, Saturating<u64>, Duration, Instant, SystemTime },
        compare_row! { "`String`, `&str`, `PathBuf`"; String, &'static str, PathBuf },
        compare_row! { "`Vec`, `Option`, `Result`, tuple, array, slice";
        Vec<i8>, Option<String>, Result<u8, String>, (u8,), (u8, i8, u8, String), [f64; 3], &'static [u8] },
        compare_row! { "your `derive(Operand)`"; Derived },
        compare_row! { "your `impl Operand`"; Vector },
        compare_row! { "any other type"; Stranger },
    ];
    assert_eq!(held.as_slice(), rows("| value | `proxy == proxy`"));
}

#[test]
fn what_is_left_out_is_not_there() {
    let left_out = [
        Ask::<String, P<&'static str>>::Add,
        Ask::<String, R<String>>::Add,
        Ask::<P<String>, P<String>>::Add,
        Ask::<P<Stranger>, Stranger>::Sub,
        Ask::<P<Stranger>, P<Stranger>>::AddAssign,
        Ask::<Vector, P<Vector>>::Add,
        Ask::<Derived, P<Shift>>::Sub,
        Ask::<Derived, P<bool>>::PartialEq,
        Ask::<P<i64>, &'static i64>::Add,
        Ask::<&'static i64, P<i64>>::Add,
        Ask::<i64, P<i64>>::AddAssign,
    ];
    assert_eq!(left_out, [false; 11]);
    assert_eq!(rows("| not there |").len(), 8);
}

/// Calls each use with a proxy of a list that has failed or is deferred, and gives the sources of all uses.
macro_rules! uses {
    ($judge:ident: $($source:literal => |$p:ident| $use:expr;)*) => {
        vec![$({
            $judge($source, |$p: P<Vec<i64>>| {
                let _used = $use;
            });
            format!("`{}`", $source)
        }),*]
    };
}

fn waits(source: &str, read: impl FnOnce(P<Vec<i64>>)) {
    let failing = lazy(|| -> Vec<i64> { resume_unwind(Box::new("no")) });
    let watched = failing.clone();
    let _ = catch_unwind(AssertUnwindSafe(|| read(failing)));
    assert_ne!(ResultProxy::state(&watched), ProxyState::Deferred, "{source}");
}

fn does_not_wait(source: &str, read: impl FnOnce(P<Vec<i64>>)) {
    let deferred = lazy(|| -> Vec<i64> { unreachable!("nobody needs it") });
    read(deferred.clone());
    assert_eq!(ResultProxy::state(&deferred), ProxyState::Deferred, "{source}");
}

/// The first column of a table.
fn first_column(head: &str) -> Vec<String> {
    rows(head).iter().map(|row| row.split(" | ").next().unwrap().to_string()).collect()
}

fn length(list: &P<Vec<i64>>) -> P<i64> {
    ResultProxy::map(list, |list| list.len() as i64)
}

#[test]
fn what_waits_is_what_the_table_says() {
    let held = uses! { waits:
        "*p" => |p| (*p).clone();
        "format!(\"{p}\")" => |p| { let p = length(&p); format!("{p}") };
        "p == 1" => |p| { let p = length(&p); p == 1 };
        "p[0]" => |p| p[0];
        "for item in &p" => |p| for _ in &p {};
        "ResultProxy::into_inner(p)" => |p| ResultProxy::into_inner(p);
        "wait(&p)" => |p| wait(&p).map(drop);
    };
    assert_eq!(held, first_column("| these wait"));
    let held = uses! { does_not_wait:
        "&p + 1" => |p| { let p = length(&p); &p + 1 };
        "p.clone()" => |p| p.clone();
        "drop(p)" => |p| p;
        "ResultProxy::map(&p, f)" => |p| ResultProxy::map(&p, Vec::len);
        "ResultProxy::state(&p)" => |p| ResultProxy::state(&p);
        "vec![p].into_iter().sum()" => |p| { let p = length(&p); vec![p].into_iter().sum::<P<i64>>() };
    };
    assert_eq!(held, first_column("| these don't"));
}

/// That `ResultProxy<T>` can be added to generically, with both operands that it takes.
#[test]
fn generic_code_that_assigns_values_and_proxies_can_be_called() {
    fn total<T: Send + 'static>(mut sum: P<T>, plain: T, other: P<T>) -> P<T>
    where
        P<T>: ops::AddAssign<T> + ops::AddAssign<P<T>>,
    {
        sum += plain;
        sum += other;
        sum
    }
    assert_eq!(total(ready(1), 2, ready(3)), 6);
    assert_eq!(total(ready(1.5), 2.0, ready(3.0)), 6.5);
}
