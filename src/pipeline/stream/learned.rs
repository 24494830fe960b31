//! From what a stream has learnt to a version in the registry.

use super::taught;
use crate::error::{Error, Result};
use crate::registry::{GoneOn, Registry};
use crate::risk::Target;
use crate::risk::ftrl::copy::Tests;
use std::path::Path;

/// A version made of what a stream has learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredLearning {
    /// The version, which challenges from now on.
    pub version: String,
    /// The version it was copied from.
    pub from: String,
    /// Labels it learnt from since, and those of them that say yes.
    pub examples: u64,
    /// See `examples`.
    pub positives: u64,
    /// The watermark up to which it learnt, UTC microseconds.
    pub until: i64,
    /// What it and the version it was copied from were worth on the latest examples, each as it would have been scored when
    /// its order was placed; `None` as long as no order placed after `from` was made has a ripe label.
    pub tests: Option<Tests>,
}

/// Registers what the stream of an output folder has learnt about a target as a version of its own, which challenges. A
/// stream may be at work there: it counts what was committed.
///
/// # Errors
/// [`Error::Usage`] when no stream has learnt anything there, [`Error::Model`] when the version it was copied from is gone,
/// [`Error::Environment`] when files cannot be read or written.
pub fn register_learned(out: &Path, models: &Path, target: Target) -> Result<RegisteredLearning> {
    let (saved, tested) = taught::read(out, target)?;
    if saved.copy.examples == 0 {
        return Err(Error::Usage {
            message: format!(
                "the copy of `{target}` {} has learnt nothing yet: no label has ripened since",
                saved.version
            ),
            hint: Some("`ordersight stream PIPELINE --status` says how many labels it has learnt from".to_owned()),
        });
    }
    let registry = Registry::open(models);
    let base = registry.load(target, &saved.version)?;
    let gone_on = GoneOn {
        copy: &saved.copy,
        tested: &tested,
        placed_after: saved.placed_after,
        ripe_after: saved.ripe_after,
        until: saved.until,
    };
    let (version, tests) = registry.register_learned(&base, &gone_on)?;
    Ok(RegisteredLearning {
        version,
        from: saved.version,
        examples: saved.copy.examples,
        positives: saved.copy.positives,
        until: saved.until,
        tests,
    })
}
