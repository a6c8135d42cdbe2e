//! Descriptors: what a guest holds open, and what it may do with each.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use assize_wire::plan::{Collect, CollectError, PackEntry};

use super::errno::Errno;
use super::node::{Content, Device, Kind, Node};
use super::tree::{Budget, NAME, Tree};
use crate::capture::Bounded;
use crate::clock::{Now, Random};
use crate::stdin::Input;

/// Open at once; one more is `EMFILE`.
const MAX_OPEN: usize = 1024;

/// Names in listings at once: some 10 MB.
const MAX_LISTED: usize = 1 << 16;

/// Most bytes of one read of a device that never ends: a read may name a
/// thousand buffers, and all guests of the worker wait for it.
const MAX_DEVICE: usize = 64 << 10;

/// The directories that are open from the start have these numbers.
const FIRST: usize = 3;

/// What is open.
pub(crate) enum Open {
    Device(Device),
    Node(Held),
}

/// A file or directory held open.
pub(crate) struct Held {
    pub(crate) node: Node,
    pub(crate) position: u64,
    pub(crate) append: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The name of a directory that was open from the start.
    pub(crate) preopen: Option<&'static str>,
    /// A directory's names as they were when the listing began: removing
    /// while listing skips nothing.
    pub(crate) listing: Vec<(Box<str>, Node)>,
}

impl Held {
    fn new(node: Node) -> Self {
        Self {
            node,
            position: 0,
            append: false,
            read: true,
            write: false,
            preopen: None,
            listing: Vec::new(),
        }
    }
}

/// What a run starts with.
pub(crate) struct Setup<'a> {
    pub(crate) library: Option<&'a Arc<Tree>>,
    pub(crate) entries: &'a [PackEntry],
    pub(crate) pack: Option<Arc<File>>,
    pub(crate) budget: Budget,
    /// A guest sees one tree; a program of a submission begins in `/work`,
    /// because its C library has no other way to learn where it is.
    pub(crate) at_work: bool,
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) stdin: Option<Input>,
    pub(crate) stdout: Bounded,
    pub(crate) stderr: Bounded,
}

/// A guest's files and streams.
pub(crate) struct Files {
    pub(crate) tree: Tree,
    table: Vec<Option<Open>>,
    work: Node,
    stdin: Option<Input>,
    pub(crate) stdout: Bounded,
    pub(crate) stderr: Bounded,
    pub(crate) random: Random,
    /// Names in the listings of all that is open.
    listed: usize,
}

/// A write that ends the run: more on standard output than is allowed.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl Files {
    /// Lays everything out. Fails only where the submission's own files do not
    /// fit its limits.
    pub(crate) fn new(setup: Setup<'_>) -> Result<Self, Errno> {
        let now = setup.now;
        let mut tree = Tree::new(now);
        let root = Node::ROOT;
        tree.thaw(root);
        let dev = tree.make_directories(root, "dev", now)?;
        for (name, device) in [
            ("null", Device::Null),
            ("zero", Device::Zero),
            ("random", Device::Random),
            ("urandom", Device::Random),
            ("stdin", Device::Stdin),
            ("stdout", Device::Stdout),
            ("stderr", Device::Stderr),
        ] {
            tree.add(dev, name, Kind::Device(device), now)?;
        }
        tree.freeze(dev);
        let tmp = tree.make_directories(root, "tmp", now)?;
        let work = tree.make_directories(root, "work", now)?;
        if let Some(library) = setup.library {
            let usr = tree.make_directories(root, "usr", now)?;
            let local = tree.make_directories(usr, "local", now)?;
            tree.show(library, local, "lib")?;
            tree.freeze(local);
            tree.freeze(usr);
        }
        tree.freeze(root);
        tree.limit(setup.budget);
        let packed = match &setup.pack {
            Some(pack) => pack.metadata().map_err(|_| Errno::IO)?.len(),
            None => 0,
        };
        for entry in setup.entries {
            let end = entry.offset.checked_add(entry.len);
            if !is_plain(&entry.path) || end.is_none_or(|end| end > packed) {
                return Err(Errno::INVAL);
            }
            let file = setup.pack.clone().ok_or(Errno::IO)?;
            let (parent, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            let parent = tree.make_directories(work, parent, now)?;
            let content = Content::Slice {
                file,
                offset: entry.offset,
                len: entry.len,
            };
            tree.add(parent, name, Kind::File(content), now)?;
        }
        let mut table = vec![
            Some(Open::Device(Device::Stdin)),
            Some(Open::Device(Device::Stdout)),
            Some(Open::Device(Device::Stderr)),
        ];
        let preopens: &[(&str, Node)] = if setup.at_work {
            &[("/", work), ("/work", work), ("/tmp", tmp), ("/dev", dev)]
        } else {
            &[("/", root)]
        };
        for (name, node) in preopens {
            tree.open(*node)?;
            let held = Held {
                preopen: Some(name),
                ..Held::new(*node)
            };
            table.push(Some(Open::Node(held)));
        }
        debug_assert!(table.len() > FIRST);
        Ok(Self {
            tree,
            table,
            work,
            stdin: setup.stdin,
            stdout: setup.stdout,
            stderr: setup.stderr,
            random: setup.random,
            listed: 0,
        })
    }

    /// Nothing at all, not even streams; random bytes are the same each time.
    pub(crate) fn none() -> Self {
        Self {
            tree: Tree::new(0),
            table: Vec::new(),
            work: Node::ROOT,
            stdin: None,
            stdout: Bounded::new(0),
            stderr: Bounded::new(0),
            random: Random::Seeded(0),
            listed: 0,
        }
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&Open, Errno> {
        let open = self.table.get(fd as usize).and_then(Option::as_ref);
        open.ok_or(Errno::BADF)
    }

    pub(crate) fn held(&self, fd: u32) -> Result<&Held, Errno> {
        match self.get(fd)? {
            Open::Node(held) => Ok(held),
            Open::Device(_) => Err(Errno::SPIPE),
        }
    }

    pub(crate) fn held_mut(&mut self, fd: u32) -> Result<&mut Held, Errno> {
        match self.table.get_mut(fd as usize).and_then(Option::as_mut) {
            Some(Open::Node(held)) => Ok(held),
            Some(Open::Device(_)) => Err(Errno::SPIPE),
            None => Err(Errno::BADF),
        }
    }

    /// The node of a directory descriptor.
    pub(crate) fn directory(&self, fd: u32) -> Result<Node, Errno> {
        match self.get(fd)? {
            Open::Node(held) => {
                let node = held.node;
                self.tree.entries(node)?;
                Ok(node)
            }
            Open::Device(_) => Err(Errno::NOTDIR),
        }
    }

    fn insert(&mut self, open: Open) -> Result<u32, Errno> {
        let free = self.table.iter().skip(FIRST).position(Option::is_none);
        let at = match free {
            Some(at) => at + FIRST,
            None if self.table.len() < MAX_OPEN => {
                self.table.push(None);
                self.table.len() - 1
            }
            None => return Err(Errno::MFILE),
        };
        self.table[at] = Some(open);
        u32::try_from(at).map_err(|_| Errno::MFILE)
    }

    /// Opens what is there.
    pub(crate) fn open(
        &mut self,
        node: Node,
        read: bool,
        write: bool,
        append: bool,
    ) -> Result<u32, Errno> {
        if let Kind::Device(device) = self.tree.get(node)?.kind {
            return self.insert(Open::Device(device));
        }
        if write {
            self.tree.writable(node)?;
        }
        let fd = self.insert(Open::Node(Held {
            append,
            read,
            write,
            ..Held::new(node)
        }))?;
        self.tree.open(node)?;
        Ok(fd)
    }

    /// What `O_TRUNC` does; a device has nothing to cut.
    pub(crate) fn truncate(&mut self, node: Node, now: u64) -> Result<(), Errno> {
        match self.tree.get(node)?.kind {
            Kind::Device(_) => Ok(()),
            Kind::File(_) | Kind::Directory(_) => self.tree.resize(node, 0, now),
        }
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        let open = self.table.get_mut(fd as usize).and_then(Option::take);
        match open.ok_or(Errno::BADF)? {
            Open::Node(held) => {
                self.listed -= held.listing.len();
                self.tree.close(held.node);
            }
            Open::Device(_) => {}
        }
        Ok(())
    }

    /// `to` becomes what `from` was; both must be open.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(());
        }
        self.close(to)?;
        self.table.swap(from as usize, to as usize);
        Ok(())
    }

    /// Reads at the position, or at `offset`; the position moves only without.
    pub(crate) fn read(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        match self.get(fd)? {
            Open::Device(device) => {
                if offset.is_some() {
                    return Err(Errno::SPIPE);
                }
                let device = *device;
                self.read_device(device, into)
            }
            Open::Node(held) => {
                if !held.read {
                    return Err(Errno::BADF);
                }
                let (node, at) = (held.node, offset.unwrap_or(held.position));
                let read = self.tree.read(node, at, into)?;
                if offset.is_none() {
                    self.held_mut(fd)?.position = at + read as u64;
                }
                Ok(read)
            }
        }
    }

    fn read_device(&mut self, device: Device, into: &mut [u8]) -> Result<usize, Errno> {
        match device {
            Device::Stdin => match &mut self.stdin {
                Some(stdin) => stdin.read(into).map_err(|_| Errno::IO),
                None => Ok(0),
            },
            Device::Null => Ok(0),
            Device::Zero => {
                let some = into.len().min(MAX_DEVICE);
                into[..some].fill(0);
                Ok(some)
            }
            Device::Random => {
                let some = into.len().min(MAX_DEVICE);
                let filled = self.random.fill(&mut into[..some]);
                filled.map(|()| some).map_err(|_| Errno::IO)
            }
            Device::Stdout | Device::Stderr => Err(Errno::BADF),
        }
    }

    /// Writes at the position, at the end or at `offset`.
    pub(crate) fn write(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        bytes: &[u8],
        now: Now,
    ) -> Result<Result<usize, Errno>, TooMuch> {
        let (node, at, append) = match self.get(fd) {
            Err(errno) => return Ok(Err(errno)),
            Ok(Open::Device(_)) if offset.is_some() => return Ok(Err(Errno::SPIPE)),
            Ok(Open::Device(device)) => return self.write_device(*device, bytes),
            Ok(Open::Node(held)) if !held.write => return Ok(Err(Errno::BADF)),
            Ok(Open::Node(held)) => (held.node, offset.unwrap_or(held.position), held.append),
        };
        let at = (!append || offset.is_some()).then_some(at);
        let done = self
            .tree
            .write(node, at, bytes, now.read())
            .and_then(|end| {
                if offset.is_none() {
                    self.held_mut(fd)?.position = end;
                }
                Ok(bytes.len())
            });
        Ok(done)
    }

    fn write_device(
        &mut self,
        device: Device,
        bytes: &[u8],
    ) -> Result<Result<usize, Errno>, TooMuch> {
        match device {
            // The end of the run, not an error: a guest could ignore an error
            // and go on.
            Device::Stdout if !self.stdout.push(bytes) => return Err(TooMuch),
            Device::Stderr => {
                self.stderr.push(bytes);
            }
            Device::Stdout | Device::Null | Device::Zero | Device::Random => {}
            Device::Stdin => return Ok(Err(Errno::BADF)),
        }
        Ok(Ok(bytes.len()))
    }

    /// What lies at `path` below `/work`.
    pub(crate) fn collect(&self, want: &Collect) -> Result<Vec<u8>, CollectError> {
        let found = self.tree.find(self.work, &want.path);
        let node = found.map_err(|_| CollectError::Missing)?;
        let len = self.tree.size(node).map_err(|_| CollectError::Irregular)?;
        if len > want.max_bytes {
            return Err(CollectError::TooLarge);
        }
        let len = usize::try_from(len).map_err(|_| CollectError::TooLarge)?;
        let mut data = vec![0; len];
        let read = self.tree.read(node, 0, &mut data);
        data.truncate(read.map_err(|_| CollectError::Missing)?);
        Ok(data)
    }

    /// The names in a directory, `.` and `..` first.
    pub(crate) fn list(&mut self, fd: u32) -> Result<(), Errno> {
        let node = self.directory(fd)?;
        let entries: &BTreeMap<_, _> = self.tree.entries(node)?;
        let before = self.held(fd)?.listing.len();
        let listed = self.listed - before + entries.len() + 2;
        if listed > MAX_LISTED {
            return Err(Errno::NOMEM);
        }
        let listing = [(".".into(), node), ("..".into(), node)]
            .into_iter()
            .chain(entries.iter().map(|(name, node)| (name.clone(), *node)))
            .collect();
        self.tree.work = self.tree.work.saturating_add(NAME * entries.len() as u64);
        self.held_mut(fd)?.listing = listing;
        self.listed = listed;
        Ok(())
    }
}

/// Relative, and neither `.` nor `..` nor an empty component nor a NUL.
fn is_plain(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
