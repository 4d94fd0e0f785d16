/// x
pub trait Operand: Clone + Send + Sync + 'static {}
