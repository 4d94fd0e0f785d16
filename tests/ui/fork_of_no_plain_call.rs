//! `fork!` takes the call of a function by its name.

use xfork::fork;

fn add(a: i32, b: i32) -> i32 {
    a + b
}

fn main() {
    fork!("text".len());
    fork!(|x: i32| x + 1);
    fork!((|x: i32| x + 1)(3));
    fork!({ add(1, 2) });
    fork!(format!("{}", 3));
    fork!(add);
    fork!(add(1, 2), 3);
    fork!("3".parse()?);
    fork!(add(1, 2).await);
    fork!(add(1, 2) + 3);
    fork!();
}
