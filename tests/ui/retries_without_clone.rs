//! Each try takes clones of the arguments: a mark with retries on a function whose arguments can't be cloned is refused
//! at the parameter.

use xfork::{io_bound, io_bound_fork, task};

struct Connection;

#[io_bound(retries = 2)]
fn send(connection: &Connection, text: &str) {
    let _ = (connection, text);
}

#[io_bound_fork(retries = 1)]
fn close(text: String, connection: Option<Connection>) {
    let _ = (connection, text);
}

#[io_bound(retries = 0)]
fn only_once(connection: Connection) {
    let _ = connection;
}

fn main() {
    task(only_once, Connection).retries(2).fork();
}
