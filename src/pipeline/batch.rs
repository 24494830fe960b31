//! One batch run: ingest, KPIs and satisfaction, features, scores, decisions, publish.

use super::chain::{About, Computed, Models, Stopwatch};
use super::inputs::{Clock, read};
use super::outlet::named;
use super::summary::{Summary, peak_memory_mib};
use super::training;
use crate::config::Pipeline;
use crate::error::Result;
use crate::features;
use crate::publish::Publisher;
use crate::registry::Registry;
use std::path::PathBuf;

/// What a run needs beside its pipeline.
#[derive(Debug)]
pub struct RunOptions {
    /// The output folder.
    pub out: PathBuf,
    /// The model registry.
    pub models: PathBuf,
    /// The clock.
    pub clock: Clock,
    /// Secret for personal hashes; none: the key kept in the output folder.
    pub secret: Option<String>,
}

/// Runs a pipeline once and publishes what it gives. `tick` is told what is being done.
///
/// # Errors
/// Every kind of [`crate::error::Error`]; whatever it is, the state published before stands untouched.
pub fn run(pipeline: &Pipeline, options: &RunOptions, tick: &(dyn Fn(&str) + Sync)) -> Result<Summary> {
    let mut stages = Stopwatch::default();
    super::checkup::targets_are_known(pipeline)?;
    // The lock first: a second writer is told at once, not after an hour of work.
    let publisher = Publisher::open(&options.out)?;
    let key = super::personal_key(&options.out, options.secret.as_deref())?;
    let as_of = options.clock.as_of;
    let inputs = stages.time("ingest", || read(pipeline, &options.out, &key, as_of, tick))?;
    let registry = Registry::open(&options.models);
    let models = Models::new(pipeline, &inputs, &registry, as_of)?;
    let built =
        || features::build(&inputs.ingested.tables, &pipeline.features, &training::feature_terms(pipeline, as_of));
    let run_id = models.run_id(pipeline, &inputs.hashes, as_of);
    let mut staging = publisher.begin(&run_id, models.metadata(pipeline, &run_id, as_of))?;
    let about = (run_id.as_str(), as_of);
    let computed = Computed::new(pipeline, &inputs, models, about, built, &mut staging, (&mut stages, tick))?;
    let about = About { run_id, clock: options.clock, out: &options.out };
    let mut summary = computed.summary(pipeline, &inputs, about);
    // Writing is timed up to here: the row that tells of it is itself part of what is committed.
    summary.stages = std::mem::take(&mut stages.stages);
    summary.peak_memory_mib = peak_memory_mib();
    summary.finished_at = options.clock.started_at + stages.begun.elapsed().as_micros() as i64;
    staging.append(named("runs")?, &summary.frame()?)?;
    super::retention::let_go(pipeline, &mut staging, (as_of, options.clock.started_at))?;
    // What a stream goes on from: everything that is there has been read.
    super::stream::prepare(&options.out)?;
    super::stream::Journal::of_run(pipeline, &inputs.ingested, &summary.run_id, as_of)?.write(&mut staging)?;
    // Before the commit, so that whatever is published can be followed back to its rows.
    super::follow::keep(&options.out, &summary.run_id, pipeline, &inputs.ingested, as_of)?;
    let published = staging.commit()?;
    super::follow::keep_only(&options.out, &summary.run_id);
    // What the terminal says counts the commit too.
    summary.finished_at = options.clock.started_at + stages.begun.elapsed().as_micros() as i64;
    summary.published = published.rows;
    summary.published_files =
        [published.files_written, published.files_kept, published.files_retired].map(|n| n as u64);
    Ok(summary)
}
