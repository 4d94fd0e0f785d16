//! What can't go to a worker process, or to a thread, is refused where it is forked.

use std::rc::Rc;

struct Plain(u8);

fn by_process(plain: Plain) -> u8 {
    plain.0
}

#[xfork::cpu_bound]
fn result_by_process() -> Plain {
    Plain(1)
}

fn main() {
    xfork::fork(by_process, Plain(1));
    xfork::fork(result_by_process, ());
    xfork::thread(|shared: Rc<u8>| *shared, Rc::new(1));
    xfork::fork(|a: u32, b: u32| a + b, 1_u32);
    xfork::fork(u64::count_ones, "three");
}
