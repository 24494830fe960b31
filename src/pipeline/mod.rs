//! The order of stages. Every command that computes goes through here, so that there is one chain and not several.

mod as_of;
mod batch;
mod checkup;
mod inputs;
mod reasons;
mod review;
mod rules;
mod satisfied;
mod scores;
mod scoring;
mod summary;
mod training;

pub use batch::{RunOptions, run};
pub use checkup::{Checkup, checkup};
pub use inputs::{Clock, personal_key};
pub use summary::{Stage, Summary, TargetState};
pub use training::{TrainOptions, TrainedTarget, train};
