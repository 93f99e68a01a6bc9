//! Damage: a real data directory, a copy of it with a few bytes changed, and a server started on
//! the copy. Either exactly the acknowledged state comes back, or the server refuses with a report
//! that names the file and the place. Anything in between is lost history that nobody is told of.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    rng::Rng,
    servers::{Product, Server, Settings, scratch},
    wire::{
        Connect, Connected, Connection, Failure,
        jute::Reader,
        records::{self, Acl, Stat, flags, op},
    },
};

/// Longest time that a server may take to serve or to refuse.
const VERDICT_WAIT: Duration = Duration::from_secs(30);
/// Unit in which files are scanned and copied; all-zero units are left as holes.
const UNIT: usize = 4096;

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// The acknowledged state came back.
    pub restored: usize,
    /// The server refused and said where.
    pub refused: usize,
    /// Neither: each was reported.
    pub failed: usize,
}

/// Runs `cases` cases; `report` gets a line for each that fails, and some progress.
pub fn run(
    product: &Product,
    cases: usize,
    seed: u64,
    mut report: impl FnMut(&str),
) -> Result<Summary, Failure> {
    let mut rng = Rng::new(seed);
    let ends = [End::KillAtOnce, End::KillWhenIdle, End::Terminate];
    let images =
        ends.iter().map(|end| Image::make(product, *end)).collect::<Result<Vec<_>, _>>()?;
    for image in &images {
        // The method must hold without any damage before it means anything with it.
        let verdict = image.try_on(product, None)?;
        if !matches!(verdict, Verdict::Restored) {
            return Err(format!("undamaged, after {:?}: {verdict:?}", image.end).into());
        }
    }
    let mut summary = Summary::default();
    for case in 1..=cases {
        let image = &images[rng.index(images.len())];
        let damage = Damage::choose(image, &mut rng)?;
        match image.try_on(product, Some(&damage))? {
            Verdict::Restored => summary.restored += 1,
            Verdict::Refused => summary.refused += 1,
            Verdict::Wrong(cause) => {
                summary.failed += 1;
                let end = image.end;
                report(&format!("case {case}, seed {seed}, {end:?}, {damage}: {cause}"));
            }
        }
        if case % 50 == 0 {
            let Summary { restored, refused, failed } = summary;
            report(&format!(
                "{case} of {cases} cases: {restored} restored, {refused} refused, {failed} failed"
            ));
        }
    }
    for image in images {
        fs::remove_dir_all(image.dir)?;
    }
    Ok(summary)
}

/// How the server that made an image ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    KillAtOnce,
    KillWhenIdle,
    Terminate,
}

#[derive(Debug)]
enum Verdict {
    Restored,
    Refused,
    Wrong(String),
}

/// Every znode, with all that a client can see of it.
type Tree = BTreeMap<String, (Option<Vec<u8>>, Stat, Vec<Acl>)>;

/// A data directory of which everything acknowledged is known.
struct Image {
    dir: PathBuf,
    end: End,
    tree: Tree,
    last_zxid: i64,
    session: Connected,
    /// Every file, with the offsets of its units that are not all zero.
    files: Vec<(PathBuf, Vec<u64>)>,
}

fn settings() -> Settings {
    Settings::new()
        .line("snapCount", "700")
        .line("preAllocSize", "4096")
        .line("maxSessionTimeout", "600000")
}

impl Image {
    fn make(product: &Product, end: End) -> Result<Self, Failure> {
        let dir = scratch(&format!("damage-{end:?}"))?;
        let mut server = Server::prepare(product, &dir, settings())?;
        server.run()?;
        let connect = Connect { timeout_ms: 600_000, ..Connect::default() };
        let mut client = Connection::open(server.address(), &connect)?;
        // Two lives, so that there are several generations of segments, and snapshots.
        write_history(&mut client, 1)?;
        server.kill()?;
        server.run()?;
        let session = client.session.clone();
        let mut client = Connection::open(server.address(), &Connect::resume(&session))?;
        write_history(&mut client, 2)?;
        let tree = read_tree(&mut client)?;
        let last = client.set("/damage", b"the last acknowledged write", -1)?;
        let files = Vec::new();
        let mut image = Self { dir, end, tree, last_zxid: last.mzxid, session, files };
        match end {
            End::KillAtOnce => server.kill()?,
            End::KillWhenIdle => {
                std::thread::sleep(Duration::from_millis(300));
                server.kill()?;
            }
            End::Terminate => drop(server.terminate(VERDICT_WAIT)?),
        }
        let entry = image.tree.get_mut("/damage").ok_or("the root of the history")?;
        entry.0 = Some(b"the last acknowledged write".to_vec());
        entry.1 = last;
        let data = image.dir.join("data");
        for file in files_below(&data)? {
            let units = written_units(&data.join(&file))?;
            image.files.push((file, units));
        }
        Ok(image)
    }

    /// Half of the time any file; otherwise one with something in it, the fuller the likelier.
    fn choose_file(&self, rng: &mut Rng) -> (&PathBuf, &[u64]) {
        let all: usize = self.files.iter().map(|(_, units)| units.len()).sum();
        let (file, units) = &self.files[rng.index(self.files.len())];
        if rng.percent(50) || all == 0 {
            return (file, units);
        }
        let mut at = rng.index(all);
        for (file, units) in &self.files {
            if at < units.len() {
                return (file, units);
            }
            at -= units.len();
        }
        (file, units)
    }

    /// Starts a server on a damaged copy.
    fn try_on(&self, product: &Product, damage: Option<&Damage>) -> Result<Verdict, Failure> {
        let dir = scratch("damage-case")?;
        let mut server = Server::prepare(product, &dir, settings())?;
        copy_tree(&self.dir.join("data"), &server.data_dir())?;
        if let Some(damage) = damage {
            damage.inflict(&server.data_dir())?;
        }
        server.spawn()?;
        let verdict = self.judge(&mut server, damage)?;
        drop(server);
        fs::remove_dir_all(dir)?;
        Ok(verdict)
    }

    fn judge(&self, server: &mut Server, damage: Option<&Damage>) -> Result<Verdict, Failure> {
        let deadline = Instant::now() + VERDICT_WAIT;
        let resume = Connect { last_zxid: self.last_zxid, ..Connect::resume(&self.session) };
        loop {
            if let Some(status) = server.exited()? {
                return Ok(judge_refusal(status.code(), &server.trace(), damage));
            }
            // A client that has seen everything: a server that went back must not take it.
            if let Ok(mut client) = open(server, &resume) {
                return Ok(self.judge_state(&mut client));
            }
            if open(server, &Connect::default()).is_ok() && open(server, &resume).is_err() {
                return Ok(Verdict::Wrong("serves, but is behind what its client has seen".into()));
            }
            if deadline < Instant::now() {
                return Ok(Verdict::Wrong(format!("no verdict in {VERDICT_WAIT:?}")));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn judge_state(&self, client: &mut Connection) -> Verdict {
        if client.session != self.session {
            return Verdict::Wrong(format!("the session came back as {:x?}", client.session));
        }
        match read_tree(client) {
            Err(cause) => Verdict::Wrong(format!("reading the state: {cause}")),
            Ok(tree) if tree == self.tree => Verdict::Restored,
            Ok(tree) => Verdict::Wrong(first_difference(&self.tree, &tree)),
        }
    }
}

fn open(server: &Server, connect: &Connect) -> Result<Connection, Failure> {
    let mut connection = Connection::dial(server.address())?;
    connection.set_reply_wait(Duration::from_secs(2))?;
    connection.handshake(connect)?;
    Ok(connection)
}

fn judge_refusal(code: Option<i32>, trace: &str, damage: Option<&Damage>) -> Verdict {
    let tail: Vec<&str> = trace.lines().rev().take(4).collect();
    let Some(code) = code else {
        return Verdict::Wrong(format!("killed by a signal; it said: {tail:?}"));
    };
    let file = damage.map_or("?", |damage| damage.file_name());
    if code == 0 || trace.contains("panicked") {
        return Verdict::Wrong(format!("exit code {code}; it said: {tail:?}"));
    }
    // A file that is missing has no place inside.
    let in_place = damage.is_none_or(|damage| matches!(damage.kind, Kind::Remove));
    if !trace.contains(file) || !(in_place || trace.contains("offset")) {
        return Verdict::Wrong(format!("a refusal that does not say where: {tail:?}"));
    }
    Verdict::Refused
}

fn first_difference(due: &Tree, seen: &Tree) -> String {
    for (path, entry) in due {
        match seen.get(path) {
            None => return format!("{path} is gone ({} znodes of {})", seen.len(), due.len()),
            Some(other) if other != entry => {
                return format!("{path}: {:?} where {:?} is due", other.1, entry.1);
            }
            Some(_) => {}
        }
    }
    format!("{} znodes where {} are due", seen.len(), due.len())
}

/// A few thousand writes of every kind, pipelined, all acknowledged.
fn write_history(client: &mut Connection, life: u64) -> Result<(), Failure> {
    let mut rng = Rng::new(life);
    if life == 1 {
        client.create("/damage", b"", 0)?;
    }
    for _ in 0..40 {
        let mut sent = 0;
        for _ in 0..50 {
            let path = format!("/damage/n{}", rng.below(300));
            let longest = if rng.percent(3) { 30_000 } else { 200 };
            let data = vec![b'd'; rng.index(longest)];
            let (opcode, body) = match rng.below(10) {
                0..=3 => (op::CREATE, records::create(&path, Some(&data), &Acl::open(), 0)),
                4..=6 => (op::SET_DATA, records::set_data(&path, Some(&data), -1)),
                7 => (op::DELETE, records::path_version(&path, -1)),
                8 => {
                    let acl = [Acl::new(31, "world", "anyone"), Acl::new(1, "ip", "10.0.0.1")];
                    (op::SET_ACL, records::set_acl(&path, &acl, -1))
                }
                _ => {
                    let path = format!("/damage/e{}", rng.below(20));
                    let flags = flags::EPHEMERAL;
                    (op::CREATE, records::create(&path, Some(&data), &Acl::open(), flags))
                }
            };
            client.send(opcode, &body)?;
            sent += 1;
        }
        for _ in 0..sent {
            client.reply()?;
        }
    }
    Ok(())
}

fn read_tree(client: &mut Connection) -> Result<Tree, Failure> {
    let mut tree = Tree::new();
    let mut paths = vec!["/".to_owned()];
    while let Some(path) = paths.pop() {
        let (data, stat) = client.get(&path)?;
        let reply = client.call(op::GET_ACL, &records::path_only(&path))?;
        reply.ok()?;
        let acl = records::read_acl(&mut Reader::new(&reply.body))?;
        if 0 < stat.num_children {
            let prefix = if path == "/" { "" } else { &path };
            paths.extend(client.children(&path)?.iter().map(|name| format!("{prefix}/{name}")));
        }
        tree.insert(path, (data, stat, acl));
    }
    Ok(tree)
}

/// One change to one file.
#[derive(Debug)]
struct Damage {
    /// Below the data directory.
    file: PathBuf,
    offset: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    FlipBit(u8),
    Zero(usize),
    Noise(usize, u64),
    Truncate,
    Remove,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} at {} of {}", self.kind, self.offset, self.file.display())
    }
}

impl Damage {
    fn choose(image: &Image, rng: &mut Rng) -> Result<Self, Failure> {
        loop {
            let (file, written) = image.choose_file(rng);
            let length = fs::metadata(image.dir.join("data").join(file))?.len();
            // Where something is written, mostly; anywhere, sometimes.
            let offset = if written.is_empty() || rng.percent(10) {
                rng.below(length.max(1))
            } else {
                let unit = written[rng.index(written.len())];
                (unit + rng.below(u64::try_from(UNIT)?)).min(length.saturating_sub(1))
            };
            let sector = offset & !511;
            let (offset, kind) = match rng.below(100) {
                0..=34 => (offset, Kind::FlipBit(1 << rng.below(8))),
                35..=49 => (offset, Kind::Zero(1 + rng.index(64))),
                50..=59 => (sector, Kind::Zero(512)),
                60..=71 => (offset & !4095, Kind::Zero(4096 * (1 + rng.index(3)))),
                72..=84 => (offset, Kind::Noise(1 + rng.index(2000), rng.next())),
                85..=96 => (offset, Kind::Truncate),
                _ => (0, Kind::Remove),
            };
            if 0 < length {
                return Ok(Self { file: file.clone(), offset, kind });
            }
        }
    }

    fn file_name(&self) -> &str {
        self.file.file_name().and_then(|name| name.to_str()).unwrap_or("?")
    }

    fn inflict(&self, data: &Path) -> Result<(), Failure> {
        let path = data.join(&self.file);
        if matches!(self.kind, Kind::Remove) {
            return Ok(fs::remove_file(path)?);
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        if matches!(self.kind, Kind::Truncate) {
            return Ok(file.set_len(self.offset)?);
        }
        let left = usize::try_from(file.metadata()?.len() - self.offset)?;
        let bytes = match &self.kind {
            Kind::FlipBit(mask) => {
                let mut byte = [0];
                file.seek(SeekFrom::Start(self.offset))?;
                file.read_exact(&mut byte)?;
                vec![byte[0] ^ mask]
            }
            Kind::Zero(count) => vec![0; left.min(*count)],
            Kind::Noise(count, seed) => {
                let mut rng = Rng::new(*seed);
                (0..left.min(*count)).map(|_| rng.next().to_le_bytes()[0]).collect()
            }
            Kind::Truncate | Kind::Remove => Vec::new(),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.write_all(&bytes)?)
    }
}

/// All files below a folder, by their paths from there.
fn files_below(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root)?.to_path_buf());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Offsets of the units of a file that are not all zero.
fn written_units(path: &Path) -> Result<Vec<u64>, Failure> {
    let bytes = fs::read(path)?;
    let units = bytes.chunks(UNIT).enumerate();
    let written = units.filter(|(_, unit)| unit.iter().any(|byte| *byte != 0));
    written.map(|(index, _)| Ok(u64::try_from(index * UNIT)?)).collect()
}

/// Copies a folder; what is zero stays a hole.
fn copy_tree(source: &Path, target: &Path) -> Result<(), Failure> {
    for file in files_below(source)? {
        let path = target.join(&file);
        fs::create_dir_all(path.parent().ok_or("a file has a folder")?)?;
        let bytes = fs::read(source.join(&file))?;
        let mut copy = File::create(path)?;
        copy.set_len(u64::try_from(bytes.len())?)?;
        for (index, unit) in bytes.chunks(UNIT).enumerate() {
            if unit.iter().any(|byte| *byte != 0) {
                copy.seek(SeekFrom::Start(u64::try_from(index * UNIT)?))?;
                copy.write_all(unit)?;
            }
        }
    }
    Ok(())
}
