//! How one is made, by its own compiler, and shown to be used.

use std::sync::Arc;

use assize_executor::{End, Executor, FileSource, Outcome, Pack};
use assize_policies::{Limits, Profile};
use sha2::{Digest, Sha256};

use super::HEADERS;
use crate::compile::plan;
use crate::digest::{Fields, hex};
use crate::manifest::Precompile;
use crate::registry::Runtime;

/// Changes with what is made.
const FORMAT: u64 = 2;

/// Most bytes of a precompiled header (GCC 12: 118 MiB), of the text it is
/// made of, and of the disk that making it takes.
const MADE_BYTES: u64 = 512 << 20;
const TEXT_BYTES: u64 = 64 << 20;
const DISK_BYTES: u64 = 1 << 30;

/// The smallest program of each kind: one that includes the header and nothing
/// else, and one that makes a compiler load what most programs make it load.
const PROBE: &str = "probe.cpp";
const CLASS: (&str, &str) = (
    "Main.java",
    "import java.util.*;\npublic class Main {\n    record Pair(int a, String b) {}\n    \
     public static void main(String[] args) {\n        var in = new Scanner(System.in);\n        \
     Map<String, List<Integer>> map = new HashMap<>();\n        for (int i = 0; i < in.nextInt(); i++) {\n            \
     map.computeIfAbsent(\"k\" + i, k -> new ArrayList<>()).add(i);\n        }\n        \
     System.out.println(map.values().stream().mapToInt(List::size).sum() + new Pair(1, \"b\").b());\n    }\n}\n",
);

/// What makes one.
pub(super) struct Bench<'a> {
    pub(super) executor: &'a Executor,
    pub(super) policy: &'a Arc<Profile>,
    pub(super) runtime: &'a Runtime,
    pub(super) what: &'a Precompile,
    pub(super) flags: &'a [String],
}

/// One that is to be made.
pub(super) struct Draft {
    /// A digest of everything it is made of.
    pub(super) name: String,
    /// Where it lies below that name.
    pub(super) file: String,
    /// The compiler's arguments.
    arguments: Vec<String>,
    /// How it is used.
    using: Using,
}

enum Using {
    /// A directory in which headers are looked for.
    Directory,
    /// The file itself.
    Archive,
}

impl Draft {
    /// The options that make a compile use it.
    pub(super) fn options(&self) -> Vec<String> {
        let Self { name, file, .. } = self;
        match self.using {
            Using::Directory => vec!["-isystem".to_owned(), format!("{HEADERS}/{name}")],
            Using::Archive => vec![format!("-XX:SharedArchiveFile={HEADERS}/{name}/{file}")],
        }
    }
}

impl Bench<'_> {
    /// Finds out what it would be made of.
    pub(super) async fn draft(&self) -> Result<Draft, String> {
        let tools = self.runtime.tools.contents().map_err(|e| e.to_string())?;
        let mut fields = Fields::default();
        fields.numbers(&[FORMAT]);
        fields.bytes(&tools);
        fields.text(&self.runtime.version);
        fields.texts(self.flags.iter().map(String::as_str));
        fields.text(self.what.name());
        Ok(match self.what {
            Precompile::Header(header) => {
                let text = self.run(
                    &["-E", "-dD", "-o", "text.ii", PROBE],
                    Some(("text.ii", TEXT_BYTES)),
                );
                let text = collected(text.await?, "text.ii")?;
                let source = source(&text, header)
                    .ok_or_else(|| format!("{header} does not include a file of that name"))?;
                fields.text(&source);
                fields.bytes(&Sha256::digest(&text));
                Draft {
                    name: hex(&fields.digest()),
                    file: format!("{header}.gch"),
                    arguments: ["-x", "c++-header", "-o", "made", &source]
                        .map(str::to_owned)
                        .to_vec(),
                    using: Using::Directory,
                }
            }
            Precompile::Classes(driver) => {
                // The JVM itself refuses an archive of another build of its
                // own, of other modules, or of another collector.
                fields.text(CLASS.1);
                let archive = "-XX:ArchiveClassesAtExit=made";
                let arguments = [archive, driver.as_str(), "probe.jar", CLASS.0];
                Draft {
                    name: hex(&fields.digest()),
                    file: "classes.jsa".to_owned(),
                    arguments: arguments.map(str::to_owned).to_vec(),
                    using: Using::Archive,
                }
            }
        })
    }

    /// Makes it.
    pub(super) async fn make(&self, draft: &Draft) -> Result<Vec<u8>, String> {
        let arguments: Vec<&str> = draft.arguments.iter().map(String::as_str).collect();
        let outcome = self.run(&arguments, Some(("made", MADE_BYTES))).await?;
        collected(outcome, "made")
    }

    /// Compilers say nothing when they pass one over, so they are asked to: GCC
    /// prints `! file` for a header that it took, a JVM where classes are from.
    pub(super) async fn prove(&self, options: &[String]) -> Result<(), String> {
        let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
        let taken = match self.what {
            Precompile::Header(_) => {
                arguments.extend(["-H", "-Winvalid-pch", "-fsyntax-only", PROBE]);
                let outcome = self.run(&arguments, None).await?;
                outcome
                    .stderr
                    .data
                    .split(|b| *b == b'\n')
                    .any(|line| line.starts_with(b"! "))
            }
            Precompile::Classes(driver) => {
                arguments.extend(["-Xlog:class+load:file=loaded", driver, "probe.jar", CLASS.0]);
                let outcome = self.run(&arguments, Some(("loaded", TEXT_BYTES))).await?;
                let loaded = collected(outcome, "loaded")?;
                let mark = b"shared objects file (top)";
                loaded.windows(mark.len()).any(|window| window == mark)
            }
        };
        taken
            .then_some(())
            .ok_or_else(|| "the compiler does not take it".to_owned())
    }

    /// One run of the compiler with its flags and these arguments, and a file
    /// to hand back.
    async fn run(&self, arguments: &[&str], file: Option<(&str, u64)>) -> Result<Outcome, String> {
        let (path, text) = match self.what {
            Precompile::Header(header) => (PROBE, format!("#include <{header}>\n")),
            Precompile::Classes(_) => (CLASS.0, CLASS.1.to_owned()),
        };
        let probe = FileSource {
            path: path.to_owned(),
            data: text.into_bytes(),
            executable: false,
        };
        let pack = Pack::new(&[probe]).map_err(|e| e.to_string())?;
        let bin = std::iter::once(self.runtime.bin.clone());
        let argv = bin
            .chain(self.flags.iter().cloned())
            .chain(arguments.iter().map(|a| (*a).to_owned()));
        let mut plan = plan(
            argv.collect(),
            Some(pack),
            file.unwrap_or(("none", 0)),
            self.policy,
        );
        let roomy = Limits {
            cpu_ms: self.policy.ceiling.cpu_ms,
            wall_ms: self.policy.ceiling.wall_ms,
            disk_bytes: DISK_BYTES,
            memory_bytes: DISK_BYTES * 2,
            ..self.policy.limits
        };
        plan.limits = roomy.meet(self.policy.ceiling);
        let outcome = self.executor.run(plan).await.map_err(|e| e.to_string())?;
        match outcome.end {
            End::Exited(0) => Ok(outcome),
            end => {
                let said = String::from_utf8_lossy(&outcome.stderr.data);
                let line = said.lines().next().unwrap_or_default();
                Err(format!("the compiler ended with {end:?}: {line}"))
            }
        }
    }
}

fn collected(mut outcome: Outcome, name: &str) -> Result<Vec<u8>, String> {
    match outcome.files.remove(name) {
        Some(Ok(data)) => Ok(data),
        Some(Err(why)) => Err(format!("{name}: {why:?}")),
        None => Err(format!("{name} was not made")),
    }
}

/// The path of the header, from the marks that the preprocessor leaves:
/// `# 1 "/usr/include/…" 1`.
fn source(text: &[u8], header: &str) -> Option<String> {
    let end = format!("/{header}");
    text.split(|b| *b == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("# "))
        .filter_map(|mark| mark.split('"').nth(1))
        .find(|path| path.starts_with('/') && path.ends_with(&end))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_path_is_found_in_what_the_preprocessor_leaves() {
        let text = b"# 0 \"probe.cpp\"\n#define __x \"/a/bits/stdc++.h\"\n# 1 \"/usr/include/c++/12/bits/stdc++.h\" 1 3\n";
        let found = source(text, "bits/stdc++.h");
        assert_eq!(found.as_deref(), Some("/usr/include/c++/12/bits/stdc++.h"));
        assert_eq!(source(text, "vector"), None);
    }
}
