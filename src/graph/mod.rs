//! Task graphs: built, checked as a whole, run, run again, saved, scheduled and drawn. [`Graph`] is where to begin.
//!
//! Owns what a program says of tasks that belong together: their names and shape (`build`, `check`, `dag`), what they may take and
//! cost (`settings`, `costs`), and what came of them (`rerun`, `outcome`, `saving`). A task of a graph is a function with arguments
//! that can be cloned (`work`), or a part of an expression of proxies (`capture`); each run forks it like any other task, when
//! its inputs are there (`running`, `follow`). So a graph has no pool, no queue and no error of its own for tasks. A run may keep a
//! `log` for people, and a `dry_run` says what it would do. Promises that nothing runs unless the whole graph makes sense, that
//! each task ends in one outcome, and that nothing recurses over the shape.
//!
//! [`schedule`] decides in advance which worker runs what; it and the pictures (`draw`) are pure, and know numbers
//! and names only. The file of a graph is in `crate::store`.

mod build;
mod capture;
mod check;
mod costs;
mod dag;
mod draw;
mod dry_run;
mod edges;
mod error;
mod follow;
mod given;
mod log;
mod monitor;
mod names;
mod node;
mod options;
mod outcome;
mod pictures;
mod plans;
mod rerun;
mod run;
mod running;
mod saving;
pub mod schedule;
mod settings;
mod turn;
mod twins;
mod work;

pub use crate::store::StoreError;
pub use build::Graph;
pub use costs::Costs;
pub use dry_run::DryRun;
pub use error::{GraphError, GraphFault};
pub use monitor::{Monitor, Progress};
pub use node::{Edge, Node};
pub use options::RunOptions;
pub use outcome::{Outcome, Outcomes, Skip};
pub use saving::{Unfinished, in_progress};
