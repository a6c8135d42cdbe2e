//! Standing between a program and its C library: a shared object that is
//! preloaded into an interpreter hears of each path that it is about to touch.
//!
//! The functions below have the names and the calling conventions of the C
//! library's own, whose place they take in the dynamic linker's order, and then
//! do what those do.

use std::ffi::{CStr, c_char, c_int, c_void};

/// How a path is about to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// As a descriptor: `open`.
    Open,
    /// As a stream of C's: `fopen`.
    Stream,
}

/// What hears of paths: the bytes, without the terminating zero.
pub type Listener = fn(&[u8], Touch);

/// Tells `listener` of a path.
///
/// # Safety
/// `path` is null or a C string, as it is for every function interposed here.
pub unsafe fn tell(path: *const c_char, touch: Touch, listener: Listener) {
    if !path.is_null() {
        // SAFETY: a C string by the caller's duty; the borrow ends with the
        // call, before the program can change it.
        listener(unsafe { CStr::from_ptr(path) }.to_bytes(), touch);
    }
}

/// `openat(2)`.
///
/// # Safety
/// As for openat(2).
pub unsafe fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: u32) -> c_int {
    // SAFETY: by the caller's duty. `syscall` sets errno as openat does, and a
    // descriptor fits in an int.
    unsafe { libc::syscall(libc::SYS_openat, dir, path, flags, mode) as c_int }
}

/// `fopen(3)`, the C library's own.
///
/// # Safety
/// As for fopen(3).
pub unsafe fn fopen(path: *const c_char, mode: *const c_char) -> *mut c_void {
    type Fopen = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut c_void;
    // SAFETY: a constant C string; the next object in the linker's order that
    // has this name is the C library.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"fopen64".as_ptr()) };
    if found.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: this is its signature.
    let real: Fopen = unsafe { std::mem::transmute::<*mut c_void, Fopen>(found) };
    // SAFETY: by the caller's duty.
    unsafe { real(path, mode) }
}

/// Makes what this process starts later start without us.
pub extern "C" fn leave_no_trace() {
    // SAFETY: runs from the linker's list of initialisers, when the process has
    // one thread and nobody holds a pointer into the environment.
    unsafe { libc::unsetenv(c"LD_PRELOAD".as_ptr()) };
}

/// Defines the functions in the crate that names a listener. For a `cdylib`
/// that is preloaded, and for nothing else: everything else that is linked into
/// the process calls them too.
#[macro_export]
macro_rules! interpose {
    ($listener:path) => {
        const _: () = {
            use std::ffi::{c_char, c_int, c_void};

            #[used]
            #[unsafe(link_section = ".init_array")]
            static START: extern "C" fn() = $crate::interpose::leave_no_trace;

            $crate::interpose!(@define $listener,
                open, Open, (path, flags: c_int, mode: u32) -> c_int
                    { $crate::interpose::openat(libc::AT_FDCWD, path, flags, mode) }
                open64, Open, (path, flags: c_int, mode: u32) -> c_int
                    { $crate::interpose::openat(libc::AT_FDCWD, path, flags, mode) }
                fopen, Stream, (path, mode: *const c_char) -> *mut c_void
                    { $crate::interpose::fopen(path, mode) }
                fopen64, Stream, (path, mode: *const c_char) -> *mut c_void
                    { $crate::interpose::fopen(path, mode) }
            );
        };
    };
    (@define $listener:path, $($name:ident, $touch:ident, ($path:ident $(, $arg:ident: $kind:ty)*) -> $result:ty $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($path: *const c_char $(, $arg: $kind)*) -> $result {
                // SAFETY: our caller keeps the contract of the C library's
                // function of this name, which is all that these ask for. Of
                // variable arguments the last may be missing: then it is not
                // looked at, as its flags say.
                unsafe {
                    $crate::interpose::tell($path, $crate::interpose::Touch::$touch, $listener);
                    $body
                }
            }
        )*
    };
}
