//! Rules that tests break on purpose, one at a time: what does not find a broken rule does not
//! check it. Outside of tests nothing is ever broken, and the compiler removes the questions.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutant {
    /// A batch counts as stored when it is handed to the disk (R4, I6).
    StoredAtAppend,
    /// The leader's own batches count when they are appended (R4).
    LeaderCountsAppended,
    /// A promise leaves before it is durable (R1).
    PromiseNotDurable,
    /// A candidate asks for promises before its own is durable (R1).
    PrepareNotDurable,
    /// An acknowledgement does not wait for the ballot's own record (R1).
    BallotNotDurable,
    /// A lower ballot than the promised one is accepted (R1).
    AcceptLowerBallot,
    /// What stands before the batches is not compared (R2).
    PreviousNotChecked,
    /// A batch that is there already under another ballot is kept (R2).
    ConflictKept,
    /// Everything after a batch that is there already is cut off (R2).
    CutWithoutConflict,
    /// Everything in a follower's log counts as the leader's, as if one accepted ballot stood for
    /// the whole log (R2).
    WholeLogMatches,
    /// A follower takes the leader's commit slot for what it has itself at these slots (R2).
    CommitUnmatched,
    /// A batch of an earlier ballot is decided by counting (R4).
    CommitEarlierBallot,
    /// One vote less than a quorum is enough to decide (R4).
    CommitByMinority,
    /// One promise less than a quorum is enough to lead (R3).
    LeadByMinority,
    /// A candidate leads with its own log (R3).
    OwnLogAdopted,
    /// Of two promised logs, the longer one is adopted (R3).
    LongestLogAdopted,
    /// What was fetched is taken without a promise of the ballot that decided it (R6).
    FetchedWithoutBallot,
    /// A restarted replica begins with the lowest ballot again (R1).
    PromiseForgotten,
    /// A leader that nobody has confirmed answers questions for a read index (R9).
    ReadUnconfirmed,
    /// A leader answers before a batch of its ballot is decided (R9).
    ReadBeforeEstablished,
    /// A data directory that is not in the configuration votes, and is counted (R10).
    StrangerVotes,
    /// The window has no bound (R5).
    WindowUnbounded,
    /// A record carries a commit slot that later records of the same step are about.
    CommitStampedLate,
    /// A promise comes without what the candidate lacks (R3).
    TailOmitted,
    /// Nothing is sent twice (R6).
    LossUnnoticed,
    /// A follower that is far behind is not told to fetch (R6).
    FetchNever,
    /// A replica that hears a leader helps another one to lead (R7).
    PreVoteDisturbs,
    /// A leader without a quorum goes on (R7).
    LeaderNeverGivesUp,
    /// What is behind a configuration that is not decided needs a quorum of the one before only.
    OldConfigOnly,
    /// A leader proposes a configuration before a batch of its ballot is decided.
    ConfigUnestablished,
    /// Some founders of a cluster form it before the others were heard.
    FormedByMinority,
    /// A founder counts who asked whoever has its name: that may have been in an earlier life.
    FormedByHearsay,
    /// A snapshot is taken without a promise of the ballot that decided what is in it (R6).
    InstalledWithoutBallot,
    /// A follower decides by counting what others have stored, whatever ballot the batch is of
    /// (R11).
    OthersEarlierBallot,
    /// What was not committed in an epoch is not submitted again in the next.
    ForwardsDropped,
    /// A leader takes repeated commands again.
    ForwardsRepeated,
    /// A leader takes commands behind a gap.
    ForwardsWithGap,
    /// A leader takes commands that were submitted to the leader of another epoch.
    ForwardsOfAnyEpoch,
    /// What waits for a batch stays when another epoch begins, although it is submitted again.
    IntakeKept,
    /// A replica that took a snapshot goes on in the same life.
    LifeKept,
    /// What a leader has found to do is proposed whatever it leads by then.
    HousekeepingLate,
    /// The leader is not told whom a follower's clients keep alive.
    TouchesUntold,
    /// Recovery takes any end of the log for the end of a write that was cut short.
    DamageIsEnd,
    /// Recovery does not look for witnesses behind the first record that is not valid.
    WitnessIgnored,
    /// A leader answers with its own commit slot although followers decide for themselves (R9,
    /// R11).
    ReadBehindOthers,
    /// The answer to a question of an earlier life is taken for one to this life's (R9).
    ReadOfEarlierLife,
}

#[cfg(test)]
impl Mutant {
    /// What consensus decides by.
    pub(crate) const OF_CONSENSUS: [Self; 36] = [
        Self::StoredAtAppend,
        Self::LeaderCountsAppended,
        Self::PromiseNotDurable,
        Self::PrepareNotDurable,
        Self::BallotNotDurable,
        Self::AcceptLowerBallot,
        Self::PreviousNotChecked,
        Self::ConflictKept,
        Self::CutWithoutConflict,
        Self::WholeLogMatches,
        Self::CommitUnmatched,
        Self::CommitEarlierBallot,
        Self::CommitByMinority,
        Self::LeadByMinority,
        Self::OwnLogAdopted,
        Self::LongestLogAdopted,
        Self::FetchedWithoutBallot,
        Self::PromiseForgotten,
        Self::ReadUnconfirmed,
        Self::ReadBeforeEstablished,
        Self::StrangerVotes,
        Self::WindowUnbounded,
        Self::CommitStampedLate,
        Self::TailOmitted,
        Self::LossUnnoticed,
        Self::FetchNever,
        Self::PreVoteDisturbs,
        Self::LeaderNeverGivesUp,
        Self::OldConfigOnly,
        Self::ConfigUnestablished,
        Self::FormedByMinority,
        Self::FormedByHearsay,
        Self::InstalledWithoutBallot,
        Self::OthersEarlierBallot,
        Self::ReadBehindOthers,
        Self::ReadOfEarlierLife,
    ];

    /// What forwarding, the sessions' timers and storage decide by: the simulator looks for these.
    #[cfg(test)]
    pub(crate) const OF_REPLICA: [Self; 10] = [
        Self::ForwardsDropped,
        Self::ForwardsRepeated,
        Self::ForwardsWithGap,
        Self::ForwardsOfAnyEpoch,
        Self::IntakeKept,
        Self::LifeKept,
        Self::HousekeepingLate,
        Self::TouchesUntold,
        Self::DamageIsEnd,
        Self::WitnessIgnored,
    ];
}

#[cfg(not(test))]
pub(crate) const fn is_broken(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
std::thread_local! {
    static BROKEN: core::cell::Cell<Option<Mutant>> = const { core::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn is_broken(mutant: Mutant) -> bool {
    BROKEN.get() == Some(mutant)
}

/// Breaks a rule on this thread, or none. What then panics is what was sought, and says nothing.
#[cfg(test)]
pub(crate) fn set_broken(mutant: Option<Mutant>) {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(alloc::boxed::Box::new(move |panic| {
            if BROKEN.get().is_none() {
                usual(panic);
            }
        }));
    });
    BROKEN.set(mutant);
}
