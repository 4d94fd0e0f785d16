//! A concurrent function changes one `Tracked` argument, which the caller's text tells.

use xfork::{Tracked, concurrent, synchronized};

#[concurrent]
fn sort(list: &mut Vec<u8>) {
    list.sort();
}

#[concurrent]
fn both(one: &mut Tracked<Vec<u8>>, other: &mut Tracked<Vec<u8>>) {
    one[0] = other[0];
}

#[concurrent(cache)]
fn kept(list: &mut Tracked<Vec<u8>>) {
    list[0] = 1;
}

#[concurrent]
fn change(i: usize, list: &mut Tracked<Vec<u8>>) {
    list[i] = 1;
}

struct Unclonable;

#[concurrent(io)]
fn again(what: Unclonable, list: &mut Tracked<Vec<u8>>) {
    drop(what);
    list[0] = 1;
}

fn make() -> Tracked<Vec<u8>> {
    Tracked::new(vec![0; 3])
}

#[synchronized]
fn unseen() {
    let mut list = make();
    change(1, &mut list);
}

fn main() {
    unseen();
}
