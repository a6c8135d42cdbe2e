//! A guest's library, out of a tar archive: looked through once when the
//! worker starts; its files are read from the archive as they are asked for.

use std::fs::File;
use std::io::Seek as _;
use std::sync::Arc;

use tar::EntryType;
use wasmtime::error::Context as _;
use wasmtime::{bail, format_err};

use super::errno::Errno;
use super::node::{Content, Kind};
use super::tree::Tree;

/// The tree in `archive`, whose content has been verified.
pub(crate) fn library(mut archive: File) -> wasmtime::Result<Arc<Tree>> {
    archive.rewind()?;
    let file = Arc::new(archive.try_clone()?);
    let mut tree = Tree::shared();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?;
        let path = path.to_str().context("a path that is no text")?;
        let path = path.trim_start_matches("./").trim_end_matches('/');
        let failed = |errno: Errno| format_err!("{path}: {errno:?}");
        match entry.header().entry_type() {
            EntryType::Directory => {
                tree.make_directories(tree.root(), path, 0)
                    .map_err(failed)?;
            }
            EntryType::Regular => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                let parent = tree
                    .make_directories(tree.root(), parent, 0)
                    .map_err(failed)?;
                let content = Content::Slice {
                    file: Arc::clone(&file),
                    offset: entry.raw_file_position(),
                    len: entry.size(),
                };
                tree.add(parent, name, Kind::File(content), 0)
                    .map_err(failed)?;
            }
            other => bail!("{path} is neither file nor directory: {other:?}"),
        }
    }
    Ok(Arc::new(tree))
}
