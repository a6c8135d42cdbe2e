//! Anybody else's judge, reached over HTTP as a template says.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::Usage;

use super::ours::agent;
use super::program::Measure;
use super::stats::Sample;

/// How a judge is asked to run a program (docs/benchmarks.md).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    /// `POST` or `PUT`.
    #[serde(default = "post")]
    method: String,
    path: String,
    #[serde(default = "json_type")]
    content_type: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// With `{code}`, `{stdin}` and `{language}` where JSON strings belong,
    /// quotes included.
    body: String,
    /// JSON pointer (RFC 6901) to what the program printed.
    stdout: String,
    /// Our names of languages and the judge's.
    languages: BTreeMap<String, String>,
}

fn post() -> String {
    "POST".to_owned()
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// A judge that takes part.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    url: String,
    template: Template,
}

/// Reads `NAME=URL` and `NAME=FILE` options; every peer needs a template.
pub(super) fn peers(urls: &[String], templates: &[String]) -> Result<Vec<Peer>> {
    let pair = |text: &String| {
        text.split_once('=')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .ok_or_else(|| Usage(format!("{text:?} is not NAME=VALUE")))
    };
    let files: BTreeMap<String, String> = templates.iter().map(pair).collect::<Result<_, _>>()?;
    let peer = |text: &String| {
        let (name, url) = pair(text)?;
        let file = files.get(&name).ok_or_else(|| {
            Usage(format!(
                "--peer {name}: say how with --template {name}=FILE"
            ))
        })?;
        let template = read(Path::new(file))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Peer {
            name,
            url,
            template,
        })
    };
    let peers: Vec<Peer> = urls.iter().map(peer).collect::<Result<_>>()?;
    let unused = files.keys().find(|f| !peers.iter().any(|p| p.name == **f));
    if let Some(name) = unused {
        return Err(Usage(format!("--template {name}: there is no --peer {name}")).into());
    }
    Ok(peers)
}

fn read(path: &Path) -> Result<Template> {
    let bad = |e: String| Usage(format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let template: Template = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
    if !["POST", "PUT"].contains(&template.method.as_str()) {
        return Err(bad(format!("method: {:?}, not POST or PUT", template.method)).into());
    }
    Ok(template)
}

impl Peer {
    /// One request after the other; what is printed has to be `stdout`, white
    /// space at its ends aside.
    pub(super) fn single(
        &self,
        language: &str,
        code: &str,
        stdout: &'static str,
        runs: usize,
    ) -> Result<Measure, String> {
        let theirs = self.template.languages.get(language);
        let theirs = theirs.ok_or_else(|| format!("its template has no {language}"))?;
        let body = filled(&self.template.body, code, "", theirs);
        let (agent, peer) = (agent(), self.clone());
        Ok(Box::new(move || {
            let one = |_| {
                let start = Instant::now();
                let text = peer.send(&agent, &body)?;
                let wall = start.elapsed();
                let answer: Value = serde_json::from_str(&text)?;
                let printed = answer
                    .pointer(&peer.template.stdout)
                    .and_then(Value::as_str);
                ensure!(
                    printed.is_some_and(|p| p.trim() == stdout.trim()),
                    "an unexpected answer: {}",
                    text.chars().take(300).collect::<String>().escape_debug()
                );
                Ok(Sample { wall, runs: 1 })
            };
            (0..runs).map(one).collect()
        }))
    }

    fn send(&self, agent: &ureq::Agent, body: &str) -> Result<String> {
        let url = format!("{}{}", self.url, self.template.path);
        let mut request = match self.template.method.as_str() {
            "PUT" => agent.put(url),
            _ => agent.post(url),
        };
        request = request.content_type(&self.template.content_type);
        for (name, value) in &self.template.headers {
            request = request.header(name, value);
        }
        Ok(request.send(body)?.body_mut().read_to_string()?)
    }
}

/// The body with its placeholders filled in one pass: what a program says is
/// not looked at again.
fn filled(body: &str, code: &str, stdin: &str, language: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = [
            ("{code}", code),
            ("{stdin}", stdin),
            ("{language}", language),
        ]
        .into_iter()
        .find(|(name, _)| rest.starts_with(name));
        match found {
            Some((name, value)) => {
                out.push_str(&Value::from(value).to_string());
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_json_strings_and_are_filled_once() {
        let body = r#"{"a":{code},"b":[{stdin},{"l":{language}}]}"#;
        let text = filled(body, "x = '{stdin}'\n\"", "7\n", "py");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], "x = '{stdin}'\n\"");
        assert_eq!(value["b"][0], "7\n");
        assert_eq!(value["b"][1]["l"], "py");
    }

    #[test]
    fn shipped_templates_are_read_and_make_json() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks/peers");
        let mut seen = 0;
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let template = read(&entry.path()).unwrap();
            let body = filled(&template.body, "a\n", "b", "c");
            serde_json::from_str::<Value>(&body).unwrap();
            assert!(template.stdout.starts_with('/'));
            seen += 1;
        }
        assert!(seen >= 3);
    }

    #[test]
    fn a_peer_without_template_is_refused_and_the_other_way_round() {
        let one = |a: &str| vec![a.to_owned()];
        assert!(peers(&one("x=http://127.0.0.1:1"), &[]).is_err());
        assert!(peers(&[], &one("x=/dev/null")).is_err());
        assert!(peers(&one("nonsense"), &[]).is_err());
    }
}
