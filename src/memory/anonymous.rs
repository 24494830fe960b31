//! How much memory the process has that only it can give up: what the system could not take back by dropping pages of files.

use std::sync::atomic::{AtomicI32, Ordering};

/// Where the system tells of it, if it does.
pub(super) struct Anonymous {
    /// The file is opened once: whoever asks does so amid an allocation. -1: it is not open.
    file: AtomicI32,
}

impl Anonymous {
    pub(super) const fn new() -> Self {
        Self { file: AtomicI32::new(-1) }
    }

    /// Opens what is asked from then on. Where there is no such thing, nobody is told anything.
    #[cfg(target_os = "linux")]
    pub(super) fn open(&self) {
        if self.file.load(Ordering::Relaxed) < 0 {
            // SAFETY: the path ends in a zero; the file stays open as long as the process is there.
            let file = unsafe { libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
            self.file.store(file, Ordering::Relaxed);
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(&self) {}

    /// Bytes in memory that belong to no file; `None` where nobody tells. It takes a microsecond or two and no memory.
    #[cfg(target_os = "linux")]
    pub(super) fn bytes(&self) -> Option<usize> {
        let file = self.file.load(Ordering::Relaxed);
        let mut text = [0_u8; 128];
        // SAFETY: so many bytes are ours; of a file that is not open the answer is an error.
        let read = unsafe { libc::pread(file, text.as_mut_ptr().cast(), text.len(), 0) };
        let text = text.get(..usize::try_from(read).ok()?)?;
        // SAFETY: it only asks.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        pages(text)?.checked_mul(page)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn bytes(&self) -> Option<usize> {
        let _ = self.file.load(Ordering::Relaxed);
        None
    }
}

/// Pages in memory less those of files: the second and third number of `statm`.
fn pages(text: &[u8]) -> Option<usize> {
    let mut numbers = text.split(|byte| *byte == b' ').skip(1).map(|digits| {
        digits.iter().try_fold(0_usize, |sum, byte| match byte {
            b'0'..=b'9' => sum.checked_mul(10)?.checked_add(usize::from(byte - b'0')),
            _ => None,
        })
    });
    Some(numbers.next()??.saturating_sub(numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_files_do_not_count() {
        assert_eq!(pages(b"5000 1200 200 300 0 900 0\n"), Some(1000));
        assert_eq!(pages(b"5000 1200 1300 300 0 900 0\n"), Some(0), "counted at different moments");
        for wrong in [&b""[..], b"5000", b"5000 12", b"a b c", b"1 99999999999999999999999 2 3"] {
            assert_eq!(pages(wrong), None);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_written_to_counts() {
        let anonymous = Anonymous::new();
        assert_eq!(anonymous.bytes(), None, "not open");
        anonymous.open();
        let before = anonymous.bytes().unwrap();
        let written = std::hint::black_box(vec![1_u8; 256 << 20]);
        // Other tests come and go meanwhile.
        assert!(anonymous.bytes().unwrap() > before + (64 << 20), "{before}");
        drop(written);
    }
}
