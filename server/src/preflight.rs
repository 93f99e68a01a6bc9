//! Looks at the machine before anything starts, and says in plain words what is missing and which
//! setting to change.
//!
//! `Facts` are what was seen, `assess` is a pure function over them, so every machine can be
//! tested on this one.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cores::{self, CorePlan};

/// What this server wants from the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Needs {
    /// Executors that will run.
    pub(crate) executor_count: u64,
    /// Bytes that they lock in memory together.
    pub(crate) locked_bytes: u64,
    /// `maxCnxns`; 0 for no limit.
    pub(crate) max_cnxns: u64,
}

impl Needs {
    /// What a core plan and a limit of connections come to.
    pub(crate) fn of(plan: &CorePlan, max_cnxns: u32) -> Self {
        let executor_count = plan.executor_count() as u64;
        let shards = executor_count - 1;
        let locked_bytes = shards * executor_locked_bytes(cores::SHARD_IO_MEMORY)
            + executor_locked_bytes(cores::REPLICA_IO_MEMORY);
        Self { executor_count, locked_bytes, max_cnxns: max_cnxns.into() }
    }
}

/// What one executor locks: three rings, each with its queues and the same registered buffers.
fn executor_locked_bytes(io_memory: usize) -> u64 {
    (48 << 10) + 3 * io_memory as u64
}

/// What was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    /// Major and minor version; `None` if the name of the release says neither.
    pub(crate) kernel: Option<(u32, u32)>,
    /// `kernel.io_uring_disabled`; `None` on kernels without it.
    pub(crate) io_uring_disabled: Option<u32>,
    /// What became of the attempt to make a ring.
    pub(crate) io_uring: Probe,
    /// `ulimit -l`; `None` for unlimited.
    pub(crate) locked_bytes_max: Option<u64>,
    /// Whether the limit does not hold for us.
    pub(crate) may_lock_all: bool,
    /// `ulimit -n`; `None` for unlimited.
    pub(crate) descriptors_max: Option<u64>,
    /// Bytes of memory of the control group; `None` without a limit.
    pub(crate) memory_max: Option<u64>,
}

/// What became of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Probe {
    /// It worked.
    Works,
    /// Not allowed: EPERM or EACCES.
    Forbidden,
    /// The kernel does not know it: ENOSYS.
    Missing,
    /// No memory to lock: ENOMEM.
    NoMemory,
    /// Something else, in its own words.
    Failed(String),
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Finding {
    /// The server cannot run.
    Error(String),
    /// It can, with a drawback.
    Warning(String),
}

/// Oldest kernel that glommio's operations work on.
const KERNEL_MIN: (u32, u32) = (5, 8);

/// glommio refuses to start with less, root or not.
const LOCKED_BYTES_MIN: u64 = 512 << 10;

/// Fewer descriptors do not even carry a small server.
const DESCRIPTORS_MIN: u64 = 1024;

/// Descriptors of the server itself: segments, snapshots, rings, listeners.
const DESCRIPTORS_OWN: u64 = 128;

/// Less memory holds the buffers, and hardly a znode.
const MEMORY_MIN: u64 = 128 << 20;

/// Raises what may be raised, looks, and tells.
pub(crate) fn run(needs: &Needs) -> Vec<Finding> {
    raise(Resource::Nofile);
    raise(Resource::Memlock);
    assess(&Facts::of_this_machine(), needs)
}

/// Raises the soft limit to the hard one; a failure shows in what is seen afterwards.
fn raise(resource: Resource) {
    let Rlimit { current, maximum } = getrlimit(resource);
    if current.is_some() && current != maximum {
        setrlimit(resource, Rlimit { current: maximum, maximum }).ok();
    }
}

/// Everything that is wrong with a machine, the worst first.
pub(crate) fn assess(facts: &Facts, needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(kernel(facts));
    // An old kernel explains everything that follows.
    if findings.is_empty() {
        findings.extend(locked_memory(facts, needs));
    }
    if findings.iter().all(|finding| matches!(finding, Finding::Warning(_))) {
        findings.extend(io_uring(facts));
    }
    findings.extend(descriptors(facts, needs));
    findings.extend(memory(facts));
    findings.sort_by_key(|finding| matches!(finding, Finding::Warning(_)));
    findings
}

fn kernel(facts: &Facts) -> Option<Finding> {
    let (major, minor) = facts.kernel.filter(|version| *version < KERNEL_MIN)?;
    Some(Finding::Error(format!(
        "Linux {major}.{minor} is too old: {}.{} or newer is needed, for io_uring",
        KERNEL_MIN.0, KERNEL_MIN.1,
    )))
}

fn io_uring(facts: &Facts) -> Option<Finding> {
    let what = match &facts.io_uring {
        Probe::Works => return None,
        Probe::Forbidden => match facts.io_uring_disabled {
            Some(2) => {
                "io_uring is switched off: set `sysctl kernel.io_uring_disabled=0` (it is 2)".into()
            }
            Some(1) => "io_uring is for members of one group only: set `sysctl \
                kernel.io_uring_disabled=0` (it is 1), or run in the group that `sysctl \
                kernel.io_uring_group` names"
                .into(),
            _ => "io_uring is forbidden, probably by the seccomp profile of a container: allow \
                io_uring_setup, io_uring_enter and io_uring_register there (Docker: a profile of \
                your own with --security-opt seccomp=FILE; Kubernetes: seccompProfile)"
                .into(),
        },
        Probe::Missing => {
            "io_uring is not there: the kernel is built without it (CONFIG_IO_URING), or a \
             sandbox such as gVisor hides it"
                .into()
        }
        Probe::NoMemory => {
            "io_uring cannot lock memory: raise `ulimit -l` (systemd: LimitMEMLOCK=infinity; \
             Docker: --ulimit memlock=-1); the limit counts all processes of the user"
                .into()
        }
        Probe::Failed(words) => format!("io_uring does not work: {words}"),
    };
    Some(Finding::Error(what))
}

fn locked_memory(facts: &Facts, needs: &Needs) -> Option<Finding> {
    let max = facts.locked_bytes_max?;
    let how = "(systemd: LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1; else \
        /etc/security/limits.conf)";
    if max < LOCKED_BYTES_MIN {
        return Some(Finding::Error(format!(
            "`ulimit -l` is {} KiB: at least {} are needed {how}",
            max >> 10,
            LOCKED_BYTES_MIN >> 10,
        )));
    }
    if facts.may_lock_all || max >= needs.locked_bytes {
        return None;
    }
    Some(Finding::Warning(format!(
        "`ulimit -l` is {} KiB: {} cores want {}, and all processes of the user share it. Buffers \
         that do not fit work more slowly {how}",
        max >> 10,
        needs.executor_count,
        needs.locked_bytes.div_ceil(1 << 10),
    )))
}

fn descriptors(facts: &Facts, needs: &Needs) -> Option<Finding> {
    let max = facts.descriptors_max?;
    let how = "(systemd: LimitNOFILE=; Docker: --ulimit nofile=; else /etc/security/limits.conf)";
    if max < DESCRIPTORS_MIN {
        return Some(Finding::Warning(format!(
            "`ulimit -n` is {max}: no more than {} clients can connect {how}",
            max.saturating_sub(DESCRIPTORS_OWN),
        )));
    }
    if needs.max_cnxns + DESCRIPTORS_OWN > max {
        return Some(Finding::Warning(format!(
            "`ulimit -n` is {max}: maxCnxns={} needs {} {how}",
            needs.max_cnxns,
            needs.max_cnxns + DESCRIPTORS_OWN,
        )));
    }
    None
}

fn memory(facts: &Facts) -> Option<Finding> {
    let max = facts.memory_max.filter(|max| *max < MEMORY_MIN)?;
    Some(Finding::Warning(format!(
        "the control group may use {} MiB of memory: with less than {} the kernel may end this \
         process at any time",
        max >> 20,
        MEMORY_MIN >> 20,
    )))
}

impl Facts {
    /// Looks.
    fn of_this_machine() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            kernel: kernel_version(&release),
            io_uring_disabled: disabled.ok().and_then(|text| text.trim().parse().ok()),
            io_uring: probe(),
            locked_bytes_max: getrlimit(Resource::Memlock).current,
            may_lock_all: may_lock_all(&status),
            descriptors_max: getrlimit(Resource::Nofile).current,
            memory_max: memory_max(),
        }
    }
}

/// `6.1.0-13-amd64` is 6.1.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether `/proc/self/status` says that we have `CAP_IPC_LOCK`.
fn may_lock_all(status: &str) -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|capabilities| capabilities & CAP_IPC_LOCK != 0)
}

/// The lowest limit of the control groups that we are in.
fn memory_max() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limit = |path: String| fs::read_to_string(path).ok()?.trim().parse().ok();
    let mut lowest: Option<u64> = None;
    for line in groups.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, l)| l.split_once(':'))
        else {
            continue;
        };
        // Version 2 has no controllers in this place; version 1 has a hierarchy for memory.
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            let found = limit(format!("{root}{path}/{file}"));
            lowest = [lowest, found].into_iter().flatten().min();
            let Some((parent, _)) = path.rsplit_once('/') else { break };
            path = parent;
        }
    }
    lowest
}

/// Makes a small ring and asks it what it can do. Not by glommio, which panics where this says no.
fn probe() -> Probe {
    let attempt = io_uring::IoUring::new(8)
        .and_then(|ring| ring.submitter().register_probe(&mut io_uring::Probe::new()));
    match attempt {
        Ok(()) => Probe::Works,
        Err(error) => match error.kind() {
            io::ErrorKind::PermissionDenied => Probe::Forbidden,
            io::ErrorKind::Unsupported => Probe::Missing,
            io::ErrorKind::OutOfMemory => Probe::NoMemory,
            _ => Probe::Failed(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const NEEDS: Needs = Needs { executor_count: 8, locked_bytes: 4 << 20, max_cnxns: 0 };

    fn good() -> Facts {
        Facts {
            kernel: Some((6, 1)),
            io_uring_disabled: Some(0),
            io_uring: Probe::Works,
            locked_bytes_max: Some(8 << 20),
            may_lock_all: false,
            descriptors_max: Some(1 << 20),
            memory_max: None,
        }
    }

    /// What is found when one fact is not as it should be.
    fn check(change: impl FnOnce(&mut Facts), expected: &Expect) {
        let mut facts = good();
        change(&mut facts);
        let lines = assess(&facts, &NEEDS).into_iter().map(|finding| match finding {
            Finding::Error(words) => format!("error: {words}\n"),
            Finding::Warning(words) => format!("warning: {words}\n"),
        });
        let lines: String = lines.collect();
        expected.assert_eq(&crate::config::wrapped(&lines));
    }

    #[test]
    fn a_good_machine_has_no_findings() {
        assert_eq!(assess(&good(), &NEEDS), []);
    }

    #[test]
    fn old_kernels_are_named_and_nothing_else_is_blamed() {
        check(
            |facts| {
                facts.kernel = Some((4, 18));
                facts.io_uring = Probe::Missing;
            },
            &expect![[r#"
                error: Linux 4.18 is too old: 5.8 or newer is needed, for io_uring
            "#]],
        );
    }

    #[test]
    fn io_uring_switched_off() {
        let refused = Probe::Forbidden;
        for (disabled, expected) in [
            (
                Some(2),
                expect![[r#"
                error: io_uring is switched off: set `sysctl
                  kernel.io_uring_disabled=0` (it is 2)
            "#]],
            ),
            (
                Some(1),
                expect![[r#"
                error: io_uring is for members of one group only: set `sysctl
                  kernel.io_uring_disabled=0` (it is 1), or run in the group that
                  `sysctl kernel.io_uring_group` names
            "#]],
            ),
            (
                Some(0),
                expect![[r#"
                error: io_uring is forbidden, probably by the seccomp profile of a
                  container: allow io_uring_setup, io_uring_enter and io_uring_register
                  there (Docker: a profile of your own with --security-opt seccomp=FILE;
                  Kubernetes: seccompProfile)
            "#]],
            ),
        ] {
            check(
                |facts| {
                    facts.io_uring = refused.clone();
                    facts.io_uring_disabled = disabled;
                },
                &expected,
            );
        }
        check(
            |facts| facts.io_uring = Probe::Missing,
            &expect![[r#"
            error: io_uring is not there: the kernel is built without it
              (CONFIG_IO_URING), or a sandbox such as gVisor hides it
        "#]],
        );
        check(
            |facts| facts.io_uring = Probe::NoMemory,
            &expect![[r#"
            error: io_uring cannot lock memory: raise `ulimit -l` (systemd:
              LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1); the limit counts
              all processes of the user
        "#]],
        );
    }

    #[test]
    fn locked_memory_is_an_error_or_a_drawback() {
        check(
            |facts| facts.locked_bytes_max = Some(64 << 10),
            &expect![[r#"
            error: `ulimit -l` is 64 KiB: at least 512 are needed (systemd:
              LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1; else
              /etc/security/limits.conf)
        "#]],
        );
        check(
            |facts| facts.locked_bytes_max = Some(1 << 20),
            &expect![[r#"
            warning: `ulimit -l` is 1024 KiB: 8 cores want 4096, and all processes
              of the user share it. Buffers that do not fit work more slowly
              (systemd: LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1; else
              /etc/security/limits.conf)
        "#]],
        );
        check(
            |facts| {
                facts.locked_bytes_max = Some(1 << 20);
                facts.may_lock_all = true;
            },
            &expect![[""]],
        );
    }

    #[test]
    fn few_descriptors() {
        check(
            |facts| facts.descriptors_max = Some(256),
            &expect![[r#"
            warning: `ulimit -n` is 256: no more than 128 clients can connect
              (systemd: LimitNOFILE=; Docker: --ulimit nofile=; else
              /etc/security/limits.conf)
        "#]],
        );
        let needs = Needs { max_cnxns: 5000, ..NEEDS };
        let facts = Facts { descriptors_max: Some(4096), ..good() };
        assert!(matches!(assess(&facts, &needs).as_slice(), [Finding::Warning(_)]));
        let needs = Needs { max_cnxns: 3000, ..NEEDS };
        assert_eq!(assess(&facts, &needs), []);
    }

    #[test]
    fn little_memory() {
        check(
            |facts| facts.memory_max = Some(64 << 20),
            &expect![[r#"
            warning: the control group may use 64 MiB of memory: with less than
              128 the kernel may end this process at any time
        "#]],
        );
    }

    #[test]
    fn facts_are_read_from_their_texts() {
        assert_eq!(kernel_version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(kernel_version("5.4-rc1"), Some((5, 4)));
        assert_eq!(kernel_version("unknown"), None);
        assert!(may_lock_all("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!may_lock_all("CapEff:\t0000000000000000\n"));
        assert!(!may_lock_all(""));
    }

    #[test]
    fn this_machine_can_run_the_tests() {
        let facts = Facts::of_this_machine();
        assert_eq!(facts.io_uring, Probe::Works);
        assert!(facts.kernel >= Some(KERNEL_MIN));
    }
}
