//! What may be marked. Each refusal has its own sentence, says what to do instead, and is at the offending
//! token.
//!
//! All refusals of a function are reported together. What can only be known with types (a missing
//! `Serialize`, a capture) is left to the compiler and to the bounds in the `xfork` crate.

use quote::{ToTokens, quote};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, FnArg, GenericParam, Lifetime, Path, Result, ReturnType, Signature, Type,
    TypeImplTrait, TypeReference,
};

use crate::parameter::{bare, is_static, tracked};

/// Tuples of arguments are implemented up to this length.
const MOST_PARAMETERS: usize = 12;

/// The marks, as their last path segment is written.
const MARKS: [&str; 7] =
    ["cpu_bound", "io_bound", "r#unsafe", "sequential", "cpu_bound_fork", "io_bound_fork", "concurrent"];

/// Everything that was refused so far.
#[derive(Default)]
pub(crate) struct Refusals(Option<Error>);

impl Refusals {
    /// Keeps what could be read, or the refusal.
    pub(crate) fn keep<T>(&mut self, read: Result<T>) -> Option<T> {
        read.map_err(|error| self.push(error)).ok()
    }

    /// All refusals as one error.
    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }

    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn at(&mut self, tokens: impl ToTokens, sentence: &str) {
        self.push(Error::new_spanned(tokens, sentence));
    }
}

/// What a function may change of what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    Nothing,
    /// One `&mut Tracked<..>`.
    Tracked,
}

/// Refuses what keeps a function from being marked.
pub(crate) fn function(
    attributes: &[Attribute],
    signature: &Signature,
    changes: Changes,
    refusals: &mut Refusals,
) {
    second_mark(attributes, refusals);
    qualifiers(signature, refusals);
    generics(signature, refusals);
    parameters(signature, changes, refusals);
    result(signature, refusals);
}

fn second_mark(attributes: &[Attribute], refusals: &mut Refusals) {
    for attribute in attributes {
        // `r#unsafe` is compared with its prefix: `#[unsafe(no_mangle)]` is an attribute of the language.
        let is_mark =
            attribute.path().segments.last().is_some_and(|last| MARKS.iter().any(|mark| last.ident == mark));
        if is_mark {
            refusals.at(attribute.path(), "a function has one mark; remove this or the other one");
        }
    }
}

fn qualifiers(signature: &Signature, refusals: &mut Refusals) {
    if let Some(token) = &signature.constness {
        refusals.at(
            token,
            "a `const fn` can't be marked, as no fork happens in a constant; remove `const`, or \
            mark a function that calls this one",
        );
    }
    if let Some(token) = &signature.asyncness {
        refusals.at(
            token,
            "an `async fn` can't be marked: not supported yet; mark a function that blocks \
            until this one is done",
        );
    }
    if let Some(token) = &signature.unsafety {
        refusals.at(
            token,
            "an `unsafe fn` can't be marked, as a forked call can't be in an `unsafe` block; \
            mark a safe function that calls this one",
        );
    }
    if let Some(abi) = &signature.abi {
        refusals.at(
            abi,
            "a function with a foreign calling convention can't be marked; mark a Rust function \
            that calls this one",
        );
    }
    if let Some(variadic) = &signature.variadic {
        refusals.at(variadic, "a variadic function can't be marked; take the further arguments as a `Vec`");
    }
}

fn generics(signature: &Signature, refusals: &mut Refusals) {
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => refusals.at(
                &lifetime.lifetime,
                "leave lifetimes out; the forked call takes the owned form of what is borrowed",
            ),
            GenericParam::Type(ty) => refusals.at(
                &ty.ident,
                "a generic function can't be marked, as a worker has to know which function to \
                run; mark one function for each type, which calls the generic one",
            ),
            GenericParam::Const(constant) => refusals.at(
                &constant.ident,
                "a function with a const parameter can't be marked, as a worker has to know \
                which function to run; take the value as an ordinary parameter",
            ),
        }
    }
    if let Some(clause) = &signature.generics.where_clause {
        refusals.at(
            clause.where_token,
            "a marked function has no `where` clause, as it has nothing to constrain; leave it out",
        );
    }
}

fn parameters(signature: &Signature, changes: Changes, refusals: &mut Refusals) {
    let mut is_changed = false;
    if let Some(excess) = signature.inputs.iter().nth(MOST_PARAMETERS) {
        refusals
            .at(excess, "a marked function has at most 12 parameters; put some of them together in a struct");
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => refusals.at(
                receiver.self_token,
                "a method can't be marked; write a free function that takes `this: &T` and call \
                it from the method",
            ),
            FnArg::Typed(typed) => {
                for attribute in &typed.attrs {
                    if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                        refusals.at(
                            attribute,
                            "a parameter of a marked function can't be configured out; put the \
                            condition on the function",
                        );
                    }
                }
                match changes {
                    Changes::Tracked if tracked(&typed.ty).is_some() && is_changed => refusals.at(
                        &typed.ty,
                        "a concurrent function changes one `Tracked` argument; put both collections into one, or return \
                        what is to be changed",
                    ),
                    Changes::Tracked if tracked(&typed.ty).is_some() => is_changed = true,
                    Changes::Tracked if is_unique(&typed.ty) => refusals.at(
                        &typed.ty,
                        "a concurrent function changes a copy of what it takes by `&mut`, but for an `xfork::Tracked`, whose \
                        changes travel back; take a `&mut Tracked<..>`, or return the changed value",
                    ),
                    _ => parameter(&typed.ty, refusals),
                }
            }
        }
    }
}

fn is_unique(ty: &Type) -> bool {
    matches!(bare(ty), Type::Reference(reference) if reference.mutability.is_some())
}

fn parameter(ty: &Type, refusals: &mut Refusals) {
    let Type::Reference(reference) = bare(ty) else {
        return Inside { refusals, place: Place::Parameter }.visit_type(ty);
    };
    if reference.mutability.is_some() {
        refusals.push(changes_a_copy(reference));
        return;
    }
    let target = bare(&reference.elem);
    if matches!(target, Type::TraitObject(_)) {
        refusals.at(
            ty,
            "a `&dyn` parameter has no owned form that `fork` could take; take a concrete type, \
            or a `Box<dyn Trait + Send>` in an `io_bound` function",
        );
        return;
    }
    // The outer borrow has an owned form, so only what is inside of it is left to check; for a `'static` one
    // that is the same.
    Inside { refusals, place: Place::Parameter }.visit_type(target);
}

fn result(signature: &Signature, refusals: &mut Refusals) {
    if let ReturnType::Type(_, ty) = &signature.output {
        if let Type::Never(never) = bare(ty) {
            refusals.at(never, "a function that never returns has no result to fork for; return `()`");
        }
        Inside { refusals, place: Place::Result }.visit_type(ty);
    }
}

fn changes_a_copy(reference: &TypeReference) -> Error {
    let (and, mutability) = (&reference.and_token, &reference.mutability);
    Error::new_spanned(
        quote!(#and #mutability),
        "a `&mut` parameter can't be forked: changes would be made on a copy; return the changed value",
    )
}

/// Where a type is written, which decides what its borrows mean.
enum Place {
    Parameter,
    Result,
}

/// Refuses what may be nowhere in a type: borrows, `impl Trait` and `Self`.
struct Inside<'a> {
    refusals: &'a mut Refusals,
    place: Place,
}

impl<'ast> Visit<'ast> for Inside<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        match (&self.place, &reference.mutability) {
            (Place::Result, _) if !is_static(reference.lifetime.as_ref()) => {
                self.refusals.at(
                    reference,
                    "the result borrows, and a forked call has nobody to borrow from; return the \
                    owned value",
                );
            }
            (Place::Parameter, Some(_)) => self.refusals.push(changes_a_copy(reference)),
            (Place::Parameter, None) if !is_static(reference.lifetime.as_ref()) => self.refusals.at(
                reference,
                "a borrow inside another type has no owned form; take an owned value here, such \
                as `String` for `&str`",
            ),
            _ => visit::visit_type_reference(self, reference),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if matches!(self.place, Place::Result) && lifetime.ident != "static" {
            self.refusals.at(
                lifetime,
                "the result borrows, and a forked call has nobody to borrow from; return the \
                owned value",
            );
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        let sentence = match self.place {
            Place::Parameter => {
                "an `impl Trait` parameter is generic, and a worker has to know which function \
                to run; take a concrete type"
            }
            Place::Result => {
                "an `impl Trait` result has no name that `fork` could give its proxy; return a \
                concrete type"
            }
        };
        self.refusals.at(ty, sentence);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let Some(first) = path.segments.first()
            && first.ident == "Self"
        {
            self.refusals.at(
                &first.ident,
                "an associated function can't be marked; write a free function, with the name \
                of the type in place of `Self`",
            );
        }
        visit::visit_path(self, path);
    }

    // The lifetimes in a function's own signature are its caller's to choose, and borrow nothing here.
    fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
}
