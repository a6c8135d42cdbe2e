//! What stands on the wire. Names here are the contract of version 1.

mod request;
mod response;
mod selection;

pub use request::{
    BatchRequest, CallSpec, CheckerSpec, DatabaseSpec, FileSpec, JudgementRequest, PredictionSpec,
    ProgramSpec, RewardSpec, RunRequest, TestSpec,
};
pub use response::{
    Answer, CompileBody, ErrorBody, ErrorDetail, FileBody, JudgementBody, RunBody, RunStatus,
    RuntimeBody, StreamBody, SubtestBody, TestBody, UsageBody, ViolationBody,
};
pub use selection::{
    AnswerFact, CandidateBody, CandidateSpec, CellBody, ClusterBody, GroupBody, InputSpec,
    MatrixBody, MatrixRequest, PairBody, PairsBody, PairsRequest, PickBody, ProgramBody, RankBody,
    SelectBody, SelectRequest,
};
