//! Limits on marks are refused at the value that is wrong, or at the setting that makes no sense there.

use xfork::{cpu_bound, io_bound, io_bound_fork, sequential};

#[cpu_bound(timeout = 30)]
fn number() {}

#[cpu_bound(timeout = 1.5)]
fn fraction() {}

#[cpu_bound(timeout = 30s)]
fn without_quotes() {}

#[cpu_bound(timeout = "30")]
fn no_unit() {}

#[cpu_bound(cpu_time = "10 sec")]
fn wrong_unit() {}

#[cpu_bound(backoff = "soon")]
fn no_number() {}

#[cpu_bound(timeout = Duration::from_secs(3))]
fn expression() {}

#[cpu_bound(timeout = "0s")]
fn no_time() {}

#[cpu_bound(timeout = "999999999h")]
fn for_ever() {}

#[cpu_bound(memory = 512)]
fn bytes() {}

#[cpu_bound(memory = "512 mib")]
fn wrong_size() {}

#[cpu_bound(memory = "0 B")]
fn no_memory() {}

#[cpu_bound(memory = true)]
fn neither() {}

#[cpu_bound(retries = -1)]
fn fewer_than_one_try() {}

#[cpu_bound(retries = "2")]
fn quoted() {}

#[io_bound(retries)]
fn without_value() {}

#[cpu_bound(priority = 1.5)]
fn broken_priority() {}

#[cpu_bound(priority = 9999999999)]
fn great_priority() {}

#[cpu_bound(timeout = "1s", retries = 2, timeout = "2s")]
fn twice() {}

#[io_bound(memory = "1 GiB")]
fn memory_of_a_thread() {}

#[io_bound_fork(cpu_time = "1s")]
fn processor_time_of_a_thread() {}

#[sequential(timeout = "1s")]
fn in_place() {}

#[xfork::r#unsafe(priority = 1)]
fn also_in_place() {}

fn main() {}
