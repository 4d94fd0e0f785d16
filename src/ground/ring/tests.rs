use super::*;
use proptest::prelude::*;
use std::sync::Arc;

type Words = Arc<Vec<AtomicU64>>;

impl Memory for Words {
    fn words(&self) -> &[AtomicU64] {
        self
    }
}

fn ring(capacity: usize) -> (Producer<Words>, Consumer<Words>, Words) {
    let words: Words = Arc::new((0..words_for(capacity)).map(|_| AtomicU64::new(0)).collect());
    (Producer::new(words.clone()), Consumer::new(words.clone()), words)
}

proptest! {
    /// Bytes in pieces of any size, through a ring of any size, read into buffers of any size.
    #[test]
    fn a_stream_comes_out_as_it_went_in(
        capacity in 1..6_u32,
        pieces in proptest::collection::vec((0..200_usize, 1..90_usize), 1..40),
    ) {
        let (mut producer, mut consumer, _) = ring(1 << capacity);
        let (mut sent, mut received, mut next) = (Vec::new(), Vec::new(), 0_u8);
        let take = |consumer: &mut Consumer<Words>, room: usize, received: &mut Vec<u8>| {
            let mut buffer = vec![0; room];
            let count = consumer.pull(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..count]);
            count
        };
        for (size, room) in pieces {
            let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); next }).collect();
            let mut rest = &bytes[..];
            loop {
                let count = producer.push(rest).unwrap();
                producer.publish();
                rest = &rest[count..];
                let taken = take(&mut consumer, room, &mut received);
                if rest.is_empty() { break }
                prop_assert!(count + taken > 0, "somebody gets on");
            }
            sent.extend_from_slice(&bytes);
        }
        while take(&mut consumer, 7, &mut received) > 0 {}
        prop_assert_eq!(sent, received);
        prop_assert!(consumer.is_empty() && producer.is_read());
    }

    /// Row 92 of faults.md, and contract C7: "the parent never aborts, hangs or allocates unboundedly because of a peer's bytes".
    #[test]
    fn whatever_stands_in_the_memory_reading_and_writing_end(
        changes in proptest::collection::vec((0..words_for(8), prop_oneof![any::<u64>(), 0..200_u64]), 0..60),
    ) {
        let (mut producer, mut consumer, words) = ring(8);
        for (place, value) in changes {
            words[place].store(value, Ordering::Relaxed);
            let mut buffer = [0; 64];
            // What has been found broken is not used any more.
            let Ok(count) = consumer.pull(&mut buffer) else { return Ok(()) };
            prop_assert!(count <= 64);
            let Ok(count) = producer.push(&[7; 40]) else { return Ok(()) };
            prop_assert!(count <= 40);
            producer.publish();
            let _ = (consumer.ask_to_be_woken(Wish::Soon), producer.ask_for_room());
            let _ = (producer.has_to_wake(), consumer.has_to_tell_of_room(), producer.is_read());
        }
    }
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let (mut producer, mut consumer, _) = ring(8);
    assert_eq!(producer.push(b"secret"), Ok(6));
    assert_eq!(consumer.pull(&mut [0; 8]), Ok(0));
    assert!(consumer.ask_to_be_woken(Wish::Soon));
    producer.publish();
    assert_eq!(producer.wish(), Some(Wish::Soon));
    assert!(producer.has_to_wake(), "it has asked");
    assert!(!producer.has_to_wake(), "it is woken once");
    assert!(!consumer.ask_to_be_woken(Wish::Soon), "there is something");
    assert!(!producer.has_to_wake(), "so it has not asked");
    let mut buffer = [0; 8];
    assert_eq!(consumer.pull(&mut buffer), Ok(6));
    assert_eq!(&buffer[..6], b"secret");
}

#[test]
fn a_producer_without_room_is_told_when_there_is_some() {
    let (mut producer, mut consumer, _) = ring(8);
    assert_eq!(producer.push(&[1; 100]), Ok(56), "one word says how many");
    producer.publish();
    assert_eq!(producer.push(&[1; 44]), Ok(0));
    assert!(producer.ask_for_room());
    assert!(!producer.is_read());
    assert_eq!(consumer.pull(&mut [0; 100]), Ok(56));
    assert!(consumer.has_to_tell_of_room() && !consumer.has_to_tell_of_room());
    assert!(producer.is_read() && !producer.ask_for_room());
    assert_eq!(producer.push(&[1; 44]), Ok(44));
}

#[test]
fn indices_that_cannot_be_are_refused() {
    let (mut producer, mut consumer, words) = ring(8);
    for tail in [9, u64::MAX, 1 << 63] {
        words[at::TAIL].store(tail, Ordering::Relaxed);
        assert_eq!(consumer.pull(&mut [0; 8]), Err(Broken));
    }
    words[at::TAIL].store(2, Ordering::Relaxed);
    for length in [0, 9, u64::MAX] {
        words[HEADER].store(length, Ordering::Relaxed);
        assert_eq!(consumer.pull(&mut [0; 8]), Err(Broken));
    }
    for head in [1, 9, u64::MAX] {
        words[at::HEAD].store(head, Ordering::Relaxed);
        assert_eq!(producer.push(&[0; 100]), Err(Broken));
    }
}
