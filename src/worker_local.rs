//! A value for each worker: [`WorkerLocal`].
//!
//! Owns, per thread, the values that have been made there, by the address of the static that they belong to. Promises that
//! a value is made once in a thread, and used only there. Leaves out when a worker begins and ends.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// A value that each worker makes for itself when it first needs it, and keeps from task to task: a connection, a loaded model,
/// a buffer.
///
/// A *worker* is a thread that runs tasks: the one of a worker process (rarely it has a second, while a task in it is
/// blocked), one of the threads for io-bound tasks, and under [`Plan::sequential`](crate::Plan::sequential) the thread that
/// forks. Since the value never leaves its thread, `T` needs neither `Send` nor `Sync`.
///
/// ```
/// use std::cell::Cell;
/// use xfork::{Plan, WorkerLocal, cpu_bound, map, with_plan};
///
/// static TABLE: WorkerLocal<Vec<u64>> = WorkerLocal::new(|| (0..1000).map(|n| n * n).collect());
/// static CALLS: WorkerLocal<Cell<u32>> = WorkerLocal::new(|| Cell::new(0));
///
/// #[cpu_bound]
/// fn square(n: usize) -> (u64, u32) {
///     CALLS.with(|calls| calls.set(calls.get() + 1));
///     (TABLE.with(|table| table[n]), CALLS.with(Cell::get))
/// }
///
/// with_plan(Plan::processes(1), || {
///     // One worker, one table, which is there for all of its tasks.
///     assert_eq!(map(square, [2, 3, 4]), [(4, 1), (9, 2), (16, 3)]);
/// });
/// ```
///
/// # How long a value lives
///
/// As long as its thread, if the initialisation succeeds. A worker that crashed, was ended by a limit or was replaced begins
/// anew, and a task can't know which worker it gets: what it leaves in the value must not matter to any other than as a
/// saving. Values are dropped when their thread ends; a process that ends takes its threads along without that, so don't
/// leave to a `Drop` what must happen, such as flushing a file.
///
/// # Nesting
///
/// [`with`](Self::with) lends the value, shared. A task that waits inside it may have another task run in the same thread
/// meanwhile, which finds the same value: a `RefCell` that stays borrowed across a wait will panic there.
pub struct WorkerLocal<T: 'static> {
    make: fn() -> T,
}

enum Entry {
    BeingMade,
    Made(Rc<dyn Any>),
}

thread_local! {
    static VALUES: RefCell<HashMap<usize, Entry>> = RefCell::new(HashMap::new());
}

impl<T: 'static> WorkerLocal<T> {
    /// A value that each worker makes by calling `make`, for a `static`.
    ///
    /// ```
    /// use std::cell::RefCell;
    /// use xfork::WorkerLocal;
    /// static BUFFER: WorkerLocal<RefCell<Vec<u8>>> = WorkerLocal::new(|| RefCell::new(Vec::with_capacity(1 << 20)));
    /// # assert!(BUFFER.with(|buffer| buffer.borrow().is_empty()));
    /// ```
    pub const fn new(make: fn() -> T) -> Self {
        Self { make }
    }

    /// Lends this thread's value to `use_it`; makes it first, if there is none yet.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use xfork::WorkerLocal;
    /// static COUNT: WorkerLocal<Cell<u32>> = WorkerLocal::new(|| Cell::new(41));
    /// let count = COUNT.with(|count| count.replace(count.get() + 1) + 1);
    /// assert_eq!((count, COUNT.with(Cell::get)), (42, 42));
    /// ```
    ///
    /// # Panics
    ///
    /// If making the value panics; the next call tries again. If making it needs the value itself, perhaps in a task that is
    /// waited for meanwhile. And while the thread ends, as thread-local values of the standard library do.
    pub fn with<R>(&'static self, use_it: impl FnOnce(&T) -> R) -> R {
        // Held by this call, too, and not borrowed: nested calls may add values.
        let value = self.find().unwrap_or_else(|| self.make_here());
        use_it(&value)
    }

    /// The key in the table. A static has its address for itself, since it is not empty.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn find(&'static self) -> Option<Rc<T>> {
        let found = VALUES.with_borrow(|values| match values.get(&self.key()) {
            None => Ok(None),
            Some(Entry::Made(value)) => Ok(value.clone().downcast().ok()),
            Some(Entry::BeingMade) => Err(()),
        });
        found.unwrap_or_else(|()| {
            panic!(
                "WorkerLocal<{}> needs itself: the function that makes it uses it, or waits for a task that does",
                type_name::<T>()
            )
        })
    }

    fn make_here(&'static self) -> Rc<T> {
        let making = Making(self.key());
        VALUES.with_borrow_mut(|values| values.insert(making.0, Entry::BeingMade));
        let value = Rc::new((self.make)());
        VALUES.with_borrow_mut(|values| values.insert(making.0, Entry::Made(value.clone())));
        std::mem::forget(making);
        value
    }
}

/// Takes the mark away again if making the value panics.
struct Making(usize);

impl Drop for Making {
    fn drop(&mut self) {
        let _ = VALUES.try_with(|values| values.borrow_mut().remove(&self.0));
    }
}

impl<T: 'static> fmt::Debug for WorkerLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerLocal").finish_non_exhaustive()
    }
}
