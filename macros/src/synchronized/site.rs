//! A statement with what may be a concurrent call: what is written for it.
//!
//! Each becomes two: for a concurrent callee the call is forked and the rest of the statement is done later, for any other the
//! statement is the user's own. Which of them it is, the type of the callee says.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprCall, Path, Stmt, parse_quote};

use super::bind::Let;
use super::deeds::{of_arguments, of_indexes, of_value};
use super::effects::is_of_a_container;
use super::form::{Form, Value, bare, candidate, is_candidate};
use super::given::Given;
use super::names::{Names, bound, mentioned};
use super::places::{Later, mentioned_in_indexes};
use super::position::{self, Place, is_local};
use super::walk::{How, Walk};

/// What belongs to a forked call.
struct Parts<'a> {
    /// Computes the indexes of its place.
    before: &'a TokenStream,
    queue: &'a Ident,
    /// Puts the value there.
    then: &'a TokenStream,
    given: Option<&'a Given>,
}

impl Walk {
    /// A statement in a block.
    pub(super) fn statement(&mut self, mut statement: Stmt, lets: &mut Vec<Let>, out: &mut Vec<Stmt>) {
        let copy = statement.clone();
        let Some(form) = Form::of(&copy) else { return self.ordinary(statement, out) };
        let calls = form.calls();
        match form {
            Form::Assign { place, operator, value } => {
                let how = if operator.is_some() { How::Changed } else { How::Assigned };
                let number = self.place(place, how).filter(|_| self.is_forked(&value));
                let Some(number) = number else { return self.ordinary(statement, out) };
                if operator.is_some() && !self.is_any_order(place, &value) {
                    return self.ordinary(statement, out);
                }
                let given = self.given_to(&value);
                let mut names = mentioned_in_indexes(place);
                // The indexes come behind the call, and may see what it changes.
                if given.as_ref().is_some_and(|given| names.contains(&self.variables[given.number].name())) {
                    return self.ordinary(statement, out);
                }
                names.extend(mentioned_in(&value, given.as_ref()));
                self.settle_before(&names, of_indexes(place).and(of_value(&value)), out);
                if self.sees_through(number) {
                    self.settle(out);
                }
                self.settle_given(given.as_ref(), out);
                let here = internal("__xfork_here");
                let result = internal("__xfork_result");
                let later = Later::of(place, &self.variables[number], &here);
                let reached = &later.place;
                let then = match operator {
                    None => quote!(#reached = #result),
                    Some(operator) => quote!(#reached #operator #result),
                };
                let then = quote!(move |#here, #result| { #then; });
                let note = operator.map(|_| self.note_effects(number, reached, true));
                let before = &later.before;
                let before = quote!(#before #note);
                self.check_statement(&mut statement);
                let forgets = self.forgets_of_call(value.call());
                let statement = self.in_its_turn(number, &statement);
                let statement = quote!(#(#forgets)* #statement);
                let queue = self.variables[number].queue.clone();
                let parts = Parts { before: &before, queue: &queue, then: &then, given: given.as_ref() };
                let written = self.forked_or(&value, &parts, &statement);
                out.push(written);
                let holds = self.holds(number, place, None);
                self.put_into(number, holds);
                self.state.effects |= operator.is_some();
                self.give(given.as_ref());
            }
            Form::Method { call, candidates } => {
                let number = self.place(&call.receiver, How::Called);
                let candidates = self.real(&call.args, candidates);
                let is_kept = self.needs_its_turn(&call.args);
                let candidates = if is_kept { Vec::new() } else { candidates };
                let Some(number) = number.filter(|_| !candidates.is_empty()) else {
                    return self.ordinary(statement, out);
                };
                let mut names = mentioned_in_indexes(&call.receiver);
                names.extend(mentioned(&call.args));
                let done = of_indexes(&call.receiver).and(of_arguments(&call.args, &candidates));
                self.settle_before(&names, done, out);
                if self.sees_through(number) {
                    self.settle(out);
                }
                let here = internal("__xfork_here");
                let later = Later::of(&call.receiver, &self.variables[number], &here);
                let (method, turbofish) = (&call.method, &call.turbofish);
                let reached = &later.place;
                let note = self.note_effects(number, reached, is_of_a_container(method));
                let queue = self.variables[number].queue.clone();
                let whole =
                    |args: TokenStream| quote_spanned!(call.span()=> #reached.#method #turbofish(#args));
                self.check_statement(&mut statement);
                let forgets: Vec<Stmt> =
                    calls.into_iter().flat_map(|call| self.forgets_of_call(call)).collect();
                let statement = self.in_its_turn(number, &statement);
                let statement = quote!(#(#forgets)* #statement);
                self.one_of(&statement, &call.args, &candidates, &later.before, &note, &queue, &whole, out);
                let holds = self.holds(number, &call.receiver, Some(&call.args));
                self.put_into(number, holds);
                self.state.effects = true;
            }
            Form::Alone { call, candidates } => {
                let candidates = self.real(&call.args, candidates);
                // A variable that is called may be another one by then, or be changed by it.
                let is_variable = !matches!(bare(&call.func), Expr::Path(_)) || self.is_variable(call);
                let is_kept = is_variable || self.needs_its_turn(&call.args);
                let candidates = if is_kept { Vec::new() } else { candidates };
                let is_candidate = is_candidate(call) && !self.is_variable(call);
                if candidates.is_empty() && !is_candidate {
                    return self.ordinary(statement, out);
                }
                let given = match is_candidate {
                    true => self.given(call),
                    false => None,
                };
                let names = mentioned_in(&Value::Call(call), given.as_ref());
                self.settle_before(&names, of_arguments(&call.args, &candidates), out);
                self.settle_given(given.as_ref(), out);
                self.alone(statement, call, &candidates, is_candidate.then_some(given.as_ref()), out);
                self.give(given.as_ref());
                self.state.alone = true;
                self.state.effects |= !candidates.is_empty();
            }
            Form::Let { local, value } => {
                if !self.is_forked(&value) {
                    return self.ordinary(statement, out);
                }
                let given = self.given_to(&value);
                let mut names = mentioned_in(&value, given.as_ref());
                names.extend(mentioned(&local.pat));
                self.settle_before(&names, of_value(&value), out);
                self.settle_given(given.as_ref(), out);
                lets.push(self.bind(local, &value, given.as_ref(), out));
                self.give(given.as_ref());
                self.state.alone = true;
            }
        }
    }

    /// Whether the calls of a value may be forked.
    pub(super) fn is_forked(&self, value: &Value<'_>) -> bool {
        !self.is_variable(value.call()) && !self.changes_repeatedly(value)
    }

    /// The collection that a value's call may change.
    fn given_to(&mut self, value: &Value<'_>) -> Option<Given> {
        match value {
            Value::Call(call) => self.given(call),
            Value::Collect(_) => None,
        }
    }

    /// Whether what is put off may keep something borrowed of the place's own variable: by an index, or by an argument.
    fn holds(
        &self,
        number: usize,
        place: &Expr,
        args: Option<&syn::punctuated::Punctuated<Expr, syn::Token![,]>>,
    ) -> bool {
        let name = self.variables[number].name();
        let mut names = mentioned_in_indexes(place);
        let others = args.into_iter().flatten().filter(|arg| candidate(arg).is_none());
        others.for_each(|arg| names.extend(mentioned(arg)));
        let mut known = self.scope.iter().map(|&it| &self.variables[it]);
        names.contains(&name) || known.any(|it| names.contains(&it.name()) && it.origins.contains(&name))
    }

    /// Something is put into a place later.
    fn put_into(&mut self, number: usize, holds: bool) {
        if holds {
            self.state.holding.insert(number);
        }
        self.state.places.insert(number);
        self.state.loose.insert(number);
        self.variables[number].is_place = true;
    }

    /// Whether what is called is a variable, and so no marked function.
    pub(super) fn is_variable(&self, call: &ExprCall) -> bool {
        match bare(&call.func) {
            Expr::Path(path) => is_local(&path.path, &self.locals),
            _ => false,
        }
    }

    pub(super) fn check_statement(&self, statement: &mut Stmt) {
        if let Stmt::Expr(expr, _) = statement {
            position::check_statement(expr, Place::Expression, &self.locals);
        }
    }

    /// The statement of an ordinary callee, behind what is pending of its place.
    fn in_its_turn(&self, number: usize, statement: &Stmt) -> TokenStream {
        let settle = match self.state.places.contains(&number) {
            true => {
                let settle = self.settle_all();
                quote!(#(#settle)*)
            }
            false => self.behind_effects(),
        };
        let statement = ended(statement);
        quote!(#settle #statement)
    }

    /// The value is forked, or the statement is done.
    fn forked_or(&self, value: &Value<'_>, parts: &Parts<'_>, statement: &TokenStream) -> Stmt {
        let session = &self.session;
        let Parts { before, queue, then, given } = parts;
        let callee = internal("__xfork_callee");
        let path = path_of(value.call());
        let (forked, method) = match value {
            Value::Call(call) => (self.fork(&callee, call, *given), "__xfork_then"),
            Value::Collect(_) => (self.fork_all(value), "__xfork_collect_then"),
        };
        let method = position::method_at(path.span(), method);
        let task = internal("__xfork_task");
        let unless_given = self.unless_given(&callee, *given);
        parse_quote! {{
            let #callee = __xfork::Callee(&#path);
            #unless_given
            if #callee.__xfork_is_concurrent() {
                let #task = #forked;
                #before
                #task.#method(&#session, &mut #queue, #then);
            } else {
                #statement
            }
        }}
    }

    /// The forked call, at the user's line.
    pub(super) fn fork(&self, callee: &Ident, call: &ExprCall, given: Option<&Given>) -> TokenStream {
        self.fork_with(callee, call, given, &HashSet::new())
    }

    /// As [`fork`](Self::fork), where these names are other variables than those that the walk knows.
    fn fork_with(
        &self,
        callee: &Ident,
        call: &ExprCall,
        given: Option<&Given>,
        others: &HashSet<String>,
    ) -> TokenStream {
        let (lends, args) = (self.lends(call, others), self.checked_args(call));
        let span = call.func.span();
        let method = position::method_at(span, "__xfork_call");
        let into_place = given.map(|given| given.put_into_place(&self.session));
        quote_spanned!(span=> #callee.#method(#lends, #args) #into_place)
    }

    /// The arguments of a call. One that is a call itself is made where it stands.
    pub(super) fn checked_args(&self, call: &ExprCall) -> TokenStream {
        let mut args = call.args.clone();
        for arg in &mut args {
            position::check_argument(arg, Place::Expression, &self.locals);
        }
        args.to_token_stream()
    }

    /// All calls of an iterator, forked.
    pub(super) fn fork_all(&self, value: &Value<'_>) -> TokenStream {
        let Value::Collect(collect) = value else { unreachable!("called for collections alone") };
        let callee = internal("__xfork_callee");
        let inner = collect.closure.inputs.iter().flat_map(bound);
        let inner: HashSet<String> = inner.map(|(ident, _)| ident.unraw().to_string()).collect();
        let inner = self.changed_in_rounds(collect).into_iter().chain(inner).collect();
        let forked = self.fork_with(&callee, collect.call, None, &inner);
        let (receiver, closure) = (&collect.map.receiver, collect.closure);
        let (capture, input) = (&closure.capture, &closure.inputs);
        let path = path_of(collect.call);
        quote! {
            #receiver.map(#capture |#input| {
                let #callee = __xfork::Callee(&#path);
                #forked
            }).collect::<::std::vec::Vec<_>>()
        }
    }
}

pub(super) fn internal(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

pub(super) fn path_of(call: &ExprCall) -> &Path {
    match bare(&call.func) {
        Expr::Path(path) => &path.path,
        _ => unreachable!("a candidate calls a path"),
    }
}

/// What a value mentions, but for the collection that it changes.
pub(super) fn mentioned_in(value: &Value<'_>, given: Option<&Given>) -> Names {
    match value {
        Value::Call(call) => {
            let mut names = Names::default();
            let args =
                call.args.iter().enumerate().filter(|(at, _)| given.is_none_or(|given| given.at != *at));
            args.for_each(|(_, arg)| names.extend(mentioned(arg)));
            names
        }
        Value::Collect(collect) => mentioned(collect.whole),
    }
}

/// The statement with a semicolon.
pub(super) fn ended(statement: &Stmt) -> TokenStream {
    match statement {
        Stmt::Expr(expr, None) => quote!(#expr;),
        other => other.to_token_stream(),
    }
}
