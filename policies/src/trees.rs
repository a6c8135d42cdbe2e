//! File trees: which paths a program may read and which it may change.

use serde::{Deserialize, Serialize};

/// File trees a program may touch; Landlock enforces it, beneath the mounts.
/// Paths are absolute and plain. What is in neither list is out of reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trees {
    /// Read and execute.
    pub read_only: Vec<String>,
    /// Read, write, create, execute.
    pub read_write: Vec<String>,
}

/// Whether `path` is `tree` or lies below it, by whole components.
fn below(path: &str, tree: &str) -> bool {
    match path.strip_prefix(tree) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || tree == "/",
        None => false,
    }
}

fn covered(path: &str, trees: &[String]) -> bool {
    trees.iter().any(|tree| below(path, tree))
}

/// The largest trees among these, sorted.
fn largest(mut trees: Vec<String>) -> Vec<String> {
    trees.sort();
    trees.dedup();
    let all = trees.clone();
    trees.retain(|t| !all.iter().any(|other| other != t && below(t, other)));
    trees
}

/// Every path that is below a tree of `a` and below one of `b`.
fn common(a: &[String], b: &[String]) -> Vec<String> {
    let both = |x: &String, y: &String| {
        if below(x, y) {
            Some(x.clone())
        } else if below(y, x) {
            Some(y.clone())
        } else {
            None
        }
    };
    a.iter()
        .flat_map(|x| b.iter().filter_map(move |y| both(x, y)))
        .collect()
}

impl Trees {
    /// Everything: the top of the lattice.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            read_only: Vec::new(),
            read_write: vec!["/".to_owned()],
        }
    }

    /// The same rights in their one shortest form.
    #[must_use]
    pub fn normal(self) -> Self {
        let write = largest(self.read_write);
        let mut read = self.read_only;
        read.extend(write.iter().cloned());
        let mut read = largest(read);
        read.retain(|tree| !covered(tree, &write));
        Self {
            read_only: read,
            read_write: write,
        }
    }

    /// Whether a program may read (and execute) this path.
    #[must_use]
    pub fn reads(&self, path: &str) -> bool {
        covered(path, &self.read_only) || self.writes(path)
    }

    /// Whether a program may change this path.
    #[must_use]
    pub fn writes(&self, path: &str) -> bool {
        covered(path, &self.read_write)
    }

    /// What both allow: by path prefix, so `/usr` with `/usr/lib` is
    /// `/usr/lib`.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let all = |t: &Self| [&t.read_only[..], &t.read_write[..]].concat();
        Self {
            read_only: common(&all(self), &all(other)),
            read_write: common(&self.read_write, &other.read_write),
        }
        .normal()
    }

    /// The first tree here that `wider` does not grant, with its key.
    pub(crate) fn beyond(&self, wider: &Self) -> Option<(&'static str, &str)> {
        let read = self.read_only.iter().find(|t| !wider.reads(t));
        let write = self.read_write.iter().find(|t| !wider.writes(t));
        read.map(|t| ("files.read_only", t.as_str()))
            .or(write.map(|t| ("files.read_write", t.as_str())))
    }

    /// The first tree that is not an absolute plain path, with its key.
    pub(crate) fn malformed(&self) -> Option<(&'static str, &str)> {
        let odd = |tree: &&String| !plain(tree);
        let read = self.read_only.iter().find(odd);
        let write = self.read_write.iter().find(odd);
        read.map(|t| ("files.read_only", t.as_str()))
            .or(write.map(|t| ("files.read_write", t.as_str())))
    }
}

/// Absolute, without `.`, `..`, empty components, a slash at the end or NUL:
/// so that prefixes of names are prefixes of trees.
pub(crate) fn plain(path: &str) -> bool {
    let component = |c: &str| !matches!(c, "" | "." | "..") && !c.contains('\0');
    path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|p| p.split('/').all(component))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trees(read_only: &[&str], read_write: &[&str]) -> Trees {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Trees {
            read_only: own(read_only),
            read_write: own(read_write),
        }
    }

    #[test]
    fn a_prefix_is_one_of_components_not_of_letters() {
        assert!(below("/usr/lib", "/usr"));
        assert!(below("/usr", "/usr"));
        assert!(below("/usr", "/"));
        assert!(!below("/usrlocal", "/usr"));
        assert!(!below("/usr", "/usr/lib"));
    }

    #[test]
    fn the_smaller_tree_is_what_two_have_in_common() {
        let a = trees(&["/usr", "/etc"], &["/work"]);
        let b = trees(&["/usr/lib", "/work", "/proc"], &[]);
        assert_eq!(a.meet(&b), trees(&["/usr/lib", "/work"], &[]));
        assert_eq!(a.meet(&Trees::everything()), a.normal());
    }

    #[test]
    fn the_normal_form_drops_what_is_covered_and_nothing_else() {
        let a = trees(&["/a/b", "/a", "/w/x"], &["/w", "/a/c"]);
        assert_eq!(a.normal(), trees(&["/a"], &["/a/c", "/w"]));
    }

    #[test]
    fn paths_that_are_not_plain_are_found() {
        for odd in ["usr", "/usr/", "/usr/../etc", "/./x", "//x", "", "/a\0"] {
            assert!(!plain(odd), "{odd:?}");
        }
        assert!(plain("/") && plain("/dev/null"));
    }
}
