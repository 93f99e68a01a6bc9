//! From settings as text to a `Config`: ranges, defaults that depend on other keys, and what does
//! not go together.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};

use ringkeeper_engine::{
    ids::ReplicaId,
    limits::{BATCH_BYTES_TARGET, COMMAND_BYTES_MAX},
    state::auth::DigestAlgorithm,
};

use super::{
    Config, ConfigError, Flags, FourLetterWords, Warning,
    servers::{self, Server},
    settings::Settings,
    throttle,
};
use crate::cores::CoreRequest;

/// What there is besides the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// They win over everything.
    pub(super) flags: &'a Flags,
    /// `ZOO_DATADIR_AUTOCREATE_DISABLE` is set.
    pub(super) is_autocreate_disabled: bool,
    /// Whether to listen at `[::]` when no address is named.
    pub(super) has_ipv6: bool,
    /// Whether a file or its stand-in was given: without one, there are defaults for everything.
    pub(super) has_file: bool,
}

/// Highest tick of which 20 are still a session timeout.
const TICK_MS_MAX: i64 = i32::MAX as i64 / 20;

/// Makes the `Config`.
pub(super) fn resolve(
    settings: &Settings,
    around: Surroundings<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Config, ConfigError> {
    let server = only_server(settings)?;
    let listen = listen(settings, around, server.as_ref())?;
    let data_dir = data_dir(settings, around)?;
    let mut config = Config::new(data_dir, listen[0]);
    config.listen = listen;
    config.replica_id = ReplicaId(server.as_ref().map_or(0, |server| server.id));
    storage(settings, around, &mut config)?;
    time(settings, &mut config)?;
    connections(settings, &mut config, warnings)?;
    clients(settings, &mut config)?;
    authentication(settings, &mut config, warnings)?;
    // The members of an ensemble look, be it an ensemble of one; a standalone server does not.
    let is_ensemble = server.is_some() && !settings.boolean("standaloneEnabled")?;
    config.eager_acl_check = settings.boolean("enableEagerACLCheck")? && is_ensemble;
    check_segment(&config)?;
    let Flags { cores, cpus, trace_format, allow_tmpfs, .. } = around.flags;
    config.cores = CoreRequest { count: *cores, cpus: cpus.clone() };
    config.trace_format = *trace_format;
    config.allow_tmpfs = *allow_tmpfs;
    Ok(config)
}

/// The one server that there may be.
fn only_server(settings: &Settings) -> Result<Option<Server>, ConfigError> {
    settings.number("electionAlg", 3..=3)?;
    // It says nothing to a server that is alone.
    let role = settings.text_or_default("peerType");
    if !["participant", "observer"].iter().any(|known| role.value.eq_ignore_ascii_case(known)) {
        return Err(role.refused("peerType", "participant or observer"));
    }
    let mut servers = servers::read(settings)?;
    match servers.pop() {
        Some(server) if servers.is_empty() && server.is_participant => Ok(Some(server)),
        None => Ok(None),
        Some(_) => Err(ConfigError::Ensemble { server_count: servers.len() + 1 }),
    }
}

fn data_dir(settings: &Settings, around: Surroundings<'_>) -> Result<PathBuf, ConfigError> {
    if let Some(path) = &around.flags.data_dir {
        return absolute(path);
    }
    match settings.text("dataDir") {
        Some(setting) => absolute(Path::new(&setting.value)),
        None if around.has_file => Err(ConfigError::Missing { key: "dataDir", flag: "--data-dir" }),
        None => absolute(Path::new("data")),
    }
}

/// A relative path is relative to where the process was started, as in ZooKeeper.
fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path)
        .map_err(|error| ConfigError::Path { path: path.to_owned(), error: error.into() })
}

/// Where clients connect; never empty.
fn listen(
    settings: &Settings,
    around: Surroundings<'_>,
    server: Option<&Server>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    let port = settings.optional_number("clientPort", 0..=65_535)?;
    let host = settings.text("clientPortAddress");
    if !around.flags.listen.is_empty() {
        let wishes = around.flags.listen.iter();
        return wishes.map(|wish| listen_flag(wish, around)).collect();
    }
    if let Some(port) = port {
        let port = u16::try_from(port).expect("checked");
        let address = match host {
            Some(setting) => {
                let unknown = || setting.refused("clientPortAddress", "an address of this machine");
                host_address(&setting.value, port).ok_or_else(unknown)?
            }
            None => any_address(around, port),
        };
        return Ok(vec![address]);
    }
    if let Some((host, port)) = server.and_then(|server| server.client.as_ref()) {
        let address = host_address(host, *port).unwrap_or_else(|| any_address(around, *port));
        return Ok(vec![address]);
    }
    if settings.text("secureClientPort").is_some() {
        return Err(ConfigError::OnlySecure);
    }
    if around.has_file {
        return Err(ConfigError::Missing { key: "clientPort", flag: "--listen" });
    }
    // Without a word from the operator, nobody but this machine.
    Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 2181)])
}

/// `--listen`: `address:port`, or a port alone.
fn listen_flag(wish: &str, around: Surroundings<'_>) -> Result<SocketAddr, ConfigError> {
    let split = servers::split_host(wish.trim());
    let address = match split {
        Some((host, port)) => port.parse().ok().and_then(|port| host_address(host, port)),
        None => wish.trim().parse().ok().map(|port| any_address(around, port)),
    };
    address.ok_or_else(|| ConfigError::Listen { value: wish.to_owned() })
}

fn any_address(around: Surroundings<'_>, port: u16) -> SocketAddr {
    let is_ipv6 = around.has_ipv6;
    let address: IpAddr =
        if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(address, port)
}

/// An address, or the first one of a host name.
fn host_address(host: &str, port: u16) -> Option<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Some((address, _)) = host.split_once('%')
        && let Ok(address) = address.parse::<Ipv6Addr>()
        && !address.is_unicast_link_local()
    {
        // The interface says nothing here, and the look-up does not take it as Java does.
        return Some(SocketAddr::from((address, port)));
    }
    // The look-up knows what an address alone does not hold: `fe80::1%eth0`.
    (host, port).to_socket_addrs().ok()?.next()
}

fn storage(
    settings: &Settings,
    around: Surroundings<'_>,
    config: &mut Config,
) -> Result<(), ConfigError> {
    let log_dir = settings.text("dataLogDir").map(|setting| PathBuf::from(&setting.value));
    // A flag moves everything, unless the log has a flag of its own.
    config.data_log_dir = match (&around.flags.data_log_dir, &around.flags.data_dir, &log_dir) {
        (Some(path), _, _) | (None, None, Some(path)) => absolute(path)?,
        (None, _, _) => config.data_dir.clone(),
    };
    config.create_data_dirs =
        settings.boolean("datadir.autocreate")? && !around.is_autocreate_disabled;
    // ZooKeeper takes less than 2 for 2 as well: a snapshot after every command cannot be meant.
    let snap_count = settings.number("snapCount", i64::from(i32::MIN)..=i64::from(i32::MAX))?;
    config.snap_count = to_u64(snap_count.max(2));
    let kib = settings.number("snapSizeLimitInKb", i64::from(i32::MIN)..=1 << 40)?;
    config.snap_log_bytes = (kib > 0).then(|| to_u64(kib) << 10);
    config.slow_flush_ms = to_u64(settings.number("fsync.warningthresholdms", 0..=86_400_000)?);
    if let Some(mib) = around.flags.segment_mib {
        config.segment_bytes = mib << 20;
    }
    Ok(())
}

/// A record holds a batch and the command that filled it; it must fit in a segment with its
/// header and trailers.
fn check_segment(config: &Config) -> Result<(), ConfigError> {
    let record_bytes = config.jute_maxbuffer_bytes + BATCH_BYTES_TARGET;
    let least_mib = u64::try_from(record_bytes >> 20).expect("64 bits") + 2;
    if config.segment_bytes >> 20 < least_mib {
        let segment_mib = config.segment_bytes >> 20;
        return Err(ConfigError::Segment { segment_mib, least_mib });
    }
    Ok(())
}

fn time(settings: &Settings, config: &mut Config) -> Result<(), ConfigError> {
    let tick_ms = settings.number("tickTime", 1..=TICK_MS_MAX)?;
    let timeout = |name, ticks: i64| -> Result<i64, ConfigError> {
        let timeout_ms = settings.number(name, -1..=i64::from(i32::MAX))?;
        Ok(if timeout_ms == -1 { ticks * tick_ms } else { timeout_ms })
    };
    let (min_ms, max_ms) = (timeout("minSessionTimeout", 2)?, timeout("maxSessionTimeout", 20)?);
    if max_ms < min_ms {
        return Err(ConfigError::SessionTimeouts { min_ms, max_ms });
    }
    config.tick_time_ms = u32::try_from(tick_ms).expect("checked");
    config.min_session_timeout_ms = i32::try_from(min_ms).expect("checked");
    config.max_session_timeout_ms = i32::try_from(max_ms).expect("checked");
    Ok(())
}

fn connections(
    settings: &Settings,
    config: &mut Config,
    warnings: &mut Vec<Warning>,
) -> Result<(), ConfigError> {
    const INT_MIN: i64 = i32::MIN as i64;
    const INT_MAX: i64 = i32::MAX as i64;
    // ZooKeeper takes every negative number for "no limit" as well.
    let limit = |name| -> Result<u32, ConfigError> {
        let limit = settings.number(name, INT_MIN..=INT_MAX)?;
        Ok(u32::try_from(limit).unwrap_or(0))
    };
    config.max_client_cnxns = limit("maxClientCnxns")?;
    config.max_cnxns = limit("maxCnxns")?;
    let backlog = settings.number("clientPortListenBacklog", INT_MIN..=INT_MAX)?;
    config.listen_backlog = u32::try_from(backlog).ok().filter(|backlog| *backlog > 0);
    config.tcp_keep_alive = settings.boolean("clientTcpKeepAlive")?;
    config.sessionless_timeout_ms =
        to_u64(settings.number("nio.sessionlessCnxnTimeout", 1..=INT_MAX)?);
    config.global_outstanding_limit =
        u32::try_from(settings.number("globalOutstandingLimit", 1..=INT_MAX)?).expect("checked");
    config.connection_throttle = throttle::connections(settings)?;
    config.request_throttle = throttle::requests(settings)?;
    config.large_requests = throttle::large_requests(settings)?;
    let wished = usize::try_from(settings.number("jute.maxbuffer", 1..=INT_MAX)?).expect("checked");
    config.jute_maxbuffer_bytes = wished.min(COMMAND_BYTES_MAX);
    if wished > COMMAND_BYTES_MAX {
        warnings.push(Warning::FrameBytesLowered { wished, used: COMMAND_BYTES_MAX });
    }
    let words = settings.list("4lw.commands.whitelist");
    config.four_letter_words = if words.iter().any(|word| word == "*") {
        FourLetterWords::All
    } else {
        FourLetterWords::These(words)
    };
    Ok(())
}

fn clients(settings: &Settings, config: &mut Config) -> Result<(), ConfigError> {
    const INT_MAX: i64 = i32::MAX as i64;
    config.extended_types = settings.boolean("extendedTypesEnabled")?;
    config.emulate_353_ttl = settings.boolean("emulate353TTLNodes")?;
    config.reconfig_enabled = settings.boolean("reconfigEnabled")?;
    config.read_only_mode = settings.boolean("readonlymode.enabled")?;
    config.enforce_quota = settings.boolean("enforceQuota")?;
    config.container_check_interval_ms =
        to_u64(settings.number("znode.container.checkIntervalMs", 1..=INT_MAX)?);
    config.container_max_per_minute =
        u32::try_from(settings.number("znode.container.maxPerMinute", 1..=INT_MAX)?)
            .expect("checked");
    config.container_max_never_used_ms =
        to_u64(settings.number("znode.container.maxNeverUsedIntervalMs", 0..=i64::MAX)?);
    Ok(())
}

fn authentication(
    settings: &Settings,
    config: &mut Config,
    warnings: &mut Vec<Warning>,
) -> Result<(), ConfigError> {
    config.skip_acl = settings.yes_no("skipACL")?;
    config.require_sasl = settings.boolean("sessionRequireClientSASLAuth")?;
    config.auth.schemes.digest = settings.boolean("DigestAuthenticationProvider.enabled")?;
    let digest = settings.text("DigestAuthenticationProvider.superDigest");
    config.auth.super_digest = digest.map(|setting| setting.value.clone());
    let algorithm = settings.text_or_default("DigestAuthenticationProvider.digestAlg");
    config.auth.digest_algorithm =
        DigestAlgorithm::from_name(&algorithm.value).ok_or_else(|| {
            let allowed = "MD5, SHA1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, \
                SHA-512/256, SHA3-224, SHA3-256, SHA3-384 or SHA3-512";
            algorithm.refused("DigestAuthenticationProvider.digestAlg", allowed)
        })?;
    providers(settings, config, warnings);
    config.enforce_auth = settings.boolean("enforce.auth.enabled")?;
    config.enforce_auth_schemes = settings.list("enforce.auth.schemes");
    if config.enforce_auth {
        let schemes = settings.text_or_default("enforce.auth.schemes");
        let is_known =
            |name: &String| matches!(name.as_str(), "digest" | "ip" | "sasl" | "x509" | "ensemble");
        let are_fine = !config.enforce_auth_schemes.is_empty()
            && config.enforce_auth_schemes.iter().all(is_known);
        if !are_fine {
            let allowed = "a comma list of digest, ip, sasl, x509 and ensemble, not empty \
                (enforce.auth.enabled asks for it)";
            return Err(schemes.refused("enforce.auth.schemes", allowed));
        }
    }
    Ok(())
}

/// `authProvider.N`: classes of ZooKeeper that say which schemes there are.
fn providers(settings: &Settings, config: &mut Config, warnings: &mut Vec<Warning>) {
    let ensemble_names = settings.list("ensembleAuthName");
    let mut missing = Vec::new();
    for (number, setting) in settings.numbered("authProvider.N") {
        let class = setting.value.strip_prefix("org.apache.zookeeper.server.auth.");
        match class {
            Some("DigestAuthenticationProvider" | "IPAuthenticationProvider") => {}
            Some("EnsembleAuthenticationProvider") => {
                config.auth.ensemble_names = Some(ensemble_names.clone());
            }
            // Znodes may have ACLs of these schemes, though nobody can authenticate by them yet.
            Some("SASLAuthenticationProvider") => {
                config.auth.schemes.sasl = true;
                missing.push((format!("authProvider.{number}"), "SASL"));
            }
            Some("X509AuthenticationProvider") => {
                config.auth.schemes.x509 = true;
                missing.push((format!("authProvider.{number}"), "TLS"));
            }
            _ => missing.push((format!("authProvider.{number}"), "classes of your own")),
        }
    }
    if missing.is_empty() {
        return;
    }
    let told = warnings.iter_mut().find_map(|warning| match warning {
        Warning::NotHonoured { keys } => Some(keys),
        _ => None,
    });
    match told {
        Some(keys) => keys.append(&mut missing),
        None => warnings.push(Warning::NotHonoured { keys: missing }),
    }
}

fn to_u64(number: i64) -> u64 {
    u64::try_from(number).expect("the range was checked")
}
