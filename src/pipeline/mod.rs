//! The order of stages. Every command that computes goes through here, so that there is one chain and not several.

mod as_of;
mod batch;
mod chain;
mod challengers;
mod checkup;
mod cold_start;
mod desk;
mod evaluation;
mod exceptional;
mod follow;
mod inputs;
mod monitoring;
mod outlet;
mod profiled;
mod reasons;
mod records;
mod replay;
mod retention;
mod review;
mod rules;
mod satisfied;
mod scores;
mod scoring;
mod segments;
mod stream;
mod summary;
mod training;
mod working_time;

pub use batch::{RunOptions, run};
pub use checkup::{Checkup, RuleCheck, checkup};
pub use desk::{Exported, ImportOptions, Imported, RefusedRow, SheetFormat, export, import};
pub use evaluation::{
    Diagram, EvaluateOptions, Evaluated, Fold, LeaveOut, Measure, MoneySaved, PolicyDay, PolicySaved, Protocol,
    evaluate,
};
pub use follow::{Asked, Behind, behind};
pub use inputs::{Clock, personal_key};
pub use replay::{RuleLine, RuleReplay};
pub use satisfied::SatisfactionState;
pub use stream::{
    RegisteredLearning, StreamOptions, Streamed, copies_in_use, register_learned, status, status_path, stream,
};
pub use summary::{Stage, Summary, TargetState};
pub use training::{TrainOptions, TrainedTarget, train};
