//! Files of the next epoch typed while the one in hand is computed. A typed copy counts for nothing until an epoch takes its
//! file, so that this may be broken off at any time, and what cannot be read here is told when it is taken.

use super::StreamOptions;
use super::scoring::READ;
use crate::config::Pipeline;
use crate::contract::output::CACHE_DIR;
use crate::ingest::{PersonalKey, TypedFile, Typist};
use crate::intake::{Arrived, TakenFile};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Typed files by what is taken.
pub(super) type Typed = BTreeMap<TakenFile, TypedFile>;

/// Types files on a thread of its own.
pub(super) struct Ahead {
    ask: Sender<Vec<Arrived>>,
    done: Receiver<Typed>,
    is_at_work: bool,
}

impl Ahead {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        pipeline: &'scope Pipeline,
        options: &'scope StreamOptions,
        key: &'scope PersonalKey,
    ) -> Self {
        let (ask, asked) = channel::<Vec<Arrived>>();
        let (tell, done) = channel();
        scope.spawn(move || {
            let cache = options.out.join(CACHE_DIR);
            let typist = Typist::new(pipeline, &cache, key).map(|typist| typist.keeping(READ));
            for files in asked {
                let mut typed = Typed::new();
                // One after the other: the pool of threads is for the epoch in hand.
                for file in &files {
                    let Ok(typist) = &typist else { break };
                    let taken = &file.taken;
                    match typist.typed(&taken.source, &taken.name, &file.path, file.format) {
                        Ok(file) => drop(typed.insert(taken.clone(), file)),
                        Err(error) => tracing::debug!(source = %taken.source, file = %taken.name, %error, "ahead"),
                    }
                }
                if tell.send(typed).is_err() {
                    break;
                }
            }
        });
        Self { ask, done, is_at_work: false }
    }

    /// Begins with what the next epoch is likely to take.
    pub(super) fn begin(&mut self, files: Vec<Arrived>) {
        self.wait();
        if !files.is_empty() {
            self.is_at_work = self.ask.send(files).is_ok();
        }
    }

    /// Waits for what was begun, so that nothing is typed twice at once, and gives what came of it.
    pub(super) fn wait(&mut self) -> Typed {
        match std::mem::take(&mut self.is_at_work) {
            true => self.done.recv().unwrap_or_default(),
            false => Typed::new(),
        }
    }
}
