//! Files of the next epoch typed while the one in hand is computed. A typed copy in the cache counts for nothing until an
//! epoch takes its file, so that this may be broken off at any time, and what cannot be read here is told when it is taken.

use super::StreamOptions;
use crate::config::Pipeline;
use crate::contract::output::CACHE_DIR;
use crate::ingest::{PersonalKey, Typist};
use crate::intake::Arrived;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Types files on a thread of its own.
pub(super) struct Ahead {
    ask: Sender<Vec<Arrived>>,
    done: Receiver<()>,
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
            let typist = Typist::new(pipeline, &cache, key);
            for files in asked {
                // One after the other: the pool of threads is for the epoch in hand.
                for file in &files {
                    let Ok(typist) = &typist else { break };
                    let taken = &file.taken;
                    if let Err(error) = typist.typed(&taken.source, &taken.name, &file.path, file.format) {
                        tracing::debug!(source = %taken.source, file = %taken.name, %error, "ahead");
                    }
                }
                if tell.send(()).is_err() {
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

    /// Waits for what was begun, so that nothing is typed twice at once.
    pub(super) fn wait(&mut self) {
        if std::mem::take(&mut self.is_at_work) {
            let _ = self.done.recv();
        }
    }
}
