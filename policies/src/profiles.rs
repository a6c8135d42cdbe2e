//! The profiles of a server: those that ship, and those of its operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::LimitsRequest;
use crate::profile::{Document, Profile, ProfileError};
use crate::seccomp::Stack;

/// The profiles that ship, by name.
const SHIPPED: &[(&str, &str)] = &[
    (ROOT, include_str!("../profiles/base.toml")),
    ("agent", include_str!("../profiles/agent.toml")),
    ("default", include_str!("../profiles/default.toml")),
    ("strict", include_str!("../profiles/strict.toml")),
    ("compile", include_str!("../profiles/compile.toml")),
    ("worker", include_str!("../profiles/worker.toml")),
];

/// The one profile without a parent: nothing grants more.
const ROOT: &str = "base";

/// Checked profiles by name.
#[derive(Debug, Clone)]
pub struct Profiles(BTreeMap<String, Arc<Profile>>);

impl Profiles {
    /// Those that ship.
    pub fn shipped() -> Result<Self, ProfileError> {
        Self::load::<String, String>([])
    }

    /// Those that ship and these, as (name, TOML) pairs. Each of these narrows
    /// another, and none takes the name of another.
    pub fn load<N: Into<String>, T: AsRef<str>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, ProfileError> {
        let mut documents = BTreeMap::new();
        for (name, text) in SHIPPED {
            add(&mut documents, (*name).to_owned(), text)?;
        }
        for (name, text) in texts {
            add(&mut documents, name.into(), text.as_ref())?;
        }
        let cell = Stack::cell()?;
        let mut done = BTreeMap::new();
        for name in documents.keys() {
            resolve(name, &documents, &cell, &mut done)?;
        }
        Ok(Self(done))
    }

    /// All of them under a host's ceiling.
    pub fn under(&self, host: &LimitsRequest) -> Result<Self, ProfileError> {
        host.check_ceiling()?;
        let capped = |(name, p): (&String, &Arc<Profile>)| (name.clone(), Arc::new(p.capped(host)));
        Ok(Self(self.0.iter().map(capped).collect()))
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.values()
    }
}

fn add(
    documents: &mut BTreeMap<String, Document>,
    name: String,
    text: &str,
) -> Result<(), ProfileError> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(letter) {
        return Err(ProfileError::Name { name });
    }
    let document: Document = toml::from_str(text).map_err(|source| ProfileError::Parse {
        name: name.clone(),
        source,
    })?;
    if document.inherits.is_none() && name != ROOT {
        return Err(ProfileError::NoParent { name });
    }
    if documents.contains_key(&name) {
        return Err(ProfileError::Taken { name });
    }
    documents.insert(name, document);
    Ok(())
}

/// Assembles a profile after its parents, from the top.
fn resolve(
    name: &str,
    documents: &BTreeMap<String, Document>,
    cell: &Stack,
    done: &mut BTreeMap<String, Arc<Profile>>,
) -> Result<(), ProfileError> {
    let mut chain: Vec<(&str, &Document)> = Vec::new();
    let mut next = Some(name);
    while let Some(name) = next.filter(|n| !done.contains_key(*n)) {
        if chain.iter().any(|(seen, _)| *seen == name) {
            let name = name.to_owned();
            return Err(ProfileError::Circle { name });
        }
        let document = documents
            .get(name)
            .ok_or_else(|| ProfileError::UnknownParent {
                name: chain.last().map_or("", |(child, _)| child).to_owned(),
                parent: name.to_owned(),
            })?;
        chain.push((name, document));
        next = document.inherits.as_deref();
    }
    for (name, document) in chain.into_iter().rev() {
        let parent = document.inherits.as_ref().and_then(|p| done.get(p));
        let profile = Profile::assemble(name, document.clone(), parent.map(AsRef::as_ref), cell)?;
        done.insert(name.to_owned(), Arc::new(profile));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
