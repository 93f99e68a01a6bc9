//! The settings of a run: each profile brings out answers that the others cannot give.

use crate::{servers::Settings, tour::SUPER_DIGEST};

/// One way to set up both servers.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// Longest frame that a client may send (`jute.maxbuffer`).
    pub(super) frame_bytes_max: usize,
    /// Most requests in one write. Apache looks at the applied state, not at what is on its way,
    /// for quotas and eager ACL checks: where they are on, answers to pipelined requests vary.
    pub(super) burst_max: usize,
    lines: &'static [(&'static str, &'static str)],
    defines: &'static [(&'static str, &'static str)],
}

/// Apache's default for `jute.maxbuffer`.
const FRAME_BYTES_MAX: usize = 0xf_ffff;

const PROFILES: [Profile; 5] = [
    Profile {
        name: "plain",
        frame_bytes_max: FRAME_BYTES_MAX,
        burst_max: 16,
        lines: &[("extendedTypesEnabled", "true")],
        defines: &[],
    },
    Profile {
        name: "small-frames",
        frame_bytes_max: 3000,
        burst_max: 16,
        lines: &[],
        defines: &[("jute.maxbuffer", "3000")],
    },
    Profile {
        name: "quotas",
        frame_bytes_max: FRAME_BYTES_MAX,
        burst_max: 1,
        lines: &[("extendedTypesEnabled", "true"), ("enforceQuota", "true")],
        defines: &[],
    },
    Profile {
        name: "eager-acls",
        frame_bytes_max: FRAME_BYTES_MAX,
        burst_max: 1,
        lines: &[("extendedTypesEnabled", "true")],
        defines: &[("zookeeper.enableEagerACLCheck", "true")],
    },
    Profile {
        name: "skip-acls",
        frame_bytes_max: FRAME_BYTES_MAX,
        burst_max: 16,
        lines: &[("extendedTypesEnabled", "true"), ("skipACL", "yes")],
        defines: &[],
    },
];

impl Profile {
    /// The one that a seed runs under when nobody chooses: every other run is a plain one.
    pub fn of_seed(seed: u64) -> &'static Self {
        let order = [0, 1, 0, 2, 0, 3, 0, 4];
        let turn = usize::try_from(seed % 8).expect("below 8");
        &PROFILES[order[turn]]
    }

    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// What both servers are started with.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new()
            .line("tickTime", "500")
            .line("maxSessionTimeout", "300000")
            .line("maxClientCnxns", "0")
            .line("4lw.commands.whitelist", "*")
            .line("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
            // Nothing goes by itself while we look.
            .define("znode.container.checkIntervalMs", "3600000");
        for (key, value) in self.lines {
            settings = settings.line(key, value);
        }
        for (key, value) in self.defines {
            settings = settings.define(key, value);
        }
        settings
    }
}
