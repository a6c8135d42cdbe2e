//! The few functions of CPython's C interface that a warm interpreter needs,
//! found in the process that we were loaded into.

use std::ffi::{CString, c_char, c_int, c_void};
use std::marker::PhantomData;

type Nothing = unsafe extern "C" fn();
type Ensure = unsafe extern "C" fn() -> c_int;
type Release = unsafe extern "C" fn(c_int);
type Run = unsafe extern "C" fn(*const c_char, *mut c_void) -> c_int;

/// A CPython, initialised, in this process.
#[derive(Debug, Clone, Copy)]
pub struct Python {
    ensure: Ensure,
    release: Release,
    run: Run,
    before_fork: Nothing,
    after_in_parent: Nothing,
    after_in_child: Nothing,
}

/// The right to call into CPython: its lock, held by this thread.
#[derive(Debug)]
pub struct Held {
    python: Python,
    state: c_int,
    /// The lock is this thread's.
    stays: PhantomData<*const ()>,
}

fn find(name: &std::ffi::CStr) -> Option<*mut c_void> {
    // SAFETY: only looks a name up in what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

impl Python {
    /// The one in this process, if it is one. It must be initialised, as it is
    /// when it looks for its program.
    #[must_use]
    pub fn find() -> Option<Self> {
        let nothing = |name| {
            // SAFETY: functions of these names take nothing and return
            // nothing (docs.python.org/3/c-api/sys.html).
            find(name).map(|f| unsafe { std::mem::transmute::<*mut c_void, Nothing>(f) })
        };
        let ensure = find(c"PyGILState_Ensure")?;
        let release = find(c"PyGILState_Release")?;
        let run = find(c"PyRun_SimpleStringFlags")?;
        Some(Self {
            // SAFETY: its signature, where PyGILState_STATE is a C enum.
            ensure: unsafe { std::mem::transmute::<*mut c_void, Ensure>(ensure) },
            // SAFETY: likewise.
            release: unsafe { std::mem::transmute::<*mut c_void, Release>(release) },
            // SAFETY: `int PyRun_SimpleStringFlags(const char *, PyCompilerFlags *)`.
            run: unsafe { std::mem::transmute::<*mut c_void, Run>(run) },
            before_fork: nothing(c"PyOS_BeforeFork")?,
            after_in_parent: nothing(c"PyOS_AfterFork_Parent")?,
            after_in_child: nothing(c"PyOS_AfterFork_Child")?,
        })
    }

    /// Takes its lock; at once, as it has one thread.
    #[must_use]
    pub fn hold(self) -> Held {
        // SAFETY: the interpreter is initialised (duty of `find`'s caller).
        let state = unsafe { (self.ensure)() };
        Held {
            python: self,
            state,
            stays: PhantomData,
        }
    }
}

impl Held {
    /// Runs statements; says whether they ended without an exception.
    #[must_use]
    pub fn run(&self, code: &str) -> bool {
        let Ok(code) = CString::new(code) else {
            return false;
        };
        // SAFETY: the lock is held; a C string that lives across the call; null
        // flags are the default.
        unsafe { (self.python.run)(code.as_ptr(), std::ptr::null_mut()) == 0 }
    }

    /// To be called before a fork.
    pub fn before_fork(&self) {
        // SAFETY: the lock is held.
        unsafe { (self.python.before_fork)() }
    }

    /// To be called after it, in the process that forked.
    pub fn after_fork(&self) {
        // SAFETY: the lock is held, and `before_fork` was called.
        unsafe { (self.python.after_in_parent)() }
    }

    /// To be called after it, in the new process: what must not be shared,
    /// such as the state of `random`, is made anew.
    pub fn after_fork_in_child(&self) {
        // SAFETY: the lock was held when this process was copied, and
        // `before_fork` was called.
        unsafe { (self.python.after_in_child)() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: taken by `hold`, on this thread.
        unsafe { (self.python.release)(self.state) }
    }
}
