//! The few functions of CPython's C interface that a warm interpreter needs,
//! found in the process that we were loaded into. All have been there, as they
//! are, since before CPython 3.8.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::marker::PhantomData;
use std::path::Path;

type Object = *mut c_void;
type Nothing = unsafe extern "C" fn();
type Ensure = unsafe extern "C" fn() -> c_int;
type Release = unsafe extern "C" fn(c_int);
type New = unsafe extern "C" fn() -> Object;
type Named = unsafe extern "C" fn(*const c_char) -> Object;
type Unary = unsafe extern "C" fn(Object) -> Object;
type Get = unsafe extern "C" fn(Object, *const c_char) -> Object;
type Set = unsafe extern "C" fn(Object, *const c_char, Object) -> c_int;
type RunString = unsafe extern "C" fn(*const c_char, c_int, Object, Object) -> Object;
type RunFile = unsafe extern "C" fn(
    *mut libc::FILE,
    *const c_char,
    c_int,
    Object,
    Object,
    c_int,
    *mut c_void,
) -> Object;
type Fetch = unsafe extern "C" fn(*mut Object, *mut Object, *mut Object);
type Restore = unsafe extern "C" fn(Object, Object, Object);
type Call = unsafe extern "C" fn(Object, *const c_char, ...) -> Object;
type ToLong = unsafe extern "C" fn(Object) -> c_long;
type Matches = unsafe extern "C" fn(Object) -> c_int;

/// `Py_file_input`: a sequence of statements.
const STATEMENTS: c_int = 257;

macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $name:literal,)*) => {
        /// A CPython, initialised, in this process.
        #[derive(Debug, Clone, Copy)]
        pub struct Python {
            $($field: $kind,)*
        }

        impl Python {
            /// The one in this process, if it is one. It must be initialised,
            /// as it is when it looks for its program.
            #[must_use]
            pub fn find() -> Option<Self> {
                Some(Self {
                    $($field: {
                        let found = find($name)?;
                        // SAFETY: this is its signature, by docs.python.org/3/c-api.
                        unsafe { std::mem::transmute::<*mut c_void, $kind>(found) }
                    },)*
                })
            }
        }
    };
}

functions! {
    ensure: Ensure = c"PyGILState_Ensure",
    release: Release = c"PyGILState_Release",
    before_fork: Nothing = c"PyOS_BeforeFork",
    after_in_parent: Nothing = c"PyOS_AfterFork_Parent",
    after_in_child: Nothing = c"PyOS_AfterFork_Child",
    new_dict: New = c"PyDict_New",
    get: Get = c"PyDict_GetItemString",
    set: Set = c"PyDict_SetItemString",
    builtins: New = c"PyEval_GetBuiltins",
    main: Named = c"PyImport_AddModule",
    dict_of: Unary = c"PyModule_GetDict",
    run_string: RunString = c"PyRun_String",
    run_file: RunFile = c"PyRun_FileExFlags",
    call: Call = c"PyObject_CallFunction",
    to_long: ToLong = c"PyLong_AsLong",
    fetch: Fetch = c"PyErr_Fetch",
    restore: Restore = c"PyErr_Restore",
    normalize: Fetch = c"PyErr_NormalizeException",
    matches: Matches = c"PyErr_ExceptionMatches",
    print: Nothing = c"PyErr_Print",
    clear: Nothing = c"PyErr_Clear",
    system_exit: *mut Object = c"PyExc_SystemExit",
    keyboard_interrupt: *mut Object = c"PyExc_KeyboardInterrupt",
}

fn find(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: only looks a name up in what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// The right to call into CPython: its lock, held by this thread, and a
/// namespace of our own. What is made there is never let go of.
#[derive(Debug)]
pub struct Held {
    python: Python,
    state: c_int,
    names: Object,
    /// The lock is this thread's.
    stays: PhantomData<*const ()>,
}

impl Python {
    /// Takes its lock; at once, as it has one thread.
    #[must_use]
    pub fn hold(self) -> Option<Held> {
        // SAFETY: the interpreter is initialised (duty of `find`'s caller), and
        // after the first call the lock is held.
        unsafe {
            let state = (self.ensure)();
            let names = (self.new_dict)();
            let named = !names.is_null()
                && (self.set)(names, c"__builtins__".as_ptr(), (self.builtins)()) == 0;
            named.then_some(Held {
                python: self,
                state,
                names,
                stays: PhantomData,
            })
        }
    }
}

impl Held {
    /// Runs statements in our namespace; says whether they ended without an
    /// exception.
    #[must_use]
    pub fn run(&self, code: &str) -> bool {
        let Ok(code) = CString::new(code) else {
            return false;
        };
        let py = &self.python;
        // SAFETY: the lock is held; a C string that lives across the call; the
        // dictionary is ours.
        unsafe {
            let done = (py.run_string)(code.as_ptr(), STATEMENTS, self.names, self.names);
            if done.is_null() {
                (py.print)();
            }
            !done.is_null()
        }
    }

    /// Runs the program in this file as the module `__main__`, below no Python
    /// frame. Functions of our namespace say what that comes to: `status_of` a
    /// SystemExit, and `end`, which is given the status and whether it was
    /// interrupted. None when there is no such file or function.
    #[must_use]
    pub fn run_program(&self, path: &Path) -> Option<i32> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
        let py = &self.python;
        // SAFETY: the lock is held. Pointers that are borrowed (`main`, `dict`,
        // `end`) belong to modules and a namespace that stay; new references end
        // with the process, those of an exception at once.
        unsafe {
            let file = libc::fopen(path.as_ptr(), c"rb".as_ptr());
            if file.is_null() {
                return None;
            }
            let main = (py.main)(c"__main__".as_ptr());
            let dict = (py.dict_of)(main);
            let null = std::ptr::null_mut();
            let done = (py.run_file)(file, path.as_ptr(), STATEMENTS, dict, dict, 1, null);
            let (mut status, mut interrupted) = (0, 0);
            if done.is_null() && (py.matches)(*py.system_exit) != 0 {
                let [mut kind, mut value, mut trace] = [std::ptr::null_mut(); 3];
                (py.fetch)(&raw mut kind, &raw mut value, &raw mut trace);
                (py.normalize)(&raw mut kind, &raw mut value, &raw mut trace);
                status = self.number(c"status_of", value).unwrap_or(1);
                // With it goes what the frames that it passed still hold.
                (py.restore)(kind, value, trace);
                (py.clear)();
            } else if done.is_null() {
                interrupted = (py.matches)(*py.keyboard_interrupt);
                // Told as the interpreter tells it, with the program's hooks.
                (py.print)();
                status = 1;
            }
            let end = (py.get)(self.names, c"end".as_ptr());
            if end.is_null() {
                return None;
            }
            let ended = (py.call)(end, c"(ii)".as_ptr(), status, interrupted);
            if ended.is_null() {
                (py.print)();
                return Some(1);
            }
            i32::try_from((py.to_long)(ended)).ok()
        }
    }

    /// What a function of our namespace says of an object.
    ///
    /// # Safety
    /// The lock is held and the object is alive.
    unsafe fn number(&self, function: &CStr, object: Object) -> Option<c_int> {
        let py = &self.python;
        // SAFETY: a borrowed function of a namespace that stays, and an object
        // that is alive by the caller's duty.
        unsafe {
            let function = (py.get)(self.names, function.as_ptr());
            if function.is_null() {
                return None;
            }
            let said = (py.call)(function, c"(O)".as_ptr(), object);
            if said.is_null() {
                (py.clear)();
                return None;
            }
            c_int::try_from((py.to_long)(said)).ok()
        }
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
