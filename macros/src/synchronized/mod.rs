//! `#[synchronized]`: a serial function whose concurrent calls are forked where they stand.
//!
//! `walk` knows what may be pending where, and settles it. Through the function go `block`, for the statements in order, `branch`,
//! where they branch, and `repeat`, where they are repeated or left by a jump; `scan` tells beforehand what may become pending in a
//! block.
//!
//! `form` tells which statements may have a concurrent call. `site` writes what becomes of such a statement, `bind` of one whose
//! value comes later, `argument` of one whose arguments may be concurrent calls, `places` of a place, `effects` of what may be
//! seen elsewhere, and `sequence` of the order in which the parts of an assignment are computed.
//!
//! `names` finds what code mentions, `deeds` what it may do, `shape` tells by its shape what may stay pending beside it, and `position` refuses
//! concurrent calls elsewhere.
//!
//! What is written refers to `xfork::__private::synchronized`, whose README says why it is right.

mod argument;
mod bind;
mod block;
mod branch;
mod deeds;
mod effects;
mod form;
mod given;
mod lend;
mod names;
mod places;
mod position;
mod repeat;
mod scan;
mod sequence;
mod shape;
mod site;
mod walk;

use form::Form;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::{HashMap, HashSet};
use syn::ext::IdentExt as _;
use syn::visit::Visit;
use syn::{Error, FnArg, ItemFn, Pat, Result, Stmt, Type, parse_quote};

use crate::parameter::bare;
use walk::Walk;

/// The function with its calls forked.
pub(crate) fn expand(settings: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !settings.is_empty() {
        return Err(Error::new_spanned(
            settings,
            "`#[synchronized]` takes no settings: concurrent functions are known by their type",
        ));
    }
    let mut function: ItemFn = syn::parse2(item).map_err(|error| {
        let what = "only a function or a method with a body can be synchronized";
        Error::new(error.span(), format!("{what} ({error})"))
    })?;
    if let Some(token) = &function.sig.asyncness {
        return Err(Error::new_spanned(
            token,
            "an `async fn` can't be synchronized, as it would block its executor; synchronize a function that it calls",
        ));
    }
    if let Some(token) = &function.sig.constness {
        return Err(Error::new_spanned(
            token,
            "a `const fn` can't be synchronized, as no fork happens in a constant",
        ));
    }
    let mut walk = Walk::new(variables(&function));
    walk.changed = changed(&function.block);
    walk.lent = lend::lent(&function.block);
    walk.defines_macros = names::mentioned(&function.block).contains("macro_rules");
    let places = parameters(&mut walk, &function);
    let is_unit = matches!(function.sig.output, syn::ReturnType::Default);
    walk.function(&mut function.block, is_unit);
    let declared: Vec<Stmt> = places.iter().flat_map(|&number| walk.queues(number)).collect();
    let (session, alone) = (&walk.session, &walk.alone);
    let statements = unwinding(&walk, &function, &places);
    function.block.stmts = parse_quote! {
        #[allow(unused_imports)]
        use ::xfork::__private::synchronized::{self as __xfork, methods::*};
        #[allow(unused_variables)]
        let #session = __xfork::Session::new();
        #[allow(unused_mut, unused_variables)]
        let mut #alone = __xfork::Queue::of(&());
        #(#declared)*
        #statements
    };
    // `iter.map(*f)` would be no closure whose calls could be forked.
    function.attrs.push(parse_quote!(#[allow(clippy::redundant_closure)]));
    Ok(function.into_token_stream())
}

/// The names of all variables.
fn variables(function: &ItemFn) -> HashSet<String> {
    struct Look(HashSet<String>);
    impl<'ast> Visit<'ast> for Look {
        fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
            self.0.insert(pattern.ident.to_string());
            syn::visit::visit_pat_ident(self, pattern);
        }
    }
    let mut look = Look(HashSet::new());
    look.visit_item_fn(function);
    look.0
}

/// The fields of all places that something may be put into later.
fn changed(block: &syn::Block) -> HashMap<String, Vec<Vec<syn::Member>>> {
    struct Look(HashMap<String, Vec<Vec<syn::Member>>>);
    impl<'ast> Visit<'ast> for Look {
        fn visit_stmt(&mut self, statement: &'ast Stmt) {
            let form = Form::perhaps(statement);
            let place = form.as_ref().and_then(Form::place);
            if let Some(root) = place.and_then(places::root) {
                self.0.entry(root.ident.unraw().to_string()).or_default().push(root.fields);
            }
            syn::visit::visit_stmt(self, statement);
        }
        fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
            let changed =
                call.args.iter().filter_map(given::changed).filter(|(_, by_reference)| *by_reference);
            for root in changed.filter_map(|(place, _)| places::root(place)) {
                self.0.entry(root.ident.unraw().to_string()).or_default().push(root.fields);
            }
            syn::visit::visit_expr_call(self, call);
        }
        fn visit_arm(&mut self, arm: &'ast syn::Arm) {
            self.visit_stmt(&Stmt::Expr((*arm.body).clone(), None));
            syn::visit::visit_arm(self, arm);
        }
    }
    let mut look = Look(HashMap::new());
    look.visit_block(block);
    look.0
}

/// The statements of the function, such that a panic of it finds done what it had called before. A function whose result may
/// borrow from its parameters, or that gives one of these another reference, is left as it is.
fn unwinding(walk: &Walk, function: &ItemFn, parameters: &[usize]) -> TokenStream {
    let statements = &function.block.stmts;
    let output = match &function.sig.output {
        _ if redirects(walk, function, parameters) => return quote!(#(#statements)*),
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(_, output) if may_borrow(output) => return quote!(#(#statements)*),
        syn::ReturnType::Type(_, output) => quote!(#output),
    };
    let (session, alone) = (&walk.session, &walk.alone);
    // What the function has given away it can't settle.
    let kept = parameters.iter().filter(|&&number| !walk.moved.contains(&walk.variables[number].name()));
    let parts = kept.flat_map(|&number| walk.variables[number].parts.iter().copied().chain([number]));
    let pending = parts
        .filter(|&part| {
            let variable = &walk.variables[part];
            variable.is_place && (variable.way == places::Way::Behind || variable.refers)
        })
        .map(|part| walk.variables[part].pending());
    let result = proc_macro2::Ident::new("__xfork_result", proc_macro2::Span::mixed_site());
    quote! {
        let #result = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| -> #output {
            #(#statements)*
        }));
        match #result {
            ::core::result::Result::Ok(#result) => #result,
            ::core::result::Result::Err(#result) => {
                __xfork::unwind(
                    &#session,
                    #result,
                    &mut [#(#pending,)* &mut #alone.at(&mut ())],
                )
            }
        }
    }
}

/// Whether a parameter that is a unique reference is made to refer to something else, which can't be done from within a closure.
fn redirects(walk: &Walk, function: &ItemFn, parameters: &[usize]) -> bool {
    struct Look(HashSet<String>, bool);
    impl<'ast> Visit<'ast> for Look {
        fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
            if let syn::Expr::Path(path) = form::bare(&assign.left) {
                self.1 |=
                    path.path.get_ident().is_some_and(|name| self.0.contains(&name.unraw().to_string()));
            }
            syn::visit::visit_expr_assign(self, assign);
        }
    }
    let references = parameters.iter().map(|&number| &walk.variables[number]);
    let references = references.filter(|it| it.refers && it.way == places::Way::Itself);
    let mut look = Look(references.map(places::Variable::name).collect(), false);
    look.visit_block(&function.block);
    look.1
}

/// Whether a type, by its text, may borrow, or is not to be named.
fn may_borrow(ty: &Type) -> bool {
    struct Look(bool);
    impl<'ast> Visit<'ast> for Look {
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            self.0 |= lifetime.ident != "static";
        }
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            self.0 |= !crate::parameter::is_static(reference.lifetime.as_ref());
            syn::visit::visit_type_reference(self, reference);
        }
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = true;
        }
        fn visit_type_never(&mut self, _: &'ast syn::TypeNever) {
            self.0 = true;
        }
    }
    let mut look = Look(false);
    look.visit_type(ty);
    look.0
}

/// Declares the parameters; gives the numbers of their variables.
fn parameters(walk: &mut Walk, function: &ItemFn) -> Vec<usize> {
    let mut numbers = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                let is_unique = match bare(&receiver.ty) {
                    Type::Reference(reference) => reference.mutability.is_some(),
                    _ => false,
                };
                let is_mut = receiver.reference.is_none() && receiver.mutability.is_some();
                let number = walk.declare(syn::Ident::new("self", receiver.self_token.span), is_mut);
                walk.variables[number].may_be_unique = is_unique || is_mut;
                walk.variables[number].refers = is_unique;
                walk.variables[number].is_shared = matches!(bare(&receiver.ty), Type::Reference(reference) if reference.mutability.is_none());
                walk.variables[number].has_parts = is_unique || is_mut;
                numbers.push(number);
            }
            FnArg::Typed(typed) => {
                let is_unique =
                    matches!(bare(&typed.ty), Type::Reference(reference) if reference.mutability.is_some());
                let is_shared =
                    matches!(bare(&typed.ty), Type::Reference(reference) if reference.mutability.is_none());
                let is_tracked = names::mentioned(&typed.ty).contains("Tracked");
                for (ident, is_mut) in names::bound(&typed.pat) {
                    let number = walk.declare(ident, is_mut);
                    let is_whole = matches!(&*typed.pat, Pat::Ident(_));
                    walk.variables[number].may_be_unique |= is_unique && is_whole;
                    walk.variables[number].refers = is_unique && is_whole;
                    walk.variables[number].is_shared = is_shared && is_whole && !is_mut;
                    walk.variables[number].is_tracked = is_tracked;
                    walk.variables[number].has_parts = is_unique && is_whole;
                    numbers.push(number);
                }
            }
        }
    }
    numbers
}
