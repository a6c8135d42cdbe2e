//! Files and directories in memory, with a budget of bytes and of inodes.
//!
//! There are no symbolic links: nothing here can point anywhere, and a path
//! means what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::errno::Errno;
use super::node::{Content, Inode, Kind, Node, SHARED};

/// Longest file name, and longest path of one call, as Linux has them.
const MAX_NAME: usize = 255;
pub(crate) const MAX_PATH: usize = 4096;

/// What a write may not exceed beyond: one file's largest size.
const MAX_FILE: u64 = 1 << 40;

/// Most bytes that a file holds beyond its length, so that appending does not
/// copy it each time.
const SPARE: usize = 64 << 10;

/// What may still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// The tree. Reading functions take no time; writing ones are told it.
pub(crate) struct Tree {
    /// Number of the first inode here.
    first: usize,
    /// What runs share: nobody can write there, for nothing there is ours.
    library: Option<Arc<Tree>>,
    inodes: Vec<Option<Inode>>,
    free: Vec<usize>,
    budget: Budget,
    /// Bytes moved and names listed so far, a name counting as [`NAME`]: what
    /// calls cost here and not in the guest.
    pub(crate) work: u64,
}

/// What listing a name counts as.
pub(crate) const NAME: u64 = 64;

impl Tree {
    /// An empty root, itself read-only. Making the tree costs no budget until
    /// [`Self::limit`].
    pub(crate) fn new(now: u64) -> Self {
        Self::numbered(0, now)
    }

    /// A tree to be shared; see [`Self::show`].
    pub(crate) fn shared() -> Self {
        let mut tree = Self::numbered(SHARED, 0);
        tree.thaw(tree.root());
        tree
    }

    fn numbered(first: usize, now: u64) -> Self {
        let mut tree = Self {
            first,
            library: None,
            inodes: Vec::with_capacity(32),
            free: Vec::new(),
            budget: Budget {
                bytes: u64::MAX,
                inodes: u64::MAX,
            },
            work: 0,
        };
        let root = Inode::new(Kind::Directory(BTreeMap::new()), now, true);
        tree.inodes.push(Some(root));
        tree
    }

    /// The number of its root.
    pub(crate) fn root(&self) -> Node {
        Node(self.first)
    }

    /// Shows a shared tree as `name` in `parent`.
    pub(crate) fn show(
        &mut self,
        library: &Arc<Tree>,
        parent: Node,
        name: &str,
    ) -> Result<(), Errno> {
        self.entries_mut(parent)?
            .insert(name.into(), library.root());
        self.library = Some(Arc::clone(library));
        Ok(())
    }

    /// From here on everything new is paid from `budget`.
    pub(crate) fn limit(&mut self, budget: Budget) {
        self.budget = budget;
    }

    pub(crate) fn get(&self, node: Node) -> Result<&Inode, Errno> {
        if let Some(library) = &self.library
            && node.0 >= SHARED
        {
            return library.get(node);
        }
        let at = node.0.checked_sub(self.first).ok_or(Errno::BADF)?;
        let inode = self.inodes.get(at).and_then(Option::as_ref);
        inode.ok_or(Errno::BADF)
    }

    /// Whether all runs see it and none may change it.
    fn is_shared(&self, node: Node) -> bool {
        node.0 >= SHARED && self.first < SHARED
    }

    fn get_mut(&mut self, node: Node) -> Result<&mut Inode, Errno> {
        if self.is_shared(node) {
            return Err(Errno::ROFS);
        }
        let at = node.0.checked_sub(self.first).ok_or(Errno::BADF)?;
        let inode = self.inodes.get_mut(at).and_then(Option::as_mut);
        inode.ok_or(Errno::BADF)
    }

    pub(crate) fn entries(&self, node: Node) -> Result<&BTreeMap<Box<str>, Node>, Errno> {
        match &self.get(node)?.kind {
            Kind::Directory(entries) => Ok(entries),
            Kind::File(_) | Kind::Device(_) => Err(Errno::NOTDIR),
        }
    }

    /// The writable directory `node`.
    fn entries_mut(&mut self, node: Node) -> Result<&mut BTreeMap<Box<str>, Node>, Errno> {
        let inode = self.get_mut(node)?;
        match &mut inode.kind {
            Kind::Directory(_) if inode.read_only => Err(Errno::ROFS),
            Kind::Directory(entries) => Ok(entries),
            Kind::File(_) | Kind::Device(_) => Err(Errno::NOTDIR),
        }
    }

    /// The directory that holds the last component of `path`, and that
    /// component; it is `None` where `path` names the directory itself
    /// (`.`, `a/..`). A path that leaves `from` is refused: a descriptor is
    /// the right to what is below it.
    pub(crate) fn parent<'p>(
        &self,
        from: Node,
        path: &'p str,
    ) -> Result<(Node, Option<&'p str>), Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.len() > MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        if path.starts_with('/') {
            return Err(Errno::PERM);
        }
        if path.contains('\0') {
            return Err(Errno::INVAL);
        }
        let mut way = vec![from];
        let mut last: Option<&str> = None;
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if let Some(name) = last.take() {
                way.push(self.child(*way.last().unwrap_or(&from), name)?);
            }
            if part == ".." {
                self.entries(*way.last().unwrap_or(&from))?;
                way.pop();
                if way.is_empty() {
                    return Err(Errno::PERM);
                }
            } else if part.len() > MAX_NAME {
                return Err(Errno::NAMETOOLONG);
            } else {
                last = Some(part);
            }
        }
        Ok((way.pop().unwrap_or(from), last))
    }

    /// What `path` names. A trailing slash wants a directory.
    pub(crate) fn find(&self, from: Node, path: &str) -> Result<Node, Errno> {
        let (parent, name) = self.parent(from, path)?;
        let node = match name {
            Some(name) => self.child(parent, name)?,
            None => parent,
        };
        if path.ends_with('/') {
            self.entries(node)?;
        }
        Ok(node)
    }

    pub(crate) fn child(&self, parent: Node, name: &str) -> Result<Node, Errno> {
        let entries = self.entries(parent)?;
        entries.get(name).copied().ok_or(Errno::NOENT)
    }

    /// Puts something new under a name that is free.
    pub(crate) fn add(
        &mut self,
        parent: Node,
        name: &str,
        kind: Kind,
        now: u64,
    ) -> Result<Node, Errno> {
        let taken = self.entries_mut(parent)?.contains_key(name);
        if taken {
            return Err(Errno::EXIST);
        }
        let bytes = match &kind {
            Kind::File(content) => content.len(),
            Kind::Directory(_) | Kind::Device(_) => 0,
        };
        if self.budget.inodes == 0 || self.budget.bytes < bytes {
            return Err(Errno::NOSPC);
        }
        self.budget.inodes -= 1;
        self.budget.bytes -= bytes;
        let inode = Some(Inode::new(kind, now, false));
        let node = match self.free.pop() {
            Some(at) => {
                self.inodes[at] = inode;
                Node(self.first + at)
            }
            None => {
                self.inodes.push(inode);
                Node(self.first + self.inodes.len() - 1)
            }
        };
        self.entries_mut(parent)?.insert(name.into(), node);
        self.touch(parent, now)?;
        Ok(node)
    }

    /// The directory at `path` below `from`, made where it is missing.
    pub(crate) fn make_directories(
        &mut self,
        from: Node,
        path: &str,
        now: u64,
    ) -> Result<Node, Errno> {
        let mut at = from;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = match self.child(at, part) {
                Ok(there) => there,
                Err(_) => self.add(at, part, Kind::Directory(BTreeMap::new()), now)?,
            };
        }
        Ok(at)
    }

    /// Nothing is put into or taken out of `node` from here on.
    pub(crate) fn freeze(&mut self, node: Node) {
        if let Ok(inode) = self.get_mut(node) {
            inode.read_only = true;
        }
    }

    pub(crate) fn thaw(&mut self, node: Node) {
        if let Ok(inode) = self.get_mut(node) {
            inode.read_only = false;
        }
    }

    /// Fails where `node` may not be written.
    pub(crate) fn writable(&self, node: Node) -> Result<(), Errno> {
        if self.is_shared(node) || self.get(node)?.read_only {
            return Err(Errno::ROFS);
        }
        Ok(())
    }

    pub(crate) fn link(
        &mut self,
        node: Node,
        parent: Node,
        name: &str,
        now: u64,
    ) -> Result<(), Errno> {
        self.writable(node)?;
        if matches!(self.get(node)?.kind, Kind::Directory(_)) {
            return Err(Errno::PERM);
        }
        let left = self.budget.inodes;
        let entries = self.entries_mut(parent)?;
        if entries.contains_key(name) {
            return Err(Errno::EXIST);
        }
        // A name takes memory too, and there is no end of names.
        if left == 0 {
            return Err(Errno::NOSPC);
        }
        entries.insert(name.into(), node);
        self.budget.inodes -= 1;
        let inode = self.get_mut(node)?;
        inode.links += 1;
        inode.changed = now;
        self.touch(parent, now)
    }

    pub(crate) fn unlink(&mut self, parent: Node, name: &str, now: u64) -> Result<(), Errno> {
        let node = self.child(parent, name)?;
        if matches!(self.get(node)?.kind, Kind::Directory(_)) {
            return Err(Errno::ISDIR);
        }
        self.entries_mut(parent)?.remove(name);
        self.unname(node);
        self.touch(parent, now)
    }

    pub(crate) fn remove_directory(
        &mut self,
        parent: Node,
        name: &str,
        now: u64,
    ) -> Result<(), Errno> {
        let node = self.child(parent, name)?;
        if !self.entries(node)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.writable(node)?;
        self.entries_mut(parent)?.remove(name);
        self.unname(node);
        self.touch(parent, now)
    }

    /// As `rename(2)`: what was under the new name goes in the same step.
    pub(crate) fn rename(
        &mut self,
        (from, old): (Node, &str),
        (to, new): (Node, &str),
        now: u64,
    ) -> Result<(), Errno> {
        let node = self.child(from, old)?;
        self.writable(node)?;
        self.entries_mut(from)?;
        self.entries_mut(to)?;
        let directory = matches!(self.get(node)?.kind, Kind::Directory(_));
        if directory && self.is_below(to, node) {
            return Err(Errno::INVAL);
        }
        match self.child(to, new) {
            Ok(same) if same == node => return Ok(()),
            Ok(there) => match &self.get(there)?.kind {
                Kind::Directory(_) if !directory => return Err(Errno::ISDIR),
                Kind::Directory(_) => self.remove_directory(to, new, now)?,
                Kind::File(_) | Kind::Device(_) if directory => return Err(Errno::NOTDIR),
                Kind::File(_) | Kind::Device(_) => self.unlink(to, new, now)?,
            },
            Err(_) => {}
        }
        self.entries_mut(from)?.remove(old);
        self.entries_mut(to)?.insert(new.into(), node);
        self.touch(from, now)?;
        self.touch(to, now)
    }

    fn is_below(&self, node: Node, above: Node) -> bool {
        if node == above {
            return true;
        }
        let mut todo = vec![above];
        while let Some(at) = todo.pop() {
            if let Ok(entries) = self.entries(at) {
                if entries.values().any(|below| *below == node) {
                    return true;
                }
                todo.extend(entries.values());
            }
        }
        false
    }

    fn touch(&mut self, node: Node, now: u64) -> Result<(), Errno> {
        let inode = self.get_mut(node)?;
        inode.modified = now;
        inode.changed = now;
        Ok(())
    }

    pub(crate) fn set_times(
        &mut self,
        node: Node,
        accessed: Option<u64>,
        modified: Option<u64>,
        now: u64,
    ) -> Result<(), Errno> {
        self.writable(node)?;
        let inode = self.get_mut(node)?;
        inode.accessed = accessed.unwrap_or(inode.accessed);
        inode.modified = modified.unwrap_or(inode.modified);
        inode.changed = now;
        Ok(())
    }

    pub(crate) fn open(&mut self, node: Node) -> Result<(), Errno> {
        if !self.is_shared(node) {
            self.get_mut(node)?.opened += 1;
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, node: Node) {
        if let Ok(inode) = self.get_mut(node) {
            inode.opened = inode.opened.saturating_sub(1);
            self.free_if_unused(node);
        }
    }

    fn unname(&mut self, node: Node) {
        if let Ok(inode) = self.get_mut(node) {
            inode.links = inode.links.saturating_sub(1);
            let paid = inode.links > 0;
            if paid {
                self.budget.inodes = self.budget.inodes.saturating_add(1);
            }
            self.free_if_unused(node);
        }
    }

    /// A file that has no name lives as long as somebody holds it open.
    fn free_if_unused(&mut self, node: Node) {
        let at = node.0 - self.first;
        let Some(slot) = self.inodes.get_mut(at) else {
            return;
        };
        if slot.as_ref().is_some_and(|i| i.links == 0 && i.opened == 0)
            && let Some(inode) = slot.take()
        {
            if let Kind::File(content) = &inode.kind {
                self.budget.bytes = self.budget.bytes.saturating_add(content.len());
            }
            self.budget.inodes = self.budget.inodes.saturating_add(1);
            self.free.push(at);
        }
    }

    /// Reads at `offset`: how much, 0 at the end.
    pub(crate) fn read(&self, node: Node, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        match &self.get(node)?.kind {
            Kind::File(content) => content.read(offset, into),
            Kind::Directory(_) => Err(Errno::ISDIR),
            Kind::Device(_) => Err(Errno::INVAL),
        }
    }

    /// Writes at `offset`, or at the end; the position after it.
    pub(crate) fn write(
        &mut self,
        node: Node,
        offset: Option<u64>,
        bytes: &[u8],
        now: u64,
    ) -> Result<u64, Errno> {
        let len = self.size(node)?;
        let offset = offset.unwrap_or(len);
        let end = offset
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= MAX_FILE)
            .ok_or(Errno::FBIG)?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        self.resize(node, len.max(end), now)?;
        let own = self.own(node)?;
        let at = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
        own[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(end)
    }

    /// Cuts or fills with zeroes; what is new is paid for.
    pub(crate) fn resize(&mut self, node: Node, to: u64, now: u64) -> Result<(), Errno> {
        self.writable(node)?;
        if to > MAX_FILE {
            return Err(Errno::FBIG);
        }
        let len = self.size(node)?;
        let grown = to.saturating_sub(len);
        if grown > self.budget.bytes {
            return Err(Errno::NOSPC);
        }
        let wanted = usize::try_from(to).map_err(|_| Errno::FBIG)?;
        let own = self.own(node)?;
        if wanted > own.capacity() {
            // Not twice as much: what is held is to be what is paid for.
            let spare = (wanted / 8).min(SPARE);
            own.reserve_exact(wanted - own.len() + spare);
        }
        own.resize(wanted, 0);
        if own.capacity() - wanted > 2 * SPARE {
            own.shrink_to(wanted);
        }
        self.work = self.work.saturating_add(grown);
        self.budget.bytes = self.budget.bytes - grown + len.saturating_sub(to);
        self.touch(node, now)
    }

    pub(crate) fn size(&self, node: Node) -> Result<u64, Errno> {
        match &self.get(node)?.kind {
            Kind::File(content) => Ok(content.len()),
            Kind::Directory(_) => Err(Errno::ISDIR),
            Kind::Device(_) => Err(Errno::INVAL),
        }
    }

    /// The file's bytes as ours to change. Those of a slice are copied; they
    /// were paid for when it was put here.
    fn own(&mut self, node: Node) -> Result<&mut Vec<u8>, Errno> {
        let inode = self.get_mut(node)?;
        let Kind::File(content) = &mut inode.kind else {
            return Err(Errno::INVAL);
        };
        if let Content::Slice { len, .. } = content {
            let mut bytes = vec![0; usize::try_from(*len).map_err(|_| Errno::FBIG)?];
            let read = content.read(0, &mut bytes)?;
            bytes.truncate(read);
            *content = Content::Own(bytes);
        }
        match content {
            Content::Own(bytes) => Ok(bytes),
            Content::Slice { .. } => Err(Errno::IO),
        }
    }
}
