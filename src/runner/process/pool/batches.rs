//! What the pool does for tasks that travel together: who may, what is heard of their items, what is given back.

use super::hear::{Consequences, Outcome};
use super::link::Hearing;
use super::{End, Link, Shared};
use crate::core::batch::{OutOfTurn, Outcomes};
use crate::core::error::TaskError;
use crate::core::output::Output;
use crate::core::task::Body;
use crate::ground::wire::message::ToWorker;
use crate::ground::wire::parcel::Values;
use std::sync::Arc;

/// A pool whose messages may not be so large takes each task by itself.
const MESSAGES: u64 = 1 << 20;

/// Results of at most so many bytes are kept one behind the other.
const TOGETHER: usize = 4 << 10;

/// A chunk, and the place of an item that has ended there.
type Ended = (Arc<dyn Body>, usize);

impl Shared {
    /// Whether many tasks may be one for the pool: not where the text of each is kept, or where it matters how many a worker does.
    pub(super) fn takes_batches(&self) -> bool {
        let settings = &self.settings;
        settings.output != Output::Captured
            && settings.max_tasks == u64::MAX
            && settings.max_rss.is_none()
            && settings.max_message >= MESSAGES
            && self.impossible.get().is_none()
            && !self.is_copy()
    }

    /// The body of a chunk that this worker is running; `None` if its outcome was decided before.
    fn chunk(&self, link: &Link, hearing: &mut Hearing, id: u64) -> Result<Option<Arc<dyn Body>>, String> {
        if let Some((known, body)) = &hearing.chunk
            && *known == id
        {
            return Ok(body.upgrade());
        }
        let mut state = self.state.lock();
        if !state.supervisor.is_running(link.worker, id) {
            // That it had started the chunk, it need not have said.
            state.look_what_has_begun(link.worker);
            if !state.supervisor.is_running(link.worker, id) {
                return Err("an item of a task that it is not running".into());
            }
        }
        let body = state.tasks.get(&id).map(|entry| entry.body.clone());
        if body.as_ref().is_some_and(|body| body.chunk().is_none()) {
            return Err("an item of what is no chunk".into());
        }
        hearing.chunk = body.as_ref().map(|body| (id, Arc::downgrade(body)));
        Ok(body)
    }

    /// Accounts for the end of an item: its chunk, and its place there; `None` if the outcome of the chunk was decided before.
    fn item_ended(
        &self,
        link: &Link,
        hearing: &mut Hearing,
        id: u64,
        consequences: &mut Consequences,
    ) -> Result<Option<Ended>, String> {
        let Some(body) = self.chunk(link, hearing, id)? else { return Ok(None) };
        let chunk = body.chunk().expect("just seen");
        let Some(place) = chunk.item_ended().map_err(reason)? else {
            // Perhaps the last pointer to it, whose drop may run code of the user.
            consequences.spent.push(body);
            return Ok(None);
        };
        if chunk.is_unwanted() {
            consequences.for_tasks.push((body.clone(), Outcome::Unwanted(id)));
        }
        Ok(Some((body, place)))
    }

    /// An item has ended with a value.
    pub(super) fn item(
        &self,
        link: &Link,
        hearing: &mut Hearing,
        id: u64,
        result: &[u8],
        values: Values,
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        let Some((body, place)) = self.item_ended(link, hearing, id, consequences)? else { return Ok(()) };
        if !values.are_plain() || result.len() > TOGETHER {
            let value = values.copy(result).map_err(|lack| self.no_memory(link, id, lack));
            consequences.for_tasks.push((body, Outcome::Items(place, Outcomes::One(value))));
            return Ok(());
        }
        if let Some((last, Outcome::Items(first, Outcomes::Values { bytes, ends }))) =
            consequences.for_tasks.last_mut()
            && Arc::ptr_eq(last, &body)
            && *first + ends.len() == place
        {
            bytes.extend_from_slice(result);
            ends.push(bytes.len());
            return Ok(());
        }
        let values = Outcomes::Values { bytes: result.to_vec(), ends: vec![result.len()] };
        consequences.for_tasks.push((body, Outcome::Items(place, values)));
        Ok(())
    }

    /// An item has failed.
    pub(super) fn item_failed(
        &self,
        link: &Link,
        hearing: &mut Hearing,
        id: u64,
        error: TaskError,
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        let Some((body, place)) = self.item_ended(link, hearing, id, consequences)? else { return Ok(()) };
        consequences.for_tasks.push((body, Outcome::Items(place, Outcomes::One(Err(error)))));
        Ok(())
    }

    /// A task has ended; if it is a chunk, all its items have to have.
    pub(super) fn chunk_ended(
        &self,
        link: &Link,
        hearing: &mut Hearing,
        id: u64,
        result: &[u8],
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        hearing.chunk = None;
        let body = {
            let state = self.state.lock();
            let (known, worker) = (&state.supervisor, link.worker);
            let is_its = known.is_running(worker, id) || known.is_sent(worker, id);
            state.tasks.get(&id).filter(|_| is_its).map(|entry| entry.body.clone())
        };
        let Some(chunk) = body.as_ref().and_then(|body| body.chunk()) else { return Ok(()) };
        let nanos = result.try_into().map_err(|_| "the end of a chunk with a value")?;
        let ended = chunk.ended(u64::from_le_bytes(nanos)).map_err(reason);
        consequences.spent.extend(body);
        ended
    }

    /// A worker gives back what it has not started of a chunk.
    pub(super) fn divided(
        &self,
        link: &Link,
        hearing: &mut Hearing,
        id: u64,
        from: u32,
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        let Some(body) = self.chunk(link, hearing, id)? else { return Ok(()) };
        let chunk = body.chunk().expect("just seen");
        if let Some(batch) = chunk.divided(from as usize).map_err(reason)? {
            self.state.lock().backlog.push_front(batch);
        }
        if chunk.is_unwanted() {
            consequences.for_tasks.push((body, Outcome::Unwanted(id)));
        } else {
            consequences.spent.push(body);
        }
        Ok(())
    }

    /// Asks for what has not started of a task, since somebody does not want some of it.
    pub(super) fn divide(&self, id: u64) {
        let link = {
            let state = self.state.lock();
            state.supervisor.worker_of(id).and_then(|worker| state.links.get(&worker).cloned())
        };
        let Some(link) = link else { return };
        // Before it is asked: it always answers, and may have before the driver comes to this.
        let said = link.said();
        self.tell(link.worker, &ToWorker::Divide { id });
        self.end_worker(link.worker, End::Answer(said));
    }

    /// Asks for what no worker has started.
    pub(super) fn divide_all(&self) {
        let chunks: Vec<_> = {
            let state = self.state.lock();
            let chunks = state.tasks.iter().filter(|(_, entry)| entry.body.chunk().is_some());
            chunks.map(|(&id, _)| id).collect()
        };
        chunks.into_iter().for_each(|id| self.divide(id));
    }
}

fn reason(OutOfTurn(what): OutOfTurn) -> String {
    what.to_string()
}
