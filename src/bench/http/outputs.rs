//! Outputs that pass their gates: drafted once by the built-in agent, and then handed in for every
//! sandbox, whose specs ask for the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use specline_aggregates::{Phase, RawJson, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client::{Ask, Client, read};
use super::fleet::{Member, lean};
use super::site::{REPOSITORY, Site};
use crate::agent::{self, Job, MAX_WAITING_NOTES};
use crate::bench::failed;
use crate::cli::Failure;
use crate::protocol::{Assignment, Submission, SubmissionAnswer, Work};

/// After these the engine would write files.
const LAST: Phase = Phase::Design;

#[derive(Default)]
pub(super) struct Outputs {
    of: BTreeMap<Phase, RawJson>,
    /// Members of the fleet with work to hand in, by number.
    open: Mutex<VecDeque<(usize, Work)>>,
}

impl Outputs {
    /// Drafts them for the first of the fleet, which hands them in for itself.
    pub(super) async fn of(site: &Site, fleet: &[Member]) -> Result<Self, Failure> {
        let (Some(first), client) = (fleet.first(), site.client()?) else {
            return Ok(Self::default());
        };
        let scratch = site.folder().join("agent");
        std::fs::create_dir_all(&scratch).map_err(|error| failed("a scratch folder", error))?;
        let ask = Ask::get(first.path("assignment?wait=0"), &first.token);
        let mut assignment: Assignment = read(&client.send(ask).await?.0)?;
        let mut of = BTreeMap::new();
        while let Assignment::Work(work) = assignment {
            let (phase, short) = (work.phase, lean((*work).clone()));
            if phase > LAST {
                break;
            }
            let (notes, _listener) = mpsc::channel(MAX_WAITING_NOTES);
            let workdir = site.folder().join(REPOSITORY);
            let (scratch, stop) = (scratch.clone(), CancellationToken::new());
            let job = Job { work: *work, workdir, scratch, notes, stop };
            let answer = agent::run(job).await.map_err(|error| failed("the agent", error))?;
            let (answered, _) = hand_in(&client, first, (short, answer.output.clone())).await?;
            of.insert(phase, answer.output);
            assignment = answered;
        }
        let others = fleet.iter().enumerate().skip(1);
        let open = others.map(|(n, member)| (n, member.work.clone())).collect();
        Ok(Self { of, open: Mutex::new(open) })
    }

    /// How many are to be handed in.
    pub(super) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len() * self.of.len()
    }

    /// Hands in the next output of the next sandbox; none when all have handed in theirs.
    pub(super) async fn submit(
        &self,
        client: &Client,
        fleet: &[Member],
    ) -> Result<Option<Duration>, Failure> {
        let next = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((n, work)) = next else { return Ok(None) };
        let output = self.of.get(&work.phase).cloned();
        let output = output.ok_or_else(|| Failure::failed("there is no output of this phase"))?;
        let (next, took) = hand_in(client, &fleet[n], (work, output)).await?;
        if let Assignment::Work(work) = next
            && work.phase <= LAST
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push_back((n, lean(*work)));
        }
        Ok(Some(took))
    }
}

/// One output, which must pass its gate.
async fn hand_in(
    client: &Client,
    member: &Member,
    (work, output): (Work, RawJson),
) -> Result<(Assignment, Duration), Failure> {
    let Work { phase, attempt, context_digest, .. } = work;
    let usage = Usage::default();
    let submission = Submission { phase, attempt, context_digest, output, usage, session: None };
    let key = format!("{}/output/{phase}/{attempt}", member.id);
    let ask = Ask::post(member.path("output"), &member.token, &submission)?.keyed(key);
    let (text, took) = client.send(ask).await?;
    let answer: SubmissionAnswer = read(&text)?;
    if answer.verdict.passed {
        return Ok((answer.next, took));
    }
    let findings = answer.verdict.findings.iter().filter(|finding| !finding.passed);
    let findings: Vec<_> = findings.map(|finding| finding.message.as_str()).collect();
    Err(failed("an output did not pass", findings.join("; ")))
}
