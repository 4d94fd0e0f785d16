//! Section F: hostile or broken peers. What a lying worker does, and what becomes of its task, of the next and of the pool.

use crate::fixture::{
    Dir, GONE, alone, double, ended, has_rings, hear, leave_a_trace, pool, tell, traces, within,
};
use crate::own::grown_by;
use crate::saboteur::{
    BLOB, BLOCKED, CHILD, DIVIDED, DONE, FAILED, FIRST, FROM_WORKER, HELLO, ITEM, ITEM_FAILED, LAST_PANIC,
    LET_GO, PROTOCOL, Peer, RECALLED, REFUSED, RETURNED, STARTED, STOLEN, SURPLUS, TAIL, TEXT, Then,
    UNBLOCKED, UNSEEN, WITH, frame, number, panic, panic_error, sabotage, text, with, with_blobs,
};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use xfork::{Plan, TaskError, process, with_plan};

/// What the only pool of a test makes of one task, 2 · 21, whose first worker misbehaves, and of the next task.
fn outcome(way: &str, build: u64) -> Result<u64, TaskError> {
    sabotage(way, build, 1, |_| pool(1, || ended(process(double, 21))))
}

/// What the pool makes of one task, and of the next, which the same worker may be sent before its lie is read.
fn task_and_next(way: &str) -> Result<u64, TaskError> {
    let first = ended(process(double, 21));
    if let Err(error) = ended(process(double, 21)) {
        assert!(error.is_transport(), "{way}: {error}");
    }
    first
}

/// The number of this build, as the program says it to a worker of another.
fn build() -> u64 {
    let error = outcome("is of another build", 0).unwrap_err();
    assert!(error.is_spawn(), "{error}");
    let text = error.to_string();
    let (_, ours) = text.split_once("this program ").expect(&text);
    assert!(ours[16..].starts_with(", worker 0000000000b01d00"), "{text}");
    u64::from_str_radix(&ours[..16], 16).unwrap()
}

/// Ways of misbehaving in the memory of the ring.
const RING_LIES: [&str; 5] = [
    "says more than fits",
    "takes back what it said",
    "says a piece of no bytes",
    "says a piece too long",
    "scribbles",
];

fn misbehave_in_the_ring(way: &str, peer: &mut Peer) -> io::Result<Then> {
    peer.start()?;
    let memory = peer.memory.as_ref().expect("only for those that have it");
    let tail = memory.word(FROM_WORKER + TAIL);
    let begin = tail.load(SeqCst);
    let next = memory.word(FROM_WORKER + FIRST + begin as usize % 16384);
    match way {
        "says more than fits" => tail.store(begin + 20_000, SeqCst),
        "takes back what it said" => tail.store(begin - 1, SeqCst),
        "says a piece of no bytes" => {
            next.store(0, SeqCst);
            tail.store(begin + 2, SeqCst);
        }
        "says a piece too long" => {
            next.store(9, SeqCst);
            tail.store(begin + 2, SeqCst);
        }
        _ => (512..FROM_WORKER + FIRST + 16384).for_each(|word| memory.word(word).store(!0, SeqCst)),
    }
    peer.knock()?;
    Ok(Then::Waits)
}

/// All ways of misbehaving.
pub(crate) fn misbehave(way: &str, peer: &mut Peer) -> io::Result<Then> {
    match way {
        way if RING_LIES.contains(&way) => {
            peer.hello()?;
            return misbehave_in_the_ring(way, peer);
        }
        "is of another build" => peer.hello_of(PROTOCOL, 0xb01d00)?,
        "speaks an older protocol" => peer.hello_of(PROTOCOL - 1, peer.build)?,
        "speaks a newer protocol" => peer.hello_of(PROTOCOL + 1, peer.build)?,
        // Silence, and slowness.
        "says nothing" => {}
        "says nothing and closes its socket" => peer.close()?,
        "says hello late" => {
            hear(&format!("{}go-on", peer.dir));
            return Ok(Then::Honest);
        }
        "says hello a byte at a time" => {
            loop {
                std::thread::sleep(Duration::from_millis(20));
                peer.write(&[HELLO])?;
                // The length of a hello that never comes.
                (0..8).try_for_each(|_| {
                    std::thread::sleep(Duration::from_millis(20));
                    peer.write(&[0xff])
                })?;
            }
        }
        "fills standard error" => {
            let lines = b"all work and no play makes a worker a dull process\n".repeat(10_000);
            (0..40).try_for_each(|_| io::stderr().write_all(&lines))?;
            leave_a_trace(format!("{}filled", peer.dir));
            return Ok(Then::Honest);
        }
        "says something before its hello" => peer.say(SURPLUS, &[])?,
        "says half a hello" => peer.say(HELLO, &[&[1; 8]])?,
        "says hello with more behind it" => peer.say(HELLO, &[&[1; 17]])?,
        "sends descriptors before its hello" => peer.send_descriptors(b"x")?,
        _ => {
            peer.hello()?;
            return misbehave_after_hello(way, peer);
        }
    }
    Ok(Then::Waits)
}

fn misbehave_after_hello(way: &str, peer: &mut Peer) -> io::Result<Then> {
    let (micros, value) = (50_u64.to_le_bytes(), number(42));
    match way {
        "says hello twice" => {
            // What it says together with the first is heard before it is sent anything.
            peer.task()?;
            peer.hello()?;
        }
        // Before a start that never comes.
        "returns a result before it starts" => {
            let task = peer.task()?;
            peer.say(DONE, &[&task.id.to_le_bytes(), &micros, &value])?;
            return Ok(Then::Ends);
        }
        "fails before it starts" => {
            let task = peer.task()?;
            peer.say(FAILED, &[&task.id.to_le_bytes(), &panic_error(b"no")])?;
            return Ok(Then::Ends);
        }
        "starts a task that it was not sent" => {
            let task = peer.task()?;
            peer.say(STARTED, &[&(task.id + 1).to_le_bytes()])?;
        }
        "returns a task that it was not sent" => {
            let task = peer.task()?;
            peer.say(RETURNED, &[&(task.id + 1).to_le_bytes()])?;
        }
        "starts what it was sent after a lie" => {
            let id = peer.task()?.id.to_le_bytes();
            peer.write(&[frame(RETURNED, &[&[0xff; 8]]), frame(STARTED, &[&id])].concat())?;
        }
        "dies without starting" => {
            peer.task()?;
            return Ok(Then::Ends);
        }
        "stops reading" => {
            std::fs::write(format!("{}stopped", peer.dir), "")?;
            hear(&format!("{}go-on", peer.dir));
            return Ok(Then::Ends);
        }
        // Honest, but for the pieces.
        "writes byte by byte" => {
            let task = peer.start()?;
            let done = frame(DONE, &[&task.id.to_le_bytes(), &micros, &value]);
            done.iter().try_for_each(|&byte| peer.write(&[byte]))?;
        }
        "writes two messages at once" => {
            let id = peer.task()?.id.to_le_bytes();
            peer.write(&[frame(STARTED, &[&id]), frame(DONE, &[&id, &micros, &value])].concat())?;
        }
        "complains at length" => {
            let id = peer.start()?.id.to_le_bytes();
            let unseen = frame(UNSEEN, &[&panic_error(&[b'x'; 60_000])]);
            (0..5_000).try_for_each(|_| peer.write(&unseen))?;
            peer.say(DONE, &[&id, &micros, &value])?;
        }
        "chatters" => {
            let id = peer.start()?.id.to_le_bytes();
            for kind in [SURPLUS, STOLEN, RECALLED, UNBLOCKED] {
                (0..100).try_for_each(|_| peer.say(kind, &[]))?;
            }
            let unseen = frame(UNSEEN, &[&panic_error(b"unseen")]);
            (0..20_000).try_for_each(|_| peer.write(&unseen))?;
            (0..20).try_for_each(|_| peer.say(LAST_PANIC, &[&panic(&[b'x'; 1 << 20])]))?;
            peer.say(DONE, &[&id, &micros, &value])?;
        }
        "returns the result twice" => {
            let id = peer.start()?.id.to_le_bytes();
            let done = frame(DONE, &[&id, &micros, &value]);
            peer.write(&[&done[..], &done].concat())?;
        }
        "starts again after the result" => {
            let id = peer.start()?.id.to_le_bytes();
            peer.say(DONE, &[&id, &micros, &value])?;
            peer.say(STARTED, &[&id])?;
        }
        _ => {
            let task = peer.start()?;
            return misbehave_in_a_task(way, peer, task.id, task.entry, &task.terms);
        }
    }
    Ok(Then::Waits)
}

fn misbehave_in_a_task(way: &str, peer: &mut Peer, id: u64, entry: u32, terms: &[u8]) -> io::Result<Then> {
    let other = (id + 1000).to_le_bytes();
    let (id, micros) = (id.to_le_bytes(), 50_u64.to_le_bytes());
    let counted = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    match way {
        "starts twice" => peer.say(STARTED, &[&id])?,
        "returns what it has started" => peer.say(RETURNED, &[&id])?,
        "prints though nothing is captured" => peer.say(TEXT, &[&id, &[1, 0, 0, 0], &[0; 16], b"text"])?,
        "returns the result of a future task" => peer.say(DONE, &[&other, &micros, &number(42)])?,
        "returns the result of no task" => peer.say(DONE, &[&[0; 8], &micros, &number(42)])?,
        "fails a future task" => peer.say(FAILED, &[&other, &panic_error(b"no")])?,
        "is blocked in a future task" => peer.say(BLOCKED, &[&other])?,
        "forks in a future task" => {
            peer.say(CHILD, &[&other, &id, &entry.to_le_bytes(), &counted(b"f"), &counted(terms)])?;
        }
        "forks a function that is not there" => {
            peer.say(CHILD, &[&id, &id, &u32::MAX.to_le_bytes(), &counted(b"f"), &counted(terms)])?;
        }
        "forks with unreadable terms" => {
            peer.say(CHILD, &[&id, &id, &entry.to_le_bytes(), &counted(b"f"), &counted(&[7])])?;
        }
        "forks under a name that is no text" => {
            peer.say(CHILD, &[&id, &id, &entry.to_le_bytes(), &counted(&[0xff]), &counted(terms)])?;
        }
        "forks under a name longer than the message" => {
            peer.say(CHILD, &[&id, &id, &entry.to_le_bytes(), &[0xff; 4], b"f"])?;
        }
        "mentions shared memory that it was not lent" => {
            peer.write(&with(Ok(1), &frame(DONE, &[&id, &micros, &number(42)])))?;
        }
        "forks with shared memory that it was not lent" => {
            let child = [&id[..], &id, &entry.to_le_bytes(), &counted(b"f"), &counted(terms)];
            peer.write(&with(Ok(u64::MAX), &frame(CHILD, &child)))?;
        }
        "mentions shared memory in half a message" => {
            peer.write(&with(Err(b"bytes"), &frame(DONE, &[&id, &micros, &number(42)])[..20]))?;
        }
        "mentions shared memory in two messages" => {
            let done = frame(DONE, &[&id, &micros, &number(42)]);
            peer.write(&with(Err(b"bytes"), &[&done[..], &done].concat()))?;
        }
        "mentions shared memory in a message without values" => {
            peer.write(&with(Err(b"bytes"), &frame(BLOCKED, &[&id])))?;
        }
        "mentions shared memory in a mention" => {
            let done = frame(DONE, &[&id, &micros, &number(42)]);
            peer.write(&with(Err(b"bytes"), &with(Err(b"bytes"), &done)))?;
        }
        "mentions more shared memory than it sends" => {
            let done = frame(DONE, &[&id, &micros, &number(42)]);
            let piece = [&[0, 0, 0, 0, 1][..], &[0xff; 8], b"bytes"].concat();
            peer.say(WITH, &[&(piece.len() as u64).to_le_bytes(), &piece, &done])?;
        }
        "mentions shared memory without end" => peer.say(WITH, &[&[0xff; 8], b"bytes"])?,
        "lets go of what it was not lent" => peer.say(LET_GO, &[&[1, 0, 0, 0, 0, 0, 0, 0]])?,
        "refuses what it was not lent" => peer.say(REFUSED, &[&[1, 0, 0, 0, 0, 0, 0, 0]])?,
        "sends shared memory that nothing mentions" => {
            peer.write(&with(Err(b"bytes"), &frame(DONE, &[&id, &micros, &number(42)])))?;
        }
        "declares the largest length" => peer.write(&[&[DONE][..], &[0xff; 8]].concat())?,
        "declares a negative length" => peer.write(&[&[DONE][..], &i64::MIN.to_le_bytes()].concat())?,
        "declares a gigabyte and dies" => {
            peer.write(&[&[DONE][..], &(1_u64 << 30).to_le_bytes(), &[0; 1000]].concat())?;
            return Ok(Then::Ends);
        }
        "declares no length" => peer.say(DONE, &[])?,
        "cuts a start" => peer.say(STARTED, &[&id[..7]])?,
        "cuts a result" => peer.say(DONE, &[&id, &micros[..7]])?,
        "cuts a failure" => peer.say(FAILED, &[&id[..7]])?,
        "cuts an error" => peer.say(FAILED, &[&id, &panic_error(b"no")[..9]])?,
        "lengthens a block" => peer.say(BLOCKED, &[&id, b"x"])?,
        "lengthens a surplus" => peer.say(SURPLUS, &[b"x"])?,
        "says what the program says" => peer.say(2, &[&id, &id, &[0; 12]])?,
        "says nothing known" => peer.say(0xff, &[])?,
        "sends zeros" => peer.write(&[0; 64])?,
        "ends an item of what is no chunk" => peer.say(ITEM, &[&id, &number(42)])?,
        "fails an item of what is no chunk" => peer.say(ITEM_FAILED, &[&id, &panic_error(b"no")])?,
        "gives back a part of what is no chunk" => peer.say(DIVIDED, &[&id, &[0; 4]])?,
        "ends an item of a future task" => peer.say(ITEM, &[&other, &number(42)])?,
        "ends a chunk before its items" => peer.say(DONE, &[&id, &micros, &[0; 8]])?,
        "ends more items than there are" => {
            let item = frame(ITEM, &[&id, &number(42)]);
            peer.write(&[&item[..], &item].concat())?;
        }
        "ends a chunk with a value" => {
            let end = frame(DONE, &[&id, &micros, &number(42)]);
            peer.write(&[frame(ITEM, &[&id, &number(42)]), end].concat())?;
        }
        "gives back items that it does not have" => peer.say(DIVIDED, &[&id, &[2, 0, 0, 0]])?,
        "cuts the end of an item" => peer.say(ITEM, &[&id[..7]])?,
        "lengthens what it gives back" => peer.say(DIVIDED, &[&id, &[0; 5]])?,
        "gives an unreadable result" => peer.say(DONE, &[&id, &micros, &[0xff; 20]])?,
        "gives an empty result" => peer.say(DONE, &[&id, &micros])?,
        "sends descriptors" => peer.send_descriptors(b"x")?,
        "sends descriptors with the result" => {
            peer.send_descriptors(&frame(DONE, &[&id, &micros, &number(42)]))?;
        }
        "sends a hundred times three descriptors" => {
            (0..100).try_for_each(|_| peer.send_descriptors(b"x"))?
        }
        "tells a long last panic" => {
            peer.say(LAST_PANIC, &[&panic(&LONG.repeat(WORDS))])?;
            return Ok(Then::Ends);
        }
        "tells a last panic that is no text" => peer.say(LAST_PANIC, &[&panic(&[0xff; 20_000_000])])?,
        "tells a long panic" => {
            peer.say(FAILED, &[&id, &panic_error(&LONG.repeat(WORDS / 5))])?;
        }
        "tells a panic that is no text" => peer.say(FAILED, &[&id, &panic_error(&[0xff; 20_000_000])])?,
        "tells a panic longer than the message" => {
            let error = [text(b"task"), vec![0, 0], number(1 << 60), b"text".to_vec()].concat();
            peer.say(FAILED, &[&id, &error])?;
        }
        other => return misbehave_with_blobs(other, peer, &frame(DONE, &[&id, &micros, &number(42)])),
    }
    Ok(Then::Waits)
}

fn misbehave_with_blobs(way: &str, peer: &mut Peer, done: &[u8]) -> io::Result<Then> {
    let blob = frame(BLOB, &[b"bytes"]);
    let header = |kind: u8, declared: u64| [&[kind][..], &declared.to_le_bytes()].concat();
    match way {
        "sends a blob that nothing mentions" => peer.write(&[&blob, done].concat())?,
        "mentions a blob that it has not sent" => peer.write(&with_blobs(&[0], done))?,
        "sends more blobs than it mentions" => {
            peer.write(&[&blob[..], &blob, &with_blobs(&[0], done)].concat())?;
        }
        "mentions a blob twice" => peer.write(&[&blob[..], &with_blobs(&[0, 0], done)].concat())?,
        "mentions a blob by a number of its own" => {
            peer.write(&[&blob[..], &with_blobs(&[u64::MAX], done)].concat())?;
        }
        "mentions a blob of a message before" => {
            peer.write(&[&blob[..], &frame(SURPLUS, &[]), &with_blobs(&[0], done)].concat())?;
        }
        "sends more blobs than a task has arguments" => {
            peer.write(&[&blob.repeat(13)[..], &with_blobs(&[0], done)].concat())?;
        }
        "sends blobs without end" => {
            // Until it is killed.
            (0..).try_for_each(|_: u64| peer.write(&frame(BLOB, &[&[0; 1 << 20]])))?;
        }
        "declares half an element" => peer.write(&[header(BLOB + 3, 12), vec![0; 12]].concat())?,
        "hides a blob in a message" => peer.write(&with_blobs(&[], &blob))?,
        "mentions a blob that its result does not need" => {
            peer.write(&[&blob[..], &with_blobs(&[0], done)].concat())?;
        }
        "declares the largest blob" => peer.write(&header(BLOB + 4, !15))?,
        "declares the largest blob behind another" => peer.write(&[blob, header(BLOB, !5)].concat())?,
        "declares a blob of a gigabyte and dies" => {
            peer.write(&[header(BLOB + 3, 1 << 30), vec![0; 1000]].concat())?;
            return Ok(Then::Ends);
        }
        other => panic!("there is no way `{other}`"),
    }
    Ok(Then::Waits)
}

/// Clears the screen and turns the direction of writing; 9 bytes.
const LONG: &[u8] = b"\x1b[2J\r\x07\xe2\x80\xae";
/// As many of it as make 100 MB.
const WORDS: usize = 11_000_000;

/// Row 77: worker of another build or protocol version connects: BuildMismatch with both ids; no task sent.
#[test]
fn a_worker_of_another_build_or_protocol_gets_no_task() {
    alone(|| {
        let build = build();
        for way in ["speaks an older protocol", "speaks a newer protocol"] {
            let error = outcome(way, build).unwrap_err();
            assert!(error.is_spawn(), "{way}: {error}");
            assert!(error.to_string().contains(&format!("{build:016x}")), "{way}: {error}");
        }
    });
}

/// Rows 92 and 94, contract C3: whatever a worker does before it was sent a task, another runs the task; also if it dies in silence
/// before it has said that it started it.
#[test]
fn a_task_that_a_broken_worker_has_not_started_is_run_by_another() {
    alone(|| {
        let build = build();
        for way in [
            "says nothing and closes its socket",
            "says something before its hello",
            "says half a hello",
            "says hello with more behind it",
            "sends descriptors before its hello",
            "dies without starting",
        ] {
            let value = outcome(way, build).unwrap_or_else(|error| panic!("{way}: {error}"));
            assert_eq!(value, 42, "{way}");
        }
    });
}

/// Rows 92 and 94, contract C3: what was sent to a liar counts as started, for whether it was nobody knows. It is run again if
/// it may be.
#[test]
fn a_task_that_a_liar_may_have_started_is_not_run_again_unasked() {
    alone(|| {
        let build = build();
        for way in [
            "says hello twice",
            "starts a task that it was not sent",
            "returns a task that it was not sent",
            "starts what it was sent after a lie",
        ] {
            let error = outcome(way, build).expect_err(way);
            let text = error.to_string();
            assert!(error.is_transport() && text.contains("sent what no worker sends"), "{way}: {text}");
            let again = xfork::Limits::new().retries(1).backoff(Duration::from_millis(1));
            let value =
                sabotage(way, build, 1, |_| pool(1, || ended(xfork::task(double, 21).limits(again).fork())));
            assert_eq!(value.unwrap_or_else(|error| panic!("{way}: {error}")), 42);
        }
        // That says that it had started.
        assert_eq!(outcome("returns a result before it starts", build).unwrap(), 42);
        let error = outcome("fails before it starts", build).unwrap_err();
        assert!(error.is_panic() && error.message() == "no", "{error}");
    });
}

/// Rows 92, 94: every truncation and bit flip of each message kind; result for a foreign, finished or future task id; …:
/// Protocol error, worker killed, correct task accounted once.
#[test]
fn a_lie_about_a_started_task_costs_that_task_only() {
    alone(|| {
        let build = build();
        for (way, why) in [
            ("starts twice", "it was not sent"),
            ("returns what it has started", "it was not sent"),
            ("returns the result of a future task", "it was not running"),
            ("returns the result of no task", "it was not running"),
            ("fails a future task", "it was not running"),
            ("is blocked in a future task", "it was not running"),
            ("forks in a future task", "it is not running"),
            ("forks a function that is not there", "does not exist"),
            ("forks with unreadable terms", ""),
            ("forks under a name that is no text", "malformed message of kind 71"),
            ("forks under a name longer than the message", "malformed message of kind 71"),
            ("declares no length", "malformed message of kind 67"),
            ("cuts a start", "malformed message of kind 66"),
            ("cuts a result", "malformed message of kind 67"),
            ("cuts a failure", "malformed message of kind 68"),
            ("cuts an error", "an unreadable error"),
            ("lengthens a block", "malformed message of kind 74"),
            ("lengthens a surplus", "malformed message of kind 70"),
            ("says what the program says", "malformed message of kind 2"),
            ("says nothing known", "malformed message of kind 255"),
            ("sends zeros", "malformed message of kind 0"),
            ("prints though nothing is captured", "nothing is captured"),
            ("mentions shared memory that it was not lent", "shared memory number 1, which was not lent"),
            ("forks with shared memory that it was not lent", "which was not lent to it"),
            ("mentions shared memory in half a message", "half a message"),
            ("mentions shared memory in two messages", "half a message"),
            ("mentions shared memory in a message without values", "a message that has no values"),
            ("mentions shared memory in a mention", "a message that has no values"),
            ("mentions more shared memory than it sends", "a malformed list"),
            ("mentions shared memory without end", "malformed message of kind 84"),
            ("lets go of what it was not lent", "was not told to forget"),
            ("refuses what it was not lent", "was not lent to it"),
            ("ends an item of what is no chunk", "an item of what is no chunk"),
            ("fails an item of what is no chunk", "an item of what is no chunk"),
            ("gives back a part of what is no chunk", "an item of what is no chunk"),
            ("ends an item of a future task", "it is not running"),
            ("cuts the end of an item", "malformed message of kind 87"),
            ("lengthens what it gives back", "malformed message of kind 89"),
            ("sends a blob that nothing mentions", "a blob that nothing mentions"),
            ("mentions a blob that it has not sent", "other blobs than came before it"),
            ("sends more blobs than it mentions", "other blobs than came before it"),
            ("mentions a blob twice", "other blobs than came before it"),
            ("mentions a blob by a number of its own", "other blobs than came before it"),
            ("mentions a blob of a message before", "a blob that nothing mentions"),
            ("sends more blobs than a task has arguments", "more than 12 blobs"),
            ("sends blobs without end", "more than 12 blobs"),
            ("declares half an element", "12 bytes of elements of 8 bytes"),
            ("hides a blob in a message", "half a message"),
        ] {
            let error = outcome(way, build).expect_err(way);
            let text = error.to_string();
            assert!(error.is_transport() && text.contains("sent what no worker sends"), "{way}: {text}");
            assert!(text.contains(why) && text.contains("double"), "{way}: {text}");
            assert!(error.pid().is_some_and(|pid| pid != std::process::id()), "{way}: {text}");
        }
    });
}

/// Row 92: a result that is no value is an error of whoever reads it, and nobody else's.
#[test]
fn an_unreadable_result_costs_its_task_only() {
    alone(|| {
        let build = build();
        for way in ["gives an unreadable result", "gives an empty result"] {
            // The liar is not found out, and must not be asked again.
            let error = sabotage(way, build, 1, |_| {
                with_plan(Plan::processes(1), || ended(process(double, 21)).expect_err(way))
            });
            assert!(error.is_transport() && error.to_string().contains("deserialised"), "{way}: {error}");
            pool(1, || ());
        }
    });
}

/// Row 93: declared length max/0/negative, header split into 1-byte writes, two frames in one write: handled; memory grows
/// only with bytes received.
#[test]
fn lengths_and_pieces_of_messages_are_handled() {
    alone(|| {
        let build = build();
        for way in [
            "declares the largest length",
            "declares a negative length",
            "declares the largest blob",
            "declares the largest blob behind another",
        ] {
            let error = outcome(way, build).unwrap_err();
            assert!(
                error.is_transport() && error.to_string().contains("more than the limit"),
                "{way}: {error}"
            );
        }
        let grown = grown_by(|| {
            for way in ["declares a gigabyte and dies", "declares a blob of a gigabyte and dies"] {
                let error = outcome(way, build).unwrap_err();
                assert!(error.is_crash() && error.exit_code() == Some(78), "{way}: {error}");
            }
        });
        assert!(grown < 100 << 20, "{grown} bytes for a message of a thousand");
        for way in [
            "writes byte by byte",
            "writes two messages at once",
            "sends shared memory that nothing mentions",
            "mentions a blob that its result does not need",
        ] {
            let value =
                sabotage(way, build, 1, |_| with_plan(Plan::processes(1), || ended(process(double, 21))));
            assert_eq!(value.unwrap_or_else(|error| panic!("{way}: {error}")), 42);
        }
    });
}

/// Row 94: two results; ack after result.
#[test]
fn what_is_said_after_the_result_changes_nothing_and_costs_the_liar_its_life() {
    alone(|| {
        let build = build();
        for way in ["returns the result twice", "starts again after the result"] {
            let value = sabotage(way, build, 1, |_| pool(1, || task_and_next(way)));
            assert_eq!(value.unwrap_or_else(|error| panic!("{way}: {error}")), 42);
        }
    });
}

/// Row 95: never answers the handshake; answers late; sends 1 byte per second: boot time-out, replaced.
#[test]
fn a_worker_that_does_not_say_hello_in_time_is_replaced() {
    alone(|| {
        let build = build();
        // One that is only slow is waited for.
        let value = sabotage("says hello late", build, 1, |dir| {
            let pipe = dir.pipe("go-on");
            pool(1, || {
                let task = process(double, 21);
                tell(&pipe, "");
                ended(task)
            })
        });
        assert_eq!(value.unwrap(), 42);
        // SAFETY: no other thread of this process touches the environment now.
        unsafe { std::env::set_var("XFORK_BOOT_LIMIT_MS", "400") };
        for way in ["says nothing", "says hello a byte at a time"] {
            assert_eq!(outcome(way, build).unwrap_or_else(|error| panic!("{way}: {error}")), 42);
        }
        let error =
            sabotage("says nothing", build, 5, |_| pool(1, || ended(process(double, 21)))).unwrap_err();
        assert!(error.is_spawn() && error.to_string().contains("did not say hello in 400ms"), "{error}");
    });
}

/// Row 96: stops reading while the parent writes: parent's other workers unaffected (non-blocking writes).
#[test]
fn a_worker_that_stops_reading_holds_up_nobody_else() {
    fn measure(data: Vec<u8>) -> usize {
        data.len()
    }
    alone(|| {
        let build = build();
        sabotage("stops reading", build, 1, |dir| {
            let pipe = dir.pipe("go-on");
            pool(2, || {
                let large = process(measure, vec![7; 64 << 20]);
                // The other worker is not even started before it is the one that gets the large task.
                assert!(within(GONE, || std::path::Path::new(&dir.path("stopped")).exists()));
                for n in 0..100 {
                    assert_eq!(ended(process(double, n)).unwrap(), 2 * n);
                }
                assert!(!xfork::ResultProxy::is_ready(&large));
                // It dies without having started anything, so another worker does that.
                tell(&pipe, "");
                assert_eq!(ended(large).unwrap(), 64 << 20);
            });
        });
    });
}

/// Row 94: says of a chunk what can't be: its items fail, or have ended before the lie; the next one succeeds.
#[test]
fn a_lie_about_a_chunk_costs_its_items_only() {
    alone(|| {
        let build = build();
        for (way, why) in [
            ("ends a chunk before its items", "the end of a chunk before that of its items"),
            ("ends more items than there are", "an item that it does not have"),
            ("ends a chunk with a value", "the end of a chunk with a value"),
            ("gives back items that it does not have", "an item that it does not have"),
        ] {
            sabotage(way, build, 1, |_| {
                pool(1, || {
                    match ended(xfork::map_process(double, [21]).remove(0)) {
                        Ok(value) => assert!(value == 42 && way.contains("ends") && !way.contains("before")),
                        Err(error) => assert!(error.to_string().contains(why), "{way}: {error}"),
                    }
                    assert_eq!(
                        xfork::map_process(double, 0..1000),
                        (0..1000).map(|n| 2 * n).collect::<Vec<_>>()
                    );
                });
            });
        }
    });
}

/// Row 97: sends unsolicited fds (SCM_RIGHTS): closed, Protocol error, no fd growth.
#[test]
fn descriptors_from_a_worker_are_closed_and_cost_it_its_task() {
    alone(|| {
        let build = build();
        for way in ["sends descriptors", "sends a hundred times three descriptors"] {
            let error = outcome(way, build).expect_err(way);
            assert!(error.to_string().contains("file descriptors"), "{way}: {error}");
        }
        // Bytes that came with descriptors can't be told from those before, which must not be lost.
        let way = "sends descriptors with the result";
        match sabotage(way, build, 1, |_| pool(1, || task_and_next(way))) {
            Ok(value) => assert_eq!(value, 42),
            Err(error) => assert!(error.to_string().contains("file descriptors"), "{error}"),
        }
    });
}

/// Row 98: truncates its shared memfd: no SIGBUS in parent (sealed or read). It is sealed, and what is cut out of its middle
/// reads as zeros.
#[test]
fn a_worker_that_truncates_its_shared_memory_harms_itself_only() {
    fn truncates_and_dies(program: u32, note: String) -> u64 {
        let mut files = Vec::new();
        for fd in std::fs::read_dir(format!("/proc/{program}/fd")).unwrap().flatten() {
            if std::fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().contains("xfork-worker"))
            {
                let file = std::fs::File::options().write(true).open(fd.path()).unwrap();
                assert_eq!(file.set_len(0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
                assert_eq!(file.set_len(1 << 30).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
                files.push(file);
            }
        }
        // Now: as soon as the ring makes no sense any more, this process may end.
        std::fs::write(note, files.len().to_string()).unwrap();
        for file in files {
            let how = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), how, 0, 1 << 20) }, 0);
        }
        std::process::abort()
    }
    alone(|| {
        let dir = Dir::new();
        let note = dir.path("tried");
        pool(1, || {
            // It erases that it had started, too: then other workers try, until the pool gives it up.
            let error = ended(process(truncates_and_dies, (std::process::id(), &note))).unwrap_err();
            assert!(error.is_crash() || error.is_transport() || error.is_spawn(), "{error}");
        });
        assert_eq!(std::fs::read_to_string(note).unwrap(), "1");
    });
}

/// Rows 92 and 93 over the ring: what can't be in it costs the liar its life and its task, and nobody else anything.
#[test]
fn a_ring_that_makes_no_sense_costs_the_liars_task_only() {
    if !has_rings() {
        return;
    }
    alone(|| {
        let build = build();
        for way in RING_LIES {
            let error = sabotage(way, build, 1, |_| {
                pool(1, || {
                    let lost = ended(process(double, 21)).unwrap_err();
                    // What is written to it shows that its own end makes no sense, too.
                    assert_eq!(ended(process(double, 4)).unwrap(), 8, "{way}");
                    lost
                })
            });
            assert!(error.is_transport() || error.is_crash(), "{way}: {error}");
            assert!(error.to_string().contains("makes no sense"), "{way}: {error}");
        }
    });
}

/// Row 99: floods log/stderr: bounded, never blocks the pool.
#[test]
fn a_flood_of_words_does_not_hold_up_the_pool() {
    alone(|| {
        xfork::report_unseen_failures(false);
        let build = build();
        // The program does not read what workers print, so it keeps nothing of it.
        let value = sabotage("fills standard error", build, 1, |dir| {
            let value = pool(1, || ended(process(double, 21)));
            assert_eq!(traces(&dir.path("filled")), 1);
            value
        });
        assert_eq!(value.unwrap(), 42);
        // Nobody reads it either: that worker stands still, and is replaced.
        // SAFETY: no other thread of this process touches the environment now.
        unsafe { std::env::set_var("XFORK_BOOT_LIMIT_MS", "400") };
        let (_reader, writer) = io::pipe().unwrap();
        let value = with_standard_error(writer.as_raw_fd(), || outcome("fills standard error", build));
        assert_eq!(value.unwrap(), 42);
        for way in ["complains at length", "chatters"] {
            let grown = grown_by(|| {
                let value =
                    sabotage(way, build, 1, |_| with_plan(Plan::processes(1), || ended(process(double, 21))));
                assert_eq!(value.unwrap(), 42);
            });
            assert!(grown < 100 << 20, "{grown} bytes are kept of a worker that {way}");
        }
    });
}

/// Runs `scope` with standard error being something else.
fn with_standard_error<R>(fd: i32, scope: impl FnOnce() -> R) -> R {
    // SAFETY: these take numbers; the copy is owned here and closed below.
    unsafe {
        let kept = libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 100);
        assert!(kept >= 0 && libc::dup2(fd, 2) == 2);
        let result = scope();
        assert_eq!(libc::dup2(kept, 2), 2);
        libc::close(kept);
        result
    }
}

/// Row 100: panic text of 100 MB, with escape codes and invalid UTF-8: truncated, sanitised for display.
#[test]
fn panic_texts_are_bounded_and_shown_without_escape_codes() {
    fn scream() -> u64 {
        std::panic::panic_any(String::from_utf8(LONG.repeat(WORDS)).unwrap())
    }
    let is_clean = |error: &TaskError| {
        let (shown, debug) = (error.to_string(), format!("{error:?}"));
        for text in [&shown, &debug] {
            assert!(!text.contains(['\x1b', '\r', '\u{202e}']));
            assert!(text.len() < 1 << 20 && text.contains("more bytes"), "{} bytes", text.len());
        }
    };
    alone(|| {
        let build = build();
        let error = outcome("tells a long last panic", build).unwrap_err();
        assert!(error.is_crash() && error.exit_code() == Some(78));
        is_clean(&error);
        let error = sabotage("tells a long panic", build, 1, |_| {
            with_plan(Plan::processes(1), || ended(process(double, 21)).unwrap_err())
        });
        assert!(error.is_panic() && error.message().len() <= 64 << 10);
        is_clean(&error);
        for way in [
            "tells a last panic that is no text",
            "tells a panic that is no text",
            "tells a panic longer than the message",
        ] {
            let error = outcome(way, build).unwrap_err();
            assert!(error.to_string().contains("sent what no worker sends"), "{way}: {error}");
        }
        // And an honest one.
        pool(1, || {
            let error = ended(process(scream, ())).unwrap_err();
            assert!(error.is_panic() && error.message().len() <= 64 << 10);
            is_clean(&error);
        });
    });
}
