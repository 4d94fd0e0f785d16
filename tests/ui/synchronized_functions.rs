//! What can't be synchronized or concurrent.

use xfork::{concurrent, cpu_bound, synchronized};

#[synchronized]
async fn asynchronous() {}

#[synchronized]
const fn constant() {}

#[synchronized(compute)]
fn listed() {}

#[synchronized]
struct Data;

struct Table;

impl Table {
    #[concurrent]
    fn compute(&self) -> i64 {
        1
    }
}

#[concurrent]
fn changes(table: &mut Vec<i64>) {
    table.push(1);
}

#[concurrent]
#[cpu_bound]
fn marked_twice() {}

#[concurrent(threads)]
fn unknown_place() {}

#[concurrent(runner)]
fn without_runner() {}

struct NotCloned;

#[concurrent(io)]
fn borrows(_: &NotCloned) {}

fn main() {}
