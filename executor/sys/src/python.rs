//! The few functions of CPython's C interface that a warm interpreter needs,
//! found in the process that we were loaded into. All have been there, as they
//! are, since before CPython 3.8.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::marker::PhantomData;

mod ending;
mod traces;

pub use ending::Ending;

type Object = *mut c_void;
type Consume = unsafe extern "C" fn(Object);
type Status = unsafe extern "C" fn() -> c_int;
type Size = unsafe extern "C" fn(Object) -> isize;
type Next = unsafe extern "C" fn(Object, *mut isize, *mut Object, *mut Object) -> c_int;
type IsSubtype = unsafe extern "C" fn(Object, Object) -> c_int;
type Text = unsafe extern "C" fn(Object) -> *const c_char;
type Delete = unsafe extern "C" fn(Object, *const c_char) -> c_int;
type Method = unsafe extern "C" fn(Object, *const c_char, *const c_char, ...) -> Object;
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
                        #[allow(
                            clippy::useless_transmute,
                            clippy::crosspointer_transmute,
                            reason = "some are objects, not functions"
                        )]
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
    occurred: New = c"PyErr_Occurred",
    print: Nothing = c"PyErr_Print",
    clear: Nothing = c"PyErr_Clear",
    system_exit: *mut Object = c"PyExc_SystemExit",
    keyboard_interrupt: *mut Object = c"PyExc_KeyboardInterrupt",
    modules: New = c"PyImport_GetModuleDict",
    next: Next = c"PyDict_Next",
    copy: Unary = c"PyDict_Copy",
    delete: Delete = c"PyDict_DelItemString",
    of_sys: Named = c"PySys_GetObject",
    attribute: Get = c"PyObject_GetAttrString",
    method: Method = c"PyObject_CallMethod",
    size: Size = c"PyObject_Size",
    type_of: Unary = c"PyObject_Type",
    is_subtype: IsSubtype = c"PyType_IsSubtype",
    text: Text = c"PyUnicode_AsUTF8",
    let_go: Consume = c"Py_DecRef",
    finalize: Status = c"Py_FinalizeEx",
    module_type: Object = c"PyModule_Type",
    int_type: Object = c"PyLong_Type",
    none: Object = c"_Py_NoneStruct",
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
    /// What the modules that were loaded at [`Held::settle`] held, by the
    /// addresses of their namespaces, keys and values.
    settled: Vec<(usize, Vec<(usize, usize)>)>,
    /// What a fork has changed of that: keys and values.
    anew: Vec<(usize, usize)>,
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
            // A copy: what a program does to its built-ins is not done to us.
            let builtins = (self.copy)((self.builtins)());
            let named = !names.is_null()
                && !builtins.is_null()
                && (self.set)(names, c"__builtins__".as_ptr(), builtins) == 0;
            named.then_some(Held {
                python: self,
                state,
                names,
                settled: Vec::new(),
                anew: Vec::new(),
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

    /// Whether an object is of this type itself.
    ///
    /// # Safety
    /// The lock is held and the object is alive.
    unsafe fn is_a(&self, object: Object, kind: Object) -> bool {
        // SAFETY: by the caller's duty; a type is never gone before its object.
        unsafe {
            let found = (self.python.type_of)(object);
            (self.python.let_go)(found);
            found == kind
        }
    }

    /// What a function of our namespace returns; null, with no exception set,
    /// if it fails or is none.
    ///
    /// # Safety
    /// The lock is held.
    unsafe fn ask(&self, function: &CStr) -> Object {
        let py = &self.python;
        // SAFETY: a borrowed function of a namespace that stays; without a
        // format there are no arguments.
        unsafe {
            let function = (py.get)(self.names, function.as_ptr());
            if function.is_null() {
                return function;
            }
            let said = (py.call)(function, std::ptr::null());
            if said.is_null() {
                (py.print)();
            }
            said
        }
    }

    /// The number that a function of our namespace returns; 0 for None.
    ///
    /// # Safety
    /// The lock is held.
    unsafe fn number(&self, function: &CStr) -> Option<c_int> {
        let py = &self.python;
        // SAFETY: by the caller's duty.
        unsafe {
            let said = self.ask(function);
            if said.is_null() {
                return None;
            }
            if said == py.none {
                return Some(0);
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
    pub fn after_fork_in_child(&mut self) {
        // SAFETY: the lock was held when this process was copied, and
        // `before_fork` was called.
        unsafe { (self.python.after_in_child)() }
        self.settle_again();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: taken by `hold`, on this thread.
        unsafe { (self.python.release)(self.state) }
    }
}
