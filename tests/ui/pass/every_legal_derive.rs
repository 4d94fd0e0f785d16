//! Every form of struct that may be taken apart, and of type that may be an operand.
#![deny(missing_docs, unreachable_pub, unused, missing_debug_implementations, rust_2018_idioms, warnings)]

use std::marker::PhantomData;
use std::ops::{Add, Mul};

use xfork::{Operand, Proxied, ResultProxy, ready};

/// Fields that are named, documented or not, and seen by some.
#[derive(Clone, Debug, Proxied)]
pub struct Named {
    /// Documented.
    pub text: String,
    pub(crate) r#type: u8,
    #[cfg(any())]
    gone: Missing,
    private: Vec<f64>,
}

/// One field, of no name.
#[derive(Clone, Debug, PartialEq, Proxied)]
pub(crate) struct Single(pub(crate) u8);

#[derive(Clone, Debug, Proxied)]
struct Pair(pub u8, String);

/// More fields than any tuple has operators for, whose names might be anybody's.
#[derive(Clone, Debug, Default, PartialEq, Proxied)]
#[allow(missing_docs)]
pub struct Many {
    pub parts: u8, pub whole: u8, pub part: u8, pub join: u8, pub split: u8, pub f: u8, pub g: u8, pub h: u8,
    pub i: u8, pub j: u8, pub k: u8, pub l: u8, pub m: u8, pub n: u8,
}

/// Every kind of parameter, with bounds here and there.
#[derive(Clone, Debug, Proxied)]
pub struct Generic<T: Iterator, U = u8, const N: usize = 2>
where
    T::Item: Clone + Send + Sync,
{
    /// An array.
    pub array: [U; N],
    /// An item, if there is one.
    pub item: Option<T::Item>,
    marker: PhantomData<T>,
}

/// Not `Debug`, nor are its fields.
#[derive(Clone, Proxied)]
#[expect(missing_debug_implementations, reason = "the proxies are, all the same")]
pub struct Opaque {
    /// A function.
    pub function: fn(u8) -> u8,
}

/// In a module, as a keyword.
pub mod inner {
    use xfork::Proxied;

    #[derive(Clone, Debug, Proxied)]
    #[allow(non_camel_case_types)]
    pub(super) struct r#struct {
        pub(super) a: u8,
        pub(in crate::inner) b: u8,
    }

    pub(super) fn whole() -> r#struct {
        r#struct { a: 1, b: 2 }
    }
}

macro_rules! made {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        #[derive(Clone, Debug, Proxied)]
        struct $name {
            $($field: $type),*
        }
    };
}
made!(Made { a: u8, b: Vec<u8> });

/// Marked functions whose names are those of variables in what the derive writes, if it were careless.
mod names {
    #[xfork::sequential]
    pub(crate) fn whole() {}
    #[xfork::sequential]
    pub(crate) fn parts() {}
    #[xfork::sequential]
    pub(crate) fn f() {}
}
use names::{f, parts, whole};

#[derive(Clone, Copy, Debug, PartialEq, Operand)]
struct Vec3(f64, f64, f64);

impl Mul<f64> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }
}

/// A type with parameters, one of them with a bound of its own.
#[derive(Clone, Debug, PartialEq, Operand)]
pub struct Matrix<T: Copy, const N: usize>([T; N]);

impl<T: Copy + Add<Output = T>, const N: usize> Add for Matrix<T, N> {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = *a + b;
        }
        self
    }
}

/// Operators that depend on those of the elements, and a parameter with the name that the derive would take.
#[derive(Clone, Debug, PartialEq, PartialOrd, Operand)]
pub struct Wide<__Right>([__Right; 2]);

impl<T: Add<U>, U> Add<Wide<U>> for Wide<T> {
    type Output = Wide<T::Output>;
    fn add(self, other: Wide<U>) -> Self::Output {
        let ([a, b], [c, d]) = (self.0, other.0);
        Wide([a + c, b + d])
    }
}

/// One that contains itself.
#[derive(Clone, Debug, PartialEq, Operand)]
pub struct Tree<T: Copy>(Option<Box<Tree<T>>>, T);

fn sum_of<T: Clone + Add<Output = T>>(values: &[T]) -> Option<T> {
    values.iter().cloned().reduce(|a, b| a + b)
}

/// An enum is an operand like any other.
#[derive(Clone, Debug, PartialEq, Operand)]
pub enum Unit {
    /// Some of it.
    Some(u8),
    /// None of it.
    None,
}

fn main() {
    whole();
    parts();
    f();

    let named = ready(Named { text: "text".into(), r#type: 1, private: vec![1.0] });
    let NamedProxies { text, r#type, private } = ResultProxy::split(named);
    assert_eq!((&text, &r#type, &private), (&ready("text".to_string()), &ready(1), &ready(vec![1.0])));
    let again = NamedProxies { text, r#type, private };
    assert_eq!(format!("{:?}", again.clone()), "NamedProxies { text: Ready, type: Ready, private: Ready }");
    assert_eq!(again.join().r#type, 1);

    let SingleProxies(one) = ResultProxy::split(ready(Single(1)));
    assert_eq!(*SingleProxies(one + 1).join(), Single(2));
    let pair = ResultProxy::split(ready(Pair(1, "one".into())));
    assert_eq!(pair.0, 1);
    assert_eq!(pair.1, "one");
    assert_eq!(*ResultProxy::split(ready(Many::default())).join(), Many::default());

    let generic = Generic { array: [1, 2, 3], item: "text".chars().next(), marker: PhantomData };
    let generic: ResultProxy<Generic<std::str::Chars<'static>, u64, 3>> = ready(generic);
    let GenericProxies { array, item, marker: _ } = ResultProxy::split(generic);
    assert_eq!(array, [1, 2, 3]);
    assert_eq!(item, Some('t'));

    let opaque = ResultProxy::split(ready(Opaque { function: |n| n + 1 }));
    assert_eq!(format!("{opaque:?}"), "OpaqueProxies { function: Deferred }");
    assert_eq!((opaque.function)(1), 2);
    assert_eq!(ResultProxy::split(ready(inner::whole())).a, 1);
    let made = ResultProxy::split(ready(Made { a: 1, b: vec![2] }));
    assert_eq!(made.a + made.b[0], 3);

    let v = ready(Vec3(1.0, 2.0, 3.0));
    let mut w = &v * 2.0;
    w *= 2.0;
    w *= ready(0.5);
    assert_eq!(w, Vec3(2.0, 4.0, 6.0));
    assert_eq!(v * ready(2.0), w);
    let mut sum = ready(Matrix([1, 2])) + Matrix([3, 4]);
    sum += ready(Matrix([0, 1]));
    sum += Matrix([0, 1]);
    assert_eq!(sum, Matrix([4, 8]));
    assert_eq!(ready(Unit::Some(1)), Unit::Some(1));
    assert!(ready(Unit::None) != Unit::Some(1));

    let (v, p) = (Vec3(1.0, 2.0, 3.0), ready(2.0));
    assert_eq!(v * 2.0 * 3.0, v * &p * 3.0);
    assert_eq!(Vec3(2.0, 4.0, 6.0), v * p);
    assert_eq!(Mul::mul(v, 2.0), [2.0].into_iter().fold(v, Mul::mul));
    let m = Matrix([1.0, 2.0]);
    let more: Matrix<f64, 2> = m.clone() + m.clone() + Matrix([0.5, 0.5]);
    assert_eq!(more, m.clone() + ready(m.clone()) + Matrix([0.5, 0.5]));
    let w = Wide([1.0, 2.0]);
    let sum = w.clone() + w.clone() + Wide([1.0, 1.0]);
    assert_eq!(sum, w.clone() + &ready(w.clone()) + Wide([1.0, 1.0]));
    assert!(w < ready(sum.clone()) && w == w.clone());
    assert_eq!(sum_of(&[w.clone(), w.clone()]), Some(w.clone() + w));
    assert_eq!(Tree(None, 1), ready(Tree(None, 1)));
}
