//! `assize receipt verify`: tells a genuine receipt from the others.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use assize_api::receipt::{Expected, PublicKey, Receipt, verify};
use assize_api::types::JudgementRequest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::args::{ReceiptCommand, Verify};
use crate::{Usage, args, show, status};

pub(crate) fn receipt(args: &args::Receipt) -> Result<u8> {
    let ReceiptCommand::Verify(args) = &args.command;
    let document: Value = read(&args.receipt)?;
    let (text, answer) = match document.get("receipt") {
        Some(inner) => (inner.clone(), Some(&document)),
        None => (document.clone(), None),
    };
    let receipt: Receipt = serde_json::from_value(text)
        .map_err(|e| Usage(format!("{}: not a receipt: {e}", args.receipt.display())))?;
    let key = key(&args.key)?;
    let request: Option<JudgementRequest> = args.request.as_deref().map(read).transpose()?;
    let mut list = args
        .seen
        .as_deref()
        .map(|path| Seen::open(path, args.remember))
        .transpose()?;
    let none = BTreeSet::new();
    let problems = verify(
        &receipt,
        &Expected {
            key: &key,
            nonce: args.nonce.as_deref(),
            request: request.as_ref(),
            answer,
            seen: list.as_ref().map_or(&none, |l| &l.ids),
        },
    );
    let genuine = problems.is_empty();
    if let (true, Some(list)) = (genuine, &mut list) {
        list.add(&receipt.id)?;
    }
    if args.json {
        let problems: Vec<Value> = problems
            .iter()
            .map(|p| {
                let mut value = json!(p);
                value["message"] = json!(p.to_string());
                value
            })
            .collect();
        println!(
            "{}",
            json!({"genuine": genuine, "id": receipt.id, "verdict": receipt.verdict,
                   "reward": receipt.reward, "problems": problems})
        );
    } else {
        print(args, &receipt, &problems);
    }
    Ok(if genuine {
        status::DONE
    } else {
        status::FAILED
    })
}

fn print(args: &Verify, receipt: &Receipt, problems: &[assize_api::receipt::Problem]) {
    let id = show::harmless(&receipt.id);
    if problems.is_empty() {
        let reward = receipt.reward.as_deref().unwrap_or("none");
        println!(
            "genuine: {id} was judged {}, reward {}",
            show::harmless(&receipt.verdict),
            show::harmless(reward)
        );
        for (given, what) in [
            (
                args.request.is_some(),
                "which submission it is for (--request)",
            ),
            (
                args.request.is_some() || args.nonce.is_some(),
                "whether it is fresh (--nonce)",
            ),
            (args.seen.is_some(), "whether it was taken before (--seen)"),
        ] {
            if !given {
                println!("not checked: {what}");
            }
        }
        return;
    }
    println!("not genuine: {id}");
    for problem in problems {
        println!("  {}", show::harmless(&problem.to_string()));
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    Ok(serde_json::from_str(&text).map_err(|e| Usage(format!("{}: {e}", path.display())))?)
}

/// A key by its file, or as it stands.
fn key(given: &str) -> Result<PublicKey> {
    let text = match std::fs::read_to_string(given) {
        Ok(text) => text,
        Err(_) => given.to_owned(),
    };
    Ok(PublicKey::parse(&text).map_err(|e| Usage(format!("--key: {e}")))?)
}

/// Ids of receipts that were taken before.
struct Seen {
    ids: BTreeSet<String>,
    /// Held under a lock from before it is read until it is written: of two who
    /// check the same receipt at once, one is told that it was seen.
    file: Option<File>,
}

impl Seen {
    fn open(path: &Path, remember: bool) -> Result<Self> {
        let wrong = |e: std::io::Error| Usage(format!("--seen {}: {e}", path.display()));
        let mut text = String::new();
        let file = if remember {
            let mut options = OpenOptions::new();
            let opened = options.read(true).append(true).create(true).open(path);
            let mut file = opened.map_err(wrong)?;
            file.lock().map_err(wrong)?;
            file.read_to_string(&mut text).map_err(wrong)?;
            Some(file)
        } else {
            match std::fs::read_to_string(path) {
                Ok(read) => text = read,
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(wrong(e).into()),
            }
            None
        };
        let ids = text.lines().map(|l| l.trim().to_owned()).collect();
        Ok(Self { ids, file })
    }

    fn add(&mut self, id: &str) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(format!("{id}\n").as_bytes())
                .context("--seen")?;
            file.sync_all().context("--seen")?;
        }
        Ok(())
    }
}
