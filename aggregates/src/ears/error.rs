//! What can be wrong with a requirement sentence, and how to mend it.

use super::ClauseKind;

/// Why a text is no EARS sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EarsError {
    #[error("the text is empty")]
    Empty,
    #[error("there is no SHALL")]
    NoShall,
    #[error("SHALL stands {count} times; a requirement has exactly one")]
    SeveralShalls { count: usize },
    #[error("the modal is {found:?}; only SHALL is accepted")]
    WrongModal { found: String },
    #[error("the IF clause has no THEN before the system")]
    MissingThen,
    #[error("no system is named before SHALL")]
    NoSystem,
    #[error("nothing follows SHALL")]
    NoResponse,
    #[error("the {clause} clause stands after {after}")]
    OutOfOrder { clause: ClauseKind, after: String },
    #[error("the {clause} clause is empty")]
    EmptyClause { clause: ClauseKind },
    #[error("{found:?} opens no EARS clause")]
    UnknownOpening { found: String },
    #[error("the text is more than one sentence")]
    SeveralSentences,
}

impl EarsError {
    /// How to mend it.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Empty | Self::NoShall => {
                "Write one sentence: \"[WHERE …,] [WHILE …,] [WHEN …,] the <system> SHALL \
                 <response>\"."
                    .into()
            }
            Self::SeveralShalls { .. } => {
                "Split it into one requirement for each SHALL, each with its own id and criteria."
                    .into()
            }
            Self::WrongModal { found } => format!("Use SHALL in place of {found:?}."),
            Self::MissingThen => {
                "Write \"IF <trouble>, THEN the <system> SHALL <response>\".".into()
            }
            Self::NoSystem => {
                "Name the system right before SHALL, with a comma between it and the condition: \
                 \"WHEN <trigger>, the <system> SHALL <response>\"."
                    .into()
            }
            Self::NoResponse => "Say after SHALL what the system does.".into(),
            Self::OutOfOrder { .. } => {
                "Put the clauses first, in the order WHERE, WHILE, WHEN, IF … THEN, then the \
                 system, then SHALL."
                    .into()
            }
            Self::EmptyClause { clause } => {
                format!("Say the condition after {clause}, and a comma after it, or drop {clause}.")
            }
            Self::UnknownOpening { .. } => {
                "Begin with WHEN for an event, WHILE for a state, WHERE for an optional feature, \
                 IF … THEN for the unwanted, or with the system itself."
                    .into()
            }
            Self::SeveralSentences => {
                "Keep the one sentence with SHALL; move the rest to the title or the criteria."
                    .into()
            }
        }
    }
}
