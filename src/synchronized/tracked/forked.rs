//! A forked call with a tracked collection, and what becomes of that when its turn has come.

use super::changes::{Changes, Clash, Since, Snapshot, Writer};
use super::{Conflict, Indexed, State, Tracked};
use crate::args::Args;
use crate::callable::Callable;
use crate::core::runner::Haste;
use crate::proxy::rethrow;
use crate::synchronized::later::{Call, Forked, Later};
use crate::synchronized::queue::{Abandon, Queue, Session};
use crate::task::Route;
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

/// A type that is [`Tracked`], for code that sees no more than its text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `xfork::Tracked`",
    note = "a concurrent function changes an argument by `&mut` only if that is an `xfork::Tracked`, whose writes travel back"
)]
pub trait IsTracked {
    type Collection: Indexed;
}

impl<C: Indexed> IsTracked for Tracked<C> {
    type Collection = C;
}

/// What a task gets for such an argument.
pub type SnapshotOf<T> = Snapshot<<T as IsTracked>::Collection>;

impl<C: Indexed> Snapshot<C> {
    /// Calls the function in the task, with the collection, and says what it has done to that.
    pub fn run<R>(self, function: impl FnOnce(&mut Tracked<C>) -> R) -> (R, Changes<C>) {
        let mut tracked = Tracked::of(self);
        let result = function(&mut tracked);
        match tracked.take() {
            State::Draft(draft) => (result, draft.into_changes()),
            // Another one was put there.
            State::Own(value) => (result, Changes::of_another(value.into_inner())),
        }
    }
}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call changes a `Tracked` argument that can't be told from others by its text",
    label = "this call",
    note = "write the argument `&mut x` or `&mut x.field`, and have the declaration of `x` say that it is one: \
            `let mut x: Tracked<_> = ..`"
)]
pub trait SeenByItsName {}

/// An argument of a call that may be made again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an argument of a function with a `Tracked` one, but can't be cloned",
    label = "a call that has read what an earlier one wrote is made again, with a clone of this",
    note = "derive `Clone` for it, or have the function borrow it"
)]
pub trait Again: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Again for T {}

/// The same argument, for a call that is made again.
pub fn again<T: Again>(argument: &T) -> T {
    argument.clone()
}

/// A call with its result, and with what it has done to the collection.
type Started<T, C> = Call<(T, Changes<C>)>;

/// A forked call that changes a tracked collection.
pub struct ForkedInto<T: Send + 'static, C: Indexed> {
    call: Rc<Started<T, C>>,
    since: Since<C>,
    writer: Writer,
    again: Box<dyn Fn(Snapshot<C>) -> Started<T, C>>,
}

impl<T: Send + 'static, C: Indexed> fmt::Debug for ForkedInto<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForkedInto({} at {})", self.writer.0, self.writer.1)
    }
}

impl<T: Send + 'static, C: Indexed> ForkedInto<T, C> {
    /// Forks a call with the collection as it is now.
    #[track_caller]
    pub fn start<F, A>(
        function: F,
        tracked: &mut Tracked<C>,
        args: impl Fn(Snapshot<C>) -> A + 'static,
    ) -> Self
    where
        F: Callable<A, Output = (T, Changes<C>)> + Copy + 'static,
        A: Args,
        F::Mark: Route<F, A>,
    {
        let place = Location::caller();
        let again = move |snapshot| Call::start(function, args(snapshot), place);
        let call = Rc::new(again(tracked.snapshot()));
        Self { call, since: tracked.history.since(), writer: (F::name(), place), again: Box::new(again) }
    }

    /// What it does to the collection is done when its turn has come; `reach` gets from the place to the collection.
    pub fn __xfork_into<'q, R: ?Sized>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        reach: impl FnOnce(&mut R) -> &mut Tracked<C> + 'q,
    ) -> Forked<T>
    where
        T: 'q,
    {
        let first = self.call.clone();
        let (forked, value) = Forked::put(move || first.result(Haste::Now).ok().map(|(value, _)| value));
        let pending = Rc::new(Pending { forked: RefCell::new(Some(self)), value });
        session.add(&pending);
        queue.push(session.next(), move |place, haste| pending.settle(reach(place), haste));
        forked
    }

    /// Its argument is not seen to be a tracked collection.
    pub fn __xfork_then<R: ?Sized>(self, _: &Session, _: &mut Queue<'_, R>, _: impl FnOnce(&mut R, T))
    where
        C: SeenByItsName,
    {
        unreachable!("nothing is seen by that")
    }

    pub fn __xfork_later(self, _: &Session, _: &mut Queue<'_, ()>) -> Later<T>
    where
        C: SeenByItsName,
    {
        unreachable!("nothing is seen by that")
    }

    fn settle(self, tracked: &mut Tracked<C>, haste: Haste) -> T {
        let Self { call, since, writer, again } = self;
        let first = call.result(haste);
        let clash = |is_error| match &first {
            Ok((_, changes)) => tracked.history.conflict(&since, changes, is_error),
            // Nobody knows what it has read.
            Err(_) => tracked.history.write_after(&since),
        };
        let is_again = match tracked.conflicts {
            Conflict::Again => clash(false).is_some(),
            Conflict::Last => false,
            Conflict::Error => {
                if let Some(clash) = first.is_ok().then(|| clash(true)).flatten() {
                    refuse(writer, &clash);
                }
                false
            }
        };
        let (value, changes) = match first {
            _ if is_again => again(tracked.snapshot()).value(Haste::Now),
            Ok(done) => done,
            Err(error) => rethrow(&error),
        };
        tracked.apply(changes, writer);
        value
    }
}

/// Such a call until its turn has come.
struct Pending<T: Send + 'static, C: Indexed> {
    forked: RefCell<Option<ForkedInto<T, C>>>,
    value: Rc<RefCell<Option<T>>>,
}

impl<T: Send + 'static, C: Indexed> Pending<T, C> {
    fn settle(&self, tracked: &mut Tracked<C>, haste: Haste) {
        let forked = self.forked.take();
        let value = forked.map(|forked| forked.settle(tracked, haste));
        *self.value.borrow_mut() = value;
    }
}

impl<T: Send + 'static, C: Indexed> Abandon for Pending<T, C> {
    fn abandon(&self) {
        self.forked.borrow().iter().for_each(|forked| forked.call.abandon());
    }

    /// The collection has ended with the function that panics: what comes of the call is found with what is left of that.
    fn check(&self) {
        let Some(since) = self.forked.borrow().as_ref().map(|forked| forked.since.clone()) else { return };
        let left = since.left().take();
        if let Some(mut tracked) = left {
            self.settle(&mut tracked, Haste::Now);
            *since.left() = Some(tracked);
        }
    }
}

fn refuse<K: fmt::Debug>((name, place): Writer, clash: &Clash<K>) -> ! {
    let what = clash.key.as_ref().map_or("all of it".to_string(), |key| format!("the element {key:?}"));
    let other = clash
        .writer
        .map_or("an assignment".to_string(), |(name, place)| format!("`{name}` (called at {place})"));
    panic!(
        "xfork: two calls of one synchronisation conflict in a `Tracked`: `{name}` (called at {place}) has used {what}, which \
         {other} has written before. Have them use different elements, or leave `conflicts(Conflict::Error)` out: the call is made \
         again then"
    );
}
