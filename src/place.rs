//! The place of a result of a task that may run more than once: a task of a graph.

use crate::args::{Input, Origin, Source, Type};
use crate::core::slot::AnySlot;
use crate::proxy::ResultProxy;
use crate::task::drop_quietly;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where the result of a task of a graph is, from one run to the next.
pub(crate) struct Place<T: Send + 'static> {
    graph: AtomicU64,
    node: AtomicU32,
    result: Mutex<Option<ResultProxy<T>>>,
}

impl<T: Send + 'static> Place<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { graph: AtomicU64::new(0), node: AtomicU32::new(0), result: Mutex::new(None) })
    }

    /// The number of the graph that the task is in.
    pub(crate) fn graph(&self) -> u64 {
        // Relaxed, here and below: both change only while the graph is borrowed mutably.
        self.graph.load(Ordering::Relaxed)
    }

    /// The task's number in there.
    pub(crate) fn node(&self) -> u32 {
        self.node.load(Ordering::Relaxed)
    }

    pub(crate) fn origin(&self, transfer: f64, is_fed: bool) -> Origin {
        Origin { graph: self.graph(), node: self.node(), transfer, is_fed, is_whole: true }
    }

    pub(crate) fn set(&self, result: ResultProxy<T>) {
        let before = self.result.lock().replace(result);
        // Outside the lock: it may be the last pointer to a value, whose drop is code of the user.
        drop_quietly(before);
    }

    pub(crate) fn proxy(&self) -> Option<ResultProxy<T>> {
        self.result.lock().clone()
    }
}

/// Where the proxy of a result is put before the task can end.
pub(crate) trait Keep<T>: Send + Sync {
    fn keep(&self, result: ResultProxy<T>)
    where
        T: Send + 'static;
}

impl<T: Send + Sync + 'static> Keep<T> for Place<T> {
    fn keep(&self, result: ResultProxy<T>) {
        self.set(result);
    }
}

/// A value as small as this, in bytes, is copied where it lies.
const SMALL: usize = 64;

impl<T: Clone + Send + Sync + 'static> Source<T> for Place<T> {
    fn origins(&self, to: &mut dyn FnMut(Origin)) {
        to(self.origin(0.0, true));
    }

    fn input(&self) -> Option<Input<T>> {
        let result = self.result.lock();
        let proxy = result.as_ref()?;
        let is_plain = const { !std::mem::needs_drop::<T>() && size_of::<T>() <= SMALL };
        Some(match proxy.peek() {
            Some(value) if is_plain => Input::of_value(value.clone()),
            _ => Input::of_proxy(proxy.clone()),
        })
    }
}

/// A place of any type.
pub(crate) trait AnyPlace: Send + Sync {
    /// The slot of the result, if the task has been started or has a result.
    fn slot(&self) -> Option<Arc<dyn AnySlot>>;
    /// Its proxy: a boxed `ResultProxy<T>`.
    fn any_proxy(&self) -> Option<Box<dyn Any + Send + Sync>>;
    fn clear(&self);
    /// The type of the result.
    fn output(&self) -> Type;
    /// Says where the task is.
    fn set_position(&self, graph: u64, node: u32);
    /// Takes the result of another place of the same type: an `Arc<Place<T>>`.
    fn share(&self, other: Arc<dyn Any + Send + Sync>);
}

impl<T: Send + Sync + 'static> AnyPlace for Place<T> {
    fn slot(&self) -> Option<Arc<dyn AnySlot>> {
        self.result.lock().as_ref().map(ResultProxy::any_slot)
    }

    fn any_proxy(&self) -> Option<Box<dyn Any + Send + Sync>> {
        Some(Box::new(self.proxy()?))
    }

    fn clear(&self) {
        let before = self.result.lock().take();
        drop_quietly(before);
    }

    fn output(&self) -> Type {
        Type::of::<T>()
    }

    fn set_position(&self, graph: u64, node: u32) {
        self.graph.store(graph, Ordering::Relaxed);
        self.node.store(node, Ordering::Relaxed);
    }

    fn share(&self, other: Arc<dyn Any + Send + Sync>) {
        if let Ok(other) = other.downcast::<Self>()
            && let Some(result) = other.proxy()
        {
            self.set(result);
        }
    }
}
