//! Memory that is going to be read.

/// How many steps ahead: long enough for memory to answer, and not so long that what came has to make room again.
pub const AHEAD: usize = 8;

/// Asks for an element that is read some steps later, so that whoever reads it need not wait. A hint: nothing is read, an
/// element that is not there is passed over, and processors that are not asked in this way do as they ever did.
#[inline]
pub fn ask_ahead<T>(column: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = column.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: what is asked for is an element that is there, and a hint changes nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (column, at);
}
