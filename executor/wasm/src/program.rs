//! A module ready to be instantiated any number of times.

use wasmtime::bail;
use wasmtime::{Instance, InstancePre, Linker, Module, Result, Store};

use crate::host::Host;

/// A linked module and where it starts.
pub(crate) struct Program {
    pub(crate) pre: InstancePre<Host>,
    entry: Entry,
}

/// How a module is started.
#[derive(Clone, Copy)]
enum Entry {
    /// A command: `_start`, which exits or returns.
    Start,
    /// A snapshot or reactor: `run`, which returns the exit status; a reactor
    /// that was not snapshotted wants `_initialize` first.
    Run { initialize: bool },
}

impl Program {
    /// Resolves the imports and finds the entry point.
    pub(crate) fn new(linker: &Linker<Host>, module: &Module) -> wasmtime::Result<Self> {
        let exported = |name| module.get_export(name).is_some_and(|e| e.func().is_some());
        let entry = if exported("_start") {
            Entry::Start
        } else if exported("run") {
            Entry::Run {
                initialize: exported("_initialize"),
            }
        } else {
            bail!("module exports neither _start nor run");
        };
        Ok(Self {
            pre: linker.instantiate_pre(module)?,
            entry,
        })
    }

    /// Instantiates, runs to the end and says the exit status.
    pub(crate) async fn run(&self, store: &mut Store<Host>) -> Result<i32> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        match self.entry {
            Entry::Start => {
                call(store, &instance, "_start").await?;
                Ok(0)
            }
            Entry::Run { initialize } => {
                if initialize {
                    call(store, &instance, "_initialize").await?;
                }
                let run = instance.get_typed_func::<(), i32>(&mut *store, "run")?;
                Ok(run.call_async(&mut *store, ()).await? & 0xff)
            }
        }
    }
}

async fn call(store: &mut Store<Host>, instance: &Instance, name: &str) -> Result<()> {
    let function = instance.get_typed_func::<(), ()>(&mut *store, name)?;
    function.call_async(&mut *store, ()).await
}
