//! A derive that can't be meant is refused, all of it at once.

use xfork::{Operand, Proxied};

#[derive(Clone, Proxied)]
enum Shape {
    Circle(f64),
    Square(f64),
}

#[derive(Clone, Copy, Proxied)]
union Bits {
    float: f32,
    integer: u32,
}

#[derive(Clone, Proxied)]
struct Unit;

#[derive(Clone, Proxied)]
pub struct Empty {}

#[derive(Clone, Proxied)]
struct NoParts();

#[derive(Clone, Proxied)]
struct Borrows<'a> {
    text: &'a str,
}

#[derive(Clone, Proxied)]
enum Both<'a, 'b> {
    Left(&'a str),
    Right(&'b str),
}

#[derive(Clone, Operand)]
struct Label<'a, const N: usize>([&'a str; N]);

fn main() {}
