//! Arguments of a fork: values, proxies whose values come later, and collections of proxies.

use crate::core::error::TaskError;
use crate::core::slot::{AnySlot, Encoded};
use crate::ground::wire::codec;
use crate::ground::wire::parcel::{self, Parcel, Reader};
use crate::kept::Codec;
use crate::place::Place;
use crate::proxy::ResultProxy;
use crate::shared::Shared;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// A type that can travel to a worker process and back.
///
/// Every owned type that serde can serialise and deserialise, and that may be sent to another thread.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Point { x: i32, y: i32 }
///
/// let mirrored = xfork::process(|p: Point| Point { x: p.y, y: p.x }, Point { x: 1, y: 2 });
/// assert_eq!((mirrored.x, mirrored.y), (2, 1));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't travel to a worker process",
    label = "an argument or result of this type can't be sent to another process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it (and own its data: no references), or run the \
            function on a thread, with `thread(..)` or `#[io_bound]`"
)]
pub trait Portable: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {}

/// Something that can be given where a forked function wants a `T`.
///
/// A `T` itself; a [`ResultProxy<T>`], owned or borrowed, which makes the new task depend on it; a collection of
/// proxies for a collection of values; and `&str` for `String`, `&[T]` for `Vec<T>`, `&Path` for `PathBuf`.
///
/// ```
/// use xfork::{fork, ready};
///
/// #[xfork::io_bound]
/// fn repeat(text: &str, times: usize) -> String { text.repeat(times) }
///
/// assert_eq!(fork(repeat, ("ab", 2)), "abab");
/// assert_eq!(fork(repeat, (ready("ab".to_string()), &ready(2))), "abab");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be given as an argument of the type `{T}`",
    label = "expected `{T}`, or a `ResultProxy<{T}>`",
    note = "a forked function takes its arguments by value; a ResultProxy as argument needs a value that is \
            `Clone + Send + Sync`, since others may hold the same proxy"
)]
pub trait Arg<T> {
    #[doc(hidden)]
    fn into_input(self) -> Input<T>;
}

/// One argument of a task, there already or still to come.
#[doc(hidden)]
pub struct Input<T>(Kind<T>);

enum Kind<T> {
    Value(T),
    Later(Box<dyn Later<T>>),
    Source(Arc<dyn Source<T>>),
}

impl<T> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Value(_) => "Input(value)",
            Kind::Later(_) => "Input(proxy)",
            Kind::Source(_) => "Input(node)",
        })
    }
}

/// An argument made of one or more proxies.
trait Later<T>: Send {
    fn slot(&self, position: usize) -> Option<Arc<dyn AnySlot>>;
    /// The value; every slot is settled.
    fn take(self: Box<Self>) -> Result<T, TaskError>;
    /// Shows the value without taking it; every slot is settled.
    fn show(&self, to: &mut dyn FnMut(&T)) -> Result<(), TaskError>;
    /// The value as it came from another process, if nobody has decoded it.
    fn encoded(&self) -> Option<Encoded>;
    /// The same argument, for another task.
    fn again(&self) -> Box<dyn Later<T>>;
}

/// An argument that other tasks of a graph bring, in each run of the graph anew.
pub(crate) trait Source<T>: Send + Sync {
    /// The nodes that it comes from.
    fn origins(&self, to: &mut dyn FnMut(Origin));
    /// The argument in this run; `None` if the nodes have no results.
    fn input(&self) -> Option<Input<T>>;
}

/// A node of a graph that a task follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The graph's number.
    pub(crate) graph: u64,
    pub(crate) node: u32,
    /// What it costs to bring the result to another worker.
    pub(crate) transfer: f64,
    /// Whether the result is an argument, and not only the order matters.
    pub(crate) is_fed: bool,
    /// Whether the argument is the result itself, and no part of it nor made of several.
    pub(crate) is_whole: bool,
}

/// What becomes of a task whose input is a node without a result.
const NOT_RUN: &str =
    "an argument is a node of a graph that has no result: add the task to that graph, by `Graph::add`";

impl<T> Input<T> {
    pub(crate) fn of_source(source: Arc<dyn Source<T>>) -> Self {
        Self(Kind::Source(source))
    }

    pub(crate) fn of_value(value: T) -> Self {
        Self(Kind::Value(value))
    }

    pub(crate) fn of_proxy(proxy: ResultProxy<T>) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        Self(Kind::Later(Box::new(proxy)))
    }

    fn slots(&self) -> impl Iterator<Item = Arc<dyn AnySlot>> {
        (0..).map_while(|position| match &self.0 {
            Kind::Value(_) | Kind::Source(_) => None,
            Kind::Later(later) => later.slot(position),
        })
    }

    fn origins(&self, to: &mut dyn FnMut(Origin)) {
        if let Kind::Source(source) = &self.0 {
            source.origins(to);
        }
    }

    fn resolve(self) -> Result<T, TaskError> {
        match self.0 {
            Kind::Value(value) => Ok(value),
            Kind::Later(later) => later.take(),
            Kind::Source(source) => source.input().expect(NOT_RUN).resolve(),
        }
    }

    /// The same argument, for another task: of a node, its result in this run.
    fn again(&self) -> Self
    where
        T: Clone,
    {
        match &self.0 {
            Kind::Value(value) => Self(Kind::Value(value.clone())),
            Kind::Later(later) => Self(Kind::Later(later.again())),
            Kind::Source(source) => source.input().expect(NOT_RUN),
        }
    }
}

impl<T: Portable> Input<T> {
    fn encode(&self, out: &mut Parcel) -> Result<(), EncodeError> {
        let later = match &self.0 {
            Kind::Value(value) => return Ok(out.put(value)?),
            Kind::Later(later) => later,
            Kind::Source(source) => return source.input().expect(NOT_RUN).encode(out),
        };
        if let Some(encoded) = later.encoded() {
            out.splice(&encoded);
            return Ok(());
        }
        let mut outcome = Ok(());
        later.show(&mut |value| outcome = out.put(value)).map_err(EncodeError::Input)?;
        Ok(outcome?)
    }
}

impl<T: Portable> Input<T> {
    fn describe(&self, out: &mut Vec<u8>) -> bool {
        let Kind::Value(value) = &self.0 else {
            out.push(0);
            return matches!(self.0, Kind::Source(_));
        };
        out.push(1);
        // Outside a parcel all of it is written.
        let _aside = parcel::aside();
        codec::encode(value, out).is_ok()
    }
}

/// Why the arguments of a task could not be encoded.
#[doc(hidden)]
#[derive(Debug)]
pub enum EncodeError {
    #[doc(hidden)]
    Input(TaskError),
    #[doc(hidden)]
    Codec { reason: String, type_name: &'static str },
}

impl From<codec::CodecError> for EncodeError {
    fn from(error: codec::CodecError) -> Self {
        Self::Codec { reason: error.to_string(), type_name: "" }
    }
}

impl<T> Arg<T> for T {
    fn into_input(self) -> Input<T> {
        Input(Kind::Value(self))
    }
}

macro_rules! borrowed_forms {
    ($([$($generic:ident)?] $borrowed:ty => $owned:ty),* $(,)?) => {$(
        impl<$($generic: Clone)?> Arg<$owned> for $borrowed {
            fn into_input(self) -> Input<$owned> {
                Input(Kind::Value(self.into()))
            }
        }
    )*};
}

borrowed_forms! {
    [] &str => String,
    [] &String => String,
    [T] &[T] => Vec<T>,
    [] &std::path::Path => std::path::PathBuf,
    [] &str => std::path::PathBuf,
    [] &std::ffi::OsStr => std::ffi::OsString,
}

impl Arg<std::path::PathBuf> for &std::path::PathBuf {
    fn into_input(self) -> Input<std::path::PathBuf> {
        Input(Kind::Value(self.clone()))
    }
}

impl<T: ?Sized> Arg<Shared<T>> for &Shared<T> {
    fn into_input(self) -> Input<Shared<T>> {
        Input(Kind::Value(self.clone()))
    }
}

impl<T: Clone> Arg<Vec<T>> for &Vec<T> {
    fn into_input(self) -> Input<Vec<T>> {
        Input(Kind::Value(self.clone()))
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for ResultProxy<T> {
    fn into_input(self) -> Input<T> {
        Input(Kind::Later(Box::new(self)))
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for &ResultProxy<T> {
    fn into_input(self) -> Input<T> {
        Input(Kind::Later(Box::new(self.clone())))
    }
}

impl<T: Clone + Send + Sync + 'static> Later<T> for ResultProxy<T> {
    fn slot(&self, position: usize) -> Option<Arc<dyn AnySlot>> {
        (position == 0).then(|| self.any_slot())
    }
    fn take(self: Box<Self>) -> Result<T, TaskError> {
        ResultProxy::into_result(*self)
    }
    fn show(&self, to: &mut dyn FnMut(&T)) -> Result<(), TaskError> {
        self.show_unread(to)
    }
    fn encoded(&self) -> Option<Encoded> {
        self.encoded_value()
    }
    fn again(&self) -> Box<dyn Later<T>> {
        Box::new(self.clone())
    }
}

/// A proxy of a proxy is as good as a proxy of the value.
impl<T: Clone + Send + Sync + 'static> Arg<T> for ResultProxy<ResultProxy<T>> {
    fn into_input(self) -> Input<T> {
        ResultProxy::flatten(self).into_input()
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for &ResultProxy<ResultProxy<T>> {
    fn into_input(self) -> Input<T> {
        ResultProxy::flatten(self.clone()).into_input()
    }
}

/// A collection of proxies, and how to make the collection of their values.
struct Gathered<C, T: Send + 'static, V> {
    proxies: Vec<ResultProxy<T>>,
    keys: C,
    make: fn(C, Vec<T>) -> V,
    copy: fn(&C) -> C,
}

impl<C: Send + 'static, T: Clone + Send + Sync + 'static, V: 'static> Later<V> for Gathered<C, T, V> {
    fn slot(&self, position: usize) -> Option<Arc<dyn AnySlot>> {
        self.proxies.get(position).map(ResultProxy::any_slot)
    }
    fn take(self: Box<Self>) -> Result<V, TaskError> {
        let values = self.proxies.into_iter().map(ResultProxy::into_result).collect::<Result<_, _>>()?;
        Ok((self.make)(self.keys, values))
    }
    fn show(&self, to: &mut dyn FnMut(&V)) -> Result<(), TaskError> {
        let copy = |proxy: &ResultProxy<T>| {
            let mut copied = None;
            proxy.show_unread(&mut |value: &T| copied = Some(value.clone()))?;
            Ok::<T, TaskError>(copied.expect("what is settled without an error is shown"))
        };
        let values = self.proxies.iter().map(copy).collect::<Result<_, _>>()?;
        to(&(self.make)((self.copy)(&self.keys), values));
        Ok(())
    }
    fn encoded(&self) -> Option<Encoded> {
        None
    }
    fn again(&self) -> Box<dyn Later<V>> {
        let Self { proxies, keys, make, copy } = self;
        Box::new(Self { proxies: proxies.clone(), keys: copy(keys), make: *make, copy: *copy })
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for Vec<ResultProxy<T>> {
    fn into_input(self) -> Input<Vec<T>> {
        Input(Kind::Later(Box::new(Gathered {
            proxies: self,
            keys: (),
            make: |(), values| values,
            copy: |()| (),
        })))
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for &[ResultProxy<T>] {
    fn into_input(self) -> Input<Vec<T>> {
        self.to_vec().into_input()
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for &Vec<ResultProxy<T>> {
    fn into_input(self) -> Input<Vec<T>> {
        self.clone().into_input()
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<Option<T>> for Option<ResultProxy<T>> {
    fn into_input(self) -> Input<Option<T>> {
        let proxies = self.into_iter().collect();
        let make = |(), mut values: Vec<T>| values.pop();
        Input(Kind::Later(Box::new(Gathered { proxies, keys: (), make, copy: |()| () })))
    }
}

impl<K, T, S> Arg<HashMap<K, T, S>> for HashMap<K, ResultProxy<T>, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + 'static,
{
    fn into_input(self) -> Input<HashMap<K, T, S>> {
        let (keys, proxies) = self.into_iter().unzip();
        let make = |keys: Vec<K>, values| keys.into_iter().zip::<Vec<T>>(values).collect();
        Input(Kind::Later(Box::new(Gathered { proxies, keys, make, copy: Vec::clone })))
    }
}

impl<K, T> Arg<BTreeMap<K, T>> for BTreeMap<K, ResultProxy<T>>
where
    K: Clone + Ord + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn into_input(self) -> Input<BTreeMap<K, T>> {
        let (keys, proxies) = self.into_iter().unzip();
        let make = |keys: Vec<K>, values| keys.into_iter().zip::<Vec<T>>(values).collect();
        Input(Kind::Later(Box::new(Gathered { proxies, keys, make, copy: Vec::clone })))
    }
}

/// A tuple of parameter types: what a [`Callable`](crate::Callable) is called with.
pub trait Args: Sized {
    #[doc(hidden)]
    type Inputs: Inputs<Self>;
}

/// The arguments of one task.
#[doc(hidden)]
#[expect(private_interfaces, reason = "the trait is sealed by `Args`, which is implemented for tuples only")]
pub trait Inputs<A>: Sized {
    #[doc(hidden)]
    fn slots(&self) -> Vec<Arc<dyn AnySlot>>;
    #[doc(hidden)]
    fn resolve(self) -> Result<A, TaskError>;
    /// The arguments themselves, if all of them are there already.
    #[doc(hidden)]
    fn values(self) -> Result<A, Self>;
    #[doc(hidden)]
    fn of_values(values: A) -> Self;
    /// The nodes of a graph among them.
    #[doc(hidden)]
    fn origins(&self, to: &mut dyn FnMut(Origin));
}

/// A tuple of parameter types that a task of a [`Graph`](crate::Graph) can have: it may be run again, so its arguments are
/// cloned, and several tasks may get the same result.
#[diagnostic::on_unimplemented(
    message = "a task with the arguments `{Self}` can't be run again, as those of a graph can",
    note = "derive `Clone` for each of them, and have them be `Send + Sync`"
)]
#[expect(private_interfaces, reason = "the trait is sealed by `Args`, too")]
pub trait NodeArgs: Args + Send + 'static {
    /// The same arguments, for another run: of nodes, their results in this one.
    #[doc(hidden)]
    fn again(inputs: &Self::Inputs) -> Self::Inputs;
    /// The same values, for another try.
    #[doc(hidden)]
    fn cloned(&self) -> Self;
    /// The parameters.
    #[doc(hidden)]
    fn parameters() -> Vec<Type>;
    /// Arguments that come from the places that `given` gives, one after the other: each an `Arc<Place<T>>`.
    #[doc(hidden)]
    fn link(given: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>) -> Self::Inputs;
}

/// A type as a graph compares it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl Type {
    pub(crate) fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: std::any::type_name::<T>() }
    }
}

/// A tuple of parameter types that can travel to a worker process.
#[diagnostic::on_unimplemented(
    message = "the arguments `{Self}` can't travel to a worker process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for each of them (and own the data: no references), or \
            run the function on a thread, with `thread(..)` or `#[io_bound]`"
)]
#[expect(private_interfaces, reason = "the trait is sealed by `Args`, too")]
pub trait PortableArgs: Args + Send {
    #[doc(hidden)]
    fn encode(inputs: &Self::Inputs, out: &mut Parcel) -> Result<(), EncodeError>;
    #[doc(hidden)]
    fn encode_values(&self, out: &mut Parcel) -> Result<(), EncodeError>;
    /// As `encode_values`; of large values nothing may be left.
    #[doc(hidden)]
    fn encode_moving(&mut self, out: &mut Parcel) -> Result<(), EncodeError>;
    #[doc(hidden)]
    fn decode(input: &mut Reader<'_>) -> Result<Self, String>;
    /// Appends the values among the arguments, and which they are; false if they can't be encoded, or if a proxy is among them.
    #[doc(hidden)]
    fn describe(inputs: &Self::Inputs, out: &mut Vec<u8>) -> bool;
    /// Appends all of them, so that equal ones give equal bytes in every process.
    #[doc(hidden)]
    fn keep(&self, out: &mut Vec<u8>) -> Result<(), String>;
}

/// The arguments of a fork as the user writes them: `()`, one bare value, or a tuple.
///
/// `A` is the tuple of parameter types; `Form` tells one bare value from a tuple, and is always inferred.
///
/// ```
/// use xfork::fork;
/// assert_eq!(fork(|| 1, ()), 1);
/// assert_eq!(fork(|n: i32| n, 2), 2);
/// assert_eq!(fork(|a: i32, b: i32| a + b, (1, 2)), 3);
/// assert_eq!(fork(|pair: (i32, i32)| pair.1, (1, 2)), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "these arguments don't fit the parameters `{A}` of the function",
    label = "doesn't fit the parameters `{A}`",
    note = "give `()` for no argument, a bare value for one, a tuple for more; each a value of the parameter's type or \
            a ResultProxy of it"
)]
pub trait IntoArgs<A: Args, Form> {
    #[doc(hidden)]
    fn into_inputs(self) -> A::Inputs;
}

/// One bare value as the only argument.
#[doc(hidden)]
#[derive(Debug)]
pub enum Bare {}
/// A tuple with one value for each parameter.
#[doc(hidden)]
#[derive(Debug)]
pub enum Spread {}

impl<T, I: Arg<T>> IntoArgs<(T,), Bare> for I {
    fn into_inputs(self) -> (Input<T>,) {
        (self.into_input(),)
    }
}

macro_rules! tuples {
    ($(($($type:ident $given:ident)*))*) => {$(
        impl<$($type),*> Args for ($($type,)*) {
            type Inputs = ($(Input<$type>,)*);
        }

        #[expect(private_interfaces, reason = "see the trait")]
        #[allow(non_snake_case, unused_mut, unused_variables, clippy::unused_unit, reason = "names of types serve as names of values; () has no parts")]
        impl<$($type),*> Inputs<($($type,)*)> for ($(Input<$type>,)*) {
            fn slots(&self) -> Vec<Arc<dyn AnySlot>> {
                let mut slots = Vec::new();
                let ($($type,)*) = self;
                $(slots.extend($type.slots());)*
                slots
            }
            fn resolve(self) -> Result<($($type,)*), TaskError> {
                let ($($type,)*) = self;
                Ok(($($type.resolve()?,)*))
            }
            fn of_values(values: ($($type,)*)) -> Self {
                let ($($type,)*) = values;
                ($(Input(Kind::Value($type)),)*)
            }
            fn origins(&self, to: &mut dyn FnMut(Origin)) {
                let ($($type,)*) = self;
                $($type.origins(to);)*
            }
            fn values(self) -> Result<($($type,)*), Self> {
                let ($($type,)*) = self;
                match ($($type.0,)*) {
                    ($(Kind::Value($type),)*) => Ok(($($type,)*)),
                    #[allow(unreachable_patterns, reason = "() has no other")]
                    ($($type,)*) => Err(($(Input($type),)*)),
                }
            }
        }

        #[expect(private_interfaces, reason = "see the trait")]
        #[allow(non_snake_case, unused_variables, clippy::unused_unit, reason = "as above")]
        impl<$($type: Clone + Send + Sync + 'static),*> NodeArgs for ($($type,)*) {
            fn again(inputs: &Self::Inputs) -> Self::Inputs {
                let ($($type,)*) = inputs;
                ($($type.again(),)*)
            }
            fn cloned(&self) -> Self {
                let ($($type,)*) = self;
                ($($type.clone(),)*)
            }
            fn parameters() -> Vec<Type> {
                vec![$(Type::of::<$type>()),*]
            }
            fn link(given: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>) -> Self::Inputs {
                ($(Input::of_source(given().downcast::<Place<$type>>().expect("the types were compared")),)*)
            }
        }

        #[expect(private_interfaces, reason = "see the trait")]
        #[allow(non_snake_case, unused_variables, clippy::ptr_arg, reason = "as above")]
        impl<$($type: Portable),*> PortableArgs for ($($type,)*) {
            fn encode(inputs: &Self::Inputs, out: &mut Parcel) -> Result<(), EncodeError> {
                let ($($type,)*) = inputs;
                $($type.encode(out).map_err(|error| name_type::<$type>(error))?;)*
                Ok(())
            }
            fn encode_values(&self, out: &mut Parcel) -> Result<(), EncodeError> {
                let ($($type,)*) = self;
                $(out.put($type).map_err(|error| name_type::<$type>(error.into()))?;)*
                Ok(())
            }
            fn encode_moving(&mut self, out: &mut Parcel) -> Result<(), EncodeError> {
                let ($($type,)*) = self;
                $(out.put_moving($type).map_err(|error| name_type::<$type>(error.into()))?;)*
                Ok(())
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, String> {
                Ok(($(input.take::<$type>().map_err(|error| {
                    format!("{}: {error}", std::any::type_name::<$type>())
                })?,)*))
            }
            fn describe(inputs: &Self::Inputs, out: &mut Vec<u8>) -> bool {
                let ($($type,)*) = inputs;
                true $(&& $type.describe(out))*
            }
            fn keep(&self, out: &mut Vec<u8>) -> Result<(), String> {
                let ($($type,)*) = self;
                $(out.append(&mut (Codec::new().encode)($type)?);)*
                Ok(())
            }
        }

        impl<$($type, $given: Arg<$type>),*> IntoArgs<($($type,)*), Spread> for ($($given,)*) {
            #[allow(non_snake_case, clippy::unused_unit, reason = "as above")]
            fn into_inputs(self) -> ($(Input<$type>,)*) {
                let ($($given,)*) = self;
                ($($given.into_input(),)*)
            }
        }
    )*};
}

fn name_type<T>(error: EncodeError) -> EncodeError {
    match error {
        EncodeError::Codec { reason, .. } => {
            EncodeError::Codec { reason, type_name: std::any::type_name::<T>() }
        }
        other => other,
    }
}

tuples! {
    ()
    (A AA)
    (A AA B BB)
    (A AA B BB C CC)
    (A AA B BB C CC D DD)
    (A AA B BB C CC D DD E EE)
    (A AA B BB C CC D DD E EE F FF)
    (A AA B BB C CC D DD E EE F FF G GG)
    (A AA B BB C CC D DD E EE F FF G GG H HH)
    (A AA B BB C CC D DD E EE F FF G GG H HH I II)
    (A AA B BB C CC D DD E EE F FF G GG H HH I II J JJ)
    (A AA B BB C CC D DD E EE F FF G GG H HH I II J JJ K KK)
    (A AA B BB C CC D DD E EE F FF G GG H HH I II J JJ K KK L LL)
}
