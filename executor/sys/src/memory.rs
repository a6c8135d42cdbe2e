//! What the C library keeps of memory that was freed.

/// Gives free memory back to the kernel, which the allocator would keep for
/// later: after a burst that does not come again.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes the allocator's own locks and moves nothing
    // that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
