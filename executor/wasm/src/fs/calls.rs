//! The WASI preview 1 functions on descriptors and paths, over [`Files`].
//!
//! Layouts are those of `wasi_snapshot_preview1.witx`, little-endian.

use std::collections::BTreeMap;

use wasmtime::{Caller, Linker, Result, bail};

use super::descriptors::{Files, Open, TooMuch};
use super::errno::Errno;
use super::node::{Content, Kind, Node};
use super::tree::MAX_PATH;
use crate::abi::{memory, slice, slice_mut};
use crate::clock::{self, Now};
use crate::host::Host;

const WASI: &str = "wasi_snapshot_preview1";

/// Most bytes of one call, which nothing interrupts: a thousand buffers may all
/// be the guest's whole memory. Less than was asked for is what any program
/// must expect.
const MAX_CALL: u32 = 1 << 20;

/// Most buffers of one call.
const MAX_VECTORS: u32 = 1024;

const DIRECTORY: u8 = 3;
const REGULAR: u8 = 4;
const CHARACTERS: u8 = 2;
const UNKNOWN: u8 = 0;

const FD_READ: u64 = 1 << 1;
const FD_SEEK_TELL: u64 = 1 << 2 | 1 << 5;
const FD_WRITE: u64 = 1 << 6;
/// Everything but sockets.
const ALL: u64 = (1 << 28) - 1;
/// What only a writable file allows: write, allocate, set the size.
const WRITING: u64 = FD_WRITE | 1 << 8 | 1 << 22;
/// What reading needs: read, list.
const READING: u64 = FD_READ | 1 << 14;

const O_CREAT: u32 = 1;
const O_DIRECTORY: u32 = 2;
const O_EXCL: u32 = 4;
const O_TRUNC: u32 = 8;

const APPEND: u32 = 1;

/// What one call works on: the guest's memory and its files.
struct Call<'a> {
    memory: &'a mut [u8],
    files: &'a mut Files,
    now: Now,
}

/// Runs `call`; its error is the guest's errno, or the end of the run.
fn with(
    caller: &mut Caller<'_, Host>,
    call: impl FnOnce(Call<'_>) -> Result<std::result::Result<(), Errno>>,
) -> Result<i32> {
    let now = Now::of(&*caller);
    let (memory, host) = memory(caller)?.data_and_store_mut(&mut *caller);
    let files = &mut host.files;
    let before = files.tree.work;
    let done = call(Call { memory, files, now }).map(Errno::of);
    let worked = caller.data().files.tree.work - before;
    clock::charge(caller, worked)?;
    done
}

/// Two kinds of failure: the guest's memory ends before its pointer (a trap),
/// and everything else (an errno).
macro_rules! attempt {
    ($e:expr) => {
        match $e {
            Ok(value) => value,
            Err(errno) => return Ok(Err(errno)),
        }
    };
}

macro_rules! define {
    ($linker:ident, $($name:ident($($arg:ident: $ty:ty),*) $body:expr;)*) => {
        $($linker.func_wrap(WASI, stringify!($name), |mut caller: Caller<'_, Host>, $($arg: $ty),*| -> Result<i32> {
            with(&mut caller, |call| { let f: fn(Call<'_>, $($ty),*) -> Result<std::result::Result<(), Errno>> = $body; f(call, $($arg),*) })
        })?;)*
    };
}

/// Puts the functions into `linker`, in place of what is there.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    define! { linker,
        fd_advise(fd: u32, _offset: u64, _len: u64, _advice: i32) |call, fd, _, _, _| {
            Ok(call.files.held(fd).map(drop))
        };
        fd_allocate(fd: u32, offset: u64, len: u64) |call, fd, offset, len| {
            let node = attempt!(call.writable(fd));
            let end = attempt!(offset.checked_add(len).ok_or(Errno::FBIG));
            let size = attempt!(call.files.tree.size(node));
            Ok(if end > size { call.files.tree.resize(node, end, call.now.read()) } else { Ok(()) })
        };
        fd_close(fd: u32) |call, fd| Ok(call.files.close(fd));
        fd_datasync(fd: u32) |call, fd| Ok(call.files.get(fd).map(drop));
        fd_sync(fd: u32) |call, fd| Ok(call.files.get(fd).map(drop));
        fd_fdstat_get(fd: u32, out: u32) |mut call, fd, out| call.fdstat(fd, out);
        fd_fdstat_set_flags(fd: u32, flags: u32) |call, fd, flags| {
            attempt!(call.files.held_mut(fd)).append = flags & APPEND != 0;
            Ok(Ok(()))
        };
        fd_fdstat_set_rights(fd: u32, _base: u64, _inheriting: u64) |call, fd, _, _| {
            attempt!(call.files.get(fd));
            Ok(Err(Errno::NOTSUP))
        };
        fd_filestat_get(fd: u32, out: u32) |mut call, fd, out| {
            let node = match attempt!(call.files.get(fd)) {
                Open::Node(held) => Some(held.node),
                Open::Device(_) => None,
            };
            call.filestat(node, out)
        };
        fd_filestat_set_size(fd: u32, size: u64) |call, fd, size| {
            let node = attempt!(call.writable(fd));
            Ok(call.files.tree.resize(node, size, call.now.read()))
        };
        fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32) |mut call, fd, atim, mtim, flags| {
            let node = attempt!(call.files.held(fd)).node;
            Ok(call.set_times(node, atim, mtim, flags))
        };
        fd_pread(fd: u32, vectors: u32, count: u32, offset: u64, out: u32) |mut call, fd, vectors, count, offset, out| {
            call.read(fd, Some(offset), vectors, count, out)
        };
        fd_read(fd: u32, vectors: u32, count: u32, out: u32) |mut call, fd, vectors, count, out| {
            call.read(fd, None, vectors, count, out)
        };
        fd_pwrite(fd: u32, vectors: u32, count: u32, offset: u64, out: u32) |mut call, fd, vectors, count, offset, out| {
            call.write(fd, Some(offset), vectors, count, out)
        };
        fd_write(fd: u32, vectors: u32, count: u32, out: u32) |mut call, fd, vectors, count, out| {
            call.write(fd, None, vectors, count, out)
        };
        fd_prestat_get(fd: u32, out: u32) |call, fd, out| {
            let name = attempt!(call.preopen(fd));
            let out = slice_mut(call.memory, out, 8)?;
            out.fill(0);
            out[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
            Ok(Ok(()))
        };
        fd_prestat_dir_name(fd: u32, out: u32, len: u32) |call, fd, out, len| {
            let name = attempt!(call.preopen(fd));
            if name.len() > len as usize { return Ok(Err(Errno::NAMETOOLONG)); }
            slice_mut(call.memory, out, name.len() as u32)?.copy_from_slice(name.as_bytes());
            Ok(Ok(()))
        };
        fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, out: u32) |mut call, fd, buffer, len, cookie, out| {
            call.readdir(fd, buffer, len, cookie, out)
        };
        fd_renumber(from: u32, to: u32) |call, from, to| Ok(call.files.renumber(from, to));
        fd_seek(fd: u32, delta: i64, whence: u32, out: u32) |mut call, fd, delta, whence, out| {
            call.seek(fd, delta, whence, out)
        };
        fd_tell(fd: u32, out: u32) |mut call, fd, out| call.seek(fd, 0, 1, out);
        path_create_directory(fd: u32, path: u32, len: u32) |call, fd, path, len| {
            let (parent, name) = attempt!(call.names(fd, path, len)?);
            let name = attempt!(name.ok_or(Errno::EXIST));
            let kind = Kind::Directory(BTreeMap::new());
            Ok(call.files.tree.add(parent, &name, kind, call.now.read()).map(drop))
        };
        path_filestat_get(fd: u32, _flags: u32, path: u32, len: u32, out: u32) |mut call, fd, _, path, len, out| {
            let node = attempt!(call.find(fd, path, len)?);
            call.filestat(Some(node), out)
        };
        path_filestat_set_times(fd: u32, _flags: u32, path: u32, len: u32, atim: u64, mtim: u64, flags: u32) |mut call, fd, _, path, len, atim, mtim, flags| {
            let node = attempt!(call.find(fd, path, len)?);
            Ok(call.set_times(node, atim, mtim, flags))
        };
        path_link(old_fd: u32, _flags: u32, old: u32, old_len: u32, new_fd: u32, new: u32, new_len: u32) |call, old_fd, _, old, old_len, new_fd, new, new_len| {
            let node = attempt!(call.find(old_fd, old, old_len)?);
            let (parent, name) = attempt!(call.names(new_fd, new, new_len)?);
            let name = attempt!(name.ok_or(Errno::EXIST));
            Ok(call.files.tree.link(node, parent, &name, call.now.read()))
        };
        path_open(fd: u32, _lookup: u32, path: u32, len: u32, oflags: u32, rights: u64, _inheriting: u64, fdflags: u32, out: u32) |mut call, fd, _, path, len, oflags, rights, _, fdflags, out| {
            call.open(fd, path, len, oflags, rights, fdflags, out)
        };
        path_readlink(fd: u32, path: u32, len: u32, _buffer: u32, _size: u32, _out: u32) |call, fd, path, len, _, _, _| {
            attempt!(call.find(fd, path, len)?);
            Ok(Err(Errno::INVAL))
        };
        path_remove_directory(fd: u32, path: u32, len: u32) |call, fd, path, len| {
            let (parent, name) = attempt!(call.names(fd, path, len)?);
            let name = attempt!(name.ok_or(Errno::INVAL));
            Ok(call.files.tree.remove_directory(parent, &name, call.now.read()))
        };
        path_rename(old_fd: u32, old: u32, old_len: u32, new_fd: u32, new: u32, new_len: u32) |call, old_fd, old, old_len, new_fd, new, new_len| {
            let (from, old) = attempt!(call.names(old_fd, old, old_len)?);
            let (to, new) = attempt!(call.names(new_fd, new, new_len)?);
            let (Some(old), Some(new)) = (old, new) else { return Ok(Err(Errno::INVAL)) };
            Ok(call.files.tree.rename((from, &old), (to, &new), call.now.read()))
        };
        path_symlink(_old: u32, _old_len: u32, fd: u32, path: u32, len: u32) |call, _, _, fd, path, len| {
            attempt!(call.names(fd, path, len)?);
            Ok(Err(Errno::NOTSUP))
        };
        path_unlink_file(fd: u32, path: u32, len: u32) |call, fd, path, len| {
            let (parent, name) = attempt!(call.names(fd, path, len)?);
            let name = attempt!(name.ok_or(Errno::ISDIR));
            Ok(call.files.tree.unlink(parent, &name, call.now.read()))
        };
    }
    linker.allow_shadowing(false);
    Ok(())
}

type Errnoed<T> = std::result::Result<T, Errno>;

impl Call<'_> {
    fn path(&self, path: u32, len: u32) -> Result<Errnoed<String>> {
        let path = slice(self.memory, path, len)?;
        // Before it is looked at: it may be all of the guest's memory.
        if path.len() > MAX_PATH {
            return Ok(Err(Errno::NAMETOOLONG));
        }
        let path = std::str::from_utf8(path);
        Ok(path.map(str::to_owned).map_err(|_| Errno::ILSEQ))
    }

    fn find(&self, fd: u32, path: u32, len: u32) -> Result<Errnoed<Node>> {
        let path = attempt!(self.path(path, len)?);
        let directory = attempt!(self.files.directory(fd));
        Ok(self.files.tree.find(directory, &path))
    }

    /// The directory that `path` ends in, and the last name.
    fn names(&self, fd: u32, path: u32, len: u32) -> Result<Errnoed<(Node, Option<String>)>> {
        let path = attempt!(self.path(path, len)?);
        let directory = attempt!(self.files.directory(fd));
        let (parent, name) = attempt!(self.files.tree.parent(directory, &path));
        // A trailing slash wants a directory, if there is anything.
        if let (true, Some(name)) = (path.ends_with('/'), name)
            && let Ok(node) = self.files.tree.child(parent, name)
        {
            attempt!(self.files.tree.entries(node));
        }
        Ok(Ok((parent, name.map(str::to_owned))))
    }

    /// The file behind a descriptor that is open for writing.
    fn writable(&self, fd: u32) -> Errnoed<Node> {
        let held = self.files.held(fd)?;
        if held.write {
            Ok(held.node)
        } else {
            Err(Errno::BADF)
        }
    }

    fn preopen(&self, fd: u32) -> Errnoed<&'static str> {
        match self.files.get(fd)? {
            Open::Node(held) => held.preopen.ok_or(Errno::BADF),
            Open::Device(_) => Err(Errno::BADF),
        }
    }

    fn set_times(&mut self, node: Node, accessed: u64, modified: u64, flags: u32) -> Errnoed<()> {
        let now = self.now.read();
        let chosen = |given: u64, set: u32, to_now: u32| match (flags & set, flags & to_now) {
            (0, 0) => Ok(None),
            (_, 0) => Ok(Some(given)),
            (0, _) => Ok(Some(now)),
            _ => Err(Errno::INVAL),
        };
        let (accessed, modified) = (chosen(accessed, 1, 2)?, chosen(modified, 4, 8)?);
        self.files.tree.set_times(node, accessed, modified, now)
    }

    /// `fdstat`: type u8 @0, flags u16 @2, rights u64 @8, inheriting u64 @16.
    fn fdstat(&mut self, fd: u32, out: u32) -> Result<Errnoed<()>> {
        let (kind, flags, rights) = match attempt!(self.files.get(fd)) {
            // No terminal and no file: what a pipe is to WASI.
            Open::Device(_) => (UNKNOWN, 0, FD_READ | FD_WRITE | 1 << 21),
            Open::Node(held) => {
                let inode = attempt!(self.files.tree.get(held.node));
                match &inode.kind {
                    Kind::Directory(_) => (DIRECTORY, 0, ALL & !FD_SEEK_TELL),
                    Kind::File(_) | Kind::Device(_) => {
                        let unread = if held.read { 0 } else { READING };
                        let unwritten = if held.write { 0 } else { WRITING };
                        (REGULAR, u16::from(held.append), ALL & !unread & !unwritten)
                    }
                }
            }
        };
        let out = slice_mut(self.memory, out, 24)?;
        out.fill(0);
        out[0] = kind;
        out[2..4].copy_from_slice(&flags.to_le_bytes());
        out[8..16].copy_from_slice(&rights.to_le_bytes());
        out[16..24].copy_from_slice(&ALL.to_le_bytes());
        Ok(Ok(()))
    }

    /// `filestat`: dev u64 @0, ino u64 @8, type u8 @16, nlink u64 @24,
    /// size u64 @32, atim u64 @40, mtim u64 @48, ctim u64 @56.
    fn filestat(&mut self, node: Option<Node>, out: u32) -> Result<Errnoed<()>> {
        let mut stat = [0; 64];
        let mut put =
            |at: usize, value: u64| stat[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let mut kind = UNKNOWN;
        if let Some(node) = node {
            let inode = attempt!(self.files.tree.get(node));
            let size;
            (kind, size) = match &inode.kind {
                Kind::Directory(_) => (DIRECTORY, 0),
                Kind::File(content) => (REGULAR, content.len()),
                Kind::Device(_) => (CHARACTERS, 0),
            };
            put(0, 1);
            put(8, node.ino());
            put(24, inode.links);
            put(32, size);
            put(40, inode.accessed);
            put(48, inode.modified);
            put(56, inode.changed);
        }
        stat[16] = kind;
        slice_mut(self.memory, out, 64)?.copy_from_slice(&stat);
        Ok(Ok(()))
    }

    /// The `at`th of the guest's buffers: (pointer, length).
    fn vector(&self, vectors: u32, at: u32) -> Result<(u32, u32)> {
        let raw = slice(self.memory, vectors.saturating_add(at * 8), 8)?;
        let word = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        Ok((word(0), word(4)))
    }

    fn put_u32(&mut self, out: u32, value: u32) -> Result<Errnoed<()>> {
        slice_mut(self.memory, out, 4)?.copy_from_slice(&value.to_le_bytes());
        Ok(Ok(()))
    }

    fn read(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        vectors: u32,
        count: u32,
        out: u32,
    ) -> Result<Errnoed<()>> {
        if count > MAX_VECTORS {
            return Ok(Err(Errno::INVAL));
        }
        attempt!(self.files.get(fd));
        let mut total = 0u32;
        for at in 0..count {
            let (pointer, len) = self.vector(vectors, at)?;
            let len = len.min(MAX_CALL - total);
            let into = slice_mut(self.memory, pointer, len)?;
            let offset = offset.map(|offset| offset.saturating_add(u64::from(total)));
            let read = match self.files.read(fd, offset, into) {
                Ok(read) => read as u32,
                Err(_) if total > 0 => break,
                Err(errno) => return Ok(Err(errno)),
            };
            total = total.saturating_add(read);
            if read < len || total == MAX_CALL {
                break;
            }
        }
        self.files.tree.work = self.files.tree.work.saturating_add(u64::from(total));
        self.put_u32(out, total)
    }

    fn write(
        &mut self,
        fd: u32,
        offset: Option<u64>,
        vectors: u32,
        count: u32,
        out: u32,
    ) -> Result<Errnoed<()>> {
        if count > MAX_VECTORS {
            return Ok(Err(Errno::INVAL));
        }
        attempt!(self.files.get(fd));
        let mut total = 0u32;
        for at in 0..count {
            let (pointer, len) = self.vector(vectors, at)?;
            let len = len.min(MAX_CALL - total);
            let bytes = slice(self.memory, pointer, len)?;
            let offset = offset.map(|offset| offset.saturating_add(u64::from(total)));
            match self.files.write(fd, offset, bytes, self.now) {
                Err(TooMuch) => bail!("output limit"),
                Ok(Ok(wrote)) => total = total.saturating_add(wrote as u32),
                Ok(Err(_)) if total > 0 => break,
                Ok(Err(errno)) => return Ok(Err(errno)),
            }
            if total == MAX_CALL {
                break;
            }
        }
        self.files.tree.work = self.files.tree.work.saturating_add(u64::from(total));
        self.put_u32(out, total)
    }

    fn seek(&mut self, fd: u32, delta: i64, whence: u32, out: u32) -> Result<Errnoed<()>> {
        let held = attempt!(self.files.held(fd));
        let from = match whence {
            0 => 0,
            1 => held.position,
            2 => attempt!(self.files.tree.size(held.node)),
            _ => return Ok(Err(Errno::INVAL)),
        };
        let to = from.checked_add_signed(delta);
        let to = attempt!(
            to.filter(|to| i64::try_from(*to).is_ok())
                .ok_or(Errno::INVAL)
        );
        slice_mut(self.memory, out, 8)?.copy_from_slice(&to.to_le_bytes());
        attempt!(self.files.held_mut(fd)).position = to;
        Ok(Ok(()))
    }

    #[expect(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    fn open(
        &mut self,
        fd: u32,
        path: u32,
        len: u32,
        oflags: u32,
        rights: u64,
        fdflags: u32,
        out: u32,
    ) -> Result<Errnoed<()>> {
        let (read, write) = (rights & READING != 0, rights & WRITING != 0);
        let path = attempt!(self.path(path, len)?);
        let directory = attempt!(self.files.directory(fd));
        let tree = &mut self.files.tree;
        let node = match tree.find(directory, &path) {
            Ok(_) if oflags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => {
                return Ok(Err(Errno::EXIST));
            }
            Ok(node) => node,
            Err(Errno::NOENT) if oflags & O_CREAT != 0 && !path.ends_with('/') => {
                let (parent, name) = attempt!(tree.parent(directory, &path));
                let name = attempt!(name.ok_or(Errno::ISDIR));
                let kind = Kind::File(Content::Own(Vec::new()));
                attempt!(tree.add(parent, name, kind, self.now.read()))
            }
            Err(errno) => return Ok(Err(errno)),
        };
        let is_directory = matches!(attempt!(tree.get(node)).kind, Kind::Directory(_));
        if oflags & O_DIRECTORY != 0 && !is_directory {
            return Ok(Err(Errno::NOTDIR));
        }
        if is_directory && (write && oflags & O_DIRECTORY == 0 || oflags & O_TRUNC != 0) {
            return Ok(Err(Errno::ISDIR));
        }
        let opened = self
            .files
            .open(node, read, write && !is_directory, fdflags & APPEND != 0);
        let opened = attempt!(opened);
        if oflags & O_TRUNC != 0
            && let Err(errno) = self.files.truncate(node, self.now.read())
        {
            attempt!(self.files.close(opened));
            return Ok(Err(errno));
        }
        self.put_u32(out, opened)
    }

    /// `dirent`: next u64 @0, ino u64 @8, name length u32 @16, type u8 @20,
    /// then the name; the last one may be cut, which says that there is more.
    fn readdir(
        &mut self,
        fd: u32,
        buffer: u32,
        len: u32,
        cookie: u64,
        out: u32,
    ) -> Result<Errnoed<()>> {
        if cookie == 0 {
            attempt!(self.files.list(fd));
        }
        attempt!(self.files.directory(fd));
        let listing = &attempt!(self.files.held(fd)).listing;
        let buffer = slice_mut(self.memory, buffer, len)?;
        let mut used = 0;
        let from = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (at, (name, node)) in listing.iter().enumerate().skip(from) {
            let kind = match self.files.tree.get(*node).map(|inode| &inode.kind) {
                Ok(Kind::Directory(_)) => DIRECTORY,
                Ok(Kind::File(_)) => REGULAR,
                Ok(Kind::Device(_)) => CHARACTERS,
                // Removed since.
                Err(_) => UNKNOWN,
            };
            let mut head = [0; 24];
            head[..8].copy_from_slice(&(at as u64 + 1).to_le_bytes());
            head[8..16].copy_from_slice(&node.ino().to_le_bytes());
            head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
            head[20] = kind;
            for part in [&head[..], name.as_bytes()] {
                let fits = part.len().min(buffer.len() - used);
                buffer[used..used + fits].copy_from_slice(&part[..fits]);
                used += fits;
            }
            if used == buffer.len() {
                break;
            }
        }
        self.put_u32(out, used as u32)
    }
}
