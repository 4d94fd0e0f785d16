//! What a task of a graph is made of, with its types and without: a function and arguments that can be run again.

use super::draw::NodeKind;
use crate::args::{Args, NodeArgs, Type};
use crate::callable::{Again, Callable};
use crate::core::error::{TaskError, panic_error};
use crate::core::limits::Limits;
use crate::core::series::Member;
use crate::core::slot::{AnySlot, Slot};
use crate::ground::panics;
use crate::kept::Codec;
use crate::place::{AnyPlace, Place};
use crate::proxy::{ResultProxy, ready};
use crate::task::{Parts, Route, Task, Where};
use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::panic::Location;
use std::sync::{Arc, Weak};

/// A task of a graph without its types.
pub(super) trait Work: Send + Sync {
    /// Starts the task, whose inputs are there, as a member of a series; false if it has failed before it could be.
    fn start(&self, member: Member) -> bool;
    fn place(&self) -> &dyn AnyPlace;
    /// The place: an `Arc<Place<T>>`.
    fn any_place(&self) -> Arc<dyn Any + Send + Sync>;
    fn runs(&self) -> Where;
    fn added_at(&self) -> &'static Location<'static>;
    fn priority(&self) -> i32;
    /// The name of its function.
    fn function(&self) -> &'static str;
    /// What it is told from others by; `None` if nothing is known of what it does.
    fn identity(&self) -> Option<Identity>;
    /// The parameters that are fed with the results of tasks given by name; `None`, if the arguments were given with the task.
    fn parameters(&self) -> Option<Vec<Type>>;
    /// The result, encoded for a later process, if there is one that can be.
    fn encode(&self) -> Option<Result<Vec<u8>, String>>;
    /// Reads such a result, and says what is wrong with it.
    fn decode(&self, bytes: &[u8]) -> Result<(), String>;
    /// Sets limits; what they don't say stays as it was.
    fn set_limits(&self, limits: Limits);
    /// Has the result be saved; the `Codec` of its type. Says why it can't be.
    fn set_saved(&self, codec: &dyn Any) -> Result<(), String>;
    /// Feeds them; each an `Arc<Place<T>>`.
    fn link(&self, places: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>);
    /// The part of an expression that it is, if it is one.
    fn part(&self) -> Option<&Weak<dyn AnySlot>> {
        None
    }
    /// Puts the result where others find it if it is there without a run; says whether it is.
    fn finds_result(&self) -> bool {
        false
    }
    fn drawn_as(&self) -> NodeKind {
        match self.runs() {
            Where::Process => NodeKind::Cpu,
            Where::Thread => NodeKind::Io,
            Where::Here => NodeKind::InPlace,
        }
    }
}

/// What a task does, to be compared with others.
pub(super) struct Identity {
    pub(super) function: TypeId,
    /// Those of the arguments that are values, encoded; `None` if they can't be.
    pub(super) arguments: Option<Vec<u8>>,
    pub(super) parameters: usize,
}

/// A task of a graph.
pub(super) struct TypedWork<F: Callable<A>, A: Args, R: Send + 'static> {
    /// Locked while the arguments are copied; a task is started by one thread at a time.
    call: Mutex<Call<F, A, R>>,
    place: Arc<Place<R>>,
    added_at: &'static Location<'static>,
}

struct Call<F, A: Args, R> {
    function: F,
    /// None until tasks given by name are found.
    inputs: Option<A::Inputs>,
    unusual: Option<Box<Unusual<F, A, R>>>,
}

/// What few tasks have.
struct Unusual<F, A, R> {
    limits: Limits,
    again: Option<Again<F, A>>,
    after: Vec<Arc<dyn AnySlot>>,
    codec: Option<Codec<R>>,
    is_named: bool,
}

impl<F, A, R> Default for Unusual<F, A, R> {
    fn default() -> Self {
        Self { limits: Limits::new(), again: None, after: Vec::new(), codec: None, is_named: false }
    }
}

impl<F, A> TypedWork<F, A, F::Output>
where
    F: Callable<A> + Clone + Send + 'static,
    A: NodeArgs,
    A::Inputs: Send,
    F::Mark: Route<F, A>,
    F::Output: Send + Sync + 'static,
{
    /// A task whose arguments were given with it.
    pub(super) fn new(parts: Parts<F, A>, place: Arc<Place<F::Output>>) -> Arc<Self> {
        let Parts { function, inputs, limits, again, after, codec, place: added_at, .. } = parts;
        let is_usual = limits == Limits::new() && again.is_none() && after.is_empty() && codec.is_none();
        let unusual = (!is_usual).then(|| Box::new(Unusual { limits, again, after, codec, is_named: false }));
        let call = Mutex::new(Call { function, inputs: Some(inputs), unusual });
        Arc::new(Self { call, place, added_at })
    }

    /// A task whose arguments are the results of others that are known by name.
    pub(super) fn named(
        function: F,
        place: Arc<Place<F::Output>>,
        added_at: &'static Location<'static>,
    ) -> Arc<Self> {
        let unusual = Unusual { limits: F::limits(), is_named: true, ..Unusual::default() };
        let call = Mutex::new(Call { function, inputs: None, unusual: Some(Box::new(unusual)) });
        Arc::new(Self { call, place, added_at })
    }
}

/// Gives a task this end, before it could be started.
fn fail<R: Send + Sync + 'static>(place: &Place<R>, error: TaskError) {
    let reader = Slot::pending();
    reader.cell().fulfil(Err(error));
    place.set(ResultProxy::new(reader));
}

/// Hands a task over whose result comes to this place; false if it has failed before it could be.
pub(super) fn hand_over<F, A>(task: Task<F, A>, place: &Place<F::Output>, name: &str) -> bool
where
    F: Callable<A> + Send + 'static,
    A: NodeArgs,
    A::Inputs: Send,
    F::Mark: Route<F, A>,
    F::Output: Send + Sync + 'static,
{
    // A runner is code of the user. What it drops in its panic, it has cancelled.
    match panics::catch(|| drop(F::Mark::start_ready(task))) {
        Err(caught) if place.slot().is_none() => {
            fail(place, panic_error(name, caught));
            false
        }
        _ => true,
    }
}

impl<F, A> TypedWork<F, A, F::Output>
where
    F: Callable<A>,
    A: Args,
    F::Mark: Route<F, A>,
    F::Output: Send + 'static,
{
    fn codec(&self) -> Option<Codec<F::Output>> {
        let asked = self.call.lock().unusual.as_ref().and_then(|unusual| unusual.codec);
        asked.or_else(F::Mark::codec)
    }
}

impl<F, A> Work for TypedWork<F, A, F::Output>
where
    F: Callable<A> + Clone + Send + 'static,
    A: NodeArgs,
    A::Inputs: Send,
    F::Mark: Route<F, A>,
    F::Output: Send + Sync + 'static,
{
    fn start(&self, member: Member) -> bool {
        let name = || member.series.name(member.position.index as u32);
        // Cloning is code of the user.
        let copied = panics::catch(|| {
            let call = self.call.lock();
            let inputs = call.inputs.as_ref().expect("the graph was checked before");
            let unusual = match &call.unusual {
                Some(unusual) => (unusual.limits, unusual.again, unusual.after.clone()),
                None => Default::default(),
            };
            (call.function.clone(), A::again(inputs), unusual)
        });
        let (function, inputs, (limits, again, after)) = match copied {
            Ok(copied) => copied,
            Err(caught) => {
                fail(&self.place, panic_error(name(), caught));
                return false;
            }
        };
        let (cost, origins, codec, place) = (None, Vec::new(), None, self.added_at);
        let parts = Parts { function, inputs, limits, again, after, cost, origins, codec, place };
        let task = Task::in_series(parts, member.clone(), self.place.clone());
        hand_over(task, &self.place, name())
    }

    fn place(&self) -> &dyn AnyPlace {
        &*self.place
    }

    fn any_place(&self) -> Arc<dyn Any + Send + Sync> {
        self.place.clone()
    }

    fn runs(&self) -> Where {
        F::Mark::PLACE
    }

    fn added_at(&self) -> &'static Location<'static> {
        self.added_at
    }

    fn priority(&self) -> i32 {
        self.call.lock().unusual.as_ref().and_then(|unusual| unusual.limits.priority).unwrap_or(0)
    }

    fn function(&self) -> &'static str {
        F::name()
    }

    fn identity(&self) -> Option<Identity> {
        // What a function captures can't be compared.
        let has_state = size_of::<F>() != 0 || F::Mark::PLACE == Where::Here;
        let call = self.call.lock();
        let waits = call.unusual.as_ref().is_some_and(|unusual| !unusual.after.is_empty());
        if has_state || waits {
            return None;
        }
        let arguments = match &call.unusual {
            Some(unusual) if unusual.is_named => Some(Vec::new()),
            _ => F::Mark::describe(call.inputs.as_ref()?),
        };
        Some(Identity { function: TypeId::of::<F>(), arguments, parameters: A::parameters().len() })
    }

    fn parameters(&self) -> Option<Vec<Type>> {
        self.call.lock().unusual.as_ref().filter(|unusual| unusual.is_named).map(|_| A::parameters())
    }

    fn encode(&self) -> Option<Result<Vec<u8>, String>> {
        let (codec, proxy) = (self.codec()?, self.place.proxy()?);
        // Serialising is code of the user, and so is decoding.
        let encoded = panics::catch(|| {
            if let Some(parcel) = proxy.encoded_value()
                && let Some(bytes) = parcel.plain_bytes()
            {
                return Some((codec.adopt)(bytes));
            }
            let mut encoded = None;
            let shown = proxy.show_unread(&mut |value| encoded = Some((codec.encode)(value)));
            shown.ok().and(encoded)
        });
        encoded.unwrap_or_else(|caught| Some(Err(panic_error(F::name(), caught).message().into())))
    }

    fn decode(&self, bytes: &[u8]) -> Result<(), String> {
        let Some(codec) = self.codec() else {
            return Err(
                "nothing says how to read it: ask for it before, by `Task::saved` or `set_saved`".into()
            );
        };
        let value = panics::catch(|| (codec.decode)(bytes));
        let value = value.unwrap_or_else(|caught| Err(panic_error(F::name(), caught).message().into()))?;
        self.place.set(ready(value));
        Ok(())
    }

    fn set_limits(&self, limits: Limits) {
        let mut call = self.call.lock();
        let unusual = call.unusual.get_or_insert_default();
        unusual.limits = limits.or(unusual.limits);
        if limits.retries.is_some() {
            unusual.again = Some(|function, args| (function.clone(), args.cloned()));
        }
    }

    fn set_saved(&self, codec: &dyn Any) -> Result<(), String> {
        if let Some(&codec) = codec.downcast_ref() {
            self.call.lock().unusual.get_or_insert_default().codec = Some(codec);
        }
        Ok(())
    }

    fn link(&self, places: &mut dyn FnMut() -> Arc<dyn Any + Send + Sync>) {
        self.call.lock().inputs = Some(A::link(places));
    }
}
