//! What a program has left in its interpreter.

use std::ffi::CStr;

use super::{Held, Object};
use crate::process::thread_count;

/// Names in `sys` that every program may set anew: their ends are ours to see
/// to.
const FREE: [&CStr; 10] = [
    c"stdin",
    c"stdout",
    c"stderr",
    c"argv",
    c"path",
    c"last_type",
    c"last_value",
    c"last_traceback",
    c"ps1",
    c"ps2",
];

impl Held {
    /// Notes what the loaded modules hold. A program that puts something of its
    /// own there ends by CPython's own end, which alone knows how to let go of
    /// it.
    pub fn settle(&mut self) {
        let mut settled = Vec::new();
        self.each_module(|module| {
            let mut held = Vec::new();
            self.each_item(module, |key, value| {
                held.push((key as usize, value as usize));
                true
            });
            settled.push((module as usize, held));
            true
        });
        settled.sort_unstable();
        self.settled = settled;
    }

    /// Whether the program has left nothing that only CPython's own end sees to,
    /// or that would see us: threads that stop there, functions that hear of
    /// every call or collection, objects in modules that are not its own.
    ///
    /// # Safety
    /// The lock is held and no exception is set.
    pub(super) unsafe fn is_usual(&self) -> bool {
        let py = &self.python;
        // SAFETY: by the caller's duty.
        unsafe {
            let silent = [c"traced", c"profiled"].into_iter().all(|name| {
                let said = self.ask(name);
                said == py.none
            });
            let callbacks = (py.get)(self.names, c"callbacks".as_ptr());
            silent
                && (callbacks.is_null() || (py.size)(callbacks) == 0)
                && self.number(c"debugged") == Some(0)
                && thread_count().is_ok_and(|threads| threads == 1)
                && self.modules_are_unchanged()
        }
    }

    /// Takes what has changed since [`Held::settle`] for settled, too: what
    /// `threading` makes anew in a fork.
    pub(super) fn settle_again(&mut self) {
        let mut anew = Vec::new();
        self.each_change(|key, value| {
            anew.push((key as usize, value as usize));
            true
        });
        self.anew = anew;
    }

    fn modules_are_unchanged(&self) -> bool {
        self.each_change(|key, value| {
            self.anew.contains(&(key as usize, value as usize)) || self.is_free(key, value)
        })
    }

    /// Calls this with what modules hold and did not hold at the wait, until it
    /// says no.
    fn each_change(&self, mut each: impl FnMut(Object, Object) -> bool) -> bool {
        // Only looked at: what is counted would have to be copied.
        self.each_module(|module| {
            let at = |(address, _): &(usize, _)| address.cmp(&(module as usize));
            let Ok(found) = self.settled.binary_search_by(at) else {
                return true;
            };
            let Some((_, held)) = self.settled.get(found) else {
                return true;
            };
            let mut place = 0;
            self.each_item(module, |key, value| {
                let item = (key as usize, value as usize);
                let same = held.get(place) == Some(&item) || held.contains(&item);
                place += 1;
                same || each(key, value)
            })
        })
    }

    /// Whether this may be put into a module without further ado: submodules
    /// are, by their import.
    fn is_free(&self, key: Object, value: Object) -> bool {
        // SAFETY: the lock is held by `self`; both are alive, in a dictionary.
        // `text` refuses what is no string; the string lives as long as the key.
        unsafe {
            if self.is_a(value, self.python.module_type) {
                return true;
            }
            let name = (self.python.text)(key);
            if name.is_null() {
                (self.python.clear)();
                return false;
            }
            FREE.contains(&CStr::from_ptr(name))
        }
    }

    /// Calls this with the namespace of each module, until it says no.
    fn each_module(&self, mut each: impl FnMut(Object) -> bool) -> bool {
        let py = &self.python;
        // SAFETY: the lock is held by `self`; the dictionary of modules stays.
        let (modules, main) = unsafe { ((py.modules)(), (py.main)(c"__main__".as_ptr())) };
        self.each_item(modules, |_, module| {
            // SAFETY: alive, in the dictionary; only a module has a namespace.
            unsafe {
                let kind = (py.type_of)(module);
                let is_module = (py.is_subtype)(kind, py.module_type) != 0;
                (py.let_go)(kind);
                !is_module || module == main || each((py.dict_of)(module))
            }
        })
    }

    /// Calls this with each item of a dictionary, until it says no.
    fn each_item(&self, dict: Object, mut each: impl FnMut(Object, Object) -> bool) -> bool {
        let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the lock is held by `self`; a dictionary, which what is called
        // here does not change.
        while unsafe { (self.python.next)(dict, &raw mut at, &raw mut key, &raw mut value) } != 0 {
            if !each(key, value) {
                return false;
            }
        }
        true
    }
}
