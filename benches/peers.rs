//! What a task costs in xfork and in the systems that people use instead, measured in one run.
//!
//! ```sh
//! cargo bench --bench peers               # under a minute
//! cargo bench --bench peers -- --quick    # two seconds, for orders of magnitude
//! ```
//!
//! Every task does nothing, so what is measured is what the system itself costs:
//!
//! | case | one operation |
//! | --- | --- |
//! | io latency | one task is submitted, and its result waited for as the system wants it |
//! | io hand-off | the same, but the task itself tells the waiter, through a channel: another thread has to run it |
//! | io throughput | one of many tasks that are all submitted, then all collected, each with a result of its own |
//! | cpu latency, throughput | the same with tasks that run in other processes |
//! | start | from the start of the program to the first result from another process |
//!
//! xfork runs a task that its waiter needs, and that nobody has started yet, in the waiter: so its io latency may be
//! less than a hand-off between threads. Two rows are limits, not rivals: a plain call, and one byte through pipes to
//! another process and back. At "start" the limit is a program that stops at the beginning of `main`.
//!
//! All competitors take turns, forwards and backwards, many rounds: other load on the machine hits all of them alike.
//! The table shows medians, and how many times slower than xfork each is: above 1, xfork is faster. Compare within
//! one run only. The table is also written to `target/bench/peers.json`, unless the bench runs as a test (without
//! `--bench`, as `cargo test --benches` does it).

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{channel, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use xfork::{Plan, process, thread};

/// Tells a process that this program starts which part it plays, and when it was started.
const ROLE: &str = "XFORK_PEERS_ROLE";

/// How long the whole bench may take, roughly; as a test, and with `--quick`.
const LIMIT: Duration = Duration::from_secs(45);
const QUICK_LIMIT: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 40;
/// The pause before each turn.
const SETTLE: Duration = Duration::from_millis(15);

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    procspawn::init();
    let asked = |option: &str| std::env::args().any(|given| given == option);
    if asked("--list") {
        return;
    }
    let is_test = !asked("--bench") || asked("--test");
    let quick = is_test || asked("--quick");
    let begin = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    xfork::plan(Plan::processes(cores));
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    let pool = procspawn::Pool::new(cores).expect("procspawn starts");
    let mut echo = Echo::start();

    let scale = if quick { 50 } else { 1 };
    let mut field = Vec::new();
    io_tasks(&mut field, &runtime, scale);
    cpu_tasks(&mut field, &pool, &mut echo, scale);
    starts(&mut field);

    // The first turn starts threads and workers, and is not counted.
    for competitor in &mut field {
        competitor.turn(scale);
        competitor.measured.clear();
    }
    let limit = if quick { QUICK_LIMIT } else { LIMIT };
    let mut rounds = 0;
    while rounds == 0 || (rounds < ROUNDS && begin.elapsed() < limit) {
        for place in 0..field.len() {
            let turn = if rounds % 2 == 0 { place } else { field.len() - 1 - place };
            // What the one before left behind, such as threads that look for more work, is not this one's cost.
            std::thread::sleep(SETTLE / scale as u32);
            field[turn].turn(scale);
        }
        rounds += 1;
    }
    report(&mut field, &format!("{cores} cores, {cores} workers, {rounds} rounds"), !is_test);
}

/// One row of the table.
struct Competitor<'a> {
    case: &'static str,
    name: &'static str,
    /// How often its work is measured in one turn.
    samples: usize,
    /// How many tasks are in one measurement.
    tasks: usize,
    work: Box<dyn FnMut(usize) -> Duration + 'a>,
    /// Nanoseconds per task.
    measured: Vec<f64>,
}

impl<'a> Competitor<'a> {
    fn new(
        case: &'static str,
        name: &'static str,
        samples: usize,
        tasks: usize,
        work: impl FnMut(usize) -> Duration + 'a,
    ) -> Self {
        Self { case, name, samples, tasks, work: Box::new(work), measured: Vec::new() }
    }

    /// One task after the other.
    fn latency(case: &'static str, name: &'static str, samples: usize, mut work: impl FnMut() + 'a) -> Self {
        Self::new(case, name, samples, 1, move |_| timed(&mut work))
    }

    /// Many tasks at once; `work` is told how many.
    fn throughput(
        case: &'static str,
        name: &'static str,
        tasks: usize,
        mut work: impl FnMut(usize) + 'a,
    ) -> Self {
        Self::new(case, name, 1, tasks, move |tasks| timed(|| work(tasks)))
    }

    fn turn(&mut self, scale: usize) {
        for _ in 0..self.samples.div_ceil(scale) {
            let time = (self.work)(self.tasks);
            self.measured.push(time.as_nanos() as f64 / self.tasks as f64);
        }
    }

    /// Of what was measured, the value that `share` of all is below.
    fn quantile(&self, share: f64) -> f64 {
        self.measured[((self.measured.len() - 1) as f64 * share).round() as usize]
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn no_op() {}

fn io_tasks<'a>(field: &mut Vec<Competitor<'a>>, runtime: &'a tokio::runtime::Runtime, scale: usize) {
    let case = "io latency";
    field.push(Competitor::latency(case, "xfork thread", 500, || *thread(no_op, ())));
    field.push(Competitor::latency(case, "rayon spawn + channel", 500, || {
        let (sender, receiver) = sync_channel(1);
        rayon::spawn(move || sender.send(()).expect("somebody waits"));
        receiver.recv().expect("somebody answers");
    }));
    field.push(Competitor::latency(case, "tokio spawn_blocking", 500, || {
        runtime.block_on(runtime.spawn_blocking(no_op)).expect("no panic");
    }));
    field.push(Competitor::latency(case, "std thread spawn", 100, || {
        std::thread::spawn(no_op).join().expect("no panic");
    }));
    field.push(Competitor::new(case, "plain call", 10, 1000, |calls| {
        timed(|| (0..calls).for_each(|_| black_box(no_op as fn())()))
    }));

    let case = "io hand-off";
    field.push(Competitor::latency(case, "xfork thread", 500, || {
        let (sender, receiver) = channel();
        thread(move || sender.send(()).expect("somebody waits"), ());
        receiver.recv().expect("somebody answers");
    }));
    field.push(Competitor::latency(case, "rayon spawn", 500, || {
        let (sender, receiver) = channel();
        rayon::spawn(move || sender.send(()).expect("somebody waits"));
        receiver.recv().expect("somebody answers");
    }));
    field.push(Competitor::latency(case, "tokio spawn_blocking", 500, || {
        let (sender, receiver) = channel();
        runtime.spawn_blocking(move || sender.send(()).expect("somebody waits"));
        receiver.recv().expect("somebody answers");
    }));
    field.push(Competitor::latency(case, "std thread spawn", 100, || {
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(()).expect("somebody waits"));
        receiver.recv().expect("somebody answers");
    }));

    let case = "io throughput";
    field.push(Competitor::throughput(case, "xfork thread", 100_000 / scale, |tasks| {
        let proxies: Vec<_> = (0..tasks).map(|_| thread(no_op, ())).collect();
        proxies.into_iter().for_each(|proxy| *proxy);
    }));
    field.push(Competitor::throughput(case, "rayon spawn + channel", 100_000 / scale, |tasks| {
        let submit = |_| {
            let (sender, receiver) = sync_channel(1);
            rayon::spawn(move || sender.send(()).expect("somebody waits"));
            receiver
        };
        let receivers: Vec<_> = (0..tasks).map(submit).collect();
        receivers.into_iter().for_each(|receiver| receiver.recv().expect("somebody answers"));
    }));
    field.push(Competitor::throughput(case, "tokio spawn_blocking", 50_000 / scale, |tasks| {
        let handles: Vec<_> = (0..tasks).map(|_| runtime.spawn_blocking(no_op)).collect();
        runtime.block_on(async {
            for handle in handles {
                handle.await.expect("no panic");
            }
        });
    }));
    field.push(Competitor::throughput(case, "std thread spawn", 1000 / scale, |tasks| {
        let handles: Vec<_> = (0..tasks).map(|_| std::thread::spawn(no_op)).collect();
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
    }));
}

fn cpu_tasks<'a>(
    field: &mut Vec<Competitor<'a>>,
    pool: &'a procspawn::Pool,
    echo: &'a mut Echo,
    scale: usize,
) {
    let case = "cpu latency";
    field.push(Competitor::latency(case, "xfork process", 500, || *process(no_op, ())));
    field.push(Competitor::latency(case, "procspawn Pool", 200, || {
        pool.spawn((), |()| no_op()).join().expect("no panic");
    }));
    field.push(Competitor::latency(case, "procspawn spawn", 5, || {
        procspawn::spawn((), |()| no_op()).join().expect("no panic");
    }));
    field.push(Competitor::latency(case, "one byte through pipes", 500, || echo.round_trip()));
    field.push(Competitor::new(case, "plain call", 10, 1000, |calls| {
        timed(|| (0..calls).for_each(|_| black_box(no_op as fn())()))
    }));

    let case = "cpu throughput";
    field.push(Competitor::throughput(case, "xfork process", 50_000 / scale, |tasks| {
        let proxies: Vec<_> = (0..tasks).map(|_| process(no_op, ())).collect();
        proxies.into_iter().for_each(|proxy| *proxy);
    }));
    // A task in its queue costs procspawn three descriptors: more would not fit everywhere.
    field.push(Competitor::throughput(case, "procspawn Pool", 200, |tasks| {
        let handles: Vec<_> = (0..tasks).map(|_| pool.spawn((), |()| no_op())).collect();
        handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
    }));
}

fn starts(field: &mut Vec<Competitor<'_>>) {
    for (name, role) in [
        ("xfork process", "xfork"),
        ("procspawn Pool", "pool"),
        ("procspawn spawn", "spawn"),
        ("a program that does nothing", "nothing"),
    ] {
        field.push(Competitor::new("start", name, 2, 1, move |_| start(role)));
    }
}

/// Starts this program in a role, and gives what it says of the time it needed.
fn start(role: &str) -> Duration {
    let mut command = again();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_nanos();
    let output = command.env(ROLE, format!("{role} {now}")).output().expect("this program starts again");
    let told = String::from_utf8(output.stdout).expect("a number");
    Duration::from_nanos(told.trim().parse().expect("a number"))
}

fn again() -> Command {
    Command::new(std::env::current_exe().expect("this program has a path"))
}

/// What a process does that this program started; xfork's and procspawn's own never come here as a role's children:
/// the former don't run `main`, and the latter end in `init`.
fn play(role: &str) {
    let (role, begin) = role.split_once(' ').unwrap_or((role, "0"));
    match role {
        "echo" => return answer(),
        "xfork" => *process(no_op, ()),
        "pool" => {
            procspawn::init();
            let pool = procspawn::Pool::new(1).expect("procspawn starts");
            pool.spawn((), |()| no_op()).join().expect("no panic");
        }
        "spawn" => {
            procspawn::init();
            procspawn::spawn((), |()| no_op()).join().expect("no panic");
        }
        _ => {}
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_nanos();
    println!("{}", now - begin.parse::<u128>().expect("a time"));
}

/// A process that gives every byte back: nothing is faster through pipes.
struct Echo {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Echo {
    fn start() -> Self {
        let mut command = again();
        command.env(ROLE, "echo").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts again");
        let to = child.stdin.take().expect("piped");
        let from = child.stdout.take().expect("piped");
        Self { child, to, from }
    }

    fn round_trip(&mut self) {
        let mut byte = [7];
        self.to.write_all(&byte).expect("the echo lives");
        self.from.read_exact(&mut byte).expect("the echo answers");
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of [`Echo`], without the buffers that standard input and output have.
fn answer() {
    let unbuffered =
        |fd: std::os::fd::BorrowedFd<'_>| File::from(fd.try_clone_to_owned().expect("a descriptor"));
    let mut from = unbuffered(std::io::stdin().as_fd());
    let mut to = unbuffered(std::io::stdout().as_fd());
    let mut byte = [0];
    while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
}

fn report(field: &mut [Competitor<'_>], header: &str, keep: bool) {
    let duration = |nanos: f64| Duration::from_nanos(nanos as u64);
    for competitor in &mut *field {
        competitor.measured.sort_by(f64::total_cmp);
        let [min, p50, p90] = [0.0, 0.5, 0.9].map(|share| duration(competitor.quantile(share)));
        let (case, name, count) = (competitor.case, competitor.name, competitor.measured.len());
        println!("{case}, {name}: min {min:?}, p50 {p50:?}, p90 {p90:?}, {count} measurements");
    }
    println!("\n{header}; medians per task; ratio: how many times slower than xfork\n");
    println!("{:<16}{:<30}{:>14}{:>11}", "case", "name", "median ns", "ratio");
    let mut rows = Vec::new();
    for competitor in &*field {
        let (case, name) = (competitor.case, competitor.name);
        let xfork = field.iter().find(|other| other.case == case).expect("each case has xfork first");
        let (median, ratio) = (competitor.quantile(0.5), competitor.quantile(0.5) / xfork.quantile(0.5));
        println!("{case:<16}{name:<30}{median:>14.1}{ratio:>11.3}");
        rows.push(serde_json::json!({
            "case": case, "name": name, "median_ns": median, "ratio_to_xfork": ratio,
        }));
    }
    if !keep {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    let text = serde_json::to_string_pretty(&rows).expect("strings and numbers");
    let file = folder.join("peers.json");
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
        Ok(()) => println!("\nwritten to {}", file.display()),
        Err(error) => println!("\nnot written to {}: {error}", file.display()),
    }
}
