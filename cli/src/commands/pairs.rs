//! `assize pairs`: preferences and ranks from verdicts.

use anyhow::Result;
use assize_api::admit_judgement;
use assize_api::pairs::{Answer, body, judge_here, judged, plan};
use assize_api::types::{JudgementRequest, PairsBody, PairsRequest};
use assize_judge::engine::Engine;

use crate::args::{Document, Host};
use crate::{Usage, commands, setup, show, status};

pub(crate) async fn pairs(host: &Host, args: &Document) -> Result<u8> {
    let request: PairsRequest = commands::document(args)?;
    let refused = |e: assize_api::Refusal| Usage(e.to_string());
    let body = if request.cases.is_none() {
        let plan = judged(&request).map_err(refused)?;
        body("prs_local".into(), plan.ids, &plan.answers, &plan.rule)
    } else {
        let engine = setup::engine(host, 1).await?;
        let judged = match plan(&engine, request) {
            Ok(plan) => {
                let cases = plan.cases.unwrap_or_default();
                let answers = judge(&engine, &cases).await;
                answers.map(|answers| (plan.ids, answers, plan.rule))
            }
            Err(refusal) => Err(refused(refusal).into()),
        };
        setup::shut_down(&engine).await;
        let (ids, answers, rule) = judged?;
        body("prs_local".into(), ids, &answers, &rule)
    };
    if args.json {
        println!("{}", serde_json::to_string(&body)?);
    } else {
        print(&body);
    }
    Ok(status::DONE)
}

async fn judge(engine: &Engine, cases: &[JudgementRequest]) -> Result<Vec<Answer>> {
    let mut admitted = Vec::with_capacity(cases.len());
    for case in cases {
        let checked = admit_judgement(engine, case).map_err(|e| Usage(e.to_string()))?;
        admitted.push((case.group.clone(), checked));
    }
    Ok(judge_here(engine, &admitted).await?)
}

fn print(body: &PairsBody) {
    for group in &body.groups {
        let name = group.group.as_deref().unwrap_or("(no group)");
        println!("{}", show::harmless(name));
        let mut table = show::table(&["answer", "verdict", "passed", "rank"]);
        for answer in &group.answers {
            let rank = answer.rank.map_or("-".to_owned(), |r| r.to_string());
            table.add_row(vec![
                show::harmless(&answer.id).into(),
                answer.verdict.into(),
                show::right(format!("{} of {}", answer.passed, answer.total)),
                show::right(rank),
            ]);
        }
        println!("{table}");
        for pair in &group.pairs {
            let (chosen, rejected) = (show::harmless(&pair.chosen), show::harmless(&pair.rejected));
            println!("  {chosen} over {rejected}");
        }
        if group.pairs_left_out > 0 {
            println!("  and {} more", group.pairs_left_out);
        }
        if let Some(loss) = group.ranking_loss {
            println!("  ranking loss {loss:.6}");
        }
        println!();
    }
}
