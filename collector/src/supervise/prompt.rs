//! Threads that acknowledge hits run at once when there is something for them to do, however busy ClickHouse and reports
//! keep the processor.
//!
//! Linux gives the processor to each thread for a slice of about three milliseconds, and lets one that wakes wait until
//! the running one's slice is over, unless its own is shorter (EEVDF since Linux 6.12, `sched_setattr(2)`). A hit is
//! acknowledged in a few steps of some microseconds on two threads, so that the slices of others would be most of its
//! time. Older kernels and other systems ignore or refuse the shorter slice: then nothing is lost but time.
//!
//! It knows nothing of what the threads do.

/// The slice asked for, in nanoseconds: the shortest that Linux grants.
const SLICE_NS: u64 = 100_000;

/// Shortens the slices of the calling thread.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // The system call takes an address; this is the only place that makes it.
pub fn prompt() {
    let size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default();
    // SAFETY: all fields are integers, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most `size` bytes to `attributes`, and reads as many; 0 is the calling thread.
    unsafe {
        if libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) != 0 {
            return;
        }
        attributes.size = size;
        attributes.sched_runtime = SLICE_NS;
        // Refused or ignored, the thread runs as others do.
        let _same = libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

/// Shortens nothing: only Linux has such slices.
#[cfg(not(target_os = "linux"))]
pub fn prompt() {}
