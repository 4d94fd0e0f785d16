//! Every interleaving of the two ends of a ring, with either of them dying at any step: loom's.
//!
//! What dies stops between two steps. A step that only writes data words needs no dying within it: nobody looks at them
//! before the tail is stored.

use super::*;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

#[derive(Clone)]
struct Words(Arc<Vec<AtomicU64>>);

impl Memory for Words {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }
}

fn ring(capacity: usize) -> (Producer<Words>, Consumer<Words>) {
    let words = Words(Arc::new((0..words_for(capacity)).map(|_| AtomicU64::new(0)).collect()));
    (Producer::new(words.clone()), Consumer::new(words))
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

/// Takes one byte, asleep while there is none.
fn receive(consumer: &mut Consumer<Words>, producer: &thread::Thread) -> u8 {
    let mut byte = [0];
    while consumer.pull(&mut byte) == Ok(0) {
        if consumer.ask_to_be_woken(Wish::Now) {
            thread::park();
        }
    }
    if consumer.has_to_tell_of_room() {
        producer.unpark();
    }
    byte[0]
}

fn send(producer: &mut Producer<Words>, byte: u8, consumer: &thread::Thread) {
    while producer.push(&[byte]) == Ok(0) {
        if producer.ask_for_room() {
            thread::park();
        }
    }
    producer.publish();
    if producer.has_to_wake() {
        consumer.unpark();
    }
}

#[test]
fn nobody_sleeps_while_there_is_something_to_do() {
    // In the smaller ring each byte waits for room; a wait without end would be a deadlock, which loom reports.
    for capacity in [2, 4] {
        check(move || {
            let (mut producer, mut consumer) = ring(capacity);
            let receiver = thread::current();
            let sender = thread::spawn(move || (1..=2).for_each(|byte| send(&mut producer, byte, &receiver)));
            let received = [(); 2].map(|()| receive(&mut consumer, sender.thread()));
            assert_eq!(received, [1, 2]);
            sender.join().unwrap();
        });
    }
}

/// faults.md, rows 42 to 44, over the ring: what was published before the death is read, whole, once and in order, and
/// nothing else is.
#[test]
fn a_producer_may_die_at_any_step() {
    for steps in 0..=6 {
        check(move || {
            let (mut producer, mut consumer) = ring(4);
            let dying = thread::spawn(move || {
                for step in 0..steps {
                    match step % 3 {
                        0 => assert_eq!(producer.push(&[step as u8; 3]), Ok(3)),
                        1 => producer.publish(),
                        _ => drop((producer.wish(), producer.has_to_wake())),
                    }
                }
            });
            let mut received = Vec::new();
            let mut buffer = [0; 16];
            let mut take = |received: &mut Vec<u8>| {
                let count = consumer.pull(&mut buffer).unwrap();
                received.extend_from_slice(&buffer[..count]);
            };
            // While it may be dying, and when it is known to be dead.
            take(&mut received);
            dying.join().unwrap();
            take(&mut received);
            let expected: &[u8] = match steps {
                0 | 1 => &[],
                2..=4 => &[0; 3],
                _ => &[0, 0, 0, 3, 3, 3],
            };
            assert_eq!(received, expected);
        });
    }
}

/// The worker dies while the program writes: the program notices by other means, and is not held up.
#[test]
fn a_consumer_may_die_at_any_step() {
    for steps in 0..=3 {
        check(move || {
            let (mut producer, mut consumer) = ring(2);
            let dying = thread::spawn(move || {
                for step in 0..steps {
                    match step {
                        0 => drop(consumer.ask_to_be_woken(Wish::Soon)),
                        1 => drop(consumer.pull(&mut [0; 8])),
                        _ => drop(consumer.has_to_tell_of_room()),
                    }
                }
            });
            for byte in 1..=2 {
                // One who does not wait either writes, or is told that there is no room.
                if producer.push(&[byte]).unwrap() == 1 {
                    producer.publish();
                    producer.has_to_wake();
                } else {
                    producer.ask_for_room();
                }
            }
            dying.join().unwrap();
        });
    }
}
