//! The steps that expressions are made of: an operation, its operands, and where they go.
//!
//! Owns two families of steps for the tape of an expression. A *first* step makes a value of one or two operands. A
//! *further* step applies an operation to the value so far, which stands left or right of another operand, and is what
//! a chain that nobody else holds is made of. Promises that an operand nobody else points to is moved, not cloned; that
//! the left operand's failure is the one reported; and that while an operation is carried out, where its operands
//! came from is known to the report of its panic. Which steps are made is decided in `deferred`.

use super::ResultProxy;
use crate::core::error::TaskError;
use crate::core::expression::{Carry, Gather, Operand as Noted, Seen};
use crate::core::slot::AnySlot;
use crate::ground::tape::{Step, Steps};
use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::mem::forget;
use std::sync::Arc;

type Everyone = dyn Seen;

/// The name of an operation, as a type, so that a step of it needs no memory for its name.
pub(crate) trait Symbol: Copy + Send + 'static {
    const TEXT: &'static str;
}

/// A [`Symbol`] of the text that is [`packed`] into this number.
///
/// The same text is the same type wherever it stands, so that `a + b`, `&a + b` and `a += b` are steps of one type, which
/// are compiled once.
#[derive(Clone, Copy)]
pub(crate) struct Named<const PACKED: u128>;

impl<const PACKED: u128> Named<PACKED> {
    const BYTES: &'static [u8] = &PACKED.to_le_bytes();
    const LEN: usize = 16 - PACKED.leading_zeros() as usize / 8;
}

impl<const PACKED: u128> Symbol for Named<PACKED> {
    const TEXT: &'static str = match std::str::from_utf8(Self::BYTES.split_at(Self::LEN).0) {
        Ok(text) => text,
        Err(_) => panic!("no text was packed into this number"),
    };
}

/// A text of at most 16 bytes as a number.
pub(crate) const fn packed(text: &str) -> u128 {
    assert!(text.len() <= 16, "the name of an operation has at most 16 bytes");
    let mut bytes = [0; 16];
    bytes.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
    u128::from_le_bytes(bytes)
}

/// A [`Symbol`] of this text.
macro_rules! symbol {
    ($text:expr) => {
        $crate::proxy::steps::Named::<{ $crate::proxy::steps::packed($text) }>
    };
}
pub(crate) use symbol;

/// What an operand has come to; it is settled, since expressions are evaluated operands first.
pub(super) fn value<T: Clone + Send + 'static>(operand: ResultProxy<T>) -> Result<T, TaskError> {
    operand.open().map(|(value, _)| value)
}

#[inline]
fn need<T: Send + 'static>(operand: &ResultProxy<T>, needs: &mut Gather) {
    if !operand.is_settled() {
        needs.add(operand.any_slot());
    }
}

fn show_operand<T: Send + 'static>(operand: &ResultProxy<T>, seen: &mut Everyone) {
    seen.operand(&**operand.slot(), &|| operand.any_slot(), &|| operand.peek().map(preview));
}

/// The longest text that is shown whole, in characters.
const LONGEST: usize = 40;

/// A value as text, if its type is one that everybody knows; else its type.
pub(crate) fn preview<T: 'static>(value: &T) -> String {
    let value: &dyn Any = value;
    macro_rules! known {
        ($($type:ty)*) => {$(
            if let Some(value) = value.downcast_ref::<$type>() {
                return format!("{value:?}");
            }
        )*};
    }
    let text = value.downcast_ref::<String>().map(String::as_str);
    if let Some(text) = text.or(value.downcast_ref::<&str>().copied()) {
        return match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{:?}…", &text[..end]),
            None => format!("{text:?}"),
        };
    }
    known! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 bool char std::time::Duration }
    let full = type_name::<T>();
    // Without the paths, which say nothing to a reader who knows the program.
    full.split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']', '&'])
        .map(|part| part.rsplit("::").next().unwrap_or(part))
        .collect()
}

/// An operation on one operand.
pub(super) struct Unary<T: Send + 'static, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) operand: ResultProxy<T>,
    pub(super) apply: F,
}

impl<T, V, F, S: Symbol> Step for Unary<T, F, S>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce(T) -> V + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        Some(self.operand.open().map(|(value, slot)| {
            let noted = Noted(&*slot);
            let value = (self.apply)(value);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().for_each(|step| need(&step.operand, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        steps.iter().for_each(|step| show_operand(&step.operand, seen));
    }
}

/// An operation on two operands.
pub(super) struct Binary<T: Send + 'static, U: Send + 'static, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) left: ResultProxy<T>,
    pub(super) right: ResultProxy<U>,
    pub(super) apply: F,
}

impl<T, U, V, F, S: Symbol> Step for Binary<T, U, F, S>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
    F: FnOnce(T, U) -> V + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        let Self { left, right, apply, .. } = self;
        let both = left.open().and_then(|left| Ok((left, right.open()?)));
        Some(both.map(|((left, left_slot), (right, right_slot))| {
            let noted = (Noted(&*left_slot), Noted(&*right_slot));
            let value = apply(left, right);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        for step in steps {
            need(&step.left, needs);
            need(&step.right, needs);
        }
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            show_operand(&step.left, seen);
            show_operand(&step.right, seen);
        }
    }
}

/// An operation on three operands.
pub(super) struct Ternary<A: Send + 'static, B: Send + 'static, C: Send + 'static, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) operands: (ResultProxy<A>, ResultProxy<B>, ResultProxy<C>),
    pub(super) apply: F,
}

impl<A, B, C, V, F, S: Symbol> Step for Ternary<A, B, C, F, S>
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
    F: FnOnce(A, B, C) -> V + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        let (a, b, c) = self.operands;
        let all = a.open().and_then(|a| Ok((a, b.open()?, c.open()?)));
        Some(all.map(|((a, a_slot), (b, b_slot), (c, c_slot))| {
            let noted = (Noted(&*a_slot), Noted(&*b_slot), Noted(&*c_slot));
            let value = (self.apply)(a, b, c);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        for Self { operands: (a, b, c), .. } in steps {
            need(a, needs);
            need(b, needs);
            need(c, needs);
        }
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for Self { operands: (a, b, c), .. } in steps {
            show_operand(a, seen);
            show_operand(b, seen);
            show_operand(c, seen);
        }
    }
}

/// An operation on an operand and a plain value to its right.
pub(super) struct PlainRight<T: Send + 'static, P, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) left: ResultProxy<T>,
    pub(super) right: P,
    pub(super) apply: F,
}

impl<T, P, V, F, S: Symbol> Step for PlainRight<T, P, F, S>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    F: FnOnce(T, P) -> V + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        let Self { left, right, apply, .. } = self;
        Some(left.open().map(|(left, slot)| {
            let noted = Noted(&*slot);
            let value = apply(left, right);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().for_each(|step| need(&step.left, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            show_operand(&step.left, seen);
            seen.plain(&|| preview(&step.right));
        }
    }
}

/// An operation on a plain value and an operand to its right.
pub(super) struct PlainLeft<P, T: Send + 'static, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) left: P,
    pub(super) right: ResultProxy<T>,
    pub(super) apply: F,
}

impl<P, T, V, F, S: Symbol> Step for PlainLeft<P, T, F, S>
where
    P: Send + 'static,
    T: Clone + Send + Sync + 'static,
    F: FnOnce(P, T) -> V + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        let Self { left, right, apply, .. } = self;
        Some(right.open().map(|(right, slot)| {
            let noted = Noted(&*slot);
            let value = apply(left, right);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().for_each(|step| need(&step.right, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            seen.plain(&|| preview(&step.left));
            show_operand(&step.right, seen);
        }
    }
}

/// A value that code of any kind computes, when the operands that it says are settled.
pub(super) struct Closure<C, S, const N: usize> {
    pub(super) symbol: PhantomData<S>,
    pub(super) operands: [Arc<dyn AnySlot>; N],
    pub(super) compute: C,
}

impl<V, C, S: Symbol, const N: usize> Step for Closure<C, S, N>
where
    C: FnOnce() -> Result<V, TaskError> + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        Some((self.compute)())
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        for operand in steps.iter().flat_map(|step| &step.operands) {
            if !operand.is_settled() {
                needs.add(operand.clone());
            }
        }
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for operand in steps.iter().flat_map(|step| &step.operands) {
            seen.operand(&**operand, &|| operand.clone(), &|| None);
        }
    }
}

/// An operation on any number of operands.
pub(super) struct Folded<T: Send + 'static, F, S> {
    pub(super) symbol: PhantomData<S>,
    pub(super) operands: Vec<ResultProxy<T>>,
    pub(super) fold: F,
}

impl<T, V, F, S: Symbol> Step for Folded<T, F, S>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce(&mut dyn Iterator<Item = Result<T, TaskError>>) -> Result<V, TaskError> + Send + 'static,
{
    type Carry = Carry<V>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, _: Carry<V>) -> Carry<V> {
        Some((self.fold)(&mut self.operands.into_iter().map(value)))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().flat_map(|step| &step.operands).for_each(|operand| need(operand, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for operand in steps.iter().flat_map(|step| &step.operands) {
            show_operand(operand, seen);
        }
    }
}

/// The value so far, for a run of operations that have it on their left: if it is none, their operands don't matter.
macro_rules! value_of {
    ($carry:expr) => {
        match $carry {
            Some(Ok(value)) => value,
            failed => return failed,
        }
    };
}

/// A further step uses a value of this type and has none, and a symbol is only a type.
type Types<T, S> = PhantomData<(fn(T) -> T, S)>;

/// An operation on the value so far alone.
pub(super) struct ThenUnary<T, F, S>(F, Types<T, S>);

impl<T, F: FnOnce(T) -> T, S> ThenUnary<T, F, S> {
    pub(super) fn new(_: S, apply: F) -> Self {
        Self(apply, PhantomData)
    }
}

impl<T, F, S: Symbol> Step for ThenUnary<T, F, S>
where
    T: 'static,
    F: FnOnce(T) -> T + Send + 'static,
{
    type Carry = Carry<T>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, carry: Carry<T>) -> Carry<T> {
        Some(carry?.map(self.0))
    }

    fn gather(_: &[Self], _: &mut Gather) {}

    fn show(_: &[Self], _: &mut Everyone) {}
}

/// An operation on the value so far and an operand to its right.
pub(super) struct Then<T, U: Send + 'static, F, S> {
    right: ResultProxy<U>,
    apply: F,
    value: Types<T, S>,
}

impl<T, U: Send + 'static, F: FnOnce(T, U) -> T, S> Then<T, U, F, S> {
    pub(super) fn new(_: S, right: ResultProxy<U>, apply: F) -> Self {
        Self { right, apply, value: PhantomData }
    }
}

impl<T, U, F, S: Symbol> Step for Then<T, U, F, S>
where
    T: 'static,
    U: Clone + Send + Sync + 'static,
    F: FnOnce(T, U) -> T + Send + 'static,
{
    type Carry = Carry<T>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    #[inline]
    fn apply(self, carry: Carry<T>) -> Carry<T> {
        let value = value_of!(carry);
        Some(self.right.open().map(|(right, slot)| {
            let noted = Noted(&*slot);
            let value = (self.apply)(value, right);
            forget(noted);
            value
        }))
    }

    fn apply_all(steps: Steps<'_, Self>, carry: Carry<T>) -> Carry<T> {
        let mut value = value_of!(carry);
        for step in steps {
            match step.right.open() {
                Ok((right, slot)) => {
                    let noted = Noted(&*slot);
                    value = (step.apply)(value, right);
                    forget(noted);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(value))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().for_each(|step| need(&step.right, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            show_operand(&step.right, seen);
        }
    }
}

/// An operation on the value so far and a plain value to its right.
pub(super) struct ThenPlain<T, P, F, S> {
    right: P,
    apply: F,
    value: Types<T, S>,
}

impl<T, P, F: FnOnce(T, P) -> T, S> ThenPlain<T, P, F, S> {
    pub(super) fn new(_: S, right: P, apply: F) -> Self {
        Self { right, apply, value: PhantomData }
    }
}

impl<T, P, F, S: Symbol> Step for ThenPlain<T, P, F, S>
where
    T: 'static,
    P: Send + 'static,
    F: FnOnce(T, P) -> T + Send + 'static,
{
    type Carry = Carry<T>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    #[inline]
    fn apply(self, carry: Carry<T>) -> Carry<T> {
        Some(carry?.map(|value| (self.apply)(value, self.right)))
    }

    fn apply_all(steps: Steps<'_, Self>, carry: Carry<T>) -> Carry<T> {
        let mut value = value_of!(carry);
        for step in steps {
            value = (step.apply)(value, step.right);
        }
        Some(Ok(value))
    }

    fn gather(_: &[Self], _: &mut Gather) {}

    fn show(steps: &[Self], seen: &mut Everyone) {
        steps.iter().for_each(|step| seen.plain(&|| preview(&step.right)));
    }
}

/// An operation on an operand and the value so far to its right.
pub(super) struct Before<T, U: Send + 'static, F, S> {
    left: ResultProxy<U>,
    apply: F,
    value: Types<T, S>,
}

impl<T, U: Send + 'static, F: FnOnce(U, T) -> T, S> Before<T, U, F, S> {
    pub(super) fn new(_: S, left: ResultProxy<U>, apply: F) -> Self {
        Self { left, apply, value: PhantomData }
    }
}

impl<T, U, F, S: Symbol> Step for Before<T, U, F, S>
where
    T: 'static,
    U: Clone + Send + Sync + 'static,
    F: FnOnce(U, T) -> T + Send + 'static,
{
    type Carry = Carry<T>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;
    const COMES_FIRST: bool = true;

    fn apply(self, carry: Carry<T>) -> Carry<T> {
        // Its failure has been looked for before (`Expression::compute`); what fails now is the decoding.
        let (left, slot) = match self.left.open() {
            Ok(opened) => opened,
            Err(error) => return Some(Err(error)),
        };
        Some(carry?.map(|value| {
            let noted = Noted(&*slot);
            let value = (self.apply)(left, value);
            forget(noted);
            value
        }))
    }

    fn gather(steps: &[Self], needs: &mut Gather) {
        steps.iter().for_each(|step| need(&step.left, needs));
    }

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            seen.carried_right();
            show_operand(&step.left, seen);
        }
    }
}

/// An operation on a plain value and the value so far to its right.
pub(super) struct BeforePlain<T, P, F, S> {
    left: P,
    apply: F,
    value: Types<T, S>,
}

impl<T, P, F: FnOnce(P, T) -> T, S> BeforePlain<T, P, F, S> {
    pub(super) fn new(_: S, left: P, apply: F) -> Self {
        Self { left, apply, value: PhantomData }
    }
}

impl<T, P, F, S: Symbol> Step for BeforePlain<T, P, F, S>
where
    T: 'static,
    P: Send + 'static,
    F: FnOnce(P, T) -> T + Send + 'static,
{
    type Carry = Carry<T>;
    type Seen = Everyone;
    type Needs = Gather;
    const NAME: &'static str = S::TEXT;

    fn apply(self, carry: Carry<T>) -> Carry<T> {
        Some(carry?.map(|value| (self.apply)(self.left, value)))
    }

    fn gather(_: &[Self], _: &mut Gather) {}

    fn show(steps: &[Self], seen: &mut Everyone) {
        for step in steps {
            seen.carried_right();
            seen.plain(&|| preview(&step.left));
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::{Named, Symbol, packed};
    use std::any::{Any, TypeId};

    fn text<S: Symbol>(_: S) -> &'static str {
        S::TEXT
    }

    #[test]
    fn a_symbol_has_its_text() {
        assert_eq!(text(symbol!("+")), "+");
        assert_eq!(text(symbol!("sixteen_bytes_é")), "sixteen_bytes_é");
        assert_eq!(text(symbol!(stringify!(mul_add))), "mul_add");
        assert_eq!(text(symbol!("")), "");
    }

    #[test]
    fn the_same_text_is_the_same_type_wherever_it_stands() {
        let (here, there) = (symbol!("<<"), symbol!("<<"));
        assert_eq!(here.type_id(), there.type_id());
        assert_ne!(here.type_id(), TypeId::of::<Named<{ packed("<") }>>());
    }
}
