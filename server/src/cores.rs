//! Which cores the server takes, and how an executor is set up on one.

use std::{num::NonZero, thread, time::Duration};

use glommio::{LocalExecutorBuilder, Placement};

/// Most cores that are taken without being asked for: each shard's State costs memory per znode.
const CORES_DEFAULT_MAX: usize = 8;

/// Registered buffers of a shard's executor: it does no file I/O.
pub(crate) const SHARD_IO_MEMORY: usize = 64 << 10;

/// Registered buffers of an executor that writes the log.
pub(crate) const REPLICA_IO_MEMORY: usize = 512 << 10;

/// Requests that a ring holds.
const RING_DEPTH: usize = 128;

/// How long a task may run before it is asked to let others run. Also bounds how late a busy
/// executor sees what came in: at glommio's default of 100 ms a message waits that long.
const PREEMPT_TIMER: Duration = Duration::from_millis(1);

/// What an operator asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CoreRequest {
    /// `--cores`: how many.
    pub(crate) count: Option<usize>,
    /// `--cpus`: which ones; the replica core is the last.
    pub(crate) cpus: Option<Vec<usize>>,
}

/// What this process may use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Allowance {
    /// CPUs of the affinity mask.
    pub(crate) cpus: Vec<usize>,
    /// How many of them it may keep busy at a time: a container's quota may be lower.
    pub(crate) parallelism: usize,
}

impl Allowance {
    /// Asks the system.
    pub(crate) fn of_this_process() -> Self {
        let cpus = match rustix::thread::sched_getaffinity(None) {
            Ok(set) => {
                (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
            }
            Err(_) => Vec::new(),
        };
        // Counts the affinity mask and the quotas of the control groups above us.
        let parallelism = thread::available_parallelism().map_or(1, NonZero::get);
        Self { cpus, parallelism }
    }
}

/// Which executor runs where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CorePlan {
    /// One CPU per executor, or `None` for one that is not pinned. The last is the replica core,
    /// the others are shards; a single one is both.
    executors: Vec<Option<usize>>,
}

/// Why a request cannot be met.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PlanError {
    /// `--cores 0`.
    #[error("at least one core is needed")]
    None,
    /// A CPU outside the affinity mask.
    #[error("CPU {cpu} is not available to this process (allowed: {allowed:?})")]
    NotAllowed {
        /// Which.
        cpu: usize,
        /// What could have been named.
        allowed: Vec<usize>,
    },
    /// The same CPU twice.
    #[error("CPU {cpu} is named twice")]
    Twice {
        /// Which.
        cpu: usize,
    },
}

impl CorePlan {
    /// Decides.
    pub(crate) fn choose(request: &CoreRequest, allowance: &Allowance) -> Result<Self, PlanError> {
        if let Some(cpus) = &request.cpus {
            return Self::named(cpus, allowance);
        }
        let usable = allowance.parallelism.min(allowance.cpus.len()).max(1);
        let count = request.count.unwrap_or(usable.min(CORES_DEFAULT_MAX));
        if count == 0 {
            return Err(PlanError::None);
        }
        // A quota below the mask means a container on a larger machine: all containers see the same
        // CPUs, and pinned to the first ones they would crowd there. More executors than CPUs
        // cannot have one each.
        let is_pinned =
            allowance.parallelism >= allowance.cpus.len() && count <= allowance.cpus.len();
        let executors = if is_pinned {
            allowance.cpus.iter().copied().take(count).map(Some).collect()
        } else {
            vec![None; count]
        };
        Ok(Self { executors })
    }

    fn named(cpus: &[usize], allowance: &Allowance) -> Result<Self, PlanError> {
        if cpus.is_empty() {
            return Err(PlanError::None);
        }
        for (index, cpu) in cpus.iter().enumerate() {
            if !allowance.cpus.contains(cpu) {
                return Err(PlanError::NotAllowed { cpu: *cpu, allowed: allowance.cpus.clone() });
            }
            if cpus.iter().take(index).any(|earlier| earlier == cpu) {
                return Err(PlanError::Twice { cpu: *cpu });
            }
        }
        Ok(Self { executors: cpus.iter().copied().map(Some).collect() })
    }

    /// Moves the calling thread, and with it the threads that it starts from now on, to a CPU that
    /// no executor has, if there is one: the archivist's long work must not take turns with a
    /// pinned core. Otherwise the scheduler finds the best place.
    pub(crate) fn settle_beside(&self, allowance: &Allowance) {
        let is_spare = |cpu: &&usize| !self.executors.contains(&Some(**cpu));
        let is_pinned = self.executors.iter().all(Option::is_some);
        let Some(cpu) = allowance.cpus.iter().rfind(is_spare).filter(|_| is_pinned) else { return };
        if !core_affinity::set_for_current(core_affinity::CoreId { id: *cpu }) {
            tracing::warn!(cpu, "side threads cannot be moved to a CPU of their own");
        }
    }

    /// Whether shard and replica share one executor.
    pub(crate) fn is_fused(&self) -> bool {
        self.executors.len() == 1
    }

    /// CPUs of the shards.
    pub(crate) fn shards(&self) -> &[Option<usize>] {
        if self.is_fused() {
            return &self.executors;
        }
        self.executors.split_last().map_or(&[], |(_, shards)| shards)
    }

    /// CPU of the replica core.
    pub(crate) fn replica(&self) -> Option<usize> {
        self.executors.last().copied().flatten()
    }

    /// How many executors there are.
    pub(crate) fn executor_count(&self) -> usize {
        self.executors.len()
    }
}

/// What runs on an executor decides about its buffers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Sockets only.
    Shard,
    /// The log, and possibly sockets too.
    Replica,
}

/// An executor with the settings that all of ours have.
pub(crate) fn executor(name: &str, cpu: Option<usize>, role: Role) -> LocalExecutorBuilder {
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    let io_memory = match role {
        Role::Shard => SHARD_IO_MEMORY,
        Role::Replica => REPLICA_IO_MEMORY,
    };
    LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(io_memory)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_TIMER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(cpus: &[usize], parallelism: usize) -> Allowance {
        Allowance { cpus: cpus.to_vec(), parallelism }
    }

    fn count(count: usize) -> CoreRequest {
        CoreRequest { count: Some(count), cpus: None }
    }

    #[test]
    fn takes_all_cores_up_to_eight() {
        let small = CorePlan::choose(&CoreRequest::default(), &allowance(&[2, 3, 5], 3));
        let small = small.expect("possible");
        assert_eq!(small.shards(), [Some(2), Some(3)]);
        assert_eq!(small.replica(), Some(5));
        let cpus: Vec<usize> = (0..64).collect();
        let large = CorePlan::choose(&CoreRequest::default(), &allowance(&cpus, 64));
        assert_eq!(large.expect("possible").executor_count(), 8);
    }

    #[test]
    fn one_core_is_shard_and_replica() {
        let plan = CorePlan::choose(&count(1), &allowance(&[0, 1], 2)).expect("possible");
        assert!(plan.is_fused());
        assert_eq!(plan.shards(), [Some(0)]);
        assert_eq!(plan.replica(), Some(0));
    }

    #[test]
    fn a_quota_below_the_mask_means_no_pinning() {
        let cpus: Vec<usize> = (0..64).collect();
        let plan = CorePlan::choose(&CoreRequest::default(), &allowance(&cpus, 2));
        assert_eq!(plan.expect("possible").executors, [None, None]);
    }

    #[test]
    fn more_executors_than_cpus_are_not_pinned() {
        let plan = CorePlan::choose(&count(3), &allowance(&[0, 1], 2)).expect("possible");
        assert_eq!(plan.executors, [None, None, None]);
    }

    #[test]
    fn named_cpus_are_taken_or_refused() {
        let request = |cpus: &[usize]| CoreRequest { count: None, cpus: Some(cpus.to_vec()) };
        let allowance = allowance(&[0, 1, 2, 3], 4);
        let plan = CorePlan::choose(&request(&[3, 2]), &allowance).expect("possible");
        assert_eq!((plan.shards(), plan.replica()), ([Some(3)].as_slice(), Some(2)));
        let refused = CorePlan::choose(&request(&[7]), &allowance);
        assert_eq!(refused, Err(PlanError::NotAllowed { cpu: 7, allowed: vec![0, 1, 2, 3] }));
        assert_eq!(
            CorePlan::choose(&request(&[1, 1]), &allowance),
            Err(PlanError::Twice { cpu: 1 })
        );
        assert_eq!(CorePlan::choose(&request(&[]), &allowance), Err(PlanError::None));
    }
}
