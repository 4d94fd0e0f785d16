//! A library that a program loads which knows nothing of xfork.

fn double(n: u64) -> u64 {
    n * 2
}

#[unsafe(no_mangle)]
pub extern "C" fn run() {
    xfork::plan(xfork::Plan::processes(1));
    let task = xfork::process(double, 1);
    let outcome = xfork::wait(&task).map(|value| *value);
    println!("outcome {:?}", outcome.map_err(|error| (error.is_spawn(), error.to_string())));
    println!("thread {}", *xfork::thread(double, 21));
    println!("sum {}", *(xfork::ready(1_u64) + 2));
}
