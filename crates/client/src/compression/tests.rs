//! Compressed inputs and outputs.

use super::*;

fn packed(name: &str, text: &[u8]) -> Vec<u8> {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let path = directory.path().join(name);
    let mut sink = Sink::create(&path).expect("created");
    sink.write_all(text).expect("written");
    sink.finish().expect("finished");
    std::fs::read(path).expect("there")
}

fn read(bytes: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let bytes: Bytes = Box::new(Cursor::new(bytes.to_vec()));
    let mut unpacked = unpacked(bytes, Path::new(name)).map_err(|err| err.to_string())?;
    let mut text = Vec::new();
    unpacked.read_to_end(&mut text).map_err(|err| err.to_string())?;
    Ok(text)
}

fn text() -> Vec<u8> {
    (0..20_000u32)
        .flat_map(|row| format!("{row},{}\n", row.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

#[test]
fn what_was_packed_comes_back_whatever_tells() {
    for name in ["a.csv", "a.csv.gz", "a.CSV.GZIP", "a.csv.zst", "a.csv.zstd"] {
        let bytes = packed(name, &text());
        for told_by in [name, "-", "a.csv", "rows"] {
            assert_eq!(read(&bytes, told_by).as_deref(), Ok(&*text()), "{name} as {told_by}");
        }
        // Several members or frames are one input.
        let twice = [bytes.clone(), bytes.clone()].concat();
        assert_eq!(read(&twice, name).map(|text| text.len()), Ok(2 * text().len()), "{name}");
        let none = packed(name, b"");
        assert_eq!(read(&none, name).as_deref(), Ok(&b""[..]), "{name}");
    }
}

#[test]
fn what_is_cut_off_or_damaged_is_named_with_its_place() {
    for (name, word) in [("a.csv.gz", "gzip"), ("a.csv.zst", "zstd")] {
        let bytes = packed(name, &text());
        for cut in [4, 5, 20, bytes.len() / 2, bytes.len() - 1] {
            let err = read(&bytes[..cut], name).expect_err("it is cut off");
            assert!(err.contains(&format!("`{name}` is cut off")), "{cut}: {err}");
            assert!(err.contains(&format!("after byte {cut}")), "{cut}: {err}");
        }
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        for byte in &mut damaged[middle..middle + 64] {
            *byte ^= 0x5a;
        }
        let err = read(&damaged, name).expect_err("it is damaged");
        assert!(err.contains(&format!("`{name}` has damaged {word} data before byte")), "{err}");
        let err = read(b"a,b\n1,2\n", name).expect_err("it is plain");
        assert!(err.contains(&format!("`{name}` is no {word} data: it begins otherwise")), "{err}");
        let err = read(b"", name).expect_err("it is empty");
        assert!(err.contains("it is empty"), "{err}");
    }
    let err = read(&packed("a.zst", b"x"), "a.gz").expect_err("it is another");
    assert!(err.contains("`a.gz` is no gzip data: it is zstd data"), "{err}");
}

#[test]
fn a_file_that_was_left_in_the_middle_is_gone_on_with() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    for name in ["a.csv", "a.csv.gz", "a.csv.zst"] {
        let path = directory.path().join(name);
        let (mut sink, is_new) = Sink::append(&path).expect("created");
        assert!(is_new);
        sink.write_all(b"one\ntwo\n").expect("written");
        sink.flush().expect("flushed");
        sink.write_all(b"thr").expect("written");
        // Killed: what is on the disk has no end.
        let left = std::fs::read(&path).expect("there");
        drop(sink);
        let left = if name == "a.csv" { b"one\ntwo\n".to_vec() } else { left };
        std::fs::write(&path, left).expect("written");
        let (mut sink, is_new) = Sink::append(&path).expect("opened");
        assert!(!is_new);
        sink.write_all(b"three\n").expect("written");
        sink.finish().expect("finished");
        let bytes = std::fs::read(&path).expect("there");
        assert_eq!(read(&bytes, name).as_deref(), Ok(&b"one\ntwo\nthree\n"[..]), "{name}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 3);
}

#[test]
fn the_name_inside_tells_the_format() {
    for (name, want) in [("d/a.csv.gz", "d/a.csv"), ("a.zst", "a"), ("a.csv", "a.csv"), ("-", "-")]
    {
        assert_eq!(plain_name(Path::new(name)), Path::new(want));
    }
}
