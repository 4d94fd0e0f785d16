#![allow(unsafe_code, missing_docs)]
use xfork::*;
#[cpu_bound]
fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
#[io_bound]
fn name(text: &str) -> String { format!("{text} {:?}", std::thread::current().name()) }
#[cpu_bound]
fn pid() -> u32 { std::process::id() }
#[cpu_bound]
fn deep(n: u32) -> u32 { if n == 0 { 0 } else { *fork(deep, n - 1) + 1 } }
#[cpu_bound]
fn boom(n: u32) -> u32 { if n > 3 { panic!("boom {n}") } n }
#[cpu_bound]
fn die(how: u32) -> u32 { match how { 0 => std::process::exit(42), 1 => std::process::abort(), _ => { unsafe { libc::raise(libc::SIGKILL); } 1 } } }

fn main() {
    let start = std::time::Instant::now();
    let first = fork(fib, 10);
    println!("first {} {:?}", *first, start.elapsed());
    let a = fork(fib, 30);
    let b = fork(fib, 31);
    let both = fork(|x: u64, y: u64| x.max(y), (&a, &b));
    println!("{} {} {}", a, b, *both);
    println!("{}", fork(name, "hello"));
    println!("{} {}", std::process::id(), fork(pid, ()));
    let s = std::time::Instant::now();
    println!("deep {} {:?}", fork(deep, 1000), s.elapsed());
    for how in 0..3 { println!("{:?}", wait(&fork(die, how)).unwrap_err()); }
    println!("{:?}", wait(&fork(boom, 7)).unwrap_err());
    let s = std::time::Instant::now();
    for _ in 0..10000 { let _ = *fork(pid, ()); }
    println!("round trip {:?}", s.elapsed() / 10000);
    let s = std::time::Instant::now();
    let all = map(pid, (0..100_000).map(|_| ()));
    println!("submitted {:?}", s.elapsed() / 100000);
    for p in &all { let _ = **p; }
    println!("per task {:?}", s.elapsed() / 100000);
    let s = std::time::Instant::now();
    let all = map_thread(|x: u32| x + 1, 0..100_000);
    for p in &all { let _ = **p; }
    println!("per io task {:?}", s.elapsed() / 100000);
    let r = std::panic::catch_unwind(|| { let p = fork(boom, 9); *p });
    println!("{:?}", r.unwrap_err().downcast_ref::<String>());
    fork(boom, 5);
}
