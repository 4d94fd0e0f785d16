//! A statement with what may be a concurrent call: what is written for it.
//!
//! Each becomes two: for a concurrent callee the call is forked and the rest of the statement is done later, for any other the
//! statement is the user's own. Which of them it is, the type of the callee says.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{Expr, ExprCall, Pat, Path, Stmt, parse_quote};

use super::form::{Form, Value, bare, candidate};
use super::names::{Deeds, Names, bound, deeds, mentioned};
use super::places::{Later, Way, mentioned_in_indexes};
use super::position::{self, Place};
use super::walk::{How, Walk};

/// A `let` whose value comes later.
pub(super) struct Let {
    /// The names that it binds.
    names: Names,
    /// Their variables.
    variables: Vec<usize>,
    /// Gives them their values.
    take: TokenStream,
    later: Ident,
}

fn internal(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Walk {
    /// A statement in a block.
    pub(super) fn statement(&mut self, mut statement: Stmt, lets: &mut Vec<Let>, out: &mut Vec<Stmt>) {
        let copy = statement.clone();
        let Some(form) = Form::of(&copy) else { return self.ordinary(statement, out) };
        match form {
            Form::Assign { place, operator, value } => {
                let how = if operator.is_some() { How::Changed } else { How::Assigned };
                let number = self.place(place, how).filter(|_| !self.is_variable(value.call()));
                let Some(number) = number else { return self.ordinary(statement, out) };
                let mut names = mentioned_in_indexes(place);
                names.extend(mentioned_in(&value));
                self.settle_before(&names, deeds_of(&[place], &value), out);
                if self.sees_through(number) {
                    self.settle(out);
                }
                let here = internal("__xfork_here");
                let result = internal("__xfork_result");
                let later = Later::of(place, &self.variables[number], &here);
                let reached = &later.place;
                let then = match operator {
                    None => quote!(#reached = #result),
                    Some(operator) => quote!(#reached #operator #result),
                };
                let then = quote!(move |#here, #result| { #then; });
                self.check_statement(&mut statement);
                let statement = self.in_its_turn(number, &statement);
                let queue = self.variables[number].queue.clone();
                let written = self.forked_or(&value, &later.before, &queue, &then, &statement);
                out.push(written);
                self.state.places.insert(number);
                self.variables[number].is_place = true;
            }
            Form::Method { call, candidates } => {
                let number = self.place(&call.receiver, How::Called);
                let candidates = self.real(&call.args, candidates);
                let is_kept = borrows(&call.args) || self.gives_unique(&call.args);
                let candidates = if is_kept { Vec::new() } else { candidates };
                let Some(number) = number.filter(|_| !candidates.is_empty()) else {
                    return self.ordinary(statement, out);
                };
                let mut names = mentioned_in_indexes(&call.receiver);
                names.extend(call.args.iter().flat_map(mentioned));
                let mut done = all_deeds(&call.args);
                done.calls |= call.args.iter().any(|arg| candidate(arg).is_none() && deeds(arg).calls);
                self.settle_before(&names, done, out);
                if self.sees_through(number) {
                    self.settle(out);
                }
                let here = internal("__xfork_here");
                let later = Later::of(&call.receiver, &self.variables[number], &here);
                let (method, turbofish) = (&call.method, &call.turbofish);
                let session = self.session.clone();
                let reached = &later.place;
                let whole_place = self.variables[number].place();
                // Only the type of the receiver is asked.
                let note = quote! {
                    #session.note_effects(
                        __xfork::Receiver::of(&#whole_place, |#here| &#reached).__xfork_has_effects(),
                    );
                };
                let queue = self.variables[number].queue.clone();
                let whole =
                    |args: TokenStream| quote_spanned!(call.span()=> #reached.#method #turbofish(#args));
                self.check_statement(&mut statement);
                let statement = self.in_its_turn(number, &statement);
                self.one_of(&statement, &call.args, &candidates, &later.before, &note, &queue, &whole, out);
                self.state.places.insert(number);
                self.state.effects = true;
                self.variables[number].is_place = true;
            }
            Form::Alone { call, candidates } => {
                let candidates = self.real(&call.args, candidates);
                // A variable that is called may be another one by then, or be changed by it.
                let is_variable = !matches!(bare(&call.func), Expr::Path(_)) || self.is_variable(call);
                let is_kept = borrows(&call.args) || is_variable || self.gives_unique(&call.args);
                let candidates = if is_kept { Vec::new() } else { candidates };
                let is_candidate = candidate_of(call).is_some() && !self.is_variable(call);
                if candidates.is_empty() && !is_candidate {
                    return self.ordinary(statement, out);
                }
                let names = mentioned(&call.args);
                let done = all_deeds(&call.args);
                self.settle_before(&names, done, out);
                self.alone(statement, call, &candidates, is_candidate, out);
                self.state.alone = true;
                self.state.effects |= !candidates.is_empty();
            }
            Form::Let { local, value } => {
                if self.is_variable(value.call()) {
                    return self.ordinary(statement, out);
                }
                let mut names = mentioned_in(&value);
                names.extend(mentioned(&local.pat));
                self.settle_before(&names, deeds_of(&[], &value), out);
                lets.push(self.bind(local, &value, out));
                self.state.alone = true;
            }
        }
    }

    /// Whether what is called is a variable, and so no marked function.
    fn is_variable(&self, call: &ExprCall) -> bool {
        match bare(&call.func) {
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| self.locals.contains(&name.to_string()))
            }
            _ => false,
        }
    }

    /// Those of the arguments that may be concurrent calls.
    fn real(
        &self,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        candidates: Vec<usize>,
    ) -> Vec<usize> {
        let is_real = |&at: &usize| candidate(&args[at]).is_some_and(|call| !self.is_variable(call));
        candidates.into_iter().filter(is_real).collect()
    }

    /// Whether one of the arguments is a unique reference, which the statement lends and does not give away.
    fn gives_unique(&self, args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> bool {
        args.iter().any(|arg| match bare(arg) {
            Expr::Path(path) => {
                let variable = path.path.get_ident().and_then(|name| self.find(name));
                variable.is_some_and(|number| self.variables[number].refers)
            }
            _ => false,
        })
    }

    fn check_statement(&self, statement: &mut Stmt) {
        if let Stmt::Expr(expr, _) = statement {
            position::check_statement(expr, Place::Expression, &self.locals);
        }
    }

    /// The statement of an ordinary callee, behind what is pending of its place.
    fn in_its_turn(&self, number: usize, statement: &Stmt) -> TokenStream {
        let settle = match self.state.places.contains(&number) {
            true => self.settle_up_to(&quote!(::core::primitive::u64::MAX)).to_token_stream(),
            false => self.behind_effects(),
        };
        let statement = ended(statement);
        quote!(#settle #statement)
    }

    /// Settles what an ordinary callee may see.
    fn behind_effects(&self) -> TokenStream {
        let mut settle = Vec::new();
        self.settle_effects(&mut settle);
        quote!(#(#settle)*)
    }

    /// The value is forked, or the statement is done.
    fn forked_or(
        &self,
        value: &Value<'_>,
        before: &TokenStream,
        queue: &Ident,
        then: &TokenStream,
        statement: &TokenStream,
    ) -> Stmt {
        let session = &self.session;
        let callee = internal("__xfork_callee");
        let path = path_of(value.call());
        let (forked, method) = match value {
            Value::Call(call) => (self.fork(&callee, call), quote!(__xfork_then)),
            Value::Collect(_) => (self.fork_all(value), quote!(__xfork_collect_then)),
        };
        let task = internal("__xfork_task");
        parse_quote! {{
            let #callee = __xfork::Callee(&#path);
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
    fn fork(&self, callee: &Ident, call: &ExprCall) -> TokenStream {
        let args = self.checked_args(call);
        let span = call.func.span();
        let method = position::method_at(span, "__xfork_call");
        quote_spanned!(span=> #callee.#method(#args))
    }

    /// The arguments of a call. One that is a call itself is made where it stands.
    fn checked_args(&self, call: &ExprCall) -> TokenStream {
        let mut args = call.args.clone();
        for arg in &mut args {
            position::check_argument(arg, Place::Expression, &self.locals);
        }
        args.to_token_stream()
    }

    /// All calls of an iterator, forked.
    fn fork_all(&self, value: &Value<'_>) -> TokenStream {
        let Value::Collect(collect) = value else { unreachable!("called for collections alone") };
        let callee = internal("__xfork_callee");
        let forked = self.fork(&callee, collect.call);
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

    /// The value comes later, or is there: an expression.
    fn later(&self, value: &Value<'_>, original: &TokenStream) -> TokenStream {
        let (session, alone) = (&self.session, &self.alone);
        let callee = internal("__xfork_callee");
        let path = path_of(value.call());
        let behind = self.behind_effects();
        let (forked, method) = match value {
            Value::Call(call) => (self.fork(&callee, call), quote!(__xfork_later)),
            Value::Collect(_) => (self.fork_all(value), quote!(__xfork_collect_later)),
        };
        quote! {{
            let #callee = __xfork::Callee(&#path);
            if #callee.__xfork_is_concurrent() {
                #forked.#method(&#session, &mut #alone)
            } else {
                #behind
                __xfork::Later::now(#original)
            }
        }}
    }

    fn original(&self, value: &Value<'_>) -> TokenStream {
        match value {
            Value::Call(call) => {
                let (path, args) = (&call.func, self.checked_args(call));
                quote_spanned!(call.span()=> #path(#args))
            }
            Value::Collect(collect) => collect.whole.to_token_stream(),
        }
    }

    /// `let x = f(..)`: `x` is declared here, and gets its value later.
    fn bind(&mut self, local: &syn::Local, value: &Value<'_>, out: &mut Vec<Stmt>) -> Let {
        let number = self.next_let();
        let later = internal(&format!("__xfork_later_{number}"));
        let expr = self.later(value, &self.original(value));
        let attributes = &local.attrs;
        let pattern = &local.pat;
        out.push(parse_quote!(let #later = #expr;));
        out.push(parse_quote!(#(#attributes)* #[allow(unused_mut)] let #pattern;));
        let bound = bound(pattern);
        let names = bound.iter().map(|(ident, _)| ident.to_string()).collect();
        let variables: Vec<usize> =
            bound.into_iter().map(|(ident, is_mut)| self.declare(ident, is_mut)).collect();
        // They may be references into what the call was given.
        let origins = mentioned_in(value);
        for &variable in &variables {
            if self.variables[variable].way == Way::Behind {
                self.variables[variable].origins.clone_from(&origins);
            }
        }
        // Nothing can be put into them before they have their values.
        variables.iter().for_each(|&variable| self.variables[variable].is_initialised = false);
        let taken = quote!(#later.take());
        let take = assign(pattern, &taken);
        Let { names, variables, take, later }
    }

    /// Says of which types those variables are that nothing mentions.
    pub(super) fn tie_lets(lets: &[Let], out: &mut Vec<Stmt>) {
        out.extend(lets.iter().map(|it| -> Stmt {
            let take = &it.take;
            parse_quote! {
                #[allow(unreachable_code, unused_variables, unused_assignments)]
                if false { #take; }
            }
        }));
    }

    /// Gives their values to those variables that the statement mentions. Says after
    /// how many statements which variables have theirs.
    pub(super) fn take_lets(
        &mut self,
        lets: &mut Vec<Let>,
        next: Option<&Stmt>,
        out: &mut Vec<Stmt>,
    ) -> Vec<(usize, Vec<usize>)> {
        let mut there = Vec::new();
        let names = next.map(mentioned).unwrap_or_default();
        let (due, rest): (Vec<Let>, Vec<Let>) = lets.drain(..).partition(|it| !it.names.is_disjoint(&names));
        *lets = rest;
        for Let { variables, take, later, .. } in due {
            out.extend(self.settle_up_to(&quote!(#later.call())));
            out.push(Stmt::Expr(Expr::Verbatim(take), Some(<syn::Token![;]>::default())));
            for &variable in &variables {
                self.variables[variable].is_initialised = true;
            }
            there.push((out.len(), variables));
        }
        there
    }

    /// A value that is collected where it is used.
    pub(super) fn collected(&mut self, expr: &Expr, out: &mut Vec<Stmt>) -> Option<Expr> {
        let value = Value::of(expr).filter(|value| matches!(value, Value::Collect(_)))?;
        if self.is_variable(value.call()) {
            return None;
        }
        self.settle_before(&mentioned(expr), deeds(expr), out);
        let later = internal("__xfork_later");
        let written = self.later(&value, &self.original(&value));
        out.push(parse_quote!(let #later = #written;));
        self.state.alone = true;
        self.settle(out);
        Some(parse_quote!(#later.take()))
    }

    /// A statement whose call has one argument that may be a concurrent call.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn one_of(
        &self,
        statement: &TokenStream,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        candidates: &[usize],
        before: &TokenStream,
        note: &TokenStream,
        queue: &Ident,
        whole: &dyn Fn(TokenStream) -> TokenStream,
        out: &mut Vec<Stmt>,
    ) {
        let mut written = statement.clone();
        for &at in candidates.iter().rev() {
            written = self.if_argument(at, args, before, note, queue, whole, false, &written);
        }
        out.push(parse_quote!({ #written }));
    }

    /// If the argument `at` is a concurrent call, that is forked; else `otherwise`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn if_argument(
        &self,
        at: usize,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        before: &TokenStream,
        note: &TokenStream,
        queue: &Ident,
        whole: &dyn Fn(TokenStream) -> TokenStream,
        keeps: bool,
        otherwise: &TokenStream,
    ) -> TokenStream {
        let session = &self.session;
        let (callee, task) = (internal("__xfork_callee"), internal("__xfork_task"));
        let (here, result) = (internal("__xfork_here"), internal("__xfork_result"));
        let call = candidate(&args[at]).expect("a candidate");
        let path = path_of(call);
        let mut computed = TokenStream::new();
        let mut names = Vec::new();
        for (number, arg) in args.iter().enumerate() {
            if number == at {
                let forked = self.fork(&callee, call);
                computed.extend(quote!(let #task = #forked;));
                names.push(quote!(#result));
            } else {
                let name = internal(&format!("__xfork_argument_{number}"));
                let mut arg = arg.clone();
                position::check_beside(&mut arg, &callee, &self.locals);
                if keeps {
                    computed.extend(quote! {
                        #[allow(unused_mut)]
                        let mut #name = __xfork::Keep(#arg).__xfork_keep();
                    });
                    names.push(quote!(#name.__xfork_give()));
                } else {
                    computed.extend(quote!(let #name = #arg;));
                    names.push(quote!(#name));
                }
            }
        }
        let whole = whole(quote!(#(#names),*));
        quote! {
            let #callee = __xfork::Callee(&#path);
            if #callee.__xfork_is_concurrent() {
                #before
                #note
                #computed
                #task.__xfork_then(&#session, &mut #queue, move |#here, #result| {
                    let _ = &#here;
                    #[allow(unused_must_use, clippy::let_underscore_untyped)]
                    { #whole; }
                });
            } else {
                #otherwise
            }
        }
    }

    /// `g(.., f(..));`, of which `g` or one of its arguments may be concurrent.
    fn alone(
        &self,
        mut statement: Stmt,
        call: &ExprCall,
        candidates: &[usize],
        is_candidate: bool,
        out: &mut Vec<Stmt>,
    ) {
        let (session, queue) = (&self.session, &self.alone);
        let function = &call.func;
        let note = quote!(#session.note_effects(true););
        let whole = |args: TokenStream| quote_spanned!(call.span()=> #function(#args));
        self.check_statement(&mut statement);
        let (behind, statement) = (self.behind_effects(), ended(&statement));
        let mut written = quote!(#behind #statement);
        let none = TokenStream::new();
        for &at in candidates.iter().rev() {
            written = self.if_argument(at, &call.args, &none, &note, queue, &whole, true, &written);
        }
        if is_candidate {
            let callee = internal("__xfork_callee");
            let path = path_of(call);
            let forked = self.fork(&callee, call);
            written = quote! {
                let #callee = __xfork::Callee(&#path);
                if #callee.__xfork_is_concurrent() {
                    #forked.__xfork_then(&#session, &mut #queue, |_, _| {});
                } else {
                    #written
                }
            };
        }
        out.push(parse_quote!({ #written }));
    }
}

/// Whether one of the arguments borrows what may be changed, or gone, when a call is made later.
fn borrows(args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> bool {
    args.iter().any(|arg| matches!(bare(arg), Expr::Reference(_)))
}

fn path_of(call: &ExprCall) -> &Path {
    match bare(&call.func) {
        Expr::Path(path) => &path.path,
        _ => unreachable!("a candidate calls a path"),
    }
}

/// The call itself, if it may be of a marked function.
fn candidate_of(call: &ExprCall) -> Option<()> {
    candidate(&Expr::Call(call.clone())).map(|_| ())
}

fn mentioned_in(value: &Value<'_>) -> Names {
    match value {
        Value::Call(call) => mentioned(&call.args),
        Value::Collect(collect) => mentioned(collect.whole),
    }
}

/// What is done beside the call itself.
fn deeds_of(places: &[&Expr], value: &Value<'_>) -> Deeds {
    let mut all = match value {
        Value::Call(call) => all_deeds(&call.args),
        Value::Collect(collect) => deeds(&collect.map.receiver),
    };
    for place in places {
        let of_place = deeds(place);
        all.leaves |= of_place.leaves;
        all.calls |= of_place.calls;
    }
    all
}

fn all_deeds(args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> Deeds {
    let mut all = Deeds::default();
    for arg in args {
        let of_arg = match candidate(arg) {
            Some(call) => all_deeds(&call.args),
            None => deeds(arg),
        };
        all.leaves |= of_arg.leaves;
        all.calls |= of_arg.calls;
    }
    all
}

/// The statement with a semicolon.
fn ended(statement: &Stmt) -> TokenStream {
    match statement {
        Stmt::Expr(expr, None) => quote!(#expr;),
        other => other.to_token_stream(),
    }
}

/// Gives the names of a pattern, which are declared, their values.
fn assign(pattern: &Pat, value: &TokenStream) -> TokenStream {
    struct Rename(Vec<(Ident, Ident)>);
    impl VisitMut for Rename {
        fn visit_pat_ident_mut(&mut self, pattern: &mut syn::PatIdent) {
            let fresh = internal(&format!("__xfork_part_{}", self.0.len()));
            self.0.push((pattern.ident.clone(), fresh.clone()));
            pattern.ident = fresh;
            pattern.mutability = None;
        }
    }
    let mut bare = pattern;
    while let Pat::Type(typed) = bare {
        bare = &typed.pat;
    }
    match bare {
        Pat::Ident(name) => {
            let ident = &name.ident;
            quote!(#ident = #value)
        }
        _ => {
            let (mut parts, mut rename) = (pattern.clone(), Rename(Vec::new()));
            rename.visit_pat_mut(&mut parts);
            let given = rename.0.iter().map(|(name, part)| quote!(#name = #part;));
            quote!({ let #parts = #value; #(#given)* })
        }
    }
}
