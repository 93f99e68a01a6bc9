//! The form of a write's answer: the State says what happened, the request says how that is told.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use super::Outcome;
use crate::protocol::{
    error_code::ErrorCode,
    reply::{MultiResult, Reply},
    request::{CreateVariant, Write},
};

/// What must be remembered of a write to answer it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shape {
    /// The path alone.
    Created,
    /// Whatever the outcome holds: only one form exists.
    AsItIs,
    /// The forms of its creates, in order; everything else in it has one form only.
    Multi(Box<[CreateVariant]>),
}

impl Shape {
    /// Of the answer to `write`.
    #[must_use]
    pub fn of(write: &Write<'_>) -> Self {
        match write {
            Write::Create(create) if create.variant == CreateVariant::Create => Self::Created,
            Write::Multi(operations) => {
                let creates = operations.iter().filter_map(|operation| match operation {
                    Write::Create(create) => Some(create.variant),
                    _ => None,
                });
                Self::Multi(creates.collect())
            }
            _ => Self::AsItIs,
        }
    }

    /// The answer, as the client expects it.
    ///
    /// # Errors
    ///
    /// The code that the command failed with.
    ///
    /// # Panics
    ///
    /// When the outcome is none of a client's write.
    pub fn reply<'a>(
        &self,
        outcome: &'a Result<Outcome, ErrorCode>,
    ) -> Result<Reply<'a>, ErrorCode> {
        let outcome = outcome.as_ref().map_err(|code| *code)?;
        Ok(match outcome {
            Outcome::Created { path, stat } => {
                let path = Cow::Borrowed(path.as_str());
                match self {
                    Self::Created => Reply::Created { path },
                    Self::AsItIs | Self::Multi(_) => Reply::Created2 { path, stat: *stat },
                }
            }
            Outcome::DataSet { stat } | Outcome::AclSet { stat } => Reply::Stat(*stat),
            Outcome::Deleted | Outcome::Checked | Outcome::SessionClosed => Reply::Empty,
            Outcome::Multi(outcomes) => Reply::Multi(self.multi(outcomes)),
            Outcome::MultiFailed { failed, code, op_count } => {
                Reply::Multi(MultiResult::of_failed(*failed, *code, *op_count).collect())
            }
            Outcome::SessionCreated { .. } | Outcome::SessionAttached { .. } => {
                unreachable!("handshakes are not answered as writes")
            }
        })
    }

    fn multi<'a>(&self, outcomes: &'a [Outcome]) -> Vec<MultiResult<'a>> {
        let mut creates = match self {
            Self::Multi(creates) => creates.iter(),
            Self::Created | Self::AsItIs => [].iter(),
        };
        let result = |outcome: &'a Outcome| match outcome {
            Outcome::Created { path, stat } => {
                let path = Cow::Borrowed(path.as_str());
                match creates.next() {
                    Some(CreateVariant::Create) => MultiResult::Created { path },
                    _ => MultiResult::Created2 { path, stat: *stat },
                }
            }
            Outcome::Deleted => MultiResult::Deleted,
            Outcome::DataSet { stat } => MultiResult::DataSet { stat: *stat },
            Outcome::Checked => MultiResult::Checked,
            other => unreachable!("no operation of a multi ends as {other:?}"),
        };
        outcomes.iter().map(result).collect()
    }
}
