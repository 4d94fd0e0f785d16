//! Section B: what arguments and results are made of, and where their copies are.

use crate::fixture::{
    Dir, GONE, alone, alone_for, children, ended, hang, hear_pid, kill, own_process, pool,
    the_next_task_succeeds, within,
};
use crate::own::memory;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xfork::{Portable, ResultProxy, Scope, process};

/// Bytes that are sent as if they were a `T`.
struct Forged<T> {
    bytes: Vec<u8>,
    value: Option<T>,
}

impl<T> Serialize for Forged<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(self.bytes.len())?;
        self.bytes.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl<'a, T: Deserialize<'a>> Deserialize<'a> for Forged<T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { bytes: Vec::new(), value: Some(T::deserialize(deserializer)?) })
    }
}

impl<T> Forged<T> {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, value: None }
    }
}

/// A length as the codec writes it: seven bits a byte.
fn length(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 128 {
        bytes.push(n as u8 | 128);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

#[derive(Serialize, Deserialize)]
enum Two {
    One,
    Other,
}

#[derive(Serialize, Deserialize)]
enum List {
    End,
    More(Box<List>),
}

fn takes<T>(forged: Forged<T>) -> bool {
    forged.value.is_some()
}

fn gives<T>(bytes: Vec<u8>) -> Forged<T> {
    Forged::new(bytes)
}

/// Both directions: as an argument, decoded by a worker, and as a result, decoded here.
fn refuses<T: DeserializeOwned + Send + Sync + 'static>(bytes: &[u8]) {
    let begin = Instant::now();
    let error = ended(process(takes::<T>, Forged::new(bytes.to_vec()))).unwrap_err();
    assert!(error.is_transport(), "{error}");
    let made = process(gives::<T>, bytes.to_vec());
    let error = ResultProxy::wait(&made).map(|_| ()).unwrap_err();
    assert!(error.is_transport(), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// Row 36: length 2^60, u8 bool=2, bad UTF-8, bad enum tag: Decode error, bounded time, memory and stack.
#[test]
fn nonsense_is_a_decode_error_in_either_direction() {
    alone(|| {
        pool(1, || {
            refuses::<Vec<u64>>(&length(1 << 60));
            refuses::<Vec<String>>(&length(1 << 60));
            refuses::<HashMap<u64, u64>>(&length(1 << 60));
            refuses::<String>(&length(1 << 60));
            refuses::<bool>(&[2]);
            refuses::<char>(&[4, 0xff, 0xff, 0xff, 0xff]);
            refuses::<String>(&[2, 0xc3, 0x28]);
            refuses::<Two>(&[2]);
            refuses::<Option<u8>>(&[2, 2]);
            let good = process(takes::<Two>, Forged::new(vec![1]));
            assert!(ended(good).unwrap());
        });
        let _ = (Two::One, Two::Other);
    });
}

/// Row 36: Vec<()> with length 2^63, deep nesting 10^6: Decode error, bounded time, memory and stack; here as well, where an
/// overflow would be the end of the program.
#[test]
fn what_is_endless_or_nests_too_deep_is_a_decode_error_in_either_direction() {
    alone(|| {
        pool(1, || {
            refuses::<Vec<()>>(&length(1 << 63));
            refuses::<Vec<Vec<()>>>(&[length(2), length(1 << 63)].concat());
            refuses::<List>(&vec![1; 5_000_000]);
            let worker = ended(process(own_process, ())).unwrap();
            assert!(ended(process(takes::<List>, Forged::new(vec![1, 1, 0]))).unwrap());
            assert_eq!(ended(process(own_process, ())).unwrap(), worker, "the same worker goes on");
        });
        let _ = List::More(Box::new(List::End));
    });
}

fn echo<T>(value: T) -> T {
    value
}

/// Whether the value comes back; if it doesn't, there must be an error, and never another value.
fn travels<T: Portable + Clone + Debug + PartialEq + Send + Sync + 'static>(value: T) -> bool {
    match ended(process(echo::<T>, (value.clone(),))) {
        Ok(back) => {
            assert_eq!(back, value);
            true
        }
        Err(error) => {
            assert!(error.is_transport(), "{error}");
            false
        }
    }
}

/// Row 37: types the codec cannot carry (untagged, flatten, skip_serializing_if, NaN, u128, i128, HashMap, char, borrowed
/// &str): round trip equal or compile/first-use error, never a wrong value. (Results that borrow are refused by the compiler:
/// `tests/ui/borrowing_results.rs`.)
#[test]
fn every_type_comes_back_equal_or_is_an_error() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Number { n: u64 },
        Text { t: String },
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        a: u32,
        #[serde(flatten)]
        rest: BTreeMap<String, u32>,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Skips {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        first: Option<u8>,
        second: Option<u8>,
    }
    alone(|| {
        pool(1, || {
            assert!(travels(u128::MAX) && travels(i128::MIN) && travels((u128::MAX, i128::MIN)));
            assert!(travels('\u{10ffff}') && travels(vec!['ß', 'a']));
            assert!(travels(HashMap::from([("key".to_string(), vec![1_u8, 2]), (String::new(), vec![])])));
            assert!(travels(vec![f64::INFINITY, -0.0]) && travels((f32::MIN_POSITIVE, f64::EPSILON)));
            assert!(travels(Duration::MAX) && travels(std::path::PathBuf::from("a/b")));
            let nan = ended(process(echo::<(f64, Vec<f32>)>, ((-f64::NAN, vec![f32::NAN]),))).unwrap();
            assert_eq!(nan.0.to_bits(), (-f64::NAN).to_bits());
            assert_eq!(nan.1[0].to_bits(), f32::NAN.to_bits());
            // Forms that need to look ahead or at names: an error at the first use.
            assert!(!travels(Untagged::Number(1)) && !travels(Untagged::Text("t".into())));
            assert!(!travels(Tagged::Number { n: 1 }) && !travels(Tagged::Text { t: "t".into() }));
            assert!(!travels(Flat { a: 1, rest: BTreeMap::from([("b".into(), 2)]) }));
            // Everything that is there travels; what is left out shifts what follows.
            assert!(travels(Skips { first: Some(1), second: Some(2) }));
            assert!(!travels(Skips { first: None, second: None }));
        });
    });
}

static SERIALISED: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is serialised; small here, and a megabyte on its way.
#[derive(Clone, Deserialize)]
struct Large {
    #[expect(dead_code, reason = "read by nobody, but it travels")]
    data: Vec<u8>,
}

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        SERIALISED.fetch_add(1, Ordering::SeqCst);
        let mut fields = serializer.serialize_struct("Large", 1)?;
        fields.serialize_field("data", &vec![1_u8; 1 << 20])?;
        fields.end()
    }
}

fn take(_: Large) -> u64 {
    1
}

/// Row 38: Serialize with side effects is called at most once per dispatch.
#[test]
fn an_argument_is_serialised_once() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(1, || {
            for _ in 0..5 {
                assert_eq!(ended(process(take, Large { data: vec![] })).unwrap(), 1);
            }
            // From the queue, too.
            let busy = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            let queued: Vec<_> = (0..5).map(|_| process(take, Large { data: vec![] })).collect();
            kill(worker, libc::SIGKILL);
            assert!(ended(busy).unwrap_err().is_crash());
            queued.into_iter().for_each(|task| assert_eq!(ended(task).unwrap(), 1));
            assert_eq!(SERIALISED.load(Ordering::SeqCst), 10);
        });
    });
}

/// Row 39: 10^5 tasks queued with 1 MB args: memory bounded as documented (serialised at dispatch; <= 2 per worker in flight).
#[test]
fn what_is_queued_is_not_yet_serialised() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(1, || {
            let busy = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            let before = memory();
            let scope = Scope::new().cancel_on_drop();
            let queued: Vec<_> =
                scope.enter(|| (0..100_000).map(|_| process(take, Large { data: vec![] })).collect());
            assert!(SERIALISED.load(Ordering::SeqCst) <= 2);
            let grown = memory().saturating_sub(before);
            assert!(grown < 300 << 20, "{} MiB", grown >> 20);
            drop(scope);
            assert!(queued.iter().all(|task| ResultProxy::error(task).unwrap().is_cancelled()));
            kill(worker, libc::SIGKILL);
            assert!(ended(busy).unwrap_err().is_crash());
            the_next_task_succeeds();
        });
    });
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts how many of it there are in this process.
#[derive(Serialize)]
struct Counted(u64);

impl Counted {
    fn new(n: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self(n)
    }
}

impl<'a> Deserialize<'a> for Counted {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::new)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Row 40: args freed in worker before next task; results not retained by the pool after get (drop counters).
#[test]
fn arguments_and_results_are_gone_when_they_are_not_needed() {
    fn pass(value: Counted) -> Counted {
        Counted::new(value.0)
    }
    fn alive() -> usize {
        ALIVE.load(Ordering::SeqCst)
    }
    alone_for(Duration::from_secs(60), || {
        pool(1, || {
            for n in 0..50 {
                let result = process(pass, Counted::new(n));
                assert_eq!(ResultProxy::wait(&result).unwrap().0, n);
                assert_eq!(alive(), 1, "the result is here, the argument is not");
                drop(result);
                // Who delivered it lets go of it a moment after the reader is awake.
                assert!(within(GONE, || alive() == 0), "the pool keeps a result");
                assert_eq!(ended(process(alive, ())).unwrap(), 0, "in the worker");
            }
            assert_eq!(children().len(), 1);
        });
    });
}
