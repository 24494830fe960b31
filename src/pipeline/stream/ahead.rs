//! Files of the next epochs typed while the one in hand is computed. A typed copy counts for nothing until an epoch takes its
//! file, so that this may be broken off at any time, and what cannot be read here is told when it is taken.

use super::StreamOptions;
use super::scoring::READ;
use crate::config::Pipeline;
use crate::contract::output::CACHE_DIR;
use crate::ingest::{PersonalKey, TypedFile, Typist};
use crate::intake::{Coming, TakenFile};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Typed files by what is taken.
pub(super) type Typed = BTreeMap<TakenFile, TypedFile>;

/// Epochs that are typed ahead. With one alone the thread would have nothing to do from when it is done with that until the
/// epoch in hand is, and it is then that a processor has least to do.
const EPOCHS: usize = 2;

/// Types files on a thread of its own.
pub(super) struct Ahead {
    ask: Sender<Vec<Coming>>,
    done: Receiver<Vec<(Coming, TypedFile)>>,
    /// Files of the epochs that were begun, the next one first.
    begun: VecDeque<Vec<Coming>>,
}

impl Ahead {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        pipeline: &'scope Pipeline,
        options: &'scope StreamOptions,
        key: &'scope PersonalKey,
    ) -> Self {
        let (ask, asked) = channel::<Vec<Coming>>();
        let (tell, done) = channel();
        scope.spawn(move || {
            let cache = options.out.join(CACHE_DIR);
            let typist = Typist::new(pipeline, &cache, key).map(|typist| typist.keeping(READ));
            for files in asked {
                // One after the other: the pool of threads is for the epoch in hand.
                let typed = files.into_iter().filter_map(|file| {
                    let typed = typist.as_ref().ok()?.typed(&file.source, &file.name, &file.path, file.format);
                    match typed {
                        Ok(typed) if file.stands() => Some((file, typed)),
                        Ok(_) => None,
                        Err(error) => {
                            tracing::debug!(source = %file.source, file = %file.name, %error, "ahead");
                            None
                        }
                    }
                });
                if tell.send(typed.collect()).is_err() {
                    break;
                }
            }
        });
        Self { ask, done, begun: VecDeque::new() }
    }

    /// Whether another epoch may be begun with.
    pub(super) fn has_room(&self) -> bool {
        self.begun.len() < EPOCHS
    }

    /// Files that were begun with and not waited for.
    pub(super) fn begun(&self) -> impl Iterator<Item = &Coming> {
        self.begun.iter().flatten()
    }

    /// Begins with what an epoch is likely to take, after what was begun before.
    pub(super) fn begin(&mut self, files: Vec<Coming>) {
        if !files.is_empty() {
            // Where the thread is gone nothing comes of it, and whoever waits for it is told so at once.
            let _ = self.ask.send(files.clone());
            self.begun.push_back(files);
        }
    }

    /// Waits for the epoch that was begun with first, so that nothing is typed twice at once, and gives what came of it.
    pub(super) fn wait(&mut self) -> Vec<(Coming, TypedFile)> {
        match self.begun.pop_front() {
            Some(_) => self.done.recv().unwrap_or_default(),
            None => Vec::new(),
        }
    }
}
