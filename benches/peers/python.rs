//! What chunking does in Python: `multiprocessing.Pool.map` over many items, with the chunks that it chooses itself.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(crate) const NAME: &str = "Python, multiprocessing.Pool.map";

/// Does as many items as each line says, and answers with the nanoseconds that they took. Ends when its input does.
const PROGRAM: &str = "
import multiprocessing, sys, time

def same(n):
    return n

with multiprocessing.get_context('fork').Pool(int(sys.argv[1])) as pool:
    for line in sys.stdin:
        items = int(line)
        begin = time.perf_counter_ns()
        total = sum(pool.map(same, range(items)))
        elapsed = time.perf_counter_ns() - begin
        assert total == items * (items - 1) // 2
        print(elapsed, flush=True)
";

pub(crate) struct Python {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Python {
    /// `None` if there is no `python3` that can do it.
    pub(crate) fn start(workers: usize) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM, &workers.to_string()]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("piped"));
        let mut python = Self { child, to, from };
        python.ask(10).map(|_| python)
    }

    /// How long it takes for so many items.
    pub(crate) fn map(&mut self, items: usize) -> Duration {
        self.ask(items).expect("it has answered before")
    }

    fn ask(&mut self, items: usize) -> Option<Duration> {
        writeln!(self.to.as_mut()?, "{items}").ok()?;
        let mut line = String::new();
        self.from.read_line(&mut line).ok()?;
        line.trim().parse().ok().map(Duration::from_nanos)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends its workers itself, once there is nothing more to read.
        self.to = None;
        let _ = self.child.wait();
    }
}
