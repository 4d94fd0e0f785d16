//! Waiting for one, all or any of several proxies.

use super::ResultProxy;
use crate::core::error::TaskError;
use crate::core::runner::Haste;
use crate::core::slot::{AnySlot, Slot, State};
use crate::core::wait as waiting;
use crate::proxy::deferred::demand;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Waits for a value; the error instead of a panic.
///
/// ```
/// use xfork::{fork, wait};
///
/// #[xfork::cpu_bound]
/// fn half(n: u32) -> u32 { if n % 2 == 0 { n / 2 } else { panic!("{n} is odd") } }
///
/// assert_eq!(wait(&fork(half, 4)).unwrap(), &2);
/// assert_eq!(wait(&fork(half, 3)).unwrap_err().message(), "3 is odd");
/// ```
///
/// # Errors
///
/// The [`TaskError`] of the task that failed.
pub fn wait<T: Send + 'static>(proxy: &ResultProxy<T>) -> Result<&T, TaskError> {
    ResultProxy::wait(proxy)
}

/// Waits for a value for at most `limit`.
///
/// # Errors
///
/// A [`TaskError`] with [`is_timeout`](TaskError::is_timeout) when time runs out; the task goes on, and the proxy can
/// be waited for again.
///
/// ```
/// use std::time::Duration;
/// use xfork::{thread, wait, wait_timeout};
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let p = thread(move || receiver.recv().unwrap(), ());
/// assert!(wait_timeout(&p, Duration::from_millis(5)).unwrap_err().is_timeout());
/// sender.send(7).unwrap();
/// assert_eq!(wait(&p).unwrap(), &7);
/// ```
pub fn wait_timeout<T: Send + 'static>(proxy: &ResultProxy<T>, limit: Duration) -> Result<&T, TaskError> {
    ResultProxy::wait_timeout(proxy, limit)
}

/// Waits for all; the values in order, or the first error in order.
///
/// ```
/// use xfork::{map_thread, wait_all};
/// assert_eq!(wait_all(&map_thread(|n: u32| n + 1, [1, 2])).unwrap(), [&2, &3]);
/// ```
///
/// # Errors
///
/// The [`TaskError`] of the first proxy, in the order given, whose task failed.
pub fn wait_all<T: Send + 'static>(proxies: &[ResultProxy<T>]) -> Result<Vec<&T>, TaskError> {
    let in_turn = proxies.iter().zip(1..);
    in_turn.map(|(proxy, number)| proxy.wait_in(Haste::of(number == proxies.len()))).collect()
}

/// Waits for all, for at most `limit` altogether.
///
/// # Errors
///
/// As [`wait_all`], and [`is_timeout`](TaskError::is_timeout) when time runs out first.
///
/// ```
/// use std::time::Duration;
/// use xfork::{map_thread, wait_all_timeout};
/// assert_eq!(wait_all_timeout(&map_thread(|n: u32| n + 1, [1, 2]), Duration::from_secs(60)).unwrap(), [&2, &3]);
/// ```
pub fn wait_all_timeout<T: Send + 'static>(
    proxies: &[ResultProxy<T>],
    limit: Duration,
) -> Result<Vec<&T>, TaskError> {
    let start = Instant::now();
    proxies
        .iter()
        .map(|proxy| ResultProxy::wait_timeout(proxy, limit.saturating_sub(start.elapsed())))
        .collect()
}

/// Waits until at least one is settled; its position, or `None` for no proxies.
///
/// ```
/// use xfork::{lazy, ready, wait_any};
/// assert_eq!(wait_any(&[lazy(|| 1), ready(2)]), Some(1));
/// ```
pub fn wait_any<T: Send + 'static>(proxies: &[ResultProxy<T>]) -> Option<usize> {
    any_until(proxies, None)
}

/// Waits until at least one is settled, for at most `limit`; its position, or `None` when time has run out.
///
/// ```
/// use std::time::Duration;
/// use xfork::{ready, wait_any_timeout};
/// assert_eq!(wait_any_timeout(&[ready(2)], Duration::ZERO), Some(0));
/// ```
pub fn wait_any_timeout<T: Send + 'static>(proxies: &[ResultProxy<T>], limit: Duration) -> Option<usize> {
    any_until(proxies, Instant::now().checked_add(limit))
}

fn any_until<T: Send + 'static>(proxies: &[ResultProxy<T>], deadline: Option<Instant>) -> Option<usize> {
    if let Some(settled) = proxies.iter().position(|proxy| proxy.is_settled()) {
        return Some(settled);
    }
    if proxies.is_empty() {
        return None;
    }
    // A proxy of its own that the first to be settled fills: waiting for it is like any other waiting.
    let reader = Slot::<usize>::pending();
    let first = reader.cell().clone();
    let taken = Arc::new(AtomicBool::new(false));
    for (position, proxy) in proxies.iter().enumerate() {
        let (first, taken) = (first.clone(), taken.clone());
        proxy.any_slot().when_settled(move || {
            if !taken.swap(true, Ordering::AcqRel) {
                first.fulfil(Ok(position));
            }
        });
        start(proxy);
    }
    let any: Arc<dyn AnySlot> = first;
    waiting::wait(&any, deadline).ok()?.then(|| *reader.get().expect("filled with a position"))
}

/// Has a deferred expression evaluated by the pool, since several are waited for at once.
fn start<T: Send + 'static>(proxy: &ResultProxy<T>) {
    if proxy.any_slot().state() == State::Deferred {
        demand(proxy.any_slot());
    }
}

/// The proxies in the order in which they are settled.
///
/// ```
/// use xfork::{as_completed, map_thread};
/// let mut squares: Vec<u32> = as_completed(map_thread(|n: u32| n * n, 1..=3)).map(|p| *p).collect();
/// squares.sort();
/// assert_eq!(squares, [1, 4, 9]);
/// ```
pub fn as_completed<T: Send + 'static>(proxies: impl IntoIterator<Item = ResultProxy<T>>) -> AsCompleted<T> {
    let order = Arc::new(Mutex::new(Order::default()));
    let proxies: Vec<_> = proxies.into_iter().map(Some).collect();
    for (position, proxy) in proxies.iter().flatten().enumerate() {
        let order = order.clone();
        proxy.any_slot().when_settled(move || {
            let mut order = order.lock();
            order.settled.push_back(position);
            let waiter = order.waiter.take();
            drop(order);
            if let Some(waiter) = waiter {
                waiter.fulfil(Ok(()));
            }
        });
        start(proxy);
    }
    AsCompleted { left: proxies.len(), proxies, order }
}

/// Positions in the order of settling, and who waits for the next.
#[derive(Default)]
struct Order {
    settled: VecDeque<usize>,
    waiter: Option<Arc<Slot<()>>>,
}

/// An iterator over proxies in the order in which they are settled; see [`as_completed`].
///
/// ```
/// let completed = xfork::as_completed([xfork::ready(1), xfork::ready(2)]);
/// assert_eq!(completed.len(), 2);
/// ```
pub struct AsCompleted<T: Send + 'static> {
    proxies: Vec<Option<ResultProxy<T>>>,
    order: Arc<Mutex<Order>>,
    left: usize,
}

impl<T: Send + 'static> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> AsCompleted<T> {
    /// The next proxy, if one is settled within `limit`; `None` when time runs out or none is left.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{as_completed, ready};
    /// let mut all = as_completed([ready(5)]);
    /// assert_eq!(all.next_timeout(Duration::from_secs(1)).unwrap(), 5);
    /// assert!(all.next_timeout(Duration::from_secs(1)).is_none());
    /// ```
    pub fn next_timeout(&mut self, limit: Duration) -> Option<ResultProxy<T>> {
        self.next_until(Instant::now().checked_add(limit))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Option<ResultProxy<T>> {
        while self.left > 0 {
            let waiter: Arc<dyn AnySlot> = {
                let mut order = self.order.lock();
                if let Some(position) = order.settled.pop_front() {
                    self.left -= 1;
                    return self.proxies[position].take();
                }
                let waiter = Slot::pending().cell().clone();
                order.waiter = Some(waiter.clone());
                waiter
            };
            if !waiting::wait(&waiter, deadline).unwrap_or(false) {
                return None;
            }
        }
        None
    }
}

impl<T: Send + 'static> Iterator for AsCompleted<T> {
    type Item = ResultProxy<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Send + 'static> ExactSizeIterator for AsCompleted<T> {}
