//! Which runtime a package's program is for.

use std::path::Path;
use std::sync::Arc;

use assize_executor::FileSource;
use assize_runtimes::{BackendChoice, Program, Runtime};

use super::bench::{Bench, BenchError};
use super::programs::Source;

impl Bench<'_> {
    /// The runtime of a program, by the endings of its files, and the program
    /// as that runtime takes it.
    pub fn program(&self, source: &Source) -> Result<(Arc<Runtime>, Program), BenchError> {
        let fail = |what: String| BenchError::Package(format!("{}: {what}", source.name));
        let mut languages: Vec<(&FileSource, Arc<Runtime>)> = Vec::new();
        for file in &source.files {
            if let Some(runtime) = self.by_ending(&file.path) {
                languages.push((file, runtime));
            }
        }
        let Some((_, runtime)) = languages.first() else {
            let names: Vec<&str> = source.files.iter().map(|f| f.path.as_str()).collect();
            let what = format!("no runtime of this host runs {}", names.join(", "));
            return Err(fail(what));
        };
        let language = &runtime.manifest.language;
        if let Some((_, other)) = languages
            .iter()
            .find(|(_, r)| r.manifest.language != *language)
        {
            let other = &other.manifest.language;
            return Err(fail(format!(
                "files of two languages, {language} and {other}"
            )));
        }
        let of_two = |f: &&FileSource| {
            let first = f.data.split(|b| *b == b'\n').next().unwrap_or_default();
            first.starts_with(b"#!") && first.windows(7).any(|w| w == b"python2")
        };
        if source.files.iter().any(|f| of_two(&f)) {
            return Err(fail("no runtime of this host runs Python 2".to_owned()));
        }
        let names = [runtime.manifest.entry.as_str(), "__main__.py"];
        let named = source
            .files
            .iter()
            .find(|f| names.contains(&f.path.as_str()));
        let entry = match (named, languages.as_slice()) {
            (Some(file), _) => file.path.clone(),
            (None, [(only, _)]) => only.path.clone(),
            (None, [(first, _), ..]) if runtime.manifest.compile.is_some() => first.path.clone(),
            (None, _) => {
                let what = format!("several files, and none is called {}", names[0]);
                return Err(fail(what));
            }
        };
        let program = Program {
            files: source.files.clone(),
            entry,
            time: assize_executor::Time::Real,
        };
        Ok((Arc::clone(runtime), program))
    }

    fn by_ending(&self, path: &str) -> Option<Arc<Runtime>> {
        let ending = Path::new(path).extension()?.to_str()?;
        // A header says nothing of what includes it.
        if matches!(ending, "h" | "hpp") {
            return None;
        }
        let registry = self.engine.registry();
        let runs = |r: &&Arc<Runtime>| r.manifest.extensions.iter().any(|e| e == ending);
        let named = registry.all().find(runs)?;
        let language = &named.manifest.language;
        registry.select(language, BackendChoice::Native).ok()
    }

    /// What the package puts beside every submission of this language, which
    /// overwrites the submission's own.
    pub(super) fn include(&self, runtime: &Runtime, program: &mut Program) {
        let manifest = &runtime.manifest;
        let default = self.package.include.iter().filter(|s| s.name == "default");
        let own = self
            .package
            .include
            .iter()
            .filter(|s| s.name == manifest.language || manifest.aliases.contains(&s.name));
        for file in default.chain(own).flat_map(|s| &s.files) {
            program.files.retain(|f| f.path != file.path);
            program.files.push(file.clone());
            // A driver takes the place of the submission's entry.
            if file.path == manifest.entry {
                program.entry.clone_from(&file.path);
            }
        }
    }
}
