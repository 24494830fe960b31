//! NDJSON on standard input, several sources at once, read ahead as far as a bounded queue allows.

use super::line::{MAX_LINE_BYTES, split};
use super::queue::{Content, Held, Item, Queue};
use crate::error::{Error, Result};
use crate::quarantine::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines handed over at a time at most: enough to make the lock cheap, and little beside the bound of the queue.
const GROUP: usize = 256;
/// Bytes asked of the input at a time.
pub(super) const READ_IN_BYTES: usize = 1 << 16;
/// Bytes kept of a line that is refused.
pub(super) const RAW_KEPT: usize = 1 << 16;

/// How much of the input is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinesSettings {
    /// Lines that wait to be taken at most.
    pub queued_lines: usize,
    /// Bytes that wait to be taken at most; a longer line waits alone.
    pub queued_bytes: usize,
    /// Bytes of records after which a batch is full, whatever number of lines it may have.
    pub batch_bytes: usize,
}

impl Default for LinesSettings {
    /// A second or two of orders at the pace the stream keeps, in less memory than their scoring takes.
    fn default() -> Self {
        Self { queued_lines: 100_000, queued_bytes: 64 << 20, batch_bytes: 256 << 20 }
    }
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number in the input, from 1, counted from the input's very beginning.
    pub line: u64,
    /// Why it was refused, as the code that `quarantine` has for it.
    pub reason: Reason,
    /// Why it was refused, in words; holds no value of the line.
    pub why: String,
    /// The line as it came, its first 64 KiB at most, what is not UTF-8 replaced. It may hold personal data.
    pub raw: String,
}

/// Consecutive lines of the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineBatch {
    /// Records by source as NDJSON, without the member `source`, in the order they came.
    pub by_source: BTreeMap<String, Vec<u8>>,
    /// Lines of the input that this batch took in all: records, refused and empty ones.
    pub lines: u64,
    /// Lines of the input taken so far, with this batch and with what was skipped: what [`Lines::skip`] is told after a restart.
    pub offset: u64,
    /// True when the input has ended and nothing is left.
    pub ended: bool,
    /// Why the input could not be read on, when that is how it ended.
    pub broken: Option<String>,
    /// Lines that are no records, in order.
    pub refused: Vec<RefusedLine>,
}

/// Reads lines in the background. Dropping it lets go of the reader, which ends when its input does.
#[derive(Debug)]
pub struct Lines {
    queue: Arc<Queue>,
    /// Lines up to this number are passed over.
    skipped: Arc<AtomicU64>,
    sources: Vec<String>,
    settings: LinesSettings,
    offset: u64,
}

impl Lines {
    /// Starts to read. Each line must be one JSON object whose member `source` is one of `sources`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the system gives no thread.
    pub fn start(
        input: impl Read + Send + 'static,
        sources: &BTreeSet<String>,
        settings: LinesSettings,
    ) -> Result<Self> {
        let queue = Arc::new(Queue::new(settings.queued_lines, settings.queued_bytes));
        let skipped = Arc::new(AtomicU64::new(0));
        let sources: Vec<String> = sources.iter().cloned().collect();
        let reader = Reader { queue: queue.clone(), skipped: skipped.clone(), sources: sources.clone() };
        std::thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(move || reader.run(input))
            .map_err(Error::io("read", Path::new("standard input")))?;
        Ok(Self { queue, skipped, sources, settings, offset: 0 })
    }

    /// Passes over the first `lines` lines: an input that is replayed from its first line after a restart gives only what was not
    /// taken. Does not wait for them. To be called before the first [`Lines::take`].
    pub fn skip(&mut self, lines: u64) {
        self.skipped.fetch_max(lines, Ordering::SeqCst);
        self.offset = self.offset.max(lines);
    }

    /// Takes what comes until there are `max_lines`, `max_wait` has passed, the batch is full, or the input has ended. With a
    /// wait of zero it takes what is there.
    pub fn take(&mut self, max_lines: usize, max_wait: Duration) -> LineBatch {
        let start = Instant::now();
        let mut batch = LineBatch::default();
        let mut by_source: Vec<Vec<u8>> = vec![Vec::new(); self.sources.len()];
        let (mut lines, mut bytes) = (0_usize, 0_usize);
        let skipped = self.skipped.load(Ordering::SeqCst);
        let mut state = self.queue.lock();
        loop {
            while lines < max_lines && bytes < self.settings.batch_bytes {
                let Some(Item { line, content }) = self.queue.pop(&mut state) else { break };
                if line <= skipped {
                    continue;
                }
                (lines, bytes, self.offset) = (lines + 1, bytes + content.bytes(), line);
                match content {
                    Content::Record { source, record } => by_source[source].extend_from_slice(&record),
                    Content::Blank => {}
                    Content::Refused { reason, why, raw } => {
                        batch.refused.push(RefusedLine { line, reason, why, raw });
                    }
                }
            }
            self.queue.has_room();
            batch.ended = state.ended && state.items.is_empty();
            let left = max_wait.saturating_sub(start.elapsed());
            if batch.ended || lines >= max_lines || bytes >= self.settings.batch_bytes || left.is_zero() {
                break;
            }
            state = self.queue.wait(state, left);
        }
        batch.broken = state.broken.clone().filter(|_| batch.ended);
        drop(state);
        let taken = self.sources.iter().cloned().zip(by_source).filter(|(_, records)| !records.is_empty());
        batch.by_source = taken.collect();
        (batch.lines, batch.offset) = (lines as u64, self.offset);
        batch
    }

    /// How much waits to be taken, now and at most so far.
    pub fn held(&self) -> Held {
        self.queue.lock().held
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The reading side.
struct Reader {
    queue: Arc<Queue>,
    skipped: Arc<AtomicU64>,
    sources: Vec<String>,
}

impl Drop for Reader {
    /// However the thread ends, nobody waits for it for ever.
    fn drop(&mut self) {
        self.queue.end(None);
    }
}

impl Reader {
    fn run(self, input: impl Read) {
        let mut input = BufReader::with_capacity(READ_IN_BYTES, input);
        let (mut group, mut number, mut line) = (Vec::with_capacity(GROUP), 0_u64, Vec::new());
        loop {
            let content = match self.next(&mut input, &mut line, number + 1) {
                Ok(Some(content)) => content,
                Ok(None) => break,
                Err(error) => {
                    self.queue.push(group.drain(..));
                    return self.queue.end(Some(error.to_string()));
                }
            };
            number += 1;
            if let Some(content) = content {
                group.push(Item { line: number, content });
            }
            // What was read must not wait for what was not: the next line may be long in coming.
            if (group.len() >= GROUP || !input.buffer().contains(&b'\n')) && !self.queue.push(group.drain(..)) {
                return;
            }
        }
        self.queue.push(group.drain(..));
    }

    /// The next line: outer `None` at the end of the input, inner when it is passed over.
    fn next(
        &self,
        input: &mut BufReader<impl Read>,
        line: &mut Vec<u8>,
        number: u64,
    ) -> std::io::Result<Option<Option<Content>>> {
        line.clear();
        if input.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line)? == 0 {
            return Ok(None);
        }
        let long = line.len() > MAX_LINE_BYTES && !line.ends_with(b"\n");
        if long {
            line.truncate(RAW_KEPT);
            input.skip_until(b'\n')?;
        }
        if number <= self.skipped.load(Ordering::SeqCst) {
            return Ok(Some(None));
        }
        let shown: &[u8] = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let content = if long {
            let why = format!("it is longer than {MAX_LINE_BYTES} bytes");
            Content::Refused { reason: Reason::NotJson, why, raw: raw(shown) }
        } else if shown.iter().all(u8::is_ascii_whitespace) {
            Content::Blank
        } else {
            match split(shown, &self.sources) {
                Ok((source, record)) => Content::Record { source, record },
                Err((reason, why)) => Content::Refused { reason, why, raw: raw(shown) },
            }
        };
        Ok(Some(Some(content)))
    }
}

fn raw(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(RAW_KEPT)]).trim_end().to_owned()
}
