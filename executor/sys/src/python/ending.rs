//! Running a program and ending it as CPython would have.

use std::ffi::{CString, c_int};
use std::path::Path;

use super::{Held, STATEMENTS};

/// What `Py_RunMain` says of an end that itself went wrong.
const FINALIZE_FAILED: c_int = 120;

/// How a program's process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this status; the interpreter is as it was.
    Status(i32),
    /// With this status; the interpreter has been taken down.
    Finalized(i32),
    /// By the signal that interrupted it.
    Interrupted,
}

impl Held {
    /// Runs the program in this file as the module `__main__`, below no Python
    /// frame, and ends what it began. None when there is no such file or
    /// function of our namespace.
    ///
    /// The usual program is ended by our `end`. One that has left something
    /// behind which that does not know is ended by CPython itself.
    #[must_use]
    pub fn run_program(&self, path: &Path) -> Option<Ending> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
        let py = &self.python;
        // SAFETY: the lock is held. Pointers that are borrowed (`main`, `dict`,
        // what is in our namespace) belong to modules and a namespace that stay;
        // new references end with the process, those of an exception at once.
        unsafe {
            let file = libc::fopen(path.as_ptr(), c"rb".as_ptr());
            if file.is_null() {
                return None;
            }
            let main = (py.main)(c"__main__".as_ptr());
            let dict = (py.dict_of)(main);
            let null = std::ptr::null_mut();
            let done = (py.run_file)(file, path.as_ptr(), STATEMENTS, dict, dict, 1, null);
            let usual = self.flush_and_look();
            let (mut status, mut interrupted) = (0, false);
            if done.is_null() && (py.matches)(*py.system_exit) != 0 {
                match usual.then(|| self.plain_status()).flatten() {
                    Some(plain) => status = plain,
                    // Does not come back.
                    None => (py.print)(),
                }
            } else {
                if done.is_null() {
                    interrupted = (py.occurred)() == *py.keyboard_interrupt;
                    // Told as the interpreter tells it, with the program's
                    // hooks.
                    (py.print)();
                    status = 1;
                }
                for name in [c"__file__", c"__cached__"] {
                    if (py.delete)(dict, name.as_ptr()) != 0 {
                        (py.clear)();
                    }
                }
            }
            let ended = match usual {
                true => self.end(status)?,
                false => None,
            };
            Some(match (ended, interrupted) {
                (Some(_), true) => Ending::Interrupted,
                (Some(status), false) => Ending::Status(status),
                (None, interrupted) => match ((py.finalize)(), interrupted) {
                    (_, true) => Ending::Interrupted,
                    (0, false) => Ending::Finalized(status),
                    (_, false) => Ending::Finalized(FINALIZE_FAILED),
                },
            })
        }
    }

    /// By `flush_io` in pythonrun.c: whatever comes later, this is written. Then
    /// [`Self::is_usual`]; an exception stays set.
    ///
    /// # Safety
    /// The lock is held.
    unsafe fn flush_and_look(&self) -> bool {
        let py = &self.python;
        let [mut kind, mut value, mut trace] = [std::ptr::null_mut(); 3];
        // SAFETY: by the caller's duty; `of_sys` borrows from a module that
        // stays, and without a format there are no further arguments.
        unsafe {
            (py.fetch)(&raw mut kind, &raw mut value, &raw mut trace);
            for name in [c"stderr", c"stdout"] {
                let stream = (py.of_sys)(name.as_ptr());
                if stream.is_null() {
                    continue;
                }
                let null = std::ptr::null();
                let flushed = (py.method)(stream, c"flush".as_ptr(), null);
                if flushed.is_null() {
                    (py.clear)();
                } else {
                    (py.let_go)(flushed);
                }
            }
            let usual = self.is_usual();
            (py.restore)(kind, value, trace);
            usual
        }
    }

    /// The status of the SystemExit that is set, if it is a plain one; it is
    /// still set if not. By `_Py_HandleSystemExit` in pythonrun.c.
    ///
    /// # Safety
    /// The lock is held and a SystemExit is set.
    unsafe fn plain_status(&self) -> Option<c_int> {
        let py = &self.python;
        let [mut kind, mut value, mut trace] = [std::ptr::null_mut(); 3];
        // SAFETY: by the caller's duty; the references are ours until they are
        // given back with `restore`.
        unsafe {
            (py.fetch)(&raw mut kind, &raw mut value, &raw mut trace);
            (py.normalize)(&raw mut kind, &raw mut value, &raw mut trace);
            let exact = kind == *py.system_exit;
            let code = match exact {
                true => (py.attribute)(value, c"code".as_ptr()),
                false => std::ptr::null_mut(),
            };
            let status = if code.is_null() {
                None
            } else if code == py.none {
                Some(0)
            } else if self.is_a(code, py.int_type) {
                // Too large a number is -1, as there.
                let number = (py.to_long)(code);
                Some((number & 0xFF) as c_int)
            } else {
                None
            };
            if !code.is_null() {
                (py.let_go)(code);
            }
            (py.clear)();
            // With it goes what the frames that it passed still hold.
            (py.restore)(kind, value, trace);
            if status.is_some() {
                (py.clear)();
            }
            status
        }
    }

    /// Ends what the program began, by functions of our namespace. None inside
    /// when it is CPython that has to; outside when there is no such function.
    ///
    /// # Safety
    /// The lock is held and no exception is set.
    unsafe fn end(&self, status: c_int) -> Option<Option<c_int>> {
        // SAFETY: by the caller's duty.
        unsafe {
            self.number(c"end_threads")?;
            let late = self.number(c"registered")? > 0;
            // Not from a frame of ours, which a traceback would show.
            self.number(c"run_at_exit");
            if late && !self.is_usual() {
                return Some(None);
            }
            let flushed = self.number(c"end")?;
            Some(Some(if flushed == 0 {
                status
            } else {
                FINALIZE_FAILED
            }))
        }
    }
}
