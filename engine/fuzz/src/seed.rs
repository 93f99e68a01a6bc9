//! Fills the corpora with what the recorded exchanges say: `cargo +nightly run --bin seed`.

use std::{fs, path::Path};

use ringkeeper_engine_fuzz::requests;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    for entry in fs::read_dir(fuzz.join("../testdata/wire"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (mut connection, mut count) = (Vec::new(), 0);
        for line in fs::read_to_string(&path)?.lines().chain(["== end"]) {
            if line.starts_with("== ") && !connection.is_empty() {
                let served = requests::serve(&connection);
                corpus("requests", &format!("{name}-{count}"), &connection)?;
                let snapshot = [&[200][..], &served.snapshot()].concat();
                corpus("snapshot", &format!("{name}-{count}"), &snapshot)?;
                let commands = [&[1, 1][..], served.payloads.last().ok_or("no batch")?].concat();
                corpus("commands", &format!("{name}-{count}"), &commands)?;
                connection.clear();
                count += 1;
            }
            let Some(hex) = line.strip_prefix("> ") else { continue };
            let digits: String = hex.split_whitespace().collect();
            let frame = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16));
            let frame: Vec<u8> = frame.collect::<Result<_, _>>()?;
            // A handshake has no opcode; no request is 44 to 46 bytes with a zero xid.
            if frame.get(4..8) == Some(&[0; 4]) {
                corpus("connect", &format!("{name}-{count}"), &frame)?;
            } else {
                connection.extend(frame);
            }
        }
    }
    Ok(())
}
