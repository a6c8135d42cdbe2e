//! Advantages of the groups of a batch: one line per group, after the last
//! answer, when all its rewards are known.

use std::collections::BTreeMap;

use assize_judge::reward::Advantage;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::types::Answer;

/// The way a batch asks for advantages: in its body, or for NDJSON in the
/// query.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    group_advantage: Option<String>,
}

/// Reads the query of a batch.
pub(crate) fn in_query(query: Option<&str>) -> Result<Advantage, ApiError> {
    let refuse = |message: String| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message).field("group_advantage")
    };
    let mut asked = Asked::default();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|p| !p.is_empty())
    {
        match pair.split_once('=') {
            Some(("group_advantage", name)) => asked.group_advantage = Some(name.to_owned()),
            Some((name, _)) => return Err(refuse(format!("{name}: no such query parameter"))),
            None => return Err(refuse(format!("{pair}: no such query parameter"))),
        }
    }
    named(asked.group_advantage.as_deref())
}

/// The way of this name; none when it is not named.
pub(crate) fn named(name: Option<&str>) -> Result<Advantage, ApiError> {
    name.map_or(Ok(Advantage::None), |name| {
        Advantage::parse(name).map_err(|e| {
            let message = format!("group_advantage: {e}");
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message)
                .field("group_advantage")
        })
    })
}

/// Rewards of a batch by group, as they come in.
pub(crate) struct Groups {
    advantage: Advantage,
    rewards: BTreeMap<String, BTreeMap<usize, Option<f64>>>,
}

/// The last word on one group.
#[derive(Serialize)]
struct GroupLine<'a> {
    group: &'a str,
    /// Its cases by their index in the batch; the other lists are in this
    /// order.
    indexes: Vec<usize>,
    rewards: Vec<Option<f64>>,
    advantages: Vec<Option<f64>>,
    /// Whether any two rewards differ. A group where none do teaches nothing.
    informative: bool,
}

impl Groups {
    pub(crate) fn new(advantage: Advantage) -> Self {
        Self {
            advantage,
            rewards: BTreeMap::new(),
        }
    }

    /// Notes an answer. A case that got none, or a fault, has no reward.
    pub(crate) fn note(&mut self, index: usize, answer: &Result<Answer, ApiError>) {
        if self.advantage == Advantage::None {
            return;
        }
        if let Ok(Answer::Judgement(body)) = answer
            && let Some(group) = &body.group
        {
            let rewards = self.rewards.entry(group.clone()).or_default();
            rewards.insert(index, body.reward);
        }
    }

    /// One line per group.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let line = |(group, rewards): (&String, &BTreeMap<usize, Option<f64>>)| {
            let indexes = rewards.keys().copied().collect();
            let rewards: Vec<Option<f64>> = rewards.values().copied().collect();
            let line = GroupLine {
                group,
                indexes,
                advantages: self.advantage.of(&rewards),
                informative: Advantage::informative(&rewards),
                rewards,
            };
            let mut text = serde_json::to_vec(&line).unwrap_or_default();
            text.push(b'\n');
            text
        };
        self.rewards.iter().map(line).collect()
    }
}
